# Ends what its owner started and removes its folder, once the owner is gone.
#
# stdin: a line for each process that the owner starts, its pid, or `none` after its end. It closes
# when the owner closes it or dies, however that happens.

# Of an owner whose own is set for something else.
PATH=$PATH:/usr/bin:/bin
folder=$1
pid=none
while read -r line; do pid=$line; done

if [ "$pid" != none ]; then
    # PostgreSQL's processes are groups of their own, and those that are paused would not see that
    # their parent is gone.
    children=
    for stat in /proc/[0-9]*/stat; do
        read -r line 2>/dev/null <"$stat" || continue
        set -- ${line##*) }
        child=${stat#/proc/}
        [ "$2" = "$pid" ] && children="$children ${child%/stat}"
    done
    kill -s KILL -- "-$pid" $children 2>/dev/null
fi

# The one thing that PostgreSQL keeps outside of its folder: a segment of shared memory.
segment=$(sed -n '7s/.* //p' "$folder/data/postmaster.pid" 2>/dev/null)
[ -n "$segment" ] && ipcrm -m "$segment" 2>/dev/null

# The killed may still be in the middle of writing a file.
for attempt in 1 2 3 4 5; do
    rm -rf -- "$folder" 2>/dev/null && exit
    sleep 0.2
done

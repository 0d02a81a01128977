//! What changes Redis, in Lua: a script runs whole, and nothing else runs meanwhile.
//!
//! Rule 1: a script that finds nothing writes nothing to `auth_token:`, which is no key of ours: a
//! replica refuses that, and so never says that a token is unknown.
//! Rule 2: the first write of a script is one that Redis refuses when it is out of memory. After
//! the first it refuses none, so that no script ends in the middle.
//! Rule 3: rows are strings and objects, which `cjson` gives back as they were; it would not keep
//! empty lists nor long numbers.
//!
//! It deliberately does not know what time it is: times are passed in, and expiries as durations.

use std::sync::LazyLock;

use redis::Script;

/// Only whether changes are taken.
pub(super) static PROBE: Lua = Lua::new(|| Script::new("redis.call('DEL', 'auth_token:')"));

/// Key: the token. Gives its row.
pub(super) static FIND: Lua = Lua::new(|| {
    Script::new(
        "local row = redis.call('GET', KEYS[1])
         if not row then redis.call('DEL', 'auth_token:') end
         return row",
    )
});

/// Keys: of each row the token and the user. Arguments: of each row its text, its milliseconds and
/// the token's hash.
pub(super) static INSERT: Lua = Lua::new(|| Script::new(&format!("{KEEP} keep(1, 1)")));

/// Keys and arguments: the token to rotate and its rotation, then those of [`INSERT`]. Gives
/// whether it was rotated.
pub(super) static ROTATE: Lua = Lua::new(|| {
    Script::new(&format!(
        "{KEEP}
         local text = redis.call('GET', KEYS[1])
         if not text then
             redis.call('DEL', 'auth_token:')
             return 0
         end
         local row = cjson.decode(text)
         if row.rotated then return 0 end
         row.rotated = cjson.decode(ARGV[1])
         redis.call('SET', KEYS[1], cjson.encode(row), 'KEEPTTL')
         keep(2, 2)
         return 1"
    ))
});

/// Key: the token. Argument: when it was used, as rows have it: of two such texts the later time
/// is the greater one.
pub(super) static TOUCH: Lua = Lua::new(|| {
    Script::new(
        "local text = redis.call('GET', KEYS[1])
         if not text then return end
         local row = cjson.decode(text)
         if (row.used_at or '') < ARGV[1] then
             row.used_at = ARGV[1]
             redis.call('SET', KEYS[1], cjson.encode(row), 'KEEPTTL')
         end",
    )
});

/// Key: the user. Argument: the session, or none for all of them. Gives how many tokens there
/// were. A row of an older version is a session that begins as its hash does.
pub(super) static REMOVE: Lua = Lua::new(|| {
    Script::new(
        "local removed = 0
         for _, hash in ipairs(redis.call('SMEMBERS', KEYS[1])) do
             local token = 'auth_token:' .. hash
             local is_covered = not ARGV[1]
             if not is_covered then
                 local text = redis.call('GET', token)
                 local row = text and cjson.decode(text)
                 is_covered = not row or (row.session or string.sub(hash, 1, 32)) == ARGV[1]
             end
             if is_covered then
                 removed = removed + redis.call('UNLINK', token)
                 redis.call('SREM', KEYS[1], hash)
             end
         end
         redis.call('DEL', 'auth_token:')
         return removed",
    )
});

/// Arguments: where to go on, and how many keys to look at. Gives where to go on after them, and
/// how many tokens there were. Looking and removing are one step: a token that is rotated in
/// between would leave successors.
pub(super) static REMOVE_SOME: Lua = Lua::new(|| {
    Script::new(
        "local page = redis.call(
             'SCAN', ARGV[1], 'MATCH', 'auth_token:*', 'COUNT', ARGV[2])
         local removed = 0
         for _, token in ipairs(page[2]) do
             removed = removed + redis.call('UNLINK', token)
         end
         redis.call('DEL', 'auth_token:')
         return {page[1], removed}",
    )
});

/// Key: the user. Gives hash and row of each token, and forgets the hashes of those that are gone.
pub(super) static OF_USER: Lua = Lua::new(|| {
    Script::new(
        "local rows = {}
         for _, hash in ipairs(redis.call('SMEMBERS', KEYS[1])) do
             local row = redis.call('GET', 'auth_token:' .. hash)
             if row then
                 rows[#rows + 1] = hash
                 rows[#rows + 1] = row
             else
                 redis.call('SREM', KEYS[1], hash)
             end
         end
         redis.call('DEL', 'auth_token:')
         return rows",
    )
});

/// Key: what is counted. Arguments: the time, the window, and how long to keep the count. Gives
/// when the window began, and the count. As `Attempts::add` has it.
pub(super) static ATTEMPT: Lua = Lua::new(|| {
    Script::new(
        "local since, count = unpack(redis.call('HMGET', KEYS[1], 'since', 'count'))
         local now, window = tonumber(ARGV[1]), tonumber(ARGV[2])
         if not since or tonumber(since) > now or now - tonumber(since) >= window then
             since, count = ARGV[1], 0
         end
         count = tonumber(count) + 1
         redis.call('HSET', KEYS[1], 'since', since, 'count', count)
         redis.call('PEXPIRE', KEYS[1], ARGV[3])
         return {since, count}",
    )
});

/// Key: what is counted.
pub(super) static FORGIVE_ONE: Lua = Lua::new(|| {
    Script::new(
        "local count = redis.call('HGET', KEYS[1], 'count')
         if count and tonumber(count) > 0 then redis.call('HINCRBY', KEYS[1], 'count', -1) end",
    )
});

pub(super) type Lua = LazyLock<Script>;

/// Keeps the rows whose keys and arguments begin there. A user's set lives as long as the longest
/// of its tokens. Hashes of tokens that are gone stay in it, so with each that comes some others
/// are looked at: at most a quarter of a set is gone.
const KEEP: &str = "
    local function keep(key, arg)
        while KEYS[key] do
            local token, user = KEYS[key], KEYS[key + 1]
            local row, milliseconds, hash = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2]
            redis.call('SET', token, row, 'PX', milliseconds)
            redis.call('SADD', user, hash)
            if redis.call('PTTL', user) < tonumber(milliseconds) then
                redis.call('PEXPIRE', user, milliseconds)
            end
            for _, other in ipairs(redis.call('SRANDMEMBER', user, 4)) do
                if redis.call('EXISTS', 'auth_token:' .. other) == 0 then
                    redis.call('SREM', user, other)
                end
            end
            key, arg = key + 2, arg + 3
        end
    end
";

//! What changes Redis, in Lua: a script runs whole, and nothing else runs meanwhile.
//!
//! Rule 1: a script that finds nothing writes nothing to `auth_token:`, which is no key of ours: a
//! replica refuses that, and so never says that a token is unknown.
//! Rule 2: the first write of a script is one that Redis refuses when it is out of memory. After
//! the first it refuses none, so that no script ends in the middle.
//! Rule 3: rows are strings and objects, which `cjson` gives back as they were; it would not keep
//! empty lists nor long numbers.
//!
//! Rule 4: a script looks at a bounded number of keys.
//!
//! It deliberately does not know what time it is: times are passed in, and expiries as durations.

use std::sync::LazyLock;

use redis::Script;

/// In a user's index: there may be tokens that are not. As `'lost'` in the scripts.
pub(super) const LOST: &str = "lost";

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
/// whether it was rotated. A token of a session that is being ended is gone.
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
         local hash = string.sub(KEYS[1], 12)
         if redis.call('EXISTS', 'auth_ending:' .. (row.session or string.sub(hash, 1, 32))) == 1
         then
             redis.call('UNLINK', KEYS[1])
             return 0
         end
         row.rotated = cjson.decode(ARGV[1])
         redis.call('SET', KEYS[1], cjson.encode(row), 'KEEPTTL')
         if KEYS[3] and redis.call('SISMEMBER', KEYS[3], hash) == 0 then
             redis.call('SADD', KEYS[3], 'lost')
         end
         keep(2, 2)
         return 1"
    ))
});

/// Key: the token. Argument: when it was used, as rows have it: of two such texts the later time
/// is the greater one. Gives whose it is.
pub(super) static TOUCH: Lua = Lua::new(|| {
    Script::new(
        "local text = redis.call('GET', KEYS[1])
         if not text then return end
         local row = cjson.decode(text)
         if (row.used_at or '') < ARGV[1] then
             row.used_at = ARGV[1]
             redis.call('SET', KEYS[1], cjson.encode(row), 'KEEPTTL')
         end
         return row.username",
    )
});

/// Keys: the user, and a token in use. Where the index lacks it, it may lack others.
pub(super) static NOTE: Lua = Lua::new(|| {
    Script::new(
        "if redis.call('EXISTS', KEYS[2]) == 1
             and redis.call('SADD', KEYS[1], string.sub(KEYS[2], 12)) == 1 then
             redis.call('SADD', KEYS[1], 'lost')
         end
         redis.call('PERSIST', KEYS[1])",
    )
});

/// Key: the user. Gives whether there is an index that is not marked.
pub(super) static IS_WHOLE: Lua = Lua::new(|| Script::new(&format!("{PREPARE} return is_whole")));

/// Key: the user. Arguments: how many tokens to take, and 1 at the first of several times. Gives
/// whether the index is usable, how many tokens there were, and whether there may be more.
pub(super) static TAKE_SOME: Lua = Lua::new(|| {
    Script::new(&format!(
        "{PREPARE}
         if ARGV[2] == '1' and not is_whole then return {{0, 0, 0}} end
         local removed = 0
         for _, hash in ipairs(redis.call('SPOP', KEYS[1], ARGV[1])) do
             removed = removed + redis.call('UNLINK', 'auth_token:' .. hash)
         end
         return {{1, removed, redis.call('EXISTS', KEYS[1])}}"
    ))
});

/// Key: the user. Arguments: the session, where to go on, and how many tokens to look at. Gives
/// whether the index is usable, how many tokens there were, and where to go on. A row of an older
/// version is a session that begins as its hash does. The note that the session is being ended
/// lasts longer than a page takes; where there is no memory for it, there is none for a rotation.
pub(super) static TAKE_SESSION: Lua = Lua::new(|| {
    Script::new(&format!(
        "{PREPARE}
         if ARGV[2] == '0' and not is_whole then return {{0, 0, '0'}} end
         local page = redis.call('SSCAN', KEYS[1], ARGV[2], 'COUNT', ARGV[3])
         if page[1] ~= '0' then
             redis.pcall('SET', 'auth_ending:' .. ARGV[1], '', 'PX', 60000)
         end
         local removed = 0
         for _, hash in ipairs(page[2]) do
             local token = 'auth_token:' .. hash
             local text = redis.call('GET', token)
             local row = text and cjson.decode(text)
             if row and (row.session or string.sub(hash, 1, 32)) == ARGV[1] then
                 removed = removed + redis.call('UNLINK', token)
                 row = nil
             end
             if not row and hash ~= 'lost' then redis.call('SREM', KEYS[1], hash) end
         end
         return {{1, removed, page[1]}}"
    ))
});

/// Key: the user. Arguments: where to go on, how many keys to look at, and the user's name. Gives
/// where to go on. A name without a character that JSON writes in several ways is looked for before
/// rows are read, which takes longer. What makes no sense is not this user's.
pub(super) static COLLECT_SOME: Lua = Lua::new(|| {
    Script::new(
        "local page = redis.call('SCAN', ARGV[1], 'MATCH', 'auth_token:*', 'COUNT', ARGV[2])
         local name = ARGV[3]
         local quoted = not string.find(name, '[%c\"\\\\/]') and '\"' .. name .. '\"'
         for _, token in ipairs(page[2]) do
             local text = redis.call('GET', token)
             if text and (not quoted or string.find(text, quoted, 1, true)) then
                 local is_read, row = pcall(cjson.decode, text)
                 if is_read and type(row) == 'table' and row.username == name then
                     redis.call('SADD', KEYS[1], string.sub(token, 12))
                 end
             end
         end
         redis.call('PERSIST', KEYS[1])
         return page[1]",
    )
});

/// Arguments: where to go on, and how many keys to look at. Gives where to go on, and whether that
/// is with the same keys. Of an index some hashes are looked at, and others while many of them are
/// of tokens that are gone, until there were a thousand of those.
pub(super) static PRUNE_SOME: Lua = Lua::new(|| {
    Script::new(
        "local page = redis.call('SCAN', ARGV[1], 'MATCH', 'auth_user:*', 'COUNT', ARGV[2])
         local sum = 0
         for _, user in ipairs(page[2]) do
             redis.call('PERSIST', user)
             local gone
             repeat
                 gone = 0
                 local is_lost = false
                 local hashes = redis.call('SRANDMEMBER', user, 8)
                 for _, hash in ipairs(hashes) do
                     if hash == 'lost' then
                         is_lost = true
                     elseif redis.call('EXISTS', 'auth_token:' .. hash) == 0 then
                         gone = gone + redis.call('SREM', user, hash)
                     end
                 end
                 if is_lost and #hashes == 1 then redis.call('DEL', user) end
                 sum = sum + gone
             until gone <= 2 or sum >= 1000
             if sum >= 1000 then return {ARGV[1], 1} end
         end
         return {page[1], 0}",
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
pub(super) static RESET_ONE: Lua = Lua::new(|| {
    Script::new(
        "local count = redis.call('HGET', KEYS[1], 'count')
         if count and tonumber(count) > 0 then redis.call('HINCRBY', KEYS[1], 'count', -1) end",
    )
});

pub(super) type Lua = LazyLock<Script>;

/// Whether the index is there and not marked; a replica refuses it.
const PREPARE: &str = "
    redis.call('DEL', 'auth_token:')
    local is_whole = redis.call('EXISTS', KEYS[1]) == 1
        and redis.call('SISMEMBER', KEYS[1], 'lost') == 0
";

/// Keeps the rows whose keys and arguments begin there. Hashes of tokens that are gone stay in a
/// user's index, so with each that comes some others are looked at: at most a quarter of an index
/// is gone.
const KEEP: &str = "
    local function keep(key, arg)
        while KEYS[key] do
            local token, user = KEYS[key], KEYS[key + 1]
            local row, milliseconds, hash = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2]
            redis.call('SET', token, row, 'PX', milliseconds)
            redis.call('SADD', user, hash)
            redis.call('PERSIST', user)
            for _, other in ipairs(redis.call('SRANDMEMBER', user, 4)) do
                if other ~= 'lost' and redis.call('EXISTS', 'auth_token:' .. other) == 0 then
                    redis.call('SREM', user, other)
                end
            end
            key, arg = key + 2, arg + 3
        end
    end
";

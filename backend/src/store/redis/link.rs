//! The connection to Redis: made when it is needed, given up when it does not answer.
//!
//! Rule 1: a call takes at most [`LIMIT`], connecting included. One that may take place twice is
//! made once more where the connection had ended meanwhile, so that a restart of Redis costs
//! nobody a request.
//! Rule 2: whatever is not an answer ends the connection, and the next call makes another.
//! `redis::aio::ConnectionManager` keeps one that only times out, which after a lost network is
//! for as long as the system repeats its packets, and keeps for good that Redis had too many
//! clients when it was asked to connect.
//! Rule 3: errors are in our words: those of Redis may quote keys, arguments and its user's name.
//!
//! It deliberately does not know what is asked.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo, RedisError,
    RedisResult, ScriptInvocation, Value,
};
use tokio::time::timeout;

use super::scripts;
use crate::store::StoreError;

pub(super) const ENGINE: &str = "Redis";

/// Redis answers in less than a millisecond. A request that waits longer than this is better
/// answered with a 503, which the client repeats.
const LIMIT: Duration = Duration::from_secs(2);

/// What to ask.
enum Ask<'a> {
    Command(&'a Cmd),
    Script(&'a ScriptInvocation<'a>),
}

/// Whether a call may be made again when nobody knows if it took place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Idempotency {
    /// It changes nothing that it has not changed already.
    Idempotent,
    /// It counts, or the second would be told of the first.
    NotIdempotent,
}

/// One connection for all calls of a worker.
pub(super) struct Link {
    client: Client,
    config: AsyncConnectionConfig,
    current: Mutex<Current>,
    /// Held by whoever connects, so that others wait for that connection and make none of their
    /// own.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Current {
    /// Of the last connection that was made: whoever gives one up must not give up its successor.
    number: u64,
    connection: Option<MultiplexedConnection>,
}

impl Link {
    /// To the server at `url`; it is not asked yet.
    pub(super) fn new(url: &str) -> Result<Self, StoreError> {
        let client = url.into_connection_info().and_then(|info| {
            // Calls are small and wait for their answers: nothing is to be gained by collecting.
            let settings = TcpSettings::default().set_nodelay(true);
            Client::open(info.set_tcp_settings(settings))
        });
        let client = client.map_err(|_| {
            StoreError::unavailable(
                ENGINE,
                "its address is none: use redis[s]://[[USER]:PASSWORD@]HOST[:PORT][/NUMBER], with \
                 special characters of the password as %XX",
            )
        })?;
        // The limits of the whole call are ours; the library's own are shorter.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(LIMIT))
            .set_response_timeout(Some(LIMIT));
        Ok(Self {
            client,
            config,
            current: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
        })
    }

    pub(super) async fn command<T: FromRedisValue>(
        &self,
        command: &Cmd,
        idempotency: Idempotency,
    ) -> Result<T, StoreError> {
        self.ask(&Ask::Command(command), idempotency).await
    }

    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
        idempotency: Idempotency,
    ) -> Result<T, StoreError> {
        self.ask(&Ask::Script(script), idempotency).await
    }

    /// Of the last connection that was made.
    pub(super) fn number(&self) -> u64 {
        self.lock().number
    }

    /// Asks, and waits for the answer.
    async fn ask<T: FromRedisValue>(
        &self,
        ask: &Ask<'_>,
        idempotency: Idempotency,
    ) -> Result<T, StoreError> {
        let mut outcome = self.ask_once(ask).await;
        let has_ended = |error: &Failure| {
            matches!(error, Failure::Redis(error) if error.is_connection_dropped()
                && !error.is_connection_refusal())
        };
        if idempotency == Idempotency::Idempotent && outcome.as_ref().is_err_and(has_ended) {
            outcome = self.ask_once(ask).await;
        }
        let value = outcome.map_err(|failure| StoreError::unavailable(ENGINE, failure))?;
        T::from_redis_value(value)
            .map_err(|_| StoreError::corrupt(ENGINE, "an answer has another type than expected"))
    }

    async fn ask_once(&self, ask: &Ask<'_>) -> Result<Value, Failure> {
        let mut number = None;
        let asked = timeout(LIMIT, async {
            let (numbered, mut connection) = self.connection().await?;
            number = Some(numbered);
            match ask {
                Ask::Command(command) => command.query_async(&mut connection).await,
                Ask::Script(script) => script.invoke_async(&mut connection).await,
            }
        });
        let failure = match asked.await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) if is_answer(&error) => return Err(Failure::Redis(error)),
            Ok(Err(error)) => Failure::Redis(error),
            Err(_) => Failure::TooSlow,
        };
        if let Some(number) = number {
            self.give_up(number);
        }
        Err(failure)
    }

    async fn connection(&self) -> RedisResult<(u64, MultiplexedConnection)> {
        if let Some(connected) = self.connected() {
            return Ok(connected);
        }
        let _turn = self.connecting.lock().await;
        if let Some(connected) = self.connected() {
            return Ok(connected);
        }
        let connecting = self.client.get_multiplexed_async_connection_with_config(&self.config);
        let mut connection = connecting.await?;
        match scripts::PROBE.invoke_async::<_, ()>(&mut connection).await {
            // What a replica says may be late: a token unknown to it may be valid.
            Err(error) if is_read_only(&error) => return Err(error),
            // Anything else is for the call itself to be told.
            Ok(()) | Err(_) => {}
        }
        let mut current = self.lock();
        current.number += 1;
        current.connection = Some(connection.clone());
        Ok((current.number, connection))
    }

    fn connected(&self) -> Option<(u64, MultiplexedConnection)> {
        let current = self.lock();
        Some((current.number, current.connection.clone()?))
    }

    fn give_up(&self, number: u64) {
        let mut current = self.lock();
        if current.number == number {
            current.connection = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        // Nothing can panic between two halves of a change to it.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no answer, or a refusal.
enum Failure {
    TooSlow,
    Redis(RedisError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = match self {
            Self::TooSlow => return write!(f, "no answer within {} s", LIMIT.as_secs()),
            Self::Redis(error) => error,
        };
        let known = REFUSALS.iter().find(|(mark, _)| mentions(error, mark));
        match (error.kind(), known) {
            // The system's or TLS's: they know addresses and certificates only.
            (ErrorKind::Io, _) => write!(f, "{error}"),
            (ErrorKind::AuthenticationFailed, _) => f.write_str(WRONG_PASSWORD),
            (_, Some((_, words))) => f.write_str(words),
            // Of a refusal, the first word is a code and quotes nothing.
            (ErrorKind::Server(_) | ErrorKind::Extension, None) => {
                write!(f, "it refuses with {}", error.code().unwrap_or("no code"))
            }
            (_, None) => f.write_str(error.category()),
        }
    }
}

const WRONG_PASSWORD: &str = "it wants another password: correct the one in its address";
const NO_PERMISSION: &str = "its user may not do what is needed: allow it the commands @read, \
                             @write, @scripting, select and info, and the keys auth_*";

/// By the code of a refusal or by words of it.
const REFUSALS: [(&str, &str); 10] = [
    ("NOAUTH", WRONG_PASSWORD),
    ("WRONGPASS", WRONG_PASSWORD),
    ("NOPERM", NO_PERMISSION),
    ("no permissions", NO_PERMISSION),
    ("DB index", "it has no database of the number in its address"),
    ("LOADING", "it is still loading its data: it will answer when it has"),
    ("READONLY", "it is a read-only replica: give the address of the primary"),
    ("OOM", "it is out of memory: raise maxmemory or give it less to keep"),
    ("MISCONF", "it cannot write to its disk and takes no changes: see its log"),
    ("max number of clients", "it has as many clients as it takes: raise maxclients"),
];

/// Redis was there and said no: the connection is in order. A replica's is not, because the
/// primary is to be looked for at the same name.
fn is_answer(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) && !is_read_only(error)
}

fn is_read_only(error: &RedisError) -> bool {
    mentions(error, "READONLY")
}

/// Before Redis 7, what a command in a script says is within what the script says.
fn mentions(error: &RedisError, word: &str) -> bool {
    error.code() == Some(word) || error.detail().is_some_and(|detail| detail.contains(word))
}

//! Connections to PostgreSQL: from a URL to a pool, and what its failures mean.
//!
//! Rule 1: nothing of a URL but its host, nothing of a row and no role's name is in a sentence: of
//! what the server says, the code counts.
//! Rule 2: a connection that breaks is noticed in seconds, also where nobody says so.
//!
//! It deliberately does not know statements.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{
    Connect, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
};
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::{Error, SqlState};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::warn;

use super::engine::ENGINE;
use crate::store::StoreError;

mod address;

/// For each process. A statement by a primary key takes a fraction of a millisecond, so that these
/// answer thousands in a second; servers have a hundred connections by default for everybody.
const POOL_SIZE: usize = 8;

const WAIT: Duration = Duration::from_secs(2);

/// What the other side has not confirmed for so long is lost. Longer than [`WAIT`], which ends
/// requests: this ends connections.
const UNCONFIRMED_WAIT: Duration = Duration::from_secs(10);
const IDLE_UNTIL_PROBED: Duration = Duration::from_secs(30);

/// `remove` looks again for what was added meanwhile, which needs this isolation. There is an index
/// for each statement: a plan that was kept from when the table had a few rows, which are read
/// faster without, would read a hundred thousand at each lookup.
const BEGIN: &str = "SET statement_timeout = '2s'; SET enable_seqscan = off; SET jit = off; \
    SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// Also a primary whose database or user has `default_transaction_read_only`.
pub(super) const NO_PRIMARY: &str =
    "it takes no changes, as a standby: name the primary in the URL, alone or among several hosts";

/// A pool that connects when it is asked to.
pub(super) fn pool(url: &str) -> Result<Pool, StoreError> {
    let (mut config, tls) = address::parse(url)?;
    config
        .connect_timeout(WAIT)
        .tcp_user_timeout(UNCONFIRMED_WAIT)
        .keepalives(true)
        .keepalives_idle(IDLE_UNTIL_PROBED)
        .keepalives_interval(UNCONFIRMED_WAIT)
        .keepalives_retries(3);
    if config.get_application_name().is_none() {
        config.application_name("session-keeper");
    }
    let connector = Connector { tls, went_without: AtomicBool::new(false) };
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let pool = Pool::builder(Manager::from_connect(config, connector, recycling))
        .max_size(POOL_SIZE)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(WAIT))
        .create_timeout(Some(WAIT))
        .recycle_timeout(Some(WAIT))
        .build();
    Ok(pool.expect("a pool with timeouts needs a runtime, which it has"))
}

struct Connector {
    tls: Option<MakeRustlsConnect>,
    went_without: AtomicBool,
}

type Started = (Client, JoinHandle<()>);

impl Connect for Connector {
    fn connect(
        &self,
        config: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<Started, Error>> + Send + '_>> {
        let mut config = config.clone();
        Box::pin(async move {
            let Some(tls) = &self.tls else { return start(&config, NoTls).await };
            match start(&config, tls.clone()).await {
                Err(error) if config.get_ssl_mode() == SslMode::Prefer && is_tls(&error) => {
                    if !self.went_without.swap(true, Ordering::Relaxed) {
                        let reason = reason(&error);
                        warn!("{ENGINE}: {reason}: without TLS, as sslmode=require would forbid");
                    }
                    start(config.ssl_mode(SslMode::Disable), NoTls).await
                }
                outcome => outcome,
            }
        })
    }
}

async fn start<T>(config: &Config, tls: T) -> Result<Started, Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = config.connect(tls).await?;
    let task = tokio::spawn(async move {
        // What ended it is told to the client's next request.
        let _ = connection.await;
    });
    client.batch_execute(BEGIN).await?;
    Ok((client, task))
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection broke: whether the server did what it was asked is not known.
    Lost(String),
    /// The server said no, or cannot be reached.
    Refused(String),
    /// This did not come in time.
    Late(&'static str),
}

impl Failure {
    pub(super) fn of_pool(error: PoolError) -> Self {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => Self::Late("free connection"),
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                Self::Late("connection")
            }
            PoolError::Backend(error) => Self::Refused(reason(&error)),
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                Self::Refused("the pool is closed".to_owned())
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(reason) | Self::Refused(reason) => f.write_str(reason),
            Self::Late(what) => write!(f, "there was no {what} in time"),
        }
    }
}

/// Whether another connection may fare better: this one broke, or belongs to a server that ends,
/// or to one that another has taken the place of.
pub(super) fn is_lost(error: &Error) -> bool {
    const CODES: [SqlState; 9] = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::IDLE_SESSION_TIMEOUT,
        SqlState::CONNECTION_FAILURE,
        SqlState::READ_ONLY_SQL_TRANSACTION,
        // Undone, so that another request of which this one was in the way could go on.
        SqlState::T_R_DEADLOCK_DETECTED,
        // The tables were created again, or a pooler in between changed the server's connection.
        SqlState::FEATURE_NOT_SUPPORTED,
        SqlState::INVALID_SQL_STATEMENT_NAME,
    ];
    error.is_closed()
        || io_error(error).is_some()
        || error.code().is_some_and(|code| CODES.contains(code))
}

/// In words that hold nothing of what was sent.
pub(super) fn reason(error: &Error) -> String {
    let Some(code) = error.code() else {
        return match io_error(error) {
            Some(io) if is_tls(error) => {
                format!("its certificate is not trusted ({io}): name its authority by sslrootcert")
            }
            // The client's own: the system's have nothing within.
            Some(io) if io.kind() == io::ErrorKind::PermissionDenied && io.get_ref().is_some() => {
                NO_PRIMARY.to_owned()
            }
            Some(io) => io.to_string().to_lowercase(),
            None => of_connecting(error).unwrap_or_else(|| error.to_string()),
        };
    };
    let words = match *code {
        SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "it refuses the user or the password"
        }
        SqlState::INVALID_CATALOG_NAME => "it has no such database",
        SqlState::INSUFFICIENT_PRIVILEGE => "the user may not do that",
        SqlState::INVALID_SCHEMA_NAME => "the user has no schema to make tables in",
        SqlState::UNDEFINED_TABLE => "its tables are gone",
        SqlState::TOO_MANY_CONNECTIONS => "it has no connection left",
        SqlState::CANNOT_CONNECT_NOW => "it starts or ends",
        SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN => "it was ended",
        SqlState::READ_ONLY_SQL_TRANSACTION => "it may be read only",
        SqlState::QUERY_CANCELED => "it took too long",
        SqlState::DISK_FULL => "its disk is full",
        _ => "it refuses",
    };
    format!("{words} (SQLSTATE {})", code.code())
}

/// Of these kinds the cause is a sentence of the client's own, with nothing in it that was sent.
fn of_connecting(error: &Error) -> Option<String> {
    let kind = error.to_string();
    let is_known =
        ["error performing TLS handshake", "authentication error", "invalid configuration"]
            .contains(&&*kind);
    let cause = std::error::Error::source(error).filter(|_| is_known)?;
    Some(format!("{kind}: {cause}"))
}

fn is_tls(error: &Error) -> bool {
    let inner = io_error(error).and_then(io::Error::get_ref);
    inner.is_some_and(|inner| inner.is::<rustls::Error>())
}

fn io_error(error: &Error) -> Option<&io::Error> {
    std::error::Error::source(error).and_then(|source| source.downcast_ref())
}

//! What differs between the two servers, in one place.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::error::ServiceError;
use crate::find::Places;
use crate::guardian::{Account, Invocation};
use crate::{postgres, redis};

/// For one try to be answered; a server that starts is asked again.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// A server that can be started.
#[derive(Debug)]
pub(crate) enum Store {
    Redis { program: PathBuf },
    Postgres { programs: PathBuf, account: Option<Account> },
}

impl Store {
    pub(crate) fn redis() -> Result<Self, ServiceError> {
        Ok(Self::Redis { program: Places::of_this_machine().redis_server()? })
    }

    pub(crate) fn postgres() -> Result<Self, ServiceError> {
        let programs = Places::of_this_machine().postgres_bin()?;
        Ok(Self::Postgres { programs, account: postgres::account()? })
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Redis { .. } => "redis",
            Self::Postgres { .. } => "postgres",
        }
    }

    pub(crate) fn account(&self) -> Option<Account> {
        match self {
            Self::Redis { .. } => None,
            Self::Postgres { account, .. } => *account,
        }
    }

    pub(crate) fn url(&self, port: u16) -> String {
        match self {
            Self::Redis { .. } => format!("redis://127.0.0.1:{port}"),
            Self::Postgres { .. } => format!("postgres://postgres@127.0.0.1:{port}/postgres"),
        }
    }

    /// Makes an empty folder its own, and names what is to run before the first start.
    pub(crate) fn prepare(&self, folder: &Path) -> Result<Option<Invocation>, ServiceError> {
        if let Some(Account { uid, gid }) = self.account() {
            chown(folder, Some(uid), Some(gid))
                .map_err(ServiceError::io("give the folder to the server's account"))?;
        }
        match self {
            Self::Redis { .. } => {
                fs::create_dir(data(folder)).map_err(ServiceError::io("make the data's folder"))?;
                Ok(None)
            }
            Self::Postgres { programs, .. } => {
                Ok(Some(postgres::make_data(programs, &data(folder))))
            }
        }
    }

    pub(crate) fn serve(&self, folder: &Path, port: u16) -> Invocation {
        match self {
            Self::Redis { program } => redis::serve(program.clone(), &data(folder), port),
            Self::Postgres { programs, .. } => postgres::serve(programs, &data(folder), port),
        }
    }

    /// Whether it is really this process that answers at the port.
    pub(crate) fn answers(&self, folder: &Path, port: u16, pid: u32) -> bool {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let connected = TcpStream::connect_timeout(&address, ANSWER_LIMIT);
        let answered = connected.and_then(|connection| {
            connection.set_read_timeout(Some(ANSWER_LIMIT))?;
            match self {
                Self::Redis { .. } => redis::answers(connection, pid),
                Self::Postgres { .. } => {
                    Ok(postgres::is_ready(&data(folder), pid) && postgres::answers(connection)?)
                }
            }
        });
        answered.unwrap_or(false)
    }

    /// Asks for an end in order. PostgreSQL would wait for its clients to leave after SIGTERM, and
    /// a pool never does.
    pub(crate) fn stop_signal(&self) -> Signal {
        match self {
            Self::Redis { .. } => Signal::TERM,
            Self::Postgres { .. } => Signal::INT,
        }
    }
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

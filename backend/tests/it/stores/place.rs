//! Where a test keeps its rows.
//!
//! Rule: Redis and PostgreSQL are one server each for the whole run, started by the first test that
//! needs it and ended with the process; where one is not installed its tests are left out, and
//! stderr says so.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use session_keeper_backend::StoreChoice;
use session_keeper_backend::store::{OpenMode, Reads, Store, open};
use session_keeper_services::{Service, unless_missing};
use tempfile::TempDir;

/// Redis has as many unless it is told otherwise, and number 0 is the one that tests share.
const OWN_DATABASES: u32 = 15;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    File,
    Sqlite,
    Postgres,
    Redis,
}

/// What can be opened, again and again. Its files live as long as it does.
pub(crate) struct Place {
    pub(crate) choice: StoreChoice,
    _folder: Option<TempDir>,
}

impl Place {
    /// Others may keep rows there as well.
    pub(crate) fn shared(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Memory => Some(Self { choice: StoreChoice::Memory, _folder: None }),
            Kind::File => Some(Self::in_folder("tokens.json", StoreChoice::File)),
            Kind::Sqlite => Some(Self::in_folder("tokens.sqlite", StoreChoice::Sqlite)),
            Kind::Postgres => Some(Self::at(StoreChoice::Postgres, postgres()?.url().to_owned())),
            Kind::Redis => Some(Self::at(StoreChoice::Redis, redis()?.url().to_owned())),
        }
    }

    /// Nobody else does.
    pub(crate) async fn alone(kind: Kind) -> Option<Self> {
        static TAKEN: AtomicU32 = AtomicU32::new(0);
        match kind {
            Kind::Memory | Kind::File | Kind::Sqlite => Self::shared(kind),
            Kind::Postgres => {
                let server = postgres()?;
                let name = format!("alone{}", TAKEN.fetch_add(1, Ordering::SeqCst));
                ask_postgres(server.url(), &format!("CREATE DATABASE {name}")).await;
                let (base, _) = server.url().rsplit_once('/').expect("the URL ends in a database");
                Some(Self::at(StoreChoice::Postgres, format!("{base}/{name}")))
            }
            Kind::Redis => {
                let server = redis()?;
                Some(Self::at(StoreChoice::Redis, format!("{}/{}", server.url(), own_number())))
            }
        }
    }

    /// What `--store` takes. It is for tests only, so that the address need not be hidden.
    pub(crate) fn argument(&self) -> String {
        match &self.choice {
            StoreChoice::Postgres(url) | StoreChoice::Redis(url) => url.clone(),
            StoreChoice::Memory | StoreChoice::File(_) | StoreChoice::Sqlite(_) => {
                self.choice.to_string()
            }
        }
    }

    /// As a worker does at its start.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        open(&self.choice, Reads::EachChange, OpenMode::CreateIfMissing)
            .await
            .expect("the store can be opened")
    }

    fn at(choice: impl FnOnce(String) -> StoreChoice, url: String) -> Self {
        Self { choice: choice(url), _folder: None }
    }

    fn in_folder(name: &str, choice: impl FnOnce(std::path::PathBuf) -> StoreChoice) -> Self {
        let folder = TempDir::new().expect("the system has a folder for temporary files");
        Self { choice: choice(folder.path().join("data").join(name)), _folder: Some(folder) }
    }
}

/// A store that only this test has, or `None` where the server is not installed.
pub(crate) async fn alone(kind: Kind) -> Option<(Place, Arc<dyn Store>)> {
    let place = Place::alone(kind).await?;
    let store = place.open().await;
    Some((place, store))
}

/// A store that other tests have as well.
pub(crate) async fn shared(kind: Kind) -> Option<(Place, Arc<dyn Store>)> {
    let place = Place::shared(kind)?;
    let store = place.open().await;
    Some((place, store))
}

fn own_number() -> u32 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let taken = TAKEN.fetch_add(1, Ordering::SeqCst);
    assert!(taken < OWN_DATABASES, "more tests want a database of their own than Redis has");
    taken + 1
}

fn redis() -> Option<&'static Service> {
    static REDIS: OnceLock<Option<Service>> = OnceLock::new();
    REDIS.get_or_init(|| unless_missing(Service::redis())).as_ref()
}

fn postgres() -> Option<&'static Service> {
    static POSTGRES: OnceLock<Option<Service>> = OnceLock::new();
    POSTGRES.get_or_init(|| unless_missing(Service::postgres())).as_ref()
}

async fn ask_postgres(url: &str, statement: &str) {
    let connecting = tokio_postgres::connect(url, tokio_postgres::NoTls).await;
    let (client, connection) = connecting.expect("the server runs");
    let connection = tokio::spawn(connection);
    client.batch_execute(statement).await.expect("the server does what it is told");
    drop(client);
    connection.await.expect("it does not panic").expect("the server is still there");
}

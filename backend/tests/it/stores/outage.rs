//! A store that cannot be asked is an error, and soon; it is never a missing row. When it is back,
//! so is the row.
//!
//! Rule: servers of their own, because others must not see them go.

use std::fmt;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use session_keeper_backend::StoreChoice;
use session_keeper_backend::store::{
    AttemptReset, OpenMode, Reads, RevokeScope, Store, StoreError, open,
};
use session_keeper_backend::tokens::TokenHash;
use session_keeper_services::{Service, ServiceError, unless_missing};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::rows::{NOW, after, hash, insert, name, rotation, row};

/// For a call while the store is away.
const SOON: Duration = Duration::from_secs(5);
/// For the store to be found again.
const BACK: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_away_is_an_error_and_back_again_afterwards() {
    let Some(server) = unless_missing(Service::redis()) else { return };
    a_server_goes_and_comes(server, StoreChoice::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_away_is_an_error_and_back_again_afterwards() {
    let Some(server) = unless_missing(Service::postgres()) else { return };
    a_server_goes_and_comes(server, StoreChoice::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_whose_folder_is_away_is_an_error_and_back_again_afterwards() {
    let folder = TempDir::new().expect("the system has a folder for temporary files");
    let (data, aside) = (folder.path().join("data"), folder.path().join("aside"));
    let choice = StoreChoice::File(data.join("tokens.json"));
    let (store, hash) = store_with_row(&choice).await;
    fs::rename(&data, &aside).expect("the folder is ours");
    every_call_fails(&*store, hash).await;
    fs::rename(&aside, &data).expect("the folder is ours");
    comes_back(&*store, hash).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sqlite_file_that_is_replaced_by_a_folder_is_an_error_and_back_again_afterwards() {
    let folder = TempDir::new().expect("the system has a folder for temporary files");
    let (data, aside) = (folder.path().join("data"), folder.path().join("aside"));
    let file = data.join("tokens.sqlite");
    let (store, hash) = store_with_row(&StoreChoice::Sqlite(file.clone())).await;
    fs::rename(&data, &aside).expect("the folder is ours");
    fs::create_dir_all(&file).expect("the folder is ours");
    let start = Instant::now();
    // What is open stays readable where it is, and the store looks at its path now and then.
    while let Ok(found) = within(SOON, store.find(hash)).await {
        assert!(found.is_some() && start.elapsed() < SOON, "{found:?}");
        sleep(POLL).await;
    }
    every_call_fails(&*store, hash).await;
    opening_fails(&StoreChoice::Sqlite(file)).await;
    fs::remove_dir_all(&data).expect("the folder is ours");
    fs::rename(&aside, &data).expect("the folder is ours");
    comes_back(&*store, hash).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_reported_at_the_start_without_its_password() {
    for choice in [
        StoreChoice::Redis("redis://ada:s3cret@127.0.0.1:1/0".to_owned()),
        StoreChoice::Postgres("postgres://ada:s3cret@127.0.0.1:1/app".to_owned()),
    ] {
        opening_fails(&choice).await;
    }
}

async fn a_server_goes_and_comes(mut server: Service, choice: fn(String) -> StoreChoice) {
    let choice = choice(server.url().to_owned());
    let (store, hash) = store_with_row(&choice).await;
    type Step = fn(&mut Service) -> Result<(), ServiceError>;
    let outages: [(Step, Step); 3] = [
        (Service::pause, Service::resume),
        (Service::stop, Service::start),
        (Service::kill, Service::start),
    ];
    for (go, come) in outages {
        go(&mut server).expect("the server runs");
        every_call_fails(&*store, hash).await;
        opening_fails(&choice).await;
        come(&mut server).expect("the server starts");
        comes_back(&*store, hash).await;
    }
}

async fn store_with_row(choice: &StoreChoice) -> (Arc<dyn Store>, TokenHash) {
    let store = open(choice, Reads::EachChange, OpenMode::CreateIfMissing)
        .await
        .expect("the store can be opened");
    let (hash, session) = row(&name());
    insert(&*store, &[(hash, session)]).await;
    (store, hash)
}

/// At once, as requests come, and each by itself soon. What is told here may take place later,
/// where the server had received it: nothing of it is about the row at `kept`.
async fn every_call_fails(store: &dyn Store, kept: TokenHash) {
    let (other, key) = (row(&name()), hash());
    let user = RevokeScope::User(other.1.username.to_string());
    let session = RevokeScope::Session { username: other.1.username.to_string(), id: other.1.id };
    let rows = std::slice::from_ref(&other);
    tokio::join!(
        fails("find", store.find(kept)),
        fails("find of another", store.find(hash())),
        fails("insert", store.insert(rows, NOW)),
        fails("rotate", store.rotate(other.0, rotation(None), &[], NOW)),
        fails("touch", store.touch(other.0, after(60))),
        fails("remove a session", store.remove(&session)),
        fails("remove a user", store.remove(&user)),
        fails("of_user", store.of_user(&other.1.username)),
        fails("count", store.count()),
        fails("attempt", store.attempt(key, NOW, Duration::from_secs(60))),
        fails("reset_attempts one", store.reset_attempts(key, AttemptReset::One)),
        fails("reset_attempts all", store.reset_attempts(key, AttemptReset::All)),
    );
}

async fn fails<T: fmt::Debug>(what: &str, call: impl Future<Output = Result<T, StoreError>>) {
    let outcome = within(SOON, call).await;
    assert!(outcome.is_err(), "{what} gave {outcome:?}");
}

async fn opening_fails(choice: &StoreChoice) {
    let outcome = within(SOON, open(choice, Reads::EachChange, OpenMode::CreateIfMissing)).await;
    let error = outcome.expect_err("there is nothing to open").to_string();
    for secret in ["ada", "s3cret"] {
        assert!(!error.contains(secret), "{error}");
    }
    if matches!(choice, StoreChoice::Redis(_) | StoreChoice::Postgres(_)) {
        assert!(error.contains("that it runs"), "{error}");
    }
}

/// It may fail for a while, and never says that there is no such row.
async fn comes_back(store: &dyn Store, hash: TokenHash) {
    let start = Instant::now();
    loop {
        match within(SOON, store.find(hash)).await {
            Ok(Some(_)) => break,
            Ok(None) => panic!("the row is missing"),
            Err(error) => assert!(start.elapsed() < BACK, "{error}"),
        }
        sleep(POLL).await;
    }
    // And so are changes.
    store.touch(hash, after(60)).await.expect("it can be told");
}

async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(limit, call).await.expect("an answer or an error within its time")
}

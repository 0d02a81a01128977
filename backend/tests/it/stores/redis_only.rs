//! What only Redis does: it forgets by itself, it fills up, it becomes a replica, it asks for a
//! password.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, cmd};
use session_keeper_backend::StoreChoice;
use session_keeper_backend::store::{OpenMode, Reads, RevokeScope, Row, Store, open};
use session_keeper_backend::tokens::{Session, UnixMillis};
use session_keeper_services::{Service, unless_missing};

use super::place::{Kind, Place, alone};
use super::races::Refreshing;
use super::rows::{NOW, after, find, hash, insert, name, rotation, row};

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn redis_forgets_a_row_some_time_after_its_expiry_by_its_own_clock() {
    let Some((place, store)) = alone(Kind::Redis).await else { return };
    let (hash, session) = row(&name());
    let long = Session { expires_at: after(7200), ..session.clone() };
    insert(&*store, &[(hash, session), (super::rows::hash(), long)]).await;
    let life = ttl(&place, &format!("auth_token:{hash}")).await;
    assert!((3600..=3600 + 600).contains(&life), "{life}");
    for changed in [after(60), after(120)] {
        store.touch(hash, changed).await.expect("it can be told");
    }
    store.rotate(hash, rotation(None), &[], NOW).await.expect("it can be told");
    let again = ttl(&place, &format!("auth_token:{hash}")).await;
    assert!((3590..=life).contains(&again), "{again}");
    // What has an expiry may be dropped before that, and sign-outs rest on it.
    let users: Vec<String> = ask(&place, cmd("KEYS").arg("auth_user:*")).await;
    assert_eq!(ttl(&place, &users[0]).await, -1);
}

#[tokio::test]
async fn a_row_that_lasts_for_ever_is_kept_and_one_that_is_over_goes() {
    let Some((_place, store)) = alone(Kind::Redis).await else { return };
    let (_, session) = row(&name());
    for expires_at in [UnixMillis(253_402_300_799_999), NOW, UnixMillis(1)] {
        let row: Row = (hash(), Session { expires_at, ..session.clone() });
        insert(&*store, std::slice::from_ref(&row)).await;
        assert_eq!(find(&*store, row.0).await, Some(row.1));
    }
}

#[tokio::test]
async fn hashes_of_tokens_that_are_gone_do_not_pile_up() {
    let Some((place, store)) = alone(Kind::Redis).await else { return };
    let username = name();
    for _ in 0..400 {
        let gone = row(&username);
        insert(&*store, std::slice::from_ref(&gone)).await;
        let _: u64 = ask(&place, &Cmd::del(format!("auth_token:{}", gone.0))).await;
    }
    let users: Vec<String> = ask(&place, cmd("KEYS").arg("auth_user:*")).await;
    let kept: u64 = ask(&place, &Cmd::scard(&users[0])).await;
    assert!(kept < 40, "{kept}");
    assert_eq!(store.of_user(&username).await.expect("it can be asked"), []);
    let users: Vec<String> = ask(&place, cmd("KEYS").arg("auth_user:*")).await;
    assert_eq!(users, Vec::<String>::new());
    let gone = row(&username);
    insert(&*store, std::slice::from_ref(&gone)).await;
    let _: u64 = ask(&place, &Cmd::del(format!("auth_token:{}", gone.0))).await;
    assert_eq!(store.remove(&RevokeScope::User(username)).await.expect("it can be told"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn among_thousands_of_rows_nobody_slips_through_either() {
    let Some((place, store)) = alone(Kind::Redis).await else { return };
    for _ in 0..10 {
        let rows: Vec<Row> = (0..400).map(|_| row(&name())).collect();
        insert(&*store, &rows).await;
    }
    let first = row(&name());
    insert(&*store, std::slice::from_ref(&first)).await;
    let client = Refreshing::begin(place.open().await, first);
    store.remove(&RevokeScope::All).await.expect("it can be told");
    client.ends_by_being_told().await;
    assert_eq!(store.count().await.expect("it can be asked"), 0);
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_an_error_that_does_not_quote_it() {
    let Some((place, store)) = alone(Kind::Redis).await else { return };
    for text in [
        "s3cret",
        r#""s3cret""#,
        r#"{"username":"s3cret"}"#,
        r#"{"username":"s3cret","created_at":"s3cret","expires_at":"s3cret"}"#,
    ] {
        let hash = hash();
        let _: () = ask(&place, &Cmd::set(format!("auth_token:{hash}"), text)).await;
        let error = store.find(hash).await.expect_err("it is no row").to_string();
        assert!(error.contains("is corrupt") && !error.contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn the_address_may_name_a_user_a_password_and_a_database() {
    let Some(server) = unless_missing(Service::redis()) else { return };
    let mut root = connect(server.url()).await;
    let rules =
        ["on", ">p@ss/w:rd", "~auth_*", "+@read", "+@write", "+@scripting", "+select", "+info"];
    let _: () = cmd("ACL")
        .arg("SETUSER")
        .arg("keeper")
        .arg(&rules[..])
        .query_async(&mut root)
        .await
        .expect("the server does what it is told");
    let url = |user: &str| server.url().replacen("//", &format!("//{user}@"), 1);
    let choice = StoreChoice::Redis(format!("{}/3", url("keeper:p%40ss%2Fw%3Ard")));
    let store = open(&choice, Reads::EachChange, OpenMode::CreateIfMissing)
        .await
        .expect("it may do all that is needed");
    let kept = row(&name());
    insert(&*store, std::slice::from_ref(&kept)).await;
    assert_eq!(find(&*store, kept.0).await, Some(kept.1.clone()));
    assert_eq!(store.remove(&RevokeScope::All).await.expect("it can be told"), 1);
    insert(&*store, std::slice::from_ref(&kept)).await;
    let other = open(
        &StoreChoice::Redis(server.url().to_owned()),
        Reads::EachChange,
        OpenMode::CreateIfMissing,
    )
    .await;
    assert_eq!(find(&*other.expect("it can be opened"), kept.0).await, None);
    let wrong = url("keeper:s3cret");
    let beyond = format!("{}/99", url("keeper:p%40ss%2Fw%3Ard"));
    let encrypted = wrong.replacen("redis://", "rediss://", 1);
    for (url, wanted) in [(wrong, "password"), (beyond, "number"), (encrypted, "that it runs")] {
        let outcome =
            open(&StoreChoice::Redis(url), Reads::EachChange, OpenMode::CreateIfMissing).await;
        let error = outcome.expect_err("there is no such").to_string();
        assert!(error.contains(wanted), "{error}");
        assert!(!error.contains("s3cret") && !error.contains("keeper"), "{error}");
    }
}

#[tokio::test]
async fn a_redis_that_loads_its_data_finds_no_row_missing() {
    let Some((mut server, store, kept)) = own_server().await else { return };
    let fill = "for number = 1, 300000 do redis.call('SET', 'filler:' .. number, number) end";
    tell(&server, &["EVAL", fill, "0"]).await;
    server.kill().expect("it runs");
    let starting = tokio::task::spawn_blocking(move || server.start().map(|()| server));
    while !starting.is_finished() {
        let found = store.find(kept.0).await;
        assert!(!matches!(found, Ok(None)), "the row is missing");
    }
    let _server = starting.await.expect("it does not panic").expect("it starts again");
    assert_eq!(find(&*store, kept.0).await, Some(kept.1));
}

#[tokio::test]
async fn a_redis_that_is_full_refuses_rows_and_finds_those_that_it_has() {
    let Some((server, store, kept)) = own_server().await else { return };
    tell(&server, &["CONFIG", "SET", "maxmemory", "1"]).await;
    let pair = [row(&name()), row(&name())];
    let error = store.insert(&pair, NOW).await.expect_err("it is full").to_string();
    assert!(error.contains("memory"), "{error}");
    let rotated = store.rotate(kept.0, rotation(None), &pair, NOW).await;
    assert!(rotated.is_err(), "{rotated:?}");
    assert!(store.touch(kept.0, after(60)).await.is_err());
    assert!(store.attempt(hash(), NOW, Duration::from_secs(60)).await.is_err());
    for (hash, _) in &pair {
        assert_eq!(find(&*store, *hash).await, None);
    }
    assert_eq!(find(&*store, kept.0).await, Some(kept.1.clone()));
    assert_eq!(store.remove(&RevokeScope::User(kept.1.username.to_string())).await.ok(), Some(1));
    tell(&server, &["CONFIG", "SET", "maxmemory", "0"]).await;
    insert(&*store, &pair).await;
}

#[tokio::test]
async fn a_replica_never_says_that_a_token_is_unknown() {
    let Some((server, store, kept)) = own_server().await else { return };
    // Of nobody: it stays as it is, and takes no changes.
    tell(&server, &["REPLICAOF", "127.0.0.1", "1"]).await;
    assert!(store.find(hash()).await.is_err());
    assert!(store.of_user(&name()).await.is_err());
    assert!(store.insert(&[row(&name())], NOW).await.is_err());
    assert!(store.rotate(hash(), rotation(None), &[], NOW).await.is_err());
    assert!(store.remove(&RevokeScope::User(name())).await.is_err());
    assert!(store.remove(&RevokeScope::All).await.is_err());
    let choice = StoreChoice::Redis(server.url().to_owned());
    let error = open(&choice, Reads::EachChange, OpenMode::CreateIfMissing)
        .await
        .expect_err("it is none")
        .to_string();
    assert!(error.contains("replica"), "{error}");
    tell(&server, &["REPLICAOF", "NO", "ONE"]).await;
    assert_eq!(find(&*store, kept.0).await, Some(kept.1));
    assert_eq!(find(&*store, hash()).await, None);
}

#[tokio::test]
async fn a_redis_with_too_many_clients_is_asked_again_by_the_next_call() {
    let Some((mut server, store, kept)) = own_server().await else { return };
    server.stop().expect("it runs");
    assert!(store.find(kept.0).await.is_err());
    server.start().expect("it starts again");
    let mut other = connect(server.url()).await;
    for (most, is_found) in [("1", false), ("1", false), ("100", true)] {
        let set = ["CONFIG", "SET", "maxclients", most];
        let set: Result<(), _> = cmd(set[0]).arg(&set[1..]).query_async(&mut other).await;
        set.expect("the server does what it is told");
        let found = store.find(kept.0).await;
        assert_eq!(found.as_ref().is_ok_and(Option::is_some), is_found, "{found:?}");
    }
}

#[tokio::test]
async fn a_restart_of_redis_costs_no_reader_a_request() {
    let Some((mut server, store, kept)) = own_server().await else { return };
    for _ in 0..3 {
        server.kill().expect("it runs");
        server.start().expect("it starts again");
        assert_eq!(find(&*store, kept.0).await, Some(kept.1.clone()));
    }
}

#[tokio::test]
async fn a_redis_that_refuses_connections_is_an_error_at_once() {
    let Some((mut server, store, kept)) = own_server().await else { return };
    server.stop().expect("it runs");
    for _ in 0..5 {
        let start = Instant::now();
        let error = store.find(kept.0).await.expect_err("it is away").to_string();
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}: {error}", start.elapsed());
    }
}

/// With one row.
async fn own_server() -> Option<(Service, Arc<dyn Store>, Row)> {
    let server = unless_missing(Service::redis())?;
    let choice = StoreChoice::Redis(server.url().to_owned());
    let store =
        open(&choice, Reads::EachChange, OpenMode::CreateIfMissing).await.expect("the server runs");
    let kept = row(&name());
    insert(&*store, std::slice::from_ref(&kept)).await;
    Some((server, store, kept))
}

async fn tell(server: &Service, words: &[&str]) {
    let mut connection = connect(server.url()).await;
    let told: Result<(), _> = cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await;
    told.expect("the server does what it is told");
}

async fn ttl(place: &Place, key: &str) -> i64 {
    ask(place, &Cmd::ttl(key)).await
}

async fn ask<T: FromRedisValue>(place: &Place, command: &Cmd) -> T {
    let StoreChoice::Redis(url) = &place.choice else { panic!("the place is in Redis") };
    let mut connection = connect(url).await;
    command.query_async(&mut connection).await.expect("the server does what it is told")
}

/// The library's own limits are shorter than a busy machine may take.
pub(super) async fn connect(url: &str) -> MultiplexedConnection {
    let patient = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let client = Client::open(url).expect("the URL is one");
    let connecting = client.get_multiplexed_async_connection_with_config(&patient).await;
    connecting.expect("the server runs")
}

//! A user's index in Redis: sign-outs rest on it, so it is whole, or is rebuilt.
//!
//! Rule: servers of their own, because what Redis did is counted and indexes are dropped.

use std::sync::Arc;

use redis::{Cmd, FromRedisValue, cmd};
use session_keeper_backend::StoreChoice;
use session_keeper_backend::store::{OpenMode, Reads, RevokeScope, Row, Store, open};
use session_keeper_services::{Service, unless_missing};

use super::races::Refreshing;
use super::redis_only::connect;
use super::rows::{NOW, after, find, insert, name, rotation, row, sibling};

const MANY: usize = 20_000;
/// Of tokens, that one call looks at.
const MOST_AT_ONCE: usize = 1000;

#[tokio::test]
async fn a_session_ends_though_its_index_is_gone() {
    let Some((server, store)) = own_server().await else { return };
    for username in names() {
        let (phone, laptop, other) = (row(&username), row(&username), row(&name()));
        let refresh = sibling(&phone);
        insert(&*store, &[phone.clone(), refresh.clone(), laptop.clone(), other.clone()]).await;
        drop_indexes(&server).await;
        assert_eq!(store.remove(&session_of(&phone)).await.expect("it can be told"), 2);
        assert_eq!(found(&*store, &[&phone, &refresh, &laptop, &other]).await, [0, 0, 1, 1]);
        // The others are in one again.
        assert_eq!(store.remove(&user_of(&laptop)).await.expect("it can be told"), 1);
        assert_eq!(found(&*store, &[&laptop, &other]).await, [0, 1]);
    }
}

#[tokio::test]
async fn a_user_ends_and_lists_all_sessions_though_the_index_is_gone() {
    let Some((server, store)) = own_server().await else { return };
    for username in names() {
        let (phone, laptop) = (row(&username), row(&username));
        insert(&*store, &[phone.clone(), laptop.clone(), row(&name())]).await;
        drop_indexes(&server).await;
        assert_eq!(store.of_user(&username).await.expect("it can be asked").len(), 2);
        drop_indexes(&server).await;
        assert_eq!(store.remove(&user_of(&phone)).await.expect("it can be told"), 2);
        assert_eq!(found(&*store, &[&phone, &laptop]).await, [0, 0]);
    }
    assert_eq!(store.count().await.expect("it can be asked"), names().len());
}

#[tokio::test]
async fn an_index_that_lacks_what_came_before_it_is_not_relied_on() {
    let Some((server, store)) = own_server().await else { return };
    let later = async |username: &str| {
        let (phone, laptop) = (row(username), row(username));
        let refresh = sibling(&phone);
        insert(&*store, &[phone.clone(), refresh.clone(), laptop.clone()]).await;
        drop_indexes(&server).await;
        insert(&*store, &[row(username)]).await;
        (phone, refresh, laptop)
    };
    let (phone, refresh, _) = later(&name()).await;
    assert_eq!(store.remove(&session_of(&phone)).await.expect("it can be told"), 2);
    assert_eq!(found(&*store, &[&phone, &refresh]).await, [0, 0]);

    let (phone, refresh, laptop) = later(&name()).await;
    store.touch(phone.0, after(60)).await.expect("it can be told");
    assert_eq!(store.of_user(&phone.1.username).await.expect("it can be asked").len(), 4);
    assert_eq!(store.remove(&user_of(&phone)).await.expect("it can be told"), 4);
    assert_eq!(found(&*store, &[&phone, &refresh, &laptop]).await, [0, 0, 0]);

    let (phone, refresh, laptop) = later(&name()).await;
    let pair = [sibling(&phone), sibling(&phone)];
    assert!(store.rotate(refresh.0, rotation(None), &pair, NOW).await.expect("it can be told"));
    assert_eq!(store.remove(&session_of(&phone)).await.expect("it can be told"), 4);
    let all = [&phone, &refresh, &pair[0], &pair[1], &laptop];
    assert_eq!(found(&*store, &all).await, [0, 0, 0, 0, 1]);
}

#[tokio::test]
async fn indexes_of_tokens_that_are_gone_go_at_a_clean_up() {
    let Some((server, store)) = own_server().await else { return };
    let (kept, gone) = (row(&name()), row(&name()));
    insert(&*store, &[kept.clone(), gone.clone()]).await;
    insert_many(&*store, &gone.1.username, 4000).await;
    insert_many(&*store, &name(), 1).await;
    let mut tokens: Vec<String> = ask(&server, cmd("KEYS").arg("auth_token:*")).await;
    tokens.retain(|token| !token.ends_with(&kept.0.to_string()));
    let _: usize = ask(&server, &Cmd::del(tokens)).await;
    assert_eq!(store.clean_up(NOW).await.expect("it can be told"), 0);
    let indexes: Vec<String> = ask(&server, cmd("KEYS").arg("auth_user:*")).await;
    assert_eq!(indexes.len(), 1);
    assert_eq!(store.remove(&session_of(&kept)).await.expect("it can be told"), 1);
}

#[tokio::test]
async fn however_many_tokens_a_user_has_redis_is_not_held_for_all_of_them() {
    let Some((server, store)) = own_server().await else { return };
    let kept = row(&name());
    let username = kept.1.username.to_string();
    insert(&*store, &[kept.clone(), sibling(&kept)]).await;
    insert_many(&*store, &username, MANY).await;
    restart_counting(&server).await;
    assert_eq!(store.of_user(&username).await.expect("it can be asked").len(), MANY + 2);
    assert!(calls(&server, "mget").await >= MANY / MOST_AT_ONCE);
    restart_counting(&server).await;
    assert_eq!(store.remove(&session_of(&kept)).await.expect("it can be told"), 2);
    assert!(calls(&server, "evalsha").await >= MANY / MOST_AT_ONCE);
    restart_counting(&server).await;
    assert_eq!(store.remove(&user_of(&kept)).await.expect("it can be told"), MANY);
    assert!(calls(&server, "evalsha").await >= MANY / MOST_AT_ONCE);
    assert_eq!(calls(&server, "smembers").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn among_thousands_of_a_user_no_token_slips_through() {
    let Some((server, store)) = own_server().await else { return };
    let choice = StoreChoice::Redis(server.url().to_owned());
    let username = name();
    insert_many(&*store, &username, MANY).await;
    for round in 0..6 {
        let other = open(&choice, Reads::EachChange, OpenMode::CreateIfMissing).await;
        let first = row(&username);
        insert(&*store, std::slice::from_ref(&first)).await;
        let client = Refreshing::begin(other.expect("the server runs"), first.clone());
        let whose = if round < 5 { session_of(&first) } else { user_of(&first) };
        store.remove(&whose).await.expect("it can be told");
        client.ends_by_being_told().await;
        let left = store.of_user(&username).await.expect("it can be asked");
        assert!(left.iter().all(|session| session.id != first.1.id));
        assert_eq!(left.len(), if round < 5 { MANY } else { 0 });
    }
}

async fn own_server() -> Option<(Service, Arc<dyn Store>)> {
    let server = unless_missing(Service::redis())?;
    let choice = StoreChoice::Redis(server.url().to_owned());
    let store = open(&choice, Reads::EachChange, OpenMode::CreateIfMissing).await;
    Some((server, store.expect("the server runs")))
}

/// JSON writes some of their characters in more than one way.
fn names() -> [String; 3] {
    [name(), format!("{}-\"\\/\0\u{7f}é", name()), format!("{}ß@example.org", name())]
}

fn session_of((_, session): &Row) -> RevokeScope {
    RevokeScope::Session { username: session.username.to_string(), id: session.id }
}

fn user_of((_, session): &Row) -> RevokeScope {
    RevokeScope::User(session.username.to_string())
}

async fn found(store: &dyn Store, rows: &[&Row]) -> Vec<u8> {
    let mut found = Vec::new();
    for (hash, _) in rows {
        found.push(u8::from(find(store, *hash).await.is_some()));
    }
    found
}

async fn insert_many(store: &dyn Store, username: &str, number: usize) {
    let rows: Vec<Row> = (0..number).map(|_| row(username)).collect();
    for some in rows.chunks(500) {
        insert(store, some).await;
    }
}

async fn drop_indexes(server: &Service) {
    let indexes: Vec<String> = ask(server, cmd("KEYS").arg("auth_user:*")).await;
    let _: usize = ask(server, &Cmd::del(indexes)).await;
}

async fn restart_counting(server: &Service) {
    let _: () = ask(server, cmd("CONFIG").arg("RESETSTAT")).await;
}

/// Of one of Redis' commands, those within scripts included.
async fn calls(server: &Service, command: &str) -> usize {
    let info: String = ask(server, cmd("INFO").arg("commandstats")).await;
    let start = format!("cmdstat_{command}:calls=");
    let calls = info.lines().find_map(|line| line.strip_prefix(&start)?.split(',').next());
    calls.map_or(0, |calls| calls.parse().expect("it is a number"))
}

async fn ask<T: FromRedisValue>(server: &Service, command: &Cmd) -> T {
    let mut connection = connect(server.url()).await;
    command.query_async(&mut connection).await.expect("the server does what it is told")
}

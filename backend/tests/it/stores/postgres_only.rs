//! What only PostgreSQL does: it becomes a standby, which may lag behind.
//!
//! Rule: a standby is a real one: a server that was ended in order and starts with
//! `standby.signal` in its folder serves what it has, and waits for more.

use std::path::PathBuf;
use std::sync::Arc;

use session_keeper_backend::StoreChoice;
use session_keeper_backend::store::{OpenMode, Reads, RevokeScope, Row, Store, open};
use session_keeper_services::{Service, unless_missing};
use tokio_postgres::{Client, NoTls};

use super::rows::{NOW, after, find, hash, insert, name, rotation, row};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_gives_no_verdict_and_is_believed_when_it_is_the_primary() {
    let Some((mut server, store, kept)) = own_server("?target_session_attrs=any").await else {
        return;
    };
    become_standby(&mut server).await;
    let refuses = async |store: &dyn Store| {
        for token in [kept.0, hash()] {
            let error = store.find(token).await.expect_err("it may lag behind").to_string();
            assert!(error.contains("standby"), "{error}");
        }
        assert!(store.of_user(&kept.1.username).await.is_err());
        assert!(store.of_user(&name()).await.is_err());
        assert!(store.count().await.is_err());
        assert!(store.touch(kept.0, after(60)).await.is_err());
        assert!(store.rotate(kept.0, rotation(None), &[], NOW).await.is_err());
        assert!(store.remove(&RevokeScope::User(name())).await.is_err());
    };
    refuses(&*store).await;
    let choice = StoreChoice::Postgres(server.url().to_owned());
    let error = open(&choice, Reads::EachChange, OpenMode::CreateIfMissing)
        .await
        .expect_err("it is none")
        .to_string();
    assert!(error.contains("standby"), "{error}");
    connect(server.url()).await.execute("SELECT pg_promote()", &[]).await.expect("it obeys");
    assert_eq!(find(&*store, kept.0).await, Some(kept.1.clone()));
    assert_eq!(find(&*store, hash()).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_hosts_the_primary_is_asked() {
    let Some((mut standby, late, kept)) = own_server("").await else { return };
    let Some(primary) = unless_missing(Service::postgres()) else { return };
    become_standby(&mut standby).await;
    assert!(late.find(kept.0).await.is_err());
    let both = format!("127.0.0.1:{},127.0.0.1:{}", standby.port(), primary.port());
    let url = primary.url().replace(&format!("127.0.0.1:{}", primary.port()), &both);
    assert!(url.contains(&both), "{url}");
    let choice = StoreChoice::Postgres(url);
    let store = open(&choice, Reads::EachChange, OpenMode::CreateIfMissing)
        .await
        .expect("one of them takes changes");
    let fresh = row(&name());
    insert(&*store, std::slice::from_ref(&fresh)).await;
    assert_eq!(find(&*store, fresh.0).await, Some(fresh.1));
    assert_eq!(find(&*store, kept.0).await, None);
}

/// With one row, and a connection that was used.
async fn own_server(options: &str) -> Option<(Service, Arc<dyn Store>, Row)> {
    let server = unless_missing(Service::postgres())?;
    let choice = StoreChoice::Postgres(format!("{}{options}", server.url()));
    let store =
        open(&choice, Reads::EachChange, OpenMode::CreateIfMissing).await.expect("the server runs");
    let kept = row(&name());
    insert(&*store, std::slice::from_ref(&kept)).await;
    assert_eq!(find(&*store, kept.0).await.as_ref(), Some(&kept.1));
    Some((server, store, kept))
}

async fn become_standby(server: &mut Service) {
    let client = connect(server.url()).await;
    let folder = client.query_one("SHOW data_directory", &[]).await.expect("it tells");
    let folder = PathBuf::from(folder.get::<_, String>(0));
    server.stop().expect("it runs");
    std::fs::write(folder.join("standby.signal"), "").expect("the folder is ours");
    server.start().expect("it starts again");
}

async fn connect(url: &str) -> Client {
    let connecting = tokio_postgres::connect(url, NoTls).await;
    let (client, connection) = connecting.expect("the server runs");
    // What ends it is told to the client.
    tokio::spawn(async { drop(connection.await) });
    client
}

//! Who may make a store: the first process of a start, and not the one that takes another's place.

use std::fs;
use std::path::PathBuf;

use session_keeper_backend::StoreChoice;
use session_keeper_backend::store::{OpenMode, Reads, open};

use super::place::{Kind, alone};
use super::rows::{find, insert, name, row};

#[tokio::test]
async fn a_file_that_is_away_is_not_made_anew_by_whoever_takes_anothers_place() {
    what_is_away_is_not_made_anew(Kind::File).await;
}

#[tokio::test]
async fn a_database_that_is_away_is_not_made_anew_by_whoever_takes_anothers_place() {
    what_is_away_is_not_made_anew(Kind::Sqlite).await;
}

async fn what_is_away_is_not_made_anew(kind: Kind) {
    let Some((place, first)) = alone(kind).await else { return };
    let (hash, session) = row(&name());
    insert(&*first, &[(hash, session.clone())]).await;
    let path = path(&place.choice);
    let away = path.with_extension("away");
    fs::rename(&path, &away).expect("the folder is ours");
    for reads in [Reads::EachChange, Reads::Once] {
        let opened = open(&place.choice, reads, OpenMode::MustExist).await;
        opened.expect_err("it is away");
        assert!(!path.exists(), "it was created again");
    }
    fs::rename(&away, &path).expect("the folder is ours");
    let second = open(&place.choice, Reads::EachChange, OpenMode::MustExist).await;
    assert_eq!(find(&*second.expect("it is back"), hash).await, Some(session));
}

#[tokio::test]
async fn whoever_takes_the_place_of_one_that_stored_nothing_yet_opens_what_that_made() {
    for kind in [Kind::File, Kind::Sqlite] {
        let Some((place, first)) = alone(kind).await else { return };
        drop(first);
        let second = open(&place.choice, Reads::EachChange, OpenMode::MustExist).await;
        assert_eq!(second.expect("it was made").count().await.ok(), Some(0));
    }
}

fn path(choice: &StoreChoice) -> PathBuf {
    match choice {
        StoreChoice::File(path) | StoreChoice::Sqlite(path) => path.clone(),
        StoreChoice::Memory | StoreChoice::Postgres(_) | StoreChoice::Redis(_) => {
            panic!("it is no file")
        }
    }
}

//! What is particular to SQLite. What all stores have in common is tested for all of them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use session_keeper_tokens::{Device, Lifetime};
use tempfile::TempDir;

use super::*;
use crate::store::{FileStore, private};

#[tokio::test]
async fn a_file_that_is_no_database_is_an_error_that_names_it_and_is_left_alone() {
    let folder = folder();
    let path = folder.path().join("auth.sqlite");
    let mut damaged = fs::read(&made(&folder).await).expect("it is there");
    // The second page is where tokens are looked up; the first says what there is.
    damaged[4096..8192].fill(0xff);
    for bytes in [b"not a database, but some text of ours".to_vec(), damaged] {
        fs::write(&path, &bytes).expect("the folder is ours");
        let error = match SqliteStore::open(&path, OpenMode::CreateIfMissing).await {
            Ok(store) => store.find(row(1).0).await.expect_err("it is damaged"),
            Err(error) => error,
        };
        let error = error.to_string();
        assert!(error.contains("auth.sqlite .recover"), "{error}");
        assert!(fs::read(&path).is_ok_and(|now| now == bytes), "it was changed");
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let folder = folder();
    let path = made(&folder).await;
    let newer = Connection::open(&path).expect("it is a database");
    newer.pragma_update(None, "user_version", 99).expect("it can be written");
    let error = SqliteStore::open(&path, OpenMode::CreateIfMissing)
        .await
        .expect_err("it is newer")
        .to_string();
    assert!(error.contains("made by a newer version"), "{error}");
}

#[tokio::test]
async fn nobody_else_can_read_the_database_nor_what_is_beside_it() {
    let folder = folder();
    let path = folder.path().join("deeper").join("auth.sqlite");
    let store = SqliteStore::open(&path, OpenMode::CreateIfMissing).await.expect("it opens");
    store.insert(&[row(1)], NOW).await.expect("it can be written");
    let modes = || {
        let names = ["", "auth.sqlite", "auth.sqlite-wal", "auth.sqlite-shm", "auth.sqlite.lock"];
        let files = names.map(|name| path.with_file_name(name));
        files.map(|file| fs::metadata(file).expect("it is there").mode() & 0o777)
    };
    assert_eq!(modes(), [0o700, 0o600, 0o600, 0o600, 0o600]);
    for file in ["auth.sqlite", "auth.sqlite-wal"] {
        let wide = Permissions::from_mode(0o644);
        fs::set_permissions(path.with_file_name(file), wide).expect("the file is ours");
    }
    let _again = SqliteStore::open(&path, OpenMode::CreateIfMissing).await.expect("it opens");
    assert_eq!(modes(), [0o700, 0o600, 0o600, 0o600, 0o600]);
}

#[tokio::test]
async fn a_database_that_was_deleted_is_an_error_until_there_is_one_again() {
    let folder = folder();
    let path = made(&folder).await;
    let store = SqliteStore::open(&path, OpenMode::CreateIfMissing).await.expect("it opens");
    store.insert(&[row(1)], NOW).await.expect("it can be written");
    fs::remove_file(&path).expect("the folder is ours");
    let error = store.insert(&[row(2)], NOW).await.expect_err("it is gone").to_string();
    assert!(error.contains("auth.sqlite"), "{error}");
    assert!(!path.exists(), "it was created again");
    let others =
        SqliteStore::open(&path, OpenMode::CreateIfMissing).await.expect("it is created again");
    others.insert(&[row(3)], NOW).await.expect("it can be written");
    store.insert(&[row(4)], NOW).await.expect("there is a database again");
    assert_eq!(known(&store).await, [3, 4]);
    assert_eq!(known(&others).await, [3, 4]);
}

#[tokio::test]
async fn whoever_takes_anothers_place_makes_no_database() {
    let folder = folder();
    let path = folder.path().join("data").join("auth.sqlite");
    let is_refused = async || {
        let opened = SqliteStore::open(&path, OpenMode::MustExist).await;
        opened.is_err_and(|error| error.to_string().contains("auth.sqlite"))
    };
    assert!(is_refused().await && !path.with_file_name("").exists(), "the folder was made");
    fs::create_dir(path.with_file_name("")).expect("the folder is ours");
    assert!(is_refused().await);
    let listed = fs::read_dir(path.with_file_name("")).expect("it is there");
    assert_eq!(listed.count(), 0, "something was left in a folder that is not ours");
    fs::write(&path, "").expect("the folder is ours");
    assert!(is_refused().await, "an empty database knows nobody");
    fs::remove_file(&path).expect("the folder is ours");
    let first = SqliteStore::open(&path, OpenMode::CreateIfMissing).await.expect("it is made");
    first.insert(&[row(1)], NOW).await.expect("it can be written");
    let second = SqliteStore::open(&path, OpenMode::MustExist).await.expect("it is there");
    assert_eq!(known(&second).await, [1]);
}

#[tokio::test]
async fn a_database_that_was_replaced_is_read_instead_of_the_one_before() {
    let (folder, elsewhere) = (folder(), folder());
    let path = made(&folder).await;
    let store = SqliteStore::open(&path, OpenMode::CreateIfMissing).await.expect("it opens");
    store.insert(&[row(1)], NOW).await.expect("it can be written");
    assert_eq!(known(&store).await, [1]);
    let other = made(&elsewhere).await;
    let of_other = SqliteStore::open(&other, OpenMode::CreateIfMissing).await.expect("it opens");
    of_other.insert(&[row(2)], NOW).await.expect("it can be written");
    drop(of_other);
    // As a backup is brought back, with the journal of what was before forgotten beside it.
    fs::rename(&other, &path).expect("the folders are ours");
    store.look_at.store(0, Ordering::Relaxed);
    assert_eq!(known(&store).await, [2]);
    store.insert(&[row(3)], NOW).await.expect("it can be written");
    drop(store);
    let again = SqliteStore::open(&path, OpenMode::CreateIfMissing).await.expect("it opens");
    assert_eq!(known(&again).await, [2, 3]);
}

#[tokio::test]
async fn reads_do_not_wait_for_a_process_that_writes_and_writes_do_for_a_while() {
    let folder = folder();
    let path = made(&folder).await;
    let store = SqliteStore::open(&path, OpenMode::CreateIfMissing).await.expect("it opens");
    store.insert(&[row(1)], NOW).await.expect("it can be written");
    let other = Connection::open(&path).expect("it is a database");
    other.execute_batch("BEGIN IMMEDIATE; DELETE FROM auth_tokens").expect("nobody else writes");
    assert_eq!(known(&store).await, [1]);
    let error = store.insert(&[row(2)], NOW).await.expect_err("it is held");
    assert!(matches!(error, StoreError::Busy { .. }), "{error}");
    other.execute_batch("COMMIT").expect("it can be written");
    store.insert(&[row(2)], NOW).await.expect("nobody holds it");
    assert_eq!(known(&store).await, [2]);
}

#[tokio::test]
async fn what_the_version_before_kept_in_a_file_is_taken_over_once() {
    let folder = folder();
    let file = folder.path().join("auth_tokens.json");
    let before = FileStore::open(&file, OpenMode::CreateIfMissing).expect("it opens");
    let (hash, session) = row(2);
    let expired = Session { expires_at: UnixMillis(1), ..session };
    before.insert(&[row(1)], UnixMillis(0)).await.expect("it can be written");
    before.insert(&[(hash, expired)], UnixMillis(0)).await.expect("it can be written");
    let path = made(&folder).await;
    let store = SqliteStore::open(&path, OpenMode::CreateIfMissing).await.expect("it opens");
    assert_eq!(store.find(row(1).0).await.expect("it can be read"), Some(row(1).1));
    assert_eq!(known(&store).await, [1]);
    assert!(!file.exists() && file.with_extension("json.imported").exists());
    drop(store);
    fs::remove_file(&path).expect("the folder is ours");
    let recreated = SqliteStore::open(&path, OpenMode::CreateIfMissing).await.expect("it opens");
    assert_eq!(known(&recreated).await, [0; 0], "ended sessions would be back");
}

#[tokio::test]
async fn a_server_that_runs_on_the_file_learns_that_it_was_taken_over_and_says_no_to_nobody() {
    let folder = folder();
    let file = folder.path().join("auth_tokens.json");
    let running = FileStore::open(&file, OpenMode::CreateIfMissing).expect("it opens");
    running.insert(&[row(1)], NOW).await.expect("it can be written");
    let path = made(&folder).await;
    assert!(running.find(row(1).0).await.is_err());
    assert!(running.insert(&[row(2)], NOW).await.is_err());
    let store = SqliteStore::open(&path, OpenMode::CreateIfMissing).await.expect("it opens");
    assert_eq!(known(&store).await, [1]);
    // A way back: what is put there again is read again, and nothing is older or newer beside it.
    assert!(!file.with_extension("json.good").exists());
    fs::rename(file.with_extension("json.imported"), &file).expect("the folder is ours");
    assert!(running.find(row(1).0).await.is_ok_and(|found| found.is_some()));
}

#[tokio::test]
async fn a_file_that_is_being_written_is_not_taken_over() {
    let folder = folder();
    let file = folder.path().join("auth_tokens.json");
    let running = FileStore::open(&file, OpenMode::CreateIfMissing).expect("it opens");
    running.insert(&[row(1)], NOW).await.expect("it can be written");
    let lock = private::lock(&file).expect("nobody holds it");
    let path = folder.path().join("auth.sqlite");
    let error = SqliteStore::open(&path, OpenMode::CreateIfMissing).await.expect_err("it is held");
    assert!(matches!(error, StoreError::Busy { .. }), "{error}");
    assert!(file.exists(), "it was taken over");
    drop(lock);
    let store = SqliteStore::open(&path, OpenMode::CreateIfMissing).await.expect("nobody holds it");
    assert_eq!(known(&store).await, [1]);
}

#[tokio::test]
async fn rows_that_cannot_be_understood_are_not_left_behind_in_silence() {
    let folder = folder();
    let file = folder.path().join("auth_tokens.json");
    let before = FileStore::open(&file, OpenMode::CreateIfMissing).expect("it opens");
    before.insert(&[row(1), row(2)], NOW).await.expect("it can be written");
    let text = fs::read_to_string(&file).expect("it is there");
    fs::write(&file, text.replacen("\"access\"", "\"newer\"", 1)).expect("it is ours");
    let path = folder.path().join("auth.sqlite");
    let opened = SqliteStore::open(&path, OpenMode::CreateIfMissing).await;
    let error = opened.expect_err("one row would be lost").to_string();
    assert!(error.contains("auth_tokens.json: 1 row"), "{error}");
    assert!(file.exists(), "it was taken over");
}

#[tokio::test]
async fn a_file_of_the_version_before_that_cannot_be_read_is_an_error_and_not_nothing() {
    let folder = folder();
    let file = folder.path().join("auth_tokens.json");
    fs::write(&file, "{ \"secret").expect("the folder is ours");
    let path = folder.path().join("auth.sqlite");
    for _ in 0..2 {
        let error = SqliteStore::open(&path, OpenMode::CreateIfMissing)
            .await
            .expect_err("it is damaged")
            .to_string();
        assert!(error.contains("auth_tokens.json") && !error.contains("secret"), "{error}");
    }
    fs::write(&file, "{}").expect("the folder is ours");
    let store = SqliteStore::open(&path, OpenMode::CreateIfMissing).await.expect("it is repaired");
    assert_eq!(known(&store).await, [0; 0]);
}

/// In the year 2100, when nothing of it has expired by the clock of whoever runs this.
const NOW: UnixMillis = UnixMillis(4_102_444_800_000);

fn folder() -> TempDir {
    TempDir::new().expect("the system has a folder for temporary files")
}

/// A database that nobody has open.
async fn made(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("auth.sqlite");
    drop(SqliteStore::open(&path, OpenMode::CreateIfMissing).await.expect("it opens"));
    path
}

fn row(number: u8) -> Row {
    let hash = TokenHash::from([number; 32]);
    let id = SessionId::from([number; 16]);
    (hash, Session::begin(id, "ada", Device::default(), NOW, Lifetime::default()))
}

async fn known(store: &SqliteStore) -> Vec<u8> {
    let mut known = Vec::new();
    for number in 1..9 {
        let found = store.find(TokenHash::from([number; 32])).await.expect("it can be read");
        known.extend(found.map(|_| number));
    }
    known
}

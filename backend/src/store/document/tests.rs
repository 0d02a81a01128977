//! What becomes of a file that is changed, killed in the middle, corrupt or gone.

use std::collections::BTreeMap;
use std::thread;

use tempfile::TempDir;

use super::*;

type Names = BTreeMap<String, u8>;

#[test]
fn writers_in_turn_lose_no_change_of_each_other() {
    const WRITERS: usize = 4;
    const CHANGES: usize = 20;
    let (_folder, path) = place();
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                // As another process would: nothing is shared but the file.
                let document: Document<usize> = copied(&path);
                for _ in 0..CHANGES {
                    document.update(|count| *count += 1).expect("it can be written");
                }
            });
        }
    });
    let document: Document<usize> = copied(&path);
    assert_eq!(document.read().ok().as_deref(), Some(&(WRITERS * CHANGES)));
}

#[test]
fn what_a_killed_writer_left_behind_is_neither_read_nor_in_the_way() {
    let (_folder, path) = place();
    fs::write(with_suffix(&path, ".new"), "12345").expect("the folder is ours");
    fs::write(with_suffix(&path, ".good.new"), "12345").expect("the folder is ours");
    let document: Document<usize> = copied(&path);
    assert_eq!(document.read().ok().as_deref(), Some(&0));
    document.update(|count| *count = 1).expect("it can be written");
    assert_eq!(fs::read_to_string(&path).ok().as_deref(), Some("1\n"));
}

#[test]
fn a_corrupt_file_is_replaced_by_what_others_wrote_since_it_was_read_here() {
    let (_folder, path) = place();
    let (idle, busy) = (copied(&path), copied(&path));
    set(&busy, "ended", 1);
    assert_eq!(names(&idle), ["ended"]);
    busy.update(|names| names.remove("ended")).expect("it can be written");
    set(&busy, "begun", 2);
    fs::write(&path, "{ half a fi").expect("the folder is ours");
    assert_eq!(names(&idle), ["begun"]);
    assert_eq!(names(&busy), ["begun"]);
    assert_eq!(set_aside(&path), 1);
}

#[test]
fn a_corrupt_file_is_replaced_by_its_copy_also_at_a_start() {
    let (_folder, path) = place();
    set(&copied(&path), "kept", 1);
    fs::write(&path, "").expect("the folder is ours");
    assert_eq!(names(&copied(&path)), ["kept"]);
}

#[test]
fn where_the_copy_cannot_be_read_either_what_was_read_last_takes_its_place() {
    let (_folder, path) = place();
    let document = copied(&path);
    set(&document, "kept", 1);
    for file in [&path, &with_suffix(&path, COPY)] {
        fs::write(file, "{ half a fi").expect("the folder is ours");
    }
    assert_eq!(names(&document), ["kept"]);
    assert_eq!(names(&copied(&path)), ["kept"]);
}

#[test]
fn whoever_takes_anothers_place_begins_with_nothing_of_a_corrupt_file() {
    let (_folder, path) = place();
    fs::write(&path, "{ half a fi").expect("the folder is ours");
    let opened: Result<Document<Names>, _> = Document::open_with_backup(&path, OpenMode::MustExist);
    let error = opened.expect_err("there is nothing to go on with").to_string();
    assert!(error.contains("cannot understand"), "{error}");
    assert_eq!(fs::read_to_string(&path).ok().as_deref(), Some("{ half a fi"));
}

#[test]
fn a_start_makes_the_copy_that_of_the_file() {
    let (_folder, path) = place();
    set(&copied(&path), "ended", 1);
    // As a backup is brought back.
    fs::write(&path, "{}").expect("the folder is ours");
    let document = copied(&path);
    fs::write(&path, "").expect("the folder is ours");
    assert_eq!(names(&document), [""; 0]);
}

#[test]
fn a_copied_file_is_there_from_the_first_start_on_and_then_it_must_be() {
    let (_folder, path) = place();
    let missing: Result<Document<Names>, _> =
        Document::open_with_backup(&path, OpenMode::MustExist);
    assert!(missing.is_err() && !path.exists() && !with_suffix(&path, ".lock").exists());
    drop(copied::<Names>(&path));
    assert!(path.exists());
    let document: Document<Names> =
        Document::open_with_backup(&path, OpenMode::MustExist).expect("it is there");
    let away = with_suffix(&path, ".away");
    fs::rename(&path, &away).expect("the folder is ours");
    assert!(document.read().is_err());
    assert!(document.update(|names| names.insert("lost".to_owned(), 1)).is_err());
    assert!(!path.exists(), "it was created again");
    fs::rename(&away, &path).expect("the folder is ours");
    assert_eq!(names(&document), [""; 0]);
}

#[test]
fn an_irreplaceable_file_may_come_later_but_does_not_go() {
    let (_folder, path) = place();
    let document: Document<Names> = Document::open_irreplaceable(&path).expect("it opens");
    assert_eq!(names(&document), [""; 0]);
    fs::write(&path, r#"{"kept": 1}"#).expect("the folder is ours");
    assert_eq!(names(&document), ["kept"]);
    fs::remove_file(&path).expect("the folder is ours");
    let error = document.read().expect_err("it is gone").to_string();
    assert!(error.contains("put it back"), "{error}");
    assert!(document.update(|names| names.insert("lost".to_owned(), 1)).is_err());
    assert!(!path.exists(), "it was created again");
}

#[test]
fn an_irreplaceable_file_that_is_corrupt_is_left_alone() {
    let (_folder, path) = place();
    fs::write(&path, r#"{"kept": 1,}"#).expect("the folder is ours");
    let opened: Result<Document<Names>, _> = Document::open_irreplaceable(&path);
    assert!(opened.is_err());
    assert_eq!(fs::read_to_string(&path).ok().as_deref(), Some(r#"{"kept": 1,}"#));
    assert_eq!(set_aside(&path), 0);
}

#[test]
fn a_disposable_file_that_is_gone_is_empty() {
    let (_folder, path) = place();
    let document: Document<Names> = Document::open_disposable(&path).expect("it opens");
    set(&document, "lost", 1);
    fs::remove_file(&path).expect("the folder is ours");
    assert_eq!(names(&document), [""; 0]);
}

fn place() -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("the system has a folder for temporary files");
    let path = folder.path().join("data").join("names.json");
    fs::create_dir(folder_of(&path)).expect("the folder is ours");
    (folder, path)
}

fn copied<T: Content>(path: &Path) -> Document<T> {
    Document::open_with_backup(path, OpenMode::CreateIfMissing).expect("it opens")
}

fn set(document: &Document<Names>, name: &str, number: u8) {
    document.update(|names| names.insert(name.to_owned(), number)).expect("it can be written");
}

fn names(document: &Document<Names>) -> Vec<String> {
    document.read().expect("it can be read").keys().cloned().collect()
}

fn set_aside(path: &Path) -> usize {
    let listed = fs::read_dir(folder_of(path)).expect("the folder is ours");
    let names = listed.map(|entry| entry.expect("it can be listed").file_name());
    names.filter(|name| name.to_string_lossy().contains(".corrupt-")).count()
}

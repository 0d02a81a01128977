//! Paths that lead elsewhere: to another program's files, over links, or to nothing.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use axum::http::StatusCode;

use crate::support::{Files, Server};

#[test]
fn a_mistyped_path_changes_nothing_that_is_not_ours() {
    for (name, content) in [
        ("passwd", "root:x:0:0:root:/root:/bin/bash\n"),
        ("other.json", r#"{"x": {}}"#),
        ("list.json", "[]"),
        ("torn.json", "\0\0\0"),
        ("half.json", "{"),
    ] {
        for option in ["--store", "--users", "--key-file", "--tags"] {
            let files = Files::with_ada();
            fs::write(files.path(name), content).expect("it can be written");
            let wide = fs::Permissions::from_mode(0o644);
            fs::set_permissions(files.path(name), wide).expect("it is ours");
            let before = files.names();
            let path = format!("data/{name}");
            let value = if option == "--store" { format!("file:{path}") } else { path };
            let line = ["serve", "--listen", "127.0.0.1:0", "--jwt", "eddsa", option, &value];
            let started = files.program(&line);
            let stderr = String::from_utf8_lossy(&started.stderr);
            assert!(
                !started.status.success() && stderr.contains(name),
                "{option} {name}: {stderr}"
            );
            assert_eq!(fs::read_to_string(files.path(name)).ok().as_deref(), Some(content));
            assert_eq!(mode(&files.path(name)), 0o644, "{option} {name}");
            // What the other settings made by themselves is theirs.
            let mut after = files.names();
            after.retain(|other| before.contains(other) || other.starts_with(name));
            assert_eq!(sorted(after), sorted(before), "{option} {name}");
        }
    }
}

#[test]
fn another_programs_database_keeps_its_mode_its_journal_and_its_tables() {
    for journal in ["delete", "wal"] {
        let files = Files::with_ada();
        let path = files.path("other.sqlite");
        let other = rusqlite::Connection::open(&path).expect("it is made");
        other.pragma_update(None, "journal_mode", journal).expect("it can be chosen");
        other.execute_batch("CREATE TABLE theirs (x)").expect("it is made");
        drop(other);
        let wide = fs::Permissions::from_mode(0o644);
        fs::set_permissions(&path, wide).expect("it is ours");
        let (bytes, names) = (fs::read(&path).expect("it is there"), sorted(files.names()));
        let store = "sqlite:data/other.sqlite";
        let started = files.program(&["serve", "--listen", "127.0.0.1:0", "--store", store]);
        let stderr = String::from_utf8_lossy(&started.stderr);
        assert!(!started.status.success(), "{stderr}");
        assert!(stderr.contains("another program's database"), "{stderr}");
        assert_eq!(fs::read(&path).ok(), Some(bytes), "{journal}");
        assert_eq!((mode(&path), sorted(files.names())), (0o644, names), "{journal}");
    }
}

#[test]
fn no_lock_follows_a_link_and_a_link_as_data_file_leads_to_the_file() {
    for (store, name) in [("file", "auth_tokens.json"), ("sqlite", "auth_tokens.sqlite")] {
        let files = Files::with_ada();
        let volume = files.path("").with_file_name("volume");
        fs::create_dir(&volume).expect("the name is free");
        fs::write(volume.join(name), "").expect("it is ours");
        symlink(volume.join(name), files.path(name)).expect("the name is free");
        let start = || Server::start_with(&files, &["--store", store]);
        let server = start();
        let token = server.login();
        server.kill();
        // A redeploy: the folder is new, and the link and the volume are there again.
        assert!(fs::symlink_metadata(files.path(name)).is_ok_and(|found| found.is_symlink()));
        assert_eq!(start().get("/auth/me", &token).status, StatusCode::OK, "{store}");
        fs::remove_file(volume.join(name)).expect("it is ours");
        let refused = files.program(&["serve", "--listen", "127.0.0.1:0", "--store", store]);
        let stderr = String::from_utf8_lossy(&refused.stderr);
        assert!(stderr.contains("a link that leads to no file"), "{stderr}");

        let files = Files::with_ada();
        let elsewhere = files.path("elsewhere");
        symlink(&elsewhere, files.path(&format!("{name}.lock"))).expect("the name is free");
        let refused = files.program(&["serve", "--listen", "127.0.0.1:0", "--store", store]);
        assert!(!refused.status.success() && !elsewhere.exists(), "{refused:?}");
    }
}

#[test]
fn what_must_exist_and_does_not_is_an_error_and_no_new_empty_one() {
    for store in ["file", "sqlite"] {
        let files = Files::with_ada();
        let more = ["--store-must-exist", "--store", store, "--jwt", "eddsa"];
        let serve = [&["serve", "--listen", "127.0.0.1:0"][..], &more].concat();
        assert!(!files.program(&serve).status.success());
        let made = files.program(&[&["init"][..], &more[1..]].concat());
        assert!(made.status.success(), "{made:?}");
        let token = Server::start_with(&files, &more).login();
        let file = if store == "file" { "auth_tokens.json" } else { "auth_tokens.sqlite" };
        for name in [file, "users.json", "keys.json"] {
            let away = files.path("away");
            fs::rename(files.path(name), &away).expect("it is ours");
            let refused = files.program(&serve);
            let stderr = String::from_utf8_lossy(&refused.stderr);
            assert!(!refused.status.success(), "{name}: {stderr}");
            assert!(!files.path(name).exists(), "{name} was created again");
            fs::rename(&away, files.path(name)).expect("it is ours");
        }
        let server = Server::start_with(&files, &more);
        assert_eq!(server.get("/auth/me", &token).status, StatusCode::OK, "{store}");
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it exists").permissions().mode() & 0o777
}

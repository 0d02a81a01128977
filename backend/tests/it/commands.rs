//! The subcommands: what they refuse, and that they say why.

use std::fs;

use crate::support::{App, Files, PASSWORD, Server};

#[test]
fn a_user_who_exists_is_left_alone_unless_replaced() {
    let files = Files::with_ada();
    let before = fs::read_to_string(files.path("users.json")).expect("there are users");
    assert_refused(&files, &["user", "add", "ada", "--password-stdin"], "another one", "--replace");
    let after = fs::read_to_string(files.path("users.json")).expect("there are users");
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_replaced_password_counts_and_the_old_one_does_not() {
    let files = Files::with_ada();
    let replaced = files.program_with_input(
        &["user", "add", "ada", "--password-stdin", "--replace"],
        "another one\n",
    );
    assert!(replaced.status.success(), "{replaced:?}");
    let app = App::open(&files).await;
    assert_eq!(app.try_login("ada", PASSWORD).await.code(), "invalid_credentials");
    assert!(app.try_login("ada", "another one").await.status.is_success());
}

#[test]
fn a_name_or_password_that_cannot_be_is_refused_with_a_reason() {
    let files = Files::empty();
    let long = "x".repeat(101);
    let add = |name| ["user", "add", name, "--password-stdin"];
    assert_refused(&files, &add(""), PASSWORD, "name is empty");
    assert_refused(&files, &add("  "), PASSWORD, "name is empty");
    assert_refused(&files, &add(&long), PASSWORD, "over 100 characters");
    assert_refused(&files, &add("a\nb"), PASSWORD, "control characters");
    assert_refused(&files, &add("ada"), "", "password is empty");
    assert_refused(&files, &add("ada"), "\n", "password is empty");
    assert_refused(&files, &add("ada"), "1234567", "under 8 characters");
    assert!(!files.path("users.json").exists());
}

#[test]
fn a_password_is_stored_as_argon2id_only() {
    let files = Files::with_ada();
    let text = fs::read_to_string(files.path("users.json")).expect("there are users");
    assert!(text.contains("$argon2id$") && !text.contains(PASSWORD), "{text}");
}

#[test]
fn revoking_without_a_store_is_refused_with_a_reason() {
    let files = Files::empty();
    assert_refused(&files, &["token", "revoke", "--all"], "", "does not exist");
    let memory = ["token", "revoke", "--all", "--store", "memory"];
    assert_refused(&files, &memory, "", "restart the server");
    assert!(!files.path("").exists());
}

#[tokio::test]
async fn revoking_where_nothing_is_to_be_revoked_is_a_failure_that_says_so() {
    let files = Files::with_ada();
    let app = App::open(&files).await;
    let revoke =
        |who: &'static [&'static str]| [&["token", "revoke", "--store", "file"], who].concat();
    // The store of no server, or another one than the server's, looks like this.
    assert_refused(&files, &revoke(&["--all"]), "", "is it the server's store?");
    app.login().await;
    assert_refused(&files, &revoke(&["--user", "nobody"]), "", "no session of user nobody");
    assert!(files.program(&revoke(&["--user", "ada"])).status.success());
    assert_refused(&files, &revoke(&["--user", "ada"]), "", "nothing was ended");
}

#[test]
fn commands_take_the_settings_of_serve_from_one_file() {
    let files = Files::with_ada();
    let settings =
        "# both read it\nTOKEN_STORE=file:data/other.json\nUSERS_FILE='data/people.json'\n";
    fs::write(files.path("settings"), settings).expect("the folder is ours");
    fs::rename(files.path("users.json"), files.path("people.json")).expect("it is ours");
    let server = Server::start_with(&files, &["--env-file", "data/settings"]);
    let token = server.login();
    assert!(files.path("other.json").exists() && !files.path("auth_tokens.sqlite").exists());
    let listed = files.program(&["user", "list", "--env-file=data/settings"]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout), "ada\n");
    let revoke = ["token", "revoke", "--all", "--env-file", "data/settings"];
    assert!(files.program(&revoke).status.success());
    assert_eq!(server.get("/auth/me", &token).code(), "invalid_token");
    // The command line goes before the file.
    let elsewhere = [&revoke[..], &["--store", "file:data/nowhere.json"]].concat();
    assert_refused(&files, &elsewhere, "", "data/nowhere.json does not exist");
    fs::write(files.path("settings"), "TOKEN_STORE").expect("the folder is ours");
    assert_refused(&files, &revoke, "", "line 1");
}

#[test]
fn a_server_that_cannot_work_says_why_and_does_not_start() {
    let files = Files::with_ada();
    let server = Server::start(&files);
    assert_refused(&files, &["serve", "--listen", server.address()], "", "choose another --listen");
    fs::create_dir(files.path("folder")).expect("the name is free");
    let folder = ["serve", "--listen", "127.0.0.1:0", "--store", "file:data/folder"];
    assert_refused(&files, &folder, "", "cannot use data/folder");
    let origin = ["serve", "--listen", "127.0.0.1:0", "--allow-origin", "*"];
    assert_refused(&files, &origin, "", "scheme://host");
}

fn assert_refused(files: &Files, arguments: &[&str], input: &str, reason: &str) {
    let output = files.program_with_input(arguments, input);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{arguments:?}");
    assert!(stderr.contains(reason), "{reason:?} in {stderr}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

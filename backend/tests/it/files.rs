//! The files: who may read them, what happens to a broken one, and two processes on one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use session_keeper_backend::tokens::Token;

use crate::support::{Answer, App, Files, PASSWORD};

#[tokio::test]
async fn nobody_else_may_read_the_files() {
    let files = Files::with_ada();
    let app = App::open(&files).await;
    let token = app.login().await;
    app.post("/api/tags", &token, &json!({ "name": "north" })).await;
    assert_eq!(mode(&files.path("")), 0o700);
    for name in files.names() {
        assert_eq!(mode(&files.path(&name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_file_that_others_could_read_is_narrowed_at_the_start() {
    let files = Files::with_ada();
    fs::write(files.store(), "{}").expect("it can be written");
    fs::set_permissions(files.store(), fs::Permissions::from_mode(0o644)).expect("it is ours");
    App::open(&files).await;
    assert_eq!(mode(&files.store()), 0o600);
}

#[tokio::test]
async fn the_file_holds_the_session_but_not_its_token() {
    let files = Files::with_ada();
    let app = App::open(&files).await;
    let token = app.login().await;
    let text = fs::read_to_string(files.store()).expect("there is a store");
    assert!(!text.contains(&token));
    let rows: Value = serde_json::from_str(&text).expect("it is JSON");
    let rows = rows.as_object().expect("it is an object");
    let (hash, row) = rows.iter().next().expect("there is a row");
    assert_eq!(hash.len(), 64);
    assert_eq!(rows.len(), 1);
    for (field, expected) in [
        ("username", "ada"),
        ("created_at", "2030-03-17T17:46:40.000Z"),
        ("expires_at", "2030-03-24T17:46:40.000Z"),
    ] {
        assert_eq!(row[field], expected);
    }
}

#[tokio::test]
async fn a_file_of_the_first_version_is_read_as_it_is() {
    let files = Files::with_ada();
    let token = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let row = json!({
        "username": "ada",
        "created_at": "2030-03-17T00:00:00.000Z",
        "expires_at": "2030-03-24T00:00:00.000Z",
    });
    let hash = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925";
    let rows = json!({ hash: row });
    fs::write(files.store(), rows.to_string()).expect("the folder is ours");
    let app = App::open(&files).await;
    assert_eq!(app.get("/auth/me", token).await.json()["username"], "ada");
    let sessions = app.get("/auth/sessions", token).await.json();
    assert_eq!(sessions["sessions"][0]["device"], "Unknown on unknown");
}

#[tokio::test]
async fn what_expired_a_day_ago_is_dropped_at_the_next_write() {
    let files = Files::with_ada();
    let app = App::open_with(&files, &["--token-seconds", "60"]).await;
    app.login().await;
    for (seconds, kept) in [(60, 2), (86_399, 3), (1, 3)] {
        app.advance(Duration::from_secs(seconds));
        app.login().await;
        let text = fs::read_to_string(files.store()).expect("there is a store");
        assert_eq!(text.matches("expires_at").count(), kept, "{text}");
    }
}

#[tokio::test]
async fn a_clock_that_is_ahead_for_a_while_ends_no_session_for_good() {
    let files = Files::with_ada();
    let (app, ahead) = (App::open(&files).await, App::open(&files).await);
    let token = app.login().await;
    ahead.advance(Duration::from_secs(7 * 86_400 + 3600));
    assert_eq!(ahead.get("/auth/me", &token).await.status, StatusCode::UNAUTHORIZED);
    ahead.login().await;
    assert_eq!(app.get("/auth/me", &token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn tokens_and_tags_outlive_the_app() {
    let files = Files::with_ada();
    let before = App::open(&files).await;
    let token = before.login().await;
    before.post("/api/tags", &token, &json!({ "name": "north" })).await;
    drop(before);
    let after = App::open(&files).await;
    let answer = after.post("/api/tags", &token, &json!({ "name": "south" })).await;
    assert_eq!(answer.json(), json!({ "tags": ["north", "south"] }));
}

#[tokio::test]
async fn two_servers_on_one_file_lose_no_session_of_each_other() {
    let files = Files::with_ada();
    let (one, other) = (App::open(&files).await, App::open(&files).await);
    let tokens: Vec<String> = login_at_once(&one, &other).await;
    assert_eq!(tokens.len(), 16);
    for token in &tokens {
        assert_eq!(one.get("/auth/me", token).await.status, StatusCode::OK);
        assert_eq!(other.get("/auth/me", token).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn an_empty_file_is_a_new_one() {
    let files = Files::with_ada();
    fs::write(files.store(), "").expect("it can be written");
    let app = App::open(&files).await;
    let token = app.login().await;
    assert_eq!(app.get("/auth/me", &token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_file_that_becomes_corrupt_signs_nobody_out() {
    let files = Files::with_ada();
    let app = App::open(&files).await;
    let token = app.login().await;
    fs::write(files.store(), "{ half a fi").expect("it can be written");
    assert_eq!(app.get("/auth/me", &token).await.status, StatusCode::OK);
    assert_eq!(set_aside(&files).len(), 1);
    // The repaired file is whole for whoever starts next.
    assert_eq!(App::open(&files).await.get("/auth/me", &token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_503_until_it_can_be_and_never_401() {
    let files = Files::with_ada();
    let app = App::open(&files).await;
    let token = app.login().await;
    let kept = files.path("kept");
    fs::rename(files.store(), &kept).expect("it is ours");
    fs::create_dir(files.store()).expect("the name is free");
    assert_unavailable(&app.get("/auth/me", &token).await);
    assert_unavailable(&app.post("/api/tags", &token, &json!({ "name": "x" })).await);
    assert_unavailable(&app.post("/auth/logout", &token, &Value::Null).await);
    fs::remove_dir(files.store()).expect("it is empty");
    fs::rename(&kept, files.store()).expect("it is ours");
    assert_eq!(app.get("/auth/me", &token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_sign_in_that_cannot_be_stored_hands_out_no_token() {
    let files = Files::with_ada();
    let app = App::open(&files).await;
    // No temporary file can be made: what a full or read-only disk does.
    fs::create_dir(files.path("auth_tokens.json.new")).expect("the name is free");
    let answer = app.try_login("ada", PASSWORD).await;
    assert_unavailable(&answer);
    assert!(answer.json().get("access_token").is_none());
    fs::remove_dir(files.path("auth_tokens.json.new")).expect("it is empty");
    app.login().await;
}

#[tokio::test]
async fn a_folder_that_is_gone_is_503_until_it_is_back() {
    let files = Files::with_ada();
    let app = App::open(&files).await;
    let token = app.login().await;
    let away = files.path("").with_file_name("away");
    fs::rename(files.path(""), &away).expect("it is ours");
    assert_unavailable(&app.get("/auth/me", &token).await);
    assert_unavailable(&app.try_login("ada", PASSWORD).await);
    fs::rename(&away, files.path("")).expect("it is ours");
    assert_eq!(app.get("/auth/me", &token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_file_that_is_gone_is_503_until_it_is_back_or_the_server_starts_again() {
    let files = Files::with_ada();
    let app = App::open(&files).await;
    let token = app.login().await;
    app.post("/api/tags", &token, &json!({ "name": "north" })).await;
    let away = |name: &str| (files.path(name), files.path(&format!("{name}.away")));
    for name in ["auth_tokens.json", "users.json", "tags.json"] {
        let (file, aside) = away(name);
        fs::rename(&file, &aside).expect("it is ours");
        let answer = match name {
            "auth_tokens.json" => app.get("/auth/me", &token).await,
            "tags.json" => app.get("/api/tags", &token).await,
            _ => app.try_login("ada", PASSWORD).await,
        };
        assert_unavailable(&answer);
        assert_unavailable(&match name {
            "tags.json" => app.post("/api/tags", &token, &json!({ "name": "south" })).await,
            _ => app.try_login("ada", PASSWORD).await,
        });
        assert!(!file.exists(), "{name} was created again");
        fs::rename(&aside, &file).expect("it is ours");
        assert_eq!(app.get("/auth/me", &token).await.status, StatusCode::OK);
    }
    fs::remove_file(files.store()).expect("it is ours");
    assert_unavailable(&app.get("/auth/me", &token).await);
    let again = App::open(&files).await;
    assert_eq!(again.get("/auth/me", &token).await.code(), "invalid_token");
}

#[tokio::test]
async fn a_row_that_cannot_be_understood_is_503_and_harms_no_other() {
    let files = Files::with_ada();
    let app = App::open(&files).await;
    let (odd, other) = (app.login().await, app.login().await);
    let text = fs::read_to_string(files.store()).expect("there is a store");
    let rows: Value = serde_json::from_str(&text).expect("it is JSON");
    let hash = Token::parse(odd.as_bytes()).expect("it is a token").hash().to_string();
    for (change, field) in [
        (json!("elevated"), "kind"),
        (json!("yesterday"), "expires_at"),
        (json!({ "at": "once" }), "rotated"),
    ] {
        let mut changed = rows.clone();
        changed[&hash][field] = change.clone();
        fs::write(files.store(), changed.to_string()).expect("it is ours");
        for app in [&app, &App::open(&files).await] {
            assert_eq!(app.get("/auth/me", &other).await.status, StatusCode::OK, "{field}");
            assert_unavailable(&app.get("/auth/me", &odd).await);
            app.login().await;
        }
        assert_eq!(set_aside(&files), [""; 0], "{field}");
        let text = fs::read_to_string(files.store()).expect("there is a store");
        let now: Value = serde_json::from_str(&text).expect("it is JSON");
        assert_eq!(now[&hash][field], change, "it stays for whoever understands it");
        fs::write(files.store(), rows.to_string()).expect("it is ours");
        assert_eq!(app.get("/auth/me", &odd).await.status, StatusCode::OK, "{field}");
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_understood_is_signed_out_with_the_others_of_its_user() {
    let files = Files::with_ada();
    let app = App::open(&files).await;
    app.login().await;
    let text = fs::read_to_string(files.store()).expect("there is a store");
    fs::write(files.store(), text.replace("\"access\"", "\"newer\"")).expect("it is ours");
    let revoke = |user| ["token", "revoke", "--user", user, "--store", "file"];
    let revoked = |user| String::from_utf8(files.program(&revoke(user)).stdout);
    assert_eq!(revoked("grace").as_deref(), Ok(""));
    assert_eq!(revoked("ada").as_deref(), Ok("revoked 1\n"));
}

#[tokio::test]
async fn users_and_tags_that_cannot_be_parsed_are_an_error_and_left_alone() {
    for (name, path, body) in [
        ("users.json", "/auth/login", json!({ "username": "ada", "password": PASSWORD })),
        ("tags.json", "/api/tags", json!({ "name": "south" })),
    ] {
        let files = Files::with_ada();
        let app = App::open(&files).await;
        let token = app.login().await;
        app.post("/api/tags", &token, &json!({ "name": "north" })).await;
        let whole = fs::read_to_string(files.path(name)).expect("it is there");
        let corrupt = whole.replacen('}', ",}", 1);
        fs::write(files.path(name), &corrupt).expect("it is ours");
        assert_unavailable(&app.post(path, &token, &body).await);
        let started = files.program(&["serve", "--listen", "127.0.0.1:0", "--store", "file"]);
        let stderr = String::from_utf8_lossy(&started.stderr);
        assert!(!started.status.success() && stderr.contains(name), "{stderr}");
        assert_eq!(fs::read_to_string(files.path(name)).ok(), Some(corrupt), "{name}");
        fs::write(files.path(name), whole).expect("it is ours");
        assert!(app.post(path, &token, &body).await.status.is_success(), "{name}");
    }
}

fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert_eq!(answer.code(), "store_unavailable");
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(answer.header("www-authenticate"), None);
}

/// Eight sign-ins on each of two apps, all at once.
async fn login_at_once(one: &App, other: &App) -> Vec<String> {
    let mut logins = tokio::task::JoinSet::new();
    for app in [one, other].repeat(8) {
        let app = app.clone();
        logins.spawn(async move { app.login().await });
    }
    logins.join_all().await
}

fn set_aside(files: &Files) -> Vec<String> {
    let mut names = files.names();
    names.retain(|name| name.starts_with("auth_tokens.json.corrupt-"));
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it exists").permissions().mode() & 0o777
}

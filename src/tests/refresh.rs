use std::cell::Cell;
use std::rc::Rc;

use session_keeper_core::{Duration, Notice, SessionState};
use wasm_bindgen_test::wasm_bindgen_test;

use super::{pause, script};
use crate::{Keeper, Options, RefreshFormat, Token, global, json};

/// Answers of the API: a user, and to a POST this one. What was posted is left in `window.posted`.
fn serve(answer: &str) {
    script(&format!(
        "window.real ??= window.fetch; window.posted = [];
         const json = (body, status) => new Response(JSON.stringify(body),
           {{ status, headers: {{ 'Content-Type': 'application/json' }} }});
         window.fetch = async (input, init) => {{
           const request = new Request(input, init);
           if (request.method !== 'POST') return json({{ name: 'ada' }});
           window.posted.push({{ url: request.url, body: await request.text(),
             type: request.headers.get('content-type'), credentials: request.credentials }});
           return {answer};
         }}"
    ));
}

/// Signed in with a token that is to be refreshed, and asked for a newer one. Returns the keeper
/// when it has answered.
async fn refreshed(options: Options, answer: &str) -> (Keeper, bool) {
    script("localStorage.clear()");
    serve(answer);
    let told = Rc::new(Cell::new(None));
    let tell = Rc::clone(&told);
    let keeper = Keeper::new(options, move |notice| {
        if matches!(notice, Notice::Refreshed | Notice::NotRefreshed) {
            tell.set(Some(*notice == Notice::Refreshed));
        }
    });
    keeper.start();
    keeper.sign_in(Token::new("old").with_refresh("r+1").living_for(Duration::from_secs(3_600)));
    keeper.refresh();
    for _ in 0..1_000 {
        if told.get().is_some() {
            break;
        }
        pause().await;
    }
    script("window.fetch = window.real");
    (keeper, told.get().expect("the refresh ends"))
}

fn options() -> Options {
    Options::new(&global::origin().expect("a page has one")).expect("it is an address")
}

fn posted(key: &str) -> String {
    json::text(&script("window.posted[0]"), key).expect("something was posted")
}

#[wasm_bindgen_test]
async fn a_path_is_posted_json_with_the_attempt_and_its_newer_token_is_used() {
    let options = options().named("json").refresh_at("/auth/refresh", RefreshFormat::Json);
    let answer = "json({ access_token: 'new', refresh_token: 'r2', expires_in: '60' }, 200)";
    let (keeper, is_refreshed) = refreshed(options, answer).await;
    assert!(is_refreshed);
    assert_eq!(keeper.credential().as_deref(), Some("Bearer new"));
    assert!(posted("url").ends_with("/auth/refresh"));
    assert_eq!(posted("type"), "application/json");
    let body = json::parse(&posted("body")).expect("it is JSON");
    assert_eq!(json::text(&body, "refresh_token").as_deref(), Some("r+1"));
    assert_eq!(json::text(&body, "attempt").map(|id| id.len()), Some(16));
    let stored = json::parse(&script("localStorage.json").as_string().expect("it is stored"));
    let stored = stored.expect("it is JSON");
    assert_eq!(json::text(&stored, "refresh_token").as_deref(), Some("r2"));
    assert_eq!(json::number(&stored, "lifetime"), Some(60_000));
    keeper.stop();
}

#[wasm_bindgen_test]
async fn an_oauth_server_is_posted_a_form() {
    let format = RefreshFormat::OAuth { client_id: Some("web app".into()) };
    let options = options().named("oauth").refresh_at("/oauth/token", format);
    let (keeper, is_refreshed) = refreshed(options, "json({ access_token: 'new' }, 200)").await;
    assert!(is_refreshed);
    assert_eq!(posted("type"), "application/x-www-form-urlencoded");
    let form = "grant_type=refresh_token&refresh_token=r%2B1&client_id=web%20app";
    assert_eq!(posted("body"), form);
    keeper.stop();
}

#[wasm_bindgen_test]
async fn what_is_no_answer_with_a_token_ends_nothing() {
    for answer in ["json({ ok: true }, 200)", "json({}, 503)", "new Response('<p>')"] {
        let options = options().named("none").refresh_at("/auth/refresh", RefreshFormat::Json);
        let (keeper, is_refreshed) = refreshed(options, answer).await;
        assert!(!is_refreshed, "{answer}");
        assert_eq!(keeper.credential().as_deref(), Some("Bearer old"));
        assert_ne!(keeper.snapshot().session, SessionState::SignedOut);
        keeper.stop();
    }
}

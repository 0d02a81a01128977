use std::cell::RefCell;
use std::rc::Rc;

use session_keeper_core::{Confirm, Notice};
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::spawn_local;
use wasm_bindgen_test::wasm_bindgen_test;
use web_sys::{AbortController, Request, RequestInit, Response};

use super::{filled, pause, script};
use crate::options::{Options, Persist};
use crate::{CrossOriginRedirects, FetchError, FetchOptions, Keeper, Retry, Token, json};

const API: &str = "https://api.example.com";

/// A signed-in keeper on a page whose `fetch` is the test's: `answers` holds what each path
/// answers, in turn and the last one for ever. What was asked is left in `window.asked`.
struct Page {
    keeper: Keeper,
    notices: Rc<RefCell<Vec<Notice>>>,
}

impl Page {
    fn open(answers: &str) -> Self {
        Self::open_with(answers, |options| options)
    }

    fn open_with(answers: &str, change: impl FnOnce(Options) -> Options) -> Self {
        script(&format!(
            "window.real ??= window.fetch; window.asked = [];
             const answers = {{ '/auth/me': [200], '/api/health': [200], ...{answers} }};
             window.fetch = async (input, init) => {{
               const request = new Request(input, init);
               const {{ pathname }} = new URL(request.url);
               const body = await request.clone().text();
               const {{ method, mode, redirect, credentials }} = request;
               const authorization = request.headers.get('authorization');
               window.asked.push(
                 {{ pathname, method, body, mode, redirect, credentials, authorization }});
               const left = answers[pathname];
               const status = left.length > 1 ? left.shift() : left[0];
               if (!status) throw new TypeError('Failed to fetch');
               const headers = {{ 'content-type': 'application/json' }};
               return new Response(JSON.stringify({{ name: 'demo' }}), {{ status, headers }});
             }}"
        ));
        let options = Options::new(API).expect("it is an address").persist(Persist::Memory);
        let mut options = change(options);
        options.core.confirm = Confirm::Immediate;
        let notices = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&notices);
        let keeper = Keeper::new(options, move |notice| seen.borrow_mut().push(notice.clone()));
        keeper.start();
        keeper.sign_in(Token::new("canary-token"));
        Self { keeper, notices }
    }

    async fn get(&self, url: &str) -> Result<Response, FetchError> {
        self.send(url, "GET", FetchOptions::default()).await
    }

    async fn send(
        &self,
        url: &str,
        method: &str,
        allowed: FetchOptions,
    ) -> Result<Response, FetchError> {
        self.keeper.fetch(request(url, method), allowed).await
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.keeper.stop();
        script("window.fetch = window.real");
    }
}

fn request(url: &str, method: &str) -> Request {
    let init = RequestInit::new();
    init.set_method(method);
    if method == "POST" {
        init.set_body(&"a body".into());
    }
    Request::new_with_str_and_init(url, &init).expect("it is a request")
}

fn status(outcome: &Result<Response, FetchError>) -> u16 {
    outcome.as_ref().map_or(0, Response::status)
}

/// What was asked of this path, one member of each request.
fn asked(path: &str, member: &str) -> Vec<Option<String>> {
    let asked = script(&format!("window.asked.filter((it) => it.pathname === '{path}')"));
    let asked: js_sys::Array = asked.unchecked_into();
    asked.iter().map(|request| json::text(&request, member)).collect()
}

#[wasm_bindgen_test]
async fn the_credential_goes_to_the_api_and_nowhere_else() {
    let page = Page::open("{ '/nodes': [200] }");
    assert_eq!(status(&page.get(&[API, "/nodes"].concat()).await), 200);
    for elsewhere in ["https://elsewhere.example/nodes", "https://api.example.com.evil/nodes"] {
        assert_eq!(status(&page.get(elsewhere).await), 200);
    }
    let sent = asked("/nodes", "authorization");
    assert_eq!(sent, [Some("Bearer canary-token".into()), None, None]);
    assert_eq!(asked("/nodes", "redirect")[0].as_deref(), Some("manual"));
}

#[wasm_bindgen_test]
async fn a_401_that_is_refuted_is_asked_once_more_where_that_is_harmless() {
    let page = Page::open("{ '/a': [401, 200], '/b': [401, 200], '/c': [401, 201] }");
    let url = |path: &str| [API, path].concat();
    assert_eq!(status(&page.get(&url("/a")).await), 200);
    let retried = FetchOptions { retry: Retry::Always, ..FetchOptions::default() };
    assert_eq!(status(&page.send(&url("/c"), "POST", retried).await), 201);
    let body = Some("a body".to_owned());
    assert_eq!(asked("/c", "body"), [body.clone(), body]);
    assert!(page.keeper.credential().is_some(), "signed out");
}

#[wasm_bindgen_test]
async fn a_401_of_a_session_that_is_over_is_handed_out_after_the_sign_out() {
    let page = Page::open("{ '/nodes': [401], '/auth/me': [200, 401] }");
    while asked("/auth/me", "method").is_empty() {
        pause().await;
    }
    let outcome = page.send(&[API, "/nodes"].concat(), "POST", FetchOptions::default()).await;
    assert_eq!(status(&outcome), 401);
    assert_eq!(page.keeper.credential(), None);
    let notices = page.notices.borrow();
    assert!(notices.iter().any(|notice| matches!(notice, Notice::SignedOut(_))));
}

#[wasm_bindgen_test]
async fn a_request_that_met_an_outage_is_sent_again_when_the_server_is_back() {
    for failure in ["503", "0"] {
        let page = Page::open(&format!("{{ '/nodes': [{failure}, 200] }}"));
        assert_eq!(status(&page.get(&[API, "/nodes"].concat()).await), 200, "{failure}");
        let page = Page::open(&format!("{{ '/nodes': [{failure}, 200] }}"));
        let posted = page.send(&[API, "/nodes"].concat(), "POST", FetchOptions::default()).await;
        assert_ne!(status(&posted), 200, "what may change something was sent twice");
    }
}

#[wasm_bindgen_test]
async fn the_signal_of_the_app_ends_the_wait_with_its_reason() {
    let page = Page::open("{ '/nodes': [401], '/auth/me': [503], '/api/health': [503] }");
    let controller = AbortController::new().expect("browsers have it");
    let init = RequestInit::new();
    init.set_signal(Some(&controller.signal()));
    let url = [API, "/nodes"].concat();
    let request = Request::new_with_str_and_init(&url, &init).expect("it is a request");
    let slot = Rc::new(RefCell::new(None));
    let (keeper, filling) = (page.keeper.clone(), Rc::clone(&slot));
    spawn_local(async move {
        let outcome = keeper.fetch(request, FetchOptions::default()).await;
        *filling.borrow_mut() = Some(outcome.map(|_| ()));
    });
    while asked("/nodes", "method").is_empty() {
        pause().await;
    }
    pause().await;
    assert!(slot.borrow().is_none(), "it was not held");
    controller.abort_with_reason(&"left the page".into());
    match filled(&slot).await {
        Err(FetchError::Rejected(reason)) => assert_eq!(reason, JsValue::from("left the page")),
        other => panic!("{other:?}"),
    }
}

#[wasm_bindgen_test]
async fn what_the_apps_own_function_throws_is_no_news_of_the_network() {
    let throws =
        "(request) => { if (request.url.endsWith('/nodes')) throw 'no key'; return request }";
    let page = Page::open_with("{ '/nodes': [200] }", |options| {
        options.authorize(script(&format!("({throws})")).unchecked_into())
    });
    match page.get(&[API, "/nodes"].concat()).await {
        Err(FetchError::NotSent(thrown)) => assert_eq!(thrown, JsValue::from("no key")),
        other => panic!("{other:?}"),
    }
    assert!(asked("/nodes", "method").is_empty());
}

#[wasm_bindgen_test]
async fn more_than_may_wait_are_refused_and_a_stop_gives_the_others_back() {
    let page = Page::open_with(
        "{ '/nodes': [401], '/auth/me': [503], '/api/health': [503] }",
        |mut options| {
            options.core.app_requests.max_waiting = 1;
            options
        },
    );
    let slot = Rc::new(RefCell::new(None));
    let (keeper, filling) = (page.keeper.clone(), Rc::clone(&slot));
    let url = [API, "/nodes"].concat();
    let first = request(&url, "GET");
    spawn_local(async move {
        let outcome = keeper.fetch(first, FetchOptions::default()).await;
        *filling.borrow_mut() = Some(status(&outcome));
    });
    while asked("/nodes", "method").is_empty() {
        pause().await;
    }
    pause().await;
    let second = page.get(&url).await;
    assert!(matches!(second, Err(FetchError::TooManyWaiting)), "{second:?}");
    page.keeper.stop();
    assert_eq!(filled(&slot).await, 401);
}

#[wasm_bindgen_test]
async fn a_redirect_may_be_followed_to_a_store_where_the_app_allows_it() {
    let page = Page::open("{ '/file': [200] }");
    let allowed = FetchOptions {
        cross_origin_redirects: CrossOriginRedirects::Follow,
        ..FetchOptions::default()
    };
    assert_eq!(status(&page.send(&[API, "/file"].concat(), "GET", allowed).await), 200);
    assert_eq!(asked("/file", "redirect")[0].as_deref(), Some("follow"));
}

#[wasm_bindgen_test]
async fn cookies_are_sent_by_the_browser_in_cookie_mode() {
    let page = Page::open_with("{ '/nodes': [200] }", Options::cookie);
    assert_eq!(status(&page.get(&[API, "/nodes"].concat()).await), 200);
    assert_eq!(asked("/nodes", "credentials")[0].as_deref(), Some("include"));
    assert_eq!(asked("/nodes", "authorization"), [None]);
}

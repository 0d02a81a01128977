//! The options as `js/src/options.ts` hands them over: checked, complete and by name.
//!
//! Rule: read once, into [`Options`]; nothing else of the shell sees the page's object.

use js_sys::Function;
use session_keeper_core::{
    AppRequestOptions, Chance, Confirm, Duration, HealthOptions, OnUnauthorized,
    Options as CoreOptions, RefreshOptions, VerifyOptions, WhenHidden,
};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::options::{Auth, Csrf, HealthCredentials, Options, Persist};
use crate::refresh::{By, Refresh};

#[wasm_bindgen]
extern "C" {
    /// `Options` of `js/src/options.ts`.
    #[wasm_bindgen(typescript_type = "Options")]
    pub type NpmOptions;

    #[wasm_bindgen(method, getter)]
    fn base(this: &NpmOptions) -> String;
    #[wasm_bindgen(method, getter)]
    fn origin(this: &NpmOptions) -> String;
    #[wasm_bindgen(method, getter)]
    fn name(this: &NpmOptions) -> String;
    #[wasm_bindgen(method, getter)]
    fn authorize(this: &NpmOptions) -> Option<Function>;
    #[wasm_bindgen(method, getter)]
    fn scheme(this: &NpmOptions) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn health(this: &NpmOptions) -> Option<NpmHealth>;
    #[wasm_bindgen(method, getter)]
    fn verify(this: &NpmOptions) -> NpmVerify;
    /// None stands for `confirm: "immediate"`.
    #[wasm_bindgen(method, getter, js_name = maxFalseSignOut)]
    fn max_false_sign_out(this: &NpmOptions) -> Option<f64>;
    #[wasm_bindgen(method, getter, js_name = signOutPath)]
    fn sign_out_path(this: &NpmOptions) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn refresh(this: &NpmOptions) -> Option<NpmRefresh>;
    #[wasm_bindgen(method, getter)]
    fn acquire(this: &NpmOptions) -> Option<NpmRefresh>;
    #[wasm_bindgen(method, getter)]
    fn csrf(this: &NpmOptions) -> Option<NpmCsrf>;
    #[wasm_bindgen(method, getter, js_name = waitMs)]
    fn wait_ms(this: &NpmOptions) -> f64;
    #[wasm_bindgen(method, getter, js_name = maxWaiting)]
    fn max_waiting(this: &NpmOptions) -> u32;
    #[wasm_bindgen(method, getter)]
    fn on401(this: &NpmOptions) -> String;
    #[wasm_bindgen(method, getter)]
    fn persist(this: &NpmOptions) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn adapter(this: &NpmOptions) -> Option<JsValue>;

    type NpmCsrf;

    #[wasm_bindgen(method, getter)]
    fn header(this: &NpmCsrf) -> String;
    #[wasm_bindgen(method, getter, js_name = sendRequest)]
    fn send_request(this: &NpmCsrf) -> Function;
    #[wasm_bindgen(method, getter)]
    fn learn(this: &NpmCsrf) -> Function;
    #[wasm_bindgen(method, getter)]
    fn forget(this: &NpmCsrf) -> Function;

    type NpmRefresh;

    #[wasm_bindgen(method, getter)]
    fn run(this: &NpmRefresh) -> Function;
    #[wasm_bindgen(method, getter)]
    fn read(this: &NpmRefresh) -> Function;
    #[wasm_bindgen(method, getter, js_name = needsToken)]
    fn needs_token(this: &NpmRefresh) -> bool;
    #[wasm_bindgen(method, getter, js_name = marginMs)]
    fn margin_ms(this: &NpmRefresh) -> Option<f64>;

    type NpmHealth;

    #[wasm_bindgen(method, getter)]
    fn path(this: &NpmHealth) -> String;
    #[wasm_bindgen(method, getter)]
    fn credentials(this: &NpmHealth) -> Option<String>;
    #[wasm_bindgen(method, getter, js_name = everyMs)]
    fn every_ms(this: &NpmHealth) -> f64;
    #[wasm_bindgen(method, getter, js_name = timeoutMs)]
    fn timeout_ms(this: &NpmHealth) -> f64;
    #[wasm_bindgen(method, getter, js_name = wakeTimeoutMs)]
    fn wake_timeout_ms(this: &NpmHealth) -> f64;
    #[wasm_bindgen(method, getter, js_name = hiddenForMs)]
    fn hidden_for_ms(this: &NpmHealth) -> f64;
    #[wasm_bindgen(method, getter, js_name = whenHidden)]
    fn when_hidden(this: &NpmHealth) -> String;

    type NpmVerify;

    #[wasm_bindgen(method, getter)]
    fn path(this: &NpmVerify) -> String;
    #[wasm_bindgen(method, getter)]
    fn classify(this: &NpmVerify) -> Option<Function>;
    #[wasm_bindgen(method, getter, js_name = everyMs)]
    fn every_ms(this: &NpmVerify) -> f64;
    #[wasm_bindgen(method, getter, js_name = timeoutMs)]
    fn timeout_ms(this: &NpmVerify) -> f64;
    #[wasm_bindgen(method, getter)]
    fn retries(this: &NpmVerify) -> u8;
    #[wasm_bindgen(method, getter, js_name = retryDelayMs)]
    fn retry_delay_ms(this: &NpmVerify) -> f64;
    #[wasm_bindgen(method, getter, js_name = whenIdleMs)]
    fn when_idle_ms(this: &NpmVerify) -> Option<f64>;
}

impl From<&NpmOptions> for Options {
    fn from(given: &NpmOptions) -> Self {
        let (health, verify, refresh) = (given.health(), given.verify(), given.refresh());
        Self {
            core: CoreOptions {
                health: health.as_ref().map(HealthOptions::from),
                verify: VerifyOptions::from(&verify),
                confirm: given
                    .max_false_sign_out()
                    .map_or(Confirm::Immediate, |most| Confirm::Below(Chance::of(most))),
                app_requests: AppRequestOptions {
                    wait: milliseconds(given.wait_ms()),
                    max_waiting: given.max_waiting() as usize,
                    on_unauthorized: match given.on401().as_str() {
                        "pass" => OnUnauthorized::Pass,
                        _ => OnUnauthorized::Settle,
                    },
                },
                refresh: refresh.as_ref().map(|refresh| RefreshOptions {
                    margin: refresh.margin_ms().map(milliseconds),
                    ..RefreshOptions::default()
                }),
                ..CoreOptions::default()
            },
            base: given.base(),
            origin: given.origin(),
            name: given.name(),
            health_path: health.as_ref().map(NpmHealth::path).unwrap_or_default(),
            health_credentials: health.and_then(|health| health_credentials(&health)),
            verify_path: verify.path(),
            sign_out_path: given.sign_out_path(),
            refresh: refresh.map(|refresh| Refresh {
                by: By::Page { run: refresh.run(), read: refresh.read() },
                needs_token: refresh.needs_token(),
            }),
            acquire: given.acquire().map(|acquire| Refresh {
                by: By::Page { run: acquire.run(), read: acquire.read() },
                needs_token: false,
            }),
            auth: match (given.authorize(), given.scheme()) {
                (Some(authorize), _) => Auth::App(authorize),
                (None, Some(scheme)) => Auth::Token { scheme },
                (None, None) => Auth::Cookie,
            },
            classify: verify.classify(),
            csrf: given.csrf().map(|csrf| Csrf {
                header: csrf.header(),
                send: csrf.send_request(),
                learn: csrf.learn(),
                forget: csrf.forget(),
            }),
            persist: match (given.adapter(), given.persist().as_deref()) {
                (Some(adapter), _) => Persist::Adapter(adapter),
                (None, Some("local")) => Persist::Local,
                (None, Some("session")) => Persist::Session,
                (None, _) => Persist::Memory,
            },
        }
    }
}

impl From<&NpmHealth> for HealthOptions {
    fn from(given: &NpmHealth) -> Self {
        Self {
            every: milliseconds(given.every_ms()),
            timeout: milliseconds(given.timeout_ms()),
            wake_timeout: milliseconds(given.wake_timeout_ms()),
            hidden_for: milliseconds(given.hidden_for_ms()),
            when_hidden: match given.when_hidden().as_str() {
                "pause" => WhenHidden::Pause,
                "always" => WhenHidden::Always,
                _ => WhenHidden::Ping,
            },
        }
    }
}

impl From<&NpmVerify> for VerifyOptions {
    fn from(given: &NpmVerify) -> Self {
        Self {
            every: milliseconds(given.every_ms()),
            timeout: milliseconds(given.timeout_ms()),
            retries: given.retries(),
            retry_delay: milliseconds(given.retry_delay_ms()),
            when_idle: given.when_idle_ms().map(milliseconds),
        }
    }
}

fn health_credentials(given: &NpmHealth) -> Option<HealthCredentials> {
    Some(match given.credentials()?.as_str() {
        "include" => HealthCredentials::Include,
        "same-origin" => HealthCredentials::SameOrigin,
        _ => HealthCredentials::Omit,
    })
}

/// The face has checked that it is a whole number in range.
fn milliseconds(given: f64) -> Duration {
    Duration::from_millis(given as u64)
}

//! The control: who may use it, and its three resources.
//!
//! Rule: it can end processes and delete sessions, so it takes the run's secret, a Host that no
//! rebound name can forge, and no Origin but the demo's own. It is never on the API's port.

use std::sync::Arc;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderMap, ORIGIN};
use hyper::{Method, Request, StatusCode};
use serde_json::json;
use subtle::ConstantTimeEq;

use crate::body::{Answer, json as json_answer};
use crate::orders::{self, Order};
use crate::proxy::Proxy;

/// Enough for the largest body of a fault that a test has a use for.
const BODY_LIMIT: usize = 1024 * 1024;

pub(crate) struct Control {
    proxy: Arc<Proxy>,
    secret: String,
    demo: DemoOrigins,
}

/// The two names under which this machine's own browser reaches the demo.
#[derive(Clone)]
pub(crate) struct DemoOrigins {
    hosts: [String; 2],
}

impl DemoOrigins {
    pub(crate) fn new(port: u16) -> Self {
        Self { hosts: [format!("127.0.0.1:{port}"), format!("localhost:{port}")] }
    }

    pub(crate) fn origins(&self) -> impl Iterator<Item = String> {
        self.hosts.iter().map(|host| format!("http://{host}"))
    }

    /// A name of a foreign site that was made to lead here would show in `Host`.
    pub(crate) fn is_host(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(HOST).map(|value| value.as_bytes());
        host.is_some_and(|host| self.hosts.iter().any(|own| own.as_bytes() == host))
    }

    fn is_own_or_absent(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(ORIGIN).into_iter();
        origins.all(|value| self.origins().any(|own| own.as_bytes() == value.as_bytes()))
    }
}

impl Control {
    pub(crate) fn new(proxy: Arc<Proxy>, secret: String, demo: DemoOrigins) -> Self {
        Self { proxy, secret, demo }
    }

    /// Answers what is below `/__platform/`.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Answer {
        if let Err(sentence) = self.admit(request.headers()) {
            return refusal(StatusCode::FORBIDDEN, sentence);
        }
        let path = request.uri().path().to_owned();
        match (path.as_str(), request.method()) {
            ("/__platform/state", &Method::GET) => self.state(),
            ("/__platform/do", &Method::POST) => self.carry_out(request).await,
            ("/__platform/requests", &Method::GET) => {
                json_answer(StatusCode::OK, &self.proxy.log.to_json())
            }
            ("/__platform/requests", &Method::DELETE) => {
                self.proxy.log.clear();
                json_answer(StatusCode::OK, &self.proxy.log.to_json())
            }
            ("/__platform/state" | "/__platform/do" | "/__platform/requests", _) => {
                refusal(StatusCode::METHOD_NOT_ALLOWED, "this method does nothing here")
            }
            _ => refusal(StatusCode::NOT_FOUND, "use /__platform/state, /do or /requests"),
        }
    }

    fn admit(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        if !self.demo.is_host(headers) {
            return Err("the Host must be 127.0.0.1 or localhost with the demo's port");
        }
        if !self.demo.is_own_or_absent(headers) {
            return Err("the Origin must be the demo's");
        }
        let given = headers.get("x-platform-secret").map_or(&b""[..], |value| value.as_bytes());
        if bool::from(given.ct_eq(self.secret.as_bytes())) {
            return Ok(());
        }
        Err("X-Platform-Secret must be the secret of this run")
    }

    fn state(&self) -> Answer {
        let supervisor = &self.proxy.supervisor;
        let state = supervisor.status().to_json(&supervisor.settings());
        json_answer(StatusCode::OK, &state)
    }

    async fn carry_out(&self, request: Request<Incoming>) -> Answer {
        let Ok(body) = Limited::new(request.into_body(), BODY_LIMIT).collect().await else {
            return refusal(StatusCode::BAD_REQUEST, "the body must be whole and below 1 MiB");
        };
        let order = match orders::parse(&body.to_bytes()) {
            Ok(order) => order,
            Err(mistake) => return refusal(StatusCode::BAD_REQUEST, &mistake),
        };
        match order {
            Order::Configure(change) => self.proxy.supervisor.configure(change),
            Order::Fault(fault) => self.proxy.faults.add(*fault),
            Order::Clear => self.proxy.faults.clear(),
            Order::Act(action) => match self.proxy.supervisor.order(action).await {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    return refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string());
                }
                None => {
                    let sentence = "the platform is shutting down";
                    return refusal(StatusCode::SERVICE_UNAVAILABLE, sentence);
                }
            },
        }
        self.state()
    }
}

fn refusal(status: StatusCode, sentence: &str) -> Answer {
    json_answer(status, &json!({ "error": sentence }))
}

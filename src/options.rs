//! What the app chooses for the shell: addresses, credential, store. What decides something is
//! in [`session_keeper_core::Options`].
//!
//! Rule: nothing here touches the page, so that options can be made on a server too.

use core::fmt;

use js_sys::Function;
use session_keeper_core::{Credential, OriginRelation, Probe, RefreshOptions};
use wasm_bindgen::JsValue;

use crate::refresh::{By, Refresh};
#[cfg(not(feature = "npm"))]
use crate::refresh_path::{RefreshFormat, RefreshPath};

/// The choices of one keeper, for Rust front ends. The npm package checks its own in `js/`.
pub struct Options {
    /// What decides. Its `credential`, `tell_sign_out`, `origin_relation` and `acquire` follow from
    /// what is below.
    pub core: session_keeper_core::Options,
    /// The API's address without a slash at its end.
    pub(crate) base: String,
    pub(crate) origin: String,
    /// The key of the record.
    pub(crate) name: String,
    pub(crate) health_path: String,
    pub(crate) health_credentials: Option<HealthCredentials>,
    pub(crate) verify_path: String,
    pub(crate) sign_out_path: Option<String>,
    pub(crate) refresh: Option<Refresh>,
    pub(crate) acquire: Option<Refresh>,
    pub(crate) auth: Auth,
    pub(crate) classify: Option<Function>,
    pub(crate) csrf: Option<Csrf>,
    pub(crate) persist: Persist,
}

/// What proves the user.
pub(crate) enum Auth {
    /// `Authorization` with this word before the token.
    Token { scheme: String },
    /// A cookie that scripts cannot read.
    Cookie,
    /// A function of the app gets each request and returns the one to send.
    App(Function),
}

/// Whether cookies travel with pings, where the app has said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthCredentials {
    /// Never.
    Omit,
    /// To the page's own origin.
    SameOrigin,
    /// Also to the API on another origin.
    Include,
}

/// What keeps the CSRF token of a cookie session: functions of the page (`js/src/csrf.ts`).
pub(crate) struct Csrf {
    /// Carries it, in requests and in answers.
    pub(crate) header: String,
    /// Gets a request that changes something and sends it with the token: a promise of the answer.
    pub(crate) send: Function,
    /// Gets the body of an answer of this session, which is the user then, and its header.
    pub(crate) learn: Function,
    /// The session that the token is of is over, or another tab's has taken its place.
    pub(crate) forget: Function,
}

/// Where the record is kept.
#[derive(Clone, Debug)]
pub enum Persist {
    /// `localStorage`: outlives the browser.
    Local,
    /// `sessionStorage`: outlives a reload.
    Session,
    /// Nothing outlives the page.
    Memory,
    /// An object with `get`, `set` and `remove`, which answer at once or with a promise.
    Adapter(JsValue),
}

/// The address is no absolute http or https URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionsError;

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address of the API must be an absolute http or https URL")
    }
}

impl core::error::Error for OptionsError {}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("core", &self.core).finish_non_exhaustive()
    }
}

impl Options {
    /// The defaults for an API at this address: a bearer token kept in `localStorage`, verified
    /// at `/auth/me`, pings to `/api/health`. Paths are appended to the address.
    ///
    /// # Errors
    /// When the address is no absolute `http` or `https` URL.
    pub fn new(base_url: &str) -> Result<Self, OptionsError> {
        let (origin, path) = split_address(base_url).ok_or(OptionsError)?;
        let base = [&*origin, path.trim_end_matches('/')].concat();
        Ok(Self {
            core: session_keeper_core::Options::default(),
            base: base.clone(),
            // Two APIs of one gateway are two sessions.
            name: ["session-keeper:", &base].concat(),
            origin,
            health_path: "/api/health".to_owned(),
            health_credentials: None,
            verify_path: "/auth/me".to_owned(),
            sign_out_path: None,
            refresh: None,
            acquire: None,
            auth: Auth::Token { scheme: "Bearer".to_owned() },
            classify: None,
            csrf: None,
            persist: Persist::Local,
        })
    }

    /// The key of the record. Two keepers of one name in a browser share a session.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// The path that is pinged, or a whole URL.
    #[must_use]
    pub fn health_path(self, path: &str) -> Self {
        Self { health_path: path.to_owned(), ..self }
    }

    /// Whether cookies travel with pings. By default those of the page's own origin do in bearer
    /// mode, as with the app's own requests, and none in cookie mode.
    #[must_use]
    pub fn health_credentials(self, credentials: HealthCredentials) -> Self {
        Self { health_credentials: Some(credentials), ..self }
    }

    /// The path that verifies the token, or a whole URL, whose origin gets the credential too.
    #[must_use]
    pub fn verify_path(self, path: &str) -> Self {
        Self { verify_path: path.to_owned(), ..self }
    }

    /// The path that is told of a sign-out (POST), so that the server forgets the token too.
    #[must_use]
    pub fn sign_out_path(self, path: &str) -> Self {
        Self { sign_out_path: Some(path.to_owned()), ..self }
    }

    /// The path that refreshes (POST), or a whole URL. Without it a token is used until the server
    /// refuses it.
    ///
    /// The answer is read as the npm package's is: `access_token`, `refresh_token` and
    /// `expires_in` in their usual spellings; an `exp` inside a JWT is not read. 401, and 400 with
    /// `invalid_grant`, are rejections. Neither [`authorize`](Self::authorize) nor the credential
    /// takes part. To be called after [`cookie`](Self::cookie), in whose mode the attempt alone is
    /// posted. How long ahead of the expiry it happens is `core.refresh`'s.
    #[cfg(not(feature = "npm"))]
    #[must_use]
    pub fn refresh_at(self, path: &str, format: RefreshFormat) -> Self {
        let is_cookie = matches!(self.auth, Auth::Cookie);
        let path = RefreshPath { url: self.url(path), format, is_cookie };
        let refresh = Refresh { by: By::Path(path), needs_token: !is_cookie };
        Self { refresh: Some(refresh), ..self }
    }

    /// The same by two functions of the page.
    ///
    /// `run` gets the object of the record (with `refresh_token`), the attempt's id and an
    /// `AbortSignal`, and answers with a `Response` or its promise: 401, and 400 with
    /// `invalid_grant`, are rejections. `read` gets the parsed body of the answer and the same
    /// object, and returns `{ record, isSame, isInvalidGrant }`: `record` holds `token`,
    /// `refresh_token`, `lifetime` and `expires_at` in milliseconds, as far as they are known.
    /// How long ahead of the expiry it happens is `core.refresh`'s.
    #[must_use]
    pub fn refresh_by(self, run: Function, read: Function) -> Self {
        let needs_token = self.core.refresh.is_some_and(|refresh| refresh.needs_token);
        Self { refresh: Some(Refresh { by: By::Page { run, read }, needs_token }), ..self }
    }

    /// Two functions of the page that get a token without the user, as [`Self::refresh_by`] has
    /// them: `run` gets only the signal, in the third place, and 401 means that there is none.
    /// They are asked where nobody is signed in, and before a session ends that the server has
    /// ended; not after a [`sign_out`](crate::Keeper::sign_out) until the next sign-in.
    #[must_use]
    pub fn acquire_by(self, run: Function, read: Function) -> Self {
        let by = By::Page { run, read };
        Self { acquire: Some(Refresh { by, needs_token: false }), ..self }
    }

    /// The word before the token in `Authorization`.
    #[must_use]
    pub fn scheme(self, scheme: &str) -> Self {
        Self { auth: Auth::Token { scheme: scheme.to_owned() }, ..self }
    }

    /// A cookie proves the user; the record holds no secret.
    #[must_use]
    pub fn cookie(self) -> Self {
        Self { auth: Auth::Cookie, ..self }
    }

    /// A function of the page that gets each request with a credential and returns the one to
    /// send, at once or with a promise.
    #[must_use]
    pub fn authorize(self, authorize: Function) -> Self {
        Self { auth: Auth::App(authorize), ..self }
    }

    /// A function of the page that reads answers of the verify path: gets the response and its
    /// parsed body, returns `"valid"`, `"rejected"` or nothing.
    #[must_use]
    pub fn classify(self, classify: Function) -> Self {
        Self { classify: Some(classify), ..self }
    }

    /// Where the record is kept.
    #[must_use]
    pub fn persist(self, persist: Persist) -> Self {
        Self { persist, ..self }
    }

    /// What the core is told, with what follows from the other choices, on a page of this origin.
    pub(crate) fn decisive(&self, page: Option<&str>) -> session_keeper_core::Options {
        let is_same_origin = page.is_some_and(|page| self.is_at(&self.verify_path, page));
        session_keeper_core::Options {
            tell_sign_out: self.sign_out_path.is_some(),
            credential: match self.auth {
                Auth::Cookie => Credential::Cookie,
                Auth::Token { .. } | Auth::App(_) => Credential::Token,
            },
            origin_relation: if is_same_origin {
                OriginRelation::SameOrigin
            } else {
                OriginRelation::CrossOrigin
            },
            refresh: self.refresh.as_ref().map(|refresh| RefreshOptions {
                needs_token: refresh.needs_token,
                ..self.core.refresh.unwrap_or_default()
            }),
            acquire: self.acquire.is_some(),
            ..self.core.clone()
        }
    }

    /// What the page does by functions of its own.
    pub(crate) const fn by_page(&self, probe: Probe) -> Option<&Refresh> {
        match probe {
            Probe::Refresh => self.refresh.as_ref(),
            Probe::Acquire => self.acquire.as_ref(),
            Probe::Health | Probe::Verify | Probe::SignOut | Probe::Candidate(_) => None,
        }
    }

    /// Whether the tabs of a browser share what is stored.
    pub(crate) const fn is_shared(&self) -> bool {
        matches!(self.persist, Persist::Local)
    }

    /// Whether a record without a token is none.
    pub(crate) const fn needs_token(&self) -> bool {
        matches!(self.auth, Auth::Token { .. })
    }

    /// A path of the API, or a whole URL as it is.
    pub(crate) fn url(&self, path: &str) -> String {
        if is_url(path) { path.to_owned() } else { [&*self.base, path].concat() }
    }

    /// Whether a URL is at an origin that may know the credential.
    pub(crate) fn may_know_credential(&self, url: &str) -> bool {
        let verify = self.url(&self.verify_path);
        self.is_at(url, &self.origin) || self.is_at(url, origin_of(&verify))
    }

    /// Whether a path of the API, or a whole URL, is at this origin.
    pub(crate) fn is_at(&self, path: &str, origin: &str) -> bool {
        let url = if is_url(path) { path } else { &self.base };
        let rest = url.strip_prefix(origin);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
    }
}

fn is_url(path: &str) -> bool {
    path.starts_with("http://") || path.starts_with("https://")
}

/// What comes before the path of a whole URL.
fn origin_of(url: &str) -> &str {
    let start = url.find("//").map_or(0, |at| at + 2);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    &url[..end]
}

/// The origin as browsers write it, so that origins can be compared, and the path; nothing where
/// it is no address for an API.
fn split_address(url: &str) -> Option<(String, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let is_scheme = matches!(scheme, "http" | "https");
    if !is_scheme || authority.is_empty() || url.contains(['@', '?', '#']) {
        return None;
    }
    let host = authority.to_ascii_lowercase();
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let host = host.strip_suffix(default_port).unwrap_or(&host);
    Some(([scheme, "://", host].concat(), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_split_as_browsers_do() {
        for (url, parts) in [
            ("https://API.example.com/v1/", Some(("https://api.example.com", "/v1/"))),
            ("https://api.example.com:443", Some(("https://api.example.com", ""))),
            ("http://localhost:8080/", Some(("http://localhost:8080", "/"))),
            ("http://localhost:8080?x", None),
            ("https://user@api.example.com", None),
            ("ftp://api.example.com", None),
            ("api.example.com", None),
            ("https://", None),
        ] {
            let split = split_address(url);
            let split = split.as_ref().map(|(origin, path)| (origin.as_str(), *path));
            assert_eq!(split, parts, "{url}");
        }
    }

    #[test]
    fn two_apis_of_one_gateway_are_two_sessions() {
        let name = |url| Options::new(url).map(|options| options.name);
        assert_ne!(name("https://gateway.example.com/a"), name("https://gateway.example.com/b"));
        assert_eq!(name("https://gateway.example.com/a/"), name("https://gateway.example.com/a"));
    }

    #[test]
    fn a_whole_url_stands_for_itself_and_is_at_its_own_origin() {
        let options = Options::new("https://api.example.com/v1").expect("it is an address");
        assert_eq!(options.url("/auth/me"), "https://api.example.com/v1/auth/me");
        assert_eq!(options.url("https://auth.example.com/me"), "https://auth.example.com/me");
        assert!(options.is_at("/auth/me", "https://api.example.com"));
        assert!(options.is_at("https://auth.example.com/me", "https://auth.example.com"));
        assert!(!options.is_at("https://auth.example.com/me", "https://api.example.com"));
        assert!(!options.is_at("https://api.example.com.evil.net/me", "https://api.example.com"));
        assert!(!options.may_know_credential("https://auth.example.com/me"));
        let options = options.verify_path("https://auth.example.com/me?full");
        assert!(options.may_know_credential("https://auth.example.com/other"));
        assert!(options.may_know_credential("https://api.example.com/v1/items"));
        assert!(!options.may_know_credential("https://auth.example.com@evil.net/me"));
        let host = Options::new("https://API.example.com:443/v1/").expect("it is an address");
        assert!(host.is_at("/auth/me", "https://api.example.com"));
        assert_eq!(host.url("/auth/me"), "https://api.example.com/v1/auth/me");
    }
}

//! What the app chooses for the shell: addresses, credential, store. What decides something is
//! in [`session_keeper_core::Options`].

use session_keeper_core::Credential;
use wasm_bindgen::JsValue;

/// The choices of one keeper, for Rust front ends. The npm package checks its own in `js/`.
#[derive(Clone, Debug)]
pub struct Options {
    /// What decides.
    pub core: session_keeper_core::Options,
    /// The API's address; paths are appended to it.
    pub(crate) base: String,
    /// Its origin: records name it, and the credential goes nowhere else.
    pub(crate) origin: String,
    /// The health path.
    pub health_path: String,
    /// The verify path.
    pub verify_path: String,
    /// POSTed at a sign-out, so that the server forgets the token too. Set
    /// `core.tell_sign_out` with it.
    pub sign_out_path: Option<String>,
    /// What proves the user to the server.
    pub auth: Auth,
    /// Where the record is kept.
    pub persist: Persist,
    /// The record's key.
    pub name: String,
    pub(crate) classify: Option<JsValue>,
    /// The header and the function of the page that reads its value.
    pub(crate) csrf: Option<(String, JsValue)>,
}

/// What proves the user to the server.
#[derive(Clone, Debug)]
pub enum Auth {
    /// `Authorization` with this scheme and the token.
    Bearer {
        /// The word before the token.
        scheme: String,
    },
    /// A cookie; the marker in the store holds no secret.
    Cookie,
    /// The app's own function, called for each attempt.
    Custom(JsValue),
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
    /// An object with `get`, `set` and `remove`.
    Adapter(JsValue),
}

/// The address is no absolute http or https URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionsError;

impl core::fmt::Display for OptionsError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the address of the API must be an absolute http or https URL")
    }
}

impl core::error::Error for OptionsError {}

impl Options {
    /// The defaults for an API at this address.
    ///
    /// # Errors
    /// When the address is no absolute `http` or `https` URL.
    pub fn new(base_url: &str) -> Result<Self, OptionsError> {
        let (scheme, rest) = base_url.split_once("://").ok_or(OptionsError)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
        if !matches!(scheme, "http" | "https") || authority.is_empty() || authority.contains('@') {
            return Err(OptionsError);
        }
        let origin = [scheme, "://", &authority.to_ascii_lowercase()].concat();
        let base = base_url.trim_end_matches('/').to_owned();
        Ok(Self {
            core: session_keeper_core::Options::default(),
            name: ["session-keeper:", &origin].concat(),
            base,
            origin,
            health_path: "/api/health".into(),
            verify_path: "/auth/me".into(),
            sign_out_path: None,
            auth: Auth::Bearer { scheme: "Bearer".into() },
            persist: Persist::Local,
            classify: None,
            csrf: None,
        })
    }

    pub(crate) fn needs_token(&self) -> bool {
        self.core.credential == Credential::Token && !matches!(self.auth, Auth::Custom(_))
    }
}

//! One tab: a page with its keeper, and what its shell holds.

use std::collections::{BTreeMap, VecDeque};

use session_keeper_core::{
    AttemptId, BackendRecord, Generation, Keeper, Label, LeaseRecord, Probe, ReadId, Record,
    RequestId, StoredSession, TokenFacts, TokenHandle, UnixMillis,
};

use crate::app::App;
use crate::families::Token;
use crate::oracle::{Open, Oracle};
use crate::refresh::RefreshWatch;
use crate::renewal::{Answer, Grant};

/// Which tab, from 0.
pub(crate) type TabId = usize;

#[derive(Debug)]
pub(crate) struct Tab {
    pub(crate) keeper: Keeper,
    pub(crate) page: Page,
    pub(crate) app: App,
    pub(crate) oracle: Oracle,
    pub(crate) open: Vec<Open>,
    pub(crate) tokens: Tokens,
    pub(crate) refresh_watch: RefreshWatch,
    /// Answers that came while the page was frozen.
    pub(crate) held_back: Vec<(RequestId, Answer)>,
    /// When the keeper last learned the time.
    pub(crate) told_at: u64,
    pub(crate) lateness: u64,
    pub(crate) signing_out: bool,
    /// Where no tab reads the lease of another.
    pub(crate) own_lease: Option<LeaseRecord>,
    pub(crate) heard_boot: Option<Label>,
    /// When the last few requests were sent, on the keeper's line of time.
    pub(crate) sent: VecDeque<u64>,
}

impl Tab {
    pub(crate) fn new(keeper: Keeper) -> Self {
        Self {
            keeper,
            page: Page::default(),
            app: App::default(),
            oracle: Oracle::default(),
            open: Vec::new(),
            tokens: Tokens::default(),
            refresh_watch: RefreshWatch::default(),
            held_back: Vec::new(),
            told_at: 0,
            lateness: 0,
            signing_out: false,
            own_lease: None,
            heard_boot: None,
            sent: VecDeque::new(),
        }
    }

    /// The page is loaded again: whatever it held in memory is gone.
    pub(crate) fn reload(&mut self, keeper: Keeper) {
        self.keeper = keeper;
        self.open.clear();
        self.sent.clear();
        self.tokens = Tokens::default();
        self.refresh_watch = RefreshWatch::default();
        self.held_back.clear();
        self.app.reloaded();
        self.oracle.reloaded();
    }

    /// The keeper's line of time.
    pub(crate) fn line(&self) -> u64 {
        self.keeper.now().since(session_keeper_core::Instant::default()).as_millis()
    }

    /// The token of the keeper's session.
    pub(crate) fn token(&self) -> Option<Token> {
        let held = self.tokens.get(self.keeper.generation()?)?;
        Some(held.token)
    }
}

/// A request on its way to the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing {
    pub(crate) request: RequestId,
    pub(crate) probe: Probe,
    pub(crate) token: Option<Token>,
    /// A refresh's.
    pub(crate) attempt: Option<AttemptId>,
}

/// The page, as the browser has it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Page {
    pub(crate) hidden: bool,
    pub(crate) frozen: bool,
}

/// What a shell knows of one token: the text, so to speak, and what was told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) token: Token,
    pub(crate) facts: TokenFacts,
    pub(crate) saved_at: Option<UnixMillis>,
    pub(crate) verified_at: Option<UnixMillis>,
}

impl Held {
    /// What a page keeps of what it was handed at `wall` by its own clock.
    pub(crate) fn of(grant: &Grant, wall: UnixMillis) -> Self {
        let facts = grant.facts(wall);
        Self { token: grant.token, facts, saved_at: Some(wall), verified_at: None }
    }
}

/// The tokens in the memory of one page.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    by_generation: BTreeMap<Generation, Held>,
    handed: BTreeMap<u32, Held>,
    last_handle: u32,
    loaded: Option<(ReadId, Held)>,
}

impl Tokens {
    pub(crate) fn get(&self, generation: Generation) -> Option<&Held> {
        self.by_generation.get(&generation)
    }

    pub(crate) fn get_mut(&mut self, generation: Generation) -> Option<&mut Held> {
        self.by_generation.get_mut(&generation)
    }

    /// A token was handed over, by the app or by an answer.
    pub(crate) fn hand_over(&mut self, held: Held) -> TokenHandle {
        self.last_handle += 1;
        self.handed.insert(self.last_handle, held);
        TokenHandle(self.last_handle)
    }

    pub(crate) fn drop_handed(&mut self, handle: TokenHandle) {
        self.handed.remove(&handle.0);
    }

    pub(crate) fn use_handed(&mut self, handle: TokenHandle, generation: Generation) {
        if let Some(held) = self.handed.remove(&handle.0) {
            self.by_generation.insert(generation, held);
        }
    }

    pub(crate) fn loaded(&mut self, read: ReadId, held: Option<Held>) {
        self.loaded = held.map(|held| (read, held));
    }

    pub(crate) fn use_loaded(&mut self, read: ReadId, generation: Generation) {
        if let Some((_, held)) = self.loaded.filter(|(loaded, _)| *loaded == read) {
            self.by_generation.insert(generation, held);
        }
    }

    pub(crate) fn forget(&mut self, generation: Generation) {
        self.by_generation.remove(&generation);
    }
}

/// What all tabs of the browser share.
#[derive(Debug)]
pub(crate) struct Storage {
    pub(crate) record: Record,
    /// The token of the record.
    pub(crate) held: Option<Held>,
    /// What is kept of the backend.
    pub(crate) backend: Option<BackendRecord>,
    pub(crate) lease: Option<LeaseRecord>,
}

impl Storage {
    pub(crate) const fn empty() -> Self {
        Self { record: Record::Absent, held: None, backend: None, lease: None }
    }

    /// Writes a session with its token.
    pub(crate) fn store(&mut self, generation: Generation, held: Held) {
        let Held { facts, saved_at, verified_at, .. } = held;
        self.record = Record::Session(StoredSession { generation, facts, saved_at, verified_at });
        self.held = Some(held);
    }

    pub(crate) fn write_tombstone(&mut self, tombstone: Record) {
        self.record = tombstone;
        self.held = None;
    }
}

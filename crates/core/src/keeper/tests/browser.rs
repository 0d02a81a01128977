//! Several tabs of one browser: each a world of its own, over one store and one channel.

use std::vec::Vec;

use super::world::*;
use crate::{
    Effect, Generation, Input, LeaseRecord, Message, Options, PageEvent, Probe, Record,
    SessionState,
};

/// How long a storage event and a message travel.
const STORAGE_EVENT: u64 = 3;
const MESSAGE: u64 = 1;

pub(super) struct Browser {
    pub(super) tabs: Vec<World>,
    pub(super) record: Record,
    pub(super) lease: Option<LeaseRecord>,
    /// Tabs whose scripts do not run.
    pub(super) frozen: Vec<usize>,
    /// Whether messages arrive.
    pub(super) has_channel: bool,
    /// The tabs that have or want the lock, in order; none where there are no locks.
    locks: Option<Vec<usize>>,
}

pub(super) fn shared() -> Options {
    Options { is_shared: true, ..Options::default() }
}

impl Browser {
    /// So many tabs of one session, the first of them visible, a minute after they were opened.
    pub(super) fn with_tabs(options: &Options, count: usize) -> Self {
        let mut browser = Self {
            tabs: Vec::new(),
            record: active(1),
            lease: None,
            frozen: Vec::new(),
            has_channel: true,
            locks: Some(Vec::new()),
        };
        for index in 0..count {
            browser.open(options);
            if index > 0 {
                browser.page(index, PageEvent::Hidden);
            }
        }
        browser.pass(60_000);
        browser
    }

    pub(super) fn open(&mut self, options: &Options) -> usize {
        let index = self.tabs.len();
        let mut tab = World::with_seed(options.clone(), 7 + index as u64);
        tab.grants_locks = false;
        if let Some(first) = self.tabs.first() {
            tab.advance(first.now());
            tab.health = first.health.clone();
            tab.verify = first.verify.clone();
            tab.refresh = first.refresh.clone();
            tab.new_token = first.new_token;
        }
        self.tabs.push(tab);
        self.input(index, Input::Start);
        index
    }

    /// The tab is gone without a word; the browser gives its lock to the next.
    pub(super) fn close(&mut self, index: usize) {
        self.frozen.push(index);
        if let Some(locks) = &mut self.locks {
            locks.retain(|holder| *holder != index);
            if let Some(next) = locks.first().copied() {
                self.grant_lock(next);
            }
        }
    }

    pub(super) fn input(&mut self, index: usize, input: Input) {
        self.run(index, |tab| tab.input(input));
        self.pass(0);
    }

    pub(super) fn page(&mut self, index: usize, event: PageEvent) {
        self.input(index, Input::Page(event));
    }

    pub(super) fn for_all(&mut self, change: impl Fn(&mut World)) {
        self.tabs.iter_mut().for_each(change);
    }

    /// Lets time pass in all tabs, in the order of what happens.
    pub(super) fn pass(&mut self, ms: u64) {
        let end = self.now() + ms;
        for _ in 0..400_000 {
            let runs = self.tabs.iter().enumerate().filter(|(at, _)| !self.frozen.contains(at));
            let steps = runs.filter_map(|(index, tab)| Some((tab.next_step()?, index)));
            let Some((at, index)) = steps.min().filter(|(at, _)| *at <= end) else {
                self.tabs.iter_mut().for_each(|tab| tab.advance(end.max(tab.now())));
                return;
            };
            self.run(index, |tab| tab.step(at));
        }
        panic!("the tabs spin at {}", self.now());
    }

    pub(super) fn now(&self) -> u64 {
        self.tabs.iter().map(World::now).max().unwrap_or_default()
    }

    /// The tabs that ask the server.
    pub(super) fn leaders(&self) -> Vec<usize> {
        let tabs = self.tabs.iter().enumerate();
        let leads =
            |(index, tab): &(usize, &World)| !self.frozen.contains(index) && tab.keeper.leads();
        tabs.filter(leads).map(|(index, _)| index).collect()
    }

    pub(super) fn sessions(&self) -> Vec<SessionState> {
        self.tabs.iter().map(World::session).collect()
    }

    pub(super) fn generations(&self) -> Vec<Option<Generation>> {
        self.tabs.iter().map(|tab| tab.keeper.generation()).collect()
    }

    /// How often a session was ended by the user in one of the tabs.
    pub(super) fn sign_outs_of_the_user(&self) -> usize {
        self.tabs.iter().map(|tab| tab.sign_outs().len()).sum()
    }

    /// How many requests of all tabs were sent from then on.
    pub(super) fn sent_since(&self, since: u64, probe: Probe) -> usize {
        self.tabs.iter().map(|tab| tab.sent_since(since, probe).len()).sum()
    }

    /// One tab acts, and the store and the channel carry what it did.
    fn run(&mut self, index: usize, act: impl FnOnce(&mut World) -> Vec<Effect>) {
        let now = self.now();
        let tab = &mut self.tabs[index];
        if tab.next_step().is_none_or(|at| at >= now) {
            tab.advance(now.min(tab.next_step().unwrap_or(now)).max(tab.now()));
        }
        (tab.record, tab.lease) = (self.record.clone(), self.lease);
        let effects = act(tab);
        let (record, lease) = (tab.record.clone(), tab.lease);
        let at = tab.now();
        if record != self.record {
            if may_replace(&record, &self.record) {
                self.record = record;
                self.tell_others(index, at + STORAGE_EVENT, &Input::RecordChanged);
            } else {
                // The shell compares before it writes.
                tab.comes(0, Input::RecordChanged);
            }
        }
        if lease != self.lease {
            self.lease = lease;
            self.tell_others(index, at + STORAGE_EVENT, &Input::LeaseChanged);
        }
        for effect in effects {
            match (effect, &mut self.locks) {
                (Effect::Broadcast(message), _) if self.has_channel => {
                    self.tell_others(index, at + MESSAGE, &Input::TabMessage(message));
                }
                (Effect::Lock, Some(locks)) => {
                    locks.push(index);
                    self.grant_lock(index);
                }
                (Effect::Lock, None) => self.tabs[index].comes(0, Input::Locked),
                (Effect::Unlock, Some(locks)) => {
                    locks.retain(|holder| *holder != index);
                    if let Some(next) = locks.first().copied() {
                        self.grant_lock(next);
                    }
                }
                _ => {}
            }
        }
    }

    /// Tells the first in the queue that the lock is its own; twice is once.
    fn grant_lock(&mut self, index: usize) {
        if self.locks.as_ref().is_some_and(|locks| locks.first() == Some(&index)) {
            self.tabs[index].comes(1, Input::Locked);
        }
    }

    /// Somebody writes a message on the channel.
    pub(super) fn forge(&mut self, message: Message) {
        let at = self.now() + MESSAGE;
        self.tell_others(usize::MAX, at, &Input::TabMessage(message));
    }

    fn tell_others(&mut self, from: usize, at: u64, input: &Input) {
        for (index, tab) in self.tabs.iter_mut().enumerate() {
            if index != from {
                tab.comes(at.saturating_sub(tab.now()), input.clone());
            }
        }
    }
}

fn may_replace(new: &Record, stored: &Record) -> bool {
    match (facts_of(new), facts_of(stored)) {
        (Some((new, is_sign_out)), Some((stored, stored_is_sign_out))) => {
            new.may_replace(is_sign_out, stored, stored_is_sign_out)
        }
        _ => true,
    }
}

fn facts_of(record: &Record) -> Option<(Generation, bool)> {
    match record {
        Record::Session(stored) => Some((stored.generation, false)),
        Record::Tombstone { generation, .. } => Some((*generation, true)),
        Record::Absent | Record::Corrupt | Record::Foreign | Record::Unreadable => None,
    }
}

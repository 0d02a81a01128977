//! What the tabs of a browser share: the record, the lease, a lock, and a channel on which messages
//! are lost, late, doubled and overtake each other.

use session_keeper_core::{Generation, Input, LeaseRecord, Message, Record};

use crate::event::Event;
use crate::oracle::Verdict;
use crate::rng::Rng;
use crate::tab::{Storage, TabId};
use crate::world::World;
use crate::{Guarantee, Sabotage};

/// What goes wrong between tabs, in a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SharingFaults {
    /// Messages that are lost.
    pub(crate) lost: u64,
    /// Messages that come a second later, behind others.
    pub(crate) late: u64,
    /// Messages that come twice.
    pub(crate) doubled: u64,
}

impl SharingFaults {
    pub(crate) fn of(rng: &mut Rng) -> Self {
        let rate = |rng: &mut Rng, most: u64| {
            if rng.in_thousand(500) { rng.between(most / 10, most) } else { 0 }
        };
        Self { lost: rate(rng, 300), late: rate(rng, 300), doubled: rate(rng, 200) }
    }
}

/// A Web Lock of the browser.
#[derive(Debug, Default)]
pub(crate) struct Lock {
    holder: Option<TabId>,
    queue: Vec<TabId>,
}

impl Storage {
    /// Whether a record may take the place of the one that is there.
    pub(crate) fn may_write(&self, generation: Generation, is_sign_out: bool) -> bool {
        match &self.record {
            Record::Session(stored) => {
                generation.may_replace(is_sign_out, stored.generation, false)
            }
            Record::Tombstone { generation: stored, .. } => {
                generation.may_replace(is_sign_out, *stored, true)
            }
            _ => true,
        }
    }
}

impl World {
    pub(crate) const fn is_shared(&self) -> bool {
        self.plan.tabs > 1
    }

    pub(crate) fn may_write(&self, generation: Generation, is_sign_out: bool) -> bool {
        self.storage.may_write(generation, is_sign_out)
    }

    /// The other tabs get a `storage` event.
    pub(crate) fn tell_of_write(&mut self, writer: TabId, input: &Input) {
        for tab in (0..self.tabs.len()).filter(|tab| *tab != writer) {
            let at = self.now + self.rng.between(1, 20);
            self.future.at(at, Event::Hears { tab, input: input.clone() });
        }
    }

    pub(crate) fn write_lease(&mut self, tab: TabId, lease: LeaseRecord) {
        if self.plan.sabotage == Sabotage::LostLeases {
            self.tabs[tab].own_lease = Some(lease);
            return;
        }
        self.storage.lease = Some(lease);
        self.tell_of_write(tab, &Input::LeaseChanged);
    }

    pub(crate) fn release_lease(&mut self, tab: TabId, holder: session_keeper_core::TabId) {
        if self.storage.lease.is_some_and(|lease| lease.tab == holder) {
            self.storage.lease = None;
            self.tell_of_write(tab, &Input::LeaseChanged);
        }
    }

    pub(crate) fn broadcast(&mut self, sender: TabId, message: Message) {
        let SharingFaults { lost, late, doubled } = self.sharing;
        for tab in (0..self.tabs.len()).filter(|tab| *tab != sender) {
            let times = 1 + u64::from(self.rng.in_thousand(doubled));
            for _ in 0..times {
                if self.rng.in_thousand(lost) {
                    continue;
                }
                let most = if self.rng.in_thousand(late) { 1_500 } else { 10 };
                let at = self.now + self.rng.between(1, most);
                self.future.at(at, Event::Hears { tab, input: Input::TabMessage(message) });
            }
        }
    }

    /// Something reaches a tab, unless its page cannot act: then it is read again anyway when it
    /// can.
    pub(crate) fn hears(&mut self, tab: TabId, input: Input) -> Verdict {
        if let Some(until) = self.machine.napping_until {
            self.future.at(until + 1, Event::Hears { tab, input });
            return Ok(());
        }
        if self.tabs[tab].page.frozen {
            return Ok(());
        }
        self.feed(tab, input).map(drop)
    }

    pub(crate) fn ask_for_lock(&mut self, tab: TabId) {
        if !self.lock.queue.contains(&tab) && self.lock.holder != Some(tab) {
            self.lock.queue.push(tab);
        }
        self.grant_lock();
    }

    /// Whoever is next gets it a moment later.
    fn grant_lock(&mut self) {
        if self.lock.holder.is_none() && !self.lock.queue.is_empty() {
            let tab = self.lock.queue.remove(0);
            self.lock.holder = Some(tab);
            self.future.at(self.now + 1, Event::Locked { tab });
        }
    }

    pub(crate) fn locked(&mut self, tab: TabId) -> Verdict {
        if let Some(until) = self.machine.napping_until {
            self.future.at(until + 1, Event::Locked { tab });
            return Ok(());
        }
        if self.lock.holder != Some(tab) {
            return Ok(());
        }
        if self.tabs[tab].page.frozen {
            // A frozen page keeps its lock, and learns of it when it runs again.
            self.future.at(self.now + 1_000, Event::Locked { tab });
            return Ok(());
        }
        self.feed(tab, Input::Locked).map(drop)
    }

    pub(crate) fn unlock(&mut self, tab: TabId) {
        self.lock.queue.retain(|it| *it != tab);
        if self.lock.holder == Some(tab) {
            self.lock.holder = None;
        }
        self.grant_lock();
    }

    /// A healed world: every tab shows the same session, and one of them asks for all.
    pub(crate) fn tabs_agree(&self) -> Verdict {
        if !self.is_shared() {
            return Ok(());
        }
        let shown =
            |tab: &crate::tab::Tab| (tab.keeper.generation(), tab.keeper.snapshot().session);
        let first = shown(&self.tabs[0]);
        if let Some(other) = self.tabs.iter().map(shown).find(|it| *it != first) {
            return Err((Guarantee::Tabs, format!("one tab shows {first:?}, another {other:?}")));
        }
        let leaders = self.tabs.iter().filter(|tab| tab.keeper.leads()).count();
        if leaders != 1 {
            return Err((Guarantee::Tabs, format!("{leaders} tabs lead")));
        }
        Ok(())
    }
}

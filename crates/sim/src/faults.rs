//! The faults at work, and the user between them.

use session_keeper_core::{Input, Keeper, Options, PageEvent, Record, SessionState};

use crate::event::{Event, Fault};
use crate::network::Path;
use crate::oracle::Verdict;
use crate::refresh::RefreshWatch;
use crate::tab::{Held, Page, TabId};
use crate::world::World;

/// Rates are per thousand hours.
const THOUSAND_HOURS: u64 = 3_600_000_000;
/// How long a page that comes back waits at the most, for a million of them come back at nine.
const SPREAD: u64 = 5_000;

impl World {
    /// Draws when a fault begins next, if this seed has it.
    pub(crate) fn schedule_fault(&mut self, fault: Fault) {
        let mix = &self.mix;
        let rate = match fault {
            Fault::ServerSleeps => mix.sleeps,
            Fault::Restart => mix.restarts,
            Fault::Revoke => mix.revokes,
            Fault::Offline => mix.offline,
            Fault::Portal => mix.portals,
            Fault::Nap => mix.naps,
            Fault::Hide => mix.hides,
            Fault::Freeze => mix.freezes,
            Fault::ClockJump => mix.clock_jumps,
            Fault::Reload => mix.reloads,
            Fault::SignOut => mix.sign_outs,
        };
        if let Some(mean) = THOUSAND_HOURS.checked_div(rate) {
            let at = self.now + self.rng.between(mean / 20, mean * 2);
            self.future.at(at, Event::Faults(fault));
        }
    }

    pub(crate) fn fault(&mut self, fault: Fault) -> Verdict {
        self.schedule_fault(fault);
        let tab = self.any_tab();
        let (page, asleep) = (self.tabs[tab].page, self.machine.is_asleep());
        let suits = match fault {
            Fault::ServerSleeps | Fault::Restart | Fault::Revoke => true,
            Fault::Offline | Fault::Portal => self.network.path == Path::Clear,
            Fault::Hide => !page.hidden && !page.frozen && !asleep,
            Fault::Nap | Fault::Freeze | Fault::ClockJump | Fault::Reload | Fault::SignOut => {
                !page.frozen && !asleep
            }
        };
        if !suits {
            return Ok(());
        }
        *self.tally.faults.entry(fault.name()).or_default() += 1;
        self.note(format!("{:>10.3} *** {}", self.now as f64 / 1_000.0, fault.name()));
        self.disturb(self.now);
        match fault {
            Fault::ServerSleeps => self.server.falls_asleep(),
            Fault::Restart => self.server.restarts(self.now, &mut self.rng),
            Fault::Revoke => self.revoke(tab),
            Fault::Offline => return self.cut(Path::Cut, 600_000),
            Fault::Portal => return self.cut(Path::Portal, 1_200_000),
            Fault::Nap => {
                let most = if self.mix.renewal.is_some() { 36_000_000 } else { 7_200_000 };
                self.machine.napping_since = self.now;
                self.machine.napping_until = Some(self.now + self.rng.between(10_000, most));
            }
            Fault::Hide => {
                self.tabs[tab].page.hidden = true;
                self.feed(tab, Input::Page(PageEvent::Hidden))?;
                self.over_in(fault, tab, 3_600_000);
            }
            Fault::Freeze => {
                self.tabs[tab].page.frozen = true;
                self.feed(tab, Input::Page(PageEvent::Suspended))?;
                self.over_in(fault, tab, 3_600_000);
            }
            Fault::ClockJump => {
                let hours = self.rng.between(0, 24 * 3_600_000) as i64;
                self.machine.wall_offset = hours - 12 * 3_600_000;
            }
            Fault::Reload => return self.reload(tab),
            Fault::SignOut => return self.sign_out(tab),
        }
        Ok(())
    }

    /// The tab that a fault meets.
    fn any_tab(&mut self) -> TabId {
        match self.tabs.len() {
            1 => 0,
            tabs => self.rng.between(0, tabs as u64 - 1) as TabId,
        }
    }

    pub(crate) fn end(&mut self, fault: Fault, tab: TabId) -> Verdict {
        if let Some(until) = self.machine.napping_until
            && matches!(fault, Fault::Hide | Fault::Freeze)
        {
            self.future.at(until + 1_000, Event::Ends(fault, tab));
            return Ok(());
        }
        self.disturb(self.now + SPREAD);
        match fault {
            Fault::Offline | Fault::Portal => {
                self.network.path = Path::Clear;
                self.all_hear(PageEvent::Online)
            }
            Fault::Hide => {
                self.tabs[tab].page.hidden = false;
                self.hear(tab, PageEvent::Visible)
            }
            Fault::Freeze => {
                self.tabs[tab].page.frozen = false;
                self.hear(tab, PageEvent::Resumed)?;
                self.deliver_held_back(tab);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The machine wakes up, and with it whatever timer or event comes first.
    pub(crate) fn wake_up(&mut self) -> Verdict {
        self.machine.napping_until = None;
        self.disturb(self.now + SPREAD);
        self.machine.napped += self.now - self.machine.napping_since;
        let network = match self.network.path {
            Path::Cut => PageEvent::Offline,
            Path::Clear | Path::Portal => PageEvent::Online,
        };
        for tab in 0..self.tabs.len() {
            if !self.rng.in_thousand(500) {
                self.feed(tab, Input::Timeout)?;
            }
            self.hear(tab, network)?;
        }
        Ok(())
    }

    /// Everything is in its place again: awake, visible, online.
    pub(crate) fn show(&mut self) -> Verdict {
        if self.machine.is_asleep() {
            self.wake_up()?;
        }
        self.disturb(self.now + SPREAD);
        for tab in 0..self.tabs.len() {
            let Page { hidden, frozen } = core::mem::take(&mut self.tabs[tab].page);
            if frozen {
                self.hear(tab, PageEvent::Resumed)?;
                self.deliver_held_back(tab);
            }
            if hidden {
                self.hear(tab, PageEvent::Visible)?;
            }
            self.hear(tab, PageEvent::Online)?;
        }
        Ok(())
    }

    pub(crate) fn sign_in(&mut self, tab: TabId) -> Verdict {
        if self.tabs[tab].keeper.snapshot().session != SessionState::SignedOut {
            return Ok(());
        }
        let view = self.view(tab);
        if view.attended && view.reachable {
            let held = Held::of(&self.server.issue(self.now), self.clocks().wall);
            let (handle, facts) = (self.tabs[tab].tokens.hand_over(held), held.facts);
            self.tabs[tab].refresh_watch = RefreshWatch::default();
            return self.feed(tab, Input::SignIn { token: Some(handle), facts }).map(drop);
        }
        let later = self.now + self.rng.between(10_000, 60_000);
        self.future.at(later, Event::SignsIn { tab });
        Ok(())
    }

    fn revoke(&mut self, tab: TabId) {
        if let Some(token) = self.tabs[tab].token() {
            self.server.revoke(token);
        }
    }

    fn cut(&mut self, path: Path, most: u64) -> Verdict {
        self.network.path = path;
        let fault = if path == Path::Cut { Fault::Offline } else { Fault::Portal };
        self.over_in(fault, 0, most);
        // Browsers notice a cable that is pulled, and nothing further away.
        if path == Path::Cut && self.rng.in_thousand(700) {
            return self.all_hear(PageEvent::Offline);
        }
        Ok(())
    }

    fn reload(&mut self, reloaded: TabId) -> Verdict {
        let options = Options { is_shared: self.is_shared(), ..self.mix.options() };
        let keeper = Keeper::new(options, self.rng.draw());
        self.tabs[reloaded].reload(keeper);
        self.unlock(reloaded);
        // Ids begin again with the page: what was on its way would find a stranger.
        self.future.forget(|it| match it {
            Event::Arrives { tab, .. }
            | Event::Answered { tab, .. }
            | Event::Locked { tab }
            | Event::Strays { tab, .. } => *tab == reloaded,
            _ => false,
        });
        self.feed(reloaded, Input::Start)?;
        if self.tabs[reloaded].page.hidden {
            self.feed(reloaded, Input::Page(PageEvent::Hidden))?;
        }
        if matches!(self.storage.record, Record::Tombstone { .. }) {
            let back = self.now + self.rng.between(5_000, 60_000);
            self.future.at(back, Event::SignsIn { tab: reloaded });
        }
        Ok(())
    }

    /// A page that sleeps hears nothing.
    fn hear(&mut self, tab: TabId, event: PageEvent) -> Verdict {
        if self.machine.is_asleep() {
            return Ok(());
        }
        self.feed(tab, Input::Page(event)).map(drop)
    }

    fn all_hear(&mut self, event: PageEvent) -> Verdict {
        (0..self.tabs.len()).try_for_each(|tab| self.hear(tab, event))
    }

    fn over_in(&mut self, fault: Fault, tab: TabId, most: u64) {
        let over = self.now + self.rng.between(5_000, most);
        self.future.at(over, Event::Ends(fault, tab));
    }
}

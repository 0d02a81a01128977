//! The faults at work, and the user between them.

use session_keeper_core::{
    Input, Keeper, PageEvent, Record, SessionState, TokenFacts, TokenHandle,
};

use crate::event::{Event, Fault};
use crate::network::Path;
use crate::oracle::Verdict;
use crate::world::{Page, World};

/// Rates are per thousand hours.
const THOUSAND_HOURS: u64 = 3_600_000_000;
/// How long a page that comes back waits at the most, for a million of them come back at nine.
const SPREAD: u64 = 5_000;

impl World {
    /// Draws when a fault faults next, if this seed has it.
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
        let page = self.page;
        let suits = match fault {
            Fault::ServerSleeps | Fault::Restart | Fault::Revoke => true,
            Fault::Offline | Fault::Portal => self.network.path == Path::Clear,
            Fault::Hide => !page.hidden && !page.frozen && page.napping_until.is_none(),
            Fault::Nap | Fault::Freeze | Fault::ClockJump | Fault::Reload | Fault::SignOut => {
                !page.frozen && page.napping_until.is_none()
            }
        };
        if !suits {
            return Ok(());
        }
        *self.tally.faults.entry(fault.name()).or_default() += 1;
        self.note(format!("{:>10.3} *** {}", self.now as f64 / 1_000.0, fault.name()));
        self.oracle.disturb(self.now);
        match fault {
            Fault::ServerSleeps => self.server.falls_asleep(),
            Fault::Restart => self.server.restarts(self.now, &mut self.rng),
            Fault::Revoke => self.revoke(),
            Fault::Offline => return self.cut(Path::Cut, 600_000),
            Fault::Portal => return self.cut(Path::Portal, 1_200_000),
            Fault::Nap => {
                self.page.napping_since = self.now;
                self.page.napping_until = Some(self.now + self.rng.between(10_000, 7_200_000));
            }
            Fault::Hide => {
                self.page.hidden = true;
                self.feed(Input::Page(PageEvent::Hidden))?;
                self.over_in(fault, 3_600_000);
            }
            Fault::Freeze => {
                self.page.frozen = true;
                self.feed(Input::Page(PageEvent::Suspended))?;
                self.over_in(fault, 3_600_000);
            }
            Fault::ClockJump => {
                let hours = self.rng.between(0, 24 * 3_600_000) as i64;
                self.wall_offset = hours - 12 * 3_600_000;
            }
            Fault::Reload => return self.reload(),
            Fault::SignOut => return self.sign_out(),
        }
        Ok(())
    }

    pub(crate) fn end(&mut self, fault: Fault) -> Verdict {
        if let Some(until) = self.page.napping_until
            && matches!(fault, Fault::Hide | Fault::Freeze)
        {
            self.future.at(until + 1_000, Event::Ends(fault));
            return Ok(());
        }
        self.oracle.disturb(self.now + SPREAD);
        match fault {
            Fault::Offline | Fault::Portal => {
                self.network.path = Path::Clear;
                self.hear(PageEvent::Online)
            }
            Fault::Hide => {
                self.page.hidden = false;
                self.hear(PageEvent::Visible)
            }
            Fault::Freeze => {
                self.page.frozen = false;
                self.hear(PageEvent::Resumed)
            }
            _ => Ok(()),
        }
    }

    /// The machine wakes up, and with it whatever timer or event comes first.
    pub(crate) fn wake_up(&mut self) -> Verdict {
        self.page.napping_until = None;
        self.oracle.disturb(self.now + SPREAD);
        self.napped += self.now - self.page.napping_since;
        let network = match self.network.path {
            Path::Cut => PageEvent::Offline,
            Path::Clear | Path::Portal => PageEvent::Online,
        };
        if self.rng.in_thousand(500) {
            self.hear(network)
        } else {
            self.feed(Input::Timeout)?;
            self.hear(network)
        }
    }

    /// Everything is in its place again: awake, visible, online.
    pub(crate) fn show(&mut self) -> Verdict {
        if self.page.napping_until.is_some() {
            self.wake_up()?;
        }
        self.oracle.disturb(self.now + SPREAD);
        let Page { hidden, frozen, .. } = core::mem::take(&mut self.page);
        if frozen {
            self.hear(PageEvent::Resumed)?;
        }
        if hidden {
            self.hear(PageEvent::Visible)?;
        }
        self.hear(PageEvent::Online)
    }

    pub(crate) fn sign_in(&mut self) -> Verdict {
        if self.keeper.snapshot().session != SessionState::SignedOut {
            return Ok(());
        }
        let view = self.view();
        if view.attended && view.reachable {
            return self
                .feed(Input::SignIn { token: Some(TokenHandle(1)), facts: TokenFacts::default() })
                .map(drop);
        }
        let later = self.now + self.rng.between(10_000, 60_000);
        self.future.at(later, Event::SignsIn);
        Ok(())
    }

    fn revoke(&mut self) {
        if let Some(generation) = self.keeper.generation() {
            self.server.revoke(generation.token_id);
        }
    }

    fn cut(&mut self, path: Path, most: u64) -> Verdict {
        self.network.path = path;
        let fault = if path == Path::Cut { Fault::Offline } else { Fault::Portal };
        self.over_in(fault, most);
        // Browsers notice a cable that is pulled, and nothing further away.
        if path == Path::Cut && self.rng.in_thousand(700) {
            return self.hear(PageEvent::Offline);
        }
        Ok(())
    }

    fn reload(&mut self) -> Verdict {
        let options = self.mix.options();
        self.keeper = Keeper::new(options, self.rng.draw());
        self.open.clear();
        self.open_times.clear();
        self.app.reloaded();
        // Ids begin again with the page: what was on its way would find a stranger.
        self.future.forget(|it| {
            matches!(it, Event::Arrives { .. } | Event::Answered { .. } | Event::Strays { .. })
        });
        self.oracle.reloaded();
        self.feed(Input::Start)?;
        if self.page.hidden {
            self.feed(Input::Page(PageEvent::Hidden))?;
        }
        if matches!(self.record, Record::Tombstone { .. }) {
            let back = self.now + self.rng.between(5_000, 60_000);
            self.future.at(back, Event::SignsIn);
        }
        Ok(())
    }

    /// A page that sleeps hears nothing.
    fn hear(&mut self, event: PageEvent) -> Verdict {
        if self.page.napping_until.is_some() {
            return Ok(());
        }
        self.feed(Input::Page(event)).map(drop)
    }

    fn over_in(&mut self, fault: Fault, most: u64) {
        let over = self.now + self.rng.between(5_000, most);
        self.future.at(over, Event::Ends(fault));
    }
}

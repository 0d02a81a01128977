//! The faults at work, and the user between them.

use session_keeper_core::{Input, Keeper, PageEvent, Probe, Record, SessionState, TokenKind};

use crate::happening::{Happening, Strike};
use crate::network::Path;
use crate::oracle::Verdict;
use crate::server::Handling;
use crate::world::{Page, World};

/// Rates are per thousand hours.
const THOUSAND_HOURS: u64 = 3_600_000_000;
/// How long a page that comes back waits at the most, for a million of them come back at nine.
const SPREAD: u64 = 5_000;

impl World {
    /// Draws when a fault strikes next, if this seed has it.
    pub(crate) fn foresee(&mut self, strike: Strike) {
        let mix = &self.mix;
        let rate = match strike {
            Strike::ServerSleeps => mix.sleeps,
            Strike::Restart => mix.restarts,
            Strike::Revoke => mix.revokes,
            Strike::Offline => mix.offline,
            Strike::Portal => mix.portals,
            Strike::Nap => mix.naps,
            Strike::Hide => mix.hides,
            Strike::Freeze => mix.freezes,
            Strike::ClockJump => mix.clock_jumps,
            Strike::Reload => mix.reloads,
            Strike::SignOut => mix.sign_outs,
        };
        if let Some(mean) = THOUSAND_HOURS.checked_div(rate) {
            let at = self.now + self.dice.between(mean / 20, mean * 2);
            self.future.at(at, Happening::Strikes(strike));
        }
    }

    pub(crate) fn strike(&mut self, strike: Strike) -> Verdict {
        self.foresee(strike);
        let page = self.page;
        let suits = match strike {
            Strike::ServerSleeps | Strike::Restart | Strike::Revoke => true,
            Strike::Offline | Strike::Portal => self.network.path == Path::Clear,
            Strike::Hide => !page.hidden && !page.frozen && page.napping_until.is_none(),
            Strike::Nap | Strike::Freeze | Strike::ClockJump | Strike::Reload | Strike::SignOut => {
                !page.frozen && page.napping_until.is_none()
            }
        };
        if !suits {
            return Ok(());
        }
        *self.tally.faults.entry(strike.name()).or_default() += 1;
        self.note(format!("{:>10.3} *** {}", self.now as f64 / 1_000.0, strike.name()));
        self.oracle.disturb(self.now);
        match strike {
            Strike::ServerSleeps => self.server.falls_asleep(),
            Strike::Restart => self.server.restarts(self.now, &mut self.dice),
            Strike::Revoke => self.revoke(),
            Strike::Offline => return self.cut(Path::Cut, 600_000),
            Strike::Portal => return self.cut(Path::Portal, 1_200_000),
            Strike::Nap => {
                self.page.napping_since = self.now;
                self.page.napping_until = Some(self.now + self.dice.between(10_000, 7_200_000));
            }
            Strike::Hide => {
                self.page.hidden = true;
                self.tell(Input::Page(PageEvent::Hidden))?;
                self.over_in(strike, 3_600_000);
            }
            Strike::Freeze => {
                self.page.frozen = true;
                self.tell(Input::Page(PageEvent::Away))?;
                self.over_in(strike, 3_600_000);
            }
            Strike::ClockJump => {
                let hours = self.dice.between(0, 24 * 3_600_000) as i64;
                self.wall_offset = hours - 12 * 3_600_000;
            }
            Strike::Reload => return self.reload(),
            Strike::SignOut => return self.sign_out(),
        }
        Ok(())
    }

    pub(crate) fn end(&mut self, strike: Strike) -> Verdict {
        if let Some(until) = self.page.napping_until
            && matches!(strike, Strike::Hide | Strike::Freeze)
        {
            self.future.at(until + 1_000, Happening::Ends(strike));
            return Ok(());
        }
        self.oracle.disturb(self.now + SPREAD);
        match strike {
            Strike::Offline | Strike::Portal => {
                self.network.path = Path::Clear;
                self.hear(PageEvent::Online)
            }
            Strike::Hide => {
                self.page.hidden = false;
                self.hear(PageEvent::Visible)
            }
            Strike::Freeze => {
                self.page.frozen = false;
                self.hear(PageEvent::Back)
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
        if self.dice.in_thousand(500) {
            self.hear(network)
        } else {
            self.tell(Input::Timeout)?;
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
            self.hear(PageEvent::Back)?;
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
                .tell(Input::SignIn { expires_at: None, kind: TokenKind::Opaque })
                .map(drop);
        }
        let later = self.now + self.dice.between(10_000, 60_000);
        self.future.at(later, Happening::SignsIn);
        Ok(())
    }

    /// The app's own request, with the token.
    pub(crate) fn app_asks(&mut self) -> Verdict {
        let next = self.now + self.dice.between(20_000, 600_000);
        self.future.at(next, Happening::AppAsks);
        let Some(generation) = self.keeper.generation() else { return Ok(()) };
        if !self.view().attended {
            return Ok(());
        }
        if self.network.path != Path::Clear {
            return self.tell(Input::Unanswered).map(drop);
        }
        let token = Some(generation.token_id);
        match self.server.handle(self.now, Probe::Verify, token, &mut self.dice) {
            Handling::Answer(response) => {
                self.tell(Input::Report { status: response.status }).map(drop)
            }
            Handling::Refuse => self.tell(Input::Unanswered).map(drop),
            Handling::Hold(_) => Ok(()),
        }
    }

    fn revoke(&mut self) {
        if let Some(generation) = self.keeper.generation() {
            self.server.revoke(generation.token_id);
        }
    }

    fn cut(&mut self, path: Path, most: u64) -> Verdict {
        self.network.path = path;
        let strike = if path == Path::Cut { Strike::Offline } else { Strike::Portal };
        self.over_in(strike, most);
        // Browsers notice a cable that is pulled, and nothing further away.
        if path == Path::Cut && self.dice.in_thousand(700) {
            return self.hear(PageEvent::Offline);
        }
        Ok(())
    }

    fn reload(&mut self) -> Verdict {
        let options = self.mix.options();
        self.keeper = Keeper::new(options, self.dice.draw());
        self.open.clear();
        self.open_times.clear();
        // Ids begin anew with the page: what was on its way would find a stranger.
        self.future.forget(|it| {
            matches!(
                it,
                Happening::Arrives { .. } | Happening::Answered { .. } | Happening::Strays { .. }
            )
        });
        self.oracle.reloaded();
        self.tell(Input::Start)?;
        if self.page.hidden {
            self.tell(Input::Page(PageEvent::Hidden))?;
        }
        if matches!(self.record, Record::Tombstone { .. }) {
            let back = self.now + self.dice.between(5_000, 60_000);
            self.future.at(back, Happening::SignsIn);
        }
        Ok(())
    }

    /// A page that sleeps hears nothing.
    fn hear(&mut self, event: PageEvent) -> Verdict {
        if self.page.napping_until.is_some() {
            return Ok(());
        }
        self.tell(Input::Page(event)).map(drop)
    }

    fn over_in(&mut self, strike: Strike, most: u64) {
        let over = self.now + self.dice.between(5_000, most);
        self.future.at(over, Happening::Ends(strike));
    }
}

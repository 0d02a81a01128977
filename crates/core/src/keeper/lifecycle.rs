//! Start and stop, and what happens to the page: when nothing may go on, and how it goes on then.

use alloc::vec::Vec;

use super::verifying::resolve_verify_waiters;
use super::{Keeper, Life, Session};
use crate::answer::Probe;
use crate::effect::Effect;
use crate::event::Event;
use crate::page::PageEvent;

impl Keeper {
    pub(super) fn start(&mut self, out: &mut Vec<Effect>) {
        if self.life == Life::Running {
            return;
        }
        self.life = Life::Running;
        self.log(out, Event::Started {});
        if let Some(health) = &self.options.health {
            let every = health.every;
            self.log(out, Event::KeepAlive { every });
        }
        self.prober.ping_at(self.now());
        self.verify_schedule.now(self.now());
        self.share_tabs(out);
        out.push(Effect::ReadBackend);
        self.read_record(out);
    }

    pub(super) fn stop(&mut self, out: &mut Vec<Effect>) {
        if self.life == Life::Idle {
            return;
        }
        self.log(out, Event::Stopped {});
        self.stop_awaiting(out);
        self.forget_acquiring(out);
        self.release_lease(out);
        if self.refresh_lock.release() {
            out.push(Effect::Unlock);
        }
        self.life = Life::Idle;
        self.abort_all(out);
        resolve_verify_waiters(out);
    }

    pub(super) fn handle_page(&mut self, event: PageEvent, out: &mut Vec<Effect>) {
        let now = self.now();
        self.page.handle(now, event);
        if self.life != Life::Running {
            return;
        }
        match event {
            PageEvent::UserActivity => return,
            PageEvent::Suspended => {
                self.release_lease(out);
                self.abort_all(out);
            }
            PageEvent::Resumed => {
                self.resume(out);
                self.read_lease(out);
                self.read_record(out);
            }
            PageEvent::Online => self.postpone(),
            // Ask once, so that the network error which makes it "offline" comes soon.
            PageEvent::Offline => self.prober.ping_at(now),
            PageEvent::Visible => {
                self.on_visible();
                self.read_lease(out);
            }
            PageEvent::Hidden => self.read_lease(out),
        }
        self.log(out, Event::Page { event });
    }

    /// The page could not run for a while: what is under way is about another time.
    pub(super) fn resume(&mut self, out: &mut Vec<Effect>) {
        self.abort_all(out);
        self.read_lease(out);
        // A refresh goes on: its answer may be the only copy of a token.
        self.requests.restart(Probe::Refresh, self.now());
        self.refresher.interrupt();
        self.restart_acquiring();
        self.prober.paths.reset();
        self.postpone();
    }

    /// Gives up what is under way, but for a sign-out: its page may navigate away in the handler
    /// that is told of it, and the request goes on without the page.
    pub(super) fn abort_all(&mut self, out: &mut Vec<Effect>) {
        self.abort(Probe::Health, out);
        self.abort_verification(out);
        if self.reads.reset() && matches!(self.session, Session::Restoring) {
            self.read_record(out);
        }
    }

    /// Spreads what comes next over the first seconds after `online`, a wake or a resume.
    pub(super) fn postpone(&mut self) {
        let at = self.now().plus(self.page.spread_delay(&mut self.rng));
        self.page.paused_until = at;
        self.prober.ping_at(at);
        self.verify_schedule.at(at);
        self.revocation.postpone(at);
        if let Some(confirmation) = self.confirmation() {
            confirmation.interrupted(at);
        }
    }
}

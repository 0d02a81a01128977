//! The instances of the backend that answered recently, where it names them.
//!
//! `instance` names a worker under a boot id, and one start of the server makes one boot id for
//! all of them. So a boot id that was never seen means that the instances of others are gone;
//! should one of them answer all the same (a rolling deploy), it is seen again.

use alloc::vec::Vec;

use crate::answer::{Body, Probe, Response, ServerFacts, Verdict};
use crate::label::Label;
use crate::label::Origin;
use crate::time::{Duration, Instant, UnixMillis};

/// An instance that has not answered for this long is no longer waited for.
const LATELY: Duration = Duration::from_secs(600);

/// More than a small backend has; a server that invents a name for each answer fills no memory.
const MAX: usize = 32;

/// An answer travels, and a process that starts at once was not beside the one that it replaced.
const SLACK: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) instance: Label,
    boot: Option<Label>,
    at: Instant,
}

impl Seen {
    pub(crate) const fn origin(&self) -> Origin {
        Origin { instance: Some(self.instance), boot: self.boot }
    }
}

/// Which of the names in a body are the server's own.
///
/// A profile may have a `now` and a tenant may be called `instance`. Such members count where the
/// health path has them, or an accepted answer together with `boot`; then a rejection's count
/// too.
#[derive(Debug, Default)]
pub(crate) struct OwnNames {
    known: bool,
    /// The server has told of a boot id, with or without an instance.
    knows_boot: bool,
    /// The boot id of an accepted answer before this page.
    kept_boot: Option<Label>,
}

/// Milliseconds this early are in 1973: the number is in seconds.
const SECONDS: u64 = 100_000_000_000;
/// Milliseconds this late are in the year 5138: the number is in microseconds, or no time.
const MICROS: u64 = 100_000_000_000_000;

impl OwnNames {
    /// Takes what is kept of the backend.
    pub(crate) const fn restore(&mut self, boot: Option<Label>) {
        self.kept_boot = boot;
    }

    pub(crate) fn own(
        &mut self,
        probe: Probe,
        verdict: Verdict,
        response: &Response,
    ) -> ServerFacts {
        let ServerFacts { instance, boot, now, uptime } = response.server;
        // RFC 9457 section 3.1.5: `instance` identifies the occurrence of a problem.
        if response.body == Body::Problem {
            return ServerFacts::default();
        }
        let is_named = instance.is_some() && boot.is_some();
        let is_accepted = verdict == Verdict::Valid && boot.is_some();
        let bears = probe == Probe::Health || is_accepted;
        let is_kept = boot.is_some() && boot == self.kept_boot;
        self.known |= (bears || is_kept) && is_named;
        self.knows_boot |= (bears || is_kept) && boot.is_some();
        if !(bears || self.known && is_named) {
            // A restart must be known from the first rejection on.
            let boot = boot.filter(|_| self.knows_boot);
            return ServerFacts { boot, ..ServerFacts::default() };
        }
        let in_millis = |UnixMillis(n)| UnixMillis(if n < SECONDS { n * 1_000 } else { n });
        let now = now.filter(|now| now.0 < MICROS);
        ServerFacts {
            instance: instance.filter(|_| is_named),
            boot,
            now: now.map(in_millis),
            uptime,
        }
    }
}

/// Whether an answer came from a start of the server that was not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boot {
    Known,
    /// The first that was ever seen.
    First,
    /// Another id, or an `uptime` that fell back.
    Changed,
}

/// What an `uptime` says of the process that answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Start {
    /// It has not said, or nothing was known before.
    #[default]
    Untold,
    /// It started with those that were known.
    Same,
    /// It started after them.
    Later,
}

#[derive(Debug, Default)]
pub(crate) struct Instances {
    seen: Vec<Seen>,
    boots: Vec<Label>,
    latest_boot: Option<Label>,
    answers: u8,
    /// The last answer of a process that told of itself.
    last: Option<Instant>,
    /// What the last change was told by.
    reported: Start,
    /// Answers of the health path in a row with the latest boot id, and with the one before it.
    streak: u32,
    streak_before: u32,
}

/// With fewer answers an instance that has not been met yet is too likely: of two workers that
/// take turns by chance, three answers miss one in a quarter of cases, four in an eighth, and a
/// rejection is asked again at least twice.
const TELLING: u8 = 4;

impl Instances {
    /// Takes an answer to a request of the moment `sent`.
    pub(crate) fn see(
        &mut self,
        sent: Instant,
        now: Instant,
        by: Probe,
        server: &ServerFacts,
    ) -> Boot {
        self.seen.retain(|seen| now.since(seen.at) < LATELY);
        let is_unknown = server.boot.is_some_and(|boot| !self.boots.contains(&boot));
        let slack = if is_unknown { SLACK } else { Duration::ZERO };
        let start = self.see_start(sent, server.uptime, slack);
        // An answer that tells nothing may be the new process's own.
        if server.boot.is_some() || server.uptime.is_some() {
            self.last = Some(now);
        }
        let boot = self.see_boot(start, by, server.boot.as_ref());
        if let Some(instance) = &server.instance {
            self.answers = self.answers.saturating_add(1);
            self.seen.retain(|seen| seen.instance != *instance || seen.boot != server.boot);
            if self.seen.len() < MAX {
                let (instance, boot) = (*instance, server.boot);
                self.seen.push(Seen { instance, boot, at: now });
            }
        }
        boot
    }

    /// A process that started after the last answer of another is no worker beside it. It was up
    /// so long when it answered, which was after the request was sent: on a busy machine the
    /// answer itself may come seconds later.
    fn see_start(&self, sent: Instant, uptime: Option<Duration>, slack: Duration) -> Start {
        match (uptime, self.last) {
            (Some(uptime), Some(last)) if uptime < sent.since(last).plus(slack) => Start::Later,
            (Some(_), Some(_)) => Start::Same,
            _ => Start::Untold,
        }
    }

    fn see_boot(&mut self, start: Start, by: Probe, boot: Option<&Label>) -> Boot {
        let Some(boot) = boot else {
            if start == Start::Later {
                self.reported = start;
                return Boot::Changed;
            }
            return Boot::Known;
        };
        let is_latest = self.latest_boot.as_ref() == Some(boot);
        if !is_latest {
            (self.streak_before, self.streak) = (self.streak, 0);
        }
        // A check that follows a change meets the same worker by the same connection.
        self.streak += u32::from(by == Probe::Health);
        self.latest_boot = Some(*boot);
        if self.boots.contains(boot) {
            if !is_latest {
                // The one before is still there: the two take turns.
                self.streak = 0;
            }
            return Boot::Known;
        }
        self.reported = start;
        let first = self.boots.is_empty();
        if self.boots.len() == MAX {
            self.boots.remove(0);
        }
        self.boots.push(*boot);
        if start == Start::Same && !first {
            // A worker of the same start that makes an id of its own.
            return Boot::Known;
        }
        self.seen.retain(|seen| seen.boot.as_ref() == Some(boot));
        self.answers = 0;
        if first { Boot::First } else { Boot::Changed }
    }

    pub(crate) fn recent(&self, now: Instant) -> impl Iterator<Item = &Seen> {
        self.seen.iter().filter(move |seen| now.since(seen.at) < LATELY)
    }

    /// Whether the boot id before the latest was the only one for a while, or an uptime tells.
    pub(crate) fn is_restart(&self) -> bool {
        self.reported == Start::Later || self.streak_before >= 2
    }

    /// Whether enough answers came to believe that those seen are all there are.
    pub(crate) const fn are_known(&self) -> bool {
        self.answers >= TELLING
    }

    pub(crate) const fn boot(&self) -> Option<&Label> {
        self.latest_boot.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(instance: &str, boot: &str) -> ServerFacts {
        let (instance, boot) = (Label::new(instance), Label::new(boot));
        ServerFacts { instance, boot, ..ServerFacts::default() }
    }

    fn names(instances: &Instances, now: Instant) -> Vec<&str> {
        let mut names: Vec<&str> =
            instances.recent(now).map(|seen| seen.instance.as_str()).collect();
        names.sort_unstable();
        names
    }

    fn at(secs: u64) -> Instant {
        Instant::default().plus(Duration::from_secs(secs))
    }

    #[test]
    fn an_instance_that_is_silent_for_ten_minutes_is_no_longer_waited_for() {
        let mut instances = Instances::default();
        instances.see(at(0), at(0), Probe::Health, &facts("a", "1"));
        instances.see(at(300), at(300), Probe::Health, &facts("b", "1"));
        assert_eq!(names(&instances, at(599)), ["a", "b"]);
        assert_eq!(names(&instances, at(600)), ["b"]);
    }

    #[test]
    fn a_restart_makes_the_instances_before_it_forgotten() {
        let mut instances = Instances::default();
        assert_eq!(instances.see(at(0), at(0), Probe::Health, &facts("a", "1")), Boot::First);
        instances.see(at(1), at(1), Probe::Health, &facts("b", "1"));
        assert_eq!(instances.see(at(2), at(2), Probe::Health, &facts("c", "2")), Boot::Changed);
        assert_eq!(names(&instances, at(2)), ["c"]);
    }

    #[test]
    fn a_backend_is_known_after_four_answers_of_one_boot() {
        let mut instances = Instances::default();
        for _ in 0..3 {
            instances.see(at(0), at(0), Probe::Health, &facts("a", "1"));
        }
        assert!(!instances.are_known());
        instances.see(at(1), at(1), Probe::Health, &facts("a", "1"));
        assert!(instances.are_known());
        instances.see(at(2), at(2), Probe::Health, &facts("a", "2"));
        assert!(!instances.are_known());
    }

    #[test]
    fn in_a_rolling_deploy_the_old_instance_that_answers_again_is_seen_again() {
        let mut instances = Instances::default();
        instances.see(at(0), at(0), Probe::Health, &facts("a", "1"));
        instances.see(at(1), at(1), Probe::Health, &facts("b", "2"));
        assert_eq!(instances.see(at(2), at(2), Probe::Health, &facts("a", "1")), Boot::Known);
        assert_eq!(instances.see(at(3), at(3), Probe::Health, &facts("b", "2")), Boot::Known);
        assert_eq!(names(&instances, at(3)), ["a", "b"]);
    }

    #[test]
    fn a_process_that_started_after_the_last_answer_is_a_new_start_and_an_older_one_is_not() {
        let mut instances = Instances::default();
        let mut see = |secs, boot: Option<&str>, up| {
            let boot = boot.and_then(Label::new);
            let uptime = Some(Duration::from_millis(up));
            let facts = ServerFacts { boot, uptime, ..ServerFacts::default() };
            instances.see(at(secs), at(secs), Probe::Health, &facts)
        };
        // As a page is loaded the server is older than the page's line of time.
        assert_eq!(see(1, None, 900_000), Boot::Known);
        assert_eq!(see(2, None, 897_000), Boot::Known, "a worker that started 4 s later");
        assert_eq!(see(3, None, 500), Boot::Changed, "up for less than nobody answered");
        assert_eq!(see(4, None, 1_500), Boot::Known);
        assert_eq!(see(40, Some("a"), 37_500), Boot::First);
        assert_eq!(see(41, Some("b"), 37_500), Boot::Known, "each worker makes its own id");
        assert_eq!(see(42, Some("a"), 39_500), Boot::Known);
        assert_eq!(see(44, Some("c"), 1_000), Boot::Changed);
        assert_eq!(see(46, Some("d"), 1_000), Boot::Changed, "and again at once");
    }

    #[test]
    fn ids_that_take_turns_are_no_restarts() {
        let mut instances = Instances::default();
        for boot in ["1", "2", "3"] {
            instances.see(at(0), at(0), Probe::Health, &facts("a", boot));
            assert!(!instances.is_restart());
        }
        instances.see(at(1), at(1), Probe::Health, &facts("a", "3"));
        instances.see(at(2), at(2), Probe::Health, &facts("a", "4"));
        assert!(instances.is_restart());
    }

    #[test]
    fn a_server_that_invents_a_name_for_each_answer_fills_no_memory() {
        let mut instances = Instances::default();
        for n in 0..10_000 {
            let name = alloc::format!("i{n}");
            instances.see(at(0), at(0), Probe::Health, &facts(&name, &name));
        }
        assert!(instances.seen.len() <= MAX && instances.boots.len() <= MAX);
    }
}

//! The instances of the backend that answered lately, where it names them.
//!
//! `instance` names a worker under a boot id, and one start of the server makes one boot id for
//! all of them. So a boot id that was never seen means that the instances of others are gone;
//! should one of them answer all the same (a rolling deploy), it is seen again.

use alloc::vec::Vec;

use crate::answer::ServerFacts;
use crate::label::Label;
use crate::time::{Duration, Instant};

/// An instance that has not answered for this long is no longer waited for.
const LATELY: Duration = Duration::from_secs(600);

/// More than a small backend has; a server that invents a name for each answer fills no memory.
const MOST: usize = 32;

#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) instance: Label,
    boot: Option<Label>,
    at: Instant,
}

/// Whether an answer came from a start of the server that was not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boot {
    Known,
    /// The first that was ever seen.
    First,
    Changed,
}

#[derive(Debug, Default)]
pub(crate) struct Instances {
    seen: Vec<Seen>,
    boots: Vec<Label>,
    latest_boot: Option<Label>,
    answers: u8,
}

/// With fewer answers an instance that has not been met yet is too likely: of two workers that
/// take turns by chance, three answers miss one in a quarter of cases, four in an eighth, and a
/// refusal is asked again at least twice.
const TELLING: u8 = 4;

impl Instances {
    pub(crate) fn see(&mut self, now: Instant, server: &ServerFacts) -> Boot {
        self.seen.retain(|seen| now.since(seen.at) < LATELY);
        let boot = self.see_boot(server.boot.as_ref());
        if let Some(instance) = &server.instance {
            self.answers = self.answers.saturating_add(1);
            self.seen.retain(|seen| seen.instance != *instance || seen.boot != server.boot);
            if self.seen.len() < MOST {
                let (instance, boot) = (*instance, server.boot);
                self.seen.push(Seen { instance, boot, at: now });
            }
        }
        boot
    }

    fn see_boot(&mut self, boot: Option<&Label>) -> Boot {
        let Some(boot) = boot else { return Boot::Known };
        self.latest_boot = Some(*boot);
        if self.boots.contains(boot) {
            return Boot::Known;
        }
        let first = self.boots.is_empty();
        if self.boots.len() == MOST {
            self.boots.remove(0);
        }
        self.boots.push(*boot);
        self.seen.retain(|seen| seen.boot.as_ref() == Some(boot));
        self.answers = 0;
        if first { Boot::First } else { Boot::Changed }
    }

    pub(crate) fn lately(&self, now: Instant) -> impl Iterator<Item = &Seen> {
        self.seen.iter().filter(move |seen| now.since(seen.at) < LATELY)
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
            instances.lately(now).map(|seen| seen.instance.as_str()).collect();
        names.sort_unstable();
        names
    }

    fn at(secs: u64) -> Instant {
        Instant::default().plus(Duration::from_secs(secs))
    }

    #[test]
    fn an_instance_that_is_silent_for_ten_minutes_is_no_longer_waited_for() {
        let mut instances = Instances::default();
        instances.see(at(0), &facts("a", "1"));
        instances.see(at(300), &facts("b", "1"));
        assert_eq!(names(&instances, at(599)), ["a", "b"]);
        assert_eq!(names(&instances, at(600)), ["b"]);
    }

    #[test]
    fn a_restart_makes_the_instances_before_it_forgotten() {
        let mut instances = Instances::default();
        assert_eq!(instances.see(at(0), &facts("a", "1")), Boot::First);
        instances.see(at(1), &facts("b", "1"));
        assert_eq!(instances.see(at(2), &facts("c", "2")), Boot::Changed);
        assert_eq!(names(&instances, at(2)), ["c"]);
    }

    #[test]
    fn a_backend_is_known_after_four_answers_of_one_boot() {
        let mut instances = Instances::default();
        for _ in 0..3 {
            instances.see(at(0), &facts("a", "1"));
        }
        assert!(!instances.are_known());
        instances.see(at(1), &facts("a", "1"));
        assert!(instances.are_known());
        instances.see(at(2), &facts("a", "2"));
        assert!(!instances.are_known());
    }

    #[test]
    fn in_a_rolling_deploy_the_old_instance_that_answers_again_is_seen_again() {
        let mut instances = Instances::default();
        instances.see(at(0), &facts("a", "1"));
        instances.see(at(1), &facts("b", "2"));
        assert_eq!(instances.see(at(2), &facts("a", "1")), Boot::Known);
        assert_eq!(instances.see(at(3), &facts("b", "2")), Boot::Known);
        assert_eq!(names(&instances, at(3)), ["a", "b"]);
    }

    #[test]
    fn a_server_that_invents_a_name_for_each_answer_fills_no_memory() {
        let mut instances = Instances::default();
        for n in 0..10_000 {
            let name = alloc::format!("i{n}");
            instances.see(at(0), &facts(&name, &name));
        }
        assert!(instances.seen.len() <= MOST && instances.boots.len() <= MOST);
    }
}

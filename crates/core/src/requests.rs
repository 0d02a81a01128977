//! The requests under way: what each was sent for, for whom, and how long it may take.
//!
//! Rule: an answer that belongs to no request here is dropped (G6), and every request here has a
//! deadline (G4).

use alloc::vec::Vec;

use crate::answer::Probe;
use crate::generation::Generation;
use crate::time::{Duration, Instant};

/// Names a request between the core and the shell. Never used twice in one keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RequestId(pub u32);

/// Names a read of the store. Never used twice in one keeper: an old answer never stands for a
/// newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ReadId(pub u32);

/// Names a token that the app handed over and that belongs to no session yet. The shell makes
/// it and never uses it twice; the token itself stays there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TokenHandle(pub u32);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) id: RequestId,
    pub(crate) probe: Probe,
    pub(crate) generation: Option<Generation>,
    pub(crate) sent: Instant,
    stage: Stage,
    /// It was marked as held, whatever came then.
    held: bool,
    limits: Limits,
}

/// How long a request may take, by its kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Until it counts as held by a server that wakes; also the bound of a body.
    pub(crate) answer: Duration,
    /// Until it is given up: platforms hold a request up to 75 s, and a cancelled one starts again.
    pub(crate) hold: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Fresh,
    Held,
    Answering { since: Instant },
}

/// What has become of a request in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// No answer for so long that the server must be waking.
    Held,
    /// Past its last bound.
    GivenUp,
}

impl Request {
    /// Whether it was held although no timer came to say so: a hidden page's are a minute late.
    pub(crate) fn was_held_unseen(&self, now: Instant) -> bool {
        self.stage == Stage::Fresh && self.deadline() <= now
    }

    /// Whether it was marked as held.
    pub(crate) const fn is_held(&self) -> bool {
        self.held
    }

    fn deadline(&self) -> Instant {
        match self.stage {
            Stage::Fresh => self.sent.plus(self.limits.answer),
            Stage::Held => self.sent.plus(self.limits.hold),
            Stage::Answering { since } => since.plus(self.limits.answer),
        }
    }
}

/// A pause this long lets a platform put an idle server to sleep.
const SILENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Requests {
    last_id: u32,
    under_way: Vec<Request>,
    /// When the last requests were sent, newest first.
    sent: [Option<Instant>; Self::MAX],
    /// When the first request after a long silence was sent.
    active_since: Instant,
}

impl Requests {
    pub(crate) fn open(
        &mut self,
        probe: Probe,
        generation: Option<Generation>,
        sent: Instant,
        limits: Limits,
    ) -> RequestId {
        self.last_id += 1;
        let id = RequestId(self.last_id);
        let stage = Stage::Fresh;
        let held = false;
        self.under_way.push(Request { id, probe, generation, sent, stage, held, limits });
        if self.sent[0].is_none_or(|last| sent.since(last) >= SILENCE) {
            self.active_since = sent;
        }
        self.sent.rotate_right(1);
        self.sent[0] = Some(sent);
        id
    }

    /// In any 6 s of a confirmation or of an outage, so that a million users can cope with a
    /// server that lost all their tokens, and it with them.
    pub(crate) const MAX: usize = 3;

    /// The first moment at which one more request is one of at most `most` within `window`.
    pub(crate) fn available_at(&self, most: usize, window: Duration) -> Instant {
        self.sent[most - 1].map_or(Instant::default(), |sent| sent.plus(window))
    }

    /// How many more may be sent now.
    pub(crate) fn available(&self, now: Instant, window: Duration) -> usize {
        let mut most = 1;
        while most <= Self::MAX && self.available_at(most, window) > now {
            most += 1;
        }
        Self::MAX + 1 - most
    }

    /// When the first request after a long silence was sent.
    pub(crate) const fn active_since(&self) -> Instant {
        self.active_since
    }

    /// Takes the request out; its answer is here, or nobody waits for it any more.
    pub(crate) fn close(&mut self, id: RequestId) -> Option<Request> {
        let at = self.under_way.iter().position(|request| request.id == id)?;
        Some(self.under_way.swap_remove(at))
    }

    pub(crate) fn answering(&mut self, id: RequestId, now: Instant) {
        for request in &mut self.under_way {
            // Only the first head counts, or a bound that moves would be none.
            if request.id == id && !matches!(request.stage, Stage::Answering { .. }) {
                request.stage = Stage::Answering { since: now };
            }
        }
    }

    /// The page could not run: the bounds of the requests of this kind count from now.
    pub(crate) fn restart(&mut self, probe: Probe, now: Instant) {
        for request in self.under_way.iter_mut().filter(|request| request.probe == probe) {
            (request.sent, request.stage) = (now, Stage::Fresh);
        }
    }

    pub(crate) fn any(&self, probe: Probe) -> bool {
        self.under_way.iter().any(|request| request.probe == probe)
    }

    /// Whether one of the kind that was sent later is under way.
    pub(crate) fn any_since(&self, probe: Probe, since: Instant) -> bool {
        self.under_way.iter().any(|request| request.probe == probe && request.sent > since)
    }

    /// Takes out one request of the kind, while there is one.
    pub(crate) fn close_any(&mut self, probe: Probe) -> Option<RequestId> {
        let id = self.under_way.iter().find(|open| open.probe == probe)?.id;
        self.close(id).map(|request| request.id)
    }

    /// One request that is past its present bound. A held one is marked; one past its last bound
    /// is taken out.
    pub(crate) fn overdue(&mut self, now: Instant) -> Option<(Request, Overdue)> {
        let at = self.under_way.iter().position(|request| request.deadline() <= now)?;
        let request = &mut self.under_way[at];
        let waits_on = request.sent.plus(request.limits.hold) > now;
        if request.stage == Stage::Fresh && waits_on {
            request.stage = Stage::Held;
            request.held = true;
            return Some((*request, Overdue::Held));
        }
        Some((self.under_way.swap_remove(at), Overdue::GivenUp))
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.under_way.iter().map(Request::deadline).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { answer: Duration::from_secs(10), hold: Duration::from_secs(90) };

    fn at(secs: u64) -> Instant {
        Instant::default().plus(Duration::from_secs(secs))
    }

    #[test]
    fn a_request_is_held_after_ten_seconds_and_given_up_after_ninety() {
        let mut requests = Requests::default();
        requests.open(Probe::Health, None, at(0), LIMITS);
        assert!(requests.overdue(at(9)).is_none());
        assert!(matches!(requests.overdue(at(10)), Some((_, Overdue::Held))));
        assert!(requests.overdue(at(89)).is_none());
        assert!(matches!(requests.overdue(at(90)), Some((_, Overdue::GivenUp))));
        assert!(requests.next_deadline().is_none());
    }

    #[test]
    fn a_body_that_never_ends_is_given_up_ten_seconds_after_its_head() {
        let mut requests = Requests::default();
        let id = requests.open(Probe::Health, None, at(0), LIMITS);
        requests.answering(id, at(5));
        assert!(requests.overdue(at(14)).is_none());
        assert!(matches!(requests.overdue(at(15)), Some((_, Overdue::GivenUp))));
    }

    #[test]
    fn a_second_head_of_the_same_answer_moves_no_bound() {
        let mut requests = Requests::default();
        let id = requests.open(Probe::Health, None, at(0), LIMITS);
        requests.answering(id, at(5));
        requests.answering(id, at(14));
        assert!(matches!(requests.overdue(at(15)), Some((_, Overdue::GivenUp))));
    }

    #[test]
    fn an_answer_is_taken_once() {
        let mut requests = Requests::default();
        let id = requests.open(Probe::Verify, None, at(0), LIMITS);
        assert!(requests.close(id).is_some());
        assert!(requests.close(id).is_none());
    }
}

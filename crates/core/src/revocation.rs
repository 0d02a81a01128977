//! Telling the server of a sign-out, so that it forgets the token too.
//!
//! Rule: a sign-out is delivered when the server says so, and by nothing else. What is not
//! delivered is tried again within bounds. Knows nothing of the session that is there now.

use alloc::vec::Vec;

use crate::answer::{Body, Outcome, Response};
use crate::challenge::Challenge;
use crate::generation::Generation;
use crate::options::VerifyOptions;
use crate::rng::Rng;
use crate::time::Instant;

/// A server that rejects a sign-out will hardly take it later: this often in one page.
const MAX_REFUSALS: u8 = 6;
/// Sign-outs that wait in one page; an older one is given up for a newer one.
const MAX_PENDING: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Revocation {
    /// Oldest first.
    pending: Vec<Pending>,
    /// The developer was told what the server said.
    reported: bool,
}

#[derive(Debug)]
struct Pending {
    generation: Generation,
    due: Instant,
    /// How often it got no answer.
    unanswered: u8,
    /// How often it was rejected.
    refused: u8,
}

/// What the server made of a sign-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It has ended the session, or does not know it.
    Delivered,
    /// Nobody knows: ask again.
    Unanswered,
    /// It answered, and not as a server does that has ended a session.
    Refused,
}

/// What follows from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The server knows; the token is needed no more.
    Done,
    /// It is asked again; `report`: the developer has not been told yet what it said.
    Again { report: bool },
    /// It is not asked again in this page.
    GivenUp { report: bool },
}

/// Reads the answer to a sign-out request. A 401 says that the server does not know the session,
/// unless something in front of it says so.
pub(crate) fn read_delivery(outcome: &Outcome) -> Delivery {
    let Outcome::Response(response) = outcome else { return Delivery::Unanswered };
    let Response { status, body, challenge, .. } = response;
    if response.redirected {
        return Delivery::Refused;
    }
    let is_wall = matches!(challenge, Challenge::Foreign | Challenge::Password);
    let is_api = !matches!(body, Body::Html | Body::ErrorObject);
    match status {
        200..=299 if is_api => Delivery::Delivered,
        401 if *body != Body::Html && !is_wall => Delivery::Delivered,
        407 | 408 | 421 | 425 | 429 | 500..=599 => Delivery::Unanswered,
        _ => Delivery::Refused,
    }
}

impl Revocation {
    /// The server is to be told that this session has ended. Returns the generation of one that
    /// is given up for it.
    pub(crate) fn add(&mut self, generation: Generation, now: Instant) -> Option<Generation> {
        let dropped =
            (self.pending.len() == MAX_PENDING).then(|| self.pending.remove(0).generation);
        self.pending.push(Pending { generation, due: now, unanswered: 0, refused: 0 });
        dropped
    }

    /// Nobody is to be told any more.
    pub(crate) fn cancel(&mut self) {
        self.pending.clear();
    }

    /// Which sign-out is due first, and when.
    pub(crate) fn next(&self) -> Option<(Instant, Generation)> {
        let first = self.pending.iter().min_by_key(|pending| pending.due)?;
        Some((first.due, first.generation))
    }

    /// The server is back: tell it now.
    pub(crate) fn expedite(&mut self, now: Instant) {
        for pending in &mut self.pending {
            pending.due = pending.due.min(now);
        }
    }

    /// Nothing goes out before `at`.
    pub(crate) fn postpone(&mut self, at: Instant) {
        for pending in &mut self.pending {
            pending.due = pending.due.max(at);
        }
    }

    pub(crate) fn handle_answer(
        &mut self,
        generation: Generation,
        delivery: Delivery,
        floor: Instant,
        options: &VerifyOptions,
        rng: &mut Rng,
    ) -> Option<Step> {
        let at = self.pending.iter().position(|pending| pending.generation == generation)?;
        let pending = &mut self.pending[at];
        let low = options.retry_delay;
        let wait = match delivery {
            Delivery::Delivered => {
                self.pending.remove(at);
                return Some(Step::Done);
            }
            Delivery::Unanswered if pending.unanswered < options.retries => {
                pending.unanswered += 1;
                rng.decorrelated(low, low.times(4), low)
            }
            // It is made good at the next sign of life, or in time where the server was never
            // seen to be away.
            Delivery::Unanswered => rng.spread(options.every),
            Delivery::Refused => {
                pending.refused += 1;
                rng.spread(low.times(1 << pending.refused)).min(options.every)
            }
        };
        let report = delivery == Delivery::Refused && !self.reported;
        self.reported |= report;
        if pending.refused >= MAX_REFUSALS {
            self.pending.remove(at);
            return Some(Step::GivenUp { report });
        }
        pending.due = floor.plus(wait);
        Some(Step::Again { report })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation::TokenId;
    use crate::time::Duration;

    fn at(secs: u64) -> Instant {
        Instant::default().plus(Duration::from_secs(secs))
    }

    fn generation(number: u32) -> Generation {
        Generation::after(None, TokenId(number.into()))
    }

    fn answer(status: u16, body: Body) -> Outcome {
        Outcome::Response(Response { status, body, ..Response::default() })
    }

    fn take(revocation: &mut Revocation, number: u32, delivery: Delivery) -> Option<Step> {
        let options = VerifyOptions::default();
        revocation.handle_answer(generation(number), delivery, at(0), &options, &mut Rng::new(1))
    }

    #[test]
    fn a_sign_out_is_delivered_by_an_answer_of_the_api_and_by_nothing_else() {
        for (outcome, delivery) in [
            (answer(204, Body::Empty), Delivery::Delivered),
            (answer(200, Body::Object), Delivery::Delivered),
            (answer(200, Body::Other), Delivery::Delivered),
            (answer(401, Body::Problem), Delivery::Delivered),
            (answer(401, Body::Empty), Delivery::Delivered),
            (answer(401, Body::Html), Delivery::Refused),
            (answer(200, Body::Html), Delivery::Refused),
            (answer(200, Body::ErrorObject), Delivery::Refused),
            (answer(0, Body::Empty), Delivery::Refused),
            (answer(400, Body::Object), Delivery::Refused),
            (answer(403, Body::Object), Delivery::Refused),
            (answer(404, Body::Object), Delivery::Refused),
            (answer(405, Body::Empty), Delivery::Refused),
            (answer(419, Body::Object), Delivery::Refused),
            (answer(429, Body::Object), Delivery::Unanswered),
            (answer(500, Body::Object), Delivery::Unanswered),
            (answer(503, Body::Html), Delivery::Unanswered),
            (Outcome::NoAnswer, Delivery::Unanswered),
        ] {
            assert_eq!(read_delivery(&outcome), delivery, "{outcome:?}");
        }
        let redirect = Response { redirected: true, status: 302, ..Response::default() };
        assert_eq!(read_delivery(&Outcome::Response(redirect)), Delivery::Refused);
    }

    #[test]
    fn a_rejected_sign_out_is_tried_again_within_bounds_and_reported_once() {
        let mut revocation = Revocation::default();
        revocation.add(generation(1), at(0));
        assert_eq!(take(&mut revocation, 1, Delivery::Refused), Some(Step::Again { report: true }));
        for _ in 2..MAX_REFUSALS {
            let step = take(&mut revocation, 1, Delivery::Refused);
            assert_eq!(step, Some(Step::Again { report: false }));
        }
        assert_eq!(
            take(&mut revocation, 1, Delivery::Refused),
            Some(Step::GivenUp { report: false })
        );
        assert_eq!(revocation.next(), None);
    }

    #[test]
    fn a_second_sign_out_does_not_replace_the_first() {
        let mut revocation = Revocation::default();
        revocation.add(generation(1), at(0));
        revocation.add(generation(2), at(1));
        assert_eq!(revocation.next(), Some((at(0), generation(1))));
        assert_eq!(take(&mut revocation, 1, Delivery::Delivered), Some(Step::Done));
        assert_eq!(revocation.next(), Some((at(1), generation(2))));
        assert_eq!(take(&mut revocation, 1, Delivery::Delivered), None, "it is done");
    }

    #[test]
    fn a_page_keeps_only_so_many_sign_outs() {
        let mut revocation = Revocation::default();
        for number in 0..8 {
            assert_eq!(revocation.add(generation(number), at(0)), None);
        }
        assert_eq!(revocation.add(generation(8), at(0)), Some(generation(0)));
    }
}

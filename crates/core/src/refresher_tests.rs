//! When an attempt goes out, and what the answers add up to.

use super::*;
use crate::answer::Grade;
use crate::time::UnixMillis;

fn at(secs: u64) -> Instant {
    Instant::default().plus(Duration::from_secs(secs))
}

const LOW: Duration = Duration::from_secs(2);

fn answer(status: u16, body: Body) -> RefreshAnswer {
    let outcome = Outcome::Response(Response { status, body, ..Response::default() });
    RefreshAnswer { outcome, ..RefreshAnswer::NONE }
}

fn rejection() -> RejectedAnswer {
    let (at, grade) = (UnixMillis(0), Grade::Strong);
    RejectedAnswer { at, status: 401, grade, instance: None, boot: None }
}

fn new_token() -> NewToken {
    NewToken { token: TokenHandle(1), facts: TokenFacts::default(), is_same: false }
}

impl Refresher {
    fn rejected_at(&mut self, sent: Instant, now: Instant, woken: Option<Instant>) -> bool {
        self.begin(sent);
        self.rejected(now, rejection(), Confirm::default(), woken)
    }
}

#[test]
fn only_an_invalid_grant_or_a_401_is_a_rejection() {
    let rejected = |status| Finding::Rejected { status };
    let invalid_grant =
        |status| RefreshAnswer { is_invalid_grant: true, ..answer(status, Body::Object) };
    let challenged = |challenge| {
        let response = Response { status: 401, challenge, ..Response::default() };
        RefreshAnswer { outcome: Outcome::Response(response), ..RefreshAnswer::NONE }
    };
    let redirect = Response { status: 302, redirected: true, ..Response::default() };
    for (answer, finding) in [
        (invalid_grant(400), rejected(400)),
        (answer(401, Body::Object), rejected(401)),
        (answer(401, Body::Empty), rejected(401)),
        (answer(401, Body::Html), Finding::Unavailable),
        (challenged(Challenge::Password), Finding::Unavailable),
        (challenged(Challenge::Foreign), Finding::Unavailable),
        (answer(400, Body::Object), Finding::Unusable),
        (invalid_grant(403), Finding::Unavailable),
        (answer(403, Body::Object), Finding::Unavailable),
        (answer(404, Body::Object), Finding::Unusable),
        (answer(422, Body::Object), Finding::Unusable),
        (answer(429, Body::Object), Finding::Unavailable),
        (answer(500, Body::Object), Finding::Unavailable),
        (answer(503, Body::Html), Finding::Unavailable),
        (answer(200, Body::Html), Finding::Unavailable),
        (answer(200, Body::Object), Finding::Unusable),
        (RefreshAnswer::NONE, Finding::Unavailable),
        (
            RefreshAnswer { outcome: Outcome::Response(redirect), ..RefreshAnswer::NONE },
            Finding::Unusable,
        ),
    ] {
        assert_eq!(read(&answer, false), finding, "{answer:?}");
    }
}

#[test]
fn a_token_in_a_success_is_a_refresh_and_in_a_failure_is_none() {
    let token = Some(new_token());
    let good = RefreshAnswer { token, ..answer(200, Body::Object) };
    assert_eq!(read(&good, false), Finding::Refreshed(new_token()));
    let bad = RefreshAnswer { token, ..answer(500, Body::Object) };
    assert_eq!(read(&bad, false), Finding::Unavailable);
    let refused = RefreshAnswer { token, ..answer(200, Body::ErrorObject) };
    assert_eq!(read(&refused, true), Finding::Unusable, "a cookie says no in a 200");
}

#[test]
fn one_rejection_is_repeated_after_six_seconds_and_two_are_believed() {
    let mut refresher = Refresher::default();
    assert!(!refresher.rejected_at(at(0), at(1), None));
    assert_eq!(refresher.next_attempt(None), Some(at(7)));
    assert!(refresher.rejected_at(at(7), at(8), None));
    assert_eq!(refresher.take_evidence().len(), 2);
}

#[test]
fn a_rejection_right_after_a_start_of_the_server_waits_until_it_is_warm() {
    let mut refresher = Refresher::default();
    let woken = Some(at(0));
    assert!(!refresher.rejected_at(at(0), at(1), woken));
    assert_eq!(refresher.next_attempt(None), Some(at(10)));
    assert!(!refresher.rejected_at(at(8), at(9), woken), "the store may not be ready yet");
    assert!(refresher.rejected_at(at(15), at(15), woken));
}

#[test]
fn a_rejection_from_before_a_sleep_is_no_evidence() {
    let mut refresher = Refresher::default();
    assert!(!refresher.rejected_at(at(0), at(1), None));
    refresher.begin(at(7));
    refresher.interrupt();
    let confirm = Confirm::default();
    assert!(!refresher.rejected(at(9_000), rejection(), confirm, None));
    assert!(!refresher.rejected_at(at(9_006), at(9_006), None), "it is the first that counts");
    assert!(refresher.rejected_at(at(9_012), at(9_012), None));
}

#[test]
fn the_usual_rule_believes_the_first_rejection() {
    let mut refresher = Refresher::default();
    refresher.begin(at(0));
    assert!(refresher.rejected(at(1), rejection(), Confirm::Immediate, None));
}

#[test]
fn silence_is_asked_again_further_and_further_apart_and_at_once_when_the_server_is_back() {
    let (mut refresher, mut rng) = (Refresher::default(), Rng::new(3));
    let mut now = at(0);
    for _ in 0..40 {
        refresher.begin(now);
        let wait = refresher.failed(now, Finding::Unavailable, Duration::ZERO, LOW, &mut rng);
        assert!(wait >= LOW && wait <= MAX_BACKOFF);
        assert_eq!(refresher.next_attempt(Some(at(0))), Some(now.plus(wait)));
        now = now.plus(wait);
    }
    refresher.expedite(now);
    assert_eq!(refresher.next_attempt(Some(at(0))), Some(now));
}

#[test]
fn retry_after_is_a_floor_that_nothing_hurries() {
    let (mut refresher, mut rng) = (Refresher::default(), Rng::new(3));
    refresher.begin(at(0));
    let wait = Duration::from_secs(90);
    refresher.failed(at(0), Finding::Unavailable, wait, LOW, &mut rng);
    refresher.expedite(at(1));
    refresher.want(Want::Unauthorized);
    assert_eq!(refresher.next_attempt(None), Some(at(90)));
}

#[test]
fn an_answer_that_cannot_be_used_is_asked_for_again_after_ten_seconds_at_the_earliest() {
    let (mut refresher, mut rng) = (Refresher::default(), Rng::new(3));
    refresher.begin(at(0));
    let wait = refresher.failed(at(0), Finding::Unusable, Duration::ZERO, LOW, &mut rng);
    assert!(wait >= REST, "{wait:?}");
    assert_eq!(refresher.prospect(at(1), true), Prospect::Unlikely, "nobody waits for it");
}

#[test]
fn a_token_that_does_not_help_is_no_storm() {
    let mut refresher = Refresher::default();
    refresher.begin(at(0));
    refresher.refreshed(at(0), Gain::Old);
    assert_eq!(refresher.next_attempt(Some(at(0))), Some(at(10)));
    assert_eq!(refresher.prospect(at(5), true), Prospect::Unlikely, "nobody waits for it");
    assert_eq!(refresher.prospect(at(10), true), Prospect::Good);
}

#[test]
fn a_401_for_a_token_that_a_401_has_brought_is_answered_by_no_further_refresh() {
    let mut refresher = Refresher::default();
    refresher.want(Want::Unauthorized);
    refresher.begin(at(0));
    assert!(refresher.refreshed(at(0), Gain::Newer));
    assert_eq!(refresher.prospect(at(119), false), Prospect::None);
    assert_eq!(refresher.prospect(at(120), false), Prospect::Good, "it may have run out");
    refresher.accepted();
    assert_eq!(refresher.prospect(at(60), false), Prospect::Good);
}

#[test]
fn the_same_token_again_is_no_evidence_and_twice_in_a_row_is() {
    let mut refresher = Refresher::default();
    for (time, expected) in [(0, Prospect::Unlikely), (10, Prospect::None), (20, Prospect::None)] {
        refresher.begin(at(time));
        refresher.refreshed(at(time), Gain::Same);
        assert_eq!(refresher.prospect(at(time + 9), false), expected, "at {time}");
        assert_eq!(refresher.prospect(at(time + 10), false), Prospect::Good, "at {time}");
    }
    assert_eq!(refresher.prospect(at(21), true), Prospect::Unlikely, "it has run out");
    refresher.accepted();
    refresher.refreshed(at(30), Gain::Same);
    assert_eq!(refresher.prospect(at(31), false), Prospect::Unlikely, "it was accepted before");
}

#[test]
fn there_is_one_attempt_at_a_time() {
    let mut refresher = Refresher::default();
    refresher.want(Want::App);
    assert_eq!(refresher.next_attempt(None), Some(at(0)));
    refresher.begin(at(0));
    refresher.want(Want::Unauthorized);
    assert_eq!(refresher.next_attempt(Some(at(0))), None);
}

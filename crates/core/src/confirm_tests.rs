//! Gate 4 by itself: which refusals are enough, and when the next ones are asked for.

use super::*;
use crate::answer::ServerFacts;
use crate::time::UnixMillis;

fn at(secs: u64) -> Instant {
    Instant::default().plus(Duration::from_secs(secs))
}

fn refusal(grade: Grade, instance: Option<&str>) -> Refusal {
    let instance = instance.and_then(Label::new);
    Refusal { at: UnixMillis(0), status: 401, grade, instance, boot: None }
}

fn suspicion(refusals: &[(u64, Option<&str>)]) -> Suspicion {
    let mut suspicion = Suspicion::new(at(100));
    for (secs, instance) in refusals {
        suspicion.refused(at(*secs), refusal(Grade::Strong, *instance));
    }
    suspicion
}

fn setting(instances: &Instances) -> Setting<'_> {
    Setting {
        now: at(200),
        instances,
        woken: None,
        backend: Backend::Agreeing,
        token: Token::Current,
        confirm: Confirm::Stable,
    }
}

fn seen(names: &[&str]) -> Instances {
    let mut instances = Instances::default();
    for name in names.iter().cycle().take(4 * names.len()) {
        instances
            .see(at(100), &ServerFacts { instance: Label::new(name), ..ServerFacts::default() });
    }
    instances
}

#[test]
fn refusals_of_one_burst_are_not_two_however_many_they_are() {
    let none = Instances::default();
    let burst = suspicion(&[(100, None), (101, None), (105, None)]);
    assert_eq!(burst.verdict(setting(&none)), None);
    let two = suspicion(&[(100, None), (106, None)]);
    assert_eq!(two.verdict(setting(&none)), Some(Rule::Repeated));
}

#[test]
fn every_instance_must_refuse_twice_over_and_not_only_one_of_them() {
    let both = seen(&["a", "b"]);
    let one = suspicion(&[(100, Some("a")), (106, Some("a")), (106, Some("b"))]);
    assert_eq!(one.verdict(setting(&both)), None);
    let all = suspicion(&[(100, Some("a")), (100, Some("b")), (106, Some("a")), (106, Some("b"))]);
    assert_eq!(all.verdict(setting(&both)), Some(Rule::Instances));
}

#[test]
fn an_instance_of_a_backend_that_is_hardly_known_does_not_speak_for_all() {
    let mut instances = Instances::default();
    let facts = ServerFacts { instance: Label::new("a"), ..ServerFacts::default() };
    for _ in 0..3 {
        instances.see(at(100), &facts);
    }
    let twice = suspicion(&[(100, Some("a")), (106, Some("a"))]);
    assert_eq!(twice.verdict(setting(&instances)), None);
    instances.see(at(101), &facts);
    assert_eq!(twice.verdict(setting(&instances)), Some(Rule::Instances));
}

#[test]
fn refusals_of_a_server_that_is_not_warm_yet_are_not_enough_by_any_rule() {
    let none = Instances::default();
    let early = Setting { woken: Some(at(98)), ..setting(&none) };
    assert_eq!(suspicion(&[(100, None), (107, None)]).verdict(early), None);
    let ready = suspicion(&[(100, None), (108, None)]);
    assert_eq!(ready.verdict(early), Some(Rule::Repeated));
    let expired = Setting { token: Token::RunOut, ..early };
    assert_eq!(suspicion(&[(100, None), (107, None)]).verdict(expired), None);
    assert_eq!(ready.verdict(expired), Some(Rule::Expired));
}

#[test]
fn the_limit_is_a_minute_and_two_for_a_backend_that_was_caught() {
    let two = seen(&["a", "b"]);
    let asked = [(100, Some("a")), (130, Some("a")), (154, Some("a"))];
    assert_eq!(suspicion(&asked).verdict(setting(&two)), Some(Rule::Limit));
    let caught = Setting { backend: Backend::Disagreeing, ..setting(&two) };
    assert_eq!(suspicion(&asked).verdict(caught), None);
    let longer = suspicion(&[(100, Some("a")), (214, Some("a"))]);
    assert_eq!(longer.verdict(caught), Some(Rule::Limit));
}

#[test]
fn weak_refusals_wait_for_a_proof_and_are_dropped_where_it_fails() {
    let none = Instances::default();
    let mut weak = Suspicion::new(at(100));
    weak.refused(at(100), refusal(Grade::Weak, None));
    weak.refused(at(106), refusal(Grade::Weak, None));
    assert_eq!(weak.verdict(setting(&none)), None);
    weak.health_proven(at(99));
    assert!(weak.needs_health(), "a proof from before the refusal was taken");
    weak.health_proven(at(106));
    assert_eq!(weak.verdict(setting(&none)), Some(Rule::Repeated));

    let mut dropped = Suspicion::new(at(100));
    dropped.refused(at(100), refusal(Grade::Weak, None));
    dropped.health_failed();
    assert!(dropped.is_groundless());
}

#[test]
fn only_what_was_asked_after_the_first_refusal_can_refute_also_after_a_restart() {
    let mut suspicion = suspicion(&[(100, None)]);
    assert!(!suspicion.is_refuted_by(at(99)));
    assert!(suspicion.is_refuted_by(at(100)));
    suspicion.start_over(at(150));
    assert!(suspicion.is_refuted_by(at(120)));
}

#[test]
fn bursts_come_every_six_seconds_for_two_minutes_and_then_every_thirty() {
    let mut asked = suspicion(&[(100, None), (101, None)]);
    for burst in 1..=20 {
        let next = asked.next_burst(None, Mood::Well);
        assert_eq!(next, at(100 + burst * 6));
        asked.burst_sent(next);
    }
    assert_eq!(asked.next_burst(None, Mood::Well), at(250));
    assert_eq!(asked.next_burst(None, Mood::Bad), at(250));
}

#[test]
fn evidence_keeps_the_first_refusals_and_the_last() {
    let mut many = Suspicion::new(at(0));
    for secs in 0..100 {
        let mut refusal = refusal(Grade::Strong, None);
        refusal.at = UnixMillis(secs);
        many.refused(at(secs), refusal);
    }
    let kept = many.into_refusals();
    assert_eq!(kept.len(), KEPT);
    assert_eq!((kept[0].at, kept[KEPT - 1].at), (UnixMillis(0), UnixMillis(99)));
}

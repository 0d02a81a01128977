//! Gate 4 by itself: which refusals are enough, and when the next ones are asked for.

use super::*;
use crate::answer::{Probe, ServerFacts};
use crate::label::Label;
use crate::time::UnixMillis;

fn at(secs: u64) -> Instant {
    Instant::default().plus(Duration::from_secs(secs))
}

fn refusal(grade: Grade, instance: Option<&str>) -> Refusal {
    let instance = instance.and_then(Label::new);
    Refusal { at: UnixMillis(0), status: 401, grade, instance, boot: None }
}

fn heard(secs: u64, grade: Grade, instance: Option<&str>) -> Heard {
    Heard { asked: at(secs), came: at(secs), refusal: refusal(grade, instance) }
}

fn suspicion(refusals: &[(u64, Option<&str>)]) -> Suspicion {
    let mut suspicion = Suspicion::new(at(100));
    for (secs, instance) in refusals {
        suspicion.refused(heard(*secs, Grade::Strong, *instance));
    }
    suspicion
}

/// A backend that was of one mind seven times, or also refused so often.
fn backend(contradictions: u32) -> Backend {
    let mut backend = Backend::default();
    for n in 0..7 {
        backend.accepted(at(n * 10), UnixMillis(0));
    }
    if contradictions > 0 {
        backend.refuted(at(90), UnixMillis(0), contradictions);
    }
    backend
}

fn setting<'a>(instances: &'a Instances, backend: &'a Backend) -> Setting<'a> {
    Setting {
        now: at(200),
        instances,
        woken: None,
        backend,
        token: Token::Current,
        confirm: Confirm::default(),
    }
}

fn rule(suspicion: &Suspicion, setting: Setting<'_>) -> Option<Rule> {
    suspicion.verdict(setting).map(|finding| finding.rule)
}

fn seen(names: &[&str]) -> Instances {
    let mut instances = Instances::default();
    for name in names.iter().cycle().take(4 * names.len()) {
        instances.see(
            at(100),
            Probe::Health,
            &ServerFacts { instance: Label::new(name), ..ServerFacts::default() },
        );
    }
    instances
}

#[test]
fn refusals_of_one_burst_are_not_two_however_many_they_are() {
    let (none, known) = (Instances::default(), backend(0));
    let burst = suspicion(&[(100, None), (101, None), (105, None)]);
    assert_eq!(rule(&burst, setting(&none, &known)), None);
    assert_eq!(burst.bursts_of_the_server(), 1);
    let two = suspicion(&[(100, None), (106, None)]);
    let finding = two.verdict(setting(&none, &known)).expect("two bursts are enough");
    assert_eq!(finding.rule, Rule::Chance);
    assert!(finding.chance.is_some_and(|chance| chance < Chance::of(0.001)));
}

#[test]
fn a_backend_nobody_knows_is_asked_until_the_limit_which_names_the_chance() {
    let (none, unknown) = (Instances::default(), Backend::default());
    let bursts: Vec<_> = (0..9).map(|burst| (100 + burst * 6, None)).collect();
    assert_eq!(rule(&suspicion(&bursts), setting(&none, &unknown)), None);
    let last = suspicion(&[&*bursts, &[(154, None)]].concat());
    let finding = last.verdict(setting(&none, &unknown)).expect("the limit");
    assert_eq!(finding.rule, Rule::Limit);
    assert!(finding.chance.is_some_and(|chance| chance > Chance::of(0.001)));
}

#[test]
fn the_apps_bound_is_the_one_that_counts() {
    let (none, known) = (Instances::default(), backend(0));
    let two = suspicion(&[(100, None), (106, None)]);
    let strict = Confirm::Below(Chance::of(0.000_01));
    assert_eq!(rule(&two, Setting { confirm: strict, ..setting(&none, &known) }), None);
    let lax = Confirm::Below(Chance::of(0.9));
    let unknown = Backend::default();
    let finding = rule(&two, Setting { confirm: lax, ..setting(&none, &unknown) });
    assert_eq!(finding, Some(Rule::Chance));
    let one = suspicion(&[(100, None)]);
    assert_eq!(rule(&one, Setting { confirm: lax, ..setting(&none, &known) }), None);
}

#[test]
fn every_instance_must_refuse_twice_over_and_not_only_one_of_them() {
    let (both, known) = (seen(&["a", "b"]), backend(0));
    let one = suspicion(&[(100, Some("a")), (106, Some("a")), (106, Some("b"))]);
    assert_eq!(rule(&one, setting(&both, &known)), None);
    let all = suspicion(&[(100, Some("a")), (100, Some("b")), (106, Some("a")), (106, Some("b"))]);
    assert_eq!(rule(&all, setting(&both, &known)), Some(Rule::Instances));
}

#[test]
fn two_replicas_of_one_name_are_two_instances() {
    let mut replicas = Instances::default();
    for boot in ["1", "2"].iter().cycle().take(8) {
        let (instance, boot) = (Label::new("a"), Label::new(boot));
        let facts = ServerFacts { instance, boot, ..ServerFacts::default() };
        replicas.see(at(100), Probe::Health, &facts);
    }
    let known = backend(0);
    let mut one = Suspicion::new(at(100));
    for secs in [100, 106, 112] {
        let refusal = Refusal { boot: Label::new("2"), ..refusal(Grade::Strong, Some("a")) };
        one.refused(Heard { asked: at(secs), came: at(secs), refusal });
    }
    assert_eq!(rule(&one, setting(&replicas, &known)), None);
    let accepting = Origin { instance: Label::new("a"), boot: Label::new("1") };
    assert!(!one.is_of_one_instance(accepting));
}

#[test]
fn instances_that_were_heard_do_not_speak_for_the_one_that_issued_a_new_token() {
    let (both, known) = (seen(&["a", "b"]), backend(0));
    let all = suspicion(&[(100, Some("a")), (100, Some("b")), (106, Some("a")), (106, Some("b"))]);
    let new = Setting { token: Token::New, ..setting(&both, &known) };
    assert_eq!(rule(&all, new), None);
    assert_eq!(rule(&all, setting(&both, &known)), Some(Rule::Instances));
}

#[test]
fn an_instance_of_a_backend_that_is_hardly_known_does_not_speak_for_all() {
    let (mut instances, known) = (Instances::default(), backend(0));
    let facts = ServerFacts { instance: Label::new("a"), ..ServerFacts::default() };
    for _ in 0..3 {
        instances.see(at(100), Probe::Health, &facts);
    }
    let twice = suspicion(&[(100, Some("a")), (106, Some("a"))]);
    assert_eq!(rule(&twice, setting(&instances, &known)), None);
    instances.see(at(101), Probe::Health, &facts);
    assert_eq!(rule(&twice, setting(&instances, &known)), Some(Rule::Instances));
}

#[test]
fn refusals_of_a_server_that_is_not_warm_yet_are_not_enough_by_any_rule() {
    let (none, known) = (Instances::default(), backend(0));
    let early = Setting { woken: Some(at(98)), ..setting(&none, &known) };
    assert_eq!(rule(&suspicion(&[(100, None), (107, None)]), early), None);
    let ready = suspicion(&[(100, None), (108, None)]);
    assert_eq!(rule(&ready, early), Some(Rule::Chance));
    let expired = Setting { token: Token::RunOut, ..early };
    assert_eq!(rule(&suspicion(&[(100, None), (107, None)]), expired), None);
    assert_eq!(rule(&ready, expired), Some(Rule::Expired));
}

#[test]
fn the_limit_is_a_minute_and_two_for_a_backend_that_was_caught() {
    let (two, known, caught) = (seen(&["a", "b"]), backend(0), backend(2));
    let asked = [(100, Some("a")), (130, Some("a")), (154, Some("a"))];
    assert_eq!(rule(&suspicion(&asked), setting(&two, &known)), Some(Rule::Limit));
    assert_eq!(rule(&suspicion(&asked), setting(&two, &caught)), None);
    let longer = suspicion(&[(100, Some("a")), (214, Some("a"))]);
    assert_eq!(rule(&longer, setting(&two, &caught)), Some(Rule::Limit));
}

/// Weak refusals at these seconds, each with this proof.
fn weak(secs: &[u64], proof: Proof) -> Suspicion {
    let mut weak = Suspicion::new(at(100));
    for secs in secs {
        weak.refused(heard(*secs, Grade::Weak, Some("a")));
        weak.proven(at(*secs), proof);
    }
    weak
}

#[test]
fn weak_refusals_wait_for_a_proof_and_are_dropped_where_it_fails() {
    let mut weak = Suspicion::new(at(100));
    weak.refused(heard(100, Grade::Weak, None));
    weak.proven(at(99), Proof::ByHealth);
    assert!(weak.needs_health(), "a proof from before the refusal was taken");
    assert_eq!(weak.counted(), 0);
    weak.proven(at(100), Proof::ByHealth);
    assert_eq!(weak.counted(), 1);

    let mut dropped = Suspicion::new(at(100));
    dropped.refused(heard(100, Grade::Weak, None));
    dropped.health_failed();
    assert!(dropped.is_groundless());
}

#[test]
fn weak_refusals_are_judged_as_if_nothing_were_known_of_the_backend() {
    let (one, known) = (seen(&["a"]), backend(0));
    let setting = setting(&one, &known);
    assert_eq!(rule(&weak(&[100, 106, 148], Proof::ByHealth), setting), None);
    let over = weak(&[100, 106, 148, 154], Proof::ByHealth);
    assert_eq!(rule(&over, setting), Some(Rule::Limit));
}

#[test]
fn weak_refusals_that_nothing_can_prove_take_longer_than_any_wake_up() {
    let (one, known) = (seen(&["a"]), backend(0));
    let setting = setting(&one, &known);
    assert_eq!(rule(&weak(&[100, 154, 206], Proof::None), setting), None);
    assert_eq!(rule(&weak(&[100, 154, 214], Proof::None), setting), Some(Rule::Limit));
}

#[test]
fn what_the_server_itself_says_counts_by_itself() {
    let (one, known) = (seen(&["a"]), backend(0));
    let mut mixed = weak(&[100, 106], Proof::ByHealth);
    mixed.refused(heard(112, Grade::Strong, Some("a")));
    assert_eq!(rule(&mixed, setting(&one, &known)), None, "the page before it was counted");
    mixed.refused(heard(114, Grade::Weak, None));
    mixed.proven(at(114), Proof::ByHealth);
    mixed.refused(heard(118, Grade::Strong, Some("a")));
    assert_eq!(rule(&mixed, setting(&one, &known)), Some(Rule::Instances));
    assert_eq!(mixed.into_refusals().len(), 4, "all that counted once is told");
}

#[test]
fn refusals_on_either_side_of_a_pause_in_which_the_page_could_not_run_are_not_two() {
    let (one, known) = (seen(&["a"]), backend(0));
    let mut paused = suspicion(&[(100, Some("a"))]);
    paused.interrupted(at(150));
    paused.refused(heard(151, Grade::Strong, Some("a")));
    assert_eq!(rule(&paused, setting(&one, &known)), None);
    assert!(!paused.is_groundless());
    paused.refused(heard(157, Grade::Strong, Some("a")));
    assert_eq!(rule(&paused, setting(&one, &known)), Some(Rule::Instances));

    let mut weak = Suspicion::new(at(100));
    weak.refused(heard(100, Grade::Weak, None));
    weak.interrupted(at(150));
    weak.proven(at(151), Proof::ByHealth);
    assert_eq!(weak.counted(), 0, "a refusal from before the pause was proven after it");
}

#[test]
fn a_burst_leaves_one_request_for_the_health_probe_of_a_weak_refusal() {
    assert_eq!(suspicion(&[(100, None)]).burst_size(3, Mood::Well), 3);
    assert_eq!(weak(&[100], Proof::ByHealth).burst_size(3, Mood::Well), 2);
    assert_eq!(weak(&[100], Proof::ByHealth).burst_size(1, Mood::Well), 1);
    assert_eq!(suspicion(&[(100, None)]).burst_size(3, Mood::Bad), 1);
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
        let next = asked.next_burst(None, Mood::Well, at(0));
        assert_eq!(next, at(100 + burst * 6));
        asked.burst_sent(next);
    }
    assert_eq!(asked.next_burst(None, Mood::Well, at(0)), at(250));
    assert_eq!(asked.next_burst(None, Mood::Bad, at(0)), at(250));
    assert_eq!(asked.next_burst(None, Mood::Bad, at(251)), at(251), "a connection is still open");
}

#[test]
fn evidence_keeps_the_first_refusals_and_the_last() {
    let mut many = Suspicion::new(at(0));
    for secs in 0..100 {
        let mut refusal = refusal(Grade::Strong, None);
        refusal.at = UnixMillis(secs);
        many.refused(Heard { asked: at(secs), came: at(secs), refusal });
    }
    let kept = many.into_refusals();
    assert_eq!(kept.len(), KEPT);
    assert_eq!((kept[0].at, kept[KEPT - 1].at), (UnixMillis(0), UnixMillis(99)));
}

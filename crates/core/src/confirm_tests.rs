//! Gate 4 by itself: which rejections are enough, and when the next ones are asked for.

use super::*;
use crate::answer::{Probe, ServerFacts};
use crate::backend::Backend;
use crate::instances::Instances;
use crate::label::Label;
use crate::time::UnixMillis;

fn at(secs: u64) -> Instant {
    Instant::default().plus(Duration::from_secs(secs))
}

fn rejected_answer(grade: Grade, instance: Option<&str>) -> RejectedAnswer {
    let instance = instance.and_then(Label::new);
    RejectedAnswer { at: UnixMillis(0), status: 401, grade, instance, boot: None }
}

fn rejection(secs: u64, grade: Grade, instance: Option<&str>) -> Rejection {
    Rejection {
        sent_at: at(secs),
        received_at: at(secs),
        is_page: false,
        rejection: rejected_answer(grade, instance),
    }
}

fn confirmation(rejections: &[(u64, Option<&str>)]) -> Confirmation {
    let mut confirmation = Confirmation::new(at(100));
    for (secs, instance) in rejections {
        confirmation.rejected(rejection(*secs, Grade::Strong, *instance));
    }
    confirmation
}

/// A backend that was consistent seven times, or also rejected so often.
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

fn context<'a>(instances: &'a Instances, backend: &'a Backend) -> ConfirmContext<'a> {
    ConfirmContext {
        now: at(200),
        instances,
        woken: None,
        backend,
        token: Token::Current,
        confirm: Confirm::default(),
    }
}

fn rule(confirmation: &Confirmation, context: ConfirmContext<'_>) -> Option<Rule> {
    confirmation.verdict(context).map(|finding| finding.rule)
}

fn seen(names: &[&str]) -> Instances {
    let mut instances = Instances::default();
    for name in names.iter().cycle().take(4 * names.len()) {
        instances.see(
            at(100),
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
    let burst = confirmation(&[(100, None), (101, None), (105, None)]);
    assert_eq!(rule(&burst, context(&none, &known)), None);
    assert_eq!(burst.bursts_of_the_server(), 1);
    let two = confirmation(&[(100, None), (106, None)]);
    let finding = two.verdict(context(&none, &known)).expect("two bursts are enough");
    assert_eq!(finding.rule, Rule::Chance);
    assert!(finding.chance.is_some_and(|chance| chance < Chance::of(0.001)));
}

#[test]
fn a_backend_nobody_knows_is_asked_until_the_limit_which_names_the_chance() {
    let (none, unknown) = (Instances::default(), Backend::default());
    let bursts: Vec<_> = (0..9).map(|burst| (100 + burst * 6, None)).collect();
    assert_eq!(rule(&confirmation(&bursts), context(&none, &unknown)), None);
    let last = confirmation(&[&*bursts, &[(154, None)]].concat());
    let finding = last.verdict(context(&none, &unknown)).expect("the limit");
    assert_eq!(finding.rule, Rule::Limit);
    assert!(finding.chance.is_some_and(|chance| chance > Chance::of(0.001)));
}

#[test]
fn the_apps_bound_is_the_one_that_counts() {
    let (none, known) = (Instances::default(), backend(0));
    let two = confirmation(&[(100, None), (106, None)]);
    let strict = Confirm::Below(Chance::of(0.000_01));
    assert_eq!(rule(&two, ConfirmContext { confirm: strict, ..context(&none, &known) }), None);
    let lax = Confirm::Below(Chance::of(0.9));
    let unknown = Backend::default();
    let finding = rule(&two, ConfirmContext { confirm: lax, ..context(&none, &unknown) });
    assert_eq!(finding, Some(Rule::Chance));
    let one = confirmation(&[(100, None)]);
    assert_eq!(rule(&one, ConfirmContext { confirm: lax, ..context(&none, &known) }), None);
}

#[test]
fn every_instance_must_refuse_twice_over_and_not_only_one_of_them() {
    let (both, known) = (seen(&["a", "b"]), backend(0));
    let one = confirmation(&[(100, Some("a")), (106, Some("a")), (106, Some("b"))]);
    assert_eq!(rule(&one, context(&both, &known)), None);
    let all =
        confirmation(&[(100, Some("a")), (100, Some("b")), (106, Some("a")), (106, Some("b"))]);
    assert_eq!(rule(&all, context(&both, &known)), Some(Rule::Instances));
}

#[test]
fn two_replicas_of_one_name_are_two_instances() {
    let mut replicas = Instances::default();
    for boot in ["1", "2"].iter().cycle().take(8) {
        let (instance, boot) = (Label::new("a"), Label::new(boot));
        let facts = ServerFacts { instance, boot, ..ServerFacts::default() };
        replicas.see(at(100), at(100), Probe::Health, &facts);
    }
    let known = backend(0);
    let mut one = Confirmation::new(at(100));
    for secs in [100, 106, 112] {
        let rejection =
            RejectedAnswer { boot: Label::new("2"), ..rejected_answer(Grade::Strong, Some("a")) };
        one.rejected(Rejection {
            sent_at: at(secs),
            received_at: at(secs),
            is_page: false,
            rejection,
        });
    }
    assert_eq!(rule(&one, context(&replicas, &known)), None);
    let accepting = Origin { instance: Label::new("a"), boot: Label::new("1") };
    assert!(!one.is_of_one_instance(accepting));
}

#[test]
fn instances_that_were_seen_do_not_speak_for_the_one_that_issued_a_new_token() {
    let (both, known) = (seen(&["a", "b"]), backend(0));
    let all =
        confirmation(&[(100, Some("a")), (100, Some("b")), (106, Some("a")), (106, Some("b"))]);
    let new = ConfirmContext { token: Token::New, ..context(&both, &known) };
    assert_eq!(rule(&all, new), None);
    assert_eq!(rule(&all, context(&both, &known)), Some(Rule::Instances));
}

#[test]
fn an_instance_of_a_backend_that_is_hardly_known_does_not_speak_for_all() {
    let (mut instances, known) = (Instances::default(), backend(0));
    let facts = ServerFacts { instance: Label::new("a"), ..ServerFacts::default() };
    for _ in 0..3 {
        instances.see(at(100), at(100), Probe::Health, &facts);
    }
    let twice = confirmation(&[(100, Some("a")), (106, Some("a"))]);
    assert_eq!(rule(&twice, context(&instances, &known)), None);
    instances.see(at(101), at(101), Probe::Health, &facts);
    assert_eq!(rule(&twice, context(&instances, &known)), Some(Rule::Instances));
}

#[test]
fn refusals_of_a_server_that_is_not_warm_yet_are_not_enough_by_any_rule() {
    let (none, known) = (Instances::default(), backend(0));
    let early = ConfirmContext { woken: Some(at(98)), ..context(&none, &known) };
    assert_eq!(rule(&confirmation(&[(100, None), (107, None)]), early), None);
    let ready = confirmation(&[(100, None), (108, None)]);
    assert_eq!(rule(&ready, early), Some(Rule::Chance));
    let expired = ConfirmContext { token: Token::RunOut, ..early };
    assert_eq!(rule(&confirmation(&[(100, None), (107, None)]), expired), None);
    assert_eq!(rule(&ready, expired), Some(Rule::Expired));
}

#[test]
fn the_limit_is_a_minute_and_two_for_a_backend_that_was_caught() {
    let (two, known, caught) = (seen(&["a", "b"]), backend(0), backend(2));
    let sent_at = [(100, Some("a")), (130, Some("a")), (154, Some("a"))];
    assert_eq!(rule(&confirmation(&sent_at), context(&two, &known)), Some(Rule::Limit));
    assert_eq!(rule(&confirmation(&sent_at), context(&two, &caught)), None);
    let longer = confirmation(&[(100, Some("a")), (214, Some("a"))]);
    assert_eq!(rule(&longer, context(&two, &caught)), Some(Rule::Limit));
}

/// Weak rejections at these seconds, each with this corroboration.
fn weak(secs: &[u64], corroboration: Corroboration) -> Confirmation {
    let mut weak = Confirmation::new(at(100));
    for secs in secs {
        weak.rejected(rejection(*secs, Grade::Weak, Some("a")));
        weak.proven(at(*secs), corroboration);
    }
    weak
}

#[test]
fn weak_rejections_wait_for_a_proof_and_are_dropped_where_it_fails() {
    let mut weak = Confirmation::new(at(100));
    weak.rejected(rejection(100, Grade::Weak, None));
    weak.proven(at(99), Corroboration::Health);
    assert!(weak.needs_health(), "a corroboration from before the refusal was taken");
    assert_eq!(weak.counted(), 0);
    weak.proven(at(100), Corroboration::Health);
    assert_eq!(weak.counted(), 1);

    let mut dropped = Confirmation::new(at(100));
    dropped.rejected(rejection(100, Grade::Weak, None));
    dropped.health_failed();
    assert!(dropped.is_unsupported());
}

#[test]
fn weak_rejections_are_judged_as_if_nothing_were_known_of_the_backend() {
    let (one, known) = (seen(&["a"]), backend(0));
    let context = context(&one, &known);
    assert_eq!(rule(&weak(&[100, 106, 148], Corroboration::Health), context), None);
    let over = weak(&[100, 106, 148, 154], Corroboration::Health);
    assert_eq!(rule(&over, context), Some(Rule::Limit));
}

#[test]
fn weak_rejections_that_nothing_can_prove_take_longer_than_any_wake_up() {
    let (one, known) = (seen(&["a"]), backend(0));
    let context = context(&one, &known);
    assert_eq!(rule(&weak(&[100, 154, 206], Corroboration::Missing), context), None);
    assert_eq!(rule(&weak(&[100, 154, 214], Corroboration::Missing), context), Some(Rule::Limit));
}

#[test]
fn what_the_server_itself_says_counts_by_itself() {
    let (one, known) = (seen(&["a"]), backend(0));
    let mut mixed = weak(&[100, 106], Corroboration::Health);
    mixed.rejected(rejection(112, Grade::Strong, Some("a")));
    assert_eq!(rule(&mixed, context(&one, &known)), None, "the page before it was counted");
    mixed.rejected(rejection(114, Grade::Weak, None));
    mixed.proven(at(114), Corroboration::Health);
    mixed.rejected(rejection(118, Grade::Strong, Some("a")));
    assert_eq!(rule(&mixed, context(&one, &known)), Some(Rule::Instances));
    assert_eq!(mixed.into_rejections().len(), 4, "all that counted once is told");
}

#[test]
fn refusals_on_either_side_of_a_pause_in_which_the_page_could_not_run_are_not_two() {
    let (one, known) = (seen(&["a"]), backend(0));
    let mut paused = confirmation(&[(100, Some("a"))]);
    paused.interrupted(at(150));
    paused.rejected(rejection(151, Grade::Strong, Some("a")));
    assert_eq!(rule(&paused, context(&one, &known)), None);
    assert!(!paused.is_unsupported());
    paused.rejected(rejection(157, Grade::Strong, Some("a")));
    assert_eq!(rule(&paused, context(&one, &known)), Some(Rule::Instances));

    let mut weak = Confirmation::new(at(100));
    weak.rejected(rejection(100, Grade::Weak, None));
    weak.interrupted(at(150));
    weak.proven(at(151), Corroboration::Health);
    assert_eq!(weak.counted(), 0, "a refusal from before the pause was proven after it");
}

#[test]
fn a_burst_leaves_one_request_for_the_health_probe_of_a_weak_refusal() {
    assert_eq!(confirmation(&[(100, None)]).burst_size(3, ServerHealth::Well), 3);
    assert_eq!(weak(&[100], Corroboration::Health).burst_size(3, ServerHealth::Well), 2);
    assert_eq!(weak(&[100], Corroboration::Health).burst_size(1, ServerHealth::Well), 1);
    assert_eq!(confirmation(&[(100, None)]).burst_size(3, ServerHealth::Bad), 1);
}

#[test]
fn only_what_was_asked_after_the_first_rejection_can_refute_also_after_a_restart() {
    let mut confirmation = confirmation(&[(100, None)]);
    assert!(!confirmation.is_refuted_by(at(99)));
    assert!(confirmation.is_refuted_by(at(100)));
    confirmation.start_over(at(150));
    assert!(confirmation.is_refuted_by(at(120)));
}

#[test]
fn bursts_come_every_six_seconds_for_two_minutes_and_then_every_thirty() {
    let mut sent_at = confirmation(&[(100, None), (101, None)]);
    for burst in 1..=20 {
        let next = sent_at.next_burst(None, ServerHealth::Well, at(0));
        assert_eq!(next, at(100 + burst * 6));
        sent_at.burst_sent(next);
    }
    assert_eq!(sent_at.next_burst(None, ServerHealth::Well, at(0)), at(250));
    assert_eq!(sent_at.next_burst(None, ServerHealth::Bad, at(0)), at(250));
    assert_eq!(
        sent_at.next_burst(None, ServerHealth::Bad, at(251)),
        at(251),
        "a connection is still open"
    );
}

#[test]
fn evidence_keeps_the_first_rejections_and_the_last() {
    let mut many = Confirmation::new(at(0));
    for secs in 0..100 {
        let mut rejection = rejected_answer(Grade::Strong, None);
        rejection.at = UnixMillis(secs);
        many.rejected(Rejection {
            sent_at: at(secs),
            received_at: at(secs),
            is_page: false,
            rejection,
        });
    }
    let kept = many.into_rejections();
    assert_eq!(kept.len(), KEPT);
    assert_eq!((kept[0].at, kept[KEPT - 1].at), (UnixMillis(0), UnixMillis(99)));
}

//! What a backend's history says of it, and how likely it makes a good token's rejection.

use super::*;

fn at(secs: u64) -> Instant {
    Instant::default().plus(Duration::from_secs(secs))
}

fn wall(days: u64) -> UnixMillis {
    UnixMillis(1_760_000_000_000 + days * 86_400_000)
}

/// A backend that accepted so often, and rejected in so many bursts in between.
fn backend(accepted: u64, rejected: u32) -> Backend {
    let mut backend = Backend::default();
    for n in 0..accepted {
        backend.accepted(at(n * 300), wall(0));
    }
    if rejected > 0 {
        backend.refuted(at(accepted * 300), wall(0), rejected);
        backend.record.accepted -= SAMPLE;
    }
    backend
}

fn rejected_bursts(bursts: u32) -> Rejected {
    Rejected { bursts, span: MIN_BURST_GAP.times(u64::from(bursts.saturating_sub(1))) }
}

fn bursts_needed(backend: &Backend, mind: HistoryUse) -> u32 {
    let bound = backend.bound(Chance::of(0.001));
    let enough = |bursts: &u32| backend.chance(mind, rejected_bursts(*bursts)) < bound;
    (1..).find(enough).expect("any chance falls below any bound")
}

#[test]
fn a_backend_nobody_knows_needs_more_bursts_than_a_minute_has() {
    assert!(bursts_needed(&Backend::default(), HistoryUse::Known) > 10);
}

#[test]
fn seven_lessons_make_two_bursts_enough_and_six_do_not() {
    assert_eq!(bursts_needed(&backend(7, 0), HistoryUse::Known), 2);
    assert_eq!(backend(7, 0).samples_left(), 0);
    assert!(bursts_needed(&backend(6, 0), HistoryUse::Known) > 2);
    assert_eq!(backend(6, 0).samples_left(), 1);
}

#[test]
fn what_is_known_does_not_help_weak_rejections_and_what_speaks_against_it_does_not_go_away() {
    assert!(bursts_needed(&backend(100, 0), HistoryUse::Unknown) > 10);
    let caught = backend(4, 28);
    assert_eq!(
        bursts_needed(&caught, HistoryUse::Unknown),
        bursts_needed(&caught, HistoryUse::Known)
    );
}

#[test]
fn a_backend_of_two_workers_that_is_known_as_such_takes_the_bursts_that_two_workers_take() {
    let two = backend(100, 100);
    assert!(two.contradicts_itself());
    // A half to the seventeenth is below 0.001 in a day of 96; the bit that is left of three
    // workers makes it one more.
    assert!((17..=18).contains(&bursts_needed(&two, HistoryUse::Known)));
    let chance = two.chance(HistoryUse::Known, rejected_bursts(5)).as_f64();
    assert!((0.9..1.1).contains(&(chance / 0.5_f64.powi(5))), "{chance}");
}

#[test]
fn eight_workers_are_told_from_two_and_need_what_two_minutes_do_not_have() {
    let eight = backend(4, 28);
    let chance = eight.chance(HistoryUse::Known, rejected_bursts(20)).as_f64();
    assert!((0.03..0.15).contains(&chance), "{chance}");
}

#[test]
fn a_backend_that_rejected_once_in_a_day_has_rejections_that_pass_in_seconds() {
    let passing = backend(100, 1);
    assert!(passing.contradicts_itself());
    assert!((3..=6).contains(&bursts_needed(&passing, HistoryUse::Known)));
}

#[test]
fn answers_that_come_close_together_are_one_draw() {
    let mut backend = Backend::default();
    assert!(backend.accepted(at(0), wall(0)));
    assert!(!backend.accepted(at(5), wall(0)));
    assert!(backend.accepted(at(6), wall(0)));
    assert_eq!(backend.record().accepted / SAMPLE, 1, "the older one has faded a little");
    assert_eq!(backend.samples_left(), 5);
}

#[test]
fn a_new_boot_id_starts_the_history_again_and_an_old_one_does_not() {
    let mut known = backend(10, 3);
    assert!(known.record.boot.is_none());
    known.see(Boot::First, Label::new("b1"), None, wall(0));
    assert!(known.contradicts_itself(), "a name that is learned is no restart");
    assert!(!known.is_new_process());
    known.see(Boot::Known, Label::new("b0"), None, wall(0));
    assert!(known.contradicts_itself(), "a worker with an id of its own is no restart");
    known.see(Boot::Changed, Label::new("b2"), None, wall(0));
    assert!(!known.contradicts_itself());
    assert!(known.is_new_process());
    known.accepted(at(9_002), wall(0));
    assert!(!known.is_new_process(), "it accepted the token");
}

#[test]
fn what_was_kept_is_of_another_start_unless_the_process_is_older_than_it() {
    for (up, is_new) in [(None, true), (Some(60), true), (Some(3 * 86_400), false)] {
        let mut loaded = Backend::default();
        let kept = BackendRecord { boot: Label::new("b1"), ..backend(10, 3).record() };
        loaded.restore(kept, wall(1));
        loaded.see(Boot::First, Label::new("b2"), up.map(Duration::from_secs), wall(1));
        assert_eq!(loaded.is_new_process(), is_new, "{up:?}");
        assert_eq!(loaded.record.accepted > 0, !is_new, "{up:?}");
    }
}

#[test]
fn both_counts_fade_together_with_the_days_and_with_what_comes_after() {
    let record = backend(10, 4).record();
    let mut later = Backend::default();
    later.restore(record, wall(2));
    assert_eq!(later.record.accepted, record.accepted / 4);
    assert_eq!(later.record.rejected, record.rejected / 4);
    let mut busy = backend(0, 1);
    for n in 0..400 {
        busy.accepted(at(1_000 + n * 300), wall(0));
    }
    assert!(!busy.contradicts_itself());
}

#[test]
fn what_was_kept_is_taken_unless_more_or_another_start_is_known() {
    let kept = BackendRecord { boot: Label::new("b1"), ..backend(10, 4).record() };
    let mut fresh = Backend::default();
    fresh.restore(kept, wall(0));
    assert_eq!(fresh.record(), kept);

    let mut later = backend(2, 0);
    later.record.at = wall(1);
    later.restore(kept, wall(1));
    assert!(!later.contradicts_itself(), "an older record was taken");

    let mut moved = Backend::default();
    moved.see(Boot::First, Label::new("b2"), None, wall(0));
    moved.restore(kept, wall(0));
    assert_eq!(moved.record().accepted, 0);
    assert!(moved.is_new_process(), "the tokens may be those of the start before");
}

#[test]
fn any_history_gives_a_chance_between_zero_and_one_that_falls_with_each_burst() {
    for (accepted, refused_before) in [(0, 0), (1, 1), (1_000, 0), (0, 1_000), (300, 300)] {
        let backend = Backend {
            record: BackendRecord {
                accepted: accepted * SAMPLE,
                rejected: refused_before * SAMPLE,
                ..BackendRecord::default()
            },
            ..Backend::default()
        };
        let mut before = Chance::of(1.0);
        for bursts in 1..40 {
            let chance = backend.chance(HistoryUse::Known, rejected_bursts(bursts));
            assert!(chance <= before, "{accepted} {refused_before} {bursts}");
            before = chance;
        }
    }
}

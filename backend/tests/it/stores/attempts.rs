//! Attempts, counted by every worker together.

use std::sync::Arc;
use std::time::Duration;

use session_keeper_backend::store::{AttemptReset, Store};
use session_keeper_backend::tokens::{Attempts, TokenHash, UnixMillis};
use tokio::task::JoinSet;

use super::for_each_kind;
use super::place::{Kind, shared};
use super::rows::{NOW, after, hash};

const WINDOW: Duration = Duration::from_secs(60);

for_each_kind!(
    attempts_count_within_a_window_and_begin_again_after_it,
    a_clock_that_was_set_back_begins_again,
    sixteen_attempts_at_once_count_sixteen,
    one_attempt_is_taken_back,
    all_attempts_are_taken_back,
    there_is_nothing_to_forgive_where_nothing_was_tried;
    lasting: all_workers_count_together,
    a_count_survives_closing_and_opening
);

async fn attempts_count_within_a_window_and_begin_again_after_it(kind: Kind) {
    let Some((_place, store)) = shared(kind).await else { return };
    let (key, other) = (hash(), hash());
    for (second, since, count) in [(0, 0, 1), (1, 0, 2), (59, 0, 3), (60, 60, 1), (61, 60, 2)] {
        let wanted = Attempts { since: after(since), count };
        assert_eq!(attempt(&*store, key, after(second)).await, wanted);
    }
    let wanted = Attempts { since: after(61), count: 1 };
    assert_eq!(attempt(&*store, other, after(61)).await, wanted);
}

async fn a_clock_that_was_set_back_begins_again(kind: Kind) {
    let Some((_place, store)) = shared(kind).await else { return };
    let key = hash();
    attempt(&*store, key, after(30)).await;
    let wanted = Attempts { since: after(29), count: 1 };
    assert_eq!(attempt(&*store, key, after(29)).await, wanted);
}

async fn sixteen_attempts_at_once_count_sixteen(kind: Kind) {
    let Some((place, store)) = shared(kind).await else { return };
    // In memory, another handle would be another store.
    let other = if kind == Kind::Memory { Arc::clone(&store) } else { place.open().await };
    let key = hash();
    let mut tasks = JoinSet::new();
    for number in 0..16 {
        let store = Arc::clone(if number % 2 == 0 { &store } else { &other });
        tasks.spawn(async move { attempt(&*store, key, NOW).await.count });
    }
    let mut counts = tasks.join_all().await;
    counts.sort_unstable();
    assert_eq!(counts, (1..=16).collect::<Vec<_>>());
}

async fn one_attempt_is_taken_back(kind: Kind) {
    let Some((_place, store)) = shared(kind).await else { return };
    let key = hash();
    for _ in 0..3 {
        attempt(&*store, key, NOW).await;
    }
    reset_attempts(&*store, key, AttemptReset::One).await;
    assert_eq!(attempt(&*store, key, after(1)).await, Attempts { since: NOW, count: 3 });
    for _ in 0..5 {
        reset_attempts(&*store, key, AttemptReset::One).await;
    }
    assert_eq!(attempt(&*store, key, after(1)).await.count, 1);
}

async fn all_attempts_are_taken_back(kind: Kind) {
    let Some((_place, store)) = shared(kind).await else { return };
    let (key, other) = (hash(), hash());
    for key in [key, key, other] {
        attempt(&*store, key, NOW).await;
    }
    reset_attempts(&*store, key, AttemptReset::All).await;
    assert_eq!(attempt(&*store, key, after(1)).await, Attempts { since: after(1), count: 1 });
    assert_eq!(attempt(&*store, other, after(1)).await.count, 2);
}

async fn there_is_nothing_to_forgive_where_nothing_was_tried(kind: Kind) {
    let Some((_place, store)) = shared(kind).await else { return };
    let key = hash();
    reset_attempts(&*store, key, AttemptReset::One).await;
    reset_attempts(&*store, key, AttemptReset::All).await;
    assert_eq!(attempt(&*store, key, NOW).await, Attempts { since: NOW, count: 1 });
}

async fn all_workers_count_together(kind: Kind) {
    let Some((place, one)) = shared(kind).await else { return };
    let other = place.open().await;
    let key = hash();
    attempt(&*one, key, NOW).await;
    assert_eq!(attempt(&*other, key, NOW).await.count, 2);
    reset_attempts(&*one, key, AttemptReset::All).await;
    assert_eq!(attempt(&*other, key, NOW).await.count, 1);
}

async fn a_count_survives_closing_and_opening(kind: Kind) {
    let Some((place, store)) = shared(kind).await else { return };
    let key = hash();
    attempt(&*store, key, NOW).await;
    drop(store);
    assert_eq!(attempt(&*place.open().await, key, NOW).await.count, 2);
}

async fn attempt(store: &dyn Store, key: TokenHash, now: UnixMillis) -> Attempts {
    store.attempt(key, now, WINDOW).await.expect("the store counts")
}

async fn reset_attempts(store: &dyn Store, key: TokenHash, reset: AttemptReset) {
    store.reset_attempts(key, reset).await.expect("the store forgives");
}

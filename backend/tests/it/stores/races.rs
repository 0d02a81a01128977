//! Changes at the same time: one after the other, in whatever order.
//!
//! Rule: two handles, as two workers have them; only in memory it is one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use session_keeper_backend::store::{RevokeScope, Row, Store, StoreError};
use tokio::task::{JoinHandle, JoinSet};

use super::for_each_kind;
use super::place::{Kind, Place, alone, shared};
use super::rows::{NOW, after, find, insert, name, rotation, row, sibling};

for_each_kind!(
    of_eight_rotations_at_once_one_wins,
    a_pair_is_never_seen_by_half,
    a_use_brings_no_removed_row_back,
    a_rotation_brings_no_removed_session_back,
    when_everybody_is_signed_out_nobody_slips_through,
    a_use_and_a_rotation_lose_nothing_of_each_other
);

async fn of_eight_rotations_at_once_one_wins(kind: Kind) {
    let Some((place, store)) = shared(kind).await else { return };
    let stores = [Arc::clone(&store), second(kind, &place, &store).await];
    for _ in 0..5 {
        let old = row(&name());
        insert(&*store, std::slice::from_ref(&old)).await;
        let mut tasks = JoinSet::new();
        for number in 0..8 {
            let store = Arc::clone(&stores[number % 2]);
            let (hash, rotation) = (old.0, rotation(None));
            let pair = [sibling(&old), sibling(&old)];
            tasks.spawn(async move {
                let won = store.rotate(hash, rotation, &pair, NOW).await.expect("it can be told");
                (won, rotation, pair)
            });
        }
        let outcomes = tasks.join_all().await;
        assert_eq!(outcomes.iter().filter(|(won, ..)| *won).count(), 1);
        let kept = find(&*store, old.0).await.and_then(|session| session.rotation);
        for (won, rotation, pair) in outcomes {
            assert_eq!(kept.as_deref() == Some(&rotation), won);
            for (hash, _) in pair {
                assert_eq!(find(&*store, hash).await.is_some(), won);
            }
        }
    }
}

async fn a_pair_is_never_seen_by_half(kind: Kind) {
    let Some((place, store)) = shared(kind).await else { return };
    let other = second(kind, &place, &store).await;
    for _ in 0..20 {
        let (one, two) = (row(&name()), row(&name()));
        let (first, last) = (one.0, two.0);
        let writer = Arc::clone(&store);
        let writing = tokio::spawn(async move { insert(&*writer, &[one, two]).await });
        loop {
            let is_done = writing.is_finished();
            // Whichever is written first: the other is looked for after it was seen.
            if find(&*other, first).await.is_some() {
                assert!(find(&*other, last).await.is_some());
            }
            if find(&*other, last).await.is_some() {
                assert!(find(&*other, first).await.is_some());
            }
            if is_done {
                break;
            }
        }
        writing.await.expect("it does not panic");
    }
}

async fn a_use_brings_no_removed_row_back(kind: Kind) {
    let Some((place, store)) = shared(kind).await else { return };
    let other = second(kind, &place, &store).await;
    let username = name();
    for round in 0..200 {
        let (hash, session) = row(&username);
        insert(&*store, &[(hash, session.clone())]).await;
        let whose = match round % 2 {
            0 => RevokeScope::User(username.clone()),
            _ => RevokeScope::Session { username: username.clone(), id: session.id },
        };
        let (toucher, remover) = (Arc::clone(&other), Arc::clone(&store));
        let (touched, removed) =
            at_once(async move { toucher.touch(hash, after(60 + round)).await }, async move {
                remover.remove(&whose).await
            })
            .await;
        assert_eq!((touched, removed), ((), 1));
        assert_eq!(find(&*store, hash).await, None);
    }
    assert_eq!(store.of_user(&username).await.expect("it can be asked"), []);
}

async fn a_rotation_brings_no_removed_session_back(kind: Kind) {
    let Some((place, store)) = shared(kind).await else { return };
    let other = second(kind, &place, &store).await;
    let username = name();
    for round in 0..50 {
        let old = row(&username);
        insert(&*store, std::slice::from_ref(&old)).await;
        let whose = match round % 2 {
            0 => RevokeScope::User(username.clone()),
            _ => RevokeScope::Session { username: username.clone(), id: old.1.id },
        };
        let pair = [sibling(&old), sibling(&old)];
        let (rotator, remover, successors) = (Arc::clone(&other), Arc::clone(&store), pair.clone());
        let (rotated, removed) = at_once(
            async move { rotator.rotate(old.0, rotation(None), &successors, NOW).await },
            async move { remover.remove(&whose).await },
        )
        .await;
        assert_eq!(removed, if rotated { 3 } else { 1 });
        assert_eq!(store.of_user(&username).await.expect("it can be asked"), []);
        for (hash, _) in pair {
            assert_eq!(find(&*store, hash).await, None);
        }
    }
}

async fn when_everybody_is_signed_out_nobody_slips_through(kind: Kind) {
    let Some((place, store)) = alone(kind).await else { return };
    let other = second(kind, &place, &store).await;
    for _ in 0..10 {
        let first = row(&name());
        insert(&*store, std::slice::from_ref(&first)).await;
        let client = Refreshing::begin(Arc::clone(&other), first);
        store.remove(&RevokeScope::All).await.expect("it can be told");
        client.ends_by_being_told().await;
        assert_eq!(store.count().await.expect("it can be asked"), 0);
    }
}

async fn a_use_and_a_rotation_lose_nothing_of_each_other(kind: Kind) {
    let Some((place, store)) = shared(kind).await else { return };
    let other = second(kind, &place, &store).await;
    for _ in 0..20 {
        let old = row(&name());
        insert(&*store, std::slice::from_ref(&old)).await;
        let (toucher, rotator) = (Arc::clone(&other), Arc::clone(&store));
        let ((), rotated) =
            at_once(async move { toucher.touch(old.0, after(60)).await }, async move {
                rotator.rotate(old.0, rotation(None), &[], NOW).await
            })
            .await;
        assert!(rotated);
        let kept = find(&*store, old.0).await.expect("it is there");
        assert_eq!((kept.used_at, kept.rotation.is_some()), (after(60), true));
    }
}

/// A client that refreshes again and again, until it is told that its token is gone.
pub(super) struct Refreshing {
    is_over: Arc<AtomicBool>,
    client: JoinHandle<Ended>,
}

#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Told,
    /// It began to refresh after it was over, and could.
    SlippedThrough,
}

impl Refreshing {
    pub(super) fn begin(store: Arc<dyn Store>, mut held: Row) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let client = tokio::spawn(async move {
            loop {
                let is_late = over.load(Ordering::SeqCst);
                let next = sibling(&held);
                let successors = std::slice::from_ref(&next);
                let rotated = store.rotate(held.0, rotation(None), successors, NOW).await;
                if !rotated.expect("it can be told") {
                    return Ended::Told;
                }
                if is_late {
                    return Ended::SlippedThrough;
                }
                held = next;
            }
        });
        Self { is_over, client }
    }

    pub(super) async fn ends_by_being_told(self) {
        self.is_over.store(true, Ordering::SeqCst);
        assert_eq!(self.client.await.expect("it does not panic"), Ended::Told);
    }
}

async fn at_once<One: Send + 'static, Other: Send + 'static>(
    one: impl Future<Output = Result<One, StoreError>> + Send + 'static,
    other: impl Future<Output = Result<Other, StoreError>> + Send + 'static,
) -> (One, Other) {
    let (one, other) = (tokio::spawn(one), tokio::spawn(other));
    let one = one.await.expect("it does not panic").expect("it can be told");
    (one, other.await.expect("it does not panic").expect("it can be told"))
}

/// Another worker's.
async fn second(kind: Kind, place: &Place, store: &Arc<dyn Store>) -> Arc<dyn Store> {
    match kind {
        Kind::Memory => Arc::clone(store),
        Kind::File | Kind::Sqlite | Kind::Postgres | Kind::Redis => place.open().await,
    }
}

//! What is kept, found, rotated, removed, cleaned up and counted.

use session_keeper_backend::store::RevokeScope;
use session_keeper_backend::tokens::{
    Binding, Device, Kind as TokenKind, Session, UnixMillis, Verdict, verify,
};

use super::for_each_kind;
use super::place::{Kind, alone, shared};
use super::rows::{NOW, after, find, hash, insert, name, rotation, row, sibling, token};

for_each_kind!(
    a_row_is_found_as_it_was_kept,
    what_was_never_kept_is_not_found,
    rows_are_kept_all_or_none,
    a_token_is_rotated_once,
    what_is_gone_is_not_rotated,
    a_use_is_noted_and_an_earlier_one_is_not,
    a_use_of_what_is_gone_is_nothing,
    a_session_a_user_and_everybody_are_removed,
    cleaning_up_drops_what_expired_and_nothing_else,
    an_expired_row_stays_expired_whatever_is_done_with_it,
    each_row_counts_once;
    lasting: rows_survive_closing_and_opening,
    what_one_worker_does_others_see_at_once
);

async fn a_row_is_found_as_it_was_kept(kind: Kind) {
    let Some((_place, store)) = shared(kind).await else { return };
    let (_, plain) = row(&name());
    let owner = token();
    let binding = Binding::new(&owner, "192.0.2.1".parse().expect("it is an address"));
    let device = Device::from_user_agent("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0");
    let named = rotation(Some("an-attempt-of-its-own"));
    let unnamed = rotation(None);
    // The last time that a date with four digits of the year can be written of.
    let far = UnixMillis(253_402_300_799_999);
    for session in [
        Session { kind: TokenKind::Refresh, ..plain.clone() },
        Session { device, ..plain.clone() },
        Session { used_at: UnixMillis(0), ..plain.clone() },
        Session { used_at: UnixMillis(NOW.0 + 123), ..plain.clone() },
        Session { created_at: UnixMillis(1), expires_at: far, ..plain.clone() },
        Session { bound_to: Some(Box::new(binding)), ..plain.clone() },
        Session { rotation: Some(Box::new(named)), ..plain.clone() },
        Session { rotation: Some(Box::new(unnamed)), ..plain },
    ] {
        let hash = hash();
        insert(&*store, &[(hash, session.clone())]).await;
        assert_eq!(find(&*store, hash).await, Some(session));
    }
}

async fn what_was_never_kept_is_not_found(kind: Kind) {
    let Some((_place, store)) = shared(kind).await else { return };
    insert(&*store, &[row(&name())]).await;
    assert_eq!(find(&*store, hash()).await, None);
    assert_eq!(store.of_user(&name()).await.expect("it can be asked"), []);
}

/// A store may refuse what it cannot write; then it has written nothing.
async fn rows_are_kept_all_or_none(kind: Kind) {
    let Some((_place, store)) = shared(kind).await else { return };
    let (old, session) = row(&name());
    insert(&*store, &[(old, session.clone())]).await;
    let zero = row(&format!("{}\0", name()));
    let endless = (hash(), Session { expires_at: UnixMillis(u64::MAX), ..session });
    for odd in [zero, endless] {
        let pair = [row(&name()), odd];
        let is_kept = store.insert(&pair, NOW).await.is_ok();
        for (hash, _) in &pair {
            assert_eq!(find(&*store, *hash).await.is_some(), is_kept);
        }
        let successors = [row(&name()), (hash(), pair[1].1.clone())];
        let is_rotated = store.rotate(old, rotation(None), &successors, NOW).await.ok();
        for (hash, _) in &successors {
            assert_eq!(find(&*store, *hash).await.is_some(), is_rotated == Some(true));
        }
        let old = find(&*store, old).await.expect("it is still there");
        if is_rotated.is_none() {
            assert_eq!(old.rotation, None);
        }
    }
}

async fn a_token_is_rotated_once(kind: Kind) {
    let Some((_place, store)) = shared(kind).await else { return };
    let old = row(&name());
    insert(&*store, std::slice::from_ref(&old)).await;
    let (first, second) = (rotation(Some("the-first-attempt")), rotation(None));
    let (pair, other) = ([sibling(&old), sibling(&old)], [sibling(&old)]);
    let rotated = store.rotate(old.0, first, &pair, NOW).await;
    assert!(rotated.expect("it can be told"));
    assert!(!store.rotate(old.0, second, &other, NOW).await.expect("it can be told"));
    let wanted = Session { rotation: Some(Box::new(first)), ..old.1 };
    assert_eq!(find(&*store, old.0).await, Some(wanted));
    for (hash, session) in pair {
        assert_eq!(find(&*store, hash).await, Some(session));
    }
    assert_eq!(find(&*store, other[0].0).await, None);
}

async fn what_is_gone_is_not_rotated(kind: Kind) {
    let Some((_place, store)) = shared(kind).await else { return };
    let old = row(&name());
    insert(&*store, std::slice::from_ref(&old)).await;
    let whose = RevokeScope::User(old.1.username.to_string());
    store.remove(&whose).await.expect("it can be told");
    let successor = sibling(&old);
    let rotated = store.rotate(old.0, rotation(None), std::slice::from_ref(&successor), NOW).await;
    assert!(!rotated.expect("it can be told"));
    assert_eq!(find(&*store, old.0).await, None);
    assert_eq!(find(&*store, successor.0).await, None);
}

async fn a_use_is_noted_and_an_earlier_one_is_not(kind: Kind) {
    let Some((_place, store)) = shared(kind).await else { return };
    let (hash, mut session) = row(&name());
    session.used_at = UnixMillis(0);
    session.rotation = Some(Box::new(rotation(Some("an-attempt-of-its-own"))));
    insert(&*store, &[(hash, session.clone())]).await;
    for (touched, noted) in [(60, 60), (180, 180), (120, 180)] {
        store.touch(hash, after(touched)).await.expect("it can be told");
        session.used_at = after(noted);
        assert_eq!(find(&*store, hash).await.as_ref(), Some(&session));
    }
}

async fn a_use_of_what_is_gone_is_nothing(kind: Kind) {
    let Some((_place, store)) = shared(kind).await else { return };
    let (hash, session) = row(&name());
    store.touch(hash, after(60)).await.expect("nothing is in order");
    assert_eq!(find(&*store, hash).await, None);
    assert_eq!(store.of_user(&session.username).await.expect("it can be asked"), []);
}

async fn a_session_a_user_and_everybody_are_removed(kind: Kind) {
    let Some((_place, store)) = alone(kind).await else { return };
    let (ada, grace) = (name(), name());
    let (phone, laptop, other) = (row(&ada), row(&ada), row(&grace));
    let rows = [phone.clone(), sibling(&phone), laptop.clone(), other.clone(), sibling(&other)];
    insert(&*store, &rows).await;
    let session = RevokeScope::Session { username: ada.clone(), id: phone.1.id };
    let left = async || {
        let mut left = Vec::new();
        for (hash, _) in &rows {
            left.push(find(&*store, *hash).await.is_some());
        }
        left
    };
    for (whose, removed, wanted) in [
        (RevokeScope::User(name()), 0, [true, true, true, true, true]),
        (session.clone(), 2, [false, false, true, true, true]),
        (session, 0, [false, false, true, true, true]),
        (RevokeScope::User(ada), 1, [false, false, false, true, true]),
        (RevokeScope::All, 2, [false; 5]),
        (RevokeScope::All, 0, [false; 5]),
    ] {
        let count = store.remove(&whose).await.expect("it can be told");
        assert_eq!((count, left().await), (removed, wanted.to_vec()), "{whose:?}");
    }
    assert_eq!(store.of_user(&grace).await.expect("it can be asked"), []);
}

async fn cleaning_up_drops_what_expired_and_nothing_else(kind: Kind) {
    let Some((_place, store)) = alone(kind).await else { return };
    let until = |seconds| {
        let (hash, session) = row("ada");
        (hash, Session { expires_at: after(seconds), ..session })
    };
    let rows = [until(10), until(20), until(21), until(3600)];
    insert(&*store, &rows).await;
    let dropped = store.clean_up(after(20)).await.expect("it can be told");
    for (hash, session) in &rows[2..] {
        assert_eq!(find(&*store, *hash).await.as_ref(), Some(session));
    }
    match kind {
        // By its own clock, some time later.
        Kind::Redis => assert_eq!(dropped, 0),
        Kind::Memory | Kind::File | Kind::Sqlite | Kind::Postgres => {
            assert_eq!(dropped, 2);
            assert_eq!(store.count().await.expect("it can be asked"), 2);
        }
    }
    assert_eq!(store.clean_up(after(20)).await.expect("it can be told"), 0);
}

async fn an_expired_row_stays_expired_whatever_is_done_with_it(kind: Kind) {
    let Some((_place, store)) = alone(kind).await else { return };
    let old = row(&name());
    insert(&*store, std::slice::from_ref(&old)).await;
    let late = after(3600);
    let is_refused = async || {
        let verdict = verify(find(&*store, old.0).await, late);
        matches!(verdict, Verdict::Expired(_) | Verdict::Unknown)
    };
    assert!(is_refused().await);
    store.touch(old.0, late).await.expect("it can be told");
    assert!(is_refused().await);
    store.insert(&[row(&name())], late).await.expect("it takes rows");
    assert!(is_refused().await);
    // Whether it is still there is the store's business; the decision is made before.
    store.rotate(old.0, rotation(None), &[], late).await.expect("it can be told");
    assert!(is_refused().await);
    store.clean_up(late).await.expect("it can be told");
    assert!(is_refused().await);
}

async fn each_row_counts_once(kind: Kind) {
    let Some((_place, store)) = alone(kind).await else { return };
    assert_eq!(store.count().await.expect("it can be asked"), 0);
    let one = row(&name());
    insert(&*store, &[one.clone(), sibling(&one), row(&name())]).await;
    store.attempt(hash(), NOW, std::time::Duration::from_secs(60)).await.expect("it counts");
    assert_eq!(store.count().await.expect("it can be asked"), 3);
}

async fn rows_survive_closing_and_opening(kind: Kind) {
    let Some((place, store)) = shared(kind).await else { return };
    let (hash, session) = row(&name());
    insert(&*store, &[(hash, session.clone())]).await;
    drop(store);
    assert_eq!(find(&*place.open().await, hash).await, Some(session));
}

async fn what_one_worker_does_others_see_at_once(kind: Kind) {
    let Some((place, one)) = shared(kind).await else { return };
    let other = place.open().await;
    let old = row(&name());
    insert(&*one, std::slice::from_ref(&old)).await;
    assert_eq!(find(&*other, old.0).await.as_ref(), Some(&old.1));
    one.touch(old.0, after(60)).await.expect("it can be told");
    assert_eq!(find(&*other, old.0).await.map(|row| row.used_at), Some(after(60)));
    let successor = sibling(&old);
    let rotated = other.rotate(old.0, rotation(None), std::slice::from_ref(&successor), NOW).await;
    assert!(rotated.expect("it can be told"));
    assert!(find(&*one, old.0).await.is_some_and(|row| row.rotation.is_some()));
    assert_eq!(find(&*one, successor.0).await, Some(successor.1));
    let whose = RevokeScope::User(old.1.username.to_string());
    assert_eq!(one.remove(&whose).await.expect("it can be told"), 2);
    assert_eq!(find(&*other, old.0).await, None);
    assert_eq!(other.of_user(&old.1.username).await.expect("it can be asked"), []);
}

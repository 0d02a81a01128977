//! Names are text, and one is not another.
//!
//! Rule: what means something to SQL, to patterns, to JSON or to Redis is only a character here.

use std::collections::BTreeSet;

use session_keeper_backend::store::{RevokeScope, Row, Store};

use super::for_each_kind;
use super::place::{Kind, alone};
use super::rows::{find, insert, row, sibling};

for_each_kind!(a_user_has_their_own_rows_only, a_user_is_removed_and_no_other);

/// Each differs from some other by what a careless store would not look at.
fn names() -> Vec<String> {
    let odd = [
        "ada",
        "Ada",
        "ADA",
        "ada ",
        " ada",
        "ada\t",
        "ad",
        "adaa",
        "a%",
        "%",
        "_da",
        "*",
        "a*",
        "[a]da",
        "a?a",
        "ada'",
        "ada''",
        "'; DROP TABLE auth_tokens; --",
        "ada\"",
        "ada\\",
        "{ada}",
        "$1",
        "ada:1",
        "ada/..",
        "ada\n",
        "äda",
        "a\u{308}da",
        "阿达",
        "🦀",
        "\u{200b}ada",
        "null",
        "\u{7f}ada",
        "\u{1}ada",
        "",
    ];
    let long = ["x".repeat(99), "x".repeat(100), "🦀".repeat(100)];
    odd.into_iter().map(str::to_owned).chain(long).collect()
}

async fn a_user_has_their_own_rows_only(kind: Kind) {
    let Some((_place, store)) = alone(kind).await else { return };
    let rows = rows_of_all();
    insert(&*store, &rows.concat()).await;
    for (name, rows) in names().iter().zip(&rows) {
        let found = store.of_user(name).await.expect("it can be asked");
        assert!(found.iter().all(|session| *session.username == **name), "{name:?}");
        let ids = |sessions: Vec<_>| sessions.into_iter().collect::<BTreeSet<_>>();
        let wanted = ids(rows.iter().map(|(_, session)| session.id).collect());
        assert_eq!(found.len(), rows.len(), "{name:?}");
        assert_eq!(ids(found.iter().map(|session| session.id).collect()), wanted, "{name:?}");
    }
}

async fn a_user_is_removed_and_no_other(kind: Kind) {
    let Some((_place, store)) = alone(kind).await else { return };
    let rows = rows_of_all();
    insert(&*store, &rows.concat()).await;
    for (index, name) in names().into_iter().enumerate() {
        let removed = store.remove(&RevokeScope::User(name.clone())).await;
        assert_eq!(removed.expect("it can be told"), rows[index].len(), "{name:?}");
        for other in &rows[..=index] {
            assert_eq!(find(&*store, other[0].0).await, None, "{name:?}");
        }
        assert_eq!(left(&*store).await, rows[index + 1..].concat().len(), "{name:?}");
    }
}

/// Three of each user, two of them of one session.
fn rows_of_all() -> Vec<Vec<Row>> {
    let rows_of = |name: &String| {
        let one = row(name);
        vec![one.clone(), sibling(&one), row(name)]
    };
    names().iter().map(rows_of).collect()
}

async fn left(store: &dyn Store) -> usize {
    store.count().await.expect("it can be asked")
}

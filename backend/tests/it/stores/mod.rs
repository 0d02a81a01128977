//! One suite for every kind of store: what is true of one is true of all.
//!
//! Rule: a test is a function of the kind, and [`for_each_kind`] runs it for all of them, so that
//! a failure is named `stores::…::KIND::…`. Tests run at once: each has names and hashes of its
//! own, and those that look at all rows have a database of their own.

mod attempts;
mod begin;
mod contract;
mod names;
mod outage;
pub(crate) mod place;
mod postgres_only;
mod races;
mod redis_index;
mod redis_only;
mod rows;

/// A test for each of the kinds, of functions that take a [`place::Kind`]. Those after `lasting`
/// are for what is still there when its process is not.
macro_rules! for_each_kind {
    ($($test:ident),* $(; lasting: $($lasting:ident),*)?) => {
        mod memory { $crate::stores::tests_of!(Memory: $($test)*); }
        mod file { $crate::stores::tests_of!(File: $($test)* $($($lasting)*)?); }
        mod sqlite { $crate::stores::tests_of!(Sqlite: $($test)* $($($lasting)*)?); }
        mod postgres { $crate::stores::tests_of!(Postgres: $($test)* $($($lasting)*)?); }
        mod redis { $crate::stores::tests_of!(Redis: $($test)* $($($lasting)*)?); }
    };
}
pub(crate) use for_each_kind;

macro_rules! tests_of {
    ($kind:ident: $($test:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::stores::place::Kind::$kind).await;
            }
        )*
    };
}
pub(crate) use tests_of;

//! Which tokens a user has.
//!
//! Rule 1: sign-outs rest on the index, so it has no expiry of its own: Redis would drop it before
//! the tokens where it makes room by dropping what has one. It is cleaned up here.
//! Rule 2: an index that lacks something is rebuilt from all rows before it is relied on. It does
//! where it is gone, where a token in use was not in it (it is marked then), and where whoever has
//! seen a token of a session finds none to remove.
//! Rule 3: Redis is held for a page at a time, however many tokens a user has.
//!
//! It deliberately does not know what stands in a row.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use redis::{Cmd, cmd};
use session_keeper_tokens::SessionId;

use super::link::{ENGINE, Idempotency, Link};
use super::scripts;
use crate::store::StoreError;

/// Looked at by Redis before others get their turn: three milliseconds at most.
const AT_ONCE: usize = 500;

/// A clean-up goes on where the one before ended. Each worker's takes some ten milliseconds of
/// Redis in a minute, and goes through a million keys in about an hour.
const CLEANED_PAGES: usize = 64;
const CLEANED_AT_ONCE: usize = 250;

/// Where the next clean-up begins.
#[derive(Default)]
pub(super) struct Janitor(AtomicU64);

impl Janitor {
    /// Spawn the hashes of tokens that are gone out of users' indexes, and so the indexes of users
    /// that have none.
    pub(super) async fn clean_up(&self, link: &Link) -> Result<(), StoreError> {
        for _ in 0..CLEANED_PAGES {
            let mut prune = scripts::PRUNE_SOME.arg(self.0.load(Ordering::Relaxed));
            prune.arg(CLEANED_AT_ONCE);
            let (next, is_again): (u64, bool) = link.run(&prune, Idempotency::Idempotent).await?;
            self.0.store(next, Ordering::Relaxed);
            if next == 0 && !is_again {
                break;
            }
        }
        Ok(())
    }
}

/// A user's index.
pub(super) struct Index<'a> {
    pub(super) link: &'a Link,
    pub(super) key: String,
    pub(super) username: &'a str,
}

impl Index<'_> {
    /// Notes that a token is in use, which shows where the index lacks it.
    pub(super) async fn note(&self, token: &str) -> Result<(), StoreError> {
        self.link.run(scripts::NOTE.key(&self.key).key(token), Idempotency::Idempotent).await
    }

    /// Forgets the user's tokens, or one session's, and says how many. Nothing that was there at
    /// the beginning is left, nor what came of it by rotation.
    pub(super) async fn remove(&self, session: Option<SessionId>) -> Result<usize, StoreError> {
        if let Some(removed @ 1..) = self.remove_indexed(session).await? {
            return Ok(removed);
        }
        self.rebuild().await?;
        self.remove_indexed(session).await.map(Option::unwrap_or_default)
    }

    /// Hash and text of each row.
    pub(super) async fn rows(&self) -> Result<BTreeMap<String, String>, StoreError> {
        if !self
            .link
            .run::<bool>(&scripts::IS_WHOLE.key(&self.key), Idempotency::Idempotent)
            .await?
        {
            self.rebuild().await?;
        }
        let (mut rows, mut pages) = (BTreeMap::new(), Pages::default());
        while let Some(cursor) = pages.cursor {
            let mut scan = cmd("SSCAN");
            scan.arg(&self.key).arg(cursor).arg("COUNT").arg(AT_ONCE);
            let (next, hashes): (u64, Vec<String>) =
                self.link.command(&scan, Idempotency::Idempotent).await?;
            pages.turn_to(next, self.link)?;
            self.add_rows(hashes, &mut rows).await?;
        }
        Ok(rows)
    }

    async fn add_rows(
        &self,
        hashes: Vec<String>,
        rows: &mut BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        let hashes: Vec<_> = hashes.into_iter().filter(|hash| hash != scripts::LOST).collect();
        if hashes.is_empty() {
            return Ok(());
        }
        let mut get = cmd("MGET");
        for hash in &hashes {
            get.arg(format!("auth_token:{hash}"));
        }
        let texts: Vec<Option<String>> = self.link.command(&get, Idempotency::Idempotent).await?;
        let mut gone = Vec::new();
        for (hash, text) in hashes.into_iter().zip(texts) {
            match text {
                Some(text) => drop(rows.insert(hash, text)),
                // For good: a row and its place in the index come together.
                None => gone.push(hash),
            }
        }
        if !gone.is_empty() {
            self.link.command::<()>(&Cmd::srem(&self.key, gone), Idempotency::Idempotent).await?;
        }
        Ok(())
    }

    /// `None`: the index is gone or marked, and nothing was removed.
    async fn remove_indexed(
        &self,
        session: Option<SessionId>,
    ) -> Result<Option<usize>, StoreError> {
        match session {
            None => self.take_all().await,
            Some(id) => self.take_session(id).await,
        }
    }

    /// Until the index is empty: what is rotated meanwhile puts its successors there.
    async fn take_all(&self) -> Result<Option<usize>, StoreError> {
        let mut sum = None;
        loop {
            let mut take = scripts::TAKE_SOME.key(&self.key);
            take.arg(AT_ONCE).arg(u8::from(sum.is_none()));
            let (is_usable, removed, is_left): (bool, usize, bool) =
                self.link.run(&take, Idempotency::NotIdempotent).await?;
            if !is_usable {
                return Ok(sum);
            }
            sum = Some(sum.unwrap_or(0) + removed);
            if !is_left {
                return Ok(sum);
            }
        }
    }

    /// Once through the index: from the first page on, none of the session can be rotated.
    async fn take_session(&self, id: SessionId) -> Result<Option<usize>, StoreError> {
        let (mut sum, mut pages) = (0, Pages::default());
        while let Some(cursor) = pages.cursor {
            let mut take = scripts::TAKE_SESSION.key(&self.key);
            take.arg(id.to_string()).arg(cursor).arg(AT_ONCE);
            let (is_usable, removed, next): (bool, usize, u64) =
                self.link.run(&take, Idempotency::NotIdempotent).await?;
            if !is_usable {
                return Ok(None);
            }
            sum += removed;
            pages.turn_to(next, self.link)?;
        }
        Ok(Some(sum))
    }

    /// From all rows: those that are there all the time are come by, and what is rotated meanwhile
    /// puts its successors into the index itself.
    async fn rebuild(&self) -> Result<(), StoreError> {
        let mut pages = Pages::default();
        while let Some(cursor) = pages.cursor {
            let mut collect = scripts::COLLECT_SOME.key(&self.key);
            collect.arg(cursor).arg(AT_ONCE).arg(self.username);
            let next: u64 = self.link.run(&collect, Idempotency::Idempotent).await?;
            pages.turn_to(next, self.link)?;
        }
        let unmark = Cmd::srem(&self.key, scripts::LOST);
        self.link.command(&unmark, Idempotency::Idempotent).await
    }
}

/// Pages of what Redis scans. A cursor means nothing to another server, nor to one that was
/// started again: the rest would be left out.
struct Pages {
    cursor: Option<u64>,
    connection: Option<u64>,
}

impl Default for Pages {
    fn default() -> Self {
        Self { cursor: Some(0), connection: None }
    }
}

impl Pages {
    fn turn_to(&mut self, next: u64, link: &Link) -> Result<(), StoreError> {
        let connection = Some(link.number());
        if self.connection.is_some() && self.connection != connection {
            let reason = "the connection broke in the middle";
            return Err(StoreError::unavailable(ENGINE, reason));
        }
        self.connection = connection;
        self.cursor = (next != 0).then_some(next);
        Ok(())
    }
}

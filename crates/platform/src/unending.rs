//! Bodies that do not end as they should, as broken servers send them.
//!
//! Rule: each ends with its connection, and costs next to nothing until then.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::body::{AnswerBody, Broken};

/// Fast enough for a test of a size limit to end soon, slow enough not to load the machine.
const CHUNK_EVERY: Duration = Duration::from_millis(20);
const CHUNK: Bytes = Bytes::from_static(&[b' '; 256]);

/// Sends `start` and then nothing more. Its length must be announced by the caller.
pub(crate) fn stalled(start: Bytes) -> AnswerBody {
    Stalled { start: Some(start) }.boxed_unsync()
}

/// Sends `start` and then white space without end, which is harmless within JSON and HTML alike.
pub(crate) fn endless(start: Bytes) -> AnswerBody {
    let mut ticks = interval(CHUNK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Endless { start: Some(start), ticks }.boxed_unsync()
}

/// Sends `start` and then drops the connection. Its length must be announced by the caller.
pub(crate) fn broken(start: Bytes) -> AnswerBody {
    // What was not flushed when it breaks would never be seen.
    Breaking { start: Some(start), ticks: interval(CHUNK_EVERY) }.boxed_unsync()
}

struct Stalled {
    start: Option<Bytes>,
}

struct Endless {
    start: Option<Bytes>,
    ticks: Interval,
}

struct Breaking {
    start: Option<Bytes>,
    ticks: Interval,
}

impl Body for Breaking {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        ready!(self.ticks.poll_tick(context));
        Poll::Ready(Some(match self.start.take() {
            Some(start) => Ok(Frame::data(start)),
            None => Err(Broken::OnPurpose),
        }))
    }
}

impl Body for Stalled {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.start.take() {
            Some(start) if !start.is_empty() => Poll::Ready(Some(Ok(Frame::data(start)))),
            // Nothing ever wakes it: hyper drops it when the browser closes the connection.
            Some(_) | None => Poll::Pending,
        }
    }
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        ready!(self.ticks.poll_tick(context));
        let chunk = self.start.take().filter(|start| !start.is_empty()).unwrap_or(CHUNK);
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }
}

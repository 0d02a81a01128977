//! What lies between the page and the server.

use session_keeper_core::{Body, Outcome, Response};

use crate::mix::Mix;
use crate::rng::Rng;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    Clear,
    /// Nothing gets through.
    Cut,
    /// Every request is answered with the portal's login page.
    Portal,
}

#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) path: Path,
    latency_ms: u64,
    loss: u64,
}

/// What becomes of a request on its way.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one is at hand at a time")]
pub(crate) enum Transit {
    Reaches {
        after: u64,
    },
    Fails {
        after: u64,
        outcome: Outcome,
    },
    /// Swallowed: nothing ever comes back.
    Vanishes,
}

impl Network {
    pub(crate) const fn new(mix: &Mix) -> Self {
        Self { path: Path::Clear, latency_ms: mix.latency_ms, loss: mix.loss }
    }

    pub(crate) const fn heal(&mut self) {
        self.path = Path::Clear;
        self.loss = 0;
    }

    pub(crate) fn send(&self, rng: &mut Rng) -> Transit {
        let after = self.trip(rng);
        match self.path {
            Path::Cut => Transit::Fails { after, outcome: Outcome::NoAnswer },
            Path::Portal => {
                let redirected = rng.in_thousand(500);
                let body = Body::Html;
                let page = Response { redirected, body, ..Response::default() };
                Transit::Fails { after, outcome: Outcome::Response(page) }
            }
            Path::Clear if rng.in_thousand(self.loss) => {
                if rng.in_thousand(300) {
                    Transit::Vanishes
                } else {
                    let after = rng.between(after, 20_000);
                    Transit::Fails { after, outcome: Outcome::NoAnswer }
                }
            }
            Path::Clear => Transit::Reaches { after },
        }
    }

    /// How long an answer takes back, or nothing where it is lost.
    pub(crate) fn bring(&self, rng: &mut Rng) -> Option<u64> {
        let lost = self.path != Path::Clear || rng.in_thousand(self.loss);
        (!lost).then(|| self.trip(rng))
    }

    /// The longest that one way takes.
    pub(crate) const fn longest_trip(&self) -> u64 {
        self.latency_ms * 2
    }

    fn trip(&self, rng: &mut Rng) -> u64 {
        rng.between(self.latency_ms / 2, self.latency_ms * 2)
    }
}

//! What a run, or many, came to.

use std::collections::BTreeMap;
use std::fmt;

use crate::oracle::Guarantee;

/// Counts of one run or of several.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Simulated time.
    pub hours: u64,
    /// Steps of the keeper.
    pub steps: u64,
    /// Requests to the health path.
    pub pings: u64,
    /// Requests to the verify path.
    pub verifications: u64,
    /// Verifications that were accepted.
    pub accepted: u64,
    /// Rejections that reached the keeper.
    pub rejections: u64,
    /// Suspicions that an accepted answer ended.
    pub refuted: u64,
    /// Sessions that ended because the server said no.
    pub sign_outs: u64,
    /// The same while the server still knew the token. Must be 0.
    pub false_sign_outs: u64,
    /// Refreshes that were sent.
    pub refreshes: u64,
    /// Newer tokens that came of them.
    pub refreshed: u64,
    /// Refreshes that changed nothing.
    pub useless: u64,
    /// Sessions that the server ended because a refresh token came back.
    pub reuses: u64,
    /// Requests of the app that got a 401 because their token had run out.
    pub app_expired_401s: u64,
    /// Requests of the app.
    pub app_requests: u64,
    /// A 401 that the app got though the token was good and the session went on.
    pub app_false_401s: u64,
    /// Answers that belonged to nothing any more.
    pub strays: u64,
    /// The most requests in one minute.
    pub busiest_minute: u64,
    /// The most requests in 6 s of a confirmation.
    pub most_in_six: u64,
    /// The longest confirmation in undisturbed time, by the bound in seconds that it was under.
    pub longest: BTreeMap<u64, u64>,
    /// How often each fault struck.
    pub faults: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Takes in the counts of another run.
    pub fn add(&mut self, other: &Self) {
        self.hours += other.hours;
        self.steps += other.steps;
        self.pings += other.pings;
        self.verifications += other.verifications;
        self.accepted += other.accepted;
        self.rejections += other.rejections;
        self.refuted += other.refuted;
        self.sign_outs += other.sign_outs;
        self.false_sign_outs += other.false_sign_outs;
        self.strays += other.strays;
        self.refreshes += other.refreshes;
        self.refreshed += other.refreshed;
        self.useless += other.useless;
        self.reuses += other.reuses;
        self.app_expired_401s += other.app_expired_401s;
        self.app_requests += other.app_requests;
        self.app_false_401s += other.app_false_401s;
        self.busiest_minute = self.busiest_minute.max(other.busiest_minute);
        self.most_in_six = self.most_in_six.max(other.most_in_six);
        for (bound, ms) in &other.longest {
            let longest = self.longest.entry(*bound).or_default();
            *longest = (*longest).max(*ms);
        }
        for (fault, times) in &other.faults {
            *self.faults.entry(fault).or_default() += times;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hours, steps, pings, verifications, accepted, rejections, refuted, .. } = self;
        writeln!(f, "simulated       {hours} h in {steps} steps")?;
        writeln!(f, "requests        {pings} pings, {verifications} verifications")?;
        writeln!(f, "busiest minute  {} requests", self.busiest_minute)?;
        writeln!(f, "confirmations   {} requests in 6 s at the most", self.most_in_six)?;
        writeln!(
            f,
            "answers         {accepted} accepted, {rejections} refused, {} stray",
            self.strays
        )?;
        writeln!(f, "suspicions      {refuted} refuted, {} signed out", self.sign_outs)?;
        writeln!(f, "false sign-outs {}", self.false_sign_outs)?;
        let (asked, got) = (self.app_requests, self.app_false_401s);
        writeln!(f, "the app         {asked} requests, {got} with a 401 for a good token")?;
        if self.refreshes > 0 {
            let Self { refreshes, refreshed, useless, reuses, app_expired_401s, .. } = self;
            writeln!(
                f,
                "refreshes       {refreshes}: {refreshed} newer tokens, {useless} useless"
            )?;
            writeln!(f, "                {reuses} families ended by a reuse")?;
            writeln!(f, "the app         {app_expired_401s} requests with a 401 for an old token")?;
        }
        for (bound, ms) in &self.longest {
            let seconds = *ms as f64 / 1_000.0;
            writeln!(f, "longest         {seconds:.1} s where {bound} s are allowed")?;
        }
        write!(f, "faults         ")?;
        for (fault, times) in &self.faults {
            write!(f, " {fault} {times}")?;
        }
        Ok(())
    }
}

/// A guarantee that was broken, with what led there.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed that breaks it.
    pub seed: u64,
    /// Which one.
    pub guarantee: Guarantee,
    /// How.
    pub message: String,
    /// The last steps, oldest first.
    pub transcript: Vec<String>,
}

impl Failure {
    /// The seed and what broke, in one line.
    #[must_use]
    pub fn headline(&self) -> String {
        format!("seed {}: {:?}: {}", self.seed, self.guarantee, self.message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.transcript {
            writeln!(f, "  {line}")?;
        }
        f.write_str(&self.headline())
    }
}

impl std::error::Error for Failure {}

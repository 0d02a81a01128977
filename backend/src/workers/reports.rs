//! What the workers counted, summed.
//!
//! Rule: what an ended worker had counted stays in the sum, or counters would fall.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::metrics::Counts;

/// The newest counts of each worker.
#[derive(Debug, Default)]
pub(crate) struct Reports(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    ended: Counts,
    running: BTreeMap<u16, Counts>,
}

impl Reports {
    /// Spawn a worker's line. One that cannot be read changes nothing.
    pub(crate) fn note(&self, worker: u16, line: &str) {
        if let Ok(counts) = serde_json::from_str(line) {
            self.state().running.insert(worker, counts);
        }
    }

    /// Notes that a worker has ended.
    pub(crate) fn close(&self, worker: u16) {
        let mut state = self.state();
        if let Some(counts) = state.running.remove(&worker) {
            state.ended.add(&counts);
        }
    }

    pub(crate) fn sum(&self) -> Counts {
        let state = self.state();
        let mut sum = state.ended.clone();
        state.running.values().for_each(|counts| sum.add(counts));
        sum
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whole counts are put in and taken out: nothing is left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Counter, Metrics};

    #[test]
    fn the_counts_of_a_worker_that_ended_stay_in_the_sum() {
        let line = |issued: usize| {
            let metrics = Metrics::default();
            metrics.add(Counter::TokensIssued, issued);
            serde_json::to_string(&metrics.snapshot()).expect("counts are numbers")
        };
        let reports = Reports::default();
        reports.note(1, &line(3));
        reports.note(1, &line(5));
        reports.note(1, "what is no report");
        reports.close(1);
        reports.note(1, &line(2));
        reports.note(2, &line(1));
        let text = reports.sum().render();
        assert!(text.contains("\ntokens_issued_total 8\n"), "{text}");
    }
}

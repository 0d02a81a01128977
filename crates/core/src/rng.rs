//! Randomness from one seed: jitter and ids, the same again for the same seed.

use crate::time::Duration;

/// SplitMix64 (Steele, Lea, Flood 2014): small, and every seed is a good one. Jitter must differ
/// between browsers, and ids must not meet; nothing here is a secret.
#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A length from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let (low, high) = (low.as_millis(), high.as_millis());
        let width = high.saturating_sub(low).saturating_add(1);
        Duration::from_millis(low.saturating_add(self.draw() % width))
    }

    /// The length, spread by ±10 %: without it a million browsers that met once stay in step.
    pub(crate) fn spread(&mut self, length: Duration) -> Duration {
        let tenth = length.as_millis() / 10;
        let low = Duration::from_millis(length.as_millis() - tenth);
        self.between(low, Duration::from_millis(length.as_millis().saturating_add(tenth)))
    }

    /// Decorrelated jitter: from `low` to three times the delay before, at most `high`. The floor
    /// keeps the first repeats out of the second in which everybody failed.
    pub(crate) fn decorrelated(
        &mut self,
        low: Duration,
        high: Duration,
        before: Duration,
    ) -> Duration {
        let top = before.times(3).max(low).min(high);
        self.between(low.min(top), top)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decorrelated_jitter_stays_between_its_floor_and_its_ceiling() {
        let (low, high) = (Duration::from_secs(2), Duration::from_secs(6));
        let mut rng = Rng::new(1);
        let mut delay = low;
        for _ in 0..10_000 {
            delay = rng.decorrelated(low, high, delay);
            assert!(delay >= low && delay <= high);
        }
    }

    #[test]
    fn a_spread_interval_reaches_ten_percent_to_both_sides_and_no_further() {
        let mut rng = Rng::new(3);
        let drawn: alloc::vec::Vec<u64> =
            (0..10_000).map(|_| rng.spread(Duration::from_secs(30)).as_millis()).collect();
        let (low, high) = (drawn.iter().min().copied(), drawn.iter().max().copied());
        assert!(low.is_some_and(|low| (27_000..27_100).contains(&low)));
        assert!(high.is_some_and(|high| (32_900..=33_000).contains(&high)));
    }

    #[test]
    fn two_seeds_do_not_draw_in_step() {
        let (mut one, mut two) = (Rng::new(1), Rng::new(2));
        assert!((0..100).all(|_| one.draw() != two.draw()));
    }
}

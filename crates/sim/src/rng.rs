//! Chance, from the seed. Not the core's generator: the two must not fall into step.

/// PCG-like: a 64-bit linear congruential step with an xor-folded output (O'Neill 2014).
#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Self(seed ^ 0x5DEE_CE66_D1CE_4E5B);
        // Neighbouring seeds differ in few bits; the first samples would too.
        for _ in 0..4 {
            rng.draw();
        }
        rng
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 ^ (self.0 >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed ^ (mixed >> 32)
    }

    /// From `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.draw() % (high.saturating_sub(low) + 1)
    }

    /// True in so many of a thousand cases.
    pub(crate) fn in_thousand(&mut self, cases: u64) -> bool {
        self.draw() % 1_000 < cases
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[(self.draw() % from.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn the_same_seed_throws_the_same_and_neighbours_do_not() {
        let throw = |seed| (0..20).map(|_| Rng::new(seed).draw()).collect::<Vec<_>>();
        assert_eq!(throw(5), throw(5));
        let (mut one, mut two) = (Rng::new(5), Rng::new(6));
        assert!((0..100).all(|_| one.draw() != two.draw()));
    }

    #[test]
    fn a_chance_of_a_third_comes_true_about_that_often() {
        let mut rng = Rng::new(1);
        let hits = (0..10_000).filter(|_| rng.in_thousand(333)).count();
        assert!((3_000..3_700).contains(&hits), "{hits}");
    }
}

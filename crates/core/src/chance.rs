//! A chance, as it is named in the evidence of a sign-out.

/// A number from 0 to 1, in steps of 10⁻¹²: what is rarer counts as never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Chance(u64);

const STEPS: f64 = 1e12;

impl Chance {
    /// The chance of that number; what lies outside 0 and 1 counts as the nearer of them.
    #[must_use]
    pub fn of(number: f64) -> Self {
        // A conversion of floats saturates, and makes 0 of what is no number.
        Self((number * STEPS) as u64).min(Self(STEPS as u64))
    }

    pub(crate) const fn divided(self, by: u64) -> Self {
        Self(self.0 / by)
    }

    /// As a number from 0 to 1.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / STEPS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chance_is_a_number_from_zero_to_one() {
        for (given, reported) in
            [(0.25, 0.25), (-1.0, 0.0), (7.0, 1.0), (f64::NAN, 0.0), (1e-13, 0.0)]
        {
            assert_eq!(Chance::of(given).as_f64(), reported, "{given}");
        }
        assert!(Chance::of(0.001) < Chance::of(0.0011));
    }
}

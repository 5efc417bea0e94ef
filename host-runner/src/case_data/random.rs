//! A small generator of pseudo-random numbers, SplitMix64.
//!
//! Expected outputs are computed elsewhere from the same inputs, so the sequence is part of the
//! contract and must never change; a random-number crate promises that for few of its generators.
//! The whole definition, to repeat in another language (all arithmetic modulo 2^64):
//!
//! ```text
//! state = seed
//! next:  state += 0x9E3779B97F4A7C15
//!        z = state
//!        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
//!        z = (z ^ (z >> 27)) * 0x94D049BB133111EB
//!        return z ^ (z >> 31)
//!
//! unit    = (next >> 11) / 2^53                        a float64 in [0, 1)
//! float   = low + unit * (high - low)                  in float64, then rounded to the type
//! integer = low + ((next * (high - low + 1)) >> 64)    in wide integers
//! ```

/// The generator.
#[derive(Clone, Debug)]
pub(crate) struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// Starts the sequence of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub(crate) fn next_bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// The next number between `low` (included) and `high`.
    pub(crate) fn next_float(&mut self, low: f64, high: f64) -> f64 {
        // CAST: 53 bits are exact in a float.
        let unit = (self.next_bits() >> 11) as f64 / (1_u64 << 53) as f64;
        low + unit * (high - low)
    }

    /// The next whole number from `low` to `high`, both included and both of a 64-bit type.
    ///
    /// The bias of this multiplication is below 2^-64 of the range, which no test can see.
    pub(crate) fn next_integer(&mut self, low: i128, high: i128) -> i128 {
        let span = high.abs_diff(low) + 1;
        let offset = (u128::from(self.next_bits()) * span) >> 64;
        // CAST: the offset is below the span, which is at most 2^64.
        low + offset as i128
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_published_sequence() {
        let mut generator = SplitMix64::new(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(expected.map(|_| generator.next_bits()), expected);
    }

    #[test]
    fn numbers_stay_within_their_bounds_and_reach_both_ends_of_a_small_range() {
        let mut generator = SplitMix64::new(7);
        let mut seen = [0_u32; 3];
        for _ in 0..300 {
            let float = generator.next_float(-2.0, 3.0);
            assert!((-2.0..3.0).contains(&float), "{float}");
            let integer = generator.next_integer(-1, 1);
            seen[usize::try_from(integer + 1).unwrap()] += 1;
        }
        assert!(seen.iter().all(|count| *count > 60), "{seen:?}");
    }

    #[test]
    fn the_widest_ranges_do_not_overflow() {
        let mut generator = SplitMix64::new(0);
        let first = SplitMix64::new(0).next_bits();
        assert_eq!(generator.next_integer(0, u64::MAX.into()), i128::from(first));
        let (low, high) = (i64::MIN.into(), i64::MAX.into());
        assert!((low..=high).contains(&generator.next_integer(low, high)));
        assert_eq!(generator.next_integer(5, 5), 5);
    }
}

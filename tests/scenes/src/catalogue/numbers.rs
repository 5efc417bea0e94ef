//! Numbers without a pattern, the same ones every time.

/// A sequence that its seed determines (SplitMix64).
#[derive(Debug, Clone)]
pub(super) struct Numbers {
    state: u64,
}

impl Numbers {
    /// The sequence of a seed.
    pub(super) fn seeded(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A whole number from 0 to below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A number from -1 to below 1.
    pub(super) fn unit(&mut self) -> f32 {
        // CAST: 24 bits, exact in f32.
        (self.next() >> 40) as f32 / 8_388_608.0 - 1.0
    }

    /// The numbers from 0 to below `count` in some order.
    pub(super) fn shuffled(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, self.below(last as u64 + 1) as usize);
        }
        order
    }
}

//! The two 16-bit floating-point formats, IEEE binary16 and bfloat16, as newtypes over their bits.
//!
//! Case data is written, read and compared in these formats, and std has no stable `f16`; the two
//! conversions are small enough to own. Both directions go through `f32`, which holds every value
//! of either format exactly.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// An IEEE binary16 number: 1 sign, 5 exponent and 10 fraction bits.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, PartialEq)]
#[repr(transparent)]
pub struct Float16(u16);

/// A bfloat16 number: the upper half of an `f32`.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, PartialEq)]
#[repr(transparent)]
pub struct BFloat16(u16);

/// Quiet NaN bit of an `f32` fraction.
const F32_QUIET: u32 = 0x0040_0000;

impl Float16 {
    /// Takes the number with these bits.
    #[must_use]
    pub fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Returns the bits.
    #[must_use]
    pub fn to_bits(self) -> u16 {
        self.0
    }

    /// Rounds to the nearest number, ties to even; too large becomes infinity.
    #[must_use]
    pub fn from_f32(value: f32) -> Self {
        let bits = value.to_bits();
        let sign = upper_half(bits) & 0x8000;
        let magnitude = bits & 0x7FFF_FFFF;
        if magnitude > 0x7F80_0000 {
            let payload = low_half((magnitude >> 13) & 0x03FF);
            return Self(sign | 0x7E00 | payload);
        }
        // 65520 is the midpoint between the largest finite number and the next step.
        if magnitude >= 0x477F_F000 {
            return Self(sign | 0x7C00);
        }
        let exponent = magnitude >> 23;
        if exponent >= 113 {
            // Normal: rebias from 127 to 15; a carry out of the fraction raises the exponent.
            return Self(sign | low_half(round_shift(magnitude - (112 << 23), 13)));
        }
        // Subnormal steps are 2^-24; below half of one everything rounds to zero.
        if exponent < 102 {
            return Self(sign);
        }
        let significand = (magnitude & 0x007F_FFFF) | 0x0080_0000;
        Self(sign | low_half(round_shift(significand, 126 - exponent)))
    }

    /// Returns the same number as `f32`, exactly.
    #[must_use]
    pub fn to_f32(self) -> f32 {
        let sign = u32::from(self.0 & 0x8000) << 16;
        let exponent = u32::from(self.0 >> 10) & 0x1F;
        let fraction = u32::from(self.0) & 0x03FF;
        match exponent {
            // A product of a 10-bit integer and a power of two is exact.
            0 => {
                let step = f32::from_bits((127 - 24) << 23);
                let magnitude = f32::from(self.0 & 0x03FF) * step;
                f32::from_bits(magnitude.to_bits() | sign)
            }
            0x1F => f32::from_bits(sign | 0x7F80_0000 | (fraction << 13)),
            _ => f32::from_bits(sign | ((exponent + 112) << 23) | (fraction << 13)),
        }
    }
}

impl BFloat16 {
    /// Takes the number with these bits.
    #[must_use]
    pub fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Returns the bits.
    #[must_use]
    pub fn to_bits(self) -> u16 {
        self.0
    }

    /// Rounds to the nearest number, ties to even; a NaN stays a NaN.
    #[must_use]
    pub fn from_f32(value: f32) -> Self {
        let bits = value.to_bits();
        if value.is_nan() {
            return Self(upper_half(bits | F32_QUIET));
        }
        Self(low_half(round_shift(bits, 16)))
    }

    /// Returns the same number as `f32`, exactly.
    #[must_use]
    pub fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}

/// Divides by `2^shift`, rounding to nearest, ties to even; `shift` is 1..=31.
fn round_shift(value: u32, shift: u32) -> u32 {
    let kept = value >> shift;
    let rest = value & ((1 << shift) - 1);
    let half = 1 << (shift - 1);
    kept + u32::from(rest > half || (rest == half && kept & 1 == 1))
}

/// The upper 16 bits.
fn upper_half(bits: u32) -> u16 {
    low_half(bits >> 16)
}

/// The lower 16 bits.
fn low_half(bits: u32) -> u16 {
    (bits & 0xFFFF) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of the binary16 standard, computed by hand: bits and number.
    const BINARY16: [(u16, f32); 12] = [
        (0x0000, 0.0),
        (0x0001, 5.960_464_5e-8),
        (0x03FF, 6.097_555e-5),
        (0x0400, 6.103_515_6e-5),
        (0x3555, 0.333_251_95),
        (0x3BFF, 0.999_511_7),
        (0x3C00, 1.0),
        (0x3C01, 1.000_976_6),
        (0xC000, -2.0),
        (0x7BFF, 65504.0),
        (0x7C00, f32::INFINITY),
        (0xFC00, f32::NEG_INFINITY),
    ];

    #[test]
    fn converts_known_binary16_values_both_ways() {
        for (bits, number) in BINARY16 {
            assert_eq!(Float16::from_bits(bits).to_f32(), number, "{bits:#06x}");
            assert_eq!(Float16::from_f32(number).to_bits(), bits, "{number:e}");
        }
    }

    #[test]
    fn every_16_bit_pattern_survives_the_trip_through_f32() {
        for bits in 0..=u16::MAX {
            let half = Float16::from_bits(bits);
            if half.to_f32().is_nan() {
                assert!(Float16::from_f32(half.to_f32()).to_f32().is_nan(), "{bits:#06x}");
            } else {
                assert_eq!(Float16::from_f32(half.to_f32()), half, "{bits:#06x}");
            }
            let brain = BFloat16::from_bits(bits);
            if brain.to_f32().is_nan() {
                assert!(BFloat16::from_f32(brain.to_f32()).to_f32().is_nan(), "{bits:#06x}");
            } else {
                assert_eq!(BFloat16::from_f32(brain.to_f32()), brain, "{bits:#06x}");
            }
        }
    }

    #[test]
    fn binary16_rounds_ties_to_even() {
        let step = 2f32.powi(-10);
        let check = |value: f32, bits: u16| assert_eq!(Float16::from_f32(value).to_bits(), bits);
        check(1.0 + step / 2.0, 0x3C00);
        check(1.0 + step * 1.5, 0x3C02);
        check(65519.0, 0x7BFF);
        check(65520.0, 0x7C00);
        check(2f32.powi(-25), 0x0000);
        check(2f32.powi(-25) * 1.5, 0x0001);
        check(-2f32.powi(-26), 0x8000);
    }

    #[test]
    fn bfloat16_rounds_ties_to_even() {
        let check = |bits: u32, rounded: u16| {
            assert_eq!(BFloat16::from_f32(f32::from_bits(bits)).to_bits(), rounded);
        };
        check(0x3F80_8000, 0x3F80);
        check(0x3F81_8000, 0x3F82);
        check(0x3F80_8001, 0x3F81);
        check(0x7F7F_FFFF, 0x7F80);
    }
}

//! Conversion of C's `long double` to `f64`.
//!
//! Rust has no type for either of its formats, so the bits are taken apart here: x87 extended on
//! x86-64, IEEE binary128 on AArch64. Both come down to a 64-bit mantissa and an exponent, from
//! which [`compose`] builds the nearest `f64`. (Results below the normal range may be off by one
//! unit in the last place: they are rounded twice.)

/// Bias of the 15-bit exponent that both formats share.
const BIAS: i32 = 16383;
/// The exponent field of infinities and NaNs.
const SPECIAL: u16 = 0x7fff;

/// Value of the ten bytes of an x87 extended number.
pub(super) fn from_x87(bytes: [u8; 10]) -> f64 {
    let [a, b, c, d, e, f, g, h, low, high] = bytes;
    let mantissa = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let head = u16::from_le_bytes([low, high]);
    // The format stores the leading one, which is not part of the fraction.
    compose(head, mantissa, mantissa << 1 != 0)
}

/// Value of the bits of an IEEE binary128 number.
pub(super) fn from_binary128(bits: u128) -> f64 {
    let head = (bits >> 112) as u16;
    let fraction = bits << 16;
    // A bit that gets lost still decides ties.
    let sticky = u64::from(fraction << 63 != 0);
    let leading_one = if head & SPECIAL == 0 { 0 } else { 1 << 63 };
    compose(head, leading_one | (fraction >> 65) as u64 | sticky, fraction != 0)
}

/// The number whose sign and biased exponent are `head`, and whose mantissa has its unit in the
/// top bit of `mantissa`.
fn compose(head: u16, mantissa: u64, has_fraction: bool) -> f64 {
    let biased = head & SPECIAL;
    let magnitude = if biased == SPECIAL {
        if has_fraction { f64::NAN } else { f64::INFINITY }
    } else {
        scaled(mantissa as f64, i32::from(biased) - BIAS - 63)
    };
    if head >> 15 == 1 { -magnitude } else { magnitude }
}

/// `mantissa` × 2^`exponent`, for a mantissa below 2^65.
fn scaled(mantissa: f64, exponent: i32) -> f64 {
    match exponent {
        ..-1200 => 0.0,
        // Two steps, because either alone may leave the range of one power of two.
        -1200..=1023 => {
            mantissa * power_of_two(exponent / 2) * power_of_two(exponent - exponent / 2)
        }
        1024.. if mantissa == 0.0 => 0.0,
        1024.. => f64::INFINITY,
    }
}

/// 2^`exponent`, for an exponent within ±1022.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(u64::from((exponent + 1023).cast_unsigned()) << 52)
}

#[cfg(test)]
mod tests {
    use super::{from_binary128, from_x87};

    fn x87(head: u16, mantissa: u64) -> f64 {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&mantissa.to_le_bytes());
        bytes[8..].copy_from_slice(&head.to_le_bytes());
        from_x87(bytes)
    }

    #[test]
    fn converts_x87_numbers_of_every_kind() {
        assert_eq!(x87(0, 0).to_bits(), 0);
        assert_eq!(x87(0x8000, 0).to_bits(), (-0.0_f64).to_bits());
        assert_eq!(x87(0x3fff, 1 << 63), 1.0);
        assert_eq!(x87(0xc000, 0xc000_0000_0000_0000), -3.0);
        assert_eq!(x87(0x3ffb, 0xcccc_cccc_cccc_cccd), 0.1);
        assert_eq!(x87(0x43fe, 0xffff_ffff_ffff_f800), f64::MAX);
        assert_eq!(x87(0x3c01, 1 << 63), f64::MIN_POSITIVE);
        assert_eq!(x87(0x3bcd, 1 << 63), f64::from_bits(1));
        assert_eq!(x87(0x7ffe, u64::MAX), f64::INFINITY);
        assert_eq!(x87(0x0001, 1 << 63), 0.0);
        assert_eq!(x87(0xffff, 1 << 63), f64::NEG_INFINITY);
        assert!(x87(0x7fff, 3 << 62).is_nan());
    }

    #[test]
    fn converts_binary128_numbers_of_every_kind() {
        let number = |head: u16, fraction: u128| from_binary128(u128::from(head) << 112 | fraction);
        assert_eq!(number(0x8000, 0).to_bits(), (-0.0_f64).to_bits());
        assert_eq!(number(0, 1), 0.0);
        assert_eq!(number(0x3fff, 0), 1.0);
        assert_eq!(number(0xc000, 1 << 111), -3.0);
        assert_eq!(number(0x3ffb, 0x9999_9999_9999_9999_9999_9999_999a), 0.1);
        // Half a unit of an f64 rounds to even, a trace more rounds up.
        assert_eq!(number(0x3fff, 1 << 59), 1.0);
        assert_eq!(number(0x3fff, 1 << 59 | 1), 1.0 + f64::EPSILON);
        assert_eq!(number(0x7ffe, 0), f64::INFINITY);
        assert_eq!(number(0x7fff, 0), f64::INFINITY);
        assert!(number(0x7fff, 1).is_nan());
    }
}

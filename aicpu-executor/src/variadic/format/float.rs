//! Floating-point conversions `f F e E g G a A`.
//!
//! Apart from the rest because digits come from `core::fmt`, which rounds correctly at every
//! precision but writes them in Rust's form; this file asks it for the digits and dresses them as
//! C does. No digit of an `f64` after the 1074th of its fraction can be other than zero, so larger
//! precisions add counted zeros ([`Field::trailing_zeros`]) instead of work.

use super::field::{Field, sign};
use super::spec::Spec;
use crate::variadic::message::Output;
use core::fmt::Write;
use heapless::String;

/// Digits after the point that can differ from zero (those of the smallest `f64`).
const MAX_FRACTION: usize = 1074;
/// Room for the largest number with all those digits: 309 before the point, and the point.
type Digits = String<1400>;
/// Room for `e` or `p`, sign and digits of an exponent.
type Exponent = String<8>;

/// Writes `value` as the floating-point conversion of `spec` says.
pub(super) fn write(output: &mut Output<'_>, spec: &Spec, value: f64) {
    let mut prefix = String::<4>::new();
    append(&mut prefix, format_args!("{}", sign(value.is_sign_negative(), spec)));
    let upper = spec.conversion.is_ascii_uppercase();
    if !value.is_finite() {
        let body: &[u8] = match (value.is_nan(), upper) {
            (true, false) => b"nan",
            (true, true) => b"NAN",
            (false, false) => b"inf",
            (false, true) => b"INF",
        };
        return Field { prefix: prefix.as_bytes(), body, ..Field::default() }.write(output, spec);
    }
    let value = value.abs();
    let mut number = match spec.conversion.to_ascii_lowercase() {
        b'e' => Number::scientific(value, spec.precision.unwrap_or(6)),
        b'g' => Number::general(value, spec.precision.unwrap_or(6), spec.alternate),
        b'a' => {
            append(&mut prefix, format_args!("0x"));
            Number::hexadecimal(value, spec.precision)
        }
        _ => Number::fixed(value, spec.precision.unwrap_or(6)),
    };
    if spec.alternate && !number.digits.contains('.') {
        append(&mut number.digits, format_args!("."));
    }
    if upper {
        prefix.make_ascii_uppercase();
        number.digits.make_ascii_uppercase();
        number.exponent.make_ascii_uppercase();
    }
    Field {
        prefix: prefix.as_bytes(),
        leading_zeros: 0,
        body: number.digits.as_bytes(),
        trailing_zeros: number.zeros,
        suffix: number.exponent.as_bytes(),
        zero_fill: spec.zero,
    }
    .write(output, spec);
}

/// A formatted number: digits with their point, more zeros, exponent.
#[derive(Debug, Default)]
struct Number {
    digits: Digits,
    zeros: usize,
    exponent: Exponent,
}

impl Number {
    /// `%f`: `precision` digits after the point.
    fn fixed(value: f64, precision: usize) -> Self {
        let shown = precision.min(MAX_FRACTION);
        let mut number = Number { zeros: precision - shown, ..Number::default() };
        append(&mut number.digits, format_args!("{value:.shown$}"));
        number
    }

    /// `%e`: one digit before the point and `precision` after it.
    fn scientific(value: f64, precision: usize) -> Self {
        let shown = precision.min(MAX_FRACTION);
        let (digits, exponent) = decimal_digits(value, shown);
        let mut number = Number { digits, zeros: precision - shown, ..Number::default() };
        let sign = if exponent < 0 { '-' } else { '+' };
        append(&mut number.exponent, format_args!("e{sign}{:02}", exponent.unsigned_abs()));
        number
    }

    /// `%g`: `precision` significant digits (at least one) in the shorter of the two styles,
    /// without zeros at the end unless `keep_zeros` (the `#` flag).
    fn general(value: f64, precision: usize, keep_zeros: bool) -> Self {
        let after_first = precision.saturating_sub(1);
        // The style depends on the exponent after rounding.
        let (_, exponent) = decimal_digits(value, after_first.min(MAX_FRACTION));
        let after_point =
            i64::try_from(after_first).unwrap_or(i64::MAX).saturating_sub(i64::from(exponent));
        let mut number = match usize::try_from(after_point) {
            Ok(after_point) if exponent >= -4 => Number::fixed(value, after_point),
            _ => Number::scientific(value, after_first),
        };
        if !keep_zeros {
            number.trim_zeros();
        }
        number
    }

    /// `%a`: the bits as one hexadecimal digit, `precision` more (as many as it takes if `None`)
    /// and a binary exponent.
    fn hexadecimal(value: f64, precision: Option<usize>) -> Self {
        /// Hexadecimal digits of the fraction of an `f64`.
        const FRACTION: usize = 13;
        let bits = value.to_bits();
        let (biased, fraction) = (bits >> 52 & 0x7ff, bits & ((1 << 52) - 1));
        let (mantissa, exponent) = match (biased, fraction) {
            (0, 0) => (0, 0),
            (0, _) => (fraction, -1022),
            _ => (1 << 52 | fraction, biased.cast_signed() - 1023),
        };
        let shown = precision.unwrap_or(FRACTION).min(FRACTION);
        let rounded = rounded_shift(mantissa, 4 * (FRACTION - shown));
        let mut number = Number::default();
        append(&mut number.digits, format_args!("{:x}", rounded >> (4 * shown)));
        if shown > 0 {
            let after_point = rounded & ((1 << (4 * shown)) - 1);
            append(&mut number.digits, format_args!(".{after_point:0shown$x}"));
        }
        match precision {
            Some(precision) => number.zeros = precision - shown,
            None => number.trim_zeros(),
        }
        append(&mut number.exponent, format_args!("p{exponent:+}"));
        number
    }

    /// Removes zeros at the end of the fraction, and the point if nothing is left of it.
    fn trim_zeros(&mut self) {
        self.zeros = 0;
        if self.digits.contains('.') {
            let kept = self.digits.trim_end_matches('0').trim_end_matches('.').len();
            self.digits.truncate(kept);
        }
    }
}

/// The digits of `value` as `d.ddd` with `precision` digits after the point, and the exponent.
fn decimal_digits(value: f64, precision: usize) -> (Digits, i32) {
    let mut digits = Digits::new();
    append(&mut digits, format_args!("{value:.precision$e}"));
    let exponent = digits.split_once('e').map_or("", |(_, exponent)| exponent);
    // `core` has just written this number, it parses.
    let parsed = exponent.parse().unwrap_or(0);
    let kept = digits.len().saturating_sub(exponent.len() + 1);
    digits.truncate(kept);
    (digits, parsed)
}

/// `value` without its low `bits` bits (at most 52), rounded to nearest, ties to even.
const fn rounded_shift(value: u64, bits: usize) -> u64 {
    let floor = value >> bits;
    let lost = value - (floor << bits);
    let twice = lost << 1;
    let unit = 1 << bits;
    if twice > unit || (twice == unit && floor & 1 == 1) { floor + 1 } else { floor }
}

/// Appends text that is known to fit: the capacities are those of the longest numbers.
fn append<const N: usize>(text: &mut String<N>, part: core::fmt::Arguments<'_>) {
    // Should a capacity be wrong after all, digits are missing from a log line; no reason to stop.
    let _ = text.write_fmt(part);
}

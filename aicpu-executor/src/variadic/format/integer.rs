//! Integer conversions `d i u o x X p`.
//!
//! Apart from the rest because C's rules for precision, `#` and zero of integers differ from
//! those of floating-point numbers.

use super::field::{Field, sign};
use super::spec::Spec;
use crate::variadic::message::Output;

/// Digits of the longest number: 2^64 − 1 in octal.
const MAX_DIGITS: usize = 22;

/// `%d`, `%i`.
pub(super) fn write_signed(output: &mut Output<'_>, spec: &Spec, value: i64) {
    write(output, spec, sign(value < 0, spec), value.unsigned_abs(), Radix::Decimal);
}

/// `%u`, `%o`, `%x`, `%X`.
pub(super) fn write_unsigned(output: &mut Output<'_>, spec: &Spec, value: u64) {
    let (prefix, radix) = match spec.conversion {
        b'o' => ("", Radix::Octal),
        b'x' if spec.alternate && value != 0 => ("0x", Radix::LowerHex),
        b'X' if spec.alternate && value != 0 => ("0X", Radix::UpperHex),
        b'x' => ("", Radix::LowerHex),
        b'X' => ("", Radix::UpperHex),
        _ => ("", Radix::Decimal),
    };
    write(output, spec, prefix, value, radix);
}

/// `%p`, as glibc prints it.
pub(super) fn write_pointer(output: &mut Output<'_>, spec: &Spec, value: u64) {
    if value == 0 {
        Field { body: b"(nil)", ..Field::default() }.write(output, spec);
    } else {
        write(output, spec, "0x", value, Radix::LowerHex);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Radix {
    Octal,
    Decimal,
    LowerHex,
    UpperHex,
}

impl Radix {
    const fn base(self) -> u64 {
        match self {
            Radix::Octal => 8,
            Radix::Decimal => 10,
            Radix::LowerHex | Radix::UpperHex => 16,
        }
    }

    const fn digit(self, value: u64) -> u8 {
        let ten = if matches!(self, Radix::UpperHex) { b'A' } else { b'a' };
        match value as u8 {
            digit @ 0..=9 => b'0' + digit,
            digit => (ten - 10).wrapping_add(digit),
        }
    }
}

fn write(output: &mut Output<'_>, spec: &Spec, prefix: &str, value: u64, radix: Radix) {
    let mut digits = [0; MAX_DIGITS];
    let mut count = 0;
    let mut rest = value;
    for slot in digits.iter_mut().rev() {
        if rest == 0 {
            break;
        }
        *slot = radix.digit(rest % radix.base());
        rest /= radix.base();
        count += 1;
    }
    let (_, body) = digits.split_at(MAX_DIGITS - count);
    // Zero has no digits of its own: the precision, by default 1, brings them.
    let mut leading_zeros = spec.precision.unwrap_or(1).saturating_sub(count);
    if radix == Radix::Octal && spec.alternate {
        leading_zeros = leading_zeros.max(1);
    }
    Field {
        prefix: prefix.as_bytes(),
        leading_zeros,
        body,
        zero_fill: spec.zero && spec.precision.is_none(),
        ..Field::default()
    }
    .write(output, spec);
}

//! Layout of one converted value: padding, sign, zeros and digits.
//!
//! Apart from the conversions because all of them share it, and because huge widths and
//! precisions end here: runs of blanks and zeros are numbers until they meet the bounded output.

use super::spec::Spec;
use crate::variadic::message::Output;

/// The parts of a field, in the order in which they are printed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Field<'a> {
    /// Sign and `0x`; zeros that fill the width come after it.
    pub(super) prefix: &'a [u8],
    /// Zeros that an integer's precision asks for.
    pub(super) leading_zeros: usize,
    /// Digits or text.
    pub(super) body: &'a [u8],
    /// Zeros of a number's fraction past the digits that can differ from zero.
    pub(super) trailing_zeros: usize,
    /// Exponent.
    pub(super) suffix: &'a [u8],
    /// Whether the width is filled with zeros instead of blanks.
    pub(super) zero_fill: bool,
}

impl Field<'_> {
    /// Writes the field padded to the width of `spec`.
    pub(super) fn write(self, output: &mut Output<'_>, spec: &Spec) {
        let len = self
            .prefix
            .len()
            .saturating_add(self.leading_zeros)
            .saturating_add(self.body.len())
            .saturating_add(self.trailing_zeros)
            .saturating_add(self.suffix.len());
        let fill = spec.width.saturating_sub(len);
        let (before, zeros, after) = match (spec.left, self.zero_fill) {
            (true, _) => (0, 0, fill),
            (false, true) => (0, fill, 0),
            (false, false) => (fill, 0, 0),
        };
        output.pad(b' ', before);
        output.push(self.prefix);
        output.pad(b'0', zeros);
        output.pad(b'0', self.leading_zeros);
        output.push(self.body);
        output.pad(b'0', self.trailing_zeros);
        output.push(self.suffix);
        output.pad(b' ', after);
    }
}

/// The sign that a signed conversion prints before its digits.
pub(super) const fn sign(negative: bool, spec: &Spec) -> &'static str {
    match (negative, spec.plus, spec.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    }
}

//! One conversion specification of a format, from `%` to the conversion letter.
//!
//! Apart from the conversions because reading it is the only place where the format itself is
//! hostile input: digits without end, `*` without an argument, a string that stops in the middle.

use crate::variadic::source::ArgumentSource;

/// What `int`s of the C side can say; larger widths and precisions are cut to it.
const MAX_COUNT: usize = i32::MAX as usize;

/// Length modifier: how much of an argument's slot is the argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// None: `int`, `double`, `char *`.
    Int,
    /// `hh`
    Char,
    /// `h`
    Short,
    /// `l`, `ll`, `z`, `j`, `t`: all are 64 bits wide on the machines this runs on.
    Long,
    /// `L`: `long double`; of an integer, glibc takes it as `ll`.
    LongDouble,
}

impl Length {
    /// The signed argument in `slot`.
    pub(super) const fn signed(self, slot: u64) -> i64 {
        // Truncation is the point: the upper part of a slot is undefined.
        match self {
            Length::Char => slot as i8 as i64,
            Length::Short => slot as i16 as i64,
            Length::Int => slot as i32 as i64,
            Length::Long | Length::LongDouble => slot.cast_signed(),
        }
    }

    /// The unsigned argument in `slot`.
    pub(super) const fn unsigned(self, slot: u64) -> u64 {
        match self {
            Length::Char => slot as u8 as u64,
            Length::Short => slot as u16 as u64,
            Length::Int => slot as u32 as u64,
            Length::Long | Length::LongDouble => slot,
        }
    }
}

/// A parsed conversion specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spec {
    /// `-`: pad at the right.
    pub(super) left: bool,
    /// `+`: sign of positive numbers.
    pub(super) plus: bool,
    /// ` `: a blank where `+` would put a sign.
    pub(super) space: bool,
    /// `#`: alternate form.
    pub(super) alternate: bool,
    /// `0`: pad numbers with zeros.
    pub(super) zero: bool,
    /// Smallest width of the field in bytes.
    pub(super) width: usize,
    /// Digits or string bytes, if given.
    pub(super) precision: Option<usize>,
    pub(super) length: Length,
    /// The conversion letter, not yet checked.
    pub(super) conversion: u8,
}

impl Spec {
    /// Reads the specification at the start of `text` (which begins with `%`) and its length.
    /// `None` if the text ends before a conversion letter or a `*` has no argument.
    pub(super) fn parse(text: &[u8], arguments: &mut dyn ArgumentSource) -> Option<(Self, usize)> {
        let mut spec = Spec {
            left: false,
            plus: false,
            space: false,
            alternate: false,
            zero: false,
            width: 0,
            precision: None,
            length: Length::Int,
            conversion: 0,
        };
        let mut rest = text.get(1..)?;
        rest = spec.parse_flags(rest);
        rest = spec.parse_width(rest, arguments)?;
        if let [b'.', digits @ ..] = rest {
            rest = spec.parse_precision(digits, arguments)?;
        }
        (spec.length, rest) = parse_length(rest);
        let [conversion, rest @ ..] = rest else { return None };
        spec.conversion = *conversion;
        Some((spec, text.len().checked_sub(rest.len())?))
    }

    fn parse_flags<'t>(&mut self, mut text: &'t [u8]) -> &'t [u8] {
        while let [flag, rest @ ..] = text {
            match flag {
                b'-' => self.left = true,
                b'+' => self.plus = true,
                b' ' => self.space = true,
                b'#' => self.alternate = true,
                b'0' => self.zero = true,
                _ => break,
            }
            text = rest;
        }
        text
    }

    fn parse_width<'t>(
        &mut self,
        text: &'t [u8],
        arguments: &mut dyn ArgumentSource,
    ) -> Option<&'t [u8]> {
        let [b'*', rest @ ..] = text else {
            let (width, rest) = parse_count(text);
            self.width = width;
            return Some(rest);
        };
        let width = Length::Int.signed(arguments.next_u64()?);
        self.left |= width < 0;
        self.width = usize::try_from(width.unsigned_abs()).unwrap_or(MAX_COUNT).min(MAX_COUNT);
        Some(rest)
    }

    fn parse_precision<'t>(
        &mut self,
        text: &'t [u8],
        arguments: &mut dyn ArgumentSource,
    ) -> Option<&'t [u8]> {
        let [b'*', rest @ ..] = text else {
            let (precision, rest) = parse_count(text);
            self.precision = Some(precision);
            return Some(rest);
        };
        // A negative precision counts as none.
        self.precision = usize::try_from(Length::Int.signed(arguments.next_u64()?)).ok();
        Some(rest)
    }
}

/// The decimal number at the start of `text` (0 without digits) and what follows it.
fn parse_count(mut text: &[u8]) -> (usize, &[u8]) {
    let mut count: usize = 0;
    while let [digit @ b'0'..=b'9', rest @ ..] = text {
        count = count.saturating_mul(10).saturating_add(usize::from(digit - b'0')).min(MAX_COUNT);
        text = rest;
    }
    (count, text)
}

/// The length modifier at the start of `text` and what follows it.
const fn parse_length(text: &[u8]) -> (Length, &[u8]) {
    match text {
        [b'h', b'h', rest @ ..] => (Length::Char, rest),
        [b'h', rest @ ..] => (Length::Short, rest),
        [b'l', b'l', rest @ ..] | [b'l' | b'z' | b'j' | b't', rest @ ..] => (Length::Long, rest),
        [b'L', rest @ ..] => (Length::LongDouble, rest),
        _ => (Length::Int, text),
    }
}

//! Checks the records of `.eh_frame`, so that a run time of C++ may be given them.
//!
//! Such a run time reads the tables of *all* registered images as soon as one exception is thrown
//! anywhere in the process, and trusts every word: a length that leads astray, or an encoding it
//! does not know, ends the process. So a table counts as registrable only if each record can be
//! read inside the table, and each function it speaks of is code of this image.
//!
//! ```text
//!  length  0: CIE  version  "zPLR"  factors  encodings …        how the FDEs of it are written
//!  length  delta to a CIE: FDE  first instruction  bytes  …     one function
//!  0                                                            end mark
//! ```
//!
//! What instructions for unwinding do is not looked at: they run only when an exception passes
//! through the function they belong to, and are trusted as that function is.
//!
//! Sources: Linux Standard Base Core 5.0, §10.6 ("Exception Frames"); DWARF 5, §6.4.1.

use core::ops::Range;

use zerocopy::FromBytes;
use zerocopy::little_endian::{I32, U32};

use super::eh_frame::{PC_RELATIVE, read_value};
use super::segment::Segments;

/// Bytes of the length in front of a record, and of the word behind it.
const WORD_BYTES: usize = size_of::<U32>();

/// `DW_EH_PE_sdata4`.
const SIGNED_4: u8 = 0x0b;

/// `DW_EH_PE_aligned`: aligned as an address, wherever that is.
const ALIGNED: u8 = 0x50;

/// Letters that an augmentation may have; compilers write up to five.
const MAX_LETTERS: usize = 8;

/// Bytes of a number of 64 bits in LEB128.
const MAX_LEB128_BYTES: usize = 10;

/// Returns the bytes of the table at the start of `frame` with its end mark, if the table may be
/// registered.
///
/// `frame` reaches to the end of its segment, which nothing may change after it was checked, and
/// begins at `vaddr`.
pub(super) fn registrable_bytes(frame: &[u8], vaddr: u64, segments: &Segments<'_>) -> Option<u64> {
    if segments.is_writable(vaddr, 0) {
        return None;
    }
    let mut at = 0;
    // The CIE of the FDE before, and the code that its function was in: nearly always those of the
    // next one as well.
    let mut known: Option<(usize, u8)> = None;
    let mut code = 0..0;
    let mut has_functions = false;
    loop {
        let record = record(frame, at)?;
        if record.is_empty() {
            // A run time that sorts tables by the addresses they speak of has no place for one that
            // speaks of none, and ends the process when it is to give it back.
            return has_functions.then_some((at + WORD_BYTES) as u64);
        }
        let (delta, body) = U32::ref_from_prefix(record).ok()?;
        // A CIE is looked at when an FDE refers to it, as the run time does.
        if delta.get() != 0 {
            let cie_at = (at + WORD_BYTES).checked_sub(delta.get() as usize)?;
            let format = match known {
                Some((known_at, format)) if known_at == cie_at => format,
                _ => pointer_format(self::record(frame, cie_at)?)?,
            };
            known = Some((cie_at, format));
            let (start, bytes) = function(body, format)?;
            // An address of 0 is a function that the linker left out. One without bytes counts: the
            // run time takes the lowest and the highest address of a table for the place of its
            // image, and two images must not have the same.
            if start != 0 {
                let start = vaddr.wrapping_add((at + 2 * WORD_BYTES) as u64).wrapping_add(start);
                let end = start.checked_add(bytes)?;
                if start < code.start || end > code.end {
                    code = code_of(segments, start, bytes)?;
                }
                has_functions |= bytes != 0;
            }
        }
        at += WORD_BYTES + record.len();
    }
}

/// Returns the code of the segment that a function is in; one without bytes may be at its end.
fn code_of(segments: &Segments<'_>, start: u64, bytes: u64) -> Option<Range<u64>> {
    let at_end = || segments.code_around(start.checked_sub(1).filter(|_| bytes == 0)?, 1);
    segments.code_around(start, bytes).or_else(at_end)
}

/// Returns the record at `at` without its length; empty at the end mark.
fn record(frame: &[u8], at: usize) -> Option<&[u8]> {
    let (length, rest) = U32::ref_from_prefix(frame.get(at..)?).ok()?;
    // The largest length stands for the 64-bit form, which libgcc does not know.
    rest.get(..usize::try_from(length.get()).ok().filter(|_| length.get() != u32::MAX)?)
}

/// Reads the first instruction of the function of an FDE, relative to where that is written, and
/// the bytes of the function.
fn function(body: &[u8], format: u8) -> Option<(u64, u64)> {
    if format == SIGNED_4 {
        // The same as below, at once: every compiler writes it.
        let (words, _) = <[I32; 2]>::ref_from_prefix(body).ok()?;
        let [start, bytes] = words.map(|word| i64::from(word.get()).cast_unsigned());
        return Some((start, bytes));
    }
    let start = read_value(body, format)?;
    let bytes = read_value(body.get(value_bytes(format)?..)?, format)?;
    Some((start, bytes))
}

/// Returns the format of the pointers in FDEs of a CIE, which all have to be PC-relative.
fn pointer_format(cie: &[u8]) -> Option<u8> {
    let mut rest = Bytes(cie);
    if rest.take(WORD_BYTES)? != [0; WORD_BYTES] {
        return None;
    }
    let version = rest.byte()?;
    let letters = rest.0.iter().take(MAX_LETTERS).position(|byte| *byte == 0)?;
    let letters = rest.take(letters)?;
    rest.byte()?;
    if version == 4 {
        // Bytes of an address and of a segment.
        (rest.take(2)? == [8, 0]).then_some(())?;
    }
    // Factors of code and data, and the register of the return address.
    rest.leb128()?;
    rest.leb128()?;
    match version {
        1 => drop(rest.byte()?),
        3 | 4 => rest.leb128()?,
        _ => return None,
    }
    let (b'z', letters) = letters.split_first()? else { return None };
    rest.leb128()?;
    for letter in letters {
        match letter {
            b'R' => {
                let encoding = rest.byte()?;
                let format = encoding & 0x0f;
                let is_known = encoding & 0xf0 == PC_RELATIVE && value_bytes(format).is_some();
                return is_known.then_some(format);
            }
            b'L' => drop(rest.byte()?),
            b'P' => {
                let encoding = rest.byte()?;
                // An aligned pointer has padding in front of it.
                (encoding & 0x70 != ALIGNED).then_some(())?;
                rest.take(value_bytes(encoding & 0x0f)?)?;
            }
            // Others may have bytes of their own.
            _ => return None,
        }
    }
    // Absolute addresses would have been relocated.
    None
}

/// Returns the bytes of a value in one of the fixed-size formats; see [`read_value`].
const fn value_bytes(format: u8) -> Option<usize> {
    match format {
        0x0 | 0x4 | 0xc => Some(8),
        0x2 | 0xa => Some(2),
        0x3 | 0xb => Some(4),
        _ => None,
    }
}

/// What is left of a record.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// Takes so many bytes off the front.
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// Takes one byte off the front.
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Takes a number in LEB128 off the front, whatever it is.
    fn leb128(&mut self) -> Option<()> {
        for _ in 0..MAX_LEB128_BYTES {
            if self.byte()? & 0x80 == 0 {
                return Some(());
            }
        }
        None
    }
}

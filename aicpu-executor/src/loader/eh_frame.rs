//! Locates the unwind tables of an image, so that a platform can register them.
//!
//! `PT_GNU_EH_FRAME` gives the header (a binary search table over `.eh_frame`); the pointer in it
//! gives `.eh_frame` itself, which is what `__register_frame` of libgcc wants. The records are not
//! interpreted here, only their lengths, because a registered table must end with a zero length.
//!
//! Source: Linux Standard Base Core 5.0, §10.6 ("Exception Frames").

use zerocopy::FromBytes;
use zerocopy::little_endian::{I16, I32, I64, U16, U32, U64};

use super::elf::ProgramHeader;
use super::error::PlanError;
use super::segment::Segments;

/// Where the unwind tables of an image are, as linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EhFrame {
    /// Address of `.eh_frame_hdr`.
    pub header_vaddr: u64,
    /// Bytes of `.eh_frame_hdr`.
    pub header_bytes: u64,
    /// Address of `.eh_frame`.
    pub frame_vaddr: u64,
    /// Bytes of `.eh_frame` with its end mark, or `None` if no end mark was found.
    ///
    /// Only a table with an end mark may be given to `__register_frame`: the start files of GCC
    /// bring it, an image linked with `-nostartfiles` has none.
    pub frame_bytes: Option<u64>,
}

/// Bytes in front of the encoded pointer: version and three encodings.
const FIXED_BYTES: u64 = 4;

/// `DW_EH_PE_pcrel`: relative to where the pointer is stored.
const PC_RELATIVE: u8 = 0x10;
/// `DW_EH_PE_datarel`: relative to the start of the header.
const DATA_RELATIVE: u8 = 0x30;

/// Reads the header that `header` (`PT_GNU_EH_FRAME`) locates.
///
/// # Errors
///
/// It or the table it points to is not in the file bytes of a segment, or its version or encoding
/// is unknown.
pub(super) fn read(header: &ProgramHeader, segments: &Segments<'_>) -> Result<EhFrame, PlanError> {
    let (vaddr, bytes) = (header.vaddr.get(), header.memory_bytes.get());
    let bad = |field, value| PlanError::UnwindTable { vaddr, field, value };
    let table = segments.file_bytes(vaddr, bytes).ok_or(bad("size", bytes))?;
    let (&[version, encoding, _, _], rest) =
        <[u8; 4]>::ref_from_prefix(table).map_err(|_| bad("size", bytes))?;
    if version != 1 {
        return Err(bad("version", version.into()));
    }
    let unknown = bad("pointer encoding", encoding.into());
    let value = read_value(rest, encoding & 0x0f).ok_or(unknown)?;
    let base = match encoding & 0xf0 {
        0 => 0,
        PC_RELATIVE => vaddr.wrapping_add(FIXED_BYTES),
        DATA_RELATIVE => vaddr,
        _ => return Err(unknown),
    };
    let frame_vaddr = base.wrapping_add(value);
    let frame =
        segments.file_bytes_from(frame_vaddr).ok_or(bad("pointer to .eh_frame", frame_vaddr))?;
    Ok(EhFrame {
        header_vaddr: vaddr,
        header_bytes: bytes,
        frame_vaddr,
        frame_bytes: terminated_bytes(frame),
    })
}

/// Reads a value in one of the fixed-size formats (`DW_EH_PE_…`, lower half), sign extended.
fn read_value(bytes: &[u8], format: u8) -> Option<u64> {
    Some(match format {
        0x0 | 0x4 => U64::read_from_prefix(bytes).ok()?.0.get(),
        0x2 => U16::read_from_prefix(bytes).ok()?.0.get().into(),
        0x3 => U32::read_from_prefix(bytes).ok()?.0.get().into(),
        0xa => i64::from(I16::read_from_prefix(bytes).ok()?.0.get()).cast_unsigned(),
        0xb => i64::from(I32::read_from_prefix(bytes).ok()?.0.get()).cast_unsigned(),
        0xc => I64::read_from_prefix(bytes).ok()?.0.get().cast_unsigned(),
        _ => return None,
    })
}

/// Walks the records of `.eh_frame` up to its end mark and returns the bytes up to behind it.
fn terminated_bytes(frame: &[u8]) -> Option<u64> {
    let mut rest = frame;
    loop {
        let (length, behind) = U32::read_from_prefix(rest).ok()?;
        let (length, behind) = match length.get() {
            0 => return Some((frame.len() - behind.len()) as u64),
            // The 64-bit format: the true length follows.
            u32::MAX => {
                let (length, behind) = U64::read_from_prefix(behind).ok()?;
                (length.get(), behind)
            }
            length => (length.into(), behind),
        };
        rest = behind.get(usize::try_from(length).ok()?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_fixed_size_format() {
        let bytes = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        let rows = [
            (0x0, Some(0x7fff_ffff_ffff_fffe)),
            (0x2, Some(0xfffe)),
            (0x3, Some(0xffff_fffe)),
            (0x4, Some(0x7fff_ffff_ffff_fffe)),
            (0xa, Some(0_u64.wrapping_sub(2))),
            (0xb, Some(0_u64.wrapping_sub(2))),
            (0xc, Some(0x7fff_ffff_ffff_fffe)),
            // LEB128 has no fixed size; 0xf is "omitted".
            (0x1, None),
            (0x9, None),
            (0xf, None),
        ];
        for (format, expected) in rows {
            assert_eq!(read_value(&bytes, format), expected, "{format:#x}");
        }
        assert_eq!(read_value(&bytes[..3], 0x3), None);
    }

    #[test]
    fn finds_the_end_mark_behind_whole_records() {
        let record = [4, 0, 0, 0, 1, 2, 3, 4];
        let end = [0; 4];
        let long = [0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 8, 9];
        let rows: [(&[&[u8]], Option<u64>); 7] = [
            (&[&end], Some(4)),
            (&[&record, &end, &record], Some(12)),
            (&[&long, &record, &end], Some(26)),
            (&[&record], None),
            (&[&record, &end[..3]], None),
            (&[&record[..7]], None),
            // A length that reaches behind the segment, or wraps.
            (&[&[0xff; 12], &end], None),
        ];
        for (parts, expected) in rows {
            let mut bytes = [0; 64];
            let mut length = 0;
            for part in parts {
                bytes[length..length + part.len()].copy_from_slice(part);
                length += part.len();
            }
            assert_eq!(terminated_bytes(&bytes[..length]), expected, "{parts:x?}");
        }
    }
}

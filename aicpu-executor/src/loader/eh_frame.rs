//! Locates the unwind tables of an image, so that a platform can register them.
//!
//! `PT_GNU_EH_FRAME` gives the header (a binary search table over `.eh_frame`); the pointer in it
//! gives `.eh_frame` itself, which is what `__register_frame` of libgcc wants. Whether its records
//! are fit for that is decided in `unwind_records`.
//!
//! Source: Linux Standard Base Core 5.0, §10.6 ("Exception Frames").

use zerocopy::FromBytes;
use zerocopy::little_endian::{I16, I32, I64, U16, U32, U64};

use super::elf::ProgramHeader;
use super::error::PlanError;
use super::segment::Segments;
use super::unwind_records::registrable_bytes;

/// Where the unwind tables of an image are, as linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EhFrame {
    /// Address of `.eh_frame_hdr`.
    pub header_vaddr: u64,
    /// Bytes of `.eh_frame_hdr`.
    pub header_bytes: u64,
    /// Address of `.eh_frame`.
    pub frame_vaddr: u64,
    /// Bytes of `.eh_frame` with its end mark, or `None` if the table may not be registered.
    ///
    /// Only a table that speaks of functions of the image and can be read to an end mark may be
    /// given to `__register_frame`, which trusts it: the start files of GCC bring the mark, an image
    /// linked with `-nostartfiles` has none. No exception can pass through the code of an image whose table is not registered.
    pub frame_bytes: Option<u64>,
}

/// Bytes in front of the encoded pointer: version and three encodings.
const FIXED_BYTES: u64 = 4;

/// `DW_EH_PE_pcrel`: relative to where the pointer is stored.
pub(super) const PC_RELATIVE: u8 = 0x10;
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
        frame_bytes: registrable_bytes(frame, frame_vaddr, segments),
    })
}

/// Reads a value in one of the fixed-size formats (`DW_EH_PE_…`, lower half), sign extended.
pub(super) fn read_value(bytes: &[u8], format: u8) -> Option<u64> {
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
}

//! Checks the file header and yields the program headers.
//!
//! First stage of planning: everything later reads what this stage has located. No load depends on
//! section headers, so a stripped or odd section table does not matter.

use core::mem::{offset_of, size_of};

use zerocopy::FromBytes;

use super::elf::{self, FileHeader, ProgramHeader, file_range};
use super::error::PlanError;
use super::machine::Machine;

/// Program headers an image may have; linkers write about a dozen.
pub(super) const MAX_PROGRAM_HEADERS: u16 = 64;

/// Checks the file header of `image` and returns its program headers.
///
/// # Errors
///
/// The header is not that of an ELF64 little-endian shared object for `machine`, or the table of
/// program headers is not in the file.
pub(super) fn program_headers(
    image: &[u8],
    machine: Machine,
) -> Result<&[ProgramHeader], PlanError> {
    check_magic(image)?;
    let (header, _) = FileHeader::ref_from_prefix(image).map_err(|_| PlanError::OutsideFile {
        what: "file header",
        offset: 0,
        bytes: size_of::<FileHeader>() as u64,
        file_bytes: image.len(),
    })?;
    check_format(header)?;
    if header.machine.get() != machine.elf_number() {
        return Err(PlanError::WrongMachine { value: header.machine.get(), expected: machine });
    }
    if header.kind.get() != elf::ET_DYN {
        return Err(PlanError::NotSharedObject { kind: header.kind.get(), flags_1: 0 });
    }
    // After the kind: an object file has no program headers, not even of size 56.
    check_table(header)?;
    let count = header.program_count.get();
    if count == 0 || count > MAX_PROGRAM_HEADERS {
        return Err(PlanError::ProgramHeaderCount { count, limit: MAX_PROGRAM_HEADERS });
    }
    let offset = header.program_offset.get();
    let bytes = u64::from(count) * size_of::<ProgramHeader>() as u64;
    file_range(image, offset, bytes)
        .and_then(|table| <[ProgramHeader]>::ref_from_bytes(table).ok())
        .ok_or(PlanError::OutsideFile {
            what: "program header table",
            offset,
            bytes,
            file_bytes: image.len(),
        })
}

/// Checks the first bytes, as many as there are: a short text is no ELF file that was cut.
fn check_magic(image: &[u8]) -> Result<(), PlanError> {
    let mut magic = elf::ELF_MAGIC;
    for (place, &byte) in magic.iter_mut().zip(image) {
        *place = byte;
    }
    if magic == elf::ELF_MAGIC { Ok(()) } else { Err(PlanError::NotElf { magic }) }
}

/// Checks the fields that name the format; each has one supported value.
fn check_format(header: &FileHeader) -> Result<(), PlanError> {
    // Both ABI numbers mean the same format; GNU says that GNU extensions are used.
    let os_abi = match header.os_abi {
        elf::OS_ABI_GNU => elf::OS_ABI_SYSV,
        other => other,
    };
    check_fields(&[
        ("EI_CLASS", offset_of!(FileHeader, class), header.class.into(), elf::ELF_CLASS_64.into()),
        ("EI_DATA", offset_of!(FileHeader, data), header.data.into(), elf::ELF_DATA_LITTLE.into()),
        (
            "EI_VERSION",
            offset_of!(FileHeader, ident_version),
            header.ident_version.into(),
            elf::ELF_VERSION.into(),
        ),
        ("EI_OSABI", offset_of!(FileHeader, os_abi), os_abi.into(), elf::OS_ABI_SYSV.into()),
        ("EI_ABIVERSION", offset_of!(FileHeader, abi_version), header.abi_version.into(), 0),
        (
            "e_version",
            offset_of!(FileHeader, version),
            header.version.get().into(),
            elf::ELF_VERSION.into(),
        ),
        (
            "e_ehsize",
            offset_of!(FileHeader, header_bytes),
            header.header_bytes.get().into(),
            size_of::<FileHeader>() as u64,
        ),
    ])
}

/// Checks the fields that say how the table of program headers is laid out.
fn check_table(header: &FileHeader) -> Result<(), PlanError> {
    check_fields(&[
        (
            "e_phentsize",
            offset_of!(FileHeader, program_entry_bytes),
            header.program_entry_bytes.get().into(),
            size_of::<ProgramHeader>() as u64,
        ),
        (
            "e_phoff modulo 8",
            offset_of!(FileHeader, program_offset),
            header.program_offset.get() % 8,
            0,
        ),
    ])
}

/// Compares rows of name, offset, value and the one supported value.
fn check_fields(rows: &[(&'static str, usize, u64, u64)]) -> Result<(), PlanError> {
    for &(field, offset, value, expected) in rows {
        if value != expected {
            let offset = offset as u64;
            return Err(PlanError::UnsupportedField { field, offset, value, expected });
        }
    }
    Ok(())
}

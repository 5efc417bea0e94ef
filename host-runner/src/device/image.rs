//! What can be said about a shared object before anything loads it.
//!
//! Kernels are opened by the system's loader, which trusts its input: a truncated file ends the
//! process. So everything that a wrong or damaged file usually shows is looked for first, with a
//! typed error. Orchestrations go through the same check, so that both report the same way.

use aicpu_executor::loader::Machine;
use goblin::elf::Elf;
use goblin::elf::header::{EI_CLASS, EI_DATA, ELFCLASS64, ELFDATA2LSB, ELFMAG, ET_DYN};
use goblin::elf::program_header::PT_LOAD;
use goblin::elf64::program_header::SIZEOF_PHDR;
use goblin::elf64::section_header::SIZEOF_SHDR;

/// ELF number of the machine that this program runs on.
#[cfg(test)]
pub(crate) const NATIVE_MACHINE: u16 = Machine::native().elf_number();

/// Why bytes are not a shared object that can be loaded here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The first four bytes are not those of an ELF file.
    #[error("not an ELF file: it starts with {found:02x?}; pass a compiled shared object")]
    NotElf {
        /// The first bytes, at most four.
        found: Vec<u8>,
    },
    /// Not a 64-bit little-endian file.
    #[error("an ELF file for another kind of machine: class {class}, byte order {order}")]
    WrongClass {
        /// 1 is 32 bits, 2 is 64 bits.
        class: u8,
        /// 1 is little endian.
        order: u8,
    },
    /// Compiled for another processor.
    #[error(
        "compiled for another machine: ELF machine {found}, the device's is {want}; compile it with \
         a compiler for that machine"
    )]
    WrongMachine {
        /// Machine number of the file.
        found: u16,
        /// The number that is needed.
        want: u16,
    },
    /// An executable or an object file.
    #[error("ELF type {kind} is not a shared object; link it with -shared")]
    NotShared {
        /// `e_type` of the file.
        kind: u16,
    },
    /// The file ends before something that its headers name.
    #[error("truncated: {what} needs {need} bytes, the file has {have}; copy it again")]
    Truncated {
        /// What is cut off.
        what: &'static str,
        /// Bytes that the file must at least have.
        need: u64,
        /// Bytes that it has.
        have: u64,
    },
    /// The headers contradict one another.
    #[error("damaged ELF file: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// The function to call is not among its exports.
    #[error("does not export `{symbol}`; define it with C linkage and default visibility")]
    MissingSymbol {
        /// The name looked for.
        symbol: String,
    },
}

/// Checks that `image` is a whole shared object for this machine that exports `symbol`.
///
/// # Errors
///
/// The first reason why it is not.
pub fn check(image: &[u8], symbol: &str) -> Result<(), ImageError> {
    check_for(Machine::native(), image, symbol)
}

/// The same for another machine.
///
/// # Errors
///
/// As [`check`].
pub fn check_for(machine: Machine, image: &[u8], symbol: &str) -> Result<(), ImageError> {
    check_tables(machine, image)?;
    let elf = Elf::parse(image).map_err(malformed)?;
    for segment in elf.program_headers.iter().filter(|segment| segment.p_type == PT_LOAD) {
        within(image, "loadable segment", segment.p_offset, segment.p_filesz)?;
    }
    let exported = elf.dynsyms.iter().any(|each| {
        !each.is_import()
            && each.is_function()
            && elf.dynstrtab.get_at(each.st_name) == Some(symbol)
    });
    if exported { Ok(()) } else { Err(ImageError::MissingSymbol { symbol: symbol.to_owned() }) }
}

/// Checks that `image` is a shared object for a machine and holds the tables that its header names.
///
/// # Errors
///
/// The first reason why not.
pub fn check_tables(machine: Machine, image: &[u8]) -> Result<(), ImageError> {
    check_header(image)?;
    let header = Elf::parse_header(image).map_err(malformed)?;
    let want = machine.elf_number();
    if header.e_machine != want {
        return Err(ImageError::WrongMachine { found: header.e_machine, want });
    }
    if header.e_type != ET_DYN {
        return Err(ImageError::NotShared { kind: header.e_type });
    }
    let table = |count: u16, bytes: usize| u64::from(count).saturating_mul(bytes as u64);
    let programs = table(header.e_phnum, SIZEOF_PHDR);
    within(image, "program header table", header.e_phoff, programs)?;
    let sections = table(header.e_shnum, SIZEOF_SHDR);
    within(image, "section header table", header.e_shoff, sections)
}

fn malformed(error: goblin::error::Error) -> ImageError {
    ImageError::Malformed { reason: error.to_string() }
}

/// Checks what stands before the fields that depend on class and byte order: that it is an ELF file of the kind
/// that every machine here has, whatever it is a file of.
///
/// # Errors
///
/// The first reason why it is not.
pub fn check_header(image: &[u8]) -> Result<(), ImageError> {
    if !image.starts_with(ELFMAG) {
        return Err(ImageError::NotElf { found: image[..image.len().min(4)].to_vec() });
    }
    // Bytes of an ELF64 header.
    within(image, "ELF header", 0, 64)?;
    match (image[EI_CLASS], image[EI_DATA]) {
        (ELFCLASS64, ELFDATA2LSB) => Ok(()),
        (class, order) => Err(ImageError::WrongClass { class, order }),
    }
}

/// Checks that the file has `bytes` bytes at `offset`.
fn within(image: &[u8], what: &'static str, offset: u64, bytes: u64) -> Result<(), ImageError> {
    // CAST: usize is 64 bits on the supported targets.
    let have = image.len() as u64;
    match offset.checked_add(bytes) {
        Some(need) if need <= have => Ok(()),
        need => Err(ImageError::Truncated { what, need: need.unwrap_or(u64::MAX), have }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::sim::test_objects::cxx_bytes;

    const SOURCE: &str = "extern \"C\" int value = 1; extern \"C\" void kernel_entry(long *) {}";

    #[test]
    fn a_compiled_object_passes_and_every_damaged_one_is_named() {
        let image = cxx_bytes("image", SOURCE);
        assert_eq!(check(&image, "kernel_entry"), Ok(()));
        let changed = |at: usize, value: u8| {
            let mut image = image.clone();
            image[at] = value;
            check(&image, "kernel_entry").unwrap_err()
        };
        assert_eq!(changed(0, b'X'), ImageError::NotElf { found: b"XELF".to_vec() });
        assert_eq!(changed(4, 1), ImageError::WrongClass { class: 1, order: 1 });
        assert_eq!(changed(16, 2), ImageError::NotShared { kind: 2 });
        // Machine 40 is 32-bit ARM.
        let other = ImageError::WrongMachine { found: 40, want: NATIVE_MACHINE };
        assert_eq!(changed(18, 40), other);
        assert_eq!(check(b"", "kernel_entry"), Err(ImageError::NotElf { found: Vec::new() }));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let image = cxx_bytes("truncated", SOURCE);
        for length in (4..image.len()).step_by(97).chain([63, image.len() - 1]) {
            let error = check(&image[..length], "kernel_entry").unwrap_err();
            assert!(matches!(error, ImageError::Truncated { .. }), "{length}: {error}");
        }
    }

    #[test]
    fn a_symbol_must_be_an_exported_function() {
        let image = cxx_bytes("symbols", SOURCE);
        for symbol in ["kernel_entr", "kernel_entry2", "value", ""] {
            let missing = ImageError::MissingSymbol { symbol: symbol.to_owned() };
            assert_eq!(check(&image, symbol), Err(missing));
        }
    }
}

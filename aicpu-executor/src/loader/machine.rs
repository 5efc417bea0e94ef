//! The two instruction sets and the meaning of their relocation numbers.
//!
//! It is the only place where x86-64 and AArch64 differ: everything behind it works on
//! [`RelocationKind`].
//!
//! Sources: x86-64 psABI table 4.10; AAELF64 §5.7.

use core::fmt;

use zerocopy::FromBytes;

use super::elf::{self, FileHeader};

/// An instruction set an image can be built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Machine {
    /// `EM_X86_64`, 62.
    X86_64,
    /// `EM_AARCH64`, 183.
    Aarch64,
}

/// What a relocation asks for, whatever its number was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RelocationKind {
    /// Nothing.
    None,
    /// Load bias + addend.
    Relative,
    /// Address of the symbol + addend.
    SymbolPlusAddend,
    /// Address of the symbol alone.
    Symbol,
    /// Copies a variable out of another image; only executables may.
    Copy,
    /// The result of calling a resolver function inside the image.
    IndirectRelative,
    /// Anything about thread-local storage.
    ThreadLocal,
}

impl Machine {
    /// Returns the machine this code was compiled for.
    #[must_use]
    pub const fn native() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            Self::X86_64
        }
        #[cfg(target_arch = "aarch64")]
        {
            Self::Aarch64
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        {
            compile_error!("the loader knows the relocations of x86-64 and AArch64 only")
        }
    }

    /// Returns the number of this machine in `e_machine`.
    #[must_use]
    pub const fn elf_number(self) -> u16 {
        match self {
            Self::X86_64 => 62,
            Self::Aarch64 => 183,
        }
    }

    /// Returns the number of the relative relocation.
    pub(super) const fn relative_number(self) -> u32 {
        match self {
            Self::X86_64 => 8,
            Self::Aarch64 => 1027,
        }
    }

    /// Returns the machine that an ELF64 little-endian file says it is for; `None` for any other
    /// file and any other machine.
    #[must_use]
    pub fn of_file(file: &[u8]) -> Option<Self> {
        let (header, _) = FileHeader::ref_from_prefix(file).ok()?;
        let is_elf = header.magic == elf::ELF_MAGIC
            && header.class == elf::ELF_CLASS_64
            && header.data == elf::ELF_DATA_LITTLE;
        let known = [Self::X86_64, Self::Aarch64].into_iter();
        known.filter(|_| is_elf).find(|each| each.elf_number() == header.machine.get())
    }

    /// Translates a relocation number; `None` if the loader does not know it.
    #[inline]
    pub(super) const fn relocation_kind(self, number: u32) -> Option<RelocationKind> {
        Some(match (self, number) {
            (Self::X86_64, 0) | (Self::Aarch64, 0 | 256) => RelocationKind::None,
            (Self::X86_64, 1) | (Self::Aarch64, 257 | 1025 | 1026) => {
                RelocationKind::SymbolPlusAddend
            }
            // GLOB_DAT and JUMP_SLOT of x86-64 leave their addend out of account (psABI: "S").
            (Self::X86_64, 6 | 7) => RelocationKind::Symbol,
            (Self::X86_64, 8) | (Self::Aarch64, 1027) => RelocationKind::Relative,
            (Self::X86_64, 5) | (Self::Aarch64, 1024) => RelocationKind::Copy,
            (Self::X86_64, 37) | (Self::Aarch64, 1032) => RelocationKind::IndirectRelative,
            // DTPMOD64, DTPOFF64, TPOFF64, TLSDESC and the 32-bit and instruction forms of both.
            (Self::X86_64, 16..=23 | 34..=36) | (Self::Aarch64, 1028..=1031) => {
                RelocationKind::ThreadLocal
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::X86_64 => "x86-64",
            Self::Aarch64 => "AArch64",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_of_a_file_is_known_or_none() {
        let mut file = [0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        for (number, expected) in
            [(62, Some(Machine::X86_64)), (183, Some(Machine::Aarch64)), (40, None)]
        {
            file[18] = number;
            assert_eq!(Machine::of_file(&file), expected, "{number}");
            assert_eq!(Machine::of_file(&file[..63]), None);
        }
        file[18] = 62;
        file[4] = 1;
        assert_eq!(Machine::of_file(&file), None);
    }

    #[test]
    fn both_machines_have_the_same_kinds_under_their_own_numbers() {
        use RelocationKind as Kind;
        let rows = [
            (Some(0), Some(0), Some(Kind::None)),
            (Some(1), Some(257), Some(Kind::SymbolPlusAddend)),
            (Some(6), None, Some(Kind::Symbol)),
            (Some(7), None, Some(Kind::Symbol)),
            (None, Some(1025), Some(Kind::SymbolPlusAddend)),
            (None, Some(1026), Some(Kind::SymbolPlusAddend)),
            (Some(8), Some(1027), Some(Kind::Relative)),
            (Some(5), Some(1024), Some(Kind::Copy)),
            (Some(37), Some(1032), Some(Kind::IndirectRelative)),
            (Some(16), Some(1028), Some(Kind::ThreadLocal)),
            (Some(18), Some(1030), Some(Kind::ThreadLocal)),
            (Some(36), Some(1031), Some(Kind::ThreadLocal)),
            // PC-relative and 32-bit forms would patch instructions.
            (Some(2), Some(258), None),
            (Some(10), Some(1033), None),
            (Some(u32::MAX), Some(u32::MAX), None),
        ];
        for (x86_64, aarch64, expected) in rows {
            if let Some(number) = x86_64 {
                assert_eq!(Machine::X86_64.relocation_kind(number), expected, "x86-64 {number}");
            }
            if let Some(number) = aarch64 {
                assert_eq!(Machine::Aarch64.relocation_kind(number), expected, "AArch64 {number}");
            }
        }
    }
}

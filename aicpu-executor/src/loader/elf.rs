//! The ELF64 little-endian records and numbers the loader reads.
//!
//! They stand apart so that every other file names fields instead of offsets. All records are
//! unaligned views over the image bytes (zerocopy), hence they can be read at any file offset.
//!
//! Source: System V gABI chapters 4 and 5, with the GNU extensions (`DT_GNU_HASH`, RELR, RELRO).

use core::fmt;

use zerocopy::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// `Elf64_Ehdr`.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct FileHeader {
    pub(super) magic: [u8; 4],
    pub(super) class: u8,
    pub(super) data: u8,
    pub(super) ident_version: u8,
    pub(super) os_abi: u8,
    pub(super) abi_version: u8,
    pub(super) ident_padding: [u8; 7],
    pub(super) kind: U16,
    pub(super) machine: U16,
    pub(super) version: U32,
    pub(super) entry: U64,
    pub(super) program_offset: U64,
    pub(super) section_offset: U64,
    pub(super) flags: U32,
    pub(super) header_bytes: U16,
    pub(super) program_entry_bytes: U16,
    pub(super) program_count: U16,
    pub(super) section_entry_bytes: U16,
    pub(super) section_count: U16,
    pub(super) section_names: U16,
}

/// `Elf64_Phdr`.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct ProgramHeader {
    pub(super) kind: U32,
    pub(super) flags: U32,
    pub(super) offset: U64,
    pub(super) vaddr: U64,
    pub(super) paddr: U64,
    pub(super) file_bytes: U64,
    pub(super) memory_bytes: U64,
    pub(super) align: U64,
}

/// `Elf64_Dyn`.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct DynamicEntry {
    pub(super) tag: U64,
    pub(super) value: U64,
}

/// `Elf64_Sym`.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Symbol {
    pub(super) name: U32,
    pub(super) info: u8,
    pub(super) other: u8,
    pub(super) section: U16,
    pub(super) value: U64,
    pub(super) size: U64,
}

/// `Elf64_Rela`.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Rela {
    pub(super) target: U64,
    pub(super) info: U64,
    pub(super) addend: I64,
}

/// `Elf64_Shdr`.
#[derive(Debug, Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct SectionHeader {
    pub(super) name: U32,
    pub(super) kind: U32,
    pub(super) flags: U64,
    pub(super) vaddr: U64,
    pub(super) offset: U64,
    pub(super) bytes: U64,
    pub(super) link: U32,
    pub(super) info: U32,
    pub(super) align: U64,
    pub(super) entry_bytes: U64,
}

pub(super) const ELF_MAGIC: [u8; 4] = *b"\x7fELF";
pub(super) const ELF_CLASS_64: u8 = 2;
pub(super) const ELF_DATA_LITTLE: u8 = 1;
pub(super) const ELF_VERSION: u8 = 1;
pub(super) const OS_ABI_SYSV: u8 = 0;
/// `ELFOSABI_GNU`; the linker sets it when GNU extensions such as unique symbols occur.
pub(super) const OS_ABI_GNU: u8 = 3;
pub(super) const ET_DYN: u16 = 3;

pub(super) const PT_LOAD: u32 = 1;
pub(super) const PT_DYNAMIC: u32 = 2;
pub(super) const PT_NOTE: u32 = 4;
pub(super) const PT_TLS: u32 = 7;
pub(super) const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
pub(super) const PT_GNU_STACK: u32 = 0x6474_e551;
pub(super) const PT_GNU_RELRO: u32 = 0x6474_e552;
pub(super) const PT_GNU_PROPERTY: u32 = 0x6474_e553;

pub(super) const PF_X: u32 = 1;
pub(super) const PF_W: u32 = 2;
pub(super) const PF_R: u32 = 4;

pub(super) const SHT_SYMTAB: u32 = 2;
pub(super) const SHT_STRTAB: u32 = 3;
/// The bytes of the section are compressed.
pub(super) const SHF_COMPRESSED: u64 = 0x800;

pub(super) const SHN_UNDEF: u16 = 0;
pub(super) const SHN_LORESERVE: u16 = 0xff00;
pub(super) const SHN_ABS: u16 = 0xfff1;

pub(super) const STB_LOCAL: u8 = 0;
pub(super) const STB_GLOBAL: u8 = 1;
pub(super) const STB_WEAK: u8 = 2;
pub(super) const STB_GNU_UNIQUE: u8 = 10;

pub(super) const STT_NOTYPE: u8 = 0;
pub(super) const STT_FUNC: u8 = 2;
pub(super) const STT_TLS: u8 = 6;
pub(super) const STT_GNU_IFUNC: u8 = 10;

pub(super) const STV_INTERNAL: u8 = 1;
pub(super) const STV_HIDDEN: u8 = 2;

/// `DF_TEXTREL` in `DT_FLAGS`.
pub(super) const DF_TEXTREL: u64 = 0x4;
/// `DF_STATIC_TLS` in `DT_FLAGS`.
pub(super) const DF_STATIC_TLS: u64 = 0x10;
/// `DF_1_PIE` in `DT_FLAGS_1`.
pub(super) const DF_1_PIE: u64 = 0x0800_0000;

/// A tag of the dynamic section.
///
/// Prints as its name (`DT_RELA`) where the loader knows it, else as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag(pub u64);

/// Declares the known tags once, for constants and names alike.
macro_rules! tags {
    ($($name:ident = $value:expr;)*) => {
        impl Tag {
            $(pub(super) const $name: Self = Self($value);)*
        }

        impl fmt::Display for Tag {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0 {
                    $($value => formatter.write_str(concat!("DT_", stringify!($name))),)*
                    other => write!(formatter, "dynamic tag {other:#x}"),
                }
            }
        }
    };
}

tags! {
    NULL = 0;
    NEEDED = 1;
    PLTRELSZ = 2;
    HASH = 4;
    STRTAB = 5;
    SYMTAB = 6;
    RELA = 7;
    RELASZ = 8;
    RELAENT = 9;
    STRSZ = 10;
    SYMENT = 11;
    INIT = 12;
    FINI = 13;
    SONAME = 14;
    REL = 17;
    RELSZ = 18;
    RELENT = 19;
    PLTREL = 20;
    TEXTREL = 22;
    JMPREL = 23;
    INIT_ARRAY = 25;
    FINI_ARRAY = 26;
    INIT_ARRAYSZ = 27;
    FINI_ARRAYSZ = 28;
    FLAGS = 30;
    PREINIT_ARRAY = 32;
    PREINIT_ARRAYSZ = 33;
    RELRSZ = 35;
    RELR = 36;
    RELRENT = 37;
    ANDROID_REL = 0x6000_000f;
    ANDROID_RELA = 0x6000_0011;
    ANDROID_RELR = 0x6fff_e000;
    GNU_HASH = 0x6fff_fef5;
    VERSYM = 0x6fff_fff0;
    FLAGS_1 = 0x6fff_fffb;
    VERDEF = 0x6fff_fffc;
    VERDEFNUM = 0x6fff_fffd;
    VERNEED = 0x6fff_fffe;
    VERNEEDNUM = 0x6fff_ffff;
    AUXILIARY = 0x7fff_fffd;
    FILTER = 0x7fff_ffff;
}

/// Cuts `bytes` bytes at `offset` out of the image; `None` if any of them lies outside it.
pub(super) fn file_range(image: &[u8], offset: u64, bytes: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let length = usize::try_from(bytes).ok()?;
    image.get(start..start.checked_add(length)?)
}

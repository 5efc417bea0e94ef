//! Numbers of the ELF format, written out from the ABI documents and not taken from the loader.

use aicpu_executor::loader::Machine;

pub const PT_LOAD: u32 = 1;
pub const PT_DYNAMIC: u32 = 2;
pub const PT_NOTE: u32 = 4;
pub const PT_TLS: u32 = 7;
pub const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
pub const PT_GNU_STACK: u32 = 0x6474_e551;
pub const PT_GNU_RELRO: u32 = 0x6474_e552;
pub const PT_GNU_PROPERTY: u32 = 0x6474_e553;

pub const DT_NULL: u64 = 0;
pub const DT_NEEDED: u64 = 1;
pub const DT_PLTRELSZ: u64 = 2;
pub const DT_HASH: u64 = 4;
pub const DT_STRTAB: u64 = 5;
pub const DT_SYMTAB: u64 = 6;
pub const DT_RELA: u64 = 7;
pub const DT_RELASZ: u64 = 8;
pub const DT_RELAENT: u64 = 9;
pub const DT_STRSZ: u64 = 10;
pub const DT_SYMENT: u64 = 11;
pub const DT_INIT: u64 = 12;
pub const DT_FINI: u64 = 13;
pub const DT_SONAME: u64 = 14;
pub const DT_REL: u64 = 17;
pub const DT_PLTREL: u64 = 20;
pub const DT_TEXTREL: u64 = 22;
pub const DT_JMPREL: u64 = 23;
pub const DT_INIT_ARRAY: u64 = 25;
pub const DT_FINI_ARRAY: u64 = 26;
pub const DT_INIT_ARRAYSZ: u64 = 27;
pub const DT_FINI_ARRAYSZ: u64 = 28;
pub const DT_FLAGS: u64 = 30;
pub const DT_PREINIT_ARRAY: u64 = 32;
pub const DT_RELRSZ: u64 = 35;
pub const DT_RELR: u64 = 36;
pub const DT_RELRENT: u64 = 37;
pub const DT_GNU_HASH: u64 = 0x6fff_fef5;
pub const DT_VERSYM: u64 = 0x6fff_fff0;
pub const DT_VERDEF: u64 = 0x6fff_fffc;
pub const DT_VERNEED: u64 = 0x6fff_fffe;
pub const DT_VERNEEDNUM: u64 = 0x6fff_ffff;
pub const DT_FLAGS_1: u64 = 0x6fff_fffb;
/// A tag no loader knows; tests turn its entry into another one.
pub const DT_SPARE: u64 = 0x6000_0001;

/// Numbers of the relocations on one machine.
#[derive(Clone, Copy)]
pub struct RelocationNumbers {
    pub absolute: u32,
    pub global_data: u32,
    pub jump_slot: u32,
    pub relative: u32,
    pub copy: u32,
    pub indirect: u32,
    pub tls_offset: u32,
}

impl RelocationNumbers {
    pub fn of(machine: Machine) -> Self {
        match machine {
            Machine::X86_64 => Self {
                absolute: 1,
                global_data: 6,
                jump_slot: 7,
                relative: 8,
                copy: 5,
                indirect: 37,
                tls_offset: 18,
            },
            Machine::Aarch64 => Self {
                absolute: 257,
                global_data: 1025,
                jump_slot: 1026,
                relative: 1027,
                copy: 1024,
                indirect: 1032,
                tls_offset: 1030,
            },
        }
    }
}

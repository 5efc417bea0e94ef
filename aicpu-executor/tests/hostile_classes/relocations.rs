//! Classes 12, 19 to 21, 23 and 24: every relocation, packed or not.

use aicpu_executor::loader::PlanError::{
    CopyRelocation, IndirectFunction, IndirectRelocation, PackedRelocation, RelocationTarget,
    RelocationType, TextRelocations, ThreadLocal,
};
use aicpu_executor::loader::{Machine, PlanError, SymbolName, Tag};

use crate::class::Case::{Harmless, Refused, Series};
use crate::class::{HostileClass, planned};
use crate::support::image_builder::{
    DATA, DT_FLAGS, DT_RELR, DT_RELRSZ, DT_SPARE, DT_TEXTREL, MEMORY_END, PT_TLS, RELRO, TEXT,
    TestImage, WORDS,
};

/// Moves the target of the relocation of an import, which must then be refused.
fn target(image: &mut TestImage, vaddr: u64) -> PlanError {
    let place = image.at.rela + 24 * 5;
    image.put64(place, vaddr);
    RelocationTarget { offset: place as u64, vaddr }
}

/// Replaces the function slot's relocation; returns its position in the file.
fn slot(image: &mut TestImage, symbol: u32, number: u32, addend: i64) -> u64 {
    image.put_rela(image.at.plt, (WORDS + 32, symbol, number, addend));
    image.at.plt as u64
}

/// Gives the packed table two words.
fn packed(image: &mut TestImage, words: [u64; 2]) -> u64 {
    image.put64(image.at.relr, words[0]);
    image.put64(image.at.relr + 8, words[1]);
    image.at.relr as u64
}

pub(crate) const TEXT_RELOCATIONS: HostileClass = HostileClass {
    number: 12,
    title: "relocations in the text, announced or not",
    cases: &[
        Refused("announced by DT_TEXTREL", |image| {
            image.replace_dynamic(DT_SPARE, DT_TEXTREL, 0);
            TextRelocations { tag: Tag(DT_TEXTREL), value: 0 }
        }),
        Refused("announced by DF_TEXTREL", |image| {
            image.set_dynamic(DT_FLAGS, 0xc);
            TextRelocations { tag: Tag(DT_FLAGS), value: 0xc }
        }),
        Refused("into the text", |image| target(image, TEXT)),
        Refused("into the last word of the text", |image| target(image, TEXT + 0xf8)),
        Refused("into read-only data", |image| target(image, 0x200)),
        Refused("of a function slot into the text", |image| {
            let number = image.numbers.jump_slot;
            image.put_rela(image.at.plt, (TEXT + 8, 1, number, 0));
            RelocationTarget { offset: image.at.plt as u64, vaddr: TEXT + 8 }
        }),
        Refused("packed, into the text", |image| {
            let offset = packed(image, [TEXT, 1]);
            RelocationTarget { offset, vaddr: TEXT }
        }),
        Refused("into data that is read-only", |image| {
            // Everything writable becomes read-only; the packed table is checked first.
            image.set_program(7, 0, 0);
            image.set_program(2, 4, 4);
            RelocationTarget { offset: image.at.relr as u64, vaddr: DATA + 0x10 }
        }),
    ],
};

pub(crate) const TARGETS: HostileClass = HostileClass {
    number: 19,
    title: "relocations that write outside the data, or across its end",
    cases: &[
        Refused("directly in front of the data", |image| target(image, RELRO - 8)),
        Refused("straddling the start", |image| target(image, RELRO - 1)),
        Refused("straddling the end", |image| target(image, MEMORY_END - 7)),
        Refused("last byte inside", |image| target(image, MEMORY_END - 1)),
        Refused("directly behind the data", |image| target(image, MEMORY_END)),
        Refused("behind the last page", |image| target(image, 0x6000)),
        Refused("into a hole", |image| target(image, 0x3000)),
        Refused("in the upper half", |image| target(image, 1 << 63)),
        Refused("at the end of the address space", |image| target(image, u64::MAX - 7)),
        Refused("that wraps", |image| target(image, u64::MAX)),
        Refused("relative, straddling the end", |image| {
            let place = image.at.rela + 24 * 3;
            image.put64(place, MEMORY_END - 4);
            RelocationTarget { offset: place as u64, vaddr: MEMORY_END - 4 }
        }),
        Refused("across two writable segments", |image| {
            // The last header becomes a segment directly behind the data.
            image.set_program(2, 40, 0x2000);
            for (field, value) in
                [(0, 1), (4, 6), (8, 0), (16, 0x6000), (32, 0), (40, 0x1000), (48, 0x1000)]
            {
                image.set_program(7, field, value);
            }
            target(image, 0x6000 - 4)
        }),
        Harmless(
            "unaligned, inside",
            |image| {
                target(image, DATA + 0x31);
            },
            |loaded| {
                // Packed structures have pointers at odd addresses; glibc relocates them as well.
                assert_eq!(loaded.memory.word(DATA + 0x31), crate::class::IMPORTED - 4);
            },
        ),
        Harmless(
            "the last word",
            |image| {
                target(image, MEMORY_END - 8);
            },
            |loaded| {
                assert_eq!(loaded.memory.word(MEMORY_END - 8), crate::class::IMPORTED - 4);
            },
        ),
        Harmless(
            "nothing, nowhere",
            |image| image.put_rela(image.at.plt, (u64::MAX, 0, 0, 0)),
            |loaded| {
                assert_eq!(loaded.plan.relocations(), 10);
            },
        ),
    ],
};

/// Numbers of relocations that write an address, or nothing.
fn supported(machine: Machine) -> &'static [u32] {
    match machine {
        // NONE, 64, GLOB_DAT, JUMP_SLOT, RELATIVE.
        Machine::X86_64 => &[0, 1, 6, 7, 8],
        // NONE twice, ABS64, GLOB_DAT, JUMP_SLOT, RELATIVE.
        Machine::Aarch64 => &[0, 256, 257, 1025, 1026, 1027],
    }
}

/// Numbers of relocations of thread-local variables: psABI table 4.10, AAELF64 §5.7.11.
fn thread_local(machine: Machine) -> &'static [u32] {
    match machine {
        Machine::X86_64 => &[16, 17, 18, 19, 20, 21, 22, 23, 34, 35, 36],
        Machine::Aarch64 => &[1028, 1029, 1030, 1031],
    }
}

pub(crate) const KINDS: HostileClass = HostileClass {
    number: 20,
    title: "relocations of unknown kind",
    cases: &[
        Refused("unknown number", |image| {
            let offset = slot(image, 1, 9999, 0);
            RelocationType { offset, number: 9999, machine: image.machine }
        }),
        Refused("largest number", |image| {
            let offset = slot(image, 1, u32::MAX, 0);
            RelocationType { offset, number: u32::MAX, machine: image.machine }
        }),
        Refused("32-bit and PC-relative numbers", |image| {
            let number = match image.machine {
                Machine::X86_64 => 2,
                Machine::Aarch64 => 261,
            };
            RelocationType { offset: slot(image, 1, number, 0), number, machine: image.machine }
        }),
        Refused("number of the other machine", |image| {
            let number = match image.machine {
                Machine::X86_64 => 1027,
                Machine::Aarch64 => 8,
            };
            RelocationType { offset: slot(image, 0, number, 0), number, machine: image.machine }
        }),
        Series("every number there is on either machine", |machine| {
            let mut image = TestImage::new(machine);
            for number in (0..2048).chain([0x100_0000, 0x8000_0001]) {
                slot(&mut image, 1, number, 0);
                let is_accepted = planned(&image).is_ok();
                assert_eq!(is_accepted, supported(machine).contains(&number), "{number}");
            }
        }),
    ],
};

pub(crate) const INDIRECT: HostileClass = HostileClass {
    number: 21,
    title: "functions to be called while binding",
    cases: &[
        Refused("resolver in the text", |image| {
            let number = image.numbers.indirect;
            IndirectRelocation { offset: slot(image, 0, number, 0x2010), resolver: 0x2010 }
        }),
        Refused("resolver anywhere", |image| {
            let number = image.numbers.indirect;
            let resolver = 0xdead_beef_0000;
            let offset = slot(image, 0, number, resolver);
            IndirectRelocation { offset, resolver: resolver.cast_unsigned() }
        }),
        Refused("resolver, written outside the image", |image| {
            let number = image.numbers.indirect;
            image.put_rela(image.at.plt, (u64::MAX, u32::MAX, number, 0));
            IndirectRelocation { offset: image.at.plt as u64, resolver: 0 }
        }),
        Refused("exported resolver", |image| {
            let place = image.symbol_place("entry");
            image.bytes[place + 4] = 0x1a;
            let name = SymbolName::new(b"entry");
            IndirectFunction { symbol: image.symbol("entry"), name }
        }),
    ],
};

pub(crate) const COPY_AND_THREAD_LOCAL: HostileClass = HostileClass {
    number: 23,
    title: "copied variables, and thread-local ones",
    cases: &[
        Refused("copied variable", |image| {
            let number = image.numbers.copy;
            CopyRelocation { offset: slot(image, 1, number, 0), vaddr: WORDS + 32 }
        }),
        Refused("thread-local offset", |image| {
            let number = image.numbers.tls_offset;
            slot(image, 0, number, 0);
            ThreadLocal { name: SymbolName::EMPTY }
        }),
        Series("every thread-local number", |machine| {
            let mut image = TestImage::new(machine);
            for number in thread_local(machine) {
                slot(&mut image, 0, *number, 0);
                let expected = Err(ThreadLocal { name: SymbolName::EMPTY });
                assert_eq!(planned(&image).map(|_| ()), expected, "{number}");
            }
        }),
        Refused("thread-local segment", |image| {
            image.set_program(6, 0, PT_TLS.into());
            ThreadLocal { name: SymbolName::EMPTY }
        }),
        Refused("static thread-local storage", |image| {
            image.set_dynamic(DT_FLAGS, 0x18);
            ThreadLocal { name: SymbolName::EMPTY }
        }),
        Refused("thread-local variable", |image| {
            let place = image.symbol_place("table");
            image.bytes[place + 4] = 0x16;
            ThreadLocal { name: SymbolName::new(b"table") }
        }),
        Refused("thread-local import", |image| {
            let place = image.symbol_place("optional");
            image.bytes[place + 4] = 0x26;
            ThreadLocal { name: SymbolName::new(b"optional") }
        }),
    ],
};

pub(crate) const PACKED_RELOCATIONS: HostileClass = HostileClass {
    number: 24,
    title: "packed relocations that start with a bitmap, wrap, or go astray",
    cases: &[
        Refused("bitmap first", |image| {
            let offset = packed(image, [0x3, DATA]);
            PackedRelocation { offset, value: 3 }
        }),
        Refused("empty bitmap first", |image| {
            let offset = packed(image, [0x1, DATA]);
            PackedRelocation { offset, value: 1 }
        }),
        Refused("address 0", |image| {
            let offset = packed(image, [0, 1]);
            RelocationTarget { offset, vaddr: 0 }
        }),
        Refused("address in a hole", |image| {
            let offset = packed(image, [0x3000, 1]);
            RelocationTarget { offset, vaddr: 0x3000 }
        }),
        Refused("bitmap leaves the segment", |image| {
            // Bit 3 stands for the third word behind the address.
            let offset = packed(image, [MEMORY_END - 24, 1 | 1 << 1 | 1 << 2 | 1 << 3]);
            RelocationTarget { offset: offset + 8, vaddr: MEMORY_END }
        }),
        Refused("last bit of a bitmap leaves the segment", |image| {
            let offset = packed(image, [MEMORY_END - 8 * 63, 1 | 1 << 63]);
            RelocationTarget { offset: offset + 8, vaddr: MEMORY_END }
        }),
        Refused("last address of all", |image| {
            let offset = packed(image, [u64::MAX - 7, 3]);
            RelocationTarget { offset, vaddr: u64::MAX - 7 }
        }),
        Refused("two addresses, the second straddles the end", |image| {
            let offset = packed(image, [DATA, MEMORY_END - 6]);
            RelocationTarget { offset: offset + 8, vaddr: MEMORY_END - 6 }
        }),
        Series("a second bitmap continues behind the first", |machine| {
            let mut image = TestImage::new(machine);
            // The first bitmap is empty and stands for 63 words; the second starts at the end.
            let words = [MEMORY_END - 8 * 64, 1, 1 | 1 << 1];
            let place = 0x2800;
            image.put(place, &words.map(u64::to_le_bytes).concat());
            image.set_dynamic(DT_RELR, 0x4800);
            image.set_dynamic(DT_RELRSZ, 24);
            let expected = RelocationTarget { offset: place as u64 + 16, vaddr: MEMORY_END };
            assert_eq!(planned(&image).map(|_| ()), Err(expected));
        }),
        Harmless(
            "the same word twice",
            |image| {
                packed(image, [DATA + 0x10, DATA + 0x10]);
                image.put64(0x3010, 5);
            },
            |loaded| {
                // Relative to itself twice: senseless, and inside the image.
                let twice = 2 * crate::support::checked_memory::BASE + 5;
                assert_eq!(loaded.memory.word(DATA + 0x10), twice);
            },
        ),
    ],
};

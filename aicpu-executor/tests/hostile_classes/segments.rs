//! Classes 8 to 11, 13 and 28: where the segments lie, with which rights, and what RELRO seals.

use aicpu_executor::loader::PlanError::{
    AddressWraps, DuplicateHeader, ExecutableStack, PageShared, RelroOutsideSegment,
    SegmentAlignment, SegmentIncongruent, SegmentsOverlap, SegmentsUnordered, SpanTooLarge,
    WritableExecutable,
};
use aicpu_executor::loader::{PlanError, Protection};

use crate::class::Case::{Harmless, Refused, Series};
use crate::class::{HostileClass, planned};
use crate::support::image_builder::{MEMORY_END, RELRO, TEXT, TestImage};

/// Offsets of the fields of a program header.
const FLAGS: usize = 4;
const OFFSET: usize = 8;
const VADDR: usize = 16;
const FILE_SIZE: usize = 32;
const MEMORY_SIZE: usize = 40;
const ALIGN: usize = 48;

/// Gives the last segment so many bytes of memory that they wrap.
fn wraps(image: &mut TestImage, bytes: u64) -> PlanError {
    image.set_program(2, MEMORY_SIZE, bytes);
    AddressWraps { header: 2, vaddr: RELRO, bytes }
}

pub(crate) const ADDRESSES: HostileClass = HostileClass {
    number: 8,
    title: "addresses that wrap, and absurd spans",
    cases: &[
        Refused("end wraps to 0", |image| wraps(image, 0u64.wrapping_sub(RELRO))),
        Refused("end wraps to 1", |image| wraps(image, 1u64.wrapping_sub(RELRO))),
        Refused("everything", |image| wraps(image, u64::MAX)),
        Refused("last page wraps", |image| wraps(image, 0u64.wrapping_sub(RELRO + 1))),
        Refused("last page ends with the address space", |image| {
            image.set_program(2, VADDR, 0u64.wrapping_sub(0x2000));
            image.set_program(2, MEMORY_SIZE, 0x1101);
            AddressWraps { header: 2, vaddr: 0u64.wrapping_sub(0x2000), bytes: 0x1101 }
        }),
        Refused("one page too many", |image| {
            image.set_program(2, MEMORY_SIZE, (16 << 20) - RELRO + 1);
            SpanTooLarge { bytes: (16 << 20) + 0x1000, limit: 16 << 20 }
        }),
        Refused("segments far apart", |image| {
            image.set_program(2, VADDR, 1 << 63);
            SpanTooLarge { bytes: (1 << 63) + 0x2000, limit: 16 << 20 }
        }),
        Refused("4 GiB of .bss", |image| {
            image.set_program(2, MEMORY_SIZE, 1 << 32);
            SpanTooLarge { bytes: RELRO + (1 << 32), limit: 16 << 20 }
        }),
        Series("the largest span, and one byte more", |machine| {
            for (bytes, accepted) in [(16 << 20, true), ((16 << 20) + 1, false)] {
                let mut image = TestImage::new(machine);
                image.set_program(2, MEMORY_SIZE, bytes - RELRO);
                assert_eq!(planned(&image).is_ok(), accepted, "{bytes:#x}");
            }
        }),
    ],
};

pub(crate) const NEIGHBOURS: HostileClass = HostileClass {
    number: 9,
    title: "overlapping or unordered segments, and segments that share a page",
    cases: &[
        Refused("wrong order", |image| {
            image.set_program(2, VADDR, 0x1000);
            SegmentsUnordered { header: 2, vaddr: 0x1000, previous: 0x2000 }
        }),
        Refused("overlap by one byte", |image| {
            image.set_program(1, MEMORY_SIZE, 0x2001);
            SegmentsOverlap { header: 2, vaddr: RELRO, previous_end: RELRO + 1 }
        }),
        Refused("the same segment twice", |image| {
            image.set_program(2, VADDR, TEXT);
            SegmentsOverlap { header: 2, vaddr: TEXT, previous_end: TEXT + 0x100 }
        }),
        Refused("one within the other", |image| {
            image.set_program(0, MEMORY_SIZE, 0x1_0000);
            SegmentsOverlap { header: 1, vaddr: TEXT, previous_end: 0x1_0000 }
        }),
        Refused("a page with two rights", |image| {
            image.set_program(2, OFFSET, 0x1800);
            image.set_program(2, VADDR, 0x2800);
            PageShared { header: 2, page: 0x2000, page_bytes: 4096 }
        }),
        Refused("a page with the same rights twice", |image| {
            image.set_program(1, FLAGS, 6);
            image.set_program(2, OFFSET, 0x1800);
            image.set_program(2, VADDR, 0x2800);
            PageShared { header: 2, page: 0x2000, page_bytes: 4096 }
        }),
        Refused("last byte on the first page of the next", |image| {
            image.set_program(2, VADDR, 0x4fff);
            image.set_program(2, OFFSET, 0x2fff);
            image.set_program(2, FILE_SIZE, 0x101);
            image.set_program(2, MEMORY_SIZE, 0x101);
            image.set_program(1, MEMORY_SIZE, 0x2001);
            PageShared { header: 2, page: 0x4000, page_bytes: 4096 }
        }),
        // `ld -z noseparate-code` lets neighbours have the same page of the file.
        Harmless(
            "segments that share bytes of the file",
            |image| {
                image.set_program(0, FILE_SIZE, 0x2000);
                image.set_program(0, MEMORY_SIZE, 0x2000);
            },
            |loaded| {
                assert_eq!(
                    loaded.memory.bytes()[0x1000..0x1100],
                    loaded.memory.bytes()[0x2000..0x2100]
                )
            },
        ),
        Harmless(
            "a segment without bytes, on a page of another",
            |image| {
                image.set_program(6, 0, 1);
                image.set_program(6, VADDR, TEXT + 8);
            },
            |loaded| assert_eq!(loaded.plan.segments().len(), 3),
        ),
    ],
};

/// Gives the text an alignment that is refused.
fn alignment(image: &mut TestImage, align: u64) -> PlanError {
    image.set_program(1, ALIGN, align);
    SegmentAlignment { header: 1, align }
}

pub(crate) const ALIGNMENT: HostileClass = HostileClass {
    number: 10,
    title: "alignment that is huge, not a power of two, or not kept by the segment itself",
    cases: &[
        Refused("three", |image| alignment(image, 3)),
        Refused("a page and a byte", |image| alignment(image, 4097)),
        Refused("above the largest page", |image| alignment(image, 0x2_0000)),
        Refused("half of the address space", |image| alignment(image, 1 << 63)),
        Refused("the largest number", |image| alignment(image, u64::MAX)),
        Refused("position and address differ", |image| {
            image.set_program(1, ALIGN, 0x2000);
            SegmentIncongruent { header: 1, offset: 0x1000, vaddr: 0x2000, align: 0x2000 }
        }),
        Refused("position and address differ by one", |image| {
            image.set_program(1, OFFSET, 0x1001);
            SegmentIncongruent { header: 1, offset: 0x1001, vaddr: 0x2000, align: 0x1000 }
        }),
        // Bytes are copied, so that an alignment below a page asks for nothing.
        Harmless("none", |image| image.set_program(1, ALIGN, 0), |_| ()),
        Harmless(
            "below a page",
            |image| image.set_program(1, ALIGN, 16),
            |loaded| {
                assert_eq!(loaded.plan.align(), 4096);
            },
        ),
    ],
};

pub(crate) const RIGHTS: HostileClass = HostileClass {
    number: 11,
    title: "writable and executable segments",
    cases: &[
        Refused("writable text", |image| {
            image.set_program(1, FLAGS, 7);
            WritableExecutable { header: 1, vaddr: TEXT }
        }),
        Refused("executable data without reading", |image| {
            image.set_program(2, FLAGS, 3);
            WritableExecutable { header: 2, vaddr: RELRO }
        }),
        Refused("with rights nobody knows", |image| {
            image.set_program(2, FLAGS, 0xffff_ffff);
            WritableExecutable { header: 2, vaddr: RELRO }
        }),
        Harmless(
            "headers without any right",
            |image| image.set_program(0, FLAGS, 0),
            |loaded| {
                assert_eq!(loaded.memory.pages[0], Protection::empty());
            },
        ),
    ],
};

pub(crate) const STACK: HostileClass = HostileClass {
    number: 13,
    title: "an executable stack",
    cases: &[
        Refused("executable", |image| {
            image.set_program(6, FLAGS, 7);
            ExecutableStack { header: 6 }
        }),
        Refused("executable alone", |image| {
            image.set_program(6, FLAGS, 1);
            ExecutableStack { header: 6 }
        }),
        Refused("twice", |image| {
            let place = image.program(6);
            let header = image.bytes[place..place + 56].to_vec();
            image.put(image.program(4), &header);
            DuplicateHeader { kind: "PT_GNU_STACK", header: 6 }
        }),
        // Old tools mean "executable" by leaving it out; here nothing asks for a stack at all.
        Harmless(
            "not mentioned",
            |image| image.set_program(6, 0, 0),
            |loaded| {
                let both = Protection::WRITE | Protection::EXECUTE;
                assert!(loaded.memory.pages.iter().all(|page| !page.contains(both)));
            },
        ),
    ],
};

/// Gives RELRO a range that is refused.
fn relro(image: &mut TestImage, vaddr: u64, bytes: u64) -> PlanError {
    image.set_program(7, VADDR, vaddr);
    image.set_program(7, FILE_SIZE, 0);
    image.set_program(7, MEMORY_SIZE, bytes);
    RelroOutsideSegment { vaddr, bytes }
}

pub(crate) const RELRO_RANGE: HostileClass = HostileClass {
    number: 28,
    title: "a RELRO range outside the writable segments, or unaligned",
    cases: &[
        Refused("read-only memory", |image| relro(image, TEXT, 0x100)),
        Refused("a hole", |image| relro(image, 0x3000, 0x1000)),
        Refused("from a hole into the data", |image| relro(image, RELRO - 8, 0x1000)),
        Refused("past the last page", |image| relro(image, RELRO, 0x2001)),
        Refused("behind the image", |image| relro(image, 0x6000, 0x1000)),
        Refused("wraps", |image| relro(image, RELRO, u64::MAX)),
        Refused("ends with the address space", |image| relro(image, u64::MAX, 1)),
        Refused("twice", |image| {
            let place = image.program(7);
            let header = image.bytes[place..place + 56].to_vec();
            image.put(image.program(6), &header);
            DuplicateHeader { kind: "PT_GNU_RELRO", header: 7 }
        }),
        Harmless(
            "ends inside a page",
            |image| {
                relro(image, RELRO, 0xfff);
            },
            |loaded| {
                assert!(loaded.memory.pages[4].contains(Protection::WRITE));
            },
        ),
        Harmless(
            "starts inside a page",
            |image| {
                relro(image, RELRO + 1, 0xfff);
            },
            |loaded| {
                assert!(loaded.memory.pages[4].contains(Protection::WRITE));
            },
        ),
        Harmless(
            "inside a page",
            |image| {
                relro(image, RELRO + 8, 16);
            },
            |loaded| assert!(loaded.memory.pages[4].contains(Protection::WRITE)),
        ),
        Harmless(
            "nothing, inside a page",
            |image| {
                relro(image, RELRO + 0xa4, 0);
            },
            |loaded| assert!(loaded.memory.pages[4].contains(Protection::WRITE)),
        ),
        Harmless(
            "nothing",
            |image| {
                relro(image, RELRO, 0);
            },
            |loaded| {
                assert!(loaded.memory.pages[4].contains(Protection::WRITE));
            },
        ),
        Harmless(
            "all of the segment",
            |image| {
                relro(image, RELRO, MEMORY_END - RELRO);
            },
            |loaded| {
                assert_eq!(loaded.memory.pages[4..], [Protection::READ; 2]);
            },
        ),
    ],
};

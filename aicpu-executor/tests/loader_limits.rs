//! Every limit of planning, on it and one beyond.

#[path = "support/support.rs"]
mod support;

use aicpu_executor::loader::PlanError::{
    DynamicUnterminated, MissingHeader, PageShared, TooManySegments,
};
use aicpu_executor::loader::{Machine, PlanError, PlanLimits, plan};
use support::image_builder::{DT_SPARE, PT_LOAD, RELRO, TestImage};

const FILE_BYTES: usize = 0x3100;

#[test]
fn refuses_an_image_without_segments_or_with_too_many() {
    for machine in [Machine::X86_64, Machine::Aarch64] {
        let mut image = TestImage::new(machine);
        for header in 0..3 {
            image.set_program(header, 0, 0);
        }
        let found = plan(&image.bytes, machine, &PlanLimits::default()).map(|_| ());
        assert_eq!(found, Err(MissingHeader { kind: "PT_LOAD" }));
        for (count, expected) in [(16, "PT_DYNAMIC"), (17, "limit")] {
            let mut image = TestImage::new(machine);
            image.put16(56, count);
            image.put64(32, 0x2800);
            for header in 0..u64::from(count) {
                let place = 0x2800 + 56 * header as usize;
                image.put32(place, PT_LOAD);
                image.put64(place + 16, 0x1000 * header);
                image.put64(place + 40, 1);
            }
            let found = plan(&image.bytes, machine, &PlanLimits::default()).map(|_| ());
            let error = match expected {
                "limit" => TooManySegments { header: 16, limit: 16 },
                kind => MissingHeader { kind },
            };
            assert_eq!(found, Err(error));
        }
    }
}

#[test]
fn the_dynamic_section_may_have_1024_entries() {
    for (spares, expected) in [(997, Ok(())), (998, Err(DynamicUnterminated { entries: 1024 }))] {
        let mut image = TestImage::new(Machine::X86_64);
        // The 26 entries, more of the kind nobody knows, and the end, behind everything else.
        let entries = image.bytes[0x2100..0x2100 + 26 * 16].to_vec();
        image.bytes.extend(entries);
        for _ in 0..spares {
            image.bytes.extend([DT_SPARE.to_le_bytes(), [0; 8]].concat());
        }
        image.bytes.extend([0; 16]);
        let added = image.bytes.len() as u64 - FILE_BYTES as u64;
        for (header, offset, value) in [
            (2, 32, 0x1100 + added),
            (2, 40, 0x1100 + added),
            (3, 8, FILE_BYTES as u64),
            (3, 16, 0x5100),
            (3, 32, added),
        ] {
            image.set_program(header, offset, value);
        }
        let found = plan(&image.bytes, image.machine, &PlanLimits::default()).map(|_| ());
        assert_eq!(found, expected, "{spares}");
    }
}

#[test]
fn accepts_what_lies_exactly_on_a_limit() {
    let rows: &[fn(&mut TestImage)] = &[
        |image| image.set_program(2, 40, (16 << 20) - RELRO),
        |image| image.set_program(7, 40, 0x2000),
        |image| image.set_program(1, 48, 1),
        |image| image.set_program(1, 48, 0),
        |image| image.set_program(3, 32, 27 * 16),
        // ELFOSABI_GNU, which GNU ld writes when a symbol is unique.
        |image| image.bytes[7] = 3,
        |image| image.set_program(4, 32, 36),
        |image| {
            image.set_program(4, 8, 0x2c00);
            image.set_program(4, 32, 64 * 12);
        },
        |image| {
            image.set_program(4, 8, 0x2f00);
            image.set_program(4, 32, 16 + 64);
            image.put(0x2f00, b"\x04\0\0\0\x40\0\0\0\x03\0\0\0GNU\0");
        },
    ];
    for (index, change) in rows.iter().enumerate() {
        let mut image = TestImage::new(Machine::X86_64);
        change(&mut image);
        let found = plan(&image.bytes, image.machine, &PlanLimits::default()).map(|_| ());
        assert_eq!(found, Ok(()), "{index}");
    }
}

#[test]
fn checks_its_own_limits_and_the_size_of_the_file() {
    let image = TestImage::new(Machine::X86_64);
    let limits = PlanLimits::default();
    for page_bytes in [0, 1, 2048, 4097, 12288, 0x2_0000, usize::MAX] {
        let found = plan(&image.bytes, image.machine, &PlanLimits { page_bytes, ..limits });
        assert_eq!(found.map(|_| ()), Err(PlanError::PageSize { bytes: page_bytes }));
    }
    for (limit, accepted) in [(FILE_BYTES - 1, false), (FILE_BYTES, true)] {
        let found = plan(&image.bytes, image.machine, &PlanLimits { image_bytes: limit, ..limits });
        let refused = Err(PlanError::ImageTooLarge { bytes: FILE_BYTES, limit });
        assert_eq!(found.map(|_| ()), if accepted { Ok(()) } else { refused });
    }
    // Segments on pages of their own at 4 KiB are not at 16 KiB.
    let found = plan(&image.bytes, image.machine, &PlanLimits { page_bytes: 16384, ..limits });
    let shared = PageShared { header: 1, page: 0, page_bytes: 16384 };
    assert_eq!(found.map(|_| ()), Err(shared));
}

//! Every limit of planning, on it and one beyond.

#[path = "support/support.rs"]
mod support;

use aicpu_executor::loader::PlanError::{MissingHeader, PageShared, TooManySegments};
use aicpu_executor::loader::{Machine, PlanError, PlanLimits, plan};
use support::image_builder::{FILE_BYTES, PT_LOAD, RELRO, TestImage};

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
fn accepts_what_lies_exactly_on_a_limit() {
    let rows: &[fn(&mut TestImage)] = &[
        |image| image.set_program(2, 40, (16 << 20) - RELRO),
        |image| image.set_program(7, 40, 0x2000),
        |image| image.set_program(1, 48, 1),
        |image| image.set_program(1, 48, 0),
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

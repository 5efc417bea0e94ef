//! Class 29: notes, of which only the Build-ID is wanted.

use aicpu_executor::loader::PlanError;
use aicpu_executor::loader::PlanError::Note;

use crate::class::Case::{Elsewhere, Harmless, Refused, Series};
use crate::class::{HostileClass, planned};
use crate::support::image_builder::{BUILD_ID, TestImage};

/// Offsets of the fields of a program header.
const OFFSET: usize = 8;
const FILE_SIZE: usize = 32;
const MEMORY_SIZE: usize = 40;
const ALIGN: usize = 48;

/// A place in the data with nothing but zero bytes behind it.
const EMPTY: usize = 0x2c00;

/// Changes a word of the image's note.
fn word(image: &mut TestImage, at: usize, field: &'static str, value: u32) -> PlanError {
    image.put32(image.at.note + at, value);
    Note { offset: image.at.note as u64, field, value: value.into() }
}

/// Moves the notes to `EMPTY` and gives them `bytes`.
fn moved(image: &mut TestImage, bytes: u64) {
    image.set_program(4, OFFSET, EMPTY as u64);
    image.set_program(4, FILE_SIZE, bytes);
    image.set_program(4, MEMORY_SIZE, bytes);
}

/// Writes a note header and the name `GNU` at a place.
fn header(image: &mut TestImage, place: usize, body_bytes: u32, kind: u32) {
    for (field, value) in [4, body_bytes, kind].into_iter().enumerate() {
        image.put32(place + 4 * field, value);
    }
    image.put(place + 12, b"GNU\0");
}

pub(crate) const NOTES: HostileClass = HostileClass {
    number: 29,
    title: "notes whose sizes wrap, that are padded otherwise, or that do not end",
    cases: &[
        Refused("name behind its segment", |image| word(image, 0, "n_namesz", 25)),
        Refused("name that wraps", |image| word(image, 0, "n_namesz", u32::MAX)),
        Refused("name that wraps by its padding", |image| word(image, 0, "n_namesz", u32::MAX - 2)),
        Refused("name in the upper half", |image| word(image, 0, "n_namesz", 1 << 31)),
        Refused("body behind its segment", |image| word(image, 4, "n_descsz", 21)),
        Refused("body that wraps", |image| word(image, 4, "n_descsz", u32::MAX)),
        Refused("body in the upper half", |image| word(image, 4, "n_descsz", 1 << 31)),
        Refused("rest too small for a note", |image| {
            image.set_program(4, FILE_SIZE, 36 + 11);
            image.set_program(4, MEMORY_SIZE, 36 + 11);
            Note { offset: image.at.note as u64 + 36, field: "header size", value: 11 }
        }),
        Refused("too small for any note", |image| {
            image.set_program(4, FILE_SIZE, 1);
            Note { offset: image.at.note as u64, field: "header size", value: 1 }
        }),
        Refused("Build-ID longer than 64 bytes", |image| {
            moved(image, 16 + 65);
            header(image, EMPTY, 65, 3);
            Note { offset: EMPTY as u64, field: "Build-ID size", value: 65 }
        }),
        Refused("65 empty notes", |image| {
            moved(image, 65 * 12);
            Note { offset: EMPTY as u64 + 64 * 12, field: "number", value: 65 }
        }),
        Refused("65 notes in two segments", |image| {
            moved(image, 40 * 12);
            let (first, second) = (image.program(4), image.program(6));
            let again = image.bytes[first..first + 56].to_vec();
            image.put(second, &again);
            // 40 of the first segment, so that the 25th of the second is one too many.
            Note { offset: EMPTY as u64 + 24 * 12, field: "number", value: 65 }
        }),
        Series("body one byte short of its padding, padded to 8", |machine| {
            for (bytes, accepted) in [(23, false), (24, true), (25, false)] {
                let mut image = TestImage::new(machine);
                image.set_program(4, ALIGN, 8);
                // Name up to 16, body of 8 bytes.
                moved(&mut image, bytes);
                header(&mut image, EMPTY, 8, 1);
                assert_eq!(planned(&image).is_ok(), accepted, "{bytes}");
            }
        }),
        Harmless(
            "64 empty notes",
            |image| moved(image, 64 * 12),
            |loaded| assert_eq!(loaded.plan.build_id(), None),
        ),
        Harmless(
            "Build-ID of 64 bytes",
            |image| {
                moved(image, 16 + 64);
                header(image, EMPTY, 64, 3);
            },
            |loaded| assert_eq!(loaded.plan.build_id(), Some(&[0; 64][..])),
        ),
        Harmless(
            "Build-ID behind a note that is padded to 8",
            |image| {
                image.set_program(4, ALIGN, 8);
                moved(image, 24 + 16 + 20);
                // The body of 3 bytes ends at 19, the next note starts at 24.
                header(image, EMPTY, 3, 1);
                header(image, EMPTY + 24, 20, 3);
                image.put(EMPTY + 40, &BUILD_ID);
            },
            |loaded| assert_eq!(loaded.plan.build_id(), Some(&BUILD_ID[..])),
        ),
        Harmless(
            "two Build-IDs",
            |image| {
                moved(image, 16 + 4 + 16 + 20);
                header(image, EMPTY, 4, 3);
                header(image, EMPTY + 20, 20, 3);
            },
            |loaded| assert_eq!(loaded.plan.build_id(), Some(&[0; 4][..])),
        ),
        Harmless(
            "no Build-ID",
            |image| image.set_program(4, 0, 0),
            |loaded| assert_eq!(loaded.plan.build_id(), None),
        ),
        Elsewhere("tests/loader_properties.rs", "refuses_each_broken_property_by_name"),
        Elsewhere("tests/loader_properties.rs", "limits_are_reached_and_not_passed"),
    ],
};

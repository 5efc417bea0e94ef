//! Unwind tables that may be registered, and those that would end the process.
//!
//! Part of class 7 of design loader §4.1: the pointer to the table is checked there, the records
//! behind it here. `loader_mutants_unwind.rs` shows that a run time of C++ agrees.

#[path = "support/support.rs"]
mod support;

use aicpu_executor::loader::{Machine, PlanLimits, plan};
use support::image_builder::{TEXT, TestImage};

/// `DW_EH_PE_pcrel | DW_EH_PE_sdata4`, which every compiler writes.
const ENCODING: u8 = 0x1b;

/// A record: its length, and what follows, padded to four bytes.
fn record(parts: &[&[u8]]) -> Vec<u8> {
    let mut body = parts.concat();
    body.resize(body.len().next_multiple_of(4), 0);
    [&(body.len() as u32).to_le_bytes()[..], &body].concat()
}

/// A CIE with an augmentation and the bytes that belong to its letters.
fn cie(version: u8, letters: &str, data: &[u8]) -> Vec<u8> {
    let address_bytes: &[u8] = if version == 4 { &[8, 0] } else { &[] };
    // Factors 1 and -8, return address in register 16; then the bytes of the letters, counted.
    let rest = [&[1, 0x78, 16, data.len() as u8][..], data].concat();
    record(&[&[0; 4], &[version], letters.as_bytes(), &[0], address_bytes, &rest])
}

/// The CIE of every compiler.
fn plain_cie() -> Vec<u8> {
    cie(1, "zR", &[ENCODING])
}

/// A table under construction, and where it will be.
struct Table {
    bytes: Vec<u8>,
    vaddr: u64,
}

impl Table {
    /// Adds an FDE of the CIE at `cie_at`, for code at `start`.
    fn add(&mut self, cie_at: i64, start: u64, bytes: i32) {
        let at = self.bytes.len() as i64;
        let place = self.vaddr + at as u64 + 8;
        self.add_raw((at + 4 - cie_at) as u32, start.wrapping_sub(place) as u32, bytes);
    }

    /// Adds an FDE of three words.
    fn add_raw(&mut self, delta: u32, start: u32, bytes: i32) {
        let words = [delta, start, bytes.cast_unsigned()].map(u32::to_le_bytes).concat();
        self.bytes.extend(record(&[&words, &[0; 4]]));
    }
}

/// Loads an image whose table a function makes, in the first segment; returns the bytes that may
/// be registered, and those of the table with its end mark.
fn registrable(machine: Machine, make: impl Fn(&mut Table)) -> (Option<u64>, u64) {
    let mut image = TestImage::new(machine);
    let at = image.at.header_end;
    let mut table = Table { bytes: Vec::new(), vaddr: at as u64 };
    make(&mut table);
    image.put(at, &table.bytes);
    for field in [32, 40] {
        image.set_program(0, field, (at + table.bytes.len()) as u64);
    }
    let pointer = image.at.eh_frame_hdr + 4;
    image.put32(pointer, (at - pointer) as u32);
    let plan = plan(&image.bytes, machine, &PlanLimits::default()).expect("a valid image");
    (plan.eh_frame().expect("the image has tables").frame_bytes, table.bytes.len() as u64)
}

const MACHINES: [Machine; 2] = [Machine::X86_64, Machine::Aarch64];

/// How a table is made, with its name.
type Row = (&'static str, fn(&mut Table));

/// Tables with one CIE and an FDE of it, which may be registered.
const GOOD_CIES: &[(&str, u8, &str, &[u8])] = &[
    ("plain", 1, "zR", &[ENCODING]),
    ("handler and its data", 1, "zPLR", &[0x9b, 1, 2, 3, 4, 0x1b, ENCODING]),
    ("another order", 3, "zLPR", &[0x1b, 0x00, 1, 2, 3, 4, 5, 6, 7, 8, ENCODING]),
    ("letters behind the one that counts", 1, "zRSB", &[ENCODING]),
    ("version 3", 3, "zR", &[ENCODING]),
    ("version 4", 4, "zR", &[ENCODING]),
    ("unsigned", 1, "zR", &[0x13]),
];

/// The same, which may not.
const BAD_CIES: &[(&str, u8, &str, &[u8])] = &[
    ("version 0", 0, "zR", &[ENCODING]),
    ("version 2", 2, "zR", &[ENCODING]),
    ("version 5", 5, "zR", &[ENCODING]),
    ("no augmentation", 1, "", &[ENCODING]),
    ("augmentation of old compilers", 1, "eh", &[ENCODING]),
    ("pointers without encoding", 1, "zL", &[0x1b]),
    ("letter nobody knows", 1, "zXR", &[ENCODING]),
    ("more letters than there are", 1, "zLLLLLLLLLLR", &[ENCODING; 11]),
    ("absolute pointers", 1, "zR", &[0x00]),
    ("pointers relative to the data", 1, "zR", &[0x3b]),
    ("indirect pointers", 1, "zR", &[0x9b]),
    ("aligned pointers", 1, "zR", &[0x50]),
    ("pointers in LEB128", 1, "zR", &[0x11]),
    ("format nobody knows", 1, "zR", &[0x1e]),
    ("no pointers", 1, "zR", &[0xff]),
    ("aligned handler", 1, "zPR", &[0x50, 0, 0, 0, 0, 0, 0, 0, 0, ENCODING]),
    ("handler in LEB128", 1, "zPR", &[0x11, 5, ENCODING]),
];

#[test]
fn the_encoding_of_pointers_decides() {
    for machine in MACHINES {
        for (rows, accepted) in [(GOOD_CIES, true), (BAD_CIES, false)] {
            for (name, version, letters, data) in rows {
                let (found, bytes) = registrable(machine, |table| {
                    table.bytes = cie(*version, letters, data);
                    table.add(0, TEXT + 0x10, 0x20);
                    table.bytes.extend([0; 4]);
                });
                assert_eq!(found, accepted.then_some(bytes), "{name}, {machine}");
            }
        }
    }
}

/// Tables that may be registered, each up to the end mark that is added.
const GOOD: &[Row] = &[
    ("all of the text", |table| table.add(0, TEXT, 0x100)),
    ("two functions", |table| {
        table.add(0, TEXT, 0x10);
        table.add(0, TEXT + 0x10, 0xf0);
    }),
    ("function of another CIE", |table| {
        let second = table.bytes.len() as i64;
        table.bytes.extend(cie(1, "zR", &[0x13]));
        table.add(second, TEXT + 0x80, 0x10);
        table.add(0, TEXT, 0x10);
    }),
    ("function that was left out", |table| {
        let delta = table.bytes.len() as u32 + 4;
        table.add_raw(delta, 0, 0x7fff_0000);
        table.add(0, TEXT, 0x10);
    }),
    ("functions without bytes", |table| {
        table.add(0, TEXT, 0);
        table.add(0, TEXT + 0x100, 0);
        table.add(0, TEXT, 0x100);
    }),
    ("CIE that is none, and that nobody refers to", |table| {
        table.bytes.extend(record(&[&[0; 4], &[9; 4]]));
        table.add(0, TEXT, 0x10);
    }),
];

/// Tables that may not.
const BAD: &[Row] = &[
    ("no function", |_| {}),
    ("only a function that was left out", |table| {
        let delta = table.bytes.len() as u32 + 4;
        table.add_raw(delta, 0, 0x10);
    }),
    ("only a function without bytes", |table| table.add(0, TEXT, 0)),
    ("function without bytes in front of the text", |table| {
        table.add(0, TEXT - 1, 0);
        table.add(0, TEXT, 0x10);
    }),
    ("function without bytes behind the text", |table| {
        table.add(0, TEXT + 0x101, 0);
        table.add(0, TEXT, 0x10);
    }),
    ("function without bytes outside the image", |table| {
        table.add(0, TEXT, 0x10);
        table.add(0, 0x10_0000, 0);
    }),
    ("function in front of the text", |table| table.add(0, TEXT - 1, 0x10)),
    ("function behind the text", |table| table.add(0, TEXT + 0x100, 1)),
    ("function past the text", |table| table.add(0, TEXT, 0x101)),
    ("function in the data", |table| table.add(0, 0x5000, 8)),
    ("function outside the image", |table| table.add(0, 0x1000_0000, 0x10)),
    ("function of negative size", |table| table.add(0, TEXT, -1)),
    ("CIE in front of the table", |table| table.add(-4, TEXT, 0x10)),
    ("CIE far in front of the table", |table| table.add_raw(u32::MAX, 0, 0)),
    ("its own CIE", |table| {
        let at = table.bytes.len() as i64;
        table.add(at, TEXT, 0x10);
    }),
    ("CIE in the middle of one", |table| table.add(4, TEXT, 0x10)),
    ("FDE too short for its function", |table| {
        let delta = table.bytes.len() as u32 + 4;
        table.bytes.extend(record(&[&delta.to_le_bytes(), &[1; 4]]));
    }),
    ("record too short for anything", |table| table.bytes.extend([1, 0, 0, 0, 7])),
    ("record past the segment", |table| table.bytes.extend([0x80, 0, 0, 0, 1, 2, 3, 4])),
    ("64-bit record", |table| {
        table.bytes.extend([0xff; 4]);
        table.bytes.extend([8, 0, 0, 0, 0, 0, 0, 0]);
        table.bytes.extend([0; 8]);
    }),
];

#[test]
fn every_record_has_to_be_readable_and_every_function_code_of_the_image() {
    for machine in MACHINES {
        for (rows, accepted) in [(GOOD, true), (BAD, false)] {
            for (name, make) in rows {
                let (found, bytes) = registrable(machine, |table| {
                    table.bytes = plain_cie();
                    make(table);
                    table.bytes.extend([0; 4]);
                });
                assert_eq!(found, accepted.then_some(bytes), "{name}, {machine}");
            }
        }
    }
}

#[test]
fn a_table_without_end_mark_or_in_writable_memory_is_not_registered() {
    for machine in MACHINES {
        let (found, _) = registrable(machine, |table| {
            table.bytes = plain_cie();
            table.add(0, TEXT, 0x10);
        });
        assert_eq!(found, None);
        // The same bytes in the data could be changed by a relocation after they were checked.
        let mut image = TestImage::new(machine);
        let (_, vaddr) = image.append(&plain_cie());
        image.append(&[0; 8]);
        let header = image.at.eh_frame_hdr;
        image.put32(header + 4, (vaddr - header as u64 - 4) as u32);
        let plan = plan(&image.bytes, machine, &PlanLimits::default()).unwrap();
        assert_eq!(plan.eh_frame().map(|each| each.frame_bytes), Some(None));
    }
}

#[test]
fn bytes_behind_the_end_mark_do_not_count() {
    let (found, bytes) = registrable(Machine::X86_64, |table| {
        table.bytes = plain_cie();
        table.add(0, TEXT, 0x10);
        table.bytes.extend([0; 4]);
        table.bytes.extend([0xff; 12]);
    });
    assert_eq!(found, Some(bytes - 12));
}

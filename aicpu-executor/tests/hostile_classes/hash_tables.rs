//! Class 18: both hash tables, which also say how many symbols there are.
//!
//! The image's GNU table: 2 buckets, first symbol 3, 1 bloom word, shift 6; then the bloom word at
//! 16, the buckets at 24, and four chain words at 32. Its System V table: 1 bucket at 8, seven links
//! at 12.

use aicpu_executor::loader::PlanError::HashTable;
use aicpu_executor::loader::{PlanError, Tag};

use crate::class::Case::{Harmless, Refused, Series};
use crate::class::{HostileClass, planned};
use crate::support::image_builder::{DT_GNU_HASH, DT_HASH, TestImage};

/// Changes a word of the GNU hash table.
fn gnu(image: &mut TestImage, place: usize, value: u32) {
    image.put32(image.at.gnu_hash + place, value);
}

/// Changes a word of the System V hash table.
fn sysv(image: &mut TestImage, place: usize, value: u32) {
    image.put32(image.at.sysv_hash + place, value);
}

/// The error of the GNU hash table.
fn bad_gnu(field: &'static str, index: u64, value: u64, limit: u64) -> PlanError {
    HashTable { tag: Tag(DT_GNU_HASH), field, index, value, limit }
}

/// The error of the System V hash table.
fn bad_sysv(field: &'static str, index: u64, value: u64, limit: u64) -> PlanError {
    HashTable { tag: Tag(DT_HASH), field, index, value, limit }
}

/// Bytes from a table of the first segment to its end.
fn rest(image: &TestImage, place: usize) -> u64 {
    (image.at.header_end - place) as u64
}

pub(crate) const TABLES: HostileClass = HostileClass {
    number: 18,
    title: "hash tables with impossible sizes, and chains that leave the table or do not end",
    cases: &[
        Refused("no bucket", |image| {
            gnu(image, 0, 0);
            bad_gnu("bucket count", 0, 0, 1)
        }),
        Refused("more buckets than the table has room for", |image| {
            let have = rest(image, image.at.gnu_hash);
            let count = (have - 24) / 4 + 1;
            gnu(image, 0, count as u32);
            bad_gnu("bucket count", 0, count, have)
        }),
        Refused("2^32 - 1 buckets", |image| {
            gnu(image, 0, u32::MAX);
            bad_gnu("bucket count", 0, u32::MAX.into(), rest(image, image.at.gnu_hash))
        }),
        Refused("no bloom filter", |image| {
            gnu(image, 8, 0);
            bad_gnu("bloom filter size", 0, 0, 1)
        }),
        Refused("bloom filter of three words", |image| {
            gnu(image, 8, 3);
            bad_gnu("bloom filter size", 0, 3, 1)
        }),
        Refused("bloom filter of 2^31 words", |image| {
            gnu(image, 8, 1 << 31);
            bad_gnu("bloom filter size", 0, 1 << 31, rest(image, image.at.gnu_hash))
        }),
        Refused("bloom filter of 2^32 - 1 words", |image| {
            gnu(image, 8, u32::MAX);
            bad_gnu("bloom filter size", 0, u32::MAX.into(), 1)
        }),
        Refused("shift of 32", |image| {
            gnu(image, 12, 32);
            bad_gnu("bloom filter shift", 0, 32, 31)
        }),
        Refused("shift of 64", |image| {
            gnu(image, 12, 64);
            bad_gnu("bloom filter shift", 0, 64, 31)
        }),
        Refused("shift of 2^32 - 1", |image| {
            gnu(image, 12, u32::MAX);
            bad_gnu("bloom filter shift", 0, u32::MAX.into(), 31)
        }),
        Refused("bucket below the first hashed symbol", |image| {
            gnu(image, 28, 2);
            bad_gnu("bucket", 1, 2, 3)
        }),
        Refused("first hashed symbol behind all buckets", |image| {
            let bucket = image.get32(image.at.gnu_hash + 24).into();
            gnu(image, 4, u32::MAX);
            bad_gnu("bucket", 0, bucket, u32::MAX.into())
        }),
        Refused("bucket behind the table", |image| {
            gnu(image, 28, 0x1000_0000);
            let words = (rest(image, image.at.gnu_hash) - 32) / 4;
            bad_gnu("chain of symbol", 0x1000_0000, 0x1000_0000, words)
        }),
        Refused("last possible bucket", |image| {
            gnu(image, 28, u32::MAX);
            let words = (rest(image, image.at.gnu_hash) - 32) / 4;
            bad_gnu("chain of symbol", u32::MAX.into(), u32::MAX.into(), words)
        }),
        Refused("chain without end", |image| {
            // A table at the end of the data: everything behind its buckets is even words.
            image.set_dynamic(DT_GNU_HASH, 0x4800);
            for (field, value) in [2, 3, 1, 6, 0, 0, 3, 0].into_iter().enumerate() {
                image.put32(0x2800 + 4 * field, value);
            }
            image.bytes[0x2820..0x3100].fill(2);
            bad_gnu("chain of symbol", 3, 3, (0x3100 - 0x2820) / 4)
        }),
        Refused("header of the GNU table cut off by its segment", |image| {
            image.set_dynamic(DT_GNU_HASH, 0x5100 - 15);
            bad_gnu("header size", 0, 16, 15)
        }),
        Refused("no bucket in the System V table", |image| {
            sysv(image, 0, 0);
            bad_sysv("bucket count", 0, 0, 1)
        }),
        Refused("2^32 - 1 buckets in the System V table", |image| {
            sysv(image, 0, u32::MAX);
            bad_sysv("bucket count", 0, u32::MAX.into(), rest(image, image.at.sysv_hash))
        }),
        Refused("2^32 - 1 symbols", |image| {
            sysv(image, 4, u32::MAX);
            bad_sysv("symbol count", 0, u32::MAX.into(), rest(image, image.at.sysv_hash))
        }),
        Refused("header of the System V table cut off by its segment", |image| {
            image.set_dynamic(DT_HASH, 0x5100 - 7);
            bad_sysv("header size", 0, 8, 7)
        }),
        Refused("bucket past the symbols", |image| {
            sysv(image, 8, 7);
            bad_sysv("bucket", 0, 7, 7)
        }),
        Refused("link past the symbols", |image| {
            sysv(image, 12 + 4 * 4, 8);
            bad_sysv("chain", 4, 8, 7)
        }),
        Refused("chain that is a loop", |image| {
            sysv(image, 12 + 4 * 6, 3);
            // Seven links are as many as there are symbols; 3 4 5 6 3 4 5, and the next one is too
            // many.
            bad_sysv("chain of bucket", 0, 6, 7)
        }),
        Refused("chain that becomes a loop later", |image| {
            sysv(image, 12 + 4 * 6, 5);
            bad_sysv("chain of bucket", 0, 6, 7)
        }),
        Refused("symbol that follows itself", |image| {
            sysv(image, 12 + 4 * 3, 3);
            bad_sysv("chain of bucket", 0, 3, 7)
        }),
        Series("every word of both tables, with every boundary value", every_word),
        // A filter that says no, or a wrong hash, hides a symbol and does nothing worse.
        Harmless(
            "a bloom filter that lets nothing through",
            |image| image.put64(image.at.gnu_hash + 16, 0),
            |loaded| assert_eq!(loaded.plan.export(b"entry"), None),
        ),
        Harmless(
            "buckets that are all empty",
            |image| {
                gnu(image, 24, 0);
                gnu(image, 28, 0);
            },
            |loaded| assert_eq!(loaded.plan.export(b"entry"), None),
        ),
    ],
};

/// Puts boundary values into every word: whatever is accepted answers every question.
fn every_word(machine: aicpu_executor::loader::Machine) {
    let valid = TestImage::new(machine);
    let places =
        (0..48).map(|at| valid.at.gnu_hash + at).chain((0..40).map(|at| valid.at.sysv_hash + at));
    for place in places.step_by(4) {
        for value in [0, 1, 2, 3, 6, 7, 8, 31, 32, 63, 64, 1 << 16, 1 << 31, u32::MAX - 1, u32::MAX]
        {
            for without in [None, Some(DT_HASH), Some(DT_GNU_HASH)] {
                let mut image = valid.clone();
                image.put32(place, value);
                if let Some(tag) = without {
                    image.replace_dynamic(tag, 0x6000_0002, 0);
                }
                let Ok(plan) = planned(&image) else { continue };
                for name in ["entry", "config", "table", "unique", "imported", "", "nobody"] {
                    let export = plan.export(name.as_bytes());
                    assert!(export.is_none_or(|found| found.vaddr < 0x6000), "{place:#x} {value}");
                }
            }
        }
    }
}

//! Class 30: images that would cost too much time or memory.
//!
//! Work is bounded by the bytes of the file, and memory by the span of the slot. The times are
//! those of the thread's processor, so that a busy machine does not count; they are far above what
//! was measured, and far below what a bomb without a bound would take.
#![expect(clippy::result_large_err, reason = "without an allocator errors travel by value")]

use std::time::Duration;

use aicpu_executor::loader::PlanError::{
    ImageTooLarge, SpanTooLarge, TableOutsideSegment, TooManyRelocations,
};
use aicpu_executor::loader::{LoadError, Machine, PlanError, PlanLimits, Tag, commit, plan};

use crate::class::Case::{Refused, Series};
use crate::class::{HostileClass, IMPORTED, planned};
use crate::support::Names;
use crate::support::checked_memory::CheckedMemory;
use crate::support::cpu_clock::thread_time;
use crate::support::image_builder::{
    DATA, DT_GNU_HASH, DT_HASH, DT_JMPREL, DT_PLTRELSZ, DT_RELA, DT_RELASZ, DT_RELR, DT_RELRSZ,
    DT_STRSZ, DT_STRTAB, DT_SYMTAB, RELRO, TestImage, WORDS,
};

/// Processor time for one image, however hostile. A build for debugging is slower.
const TIME_LIMIT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 2 });

/// Measures, and fails if it took too long.
fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = thread_time();
    let result = work();
    let took = thread_time() - start;
    println!("{what}: {} ms", took.as_millis());
    assert!(took < TIME_LIMIT, "{what} took {took:?}");
    result
}

/// Gives a table a size far behind the file.
fn claims(image: &mut TestImage, (address, size): (u64, u64), bytes: u64) -> PlanError {
    let vaddr = image.get64(image.dynamic(address) + 8);
    image.set_dynamic(size, bytes);
    TableOutsideSegment { tag: Tag(address), vaddr, bytes }
}

pub(crate) const BOMBS: HostileClass = HostileClass {
    number: 30,
    title: "images that cost too much time or memory",
    cases: &[
        Refused("2^32 relocations that are not there", |image| {
            claims(image, (DT_RELA, DT_RELASZ), 24 << 32)
        }),
        Refused("2^32 function slots that are not there", |image| {
            claims(image, (DT_JMPREL, DT_PLTRELSZ), 24 << 32)
        }),
        Refused("2^60 packed relocations that are not there", |image| {
            claims(image, (DT_RELR, DT_RELRSZ), 1 << 63)
        }),
        Refused("a terabyte of .bss", |image| {
            image.set_program(2, 40, 1 << 40);
            SpanTooLarge { bytes: RELRO + (1 << 40), limit: 16 << 20 }
        }),
        Refused("33 million words, packed 64 to one", |image| {
            let table = [DATA.to_le_bytes(), u64::MAX.to_le_bytes()].concat().repeat(1 << 19);
            let (_, vaddr) = image.append(&table);
            image.set_dynamic(DT_RELR, vaddr);
            image.set_dynamic(DT_RELRSZ, table.len() as u64);
            TooManyRelocations { limit: 1 << 20 }
        }),
        Series("a file above the limit", |machine| {
            let limit = PlanLimits::default().image_bytes;
            for (bytes, accepted) in [(limit, true), (limit + 1, false)] {
                let mut image = TestImage::new(machine);
                image.bytes.resize(bytes, 0);
                let expected = if accepted { Ok(()) } else { Err(ImageTooLarge { bytes, limit }) };
                assert_eq!(planned(&image).map(|_| ()), expected);
            }
        }),
        Series("the limit of relocations, one below and one beyond", |machine| {
            let image = TestImage::new(machine);
            for (relocations, accepted) in [(10, false), (11, true), (12, true)] {
                let limits = PlanLimits { relocations, ..PlanLimits::default() };
                let found = plan(&image.bytes, machine, &limits).map(|plan| plan.relocations());
                let refused = Err(TooManyRelocations { limit: relocations });
                assert_eq!(found, if accepted { Ok(11) } else { refused });
            }
        }),
        Series("as many packed relocations as may be", most_packed),
        Series("megabytes of relocations that take turns between two symbols", many_symbolic),
        Series("megabytes of symbols that all have the longest name", long_names),
        Series("megabytes of symbols in one chain", |machine| one_chain(machine, DT_HASH)),
        Series("megabytes of symbols with the same hash", |machine| {
            one_chain(machine, DT_GNU_HASH)
        }),
        Series("megabytes of unwind records of the smallest size", unwind_records),
    ],
};

fn most_packed(machine: Machine) {
    let mut image = TestImage::new(machine);
    // The eight of the other table come on top.
    let pairs = (1 << 20) / 64 - 1;
    let table = [DATA.to_le_bytes(), u64::MAX.to_le_bytes()].concat().repeat(pairs);
    let (_, vaddr) = image.append(&table);
    image.set_dynamic(DT_RELR, vaddr);
    image.set_dynamic(DT_RELRSZ, table.len() as u64);
    let plan = timed("packed, plan", || planned(&image)).expect("a valid image");
    assert_eq!(plan.relocations(), pairs * 64 + 8);
    let mut memory = CheckedMemory::new();
    let symbols = Names(&[("imported", IMPORTED)]);
    timed("packed, commit", || commit(&plan, &mut memory, &symbols)).expect("it loads");
}

/// Bytes of the tables of the next bombs: nearly what the largest slot has room for, or less where
/// building them takes longer than loading them.
const TABLE_BYTES: usize = if cfg!(debug_assertions) { 3 << 20 } else { 15 << 20 };

fn many_symbolic(machine: Machine) {
    let mut image = TestImage::new(machine);
    let number = image.numbers.absolute;
    let entry = |symbol: u64| {
        let info = symbol << 32 | u64::from(number);
        [WORDS + 32, info, 0].map(u64::to_le_bytes).concat()
    };
    let table = [entry(1), entry(2)].concat().repeat(TABLE_BYTES / 48);
    let (_, vaddr) = image.append(&table);
    image.set_dynamic(DT_JMPREL, vaddr);
    image.set_dynamic(DT_PLTRELSZ, table.len() as u64);
    let plan = timed("symbolic, plan", || planned(&image)).expect("a valid image");
    let mut memory = CheckedMemory::new();
    let symbols = Names(&[("imported", IMPORTED)]);
    timed("symbolic, commit", || commit(&plan, &mut memory, &symbols)).expect("it loads");
}

/// Gives the image another table of symbols: the null symbol, and `count` copies of one.
fn symbols(image: &mut TestImage, symbol: &[u8; 24], count: usize) {
    let mut table = vec![0; 24];
    table.extend(symbol.repeat(count));
    let (_, vaddr) = image.append(&table);
    image.set_dynamic(DT_SYMTAB, vaddr);
    let (_, vaddr) = image.append(&[&[b'n'; 4095][..], b"\0"].concat());
    image.set_dynamic(DT_STRTAB, vaddr);
    image.set_dynamic(DT_STRSZ, 4096);
    for tag in [1, 14] {
        image.replace_dynamic(tag, 0x6000_0002, 0);
    }
}

/// Replaces a hash table and leaves the other one out.
fn hash_table(image: &mut TestImage, tag: u64, words: impl Iterator<Item = u32>) {
    let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
    let (_, vaddr) = image.append(&bytes);
    image.set_dynamic(tag, vaddr);
    let other = if tag == DT_HASH { DT_GNU_HASH } else { DT_HASH };
    image.replace_dynamic(other, 0x6000_0002, 0);
}

fn long_names(machine: Machine) {
    let mut image = TestImage::new(machine);
    let count = TABLE_BYTES / 28;
    // Strong and undefined: its name is read when planning, and again when it is missed.
    let mut import = [0; 24];
    import[4] = 0x10;
    symbols(&mut image, &import, count);
    let total = count as u32 + 1;
    hash_table(&mut image, DT_HASH, [1, total, 0].into_iter().chain((0..total).map(|_| 0)));
    let plan = timed("names, plan", || planned(&image)).expect("a valid image");
    let mut memory = CheckedMemory::new();
    match timed("names, commit", || commit(&plan, &mut memory, &Names(&[]))) {
        Err(LoadError::Unresolved(missing)) => assert_eq!(missing.total(), count),
        other => panic!("{other:?}"),
    }
}

fn one_chain(machine: Machine, tag: u64) {
    let mut image = TestImage::new(machine);
    let count = TABLE_BYTES / 28;
    let mut function = [0; 24];
    function[4] = 0x12;
    function[6] = 2;
    function[8..16].copy_from_slice(&DATA.to_le_bytes());
    symbols(&mut image, &function, count);
    let total = count as u32 + 1;
    if tag == DT_HASH {
        // Each symbol leads to the next one, and the last to none.
        let links = (0..total).map(|symbol| if symbol + 1 == total { 0 } else { symbol + 1 });
        hash_table(&mut image, tag, [1, total, 1].into_iter().chain(links));
    } else {
        let header = [1, 1, 1, 0, u32::MAX, u32::MAX, 1];
        let hash = [b'n'; 4094]
            .iter()
            .chain(b"m")
            .fold(5381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add((*byte).into()));
        let chain = (1..total).map(|symbol| hash & !1 | u32::from(symbol + 1 == total));
        hash_table(&mut image, tag, header.into_iter().chain(chain));
    }
    let plan = timed("chain, plan", || planned(&image)).expect("a valid image");
    // The longest name, but for its last letter: every symbol is looked at.
    let name = [&[b'n'; 4094][..], b"m"].concat();
    assert_eq!(timed("chain, search", || plan.export(&name)), None);
}

fn unwind_records(machine: Machine) {
    let mut image = TestImage::new(machine);
    // Records of one byte behind their length.
    let (_, frame) = image.append(&[1, 0, 0, 0, 0].repeat(TABLE_BYTES / 5));
    let header = image.at.eh_frame_hdr;
    image.bytes[header + 1] = 0x3b;
    image.put32(header + 4, (frame - header as u64) as u32);
    let plan = timed("unwind, plan", || planned(&image)).expect("a valid image");
    assert_eq!(plan.eh_frame().map(|each| each.frame_vaddr), Some(frame));
}

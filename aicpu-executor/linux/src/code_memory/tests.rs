//! Code memory: rights, ranges, guard pages, and what is left after it.

use std::borrow::ToOwned;
use std::string::String;

use super::*;

/// `mov eax, 42; ret`, or the same for AArch64.
#[cfg(target_arch = "x86_64")]
const FORTY_TWO: &[u8] = &[0xB8, 42, 0, 0, 0, 0xC3];
#[cfg(target_arch = "aarch64")]
const FORTY_TWO: &[u8] = &[0x40, 0x05, 0x80, 0x52, 0xC0, 0x03, 0x5F, 0xD6];

/// Linux's number for "no memory".
const ENOMEM: i32 = 12;

fn reserved(pages: usize) -> (LinuxCodeMemory, u64) {
    let mut memory = LinuxCodeMemory::new();
    let base = memory.reserve(pages * page_size(), page_size()).unwrap();
    (memory, base)
}

/// The error of a range that is refused without asking the system.
fn refused(operation: MemoryOperation, offset: usize, length: usize) -> MemoryError {
    MemoryError { operation, offset, length, os_error: 0 }
}

/// Start, end and rights of the piece of this process's memory that has `address`.
fn piece_at(address: u64) -> Option<(u64, u64, String)> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().find_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let parse = |text| u64::from_str_radix(text, 16).ok();
        let (start, end) = (parse(start)?, parse(end)?);
        (start <= address && address < end).then(|| (start, end, rest[..4].to_owned()))
    })
}

fn rights_at(address: u64) -> Option<String> {
    piece_at(address).map(|(_, _, rights)| rights)
}

/// Calls code as a function without arguments.
fn call(base: u64, offset: usize) -> i32 {
    let code = ptr::with_exposed_provenance::<()>(base as usize + offset);
    // SAFETY: the tests put a function of this type there, and sealed it.
    let function = unsafe { core::mem::transmute::<*const (), extern "C" fn() -> i32>(code) };
    function()
}

#[test]
fn written_code_runs_once_it_is_sealed() {
    let (mut memory, base) = reserved(2);
    let page = page_size();
    memory.write(page, FORTY_TWO).unwrap();
    memory.protect(page, page, Protection::READ | Protection::EXECUTE).unwrap();
    memory.sync_instruction_cache(page, FORTY_TWO.len()).unwrap();
    assert_eq!(call(base, page), 42);
}

#[test]
fn code_can_be_published_whether_or_not_it_was_asked_to_be_readable() {
    let (mut memory, base) = reserved(1);
    memory.write(0, FORTY_TWO).unwrap();
    memory.protect(0, page_size(), Protection::EXECUTE).unwrap();
    memory.sync_instruction_cache(0, page_size()).unwrap();
    assert_eq!(rights_at(base).as_deref(), Some("r-xp"));
    assert_eq!(call(base, 0), 42);
    memory.protect(0, page_size(), Protection::empty()).unwrap();
    let operation = MemoryOperation::SyncInstructionCache;
    assert_eq!(memory.sync_instruction_cache(0, 4), Err(refused(operation, 0, 4)));
}

#[test]
fn a_reservation_is_aligned_and_holds_what_is_written() {
    let mut memory = LinuxCodeMemory::new();
    let page = memory.page_bytes();
    let base = memory.reserve(2 * page, 1 << 21).unwrap();
    assert_eq!(base % (1 << 21), 0);
    memory.write(2 * page - 3, b"end").unwrap();
    memory.zero(2 * page - 3, 1).unwrap();
    let mut bytes = [0xEE; 3];
    memory.read(2 * page - 3, &mut bytes).unwrap();
    assert_eq!(&bytes, b"\0nd");
}

#[test]
fn a_sealed_page_refuses_writes_and_the_others_do_not() {
    let (mut memory, _) = reserved(2);
    let page = page_size();
    memory.protect(0, page, Protection::READ).unwrap();
    let across = memory.write(page - 2, &[1, 2, 3, 4]);
    assert_eq!(across, Err(refused(MemoryOperation::Write, page - 2, 4)));
    assert_eq!(memory.zero(0, 1), Err(refused(MemoryOperation::Zero, 0, 1)));
    memory.write(page, &[9]).unwrap();
    let mut back = [1; 2];
    memory.read(page - 1, &mut back).unwrap();
    assert_eq!(back, [0, 9]);
    memory.protect(0, page, Protection::empty()).unwrap();
    assert_eq!(memory.read(0, &mut back), Err(refused(MemoryOperation::Read, 0, 2)));
}

#[test]
fn writable_and_executable_together_is_refused() {
    let (mut memory, base) = reserved(1);
    let (page, operation) = (page_size(), MemoryOperation::Protect);
    let both = Protection::WRITE | Protection::EXECUTE;
    for rights in [both, both | Protection::READ] {
        assert_eq!(memory.protect(0, page, rights), Err(refused(operation, 0, page)));
    }
    assert_eq!(rights_at(base).as_deref(), Some("rw-p"));
    assert!(memory.write(0, &[1]).is_ok(), "nothing changed");
}

#[test]
fn ranges_outside_the_reservation_are_refused() {
    let (mut memory, _) = reserved(1);
    let page = page_size();
    assert!(memory.write(page, &[]).is_ok());
    assert_eq!(memory.write(page, &[1]), Err(refused(MemoryOperation::Write, page, 1)));
    assert!(memory.write(page + 1, &[]).is_err());
    assert!(memory.write(page - 1, &[1, 2]).is_err());
    assert!(memory.write(usize::MAX, &[1, 2]).is_err());
    let far = usize::MAX;
    assert_eq!(memory.zero(far, 2), Err(refused(MemoryOperation::Zero, far, 2)));
    assert!(memory.zero(1, usize::MAX).is_err());
    assert!(memory.protect(page, page, Protection::READ).is_err());
    assert!(memory.protect(1, page - 1, Protection::READ).is_err());
    assert!(memory.protect(0, page - 1, Protection::READ).is_err());
    assert!(memory.sync_instruction_cache(0, page + 1).is_err());
    assert!(memory.read(page, &mut [0]).is_err());
}

#[test]
fn more_changes_of_rights_than_are_kept_are_refused_before_they_are_made() {
    let (mut memory, base) = reserved(200);
    let (page, operation) = (page_size(), MemoryOperation::Protect);
    let first_refused = (0..100).find(|change| {
        let result = memory.protect(2 * change * page, page, Protection::READ);
        assert!(result.is_ok() || result == Err(refused(operation, 2 * change * page, page)));
        result.is_err()
    });
    let change = first_refused.unwrap();
    assert!(change >= 33, "the loader asks for as many");
    assert_eq!(rights_at(base + (2 * change * page) as u64).as_deref(), Some("rw-p"));
    assert!(memory.write(2 * change * page, &[1]).is_ok());
    memory.protect(0, 200 * page, Protection::READ).unwrap();
    assert!(memory.write(2 * change * page, &[1]).is_err(), "all in one change has room");
}

#[test]
fn one_value_holds_one_reservation_and_can_be_used_again() {
    let (mut memory, _) = reserved(1);
    let page = page_size();
    assert_eq!(memory.reserve(page, page), Err(refused(MemoryOperation::Reserve, 0, page)));
    assert!(memory.is_reserved());
    memory.protect(0, page, Protection::READ).unwrap();
    memory.release();
    memory.release();
    assert!(!memory.is_reserved());
    assert_eq!(memory.read(0, &mut []), Err(refused(MemoryOperation::Read, 0, 0)));
    assert_eq!(memory.zero(0, 0), Err(refused(MemoryOperation::Zero, 0, 0)));
    assert!(memory.protect(0, 0, Protection::READ).is_err());
    let base = memory.reserve(page, 64 << 10).unwrap();
    assert!(base.is_multiple_of(64 << 10));
    assert!(memory.write(0, &[1]).is_ok(), "the new pages are writable again");
}

#[test]
fn spans_and_alignments_that_make_no_sense_are_refused() {
    let page = page_size();
    let whole = usize::MAX & !(page - 1);
    for (span, align) in
        [(0, page), (page + 1, page), (page, page / 2), (page, 3 * page), (page, 0), (whole, page)]
    {
        let result = LinuxCodeMemory::new().reserve(span, align);
        assert_eq!(result, Err(refused(MemoryOperation::Reserve, 0, span)), "{align}");
    }
}

#[test]
fn a_span_that_the_system_does_not_have_is_the_error_of_the_system() {
    let mut memory = LinuxCodeMemory::new();
    // More than the address space of a program.
    let (span, align) = (page_size(), 1 << 56);
    let error = memory.reserve(span, align).unwrap_err();
    assert_eq!(
        error,
        MemoryError { os_error: ENOMEM, ..refused(MemoryOperation::Reserve, 0, span) }
    );
    assert!(!memory.is_reserved());
    memory.reserve(span, span).unwrap();
}

#[test]
fn both_neighbour_pages_are_without_access() {
    for align in [page_size(), 1 << 20] {
        let mut memory = LinuxCodeMemory::new();
        let base = memory.reserve(page_size(), align).unwrap();
        assert_eq!(rights_at(base).as_deref(), Some("rw-p"));
        assert_eq!(rights_at(base - 1).as_deref(), Some("---p"));
        assert_eq!(rights_at(base - page_size() as u64).as_deref(), Some("---p"));
        assert_eq!(rights_at(base + page_size() as u64).as_deref(), Some("---p"));
        assert_eq!(rights_at(base + 2 * page_size() as u64 - 1).as_deref(), Some("---p"));
    }
}

#[test]
fn dropping_and_releasing_give_the_memory_back() {
    // A size that nothing else in this process has, whoever gets the addresses next.
    let pages = 1237;
    let give_back: [fn(LinuxCodeMemory); 2] = [drop, |mut memory| {
        memory.release();
        // What is left must not give it back a second time.
        core::mem::forget(memory);
    }];
    for give_back in give_back {
        let (memory, base) = reserved(pages);
        let piece = (base, base + (pages * page_size()) as u64, "rw-p".to_owned());
        assert_eq!(piece_at(base), Some(piece.clone()));
        give_back(memory);
        assert_ne!(piece_at(base), Some(piece));
    }
}

//! Code memory: rights, ranges and guard pages.

use super::*;

/// `mov eax, 42; ret`, or the same for AArch64.
#[cfg(target_arch = "x86_64")]
const FORTY_TWO: &[u8] = &[0xB8, 42, 0, 0, 0, 0xC3];
#[cfg(target_arch = "aarch64")]
const FORTY_TWO: &[u8] = &[0x40, 0x05, 0x80, 0x52, 0xC0, 0x03, 0x5F, 0xD6];

fn reserved(pages: usize) -> (SimCodeMemory, u64) {
    let mut memory = SimCodeMemory::default();
    let base = memory.reserve(pages * page_size(), page_size()).unwrap();
    (memory, base)
}

#[test]
fn written_code_runs_once_it_is_sealed() {
    let (mut memory, base) = reserved(2);
    let page = page_size();
    memory.write(page, FORTY_TWO).unwrap();
    memory.protect(page, page, Protection::READ | Protection::EXECUTE).unwrap();
    memory.sync_instruction_cache(page, FORTY_TWO.len()).unwrap();
    let code = core::ptr::with_exposed_provenance::<()>(base as usize + page);
    // SAFETY: the bytes above are a function of this type.
    let function = unsafe { core::mem::transmute::<*const (), extern "C" fn() -> i32>(code) };
    assert_eq!(function(), 42);
}

#[test]
fn a_sealed_page_refuses_writes_and_the_others_do_not() {
    let (mut memory, _) = reserved(2);
    let page = page_size();
    memory.protect(0, page, Protection::READ).unwrap();
    let refused = memory.write(page - 2, &[1, 2, 3, 4]).unwrap_err();
    assert_eq!((refused.offset, refused.length, refused.os_error), (page - 2, 4, 0));
    assert!(memory.zero(0, 1).is_err());
    memory.write(page, &[9]).unwrap();
    let mut back = [1; 2];
    memory.read(page - 1, &mut back).unwrap();
    assert_eq!(back, [0, 9]);
    memory.protect(0, page, Protection::empty()).unwrap();
    assert!(memory.read(0, &mut back).is_err());
}

#[test]
fn writable_and_executable_together_is_refused() {
    let (mut memory, _) = reserved(1);
    let all = Protection::READ | Protection::WRITE | Protection::EXECUTE;
    assert!(memory.protect(0, page_size(), all).is_err());
    assert!(memory.write(0, &[1]).is_ok(), "nothing changed");
}

#[test]
fn ranges_outside_the_reservation_are_refused() {
    let (mut memory, _) = reserved(1);
    let page = page_size();
    assert!(memory.write(page, &[]).is_ok());
    assert!(memory.write(page, &[1]).is_err());
    assert!(memory.write(page - 1, &[1, 2]).is_err());
    assert!(memory.write(usize::MAX, &[1, 2]).is_err());
    assert!(memory.zero(1, usize::MAX).is_err());
    assert!(memory.protect(page, page, Protection::READ).is_err());
    assert!(memory.protect(1, page - 1, Protection::READ).is_err());
    assert!(memory.sync_instruction_cache(0, page + 1).is_err());
    assert!(memory.read(page, &mut [0]).is_err());
}

#[test]
fn one_value_holds_one_reservation_and_can_be_used_again() {
    let (mut memory, _) = reserved(1);
    assert!(memory.reserve(page_size(), page_size()).is_err());
    memory.release();
    memory.release();
    assert!(memory.write(0, &[1]).is_err(), "there is no memory now");
    let base = memory.reserve(page_size(), 64 << 10).unwrap();
    assert!(base.is_multiple_of(64 << 10));
    assert!(memory.write(0, &[1]).is_ok());
}

#[test]
fn spans_and_alignments_that_make_no_sense_are_refused() {
    let page = page_size();
    for (span, align) in [(0, page), (page + 1, page), (page, page / 2), (page, 3 * page)] {
        assert!(SimCodeMemory::default().reserve(span, align).is_err(), "{span} {align}");
    }
    assert!(SimCodeMemory::default().reserve(usize::MAX & !(page - 1), page).is_err());
}

#[test]
fn both_neighbour_pages_are_without_access() {
    let (_memory, base) = reserved(1);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let rights_at = |address: u64| {
        maps.lines().find_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (start, end) = range.split_once('-')?;
            let parse = |text| u64::from_str_radix(text, 16).ok();
            (parse(start)? <= address && address < parse(end)?).then(|| rest[..4].to_owned())
        })
    };
    assert_eq!(rights_at(base).as_deref(), Some("rw-p"));
    assert_eq!(rights_at(base - 1).as_deref(), Some("---p"));
    assert_eq!(rights_at(base + page_size() as u64).as_deref(), Some("---p"));
}

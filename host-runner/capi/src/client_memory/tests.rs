//! Memory that can be used, and memory that cannot, in every way that the system knows.

use super::*;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

/// Pages of the tests' own, unmapped at the end.
struct Pages {
    start: *mut c_void,
    bytes: usize,
}

impl Pages {
    fn new(count: usize) -> Self {
        let bytes = count * page_size();
        let rights = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the system picks the place.
        let start = unsafe {
            mmap_anonymous(std::ptr::null_mut(), bytes, rights, MapFlags::PRIVATE).unwrap()
        };
        Self { start, bytes }
    }

    fn page(&self, index: usize) -> *mut c_void {
        self.start.wrapping_byte_add(index * page_size())
    }

    fn protect(&self, index: usize, rights: MprotectRights) {
        // SAFETY: the page is the test's own and nobody looks at it.
        unsafe { mprotect(self.page(index), page_size(), rights).unwrap() };
    }

    fn unmap(&self, index: usize) {
        // SAFETY: as in `protect`.
        unsafe { munmap(self.page(index), page_size()).unwrap() };
    }
}

use rustix::mm::MprotectFlags as MprotectRights;

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the pages are the test's own; a hole in them is no error.
        unsafe { munmap(self.start, self.bytes).unwrap() };
    }
}

fn reads(address: *const c_void, bytes: usize) -> bool {
    check("memory", address, bytes, Access::Read).is_ok()
}

fn writes(address: *const c_void, bytes: usize) -> bool {
    check("memory", address, bytes, Access::Write).is_ok()
}

#[test]
fn ordinary_memory_can_be_used_at_any_alignment() {
    let pages = Pages::new(3);
    for offset in [0, 1, 63, page_size() - 1, page_size() + 7] {
        let start = pages.start.wrapping_byte_add(offset);
        let bytes = pages.bytes - offset;
        assert!(reads(start, bytes) && writes(start, bytes), "{offset}");
        assert!(!reads(start, bytes + 2 * page_size() * 1024), "{offset}");
    }
    assert!(reads(std::ptr::null(), 0) && writes(std::ptr::without_provenance(1), 0));
}

#[test]
fn null_wild_and_wrapping_ranges_are_refused() {
    for address in [0, 1, 8, 4095, 0xDEAD_BEEF_0000, 1 << 62, usize::MAX, usize::MAX - 4096] {
        let address = std::ptr::without_provenance(address);
        assert!(!reads(address, 8) && !writes(address, 8), "{address:p}");
        assert!(!reads(address, usize::MAX) && !writes(address, usize::MAX), "{address:p}");
    }
}

#[test]
fn a_hole_in_the_middle_is_found() {
    let pages = Pages::new(3);
    pages.unmap(1);
    assert!(writes(pages.page(0), page_size()) && writes(pages.page(2), page_size()));
    assert!(!reads(pages.page(0), page_size() + 1));
    assert!(!reads(pages.start, pages.bytes) && !writes(pages.start, pages.bytes));
}

#[test]
fn rights_are_looked_at_for_every_page() {
    let pages = Pages::new(3);
    pages.protect(1, MprotectRights::READ);
    pages.protect(2, MprotectRights::empty());
    assert!(reads(pages.page(0), 2 * page_size()) && writes(pages.page(0), page_size()));
    assert!(!writes(pages.page(0), page_size() + 1));
    assert!(!reads(pages.page(1), page_size() + 1) && !reads(pages.page(2), 1));
}

#[test]
fn what_a_mapped_file_does_not_have_is_refused() {
    let file = rustix::fs::memfd_create("capi-test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&file, page_size() as u64).unwrap();
    // SAFETY: the system picks the place.
    let start = unsafe {
        let rights = ProtFlags::READ | ProtFlags::WRITE;
        rustix::mm::mmap(std::ptr::null_mut(), 2 * page_size(), rights, MapFlags::SHARED, &file, 0)
            .unwrap()
    };
    let pages = Pages { start, bytes: 2 * page_size() };
    assert!(reads(pages.page(0), page_size()) && writes(pages.page(0), page_size()));
    assert!(!reads(pages.page(0), page_size() + 1) && !writes(pages.page(1), 1));
}

#[test]
fn a_copy_has_the_bytes_and_a_record_is_read_at_any_alignment() {
    let bytes: Vec<u8> = (0..=255).collect();
    let at = |offset: usize| bytes[offset..].as_ptr().cast();
    // SAFETY: the vector stays as it is.
    let copied = unsafe { copy("bytes", at(3), 200) };
    assert_eq!(copied.as_deref(), Ok(&bytes[3..203]));
    // SAFETY: as above.
    let number: Result<u64, _> = unsafe { read("number", at(1)) };
    assert_eq!(number, Ok(0x0807_0605_0403_0201));
    // SAFETY: the address is refused before it is followed.
    let refused = unsafe { read::<u64>("number", std::ptr::null()) };
    assert!(refused.unwrap_err().text.contains("number is NULL"));
}

#[test]
fn the_list_of_mappings_decides_where_the_system_does_not() {
    let list = "1000-3000 r--p 0 0:0 0\n3000-4000 rw-p 0 0:0 0\n5000-6000 ---p 0 0:0 0\n";
    let can = |start, end, access| covers(list, start, end, access);
    assert!(can(0x1000, 0x4000, Access::Read) && can(0x3000, 0x4000, Access::Write));
    assert!(can(0x1001, 0x3001, Access::Read) && !can(0x2FFF, 0x3001, Access::Write));
    assert!(!can(0xFFF, 0x1001, Access::Read) && !can(0x3FFF, 0x4001, Access::Read));
    assert!(!can(0x5000, 0x5001, Access::Read) && !can(0x7000, 0x7001, Access::Read));
    let own = [0u8; 64];
    let start = own.as_ptr().addr();
    assert!(is_listed(start, start + 64, Access::Write) && !is_listed(8, 16, Access::Read));
}

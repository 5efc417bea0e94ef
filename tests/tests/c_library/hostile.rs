//! Blobs that are cut off, random, forged or not there at all (spec callable §7.2, S1): refused, and the
//! library works afterwards.
//!
//! Each blob ends where its memory ends, so that a step too far would end the process.

use std::ffi::c_void;
use std::ptr;

use libloading::os::unix::Library;
use protocol::ChipCallable;
use tests::c_library::{Client, HostLibrary};

use crate::setting::{CHIPS, Floats, GOLDEN, held, vector_add, with_client};

const PAGE: usize = 4096;

/// Bytes that end where memory ends: behind them is a page without access.
pub(crate) struct AtTheEdge {
    pages: *mut c_void,
    mapped: usize,
    start: *mut u8,
    room: usize,
}

type Map = unsafe extern "C" fn(*mut c_void, usize, i32, i32, i32, i64) -> *mut c_void;
type Protect = unsafe extern "C" fn(*mut c_void, usize, i32) -> i32;
type Unmap = unsafe extern "C" fn(*mut c_void, usize) -> i32;

impl AtTheEdge {
    pub(crate) fn new(room: usize) -> Self {
        let mapped = room.next_multiple_of(PAGE) + PAGE;
        let process = Library::this();
        // SAFETY: the C library's functions, on pages that the system picks: private, anonymous.
        let pages = unsafe {
            let map = process.get::<Map>(b"mmap").unwrap();
            let pages = map(ptr::null_mut(), mapped, 1 | 2, 2 | 0x20, -1, 0);
            let protect = process.get::<Protect>(b"mprotect").unwrap();
            assert_eq!(protect(pages.byte_add(mapped - PAGE), PAGE, 0), 0);
            pages
        };
        let start = pages.wrapping_byte_add(mapped - PAGE - room).cast();
        Self { pages, mapped, start, room }
    }

    /// Puts bytes at the very end.
    pub(crate) fn put(&self, bytes: &[u8]) -> *const c_void {
        assert!(bytes.len() <= self.room);
        let start = self.start.wrapping_add(self.room - bytes.len());
        // SAFETY: they fit.
        unsafe { start.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        start.cast()
    }
}

impl Drop for AtTheEdge {
    fn drop(&mut self) {
        // SAFETY: the pages are the test's own.
        unsafe { Library::this().get::<Unmap>(b"munmap").unwrap()(self.pages, self.mapped) };
    }
}

/// A reproducible stream of numbers.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        // CAST: the remainder is below a `usize`.
        (self.next() % limit as u64) as usize
    }
}

fn works(client: &Client<'_>, edge: &AtTheEdge, blob: &[u8]) {
    assert_eq!(client.prepare_at(9, edge.put(blob)), 0, "{}", client.last_error());
    Floats::run_and_check(client, 9, GOLDEN);
    assert_eq!(client.unregister(9), 0);
}

#[test]
fn s1_a_blob_that_is_cut_off_anywhere_is_refused() {
    with_client(|client| {
        let blob = vector_add(CHIPS[0].1);
        let edge = AtTheEdge::new(blob.len());
        let before = held(client);
        let header = size_of::<ChipCallable>();
        let near = [0, 1, 8, 260, 328, 4428, header - 1, header, header + 1, blob.len() - 1];
        let step = blob.len() / 200;
        for length in near.into_iter().chain((0..blob.len()).step_by(step)) {
            let code = client.prepare_at(9, edge.put(&blob[..length]));
            assert_eq!(code, -1, "{length} of {} bytes", blob.len());
        }
        assert_eq!(held(client), before);
        works(client, &edge, &blob);
    });
}

#[test]
fn random_bytes_are_refused() {
    with_client(|client| {
        let edge = AtTheEdge::new(20_000);
        let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
        for _ in 0..200 {
            let length = numbers.below(edge.room);
            let bytes: Vec<u8> = (0..length).map(|_| numbers.next() as u8).collect();
            assert_eq!(client.prepare_at(9, edge.put(&bytes)), -1);
        }
    });
}

/// Numbers of the header that are wrong, each alone, and several together.
#[test]
fn forged_headers_are_refused_or_harmless() {
    with_client(|client| {
        let blob = vector_add(CHIPS[0].1);
        let edge = AtTheEdge::new(blob.len());
        let fields = [256, 260, 328, 332, 336, 4428, 4432, 4436, 8524, 8592];
        let values =
            [1, 2, 63, 64, 65, 1023, 1024, 1025, 1 << 20, 1 << 31, u32::MAX - 63, u32::MAX];
        for at in fields {
            for value in values {
                let mut forged = blob.clone();
                forged[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
                let code = client.prepare_at(9, edge.put(&forged));
                // Some of them are callables too, such as one with other directions.
                assert!(code == -1 || client.unregister(9) == 0, "{at} {value}: {code}");
            }
        }
        let mut numbers = Numbers(77);
        for _ in 0..200 {
            let mut forged = blob.clone();
            for _ in 0..=numbers.below(4) {
                // Header and first kernel: images are for the loader's own tests.
                let at = numbers.below(size_of::<ChipCallable>() + 8);
                forged[at] ^= 1 << numbers.below(8);
            }
            let code = client.prepare_at(9, edge.put(&forged));
            assert!(code == -1 || client.unregister(9) == 0, "{code}");
        }
        works(client, &edge, &blob);
    });
}

#[test]
fn pointers_into_nothing_are_refused() {
    with_client(|client| {
        let blob = vector_add(CHIPS[0].1);
        let edge = AtTheEdge::new(blob.len());
        let end = edge.put(&blob).wrapping_byte_add(blob.len());
        for address in
            [1, 2, 3, 4095, 0xDEAD_BEEF_0000, 1 << 47, 1 << 63, usize::MAX - 8, usize::MAX]
        {
            assert_eq!(client.prepare_at(9, ptr::without_provenance(address)), -1, "{address:#x}");
            assert_eq!(client.run_at(9, ptr::without_provenance(address), 3, 4, 0), -1);
        }
        for back in [0, 1, 100, 8596] {
            assert_eq!(client.prepare_at(9, end.wrapping_byte_sub(back)), -1, "{back}");
        }
        works(client, &edge, &blob);
        // A record of a run that is cut off.
        assert_eq!(client.prepare(9, &blob), 0);
        assert_eq!(client.run_at(9, edge.put(&[0; 3591]), 3, 4, 0), -1);
        assert!(client.last_error().contains("the arguments"), "{}", client.last_error());
    });
}

/// The call of ours that passes the size.
#[test]
fn a_stated_size_is_not_exceeded() {
    type Prepare = unsafe extern "C" fn(*mut c_void, i32, *const c_void, usize) -> i32;
    let library = HostLibrary::open("a2a3_trb");
    let client = library.attach();
    let blob = vector_add(CHIPS[0].1);
    let edge = AtTheEdge::new(blob.len());
    let start = edge.put(&blob);
    // SAFETY: its type.
    let prepare: Prepare = unsafe { library.function("simpler_rs_v1_prepare_callable_sized") };
    for size in [0, 1, 8596, blob.len() - 1, blob.len() + 1, 1 << 40, usize::MAX] {
        // SAFETY: what is not there is found.
        assert_eq!(unsafe { prepare(client.context, 9, start, size) }, -1, "{size}");
    }
    // SAFETY: as above.
    assert_eq!(unsafe { prepare(client.context, 9, start, blob.len()) }, 0);
    Floats::run_and_check(&client, 9, GOLDEN);
}

//! What registration does with the caller's bytes: it reads them.

#![expect(unsafe_code, reason = "memory that can be read and not written")]

use std::ptr;

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};

use super::*;
use crate::registry::content::SharedBytes;
use crate::registry::{Identity, Placement};
use crate::runtime_name::RuntimeName;

/// Bytes in memory that nobody can write to, from an offset on.
struct ReadOnly {
    base: *mut std::ffi::c_void,
    mapped: usize,
    offset: usize,
    bytes: usize,
}

impl ReadOnly {
    fn new(bytes: &[u8], offset: usize) -> Self {
        let mapped = (offset + bytes.len()).next_multiple_of(rustix::param::page_size());
        let writable = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: fresh memory of this test's own.
        let base = unsafe {
            rustix::mm::mmap_anonymous(ptr::null_mut(), mapped, writable, MapFlags::PRIVATE)
        };
        let base = base.unwrap();
        // SAFETY: inside what was mapped; then nobody writes to it any more.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), base.cast::<u8>().add(offset), bytes.len());
            rustix::mm::mprotect(base, mapped, MprotectFlags::READ).unwrap();
        }
        Self { base, mapped, offset, bytes: bytes.len() }
    }
}

impl AsRef<[u8]> for ReadOnly {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: mapped, written, and readable as long as this lives.
        unsafe { std::slice::from_raw_parts(self.base.cast::<u8>().add(self.offset), self.bytes) }
    }
}

// SAFETY: owns its mapping, which can only be read.
unsafe impl Send for ReadOnly {}
// SAFETY: as above.
unsafe impl Sync for ReadOnly {}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        // SAFETY: as it was mapped; nobody uses it any more.
        unsafe { rustix::mm::munmap(self.base, self.mapped) }.unwrap();
    }
}

/// Places a callable from its caller's memory, and hands out what a run would be told.
fn place(bench: &Bench, blob: &SharedBytes) -> (Placement, protocol::RuntimeBody) {
    let identity = Identity { id: CallableId::new(3).unwrap(), generation: 1, digest_prefix: 0 };
    let placement = Placement::place(&bench.on, identity, "test", blob, RuntimeName::Trb).unwrap();
    let mut body = protocol::RuntimeBody::default();
    placement.bind(&mut body);
    (placement, body)
}

/// Spec callable §7.1, H9. A write would end the process.
#[test]
fn h9_a_callable_in_memory_that_cannot_be_written_is_registered_and_stays_as_it_is() {
    let bench = Bench::new();
    let callable = storing(0);
    let memory = SharedBytes::of(ReadOnly::new(callable.blob(), 0));
    let (first, _) = place(&bench, &memory);
    assert!(first.traffic().bytes_uploaded > 0);
    first.remove().unwrap();
    assert_eq!(*memory, *callable.blob());
    bench.assert_empty();
}

/// The second part of H9: registering the same object twice is a hit, whatever was run in between.
#[test]
fn h9_the_same_object_registered_again_is_found_on_the_device() {
    let bench = Bench::new();
    let callable = storing(0);
    let before = callable.blob().to_vec();
    let first = bench.register(&callable).unwrap();
    for _ in 0..3 {
        let again = bench.register(&callable).unwrap();
        let traffic = again.placement().as_ref().unwrap().traffic();
        assert_eq!(traffic, Traffic { bytes_uploaded: 0, hits: 2, loads: 1 });
        bench.unregister(&again);
    }
    assert_eq!(callable.blob(), before, "byte for byte");
    bench.unregister(&first);
    bench.assert_empty();
}

/// Spec callable §7.1, H14: whatever address the caller's blob has, what is on the device is aligned.
#[test]
fn h14_images_and_kernels_are_aligned_on_the_device_wherever_the_callers_blob_is() {
    let bench = Bench::new();
    let callable = storing(0);
    for offset in [0, 1, 2, 4, 20, 63] {
        let memory = SharedBytes::of(ReadOnly::new(callable.blob(), offset));
        let (placement, body) = place(&bench, &memory);
        for address in [body.func_id_to_addr[0], body.dev_orch_so_addr.raw()] {
            assert!(address != 0 && address.is_multiple_of(64), "{address:#x} for {offset}");
        }
        placement.remove().unwrap();
        bench.assert_empty();
    }
}

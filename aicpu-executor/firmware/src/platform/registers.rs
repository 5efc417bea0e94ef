//! Core registers: 32-bit accesses to device memory, each between two full barriers.
//!
//! Boundary D wants it so on both sides (spec trb §6.2): what was written to memory before a
//! dispatch word is visible to the core that sees the word, and what the core wrote before its
//! condition word is visible here after the read. On aarch64 the barriers are system-wide ones,
//! because the cores are not in this processor's inner shareable domain.

use aicpu_executor::platform::RegisterBlock;
use aicpu_linux::cache;

/// Orders all memory accesses before it against all after it, for every observer of the system.
#[inline]
pub(super) fn full_barrier() {
    #[cfg(target_arch = "x86_64")]
    // ORDERING: SeqCst: the one fence that orders a store before a later load.
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a barrier changes nothing.
    unsafe {
        core::arch::asm!("dmb sy", options(nostack, preserves_flags));
    }
}

/// Reads entry `index` of the array of register block addresses.
///
/// `None` if there is no array, it is misaligned, or the entry is 0 or misaligned for registers.
pub(super) fn block_address(table: u64, index: usize) -> Option<u64> {
    let table = usize::try_from(table).ok()?;
    let entries = core::ptr::with_exposed_provenance::<u64>(table);
    if entries.is_null() || !entries.is_aligned() {
        return None;
    }
    let entry = entries.wrapping_add(index);
    // The host has written it for this launch, perhaps where this processor has looked before.
    cache::invalidate(entry.expose_provenance() as u64, size_of::<u64>());
    // SAFETY: the host named an array with an entry for each physical core of the chip, and the
    // caller has compared the index with that number.
    let address = unsafe { entry.read_volatile() };
    (address != 0 && address.is_multiple_of(align_of::<u32>() as u64)).then_some(address)
}

/// Reads the register at byte `offset` of a block.
pub(super) fn read(block: RegisterBlock, offset: usize) -> u32 {
    full_barrier();
    // CAST: both targets have 64-bit addresses.
    let register = core::ptr::with_exposed_provenance::<u32>(block.0 as usize + offset);
    // SAFETY: the block comes from the host's table, the offset is one of the chip's registers.
    let value = unsafe { register.read_volatile() };
    full_barrier();
    value
}

/// Writes the register at byte `offset` of a block.
pub(super) fn write(block: RegisterBlock, offset: usize, value: u32) {
    full_barrier();
    // CAST: both targets have 64-bit addresses.
    let register = core::ptr::with_exposed_provenance_mut::<u32>(block.0 as usize + offset);
    // SAFETY: the block comes from the host's table, the offset is one of the chip's registers.
    unsafe { register.write_volatile(value) };
    full_barrier();
}

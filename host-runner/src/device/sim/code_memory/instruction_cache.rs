//! Makes new instructions visible to instruction fetches.
//!
//! On x86-64 the hardware does it. On AArch64 the data cache is cleaned to the point of
//! unification and the instruction cache invalidated line by line (Arm ARM, B2.4.4); other cores
//! synchronise their fetches by the system calls that lie between this and their first call.

/// Does so for `length` bytes at `start`, which are mapped.
#[cfg(target_arch = "x86_64")]
pub(super) fn synchronise(_start: *const u8, _length: usize) {}

/// Does so for `length` bytes at `start`, which are mapped.
#[cfg(target_arch = "aarch64")]
pub(super) fn synchronise(start: *const u8, length: usize) {
    use core::arch::asm;

    let cache_type: usize;
    // SAFETY: reads a register that Linux lets programs read.
    unsafe { asm!("mrs {}, ctr_el0", out(reg) cache_type, options(nomem, nostack)) };
    let data_line = 4_usize << (cache_type >> 16 & 0xF);
    let instruction_line = 4_usize << (cache_type & 0xF);
    let (first, end) = (start.addr(), start.addr() + length);
    for line in (first & !(data_line - 1)..end).step_by(data_line) {
        // SAFETY: cleaning a line of mapped memory changes no contents.
        unsafe { asm!("dc cvau, {}", in(reg) line, options(nostack)) };
    }
    // SAFETY: a barrier.
    unsafe { asm!("dsb ish", options(nostack)) };
    for line in (first & !(instruction_line - 1)..end).step_by(instruction_line) {
        // SAFETY: invalidating a line of instructions changes no contents.
        unsafe { asm!("ic ivau, {}", in(reg) line, options(nostack)) };
    }
    // SAFETY: barriers.
    unsafe { asm!("dsb ish", "isb", options(nostack)) };
}

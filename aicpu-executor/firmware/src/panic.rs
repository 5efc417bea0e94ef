//! What a panic does here: it leaves its place where a debugger finds it, and traps.
//!
//! A panic is a defect of the executor, and the state of the run is unknown then. The handler takes
//! no lock and formats nothing, since the panicking thread may hold the lock that it would wait
//! for. The trap ends the process; the host sees the signal.

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// Where the first panic happened, for a debugger or whoever reads the core file.
#[derive(Debug)]
struct PanicPlace {
    /// File name, not terminated; null if there was no panic.
    file: AtomicPtr<u8>,
    /// Bytes of the file name.
    file_bytes: AtomicUsize,
    line: AtomicU32,
}

/// Found by its name in the unstripped file. The first panic is kept.
#[used]
static PANIC_PLACE: PanicPlace = PanicPlace {
    file: AtomicPtr::new(core::ptr::null_mut()),
    file_bytes: AtomicUsize::new(0),
    line: AtomicU32::new(0),
};

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    if let Some(place) = info.location() {
        let file = place.file();
        // ORDERING: Relaxed: the process ends here, and whoever looks afterwards sees all stores.
        let is_first = PANIC_PLACE
            .file
            .compare_exchange(
                core::ptr::null_mut(),
                file.as_ptr().cast_mut(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            )
            .is_ok();
        if is_first {
            // ORDERING: Relaxed: as above.
            PANIC_PLACE.file_bytes.store(file.len(), Ordering::Relaxed);
            PANIC_PLACE.line.store(place.line(), Ordering::Relaxed);
        }
    }
    trap()
}

/// Raises SIGILL or SIGTRAP at this instruction.
fn trap() -> ! {
    // SAFETY: (both) the instruction has no operands and never continues.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::asm!("ud2", options(noreturn, nostack, nomem));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!("brk #1", options(noreturn, nostack, nomem));
    }
}

/// Personality routine of Rust frames.
///
/// No frame of ours has anything to do when an exception passes: panics trap, and what stands between foreign code
/// and the guard around its call (`platform::exceptions`) are bare calls without destructors, which may be left as
/// `longjmp` leaves them. The compiler does not know that and would end the process there, so its tables are not asked.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> i32 {
    /// `_URC_CONTINUE_UNWIND` of the unwinder's interface.
    const GO_ON: i32 = 8;
    GO_ON
}

//! The frame that stops C++ exceptions, and its personality routine.
//!
//! The unwinder asks the personality routine of each frame whether it handles an exception
//! (search phase) and then, for the frame that said yes, where to go on (cleanup phase). Ours says
//! yes to everything but Rust panics and forced unwinds, and goes on right behind the call with
//! the exception object in the return register. So the trampoline returns null after a normal
//! call and the exception after a throw.
//!
//! Source: Itanium C++ ABI, "Exception Handling", level I; register numbers of the exception
//! object are those of `__builtin_eh_return_data_regno(0)`: 0 on x86-64 (rax) and aarch64 (x0).

use core::arch::global_asm;
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicPtr, Ordering};

/// The functions of the unwinder that handling an exception takes, and what is to be done when one is caught.
#[derive(Debug)]
pub struct Unwinder {
    /// `_Unwind_SetGR`.
    pub set_register: unsafe extern "C" fn(*mut c_void, c_int, usize),
    /// `_Unwind_SetIP`.
    pub set_address: unsafe extern "C" fn(*mut c_void, usize),
    /// `_Unwind_DeleteException`.
    pub delete_exception: unsafe extern "C" fn(*mut c_void),
    /// Called when it is known that an exception will be caught, and all frames from `throw` on are still there.
    pub caught: fn(),
}

/// The unwinder of this process: the personality routine is passed nothing of ours.
static UNWINDER: AtomicPtr<Unwinder> = AtomicPtr::new(core::ptr::null_mut());

/// Names the unwinder, before anything is called.
#[inline]
pub(super) fn use_unwinder(unwinder: &'static Unwinder) {
    let unwinder = core::ptr::from_ref(unwinder).cast_mut();
    // ORDERING: Relaxed (both): what it points to never changes; the thread that throws has been here, or was
    // started by one that has.
    if UNWINDER.load(Ordering::Relaxed) != unwinder {
        UNWINDER.store(unwinder, Ordering::Relaxed);
    }
}

/// Signature of what the trampoline calls.
pub(super) type Shim = unsafe extern "C-unwind" fn(*mut c_void);

/// Number of the DWARF register that carries the exception object to the landing pad.
const EXCEPTION_REGISTER: c_int = 0;

/// `_UA_SEARCH_PHASE`.
const SEARCH_PHASE: c_int = 1;
/// `_UA_HANDLER_FRAME`.
const HANDLER_FRAME: c_int = 4;
/// `_UA_FORCE_UNWIND`: thread cancellation and the like; may not be stopped.
const FORCE_UNWIND: c_int = 8;

/// `_URC_FATAL_PHASE1_ERROR`.
const FATAL_PHASE1_ERROR: c_int = 3;
/// `_URC_HANDLER_FOUND`.
const HANDLER_FOUND: c_int = 6;
/// `_URC_INSTALL_CONTEXT`.
const INSTALL_CONTEXT: c_int = 7;
/// `_URC_CONTINUE_UNWIND`.
const CONTINUE_UNWIND: c_int = 8;

/// Exception class of Rust panics; the standard library writes it as bytes in memory order.
const RUST_PANIC_CLASS: u64 = u64::from_ne_bytes(*b"MOZ\0RUST");

unsafe extern "C" {
    /// Address behind the trampoline's call, where it goes on after a throw.
    fn guarded_call_landing();
}

unsafe extern "C-unwind" {
    /// Calls `shim(data)`; null after a normal return, else the exception that it let out.
    #[link_name = "guarded_call_enter"]
    pub(super) fn enter(shim: Shim, data: *mut c_void) -> *mut c_void;
}

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".pushsection .data.rel.ro.guarded_call, \"aw\"",
    ".p2align 3",
    "guarded_call_personality_ref: .quad {personality}",
    ".popsection",
    ".pushsection .text.guarded_call, \"ax\"",
    ".p2align 4",
    ".globl guarded_call_enter",
    ".hidden guarded_call_enter",
    ".type guarded_call_enter, @function",
    "guarded_call_enter:",
    ".cfi_startproc",
    // Indirect, relative to the place, 32 bits: works in position-independent programs.
    ".cfi_personality 0x9b, guarded_call_personality_ref",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "mov rax, rdi",
    "mov rdi, rsi",
    "call rax",
    "xor eax, eax",
    ".globl guarded_call_landing",
    ".hidden guarded_call_landing",
    "guarded_call_landing:",
    "pop rbp",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    ".size guarded_call_enter, . - guarded_call_enter",
    ".popsection",
    personality = sym personality,
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".pushsection .data.rel.ro.guarded_call, \"aw\"",
    ".p2align 3",
    "guarded_call_personality_ref: .xword {personality}",
    ".popsection",
    ".pushsection .text.guarded_call, \"ax\"",
    ".p2align 4",
    ".globl guarded_call_enter",
    ".hidden guarded_call_enter",
    ".type guarded_call_enter, %function",
    "guarded_call_enter:",
    ".cfi_startproc",
    // Indirect, relative to the place, 32 bits: works in position-independent programs.
    ".cfi_personality 0x9b, guarded_call_personality_ref",
    "stp x29, x30, [sp, #-16]!",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset x29, -16",
    ".cfi_offset x30, -8",
    "mov x29, sp",
    "mov x9, x0",
    "mov x0, x1",
    "blr x9",
    "mov x0, xzr",
    ".globl guarded_call_landing",
    ".hidden guarded_call_landing",
    "guarded_call_landing:",
    "ldp x29, x30, [sp], #16",
    ".cfi_restore x29",
    ".cfi_restore x30",
    ".cfi_def_cfa_offset 0",
    "ret",
    ".cfi_endproc",
    ".size guarded_call_enter, . - guarded_call_enter",
    ".popsection",
    personality = sym personality,
);

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the exception guard knows x86-64 and aarch64 only");

/// Personality routine of the trampoline's frame; called by the unwinder only.
unsafe extern "C" fn personality(
    version: c_int,
    actions: c_int,
    class: u64,
    exception: *mut c_void,
    context: *mut c_void,
) -> c_int {
    if version != 1 {
        return FATAL_PHASE1_ERROR;
    }
    if actions & FORCE_UNWIND != 0 || class == RUST_PANIC_CLASS {
        return CONTINUE_UNWIND;
    }
    let unwinder = UNWINDER.load(Ordering::Relaxed);
    // SAFETY: null, or what `use_unwinder` was passed, which is static.
    let Some(unwinder) = (unsafe { unwinder.as_ref() }) else { return CONTINUE_UNWIND };
    if actions & SEARCH_PHASE != 0 {
        (unwinder.caught)();
        return HANDLER_FOUND;
    }
    if actions & HANDLER_FRAME == 0 {
        return CONTINUE_UNWIND;
    }
    // SAFETY: the unwinder's context of this frame, in the cleanup phase: the two calls by which
    // a personality routine names its landing pad.
    unsafe {
        (unwinder.set_register)(context, EXCEPTION_REGISTER, exception.addr());
        (unwinder.set_address)(context, (guarded_call_landing as *const ()).addr());
    }
    INSTALL_CONTEXT
}

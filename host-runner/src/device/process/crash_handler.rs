//! In the program: what happens when code of the user raises a signal that ends the process.
//!
//! The handler writes numbers into the crash record, walks the stack, and ends the process. It allocates nothing and
//! takes no lock of ours. The walk is the unwinder's, which knows what the executor has loaded and trusts the stack:
//! so the registers are written first, what is found is written call by call, and an alarm or a second signal ends
//! the process where the walk does not. It works on a stack of its own, which each thread that may run code
//! of the user gets when it starts.

use core::ffi::{c_int, c_void};
use std::io;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::crash_record::{CrashRecord, Registers};
use crate::device::sim::kernel_hooks;
use crate::foreign_code::thread_start;

/// Signals that are caught.
const SIGNALS: [c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT, libc::SIGTRAP];
/// Bytes of the stack that the handler works on.
const STACK_BYTES: usize = 128 << 10;
/// How long the walk may take.
const WALK_SECONDS: u32 = 2;
/// What the process ends with, more than the signal, as a shell would have it.
const EXIT_BASE: c_int = 128;

/// `_URC_NO_REASON`: go on.
const NO_REASON: c_int = 0;
/// `_URC_END_OF_STACK`: that is enough.
const END_OF_STACK: c_int = 5;

static RECORD: AtomicPtr<CrashRecord> = AtomicPtr::new(core::ptr::null_mut());

unsafe extern "C" {
    fn _Unwind_Backtrace(
        visit: unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int,
        data: *mut c_void,
    ) -> c_int;
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
}

/// Catches crashes of this process from now on, on this thread and on all that [start](thread_start) later.
///
/// # Errors
///
/// The system's.
pub(super) fn install(record: &'static CrashRecord) -> io::Result<()> {
    RECORD.store(core::ptr::from_ref(record).cast_mut(), Ordering::Release);
    thread_start::on_start(give_stack);
    give_stack();
    for signal in SIGNALS {
        // SAFETY: zeros are a valid action.
        let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
        let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = handle;
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: the action is complete, and the handler keeps to what handlers may do.
        if unsafe { libc::sigaction(signal, &raw const action, core::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // A file with the memory of the process is of no use here, and slow.
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a complete structure. Where it is refused, all that happens is that the file is written.
    let _refused = unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
    Ok(())
}

/// Gives the calling thread a stack for the handler. It stays: the process has few threads that end.
fn give_stack() {
    let stack = Box::leak(vec![0_u8; STACK_BYTES].into_boxed_slice());
    let stack =
        libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: STACK_BYTES };
    // SAFETY: memory that nobody else uses, for good. Where it is refused, the thread has the one of the standard library.
    let _refused = unsafe { libc::sigaltstack(&raw const stack, core::ptr::null_mut()) };
}

/// The handler.
extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // ORDERING: Acquire: see `install`.
    let record = RECORD.load(Ordering::Acquire);
    // SAFETY: null, or what `install` got, which stays for good.
    let record = unsafe { record.as_ref() };
    if let Some(record) = record {
        if !record.begin() {
            // Another thread has crashed, and ends the process.
            loop {
                // SAFETY: (both) always allowed.
                unsafe { libc::pause() };
            }
        }
        // SAFETY: the system passes both.
        let registers = unsafe { registers(signal, info, context.cast()) };
        record.put(&registers);
        // SAFETY: always allowed: the system ends the process then.
        unsafe { libc::alarm(WALK_SECONDS) };
        walk(record, &registers);
        record.end();
    }
    // SAFETY: always allowed in a handler.
    unsafe { libc::_exit(EXIT_BASE + signal) };
}

/// What is known at once.
///
/// # Safety
///
/// Both pointers are those that the handler gets.
unsafe fn registers(
    signal: c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::ucontext_t,
) -> Registers {
    // SAFETY: by the contract.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr() as u64) };
    // SAFETY: by the contract.
    let (instruction, stack, link) = unsafe { machine_registers(&(*context).uc_mcontext) };
    let mut thread = [0; 16];
    // SAFETY: as many bytes as the system writes.
    unsafe { libc::prctl(libc::PR_GET_NAME, thread.as_mut_ptr()) };
    let core = kernel_hooks::current();
    // CAST: a chip has at most a few hundred cores.
    let core = core.map(|core| core.index as u32);
    // Of a call that went wrong, the caller is where it returns to.
    let caller = link.unwrap_or_else(|| read_word(stack));
    Registers { signal, code, address, instruction, caller, stack, core, thread }
}

/// Instruction, stack pointer and the register with the return address, if there is one.
#[cfg(target_arch = "x86_64")]
fn machine_registers(machine: &libc::mcontext_t) -> (u64, u64, Option<u64>) {
    // CAST: addresses.
    let register = |index: c_int| machine.gregs[index as usize] as u64;
    (register(libc::REG_RIP), register(libc::REG_RSP), None)
}

/// Instruction, stack pointer and the register with the return address, if there is one.
#[cfg(target_arch = "aarch64")]
fn machine_registers(machine: &libc::mcontext_t) -> (u64, u64, Option<u64>) {
    (machine.pc, machine.sp, Some(machine.regs[30]))
}

/// A word of this process's memory, by a system call, so that an address that is none does no harm; 0 then.
fn read_word(address: u64) -> u64 {
    let mut word = 0_u64;
    let local = libc::iovec { iov_base: (&raw mut word).cast(), iov_len: size_of::<u64>() };
    let remote = libc::iovec {
        // CAST: usize is 64 bits on the supported targets.
        iov_base: core::ptr::without_provenance_mut(address as usize),
        iov_len: size_of::<u64>(),
    };
    // SAFETY: writes to the word only, and checks the other address.
    let read = unsafe {
        libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0)
    };
    if read == 8 { word } else { 0 }
}

/// What the walk passes along.
struct Walk<'a> {
    record: &'a CrashRecord,
    /// Where the calls of the handler end.
    instruction: u64,
    has_passed: bool,
}

/// Notes the calls from the crash outwards.
fn walk(record: &CrashRecord, registers: &Registers) {
    let mut walk = Walk { record, instruction: registers.instruction, has_passed: false };
    // SAFETY: `visit` gets exactly this pointer, which is ours for the duration of the call.
    unsafe { _Unwind_Backtrace(visit, (&raw mut walk).cast()) };
}

/// Notes one call.
///
/// # Safety
///
/// `context` is the unwinder's, `walk` points to a live [`Walk`] that nobody else uses.
unsafe extern "C" fn visit(context: *mut c_void, walk: *mut c_void) -> c_int {
    // SAFETY: the caller's promise.
    let (walk, address) = unsafe { (&mut *walk.cast::<Walk<'_>>(), _Unwind_GetIP(context)) };
    // CAST: usize is 64 bits on the supported targets.
    let address = address as u64;
    walk.has_passed |= address == walk.instruction;
    if walk.has_passed && !walk.record.push(address) { END_OF_STACK } else { NO_REASON }
}

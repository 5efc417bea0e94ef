//! What the executor needs from the machine it runs on.
//!
//! One executor serves the chip's AICPU, the in-process simulator and a device in a child process;
//! all that differs between them is behind this trait: clock, core registers, cache maintenance,
//! executable memory, symbols of resident libraries, and how foreign code is entered. The
//! executor never names a machine; an implementation never names the scheduler.

use core::ffi::{c_char, c_void};
use core::num::NonZeroU64;

use protocol::{CallableId, ChipStorageTaskArgs, MAX_REGISTERED_CALLABLE_IDS};
use spin::Mutex;

use crate::loaded_code::{LoadedCode, LoadedRange};
use crate::loader::{CodeMemory, SymbolResolver};
use crate::log::Speaker;

/// Longest text of an exception that is kept, in bytes.
pub const EXCEPTION_TEXT_BYTES: usize = 256;

/// The entry of an orchestration: `void entry(const ChipStorageTaskArgs &)` (spec trb §1.2).
pub type OrchestrationEntry = unsafe extern "C-unwind" fn(*const ChipStorageTaskArgs);

/// `PTO2OrchestrationConfig config(const ChipStorageTaskArgs &)`; the record is one `int`.
pub type OrchestrationConfigEntry = unsafe extern "C-unwind" fn(*const ChipStorageTaskArgs) -> i32;

/// `void framework_bind_runtime(PTO2Runtime *)`.
pub type BindRuntimeEntry = unsafe extern "C-unwind" fn(*mut c_void);

/// An entry of `init_array`: `void f(int argc, char **argv, char **envp)`.
pub type InitialiserEntry =
    unsafe extern "C-unwind" fn(i32, *const *const c_char, *const *const c_char);

/// An entry of `fini_array`: `void f(void)`.
pub type FinaliserEntry = unsafe extern "C-unwind" fn();

/// One call into code of an orchestration.
#[derive(Debug, Clone, Copy)]
pub enum ForeignCall {
    /// The orchestration's entry function with the arguments of the run.
    Entry(OrchestrationEntry, *const ChipStorageTaskArgs),
    /// The config function; its result is the expected argument count.
    Config(OrchestrationConfigEntry, *const ChipStorageTaskArgs),
    /// Binds (or with null unbinds) the runtime object.
    Bind(BindRuntimeEntry, *mut c_void),
    /// A constructor; it sees empty argument and environment lists.
    Initialiser(InitialiserEntry),
    /// A destructor.
    Finaliser(FinaliserEntry),
}

impl ForeignCall {
    /// Makes the call with nothing to catch what it throws.
    ///
    /// Returns the value of a config function, 0 for the others.
    ///
    /// # Safety
    ///
    /// The function is live code with that signature, and its argument is valid for it.
    pub unsafe fn invoke(self) -> i32 {
        match self {
            Self::Entry(entry, args) => {
                // SAFETY: the caller's promise.
                unsafe { entry(args) };
                0
            }
            // SAFETY: the caller's promise.
            Self::Config(config, args) => unsafe { config(args) },
            Self::Bind(bind, runtime) => {
                // SAFETY: the caller's promise.
                unsafe { bind(runtime) };
                0
            }
            Self::Initialiser(initialiser) => {
                let empty: [*const c_char; 1] = [core::ptr::null()];
                // SAFETY: the caller's promise; the lists are empty and end with null.
                unsafe { initialiser(0, empty.as_ptr(), empty.as_ptr()) };
                0
            }
            Self::Finaliser(finaliser) => {
                // SAFETY: the caller's promise.
                unsafe { finaliser() };
                0
            }
        }
    }
}

/// What a C++ exception that left foreign code said: type and `what()`, as far as known.
pub type ExceptionText = heapless::String<EXCEPTION_TEXT_BYTES>;

/// Base address of one core's register block, as the device's register table names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RegisterBlock(pub u64);

/// Where unwind tables of loaded code are, so that a C++ `throw` inside it can find its `catch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnwindTables {
    /// Run-time address of the first `.eh_frame` record; the section ends with a zero word.
    pub eh_frame: u64,
}

/// The machine below the executor. All methods may be called from several AICPU threads at once.
pub trait Platform: Sync {
    /// Executable memory for one orchestration image.
    type CodeMemory: CodeMemory;

    /// Whether a host writes to memory past the caches of this processor, so that what it may have written is to be
    /// looked for in memory before each run. Not where both are in one process.
    const HOST_WRITES_PAST_CACHES: bool = true;

    /// Monotonic clock, in ticks.
    fn ticks(&self) -> u64;

    /// The same, but it may be some milliseconds late where that costs less: for what is told to people.
    fn coarse_ticks(&self) -> u64 {
        self.ticks()
    }

    /// Ticks a second of [`ticks`](Self::ticks).
    fn ticks_per_second(&self) -> u64;

    /// Register block of the core with this physical id; `None` if the device has no such core.
    fn register_block(&self, physical_core: u32) -> Option<RegisterBlock>;

    /// Reads a 32-bit core register. What the core wrote before it is visible afterwards.
    fn read_register(&self, block: RegisterBlock, offset: usize) -> u32;

    /// Writes a 32-bit core register. What the caller wrote before is visible to the core when it
    /// sees the value. A simulated core is woken by it.
    fn write_register(&self, block: RegisterBlock, offset: usize, value: u32);

    /// Tells core `worker` that its handshake record changed. Hardware cores poll: nothing to do.
    fn notify_core(&self, worker: usize);

    /// The power cycle of the cores, on a machine that leaves them up between runs: the number changes
    /// whenever cores were switched off, or other ones on. `None` where the program on the cores ends
    /// with the run, as on a chip: then each run brings its cores up and sends them away.
    ///
    /// A platform that gives a number lets the dispatch register be read, and switches all cores off
    /// when a run has failed.
    fn core_power_cycle(&self) -> Option<NonZeroU64> {
        None
    }

    /// Passes the time between two polls of a wait; `rounds` counts the polls so far.
    ///
    /// Must return soon (well under a millisecond): deadlines and the abort flag are checked
    /// between two calls.
    fn relax(&self, rounds: u32);

    /// Runs kernels that were dispatched, on a machine whose cores have no processor of their own: called
    /// when the calling thread has done something, and before it looks for more.
    ///
    /// Must return soon, as [`relax`](Self::relax), which may do the same.
    fn run_dispatched(&self) {}

    /// The run has nothing left to do: threads that pass the time in [`relax`](Self::relax) may look
    /// at once. Nothing to do where they look often.
    fn wake_peers(&self) {}

    /// An interleaving point: called between two steps of the executor that others must not take
    /// for one. A machine that explores the order of events lets other threads go on here; to all
    /// others it is nothing.
    #[track_caller]
    fn interleave(&self) {}

    /// Makes what other processors wrote to `[address, address + bytes)` visible to this one.
    fn invalidate_cache(&self, address: u64, bytes: usize);

    /// Makes what this processor wrote to `[address, address + bytes)` visible to the others.
    fn clean_cache(&self, address: u64, bytes: usize);

    /// The executable memory that belongs to a callable id, for as long as the platform lives.
    ///
    /// The executor locks it while it places, seals or takes away an image, never while code of
    /// the image runs.
    fn code_memory(&self, id: CallableId) -> &Mutex<Self::CodeMemory>;

    /// For how many callables, by ids from 0, there is [`code_memory`](Self::code_memory): the
    /// protocol's 64 unless a platform has more. The same on each call.
    fn callable_slots(&self) -> usize {
        MAX_REGISTERED_CALLABLE_IDS
    }

    /// Finds symbols of resident libraries that an image imports.
    fn symbols(&self) -> &dyn SymbolResolver;

    /// Makes the unwind tables of freshly sealed code known to the unwinder.
    fn register_unwind(&self, tables: UnwindTables);

    /// Takes back [`register_unwind`](Self::register_unwind), before the code goes away.
    fn deregister_unwind(&self, tables: UnwindTables);

    /// The calling thread enters a run, a load or an unload: what the log has from it until
    /// [`end_speaking`](Self::end_speaking) belongs there. The area is there until then.
    fn begin_speaking(&self, _speaker: Speaker) {}

    /// The calling thread leaves what it has entered.
    fn end_speaking(&self) {}

    /// Announces code that was just sealed, before any of it runs; for debuggers and profilers.
    fn code_loaded(&self, _code: &LoadedCode<'_>) {}

    /// Announces that code goes away: none of it runs any more, and its memory is still there.
    fn code_unloading(&self, _range: &LoadedRange) {}

    /// Calls foreign code and returns its value (0 where it has none).
    ///
    /// # Errors
    ///
    /// The text of a C++ exception that the code let out. Without an unwinder on the machine such
    /// an exception ends the process inside the foreign code, and this never returns an error.
    ///
    /// # Safety
    ///
    /// As for [`ForeignCall::invoke`].
    unsafe fn call_foreign(&self, call: ForeignCall) -> Result<i32, ExceptionText>;

    /// Makes several calls of a run into foreign code, which cost what there is to do around a call once.
    /// `calls` is nothing but these calls: where one throws, what lives in it is not dropped, and the rest of it is not done.
    ///
    /// # Errors
    ///
    /// As [`call_foreign`](Self::call_foreign).
    ///
    /// # Safety
    ///
    /// What `calls` calls is live code with those signatures, and the arguments are valid for it.
    unsafe fn call_foreign_in_turn(
        &self,
        calls: impl FnOnce() + Copy,
    ) -> Result<(), ExceptionText> {
        calls();
        Ok(())
    }
}

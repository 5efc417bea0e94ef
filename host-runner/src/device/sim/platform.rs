//! The simulated machine below the executor: `Platform` over the core pool.

use std::ffi::c_void;
use std::fmt::Write;
use std::num::NonZeroU64;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aicpu_executor::loaded_code::{LoadedCode, LoadedRange};
use aicpu_executor::loader::SymbolResolver;
use aicpu_executor::log::Speaker;
use aicpu_executor::platform::{ExceptionText, ForeignCall, Platform, RegisterBlock, UnwindTables};
use aicpu_linux::{Slot, SlotArena, SlotConfig, SlotMode};
use protocol::{CallableId, Chip};
use spin::Mutex;

use super::clock;
use super::core_pool::CorePool;
use super::load_trace;
use super::memory::Ledger;
use super::registers::NoSuchRegister;
use super::turns::{Point, Turns};
use crate::code_listing::CodeLister;
use crate::device::Holder;
use crate::device::resident_symbols::ResidentSymbols;
use crate::foreign_code::guarded_call::guarded;
use crate::foreign_code::guarded_call::trace::{self, Trace};

/// Polls that only pause the processor: some tens of microseconds.
const PAUSING_ROUNDS: u32 = 512;
/// Longest sleep between two polls; whatever a core does ends it early.
const SLEEP_MAX: Duration = Duration::from_micros(100);

/// Executable memory for orchestrations. Folders come in only where the system allows neither two
/// views of one memory nor private memory that runs.
const SLOTS: SlotConfig =
    SlotConfig { folders: &[c"/dev/shm", c"/var/tmp", c"/tmp"], ..SlotConfig::DEFAULT };

/// Private executable memory. For code that is shown to debuggers and profilers: in memory that has
/// two addresses gdb can set no breakpoint, and perf takes it for a file and leaves its map alone. And under an
/// emulator: what is written at another address does not tell it (qemu before 8.1) that its translation is stale.
const PRIVATE_SLOTS: SlotConfig = SlotConfig { mode: SlotMode::Anonymous, ..SLOTS };

/// The simulated machine.
#[derive(Debug)]
pub struct SimPlatform<C: Chip> {
    pool: Arc<CorePool<C>>,
    /// Whether threads take turns: known here, since every task asks often.
    takes_turns: bool,
    symbols: &'static ResidentSymbols,
    /// Made when the first orchestration is loaded, or the number of callables is asked for.
    slots: OnceLock<SlotArena>,
    /// Whom loaded code is shown to, if anybody.
    lister: OnceLock<Arc<CodeLister>>,
    /// Whether code has one address, whoever it is shown to.
    has_private_code: AtomicBool,
    /// Where loaded code is booked.
    ledger: Arc<Ledger>,
    /// Through which calls the first exception came that left an orchestration in a run, since it
    /// was taken.
    thrown: Mutex<Option<Trace>>,
    /// Whether there is one; most runs take none.
    has_thrown: AtomicBool,
}

impl<C: Chip> SimPlatform<C> {
    /// The machine around `pool`, with the books of the device's memory.
    pub fn new(pool: Arc<CorePool<C>>, ledger: Arc<Ledger>) -> Self {
        Self {
            takes_turns: pool.turns().is_some(),
            pool,
            symbols: ResidentSymbols::open(),
            slots: OnceLock::new(),
            lister: OnceLock::new(),
            has_private_code: AtomicBool::new(false),
            ledger,
            thrown: Mutex::new(None),
            has_thrown: AtomicBool::new(false),
        }
    }

    /// Through which calls the first exception came that has left code of an orchestration in a run
    /// since the last call of this, the innermost first; `None` without one.
    pub fn take_thrown(&self) -> Option<Trace> {
        // ORDERING: Relaxed (both): asked between runs, whose end orders it.
        if !self.has_thrown.load(Ordering::Relaxed) {
            return None;
        }
        self.has_thrown.store(false, Ordering::Relaxed);
        self.thrown.lock().take()
    }

    /// Whether code is in private memory: it is shown to somebody, or somebody said so.
    pub fn has_private_code(&self) -> bool {
        // ORDERING: Relaxed: see `keep_code_private`.
        self.lister.get().is_some() || self.has_private_code.load(Ordering::Relaxed)
    }

    /// Has code in private memory, for machines that must see it written where it runs. To be called when
    /// [`list_code`](Self::list_code) is.
    pub fn keep_code_private(&self) {
        // ORDERING: Relaxed: nobody else has the device yet.
        self.has_private_code.store(true, Ordering::Relaxed);
    }

    /// Shows all code that is loaded to `lister`. To be called before the first orchestration is
    /// loaded, and before the executor is asked for its capacity; the first call counts.
    pub fn list_code(&self, lister: Arc<CodeLister>) {
        // The only error is that there is one already.
        let _first = self.lister.set(lister);
    }
}

impl<C: Chip> SimPlatform<C> {
    /// The executable memory, by now of the kind that goes with the lister.
    fn slots(&self) -> &SlotArena {
        self.slots.get_or_init(|| {
            SlotArena::new(if self.has_private_code() { PRIVATE_SLOTS } else { SLOTS })
        })
    }

    /// As much as is kept of what an exception says that left a call. Not inlined: the text is not small, and
    /// nothing of it is moved where there is none.
    #[cold]
    #[inline(never)]
    fn kept(&self, is_of_run: bool, text: &str) -> ExceptionText {
        if is_of_run {
            self.thrown.lock().get_or_insert_with(trace::last);
            // ORDERING: Relaxed: see `take_thrown`.
            self.has_thrown.store(true, Ordering::Relaxed);
        }
        let mut kept = ExceptionText::new();
        for character in text.chars() {
            if kept.write_char(character).is_err() {
                break;
            }
        }
        kept
    }

    /// The turns that threads take, if they do.
    #[inline]
    fn turns(&self) -> Option<&Turns> {
        if self.takes_turns { self.pool.turns() } else { None }
    }

    /// Lets others go on at a point of the executor. Not inlined: where nobody takes turns, as most often, a point
    /// costs its caller one branch and no register.
    #[cold]
    #[inline(never)]
    fn interleave_at(&self, caller: &'static Location<'static>) {
        if let Some(turns) = self.turns() {
            turns.point_at(&self.pool, caller);
        }
    }

    /// Lets others go on, if threads take turns; false if the calling thread does not.
    ///
    /// Inlined: without a seed it is one branch that never changes.
    #[inline]
    fn point(&self, point: Point) -> bool {
        self.turns().is_some_and(|turns| turns.point(&self.pool, point))
    }
}

impl<C: Chip> Platform for SimPlatform<C> {
    type CodeMemory = Slot;

    const HOST_WRITES_PAST_CACHES: bool = false;

    fn ticks(&self) -> u64 {
        self.pool.turns().map_or_else(clock::nanoseconds, Turns::nanoseconds)
    }

    fn coarse_ticks(&self) -> u64 {
        self.pool.turns().map_or_else(clock::coarse_nanoseconds, Turns::nanoseconds)
    }

    fn ticks_per_second(&self) -> u64 {
        clock::TICKS_PER_SECOND
    }

    fn register_block(&self, physical_core: u32) -> Option<RegisterBlock> {
        let core = usize::try_from(physical_core).ok()?;
        self.pool.registers().block_address(core).map(RegisterBlock)
    }

    #[inline]
    fn read_register(&self, block: RegisterBlock, offset: usize) -> u32 {
        self.point(Point::ReadRegister);
        // A register that is not there reads as zero, as on a bus without the device.
        self.pool.registers().read::<C>(block.0, offset).unwrap_or(0)
    }

    #[inline(always)]
    fn write_register(&self, block: RegisterBlock, offset: usize, value: u32) {
        self.point(Point::WriteRegister);
        match self.pool.registers().write::<C>(block.0, offset, value) {
            Ok(Some(doorbell)) => self.pool.ring(doorbell),
            Ok(None) => {}
            Err(error) => warn_of_missing(error),
        }
    }

    fn core_power_cycle(&self) -> Option<NonZeroU64> {
        self.pool.power_cycle()
    }

    fn notify_core(&self, worker: usize) {
        self.pool.notify(worker);
        self.point(Point::Notify);
    }

    fn wake_peers(&self) {
        self.pool.event.signal();
    }

    #[track_caller]
    #[inline(always)]
    fn interleave(&self) {
        if self.takes_turns {
            self.interleave_at(Location::caller());
        }
    }

    #[inline]
    fn run_dispatched(&self) {
        // Where threads take turns, kernels have theirs.
        if self.pool.turns().is_none() {
            self.pool.run_kernels();
        }
    }

    fn relax(&self, rounds: u32) {
        if self.point(Point::Relax) {
            return;
        }
        if self.pool.run_kernels() {
            return;
        }
        self.pool.hear();
        match rounds {
            0..PAUSING_ROUNDS => core::hint::spin_loop(),
            _ => {
                self.pool.relieve();
                self.pool.event.wait(SLEEP_MAX);
            }
        }
    }

    // Host memory is coherent: nothing to do for either direction.
    fn invalidate_cache(&self, _address: u64, _bytes: usize) {}

    fn clean_cache(&self, _address: u64, _bytes: usize) {}

    fn code_memory(&self, id: CallableId) -> &Mutex<Slot> {
        self.slots().slot(id)
    }

    fn callable_slots(&self) -> usize {
        self.slots().capacity()
    }

    fn begin_speaking(&self, speaker: Speaker) {
        crate::log::set_speaker(Some(speaker));
    }

    fn end_speaking(&self) {
        crate::log::set_speaker(None);
    }

    fn symbols(&self) -> &dyn SymbolResolver {
        self.symbols
    }

    fn register_unwind(&self, tables: UnwindTables) {
        if let Some(functions) = UnwindFunctions::get() {
            // SAFETY: the tables are those of sealed code, and they are taken back before the code
            // goes away.
            unsafe { (functions.register)(pointer(tables)) };
        }
    }

    fn deregister_unwind(&self, tables: UnwindTables) {
        if let Some(functions) = UnwindFunctions::get() {
            // SAFETY: the executor takes back what it registered, once.
            unsafe { (functions.deregister)(pointer(tables)) };
        }
    }

    fn code_loaded(&self, code: &LoadedCode<'_>) {
        self.ledger.take(Holder::Code, code.range.span);
        load_trace::note(code.range);
        if let Some(lister) = self.lister.get() {
            lister.loaded(code);
        }
    }

    fn code_unloading(&self, range: &LoadedRange) {
        self.ledger.give_back(Holder::Code, range.span);
        if let Some(lister) = self.lister.get() {
            lister.unloading(range);
        }
    }

    unsafe fn call_foreign(&self, call: ForeignCall) -> Result<i32, ExceptionText> {
        // SAFETY: the caller's promise.
        match guarded(|| unsafe { call.invoke() }) {
            Ok(value) => Ok(value),
            Err(text) => Err(self.kept(is_of_run(call), &text)),
        }
    }

    unsafe fn call_foreign_in_turn(
        &self,
        calls: impl FnOnce() + Copy,
    ) -> Result<(), ExceptionText> {
        guarded(calls).map_err(|text| self.kept(true, &text))
    }
}

#[cold]
fn warn_of_missing(error: NoSuchRegister) {
    tracing::warn!(%error, "the executor wrote to a missing register");
}

/// Whether a run makes this call, and not a load or an unload that may be going on beside it: what
/// constructors throw is for `load_trace`.
fn is_of_run(call: ForeignCall) -> bool {
    !matches!(call, ForeignCall::Initialiser(_) | ForeignCall::Finaliser(_))
}

/// Start of the tables.
fn pointer(tables: UnwindTables) -> *const c_void {
    // CAST: usize is 64 bits on the supported targets.
    core::ptr::with_exposed_provenance(tables.eh_frame as usize)
}

/// How the process's unwinder learns of code that the system's loader did not load.
#[derive(Debug, Clone, Copy)]
struct UnwindFunctions {
    register: unsafe extern "C" fn(*const c_void),
    deregister: unsafe extern "C" fn(*const c_void),
}

impl UnwindFunctions {
    fn get() -> Option<Self> {
        static FOUND: OnceLock<Option<UnwindFunctions>> = OnceLock::new();
        *FOUND.get_or_init(|| {
            let symbols = ResidentSymbols::open();
            let register = symbols.address(b"__register_frame")?;
            let deregister = symbols.address(b"__deregister_frame")?;
            type Function = unsafe extern "C" fn(*const c_void);
            // SAFETY: functions of libgcc with these signatures.
            let functions = unsafe {
                UnwindFunctions {
                    register: core::mem::transmute::<*mut c_void, Function>(register),
                    deregister: core::mem::transmute::<*mut c_void, Function>(deregister),
                }
            };
            Some(functions)
        })
    }
}

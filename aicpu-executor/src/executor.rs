//! The executor: one resident object for each device, entered by every AICPU thread of a run.
//!
//! ```text
//!  first ──► set up: region, cores ──► gate opens ──► load, enter the orchestration ──► schedule ──► out
//!  others, whenever they come ────────────────────► schedule until the run is finished ────────────► out
//! ```
//!
//! Roles go by order of arrival (spec trb §0.1), and nobody is waited for: the first thread sets up,
//! orchestrates, and schedules in the waits of the orchestration and after it. So a small run is done
//! before others come, and nothing hangs where there are none (spec callable §7.1 H10).
//! `aicpu_thread_num` says into how many partitions the cores are divided (`scheduler::partitions`);
//! the threads that are there share them. A run of a graph that the host has built has no
//! orchestration (`executor::graph_run`). Every way through a run leads to the same way out, where the last
//! thread leaves everything ready for the next run, whatever happened in this one (H1).
//!
//! Loading and unloading outside a run ([`Executor::load`], [`Executor::unload`], or a record that
//! says so) has no gate, no region and no cores: any thread does it, at any time, and what it comes to
//! is its own affair and not that of a run that is in flight.

use core::cell::UnsafeCell;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use protocol::{
    CallableId, Chip, EXTENDED_CALLABLE_IDS, IdOutOfRange, MAX_REGISTERED_CALLABLE_IDS,
    RecordOperation, RuntimeBody, RuntimeExtension, RuntimeRecord, SharedMemoryHeader, StatusCode,
};

use crate::fault::{Fault, FaultLatch};
use crate::loaded_code::LoadedRange;
use crate::log::{Level, LogRecord, Place, Speaker};
use crate::orch_so_table::{OrchSoTable, UnloadOutcome};
use crate::orchestrator::Orchestrator;
use crate::platform::Platform;
use crate::region::{HeaderFacts, RegionLayout, RegionSizes};
use crate::scheduler::Scheduler;
use crate::scheduler::core_table::Payloads;
use crate::scheduler::deferred::waiting_list::WaitingLists;
use crate::scheduler::partitions::Partitions;

mod active_callable;
mod cores;
mod gate;
mod graph_run;
mod hang;
mod operation;
mod orchestration;
mod outcome;
mod roll;
mod setup;
mod taking_part;
#[cfg(test)]
mod tests;

use active_callable::ActiveCallable;
use cores::Cores;
use gate::Gate;
use roll::Arrival;
use setup::{LeftClean, Setup, Work};

/// What a run did, whether or not it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunCounts {
    /// Tasks that the orchestration submitted, `alloc_tensors` included.
    pub tasks: u64,
    /// Whether this run loaded the orchestration. Stays true if the run failed afterwards.
    pub loaded: bool,
}

/// The AICPU side of a device.
///
/// Dropping it runs the destructors of what is loaded, on the calling thread. It must stay as long
/// as a thread is inside code of a user ([`running_call`](Self::running_call)).
#[derive(Debug)]
pub struct Executor<C: Chip, P: Platform> {
    platform: P,
    faults: FaultLatch,
    gate: Gate,
    scheduler: Scheduler,
    payloads: Payloads,
    waiting: WaitingLists,
    partitions: Partitions<C>,
    table: OrchSoTable,
    /// The callable of the run.
    active: ActiveCallable,
    /// Written by the thread that sets a run up, before the gate opens; read-only until it closes. What it says
    /// of rings stays after a run that has succeeded, for the next one of the same.
    setup: UnsafeCell<Option<Setup>>,
    /// The cores that are up. Written by the thread that sets a run up and by the last one.
    cores: UnsafeCell<Cores>,
    /// Used by the thread of a run that orchestrates.
    orchestrator: UnsafeCell<Option<Orchestrator>>,
    /// What earlier runs left clean. Used by the thread that sets up, by the one that orchestrates,
    /// and by the last one.
    left_clean: UnsafeCell<LeftClean>,
    tasks: AtomicU64,
    loaded: AtomicBool,
    chip: core::marker::PhantomData<C>,
}

// SAFETY: `setup`, `cores`, `orchestrator` and `left_clean` are used as their comments say, ordered by the gate;
// everything else is `Sync` by itself (`P` is, by its trait).
unsafe impl<C: Chip, P: Platform> Sync for Executor<C, P> where P::CodeMemory: Send {}

impl<C: Chip, P: Platform> Executor<C, P> {
    /// Initialises an executor in place; the object is too large to pass through a stack.
    ///
    /// # Safety
    ///
    /// `place` is aligned and points at writable memory for one `Self`, all of it zero.
    pub unsafe fn init_in_place(place: *mut Self, platform: P) {
        // SAFETY: (all writes) `place` is valid for writes of the whole object by the contract, so
        // each field is. Payloads, waiting lists and partitions stay as they are: zeroes are valid
        // there, and most of that memory is never touched. Nor is most of the table.
        unsafe {
            (&raw mut (*place).platform).write(platform);
            (&raw mut (*place).faults).write(FaultLatch::new());
            (&raw mut (*place).gate).write(Gate::default());
            (&raw mut (*place).scheduler).write(Scheduler::default());
            OrchSoTable::init_in_place(&raw mut (*place).table);
            (&raw mut (*place).active).write(ActiveCallable::default());
            (&raw mut (*place).setup).write(UnsafeCell::new(None));
            (&raw mut (*place).cores).write(UnsafeCell::new(Cores::default()));
            (&raw mut (*place).orchestrator).write(UnsafeCell::new(None));
            (&raw mut (*place).left_clean).write(UnsafeCell::new(LeftClean::default()));
            (&raw mut (*place).tasks).write(AtomicU64::new(0));
            (&raw mut (*place).loaded).write(AtomicBool::new(false));
        }
    }

    /// Bytes of the shared-memory region that a run with this task window and dependency pool
    /// needs (0: the default of either); `None` unless the window is a power of two from 4 to
    /// 2^26 and the pool has less than 2^30 - 1 edges.
    ///
    /// For a host that seals the extension of the run record; without it, the region may be as
    /// small as the reference's.
    pub fn region_bytes(task_window: u64, dep_pool: u64) -> Option<u64> {
        RegionLayout::new(RegionSizes::wanted(task_window, dep_pool)).map(|layout| layout.total())
    }

    /// The platform the executor runs on.
    pub fn platform(&self) -> &P {
        &self.platform
    }

    /// How many callable ids there are: 64, as the protocol has it, or up to
    /// [`EXTENDED_CALLABLE_IDS`] where the platform has memory for them
    /// ([`Platform::callable_slots`]). A record without a valid extension may use the first 64 of them.
    ///
    /// A host in another process reads the number in the header of the shared region
    /// ([`SharedMemoryHeader::callable_ids`](protocol::SharedMemoryHeader::callable_ids)).
    pub fn callable_capacity(&self) -> usize {
        self.platform.callable_slots().clamp(MAX_REGISTERED_CALLABLE_IDS, EXTENDED_CALLABLE_IDS)
    }

    /// Reports a fault from outside: a core whose kernel failed, a deadline of the host. The first
    /// fault of a run wins; the threads in the run leave soon.
    pub fn report_fault(&self, code: i32, text: fmt::Arguments<'_>) {
        self.faults.report(code, text);
    }

    /// The first fault of the run that all threads have left, if it failed; the next call gives nothing.
    #[inline]
    pub fn take_fault(&self) -> Option<Fault> {
        self.faults.take()
    }

    /// What the run did that all threads have left. The next one begins anew.
    pub fn counts(&self) -> RunCounts {
        // ORDERING: Relaxed (both): the caller has joined the threads of the run.
        RunCounts {
            tasks: self.tasks.load(Ordering::Relaxed),
            loaded: self.loaded.load(Ordering::Relaxed),
        }
    }

    /// Shows where the code of each loaded orchestration is, ascending by callable id; not code that
    /// is being unloaded, or that somebody has given up on.
    pub fn loaded_ranges(&self, visit: impl FnMut(LoadedRange)) {
        self.table.loaded_ranges(visit);
    }

    /// Unloads the orchestration of a callable, of `generation` if the host has generations.
    ///
    /// May be called at any time, as often as one likes: it says what it came to. Where no run uses
    /// the orchestration, its destructors run on the calling thread, and this returns when they do;
    /// a host that must come back calls it on a thread that it can lose, asks
    /// [`running_call`](Self::running_call) when its patience is at an end, and gives up with
    /// [`quarantine`](Self::quarantine). Where a run uses it, that run goes on and unloads it at its
    /// end. An exception of a destructor is logged and changes nothing.
    pub fn unload(&self, id: CallableId, generation: Option<u32>) -> UnloadOutcome {
        self.table.unload(&self.platform, id, generation)
    }

    /// Unloads everything, each as [`unload`](Self::unload) does.
    pub fn unload_all(&self) {
        self.table.unload_all(&self.platform);
    }

    /// Takes part in a run; every one of its `sche_cpu_num` threads calls this once. If the host
    /// numbers its runs (`RuntimeExtension::run_number`), fewer may come, since the first one does what
    /// the others are not there for, and more: surplus threads are sent away with 0, and so are those
    /// that come when the run has ended. Without a number a surplus thread is an error, and one that
    /// comes after the end counts for the next run: the reference's host keeps them away.
    ///
    /// `runtime` stays as it is until all of them have returned, and what it points at is live
    /// device memory (boundary C). Returns 0, or minus the code of the run's fault.
    ///
    /// A record may ask for the run of a graph ([`GraphRun`](protocol::GraphRun)). All of that holds for
    /// it too; its callable is not looked at, since nothing of it is in the executor.
    ///
    /// A record may also ask for a load or an unloading ([`RuntimeExtension::operation`]). One thread
    /// calls this for such a record, and may do so while a run or other operations are under way; of a
    /// fault, the log has the text.
    pub fn execute(&self, runtime: &C::Runtime) -> i32 {
        let extension = extension(runtime.body());
        match extension.map_or(Ok(RecordOperation::Run), RuntimeExtension::operation) {
            Ok(operation @ (RecordOperation::Run | RecordOperation::RunGraph)) => {
                self.take_part_in_run(runtime, extension, operation)
            }
            Ok(RecordOperation::Load) => self.operate(runtime.body(), Self::load_into_slot),
            Ok(RecordOperation::Unload) => self.operate(runtime.body(), Self::unload_from_slot),
            Err(unknown) => {
                self.operate(runtime.body(), |_, _, faults| operation::refuse(faults, unknown))
            }
        }
    }

    /// Goes through a run from arrival to departure.
    fn take_part_in_run(
        &self,
        runtime: &C::Runtime,
        extension: Option<&RuntimeExtension>,
        operation: RecordOperation,
    ) -> i32 {
        let wanted = runtime.body().sche_cpu_num;
        let count = usize::try_from(wanted).unwrap_or(0);
        if count == 0 || count > C::MAX_AICPU_THREADS {
            let code = self.faults.report(
                StatusCode::ThreadCountInvalid.code(),
                format_args!(
                    "a run with {wanted} AICPU threads; {} has 1 to {}",
                    C::NAME,
                    C::MAX_AICPU_THREADS
                ),
            );
            return -code;
        }
        let run = extension.map_or(0, |extension| extension.run_number);
        self.platform.interleave();
        match self.gate.arrive(run, count) {
            Arrival::Surplus if run != 0 => 0,
            Arrival::Surplus | Arrival::Busy => -StatusCode::ThreadCountInvalid.code(),
            Arrival::Member { index } => {
                self.platform.begin_speaking(Speaker::in_run(runtime.body(), extension, index));
                if index == 0 {
                    self.set_up(runtime, extension, operation);
                    // SAFETY: this thread is alone in the run until the gate opens.
                    unsafe { self.divide_cores(operation, count) };
                    self.platform.interleave();
                    self.gate.open();
                    self.platform.interleave();
                }
                let code = self.be_in_run(runtime, run, (index, count));
                self.platform.end_speaking();
                code
            }
        }
    }

    /// The callable of a record, which has a valid extension or not.
    fn callable_id(
        &self,
        body: &RuntimeBody,
        has_extension: bool,
        faults: &FaultLatch,
    ) -> Result<CallableId, i32> {
        let value = i64::from(body.active_callable_id);
        // Most ids are such that nobody needs to know how many there are.
        let usual = CallableId::new(value).ok();
        if let Some(id) = usual.filter(|id| id.index() < MAX_REGISTERED_CALLABLE_IDS) {
            return Ok(id);
        }
        let limit =
            if has_extension { self.callable_capacity() } else { MAX_REGISTERED_CALLABLE_IDS };
        usual.filter(|id| id.index() < limit).ok_or_else(|| {
            let error = IdOutOfRange { what: "callable id", value, limit };
            faults.report(StatusCode::CallableIdInvalid.code(), format_args!("{error}"))
        })
    }

    /// The last thread's work: the cores leave, the error codes go where a host looks for them, and
    /// there is no trace else.
    fn tear_down(&self, body: &RuntimeBody, run: u32) {
        // SAFETY: all threads of the run have departed but this one.
        let place = unsafe { &mut *self.setup.get() };
        if let Some(setup) = place {
            // SAFETY: as above.
            unsafe { self.leave_cores(setup) };
            let code = self.faults.code();
            let scheduler_side = (100..200).contains(&code);
            let (orchestrator_code, scheduler_code) =
                if scheduler_side { (0, code) } else { (code, 0) };
            let callable_ids_word = setup.callable_ids_word;
            let facts = HeaderFacts { orchestrator_code, scheduler_code, callable_ids_word };
            if code != 0 {
                setup.work.write_header(facts);
            }
            // A host that is not in reach of this processor's caches reads what is in memory.
            let header = setup.work.header_address();
            self.platform.clean_cache(header, size_of::<SharedMemoryHeader>());
            self.note_end(&setup.work);
            let stays = code == 0 && matches!(setup.work, Work::Rings(_));
            if !stays {
                *place = None;
            }
        }
        // Where the host sees only the code, the log has the text.
        self.faults.with_fault(|Fault { code, text }| {
            crate::log::emit(&LogRecord {
                level: Level::Info,
                verbosity: 9,
                origin: module_path!(),
                place: Some(Place::here()),
                message: format_args!("the run failed with code {code}: {text}"),
            });
        });
        self.write_outcome(body, run);
        self.active.clear();
        self.gate.close(run);
    }
}

/// Our part of the run record, if the host knows it.
fn extension(body: &RuntimeBody) -> Option<&RuntimeExtension> {
    Some(&body.extension).filter(|extension| extension.valid())
}

impl<C: Chip, P: Platform> Drop for Executor<C, P> {
    fn drop(&mut self) {
        self.unload_all();
    }
}

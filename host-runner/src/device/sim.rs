//! The simulated device: everything a chip has, in this process.
//!
//! ```text
//!  host thread ── run record ──▶ AICPU threads ── Executor ── Platform ──▶ registers, doorbells
//!                (resident)       (resident)      (resident)               │
//!                                                              cores ◀─────┘ stepped by the
//!                                                                └─ kernels   threads of a pool
//! ```
//!
//! All of it is resident: a run creates no thread, opens no library, and maps no memory. Loading and
//! unloading have an AICPU thread of their own, so they work while a run is in flight. Where
//! user code does not return, the device cannot be taken apart while that code still
//! uses it: it is marked lost and left in memory for good, and the worker makes another one.
//!
//! # Locks
//!
//! | lock | guards | held while user code runs |
//! |---|---|---|
//! | `site` | run record, arenas, the AICPU threads of runs: one run at a time | of the run |
//! | `loader` | the thread that loads and unloads: one order at a time | of the order, up to the limit |
//! | `ImageInstances` | what ids with equal bytes share | no |
//! | `Kernels` | the table of kernels | no: who wants what is being loaded waits for it, unlocked |
//! | `DeviceMemory` | the table of allocations | no, and not while bytes are copied |
//! | one of each allocation | copies of the host | no |
//! | `Ledger` | the books | no |
//!
//! A thread takes them in this order, the next while it holds the one before at most: `site` or
//! `loader`, never both, then `ImageInstances`, `Kernels` or `DeviceMemory`, then `Ledger`. `lost` is a flag that is
//! set before the tables are closed, and looked at with `site` or `loader` held.
//!
//! `unsafe` is where memory is shared with the executor, foreign code or the system: `core`,
//! `engine`, `resident_executor`, `memory`, `kernels`, `order`, `loading`, `platform`.

use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aicpu_executor::loaded_code::LoadedRange;
use protocol::callable::parse::CoreCallableView;
use protocol::{CallableId, Chip, DeviceAddr, RuntimeBody};

use super::resident_symbols::ResidentSymbols;
use super::run_site::RunSite;
use super::{
    Device, DeviceError, DeviceFacts, DeviceLost, DeviceMemoryReport, DeviceUsage, Holder,
    KernelError, Launch, MemoryError, OrchestrationError, OrchestrationLoad, PinnedMemory,
    RunOutcome, SharedMemory, Side, Uploaded, orchestration_check,
};

use crate::code_listing::CodeLister;
use crate::foreign_code::relay::Relay;
use crate::image_cache::ImageCache;

pub mod aicpu_threads;
pub mod attendance;
pub mod brief_kernels;
pub mod clock;
pub mod core;
pub mod core_pool;
pub mod engine;
pub mod event;
pub mod image_instances;
pub mod inline_queue;
pub mod kernel_hooks;
pub mod kernels;
pub mod load_trace;
mod loading;
pub mod memory;
pub mod order;
pub mod parking;
pub mod platform;
pub mod record_place;
pub mod registers;
mod resident_executor;
pub mod run_state;
mod running;
mod settings;
#[cfg(test)]
pub(crate) mod test_objects;
pub mod turns;
mod watch;

use aicpu_threads::{AicpuThreads, Prepare, Program};
use engine::Engine;
use image_instances::ImageInstances;
use kernels::Kernels;
use memory::{Arenas, DeviceMemory, SharedArena};
use order::Order;
use record_place::RecordPlace;
use turns::{Interleaving, Turns};

/// How long loading or unloading may take unless the host says otherwise. Constructors and
/// destructors take memory and give it back, which takes microseconds.
pub const UNLOAD_LIMIT_DEFAULT: Duration = Duration::from_secs(5);

/// A simulated chip.
#[derive(Debug)]
pub struct SimDevice<C: Chip> {
    parts: ManuallyDrop<Parts<C>>,
    lost: AtomicBool,
    /// How long loading or unloading may take before the device is given up.
    unload_limit: Duration,
    /// How many processors the threads of runs may use at a time.
    cores_used: usize,
    /// Where verdicts on orchestrations are kept for later processes.
    images: Option<Arc<ImageCache>>,
}

/// What a simulated chip consists of. The order of the fields is the order in which they go.
struct Parts<C: Chip> {
    /// The threads of runs. Used with `site` locked.
    aicpu: AicpuThreads<Order<C>>,
    /// The thread that loads and unloads.
    loader: Mutex<Relay>,
    engine: Arc<Engine<C>>,
    kernels: Kernels,
    /// What ids with equal bytes share. Instances that are in use are in the engine's slots.
    images: ImageInstances,
    memory: DeviceMemory,
    site: Mutex<RunSite<C, Arenas>>,
}

impl<C: Chip> SimDevice<C> {
    /// Starts a device.
    ///
    /// # Errors
    ///
    /// [`DeviceError::System`] where the system refuses a thread.
    pub fn open() -> Result<Self, DeviceError> {
        Self::open_with_seed(None)
    }

    /// Starts a device whose threads take turns in runs, if a seed is given ([`turns`]).
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with_seed(interleaving_seed: Option<u64>) -> Result<Self, DeviceError> {
        Self::open_within(interleaving_seed, None, RecordPlace::own())
    }

    /// The same with its memory and its run record where another process maps them.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_within(
        interleaving_seed: Option<u64>,
        shared: Option<Arc<SharedArena>>,
        record: RecordPlace<C::Runtime>,
    ) -> Result<Self, DeviceError> {
        // Here, so that no later step waits for the system's loader.
        ResidentSymbols::open();
        let system = |what| move |source| DeviceError::System { what, source };
        let memory = DeviceMemory::within(shared);
        let ledger = memory.ledger();
        let engine = Engine::<C>::start(interleaving_seed, Arc::clone(ledger))?;
        let program: Program<Order<C>> = {
            let engine = Arc::clone(&engine);
            Arc::new(move |order, part| engine.carry_out(order, part))
        };
        let prepare: Prepare = {
            let pool = Arc::clone(engine.pool());
            Arc::new(move || pool.attach_thread())
        };
        let threads = |name, count| {
            AicpuThreads::start(name, count, &prepare, &program)
                .inspect_err(|_refused| engine.pool().stop())
                .map_err(system("AICPU threads"))
        };
        // One more than take part in runs as a rule: see `watch`.
        let aicpu = threads("sim-aicpu", C::MAX_AICPU_THREADS + 1)?;
        let loader = Relay::start("sim-loader-0").inspect_err(|_refused| engine.pool().stop());
        let loader = Mutex::new(loader.map_err(system("AICPU threads"))?);
        let site = Mutex::new(RunSite::new(Arenas::new(Arc::clone(ledger)), record));
        let (kernels, images) = (Kernels::default(), ImageInstances::default());
        let parts = Parts { aicpu, loader, engine, kernels, images, memory, site };
        let (parts, unload_limit) = (ManuallyDrop::new(parts), UNLOAD_LIMIT_DEFAULT);
        let cores_used = parking::parallelism();
        Ok(Self { parts, lost: AtomicBool::new(false), unload_limit, cores_used, images: None })
    }

    /// Whether code of the user has not returned.
    fn is_lost(&self) -> bool {
        // ORDERING: Acquire pairs with the Release stores below. It is no more than early news: the
        // tables refuse by themselves.
        self.lost.load(Ordering::Acquire)
    }

    /// Marks the device as lost in a run, and puts what user code still uses out of everybody's
    /// reach.
    ///
    /// Memory, kernels and run record are left where they are, for good, and empty ones take their
    /// place: later calls find nothing in them, and get the errors for that.
    fn lose(&self, site: &mut RunSite<C, Arenas>) {
        // ORDERING: Release: see `is_lost`.
        self.lost.store(true, Ordering::Release);
        self.parts.memory.lose();
        self.parts.kernels.lose();
        site.lose();
    }

    /// Marks the device as lost outside a run. Constructors and destructors of an orchestration
    /// know nothing of tensors and kernels, so these stay in reach of a run that is in flight.
    fn close(&self) {
        // ORDERING: Release: see `is_lost`.
        self.lost.store(true, Ordering::Release);
        self.parts.memory.close();
        self.parts.kernels.close();
    }

    /// What a run has for itself; waits for the run in flight.
    fn site(&self) -> MutexGuard<'_, RunSite<C, Arenas>> {
        // The record is written anew where it matters before each run.
        self.parts.site.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the device can carry out this launch.
    fn check(&self, launch: &Launch) -> Result<(), DeviceError> {
        let DeviceFacts { clusters_max, aicpu_threads_max, .. } = self.facts();
        let within = |what, value, max| {
            let valid = (1..=max).contains(&value);
            if valid { Ok(()) } else { Err(DeviceError::OutOfRange { what, value, max }) }
        };
        within("clusters", launch.clusters, clusters_max)?;
        within("AICPU threads", launch.aicpu_threads, aicpu_threads_max)
    }
}

impl<C: Chip> Device for SimDevice<C> {
    fn facts(&self) -> DeviceFacts {
        DeviceFacts {
            chip: C::NAME,
            // CAST: a chip has at most a few hundred cores and a handful of threads.
            clusters_max: C::MAX_CLUSTERS as u32,
            aicpu_threads_max: C::MAX_AICPU_THREADS as u32,
            callable_ids: self.parts.engine.executor().callable_capacity(),
        }
    }

    fn usage(&self) -> DeviceUsage {
        let (allocations, bytes) = self.parts.memory.usage();
        DeviceUsage { allocations, bytes, kernels: self.parts.kernels.count() }
    }

    fn memory_report(&self) -> DeviceMemoryReport {
        self.parts.memory.report()
    }

    fn allocate(&self, bytes: usize, holder: Holder) -> Result<DeviceAddr, MemoryError> {
        self.parts.memory.allocate(bytes, holder)
    }

    fn restart_high_water(&self, holder: Holder) {
        self.parts.memory.ledger().restart(holder);
    }

    fn free(&self, address: DeviceAddr) -> Result<(), MemoryError> {
        self.parts.images.forget(address, 0);
        self.parts.memory.free(address)
    }

    fn copy_in(&self, to: DeviceAddr, from: &[u8]) -> Result<(), MemoryError> {
        self.parts.images.forget(to, from.len());
        self.parts.memory.copy_in(to, from)
    }

    fn upload_image(&self, image: &[u8]) -> Result<DeviceAddr, MemoryError> {
        self.parts.memory.allocate_with(image, Holder::Orchestration)
    }

    fn check_user_range(&self, address: DeviceAddr, bytes: usize) -> Result<(), MemoryError> {
        self.parts.memory.check_user_range(address, bytes)
    }

    fn copy_out(&self, to: &mut [u8], from: DeviceAddr) -> Result<(), MemoryError> {
        self.parts.memory.copy_out(to, from)
    }

    fn memory_epoch(&self) -> Option<u64> {
        Some(self.parts.memory.epoch())
    }

    fn pin(&self, address: DeviceAddr) -> Option<Arc<dyn PinnedMemory>> {
        self.parts.memory.pin(address)
    }

    fn attach(&self, memory: Arc<SharedMemory>, side: Side) {
        self.parts.memory.attach(memory, side);
    }

    fn detach(&self, address: DeviceAddr) {
        self.parts.memory.detach(address);
    }

    fn check_orchestration(&self, bytes: &[u8], entry: &str) -> Result<(), OrchestrationError> {
        orchestration_check::check(bytes, entry, self.images.as_deref())
    }

    fn load_kernel(&self, kernel: &CoreCallableView<'_>) -> Result<Uploaded, KernelError> {
        self.parts.kernels.load(kernel, &self.parts.memory)
    }

    fn unload_kernel(&self, record: DeviceAddr) -> Result<(), KernelError> {
        self.parts.kernels.unload(record, &self.parts.memory)
    }

    fn load_orchestration(&self, load: &OrchestrationLoad<'_>) -> Result<(), DeviceError> {
        self.load(load)
    }

    fn unload_orchestration(&self, id: CallableId, generation: u32) -> Result<(), DeviceLost> {
        self.unload(Order::Unload { id, generation })
    }

    fn loaded_code(&self) -> Vec<LoadedRange> {
        let mut ranges = Vec::new();
        if !self.is_lost() {
            self.parts.engine.executor().loaded_ranges(|range| ranges.push(range));
        }
        ranges
    }

    fn list_code(&self, lister: Arc<CodeLister>) {
        if lister.lists_for_gdb() {
            self.parts.kernels.keep_files();
        }
        self.parts.engine.executor().platform().list_code(lister);
    }

    fn throw_trace(&self) -> Vec<u64> {
        let thrown = self.parts.engine.executor().platform().take_thrown();
        thrown.map(|trace| trace.addresses().to_vec()).unwrap_or_default()
    }

    fn interleaving(&self) -> Option<Interleaving> {
        self.parts.engine.pool().turns().map(Turns::interleaving)
    }

    fn run(
        &self,
        launch: &Launch,
        fill: &mut dyn FnMut(&mut RuntimeBody),
    ) -> Result<RunOutcome, DeviceError> {
        self.carry_out_run(launch, fill)
    }
}

impl<C: Chip> Drop for SimDevice<C> {
    fn drop(&mut self) {
        if let Err(lost) = self.unload(Order::UnloadAll) {
            tracing::warn!(%lost, "a destructor hangs while the device is closed");
        }
        if self.is_lost() {
            // User code is still running on this device's threads and uses its memory, its
            // kernels and its records. Nothing can stop it from outside, so all of it stays, on
            // purpose, until the process ends.
            tracing::warn!("a lost device stays in memory until the process ends");
            return;
        }
        // SAFETY: not used afterwards; this is the only place where it is dropped.
        unsafe { ManuallyDrop::drop(&mut self.parts) };
    }
}

impl<C: Chip> Drop for Parts<C> {
    fn drop(&mut self) {
        // No run is in flight, so the pool's threads come back; they must be gone before the
        // kernels are unmapped.
        self.engine.pool().stop();
    }
}

impl<C: Chip> std::fmt::Debug for Parts<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("engine", &self.engine)
            .field("kernels", &self.kernels)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

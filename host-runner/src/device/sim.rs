//! The simulated device: everything a chip has, in this process.
//!
//! ```text
//!  host thread ── run record ──▶ AICPU threads ── Executor ── Platform ──▶ registers, doorbells
//!                (resident)       (resident)      (resident)               │
//!                                                              cores ◀─────┘ stepped by the
//!                                                                └─ kernels   threads of a pool
//! ```
//!
//! All of it is resident: a run creates no thread, opens no library, and maps no memory. Where
//! user code does not return from a run or from unloading, the device cannot be taken apart while that code still
//! uses it: it is marked lost and left in memory for good, and the worker makes another one.
//!
//! `unsafe` is where memory is shared with the executor, foreign code or the system: `core`,
//! `engine`, `memory`, `guarded_call`, `kernels`, `anonymous_library`, `aicpu_threads`, `platform`.

use std::mem::ManuallyDrop;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aicpu_executor::RunOutcome;
use aicpu_executor::loaded_code::LoadedRange;
use protocol::callable::parse::CoreCallableView;
use protocol::{CallableId, Chip, DeviceAddr, HandshakeRecord, RuntimeBody, RuntimeRecord};
use zerocopy::FromZeros;

use super::resident_symbols::ResidentSymbols;
use super::{
    Device, DeviceError, DeviceFacts, DeviceLost, DeviceUsage, KernelError, Launch, MemoryError,
    OrchestrationError, RingConfig, SharedMemory, Side, orchestration_check,
};

use crate::code_listing::CodeLister;
use crate::image_cache::ImageCache;
use crate::run::TIMEOUT_MAX;

pub mod aicpu_threads;
pub mod anonymous_library;
pub mod clock;
pub mod core;
pub mod core_pool;
pub mod engine;
pub mod event;
pub mod guarded_call;
pub mod kernel_hooks;
pub mod kernels;
pub mod memory;
pub mod order;
pub mod platform;
pub mod registers;
pub mod run_state;
#[cfg(test)]
pub(crate) mod test_objects;
pub mod turns;
mod watch;

use aicpu_threads::{AicpuThreads, Program};
use core::identity;
use engine::{Engine, SimExecutor};
use kernels::Kernels;
use memory::{Arenas, DeviceMemory};
use order::{Order, RunRecord};
use turns::{Interleaving, Turns};

/// How long unloading may take unless the host says otherwise. Destructors give memory back, which
/// takes microseconds.
pub const UNLOAD_LIMIT_DEFAULT: Duration = Duration::from_secs(5);

/// A simulated chip.
#[derive(Debug)]
pub struct SimDevice<C: Chip> {
    parts: ManuallyDrop<Parts<C>>,
    lost: bool,
    /// How long unloading may take before the device is given up.
    unload_limit: Duration,
    /// Where verdicts on orchestrations are kept for later processes.
    images: Option<Arc<ImageCache>>,
}

/// What a simulated chip consists of. The order of the fields is the order in which they go.
struct Parts<C: Chip> {
    aicpu: AicpuThreads<Order<C>>,
    engine: Arc<Engine<C>>,
    kernels: Kernels,
    memory: DeviceMemory,
    arenas: Arenas,
    record: Box<C::Runtime>,
    /// Number of the last run; never 0.
    run_number: NonZeroU32,
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
        // Here, so that no later step waits for the system's loader.
        ResidentSymbols::open();
        let system = |what| move |source| DeviceError::System { what, source };
        let engine = Engine::<C>::start(interleaving_seed)
            .map_err(|error| system("threads for the simulated cores")(error.into()))?;
        let program: Program<Order<C>> = {
            let engine = Arc::clone(&engine);
            Arc::new(move |order| engine.carry_out(order))
        };
        let aicpu = AicpuThreads::start(C::MAX_AICPU_THREADS, &program)
            .inspect_err(|_refused| engine.pool().stop())
            .map_err(system("AICPU threads"))?;
        let parts = Parts {
            aicpu,
            engine,
            kernels: Kernels::default(),
            memory: DeviceMemory::default(),
            arenas: Arenas::default(),
            record: empty_record::<C>(),
            // Any: it only has to differ from one run to the next.
            run_number: NonZeroU32::MIN,
        };
        let (parts, unload_limit) = (ManuallyDrop::new(parts), UNLOAD_LIMIT_DEFAULT);
        Ok(Self { parts, lost: false, unload_limit, images: None })
    }

    /// The same with another limit for unloading, at most [`TIMEOUT_MAX`]; zero is
    /// [`UNLOAD_LIMIT_DEFAULT`].
    #[must_use]
    pub fn with_unload_limit(mut self, limit: Duration) -> Self {
        // A point in time further off could not be told.
        let limit = limit.min(TIMEOUT_MAX);
        self.unload_limit = if limit.is_zero() { UNLOAD_LIMIT_DEFAULT } else { limit };
        self
    }

    /// The same with verdicts on orchestrations taken from a cache and kept there.
    #[must_use]
    pub fn with_image_cache(mut self, images: Option<Arc<ImageCache>>) -> Self {
        self.images = images;
        self
    }

    /// Marks the device as lost and puts what user code still uses out of everybody's reach.
    ///
    /// Memory, kernels and run record are left where they are, for good, and empty ones take their
    /// place: later calls find nothing in them, and get the errors for that.
    fn lose(&mut self) {
        self.lost = true;
        std::mem::forget(std::mem::take(&mut self.parts.memory));
        std::mem::forget(std::mem::take(&mut self.parts.kernels));
        std::mem::forget(std::mem::replace(&mut self.parts.record, empty_record::<C>()));
    }

    /// Whether the device can carry out this launch.
    fn check(&self, launch: &Launch) -> Result<(), DeviceError> {
        if self.lost {
            return Err(DeviceError::Gone);
        }
        let DeviceFacts { clusters_max, aicpu_threads_max, .. } = self.facts();
        let within = |what, value, max| {
            let valid = (1..=max).contains(&value);
            if valid { Ok(()) } else { Err(DeviceError::OutOfRange { what, value, max }) }
        };
        within("clusters", launch.clusters, clusters_max)?;
        within("AICPU threads", launch.aicpu_threads, aicpu_threads_max)
    }
}

impl<C: Chip> Parts<C> {
    /// Fills what the device itself knows of the run record.
    fn prepare(&mut self, launch: &Launch) -> Result<(), DeviceError> {
        let rings = launch.rings;
        let RingConfig { task_window, dep_pool, .. } = rings;
        let region = SimExecutor::<C>::region_bytes(task_window, dep_pool)
            .ok_or(DeviceError::Rings { task_window, dep_pool })?;
        let heap = match rings.heap_bytes {
            0 => protocol::HEAP_BYTES_DEFAULT,
            bytes => bytes,
        };
        let size = |bytes: u64| {
            usize::try_from(bytes).map_err(|_| MemoryError::Exhausted { bytes: usize::MAX })
        };
        let arenas = self.arenas.prepare(size(region)?, size(heap)?)?;

        let clusters = launch.clusters as usize;
        let body = self.record.body_mut();
        // CAST: a chip has at most a few hundred cores and a handful of threads.
        body.worker_count = launch.clusters as i32 * 3;
        body.sche_cpu_num = launch.aicpu_threads as i32;
        body.task_window_size = task_window;
        body.heap_size = rings.heap_bytes;
        body.dep_pool_size = dep_pool;
        body.gm_sm_ptr = arenas.shared;
        body.gm_heap_ptr = arenas.heap;
        body.extension.region_generation = arenas.generation;
        self.run_number = self.run_number.checked_add(1).unwrap_or(NonZeroU32::MIN);
        body.extension.run_number = self.run_number.get();
        // CAST: 2^64 microseconds are more than half a million years.
        body.extension.stall_timeout_us = launch.stall_timeout.as_micros() as u64;
        body.extension = body.extension.sealed();

        for (index, handshake) in self.record.workers().iter().enumerate() {
            reset(handshake);
            if let Some(identity) = identity(index, clusters) {
                // ORDERING: Relaxed: starting the run publishes it.
                handshake.core_type().store(identity.kind as i32, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

/// A run record without a callable.
fn empty_record<C: Chip>() -> Box<C::Runtime> {
    let mut record = Box::new(C::Runtime::new_zeroed());
    *record.body_mut() = RuntimeBody::default();
    record
}

/// Clears a bring-up record.
fn reset(handshake: &impl HandshakeRecord) {
    // ORDERING: Relaxed: no run is in flight; starting one publishes these stores.
    handshake.aicpu_ready().store(0, Ordering::Relaxed);
    handshake.aicore_done().store(0, Ordering::Relaxed);
    handshake.task().store(0, Ordering::Relaxed);
    handshake.core_type().store(0, Ordering::Relaxed);
    handshake.physical_core_id().store(0, Ordering::Relaxed);
    handshake.aicpu_regs_ready().store(0, Ordering::Relaxed);
    handshake.aicore_regs_ready().store(0, Ordering::Relaxed);
}

impl<C: Chip> Device for SimDevice<C> {
    fn facts(&self) -> DeviceFacts {
        DeviceFacts {
            chip: C::NAME,
            // CAST: a chip has at most a few hundred cores and a handful of threads.
            clusters_max: C::MAX_CLUSTERS as u32,
            aicpu_threads_max: C::MAX_AICPU_THREADS as u32,
        }
    }

    fn usage(&self) -> DeviceUsage {
        DeviceUsage {
            allocations: self.parts.memory.allocation_count(),
            bytes: self.parts.memory.allocated_bytes(),
            kernels: self.parts.kernels.count(),
        }
    }

    fn allocate(&mut self, bytes: usize) -> Result<DeviceAddr, MemoryError> {
        self.parts.memory.allocate(bytes)
    }

    fn free(&mut self, address: DeviceAddr) -> Result<(), MemoryError> {
        self.parts.memory.free(address)
    }

    fn copy_in(&mut self, to: DeviceAddr, from: &[u8]) -> Result<(), MemoryError> {
        self.parts.memory.copy_in(to, from)
    }

    fn check_range(&self, address: DeviceAddr, bytes: usize) -> Result<(), MemoryError> {
        self.parts.memory.check_range(address, bytes)
    }

    fn copy_out(&self, to: &mut [u8], from: DeviceAddr) -> Result<(), MemoryError> {
        self.parts.memory.copy_out(to, from)
    }

    fn attach(&mut self, memory: Arc<SharedMemory>, side: Side) {
        self.parts.memory.attach(memory, side);
    }

    fn detach(&mut self, address: DeviceAddr) {
        self.parts.memory.detach(address);
    }

    fn check_orchestration(&self, bytes: &[u8], entry: &str) -> Result<(), OrchestrationError> {
        orchestration_check::check(bytes, entry, self.images.as_deref())
    }

    fn load_kernel(&mut self, kernel: &CoreCallableView<'_>) -> Result<DeviceAddr, KernelError> {
        let Parts { kernels, memory, .. } = &mut *self.parts;
        kernels.load(kernel, memory)
    }

    fn unload_kernel(&mut self, record: DeviceAddr) -> Result<(), KernelError> {
        let Parts { kernels, memory, .. } = &mut *self.parts;
        kernels.unload(record, memory)
    }

    fn unload_orchestration(&mut self, id: CallableId, generation: u32) -> Result<(), DeviceLost> {
        self.unload(Order::Unload { id, generation })
    }

    fn loaded_code(&self) -> Vec<LoadedRange> {
        let mut ranges = Vec::new();
        if !self.lost {
            self.parts.engine.executor().loaded_ranges(|range| ranges.push(range));
        }
        ranges
    }

    fn list_code(&mut self, lister: Arc<CodeLister>) {
        if lister.lists_for_gdb() {
            self.parts.kernels.keep_files();
        }
        self.parts.engine.executor().platform().list_code(lister);
    }

    fn throw_trace(&mut self) -> Vec<u64> {
        let thrown = self.parts.engine.executor().platform().take_thrown();
        thrown.map(|trace| trace.addresses().to_vec()).unwrap_or_default()
    }

    fn interleaving(&self) -> Option<Interleaving> {
        self.parts.engine.pool().turns().map(Turns::interleaving)
    }

    fn run_record(&mut self) -> &mut RuntimeBody {
        self.parts.record.body_mut()
    }

    fn run(&mut self, launch: &Launch) -> Result<RunOutcome, DeviceError> {
        self.check(launch)?;
        self.parts.prepare(launch)?;
        let _of_an_earlier_run = self.parts.engine.executor().platform().take_thrown();
        let Parts { aicpu, engine, record, .. } = &*self.parts;
        let (clusters, threads) = (launch.clusters as usize, launch.aicpu_threads as usize);
        // SAFETY: (all three) the record stays in its box and is not written until `finish` has
        // seen everybody back; otherwise the device is lost, and then it stays for good.
        let run = unsafe {
            engine.set_record(&raw const **record);
            engine.pool().begin_run(record, clusters);
            Order::Run(RunRecord::new(&raw const **record))
        };
        if let Some(turns) = engine.pool().turns() {
            turns.begin(threads);
        }
        aicpu.begin(run, threads);
        let outcome = match self.finish(launch) {
            Ok(outcome) => outcome,
            Err(lost) => {
                self.lose();
                return Err(lost.into());
            }
        };
        // SAFETY: null names no record.
        unsafe { self.parts.engine.set_record(std::ptr::null()) };
        Ok(outcome)
    }
}

impl<C: Chip> Drop for SimDevice<C> {
    fn drop(&mut self) {
        if let Err(lost) = self.unload(Order::UnloadAll) {
            tracing::warn!(%lost, "a destructor hangs while the device is closed");
        }
        if self.lost {
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

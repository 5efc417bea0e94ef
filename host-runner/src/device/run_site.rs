//! The run record of a device and the arenas of its runs: what one run at a time has for itself.
//!
//! Whatever the device is, its executor reads the same record; so there is one place that writes it.
//! Where arenas come from is the device's business.

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;

use protocol::{Chip, DeviceAddr, HandshakeRecord, RecordOperation, RuntimeRecord};

use super::sim::core::identity;
use super::sim::engine::SimExecutor;
use super::sim::record_place::RecordPlace;
use crate::device::{DeviceError, Launch, MemoryError, RingConfig, Work};

/// Where the arenas of a run are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArenaAddresses {
    /// Shared region.
    pub shared: DeviceAddr,
    /// Heap of all rings.
    pub heap: DeviceAddr,
    /// Grows whenever the arenas were made anew: what they hold is not what a run has left there.
    pub generation: u32,
}

/// What runs work in, of a device.
pub trait ArenaSource {
    /// Arenas of exactly these sizes: those of the last run if they are, else new ones.
    ///
    /// # Errors
    ///
    /// Why there are none; the old arenas may be gone then.
    fn prepare(
        &mut self,
        shared: usize,
        heap_per_ring: usize,
    ) -> Result<ArenaAddresses, MemoryError>;
}

/// What a run has for itself.
pub struct RunSite<C: Chip, A: ArenaSource> {
    arenas: A,
    /// As the last run left it.
    pub record: RecordPlace<C::Runtime>,
    /// Number of the last run; never 0.
    number: NonZeroU32,
    /// What the record says of the last run, if that was of an orchestration.
    prepared: Option<Launch>,
}

impl<C: Chip, A: ArenaSource> RunSite<C, A> {
    /// With a run record that names no callable.
    pub fn new(arenas: A, record: RecordPlace<C::Runtime>) -> Self {
        // Any number: it only has to differ from one run to the next.
        Self { arenas, record, number: NonZeroU32::MIN, prepared: None }
    }

    /// Leaves the record where it is, for good: threads may still look at it.
    pub fn lose(&mut self) {
        std::mem::forget(std::mem::replace(&mut self.record, RecordPlace::own()));
        self.prepared = None;
    }

    /// Whether the record has what the device itself knows of a run, but for its number: the last one was the same.
    pub fn is_prepared_for(&self, launch: &Launch) -> bool {
        self.prepared.as_ref() == Some(launch)
    }

    /// Gives the run that is prepared its number.
    pub fn number_run(&mut self) -> u32 {
        let number = self.next_number();
        let extension = &mut self.record.body_mut().extension;
        extension.run_number = number;
        *extension = extension.sealed();
        number
    }

    /// The same with the numbers of runs counted from another one, for an executor that outlives its hosts.
    #[must_use]
    pub fn counting_from(mut self, number: NonZeroU32) -> Self {
        self.number = number;
        self
    }

    /// A number that the record before does not have.
    pub fn next_number(&mut self) -> u32 {
        self.number = self.number.checked_add(1).unwrap_or(NonZeroU32::MIN);
        self.number.get()
    }

    /// Where its arenas come from.
    pub fn arenas_mut(&mut self) -> &mut A {
        &mut self.arenas
    }

    /// Fills what the device itself knows of the run record, but for the number.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Rings`] and [`DeviceError::Memory`].
    pub fn prepare_anew(&mut self, launch: &Launch) -> Result<(), DeviceError> {
        self.prepared = None;
        let operation = match &launch.work {
            Work::Orchestration(rings) => {
                self.prepare_rings(*rings)?;
                RecordOperation::Run
            }
            Work::Graph(graph) => {
                graph.write_to(self.record.body_mut());
                RecordOperation::RunGraph
            }
        };
        let body = self.record.body_mut();
        // CAST: a chip has at most a few hundred cores and a handful of threads.
        body.worker_count = launch.clusters as i32 * 3;
        body.sche_cpu_num = launch.aicpu_threads as i32;
        body.extension.operation = operation.raw();
        // CAST: 2^64 microseconds are more than half a million years.
        body.extension.stall_timeout_us = launch.stall_timeout.as_micros() as u64;
        // A graph is in the same fields, and its number is another one each time that it is built.
        self.prepared =
            Some(*launch).filter(|launch| matches!(launch.work, Work::Orchestration(_)));
        Ok(())
    }

    /// Makes the arenas that rings need.
    fn prepare_rings(&mut self, rings: RingConfig) -> Result<(), DeviceError> {
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

        let body = self.record.body_mut();
        body.task_window_size = task_window;
        body.heap_size = rings.heap_bytes;
        body.dep_pool_size = dep_pool;
        body.gm_sm_ptr = arenas.shared;
        body.gm_heap_ptr = arenas.heap;
        body.extension.region_generation = arenas.generation;
        Ok(())
    }
}

/// Clears the bring-up record of core `index` before it is brought up in a run of `clusters` clusters.
pub(super) fn reset_handshake(handshake: &impl HandshakeRecord, index: usize, clusters: usize) {
    let core_type = identity(index, clusters).map_or(0, |identity| identity.kind as i32);
    // ORDERING: Relaxed: no run is in flight; starting one publishes these stores.
    handshake.aicpu_ready().store(0, Ordering::Relaxed);
    handshake.aicore_done().store(0, Ordering::Relaxed);
    handshake.task().store(0, Ordering::Relaxed);
    handshake.core_type().store(core_type, Ordering::Relaxed);
    handshake.physical_core_id().store(0, Ordering::Relaxed);
    handshake.aicpu_regs_ready().store(0, Ordering::Relaxed);
    handshake.aicore_regs_ready().store(0, Ordering::Relaxed);
}

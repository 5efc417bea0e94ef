//! All cores of a run: their registers, their dispatch payloads, and which three form a cluster.
//!
//! The thread that sets a run up writes the table; afterwards a core's part belongs to the thread
//! that owns its cluster. Payloads are what the cores read (boundary D, spec trb §3.1): a pair for
//! each core, chosen by the parity of the dispatch id, so that one can be filled while the other
//! is in use. Each has an ingress, in which its kernel may defer the sub-task (`deferred`).

use core::cell::UnsafeCell;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use protocol::{CoreType, DispatchId, DispatchPayload, GLOBAL_CONTEXT_ARG, LOCAL_CONTEXT_ARG};

use super::deferred::ingress::Ingresses;
use super::dispatch::Candidate;
use super::task_store::TaskStore;
use super::thread::StepContext;
use crate::platform::{Platform, RegisterBlock};

/// Most cores any chip has (a5).
pub(crate) const CORE_LIMIT: usize = 108;
/// Most clusters any chip has.
pub(crate) const CLUSTER_LIMIT: usize = CORE_LIMIT / LANES;
/// Cores of a cluster: AIC, AIV0, AIV1.
pub(crate) const LANES: usize = 3;

/// The two payloads of a core.
#[derive(Debug)]
#[repr(C, align(64))]
struct PayloadPair([DispatchPayload; 2]);

/// Payloads of all cores; the address of a core's pair goes into its handshake. Zeroes are a valid
/// value.
#[derive(Debug)]
pub(crate) struct Payloads {
    pairs: [UnsafeCell<PayloadPair>; CORE_LIMIT],
    /// Where the kernels leave conditions.
    pub(crate) ingresses: Ingresses,
}

// SAFETY: a pair is written by the thread that owns the core's cluster, and read by the core
// between the register write that publishes it and the core's FIN; the register accesses order
// the two.
unsafe impl Sync for Payloads {}

/// One sub-task as it is handed to a core.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Assignment {
    /// Which of the task's kernels: 0 AIC, 1 AIV0, 2 AIV1.
    pub(crate) kernel_lane: usize,
    /// Which block.
    pub(crate) block: u32,
}

impl Payloads {
    /// Device address of a core's pair.
    pub(crate) fn address(&self, worker: usize) -> u64 {
        self.pairs.get(worker).map_or(0, |pair| pair.get().expose_provenance() as u64)
    }

    /// Writes what stays the same for a core over a run: which vector core of its cluster it is,
    /// and where kernels find their contexts.
    ///
    /// # Safety
    ///
    /// The caller is the only one to use the core's payloads.
    pub(crate) unsafe fn prepare(&self, worker: usize, sub_block: i32) {
        let Some(cell) = self.pairs.get(worker) else { return };
        // SAFETY: exclusive by the contract.
        let pair = unsafe { &mut *cell.get() };
        for (buffer, payload) in pair.0.iter_mut().enumerate() {
            payload.global_context.sub_block_id = sub_block;
            payload.local_context.async_ctx = self.ingresses.context(worker, buffer);
            let local = (&raw const payload.local_context).expose_provenance() as u64;
            let global = (&raw const payload.global_context).expose_provenance() as u64;
            if let Some(arg) = payload.args.get_mut(LOCAL_CONTEXT_ARG) {
                *arg = local;
            }
            if let Some(arg) = payload.args.get_mut(GLOBAL_CONTEXT_ARG) {
                *arg = global;
            }
        }
    }

    /// Fills the payload for dispatch `id`: kernel, arguments, task. Returns the func_id;
    /// `None` if the task cannot run, which has been reported then.
    ///
    /// # Safety
    ///
    /// The caller owns the core, whose last dispatch with this parity has finished, and the task
    /// is published and not complete.
    #[inline]
    pub(super) unsafe fn fill<P: Platform, T: TaskStore>(
        &self,
        StepContext { tasks, faults, .. }: StepContext<'_, P, T>,
        worker: u16,
        id: DispatchId,
        &Candidate { handle, task, .. }: &Candidate<T::Task>,
        kernel_lane: usize,
    ) -> Option<i32> {
        let cell = self.pairs.get(usize::from(worker))?;
        // SAFETY: exclusive by the contract: the core does not read this buffer now.
        let pair = unsafe { &mut *cell.get() };
        let payload = pair.0.get_mut(id.buffer())?;
        // SAFETY: by the contract.
        unsafe { tasks.fill(handle, task, kernel_lane, payload, faults) }
    }

    /// Says in the payload for dispatch `id` which block it is.
    ///
    /// # Safety
    ///
    /// As for [`fill`](Self::fill).
    #[inline]
    pub(super) unsafe fn set_block(&self, worker: u16, id: DispatchId, block: u32) {
        let Some(cell) = self.pairs.get(usize::from(worker)) else { return };
        // SAFETY: exclusive by the contract: the core does not read this buffer now.
        let pair = unsafe { &mut *cell.get() };
        if let Some(payload) = pair.0.get_mut(id.buffer()) {
            // CAST: block counts come from a 16-bit field of the launch specification.
            payload.local_context.block_idx = block as i32;
        }
    }

    /// The block that dispatch `id` was filled with.
    ///
    /// # Safety
    ///
    /// The caller owns the core and has seen its FIN of `id`.
    pub(crate) unsafe fn block(&self, worker: u16, id: DispatchId) -> u32 {
        let Some(cell) = self.pairs.get(usize::from(worker)) else { return 0 };
        // SAFETY: exclusive by the contract: the core is done with the buffer.
        let pair = unsafe { &*cell.get() };
        let block = pair.0.get(id.buffer()).map_or(0, |payload| payload.local_context.block_idx);
        block.cast_unsigned()
    }
}

/// A kernel that a core was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunningKernel {
    pub(crate) func_id: i32,
    /// The number of its task, for tasks that are known by one: those of a graph.
    pub(crate) graph_task: Option<u32>,
}

/// A core that has been given a kernel and has not finished it.
///
/// Prints as "core 3 is still running the kernel of func_id 7", and "(task 12 of the graph)".
#[derive(Debug, Clone, Copy)]
pub(crate) struct Suspect {
    worker: u16,
    pub(crate) kernel: RunningKernel,
}

impl fmt::Display for Suspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { worker, kernel: RunningKernel { func_id, graph_task } } = self;
        write!(f, "core {worker} is still running the kernel of func_id {func_id}")?;
        match graph_task {
            Some(task) => write!(f, " (task {task} of the graph)"),
            None => Ok(()),
        }
    }
}

/// A word on a line of its own: neighbours in the table belong to different threads.
#[derive(Debug)]
#[repr(align(64))]
struct KernelWord(AtomicU64);

/// Which kernel each core was given last and has not finished, for reports.
#[derive(Debug)]
pub(crate) struct RunningKernels {
    /// By worker: func_id plus one, above it the graph's task plus one; 0 for none. Written by the
    /// owner of the core.
    kernels: [KernelWord; CORE_LIMIT],
}

impl Default for RunningKernels {
    fn default() -> Self {
        Self { kernels: [const { KernelWord(AtomicU64::new(0)) }; CORE_LIMIT] }
    }
}

impl RunningKernels {
    /// Notes the kernel that a core was given, or that it has finished.
    #[inline]
    pub(crate) fn set(&self, worker: u16, kernel: Option<RunningKernel>) {
        let word = kernel.map_or(0, |RunningKernel { func_id, graph_task }| {
            let task = graph_task.map_or(0, |task| u64::from(task.wrapping_add(1)));
            task << 32 | u64::from(func_id.wrapping_add(1).cast_unsigned())
        });
        if let Some(kernel) = self.kernels.get(usize::from(worker)) {
            // ORDERING: Relaxed: for reports; a moment too old does not matter.
            kernel.0.store(word, Ordering::Relaxed);
        }
    }

    /// The kernel on a core.
    pub(crate) fn on(&self, worker: u16) -> Option<RunningKernel> {
        // ORDERING: Relaxed: see `set`.
        let word = self.kernels.get(usize::from(worker))?.0.load(Ordering::Relaxed);
        // CAST (both): the halves of the word.
        let (func_id, task) = (word as u32, (word >> 32) as u32);
        (word != 0).then(|| RunningKernel {
            func_id: func_id.cast_signed().wrapping_sub(1),
            graph_task: task.checked_sub(1),
        })
    }

    /// The core that a run which does not move waits for: the lowest-numbered one with a kernel.
    pub(crate) fn suspect(&self) -> Option<Suspect> {
        // CAST: at most `CORE_LIMIT` cores.
        (0..CORE_LIMIT as u16).find_map(|worker| Some(Suspect { worker, kernel: self.on(worker)? }))
    }

    /// Forgets everything; between runs.
    pub(crate) fn clear(&self) {
        for kernel in &self.kernels {
            // ORDERING: Relaxed: see `set`.
            kernel.0.store(0, Ordering::Relaxed);
        }
    }
}

/// One core as its owner sees it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CoreLocation {
    /// Index in the handshake array.
    pub(crate) worker: u16,
    /// Its registers.
    pub(crate) block: RegisterBlock,
}

/// The cores of one cluster: AIC, AIV0, AIV1.
pub(crate) type Cluster = [CoreLocation; LANES];

/// Puts cores together: cluster `c` is the `c`-th AIC with the AIVs `2c` and `2c + 1`, in worker
/// order (spec trb §5.1).
///
/// Returns `None` if the types do not make up whole clusters.
pub(crate) fn form_clusters(
    cores: impl Iterator<Item = (CoreType, CoreLocation)>,
) -> Option<heapless::Vec<Cluster, CLUSTER_LIMIT>> {
    let mut clusters: heapless::Vec<Cluster, CLUSTER_LIMIT> = heapless::Vec::new();
    let mut seen = [0_usize; 2];
    for (core_type, location) in cores {
        let (cluster, lane) = match core_type {
            CoreType::Aic => (seen[0], 0),
            CoreType::Aiv => (seen[1] / 2, 1 + seen[1] % 2),
        };
        seen[core_type as usize] += 1;
        while clusters.len() <= cluster {
            clusters.push(Cluster::default()).ok()?;
        }
        *clusters.get_mut(cluster)?.get_mut(lane)? = location;
    }
    (seen[1] == 2 * seen[0] && clusters.len() == seen[0]).then_some(clusters)
}

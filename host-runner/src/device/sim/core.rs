//! One simulated core: the core's side of boundary D as a state machine.
//!
//! ```text
//! Off ─begin─▶ AwaitReady ──▶ AwaitRegisters ──▶ Ready ⟲ task ──▶ Exited
//!              reports its     reports its       ACK, kernel,
//!              physical id     type and idles    FIN: a stage each
//! ```
//!
//! A core has no thread. Whoever has it steps it as far as it gets;
//! bring-up and exit never block, so the AICPU thread that rings may step through them itself,
//! and through kernels that are known to be brief; the others run on the pool only. Sources: spec trb §6.1-6.4.
//!
//! **Who has a core** follows from the protocol. The doorbell of a task hands it to whoever takes it out of
//! the queue that it is put into, and the task's FIN hands it back: that store is the last thing its holder does with
//! it. In between the core is *in hand*. Otherwise it may be stepped by whoever has claimed it in its [`RunState`]; where
//! threads take turns, that word alone decides.

use std::cell::UnsafeCell;
#[cfg(debug_assertions)]
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use protocol::{ConditionWord, CoreType, Dispatch, DispatchId, DispatchPayload, HandshakeRecord};

use super::brief_kernels::BriefKernels;
use super::clock;
use super::event::Event;
use super::kernel_hooks::{self, CoreIdentity};
use super::registers::CoreRegisters;
use super::run_state::RunState;
use crate::foreign_code::guarded_call::guarded;

/// How far the thread that steps a core may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Up to a kernel call, which may take any time.
    UpToKernel,
    /// Kernel calls included.
    ThroughKernels,
    /// One transition, whatever it is; a kernel call is one.
    OneTransition,
}

/// Why a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The core waits for the AICPU.
    Waits,
    /// A task is there and the stepping thread may not call its kernel.
    HasTask,
    /// A transition was made, and only one was wanted.
    Moved,
}

/// A core that cannot do what it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CoreFault {
    /// A C++ exception left the kernel.
    KernelThrew {
        /// Index of the core.
        core: usize,
        /// Address of the kernel's entry.
        function: u64,
        /// Type and `what()` of the exception.
        text: String,
    },
    /// A task was dispatched to a core that was given no payload buffers.
    NoPayload {
        /// Index of the core.
        core: usize,
    },
}

/// Where cores report their faults. The core then ends the task as if it had succeeded, so that
/// the run can be torn down in order.
pub trait FaultReceiver: Send + Sync {
    /// Takes one fault; called on a pool thread.
    fn core_fault(&self, fault: CoreFault);
}

/// Whom a core serves in one run.
#[derive(Debug, Clone, Copy)]
pub struct Assignment {
    /// The core's record in the run's `Runtime`, which outlives the run.
    pub handshake: *const dyn HandshakeRecord,
    /// Kind, cluster and number within the cluster.
    pub identity: CoreIdentity,
}

/// Kernel entry (spec trb §6.4).
type KernelEntry = unsafe extern "C-unwind" fn(*const u64);

/// Where a core stands.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Off,
    AwaitReady(Assignment),
    AwaitRegisters(Assignment),
    Ready {
        assignment: Assignment,
        last: Option<DispatchId>,
    },
    /// The task is acknowledged, its kernel not called yet.
    Acknowledged {
        assignment: Assignment,
        id: DispatchId,
    },
    /// The kernel has returned, which is not reported yet.
    Returned {
        assignment: Assignment,
        id: DispatchId,
    },
    Exited,
}

/// What a core needs from its device to take a step.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The core's register block.
    pub registers: &'a CoreRegisters,
    /// Told about every word that the core changes for the AICPU.
    pub event: &'a Event,
    /// Told when the core cannot do its task.
    pub faults: &'a dyn FaultReceiver,
    /// Learns which kernels are brief.
    pub brief: &'a BriefKernels,
}

/// One simulated core, on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
pub struct SimCore {
    index: usize,
    /// Who may step it while it is not in hand.
    pub state: RunState,
    /// The task that it was given last, 0 for none; not written where threads take turns.
    given: AtomicU32,
    stage: UnsafeCell<Stage>,
    /// Entry of the kernel that runs now; 0 is none.
    function: AtomicU64,
    /// When that kernel was entered, in nanoseconds of [`clock`].
    entered: AtomicU64,
    /// Whether somebody is stepping it: nobody else may then.
    #[cfg(debug_assertions)]
    is_held: AtomicBool,
}

// SAFETY: the stage is used by the holder of the core, one thread at a time, and whoever gets the core next
// sees it as it was left. The pointer in an assignment is to a record of atomics that is shared by design
// and, by the contract of `SimCore::begin`, outlives its use.
unsafe impl Sync for SimCore {}
// SAFETY: as above.
unsafe impl Send for SimCore {}

/// A kernel that is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    /// Index of the core.
    pub core: usize,
    /// Address of the kernel's entry.
    pub function: u64,
    /// Nanoseconds since it was called.
    pub nanoseconds: u64,
}

impl SimCore {
    /// Core number `index`, switched off.
    pub fn new(index: usize) -> Self {
        Self {
            index,
            state: RunState::default(),
            given: AtomicU32::new(0),
            stage: UnsafeCell::new(Stage::Off),
            function: AtomicU64::new(0),
            entered: AtomicU64::new(0),
            #[cfg(debug_assertions)]
            is_held: AtomicBool::new(false),
        }
    }

    /// Switches the core on for a run.
    ///
    /// # Safety
    ///
    /// Nobody else has the core. The handshake record outlives the run, that is, until the core was
    /// switched off or given another assignment.
    pub unsafe fn begin(&self, assignment: Assignment) {
        // SAFETY: by the contract.
        unsafe { self.place(Stage::AwaitReady(assignment)) };
    }

    /// Switches the core off.
    ///
    /// # Safety
    ///
    /// Nobody else has the core.
    pub unsafe fn end(&self) {
        // SAFETY: by the contract.
        unsafe { self.place(Stage::Off) };
    }

    /// Puts the core, which has no task, where it is to stand.
    ///
    /// # Safety
    ///
    /// Nobody else has the core.
    unsafe fn place(&self, stage: Stage) {
        // ORDERING: Relaxed: who is told of the core afterwards sees it.
        self.given.store(0, Ordering::Relaxed);
        // SAFETY: by the contract.
        unsafe { *self.stage.get() = stage };
    }

    /// The AICPU has written the doorbell of a task: from now on the core is in hand.
    #[inline]
    pub fn give(&self, id: DispatchId) {
        // ORDERING: Relaxed: read by threads that the AICPU thread tells, or that look again.
        self.given.store(id.raw(), Ordering::Relaxed);
    }

    /// Whether the core is in hand: it was given a task and has not reported the end of that.
    pub fn is_in_hand(&self, registers: &CoreRegisters) -> bool {
        // ORDERING: Relaxed: see `give`. No task has the id 0.
        let given = DispatchId::new(self.given.load(Ordering::Relaxed));
        given.filter(|id| id.raw() != 0).is_some_and(|id| {
            let condition = registers.condition();
            condition != ConditionWord::fin(id) && condition != ConditionWord::EXITED
        })
    }

    /// The kernel that runs on this core now.
    pub fn busy(&self) -> Option<Busy> {
        // ORDERING: Relaxed: a diagnosis; both values may be of different kernels for a moment.
        let function = self.function.load(Ordering::Relaxed);
        let entered = self.entered.load(Ordering::Relaxed);
        let nanoseconds = clock::nanoseconds().saturating_sub(entered);
        (function != 0).then_some(Busy { core: self.index, function, nanoseconds })
    }

    /// The stage, for the holder of the core.
    ///
    /// # Safety
    ///
    /// The caller has the core, and uses the reference before it gives the core away.
    #[expect(clippy::mut_from_ref, reason = "one thread has the core at a time")]
    unsafe fn stage(&self) -> &mut Stage {
        // SAFETY: by the contract.
        unsafe { &mut *self.stage.get() }
    }

    /// Calls the kernel of a task.
    fn run_task(&self, assignment: Assignment, id: DispatchId, around: Surroundings<'_>) {
        let Some(payload) = payload(assignment, id) else {
            return around.faults.core_fault(CoreFault::NoPayload { core: self.index });
        };
        let entered = clock::nanoseconds();
        let function = self.call_kernel(assignment.identity, payload, around.faults, entered);
        around.brief.took(function, clock::nanoseconds().saturating_sub(entered));
    }

    /// Entry of the kernel that the next transition calls; `None` if that is another one.
    ///
    /// # Safety
    ///
    /// Nobody is stepping the core.
    pub unsafe fn next_kernel(&self) -> Option<u64> {
        // SAFETY: by the contract.
        let Stage::Acknowledged { assignment, id } = *(unsafe { self.stage() }) else {
            return None;
        };
        entry(assignment, id)
    }

    /// Entry of the kernel that the core was given and has not acknowledged.
    ///
    /// # Safety
    ///
    /// The caller has the core.
    pub unsafe fn dispatched_kernel(&self, registers: Option<&CoreRegisters>) -> Option<u64> {
        // SAFETY: by the contract.
        let Stage::Ready { assignment, .. } = *(unsafe { self.stage() }) else { return None };
        match registers?.dispatch().decode() {
            Ok(Dispatch::Task(id)) => entry(assignment, id),
            _ => None,
        }
    }

    /// Calls the kernel at a time; its entry.
    #[inline(always)]
    fn call_kernel(
        &self,
        identity: CoreIdentity,
        payload: *const DispatchPayload,
        faults: &dyn FaultReceiver,
        entered: u64,
    ) -> u64 {
        // SAFETY: the AICPU filled the payload before it wrote the id, which was read with
        // Acquire, and leaves it alone until it sees FIN.
        let (function, args) =
            unsafe { ((*payload).function_bin_addr, (&raw const (*payload).args).cast::<u64>()) };
        if function == 0 {
            return 0;
        }
        // ORDERING: Relaxed: a diagnosis, see `busy`.
        self.entered.store(entered, Ordering::Relaxed);
        self.function.store(function, Ordering::Relaxed);
        // SAFETY: the AICPU takes the address from the record that loading the kernel made: it is
        // the kernel's entry, and the kernel stays loaded while a run may use it.
        let entry = unsafe {
            core::mem::transmute::<*const (), KernelEntry>(core::ptr::with_exposed_provenance(
                // CAST: usize is 64 bits on the supported targets.
                function as usize,
            ))
        };
        let outcome = kernel_hooks::with_identity(identity, || {
            // SAFETY: called as the kernel ABI says, with the argument list of its payload.
            guarded(move || unsafe { entry(args) })
        });
        self.function.store(0, Ordering::Relaxed);
        if let Err(text) = outcome {
            faults.core_fault(CoreFault::KernelThrew { core: self.index, function, text });
        }
        function
    }
}

/// Entry of the kernel of a task; `None` without one.
fn entry(assignment: Assignment, id: DispatchId) -> Option<u64> {
    // SAFETY: the AICPU filled the payload before it wrote the id, which was read with Acquire, and
    // leaves it alone until it sees FIN.
    let entry = unsafe { (*payload(assignment, id)?).function_bin_addr };
    (entry != 0).then_some(entry)
}

/// The payload of a task; `None` if the core was given no buffers.
fn payload(assignment: Assignment, id: DispatchId) -> Option<*const DispatchPayload> {
    // SAFETY: the record outlives the run by the contract of `begin`.
    let handshake = unsafe { &*assignment.handshake };
    // ORDERING: Relaxed: `aicpu_ready`, seen with Acquire, published it.
    let pair = handshake.task().load(Ordering::Relaxed) as *const DispatchPayload;
    (!pair.is_null()).then(|| pair.wrapping_add(id.buffer()))
}

/// Kind and place of core `index` in a run of `clusters` clusters; `None` past the last core.
///
/// Cube cores come first, then the vector cores, two a cluster (spec trb §7.3, §7.6).
pub fn identity(index: usize, clusters: usize) -> Option<CoreIdentity> {
    if index < clusters {
        return Some(CoreIdentity { kind: CoreType::Aic, index, cluster: index, sub_block: 0 });
    }
    let vector = index - clusters;
    let cluster = vector / 2;
    let kind = CoreType::Aiv;
    (cluster < clusters).then_some(CoreIdentity { kind, index, cluster, sub_block: vector % 2 })
}

/// The three cores of a cluster, in a run of `clusters` clusters.
pub fn cores_of_cluster(cluster: usize, clusters: usize) -> [usize; 3] {
    let first = clusters + 2 * cluster;
    [cluster, first, first + 1]
}

mod step;
#[cfg(test)]
mod tests;

//! The program of one core, as a state machine that whoever drives it steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use protocol::{
    Chip, ConditionWord, CoreType, Dispatch, DispatchId, DispatchPayload, DispatchWord,
    FAST_PATH_CLOSE, FAST_PATH_OPEN, HandshakeRecord, RuntimeRecord,
};

use crate::memory::DeviceMemory;
use crate::message::CoreLaunch;

/// What is in the dispatch register before the AICPU has written to it: a word without meaning.
const UNTOUCHED: u32 = 0x7FFF_FFFF;

/// Which core of a launch this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) index: usize,
    pub(super) kind: CoreType,
    pub(super) cluster: usize,
    /// Number of a vector core within its cluster, 0 or 1; 0 for a cube core.
    pub(super) sub_block: u32,
}

impl Identity {
    /// Of core `index` among those of `clusters` clusters: the cube cores come first, then the vector cores,
    /// two a cluster (spec trb §7.3, §7.6).
    fn new(index: usize, clusters: usize) -> Self {
        match index.checked_sub(clusters) {
            None => Self { index, kind: CoreType::Aic, cluster: index, sub_block: 0 },
            Some(vector) => {
                let (cluster, sub_block) = (vector / 2, u32::from(vector % 2 == 1));
                Self { index, kind: CoreType::Aiv, cluster, sub_block }
            }
        }
    }
}

/// What a step did.
pub(super) enum Moved {
    /// The core waits.
    Not,
    /// It went on.
    On,
    /// It has a task, which somebody is to carry out.
    To(Task),
    /// It went on, though the AICPU has left something out.
    Despite(&'static str),
}

/// Where a core stands.
#[derive(Debug)]
enum Stage {
    AwaitReady,
    AwaitRegisters,
    Ready {
        last: Option<DispatchId>,
    },
    /// A thread has its task, and sets the flag when it has ended that.
    Busy {
        id: DispatchId,
        is_done: Arc<AtomicBool>,
    },
    Left,
}

/// One core.
pub(super) struct Core<C: Chip> {
    identity: Identity,
    handshake: &'static C::Handshake,
    registers: Registers,
    stage: Stage,
}

/// The words of a register block that a core looks at.
#[derive(Clone, Copy)]
struct Registers {
    dispatch: &'static AtomicU32,
    condition: &'static AtomicU32,
    /// On a chip that has it: what opens the others.
    fast_path: Option<&'static AtomicU32>,
}

/// A task of a core.
pub(super) struct Task {
    identity: Identity,
    id: DispatchId,
    payload: *const DispatchPayload,
    registers: Registers,
    is_done: Arc<AtomicBool>,
}

// SAFETY: the payload is memory that the AICPU leaves alone until the task has ended; the rest is `Send`.
unsafe impl Send for Task {}

impl Task {
    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// Address of the kernel's image.
    ///
    /// # Errors
    ///
    /// There is no payload, or it names no kernel.
    pub(super) fn kernel_address(&self) -> Result<u64, String> {
        if self.payload.is_null() {
            return Err(format!("task {} came before any payload", self.id.raw()));
        }
        // SAFETY: not null, so it is the AICPU's (see `Core::payload`), which filled it before the word.
        match unsafe { (*self.payload).function_bin_addr } {
            0 => Err(format!("task {} has no kernel", self.id.raw())),
            address => Ok(address),
        }
    }

    /// The kernel's argument.
    pub(super) fn arguments(&self) -> *const u64 {
        // SAFETY: as above; only asked for where there is a kernel.
        unsafe { (&raw const (*self.payload).args).cast() }
    }

    /// Tells that the task has ended.
    pub(super) fn end(&self) {
        // ORDERING: Release: publishes what the kernel wrote.
        self.registers.condition.store(ConditionWord::fin(self.id).raw(), Ordering::Release);
        // ORDERING: Release: the next word of the condition comes after this one.
        self.is_done.store(true, Ordering::Release);
    }
}

impl<C: Chip> Core<C> {
    /// Takes the core one step further.
    pub(super) fn step(&mut self) -> Moved {
        match &self.stage {
            Stage::Left => Moved::Not,
            Stage::AwaitReady => self.report_id(),
            Stage::AwaitRegisters => self.report_type(),
            Stage::Ready { last } => {
                let last = *last;
                self.look_for_task(last)
            }
            // ORDERING: Acquire: see `Task::end`.
            Stage::Busy { id, is_done } if is_done.load(Ordering::Acquire) => {
                self.stage = Stage::Ready { last: Some(*id) };
                Moved::On
            }
            Stage::Busy { .. } => Moved::Not,
        }
    }

    /// Has the core leave wherever it waits; whether it left by this.
    pub(super) fn stop(&mut self) -> bool {
        if matches!(self.stage, Stage::Busy { .. } | Stage::Left) {
            return false;
        }
        self.stage = Stage::Left;
        true
    }

    /// Whether it has left its program.
    pub(super) fn has_left(&self) -> bool {
        matches!(self.stage, Stage::Left)
    }

    /// Bring-up, step 2: answers `aicpu_ready` with the physical id.
    fn report_id(&mut self) -> Moved {
        // ORDERING: Acquire: the AICPU named the payloads before.
        if self.handshake.aicpu_ready().load(Ordering::Acquire) == 0 {
            return Moved::Not;
        }
        // CAST: a chip has at most a few hundred cores.
        self.handshake.physical_core_id().store(self.identity.index as u32, Ordering::Relaxed);
        // ORDERING: Release: publishes the id.
        self.handshake.aicore_regs_ready().store(1, Ordering::Release);
        self.stage = Stage::AwaitRegisters;
        Moved::On
    }

    /// Bring-up, step 4: answers `aicpu_regs_ready` with the core type, and idles.
    fn report_type(&mut self) -> Moved {
        // ORDERING: Acquire: the AICPU opened the registers before.
        if self.handshake.aicpu_regs_ready().load(Ordering::Acquire) == 0 {
            return Moved::Not;
        }
        self.registers.condition.store(ConditionWord::IDLE.raw(), Ordering::Relaxed);
        self.handshake.core_type().store(self.identity.kind as i32, Ordering::Relaxed);
        // CAST: as above.
        // ORDERING: Release: publishes type and condition.
        self.handshake.aicore_done().store(self.identity.index as u32 + 1, Ordering::Release);
        self.stage = Stage::Ready { last: None };
        // ORDERING: Relaxed (both): `aicpu_regs_ready` was acquired.
        let is_closed = |word: &AtomicU32| word.load(Ordering::Relaxed) != FAST_PATH_OPEN;
        let dispatch = DispatchWord::from_raw(self.registers.dispatch.load(Ordering::Relaxed));
        if self.registers.fast_path.is_some_and(is_closed) {
            return Moved::Despite("the AICPU has not opened the registers");
        }
        // By now it may also have been told to leave, or have been given a task.
        if dispatch.raw() == UNTOUCHED {
            return Moved::Despite("the AICPU has not put idle into the dispatch register");
        }
        Moved::On
    }

    /// Looks what the AICPU wants.
    fn look_for_task(&mut self, last: Option<DispatchId>) -> Moved {
        // ORDERING: Acquire: the AICPU filled the payload before.
        let word = DispatchWord::from_raw(self.registers.dispatch.load(Ordering::Acquire));
        match word.decode() {
            Ok(Dispatch::Exit) => {
                // ORDERING: Release: the last word of this core.
                self.registers.condition.store(ConditionWord::EXITED.raw(), Ordering::Release);
                self.stage = Stage::Left;
                Moved::On
            }
            Ok(Dispatch::Task(id)) if Some(id) != last => {
                // ORDERING: Release: the AICPU reuses the other payload when it sees this.
                self.registers.condition.store(ConditionWord::ack(id).raw(), Ordering::Release);
                let is_done = Arc::new(AtomicBool::new(false));
                let task = Task {
                    identity: self.identity,
                    id,
                    payload: self.payload(id),
                    registers: self.registers,
                    is_done: Arc::clone(&is_done),
                };
                self.stage = Stage::Busy { id, is_done };
                Moved::To(task)
            }
            // Idle, the task that just ended, or a word without meaning: wait.
            _ => Moved::Not,
        }
    }

    /// The payload of a task; null if the core was given none.
    fn payload(&self, id: DispatchId) -> *const DispatchPayload {
        // ORDERING: Relaxed: `aicpu_ready`, seen with Acquire, published it.
        let pair = self.handshake.task().load(Ordering::Relaxed);
        // CAST: both machines have 64-bit addresses.
        let pair = core::ptr::with_exposed_provenance::<DispatchPayload>(pair as usize);
        if pair.is_null() { pair } else { pair.wrapping_add(id.buffer()) }
    }
}

/// The cores of a launch, each before its first step.
///
/// # Errors
///
/// What is wrong with the launch.
pub(super) fn of_launch<C: Chip>(
    memory: &DeviceMemory,
    launch: &CoreLaunch,
) -> Result<Vec<Core<C>>, String> {
    let clusters = launch.clusters as usize;
    if !(1..=C::MAX_CLUSTERS).contains(&clusters) {
        return Err(format!("{clusters} clusters; {} has 1 to {}", C::NAME, C::MAX_CLUSTERS));
    }
    let record = memory.place(launch.runtime, size_of::<C::Runtime>() as u64);
    let record = record.filter(|record| record.addr().is_multiple_of(align_of::<C::Runtime>()));
    let record = record.ok_or_else(|| format!("no run record can be at {:#x}", launch.runtime))?;
    // SAFETY: device memory, aligned, and any bytes are a record; it stays mapped as long as the process has
    // cores. Of it, only the handshakes are used, which are atomics.
    let workers = unsafe { &*record.cast_const().cast::<C::Runtime>() }.workers();
    let addresses = memory
        .read(launch.registers, C::MAX_CORES * size_of::<u64>())
        .map_err(|error| format!("no array of register blocks: {error}"))?;
    let mut cores = Vec::new();
    for (index, handshake) in workers.iter().enumerate().take(3 * clusters) {
        let address = addresses.get(8 * index..).and_then(|rest| rest.first_chunk::<8>());
        let address = address.map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let registers = registers::<C>(memory, address)
            .ok_or_else(|| format!("no registers of core {index} can be at {address:#x}"))?;
        // What a core of an earlier launch said is not this one's.
        registers.condition.store(0, Ordering::Relaxed);
        registers.dispatch.store(UNTOUCHED, Ordering::Relaxed);
        if let Some(fast_path) = registers.fast_path {
            fast_path.store(FAST_PATH_CLOSE, Ordering::Relaxed);
        }
        let identity = Identity::new(index, clusters);
        cores.push(Core { identity, handshake, registers, stage: Stage::AwaitReady });
    }
    Ok(cores)
}

/// The words of a register block; `None` where there can be none.
fn registers<C: Chip>(memory: &DeviceMemory, block: u64) -> Option<Registers> {
    let word = |offset: usize| {
        let place = memory.place(block.checked_add(offset as u64)?, size_of::<u32>() as u64)?;
        let place = place.cast::<u32>();
        // SAFETY: device memory, aligned, and mapped as long as the process has cores; everybody accesses it by
        // whole words.
        place.is_aligned().then(|| unsafe { AtomicU32::from_ptr(place) })
    };
    let fast_path = match C::FAST_PATH_ENABLE {
        Some(offset) => Some(word(offset)?),
        None => None,
    };
    Some(Registers { dispatch: word(C::DATA_MAIN_BASE)?, condition: word(C::COND)?, fast_path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cube_cores_come_first_and_each_cluster_has_two_vector_cores() {
        let identity = |index| Identity::new(index, 2);
        let of = |index| (identity(index).kind, identity(index).cluster, identity(index).sub_block);
        let expected = [
            (CoreType::Aic, 0, 0),
            (CoreType::Aic, 1, 0),
            (CoreType::Aiv, 0, 0),
            (CoreType::Aiv, 0, 1),
            (CoreType::Aiv, 1, 0),
            (CoreType::Aiv, 1, 1),
        ];
        assert_eq!([0, 1, 2, 3, 4, 5].map(of), expected);
    }

    #[test]
    fn a_launch_that_cannot_be_is_refused_with_what_is_wrong() {
        use crate::message::Chip as Name;
        use protocol::A2a3;

        let memory = DeviceMemory::new(1 << 20).unwrap();
        let (runtime, registers) = (memory.address(), memory.address() + (1 << 19));
        let good = CoreLaunch { chip: Name::A2a3, clusters: 1, runtime, registers };
        let refused = |launch: CoreLaunch| of_launch::<A2a3>(&memory, &launch).err().unwrap();
        assert!(refused(CoreLaunch { clusters: 0, ..good }).contains("1 to 24"));
        assert!(refused(CoreLaunch { clusters: 25, ..good }).contains("25 clusters"));
        assert!(refused(CoreLaunch { runtime: 64, ..good }).contains("0x40"));
        assert!(refused(CoreLaunch { runtime: runtime + 8, ..good }).contains("no run record"));
        assert!(refused(CoreLaunch { registers: 0, ..good }).contains("no array"));
        // The array is all zero.
        assert!(refused(good).contains("core 0 can be at 0x0"));
        for core in 0..3_u64 {
            let block = registers + 0x1000 + core * 0x1400;
            memory.write(registers + 8 * core, &block.to_le_bytes()).unwrap();
        }
        assert_eq!(of_launch::<A2a3>(&memory, &good).ok().unwrap().len(), 3);
    }
}

//! Bringing cores up and down (boundary D, spec trb §6.1).
//!
//! | step | AICPU | AICore |
//! |---|---|---|
//! | 1 | `task` = payload pair, `aicpu_ready` = 1 | waits |
//! | 2 | waits | `physical_core_id`, then `aicore_regs_ready` = 1 |
//! | 3 | finds the registers, idles them, `aicpu_regs_ready` = 1 | waits |
//! | 4 | waits | `core_type`, then `aicore_done` = index + 1 |
//!
//! Each step is done for all cores before the next one, so that the cores work side by side, and
//! every wait has a deadline.

use core::sync::atomic::Ordering;

use protocol::{
    Chip, Condition, ConditionWord, CoreType, Dispatch, DispatchId, DispatchWord, FAST_PATH_CLOSE,
    FAST_PATH_OPEN, HandshakeRecord, StatusCode,
};

use super::core_table::{
    CLUSTER_LIMIT, CORE_LIMIT, Cluster, CoreLocation, Payloads, RunningKernels, form_clusters,
};
use crate::fault::FaultLatch;
use crate::log::log_at;
use crate::platform::{Platform, RegisterBlock};
use crate::wait::{Deadline, WaitEnd, wait_despite_faults, wait_until};

/// How long a core may take for one step of the handshake. TIMEOUT: a core answers in
/// microseconds; a simulated one on a loaded machine may have to wait for a processor.
const HANDSHAKE_US: u64 = 10_000_000;

/// How long a core may take to leave. TIMEOUT: the reference's second (spec trb §2.2); a core that
/// has not left by then is inside a kernel that does not end.
const EXIT_US: u64 = 1_000_000;

/// Clusters of a run, in order.
pub(crate) type Clusters = heapless::Vec<Cluster, CLUSTER_LIMIT>;

/// Brings up all `workers` cores and groups them into clusters.
///
/// # Errors
///
/// The code that was latched. The cores that had come up have been told to leave.
pub(crate) fn bring_up<C: Chip, P: Platform>(
    platform: &P,
    faults: &FaultLatch,
    payloads: &Payloads,
    workers: &[C::Handshake],
) -> Result<Clusters, i32> {
    let mut blocks = [RegisterBlock::default(); CORE_LIMIT];
    let result = shake_hands::<C, P>(platform, faults, payloads, workers, &mut blocks);
    let code = match result {
        Ok(()) => match locate::<C>(workers, &blocks) {
            Some(clusters) => {
                prepare_payloads(payloads, &clusters);
                return Ok(clusters);
            }
            None => faults.report(
                StatusCode::TooManyCores.code(),
                format_args!(
                    "the {} cores are not whole clusters of one AIC and two AIVs",
                    workers.len()
                ),
            ),
        },
        Err(code) => code,
    };
    dismiss::<C, P>(platform, workers, &blocks);
    Err(code)
}

/// The four steps, each for all cores.
fn shake_hands<C: Chip, P: Platform>(
    platform: &P,
    faults: &FaultLatch,
    payloads: &Payloads,
    workers: &[C::Handshake],
    blocks: &mut [RegisterBlock],
) -> Result<(), i32> {
    for (worker, core) in workers.iter().enumerate() {
        // ORDERING: Relaxed, then Release: the core that sees `aicpu_ready` sees its payload.
        core.task().store(payloads.address(worker), Ordering::Relaxed);
        core.aicpu_ready().store(1, Ordering::Release);
        platform.notify_core(worker);
    }
    for ((worker, core), block) in workers.iter().enumerate().zip(blocks.iter_mut()) {
        await_core(platform, faults, worker, "report its id", || {
            // ORDERING: Acquire: the core's id was written before.
            core.aicore_regs_ready().load(Ordering::Acquire) != 0
        })?;
        // ORDERING: Relaxed: see above.
        let physical = core.physical_core_id().load(Ordering::Relaxed);
        let found = ((physical as usize) < C::PHYSICAL_CORE_LIMIT)
            .then(|| platform.register_block(physical))
            .flatten();
        *block = found.ok_or_else(|| {
            faults.report(
                StatusCode::HandshakeTimeout.code(),
                format_args!(
                    "core {worker} reports physical id {physical}, which has no registers \
                     ({} has ids below {})",
                    C::NAME,
                    C::PHYSICAL_CORE_LIMIT
                ),
            )
        })?;
        if let Some(fast_path) = C::FAST_PATH_ENABLE {
            platform.write_register(*block, fast_path, FAST_PATH_OPEN);
        }
        platform.write_register(*block, C::DATA_MAIN_BASE, DispatchWord::IDLE.raw());
        // ORDERING: Release: the registers are idle before the core looks at them.
        core.aicpu_regs_ready().store(1, Ordering::Release);
        platform.notify_core(worker);
    }
    for (worker, core) in workers.iter().enumerate() {
        await_core(platform, faults, worker, "come up", || {
            // ORDERING: Acquire: the core's type was written before.
            core.aicore_done().load(Ordering::Acquire) != 0
        })?;
    }
    Ok(())
}

/// Waits for one core's answer.
fn await_core<P: Platform>(
    platform: &P,
    faults: &FaultLatch,
    worker: usize,
    act: &str,
    answered: impl Fn() -> bool,
) -> Result<(), i32> {
    let deadline = Deadline::after(platform, HANDSHAKE_US);
    wait_until(platform, faults, deadline, || answered().then_some(())).map_err(|end| match end {
        WaitEnd::Aborted => faults.code(),
        WaitEnd::TimedOut => faults.report(
            StatusCode::HandshakeTimeout.code(),
            format_args!("core {worker} did not {act} within {} s", HANDSHAKE_US / 1_000_000),
        ),
    })
}

/// Groups the cores by the types they have reported.
fn locate<C: Chip>(workers: &[C::Handshake], blocks: &[RegisterBlock]) -> Option<Clusters> {
    let mut unknown_type = false;
    let cores = workers.iter().zip(blocks).enumerate().filter_map(|(worker, (core, block))| {
        // ORDERING: Relaxed: `aicore_done` was acquired.
        let reported = CoreType::try_from(core.core_type().load(Ordering::Relaxed));
        unknown_type |= reported.is_err();
        // CAST: at most `CORE_LIMIT` cores.
        let location = CoreLocation { worker: worker as u16, block: *block };
        reported.ok().map(|core_type| (core_type, location))
    });
    let clusters = form_clusters(cores)?;
    (!unknown_type).then_some(clusters)
}

/// Tells each core's payloads which vector core of its cluster it is.
fn prepare_payloads(payloads: &Payloads, clusters: &[Cluster]) {
    for cluster in clusters {
        for (core, sub_block) in cluster.iter().zip([0, 0, 1]) {
            // SAFETY: the cores are up but idle, and no other thread has entered the run.
            unsafe { payloads.prepare(usize::from(core.worker), sub_block) };
        }
    }
}

/// Sends cores away after a handshake that failed, wherever they are in it.
fn dismiss<C: Chip, P: Platform>(platform: &P, workers: &[C::Handshake], blocks: &[RegisterBlock]) {
    for ((worker, core), block) in workers.iter().enumerate().zip(blocks) {
        if *block != RegisterBlock::default() {
            platform.write_register(*block, C::DATA_MAIN_BASE, DispatchWord::EXIT.raw());
        }
        // ORDERING: Release: the exit word is there before the core looks at its registers.
        core.aicpu_regs_ready().store(1, Ordering::Release);
        platform.notify_core(worker);
    }
}

/// The id of the next dispatch to a core that is up and waits: a core takes an id for a new task if
/// it differs from the last one.
pub(crate) fn next_dispatch<C: Chip, P: Platform>(platform: &P, core: CoreLocation) -> DispatchId {
    let word = platform.read_register(core.block, C::DATA_MAIN_BASE);
    match DispatchWord::from_raw(word).decode() {
        Ok(Dispatch::Task(last)) => last.next(),
        _ => DispatchId::FIRST,
    }
}

/// Tells cores to leave and waits until they have.
///
/// A core that does not leave is reported as a fault (unless the run has one already), with the
/// kernel it was given last.
pub(crate) fn take_down<C: Chip, P: Platform>(
    platform: &P,
    faults: &FaultLatch,
    cores: impl Iterator<Item = CoreLocation> + Clone,
    running: &RunningKernels,
) {
    for core in cores.clone() {
        platform.write_register(core.block, C::DATA_MAIN_BASE, DispatchWord::EXIT.raw());
    }
    let deadline = Deadline::after(platform, EXIT_US);
    for core in cores {
        let left = wait_despite_faults(platform, deadline, || {
            let word = platform.read_register(core.block, C::COND);
            (ConditionWord::from_raw(word).decode() == Ok(Condition::Exited)).then_some(())
        });
        if left.is_none() {
            let kernel = running.on(core.worker).map_or(-1, |kernel| kernel.func_id);
            log_at!(Error, "core {} did not leave; a kernel is still running", core.worker);
            faults.report(
                StatusCode::SchedulerTimeout.code(),
                format_args!(
                    "core {} did not leave within {} s; kernel func_id {kernel} may not end",
                    core.worker,
                    EXIT_US / 1_000_000
                ),
            );
            continue;
        }
        platform.write_register(core.block, C::DATA_MAIN_BASE, DispatchWord::IDLE.raw());
        if let Some(fast_path) = C::FAST_PATH_ENABLE {
            platform.write_register(core.block, fast_path, FAST_PATH_CLOSE);
        }
    }
}

//! Watching the AICPU threads of a run: until they come back, or until it is clear that they do
//! not, and in what they hang.
//!
//! A run begins with one thread. The caller, who has nothing else to do, looks at it meanwhile: it calls others when there
//! is more to do than one does, and leaves them its processor then. When nothing
//! moves for a while, it calls the last thread of the device, which runs no kernels and so is there to
//! hand out tasks and to say what hangs, whatever the others are in.
//!
//! ```text
//!  begin ─▶ time limit ─▶ fault ─▶ grace ─┬▶ all back: the fault is the outcome
//!                                         └▶ stuck: the device is lost, the cause named
//! ```

use std::time::{Duration, Instant};

use aicpu_executor::{ForeignFunction, RunCounts};
use protocol::Chip;

use super::aicpu_threads::{Ended, Stuck};
use super::core::Busy;
use super::{Parts, SimDevice};
use crate::device::{DeviceLost, Launch, LostCause, RunOutcome};

/// How often a run that is past its limit is told so.
const REPORT_AGAIN: Duration = Duration::from_millis(10);

/// How long a run is looked at before it is asked again whether it has more to do.
const LOOK: Duration = Duration::from_micros(8);
/// How often, before the caller sleeps.
const LOOKS: u32 = 8;
/// How often a run is looked at by a caller that sleeps: first soon, then ever later up to this.
const GLANCE: Duration = Duration::from_millis(4);

/// What the caller sees of a run whose threads may need another one.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// Whether ready tasks wait for a core, or kernels for a thread.
    has_work: bool,
    /// Whether some of the ready ones are blocks of one task.
    has_blocks: bool,
    /// Whether anything has moved since the caller looked last.
    has_moved: bool,
    are_kernels_slight: bool,
}

impl Seen {
    /// Whether another thread would be of use.
    fn asks_for_another(self) -> bool {
        // The thread that runs the tasks has all that belongs to them at hand, whether it submits them in between
        // or has them in a graph. As long as it does not stand still, another one would be in its way unless the
        // kernels take a while: a graph of slight ones that was replayed by two took two to eight times as long.
        let is_alone_best = self.has_moved && self.are_kernels_slight && !self.has_blocks;
        self.has_work && !is_alone_best
    }
}

impl<C: Chip> SimDevice<C> {
    /// Waits for the AICPU threads of a run within its time limit, which is told from when the caller would
    /// sleep, and calls more of them where they are needed.
    ///
    /// Not inlined: who counts instructions leaves it out.
    #[inline(never)]
    fn attend(&self, launch: &Launch) -> Result<Ended, Stuck> {
        let end = || Instant::now() + launch.timeout;
        let Parts { aicpu, engine, .. } = &*self.parts;
        let (executor, pool) = (engine.executor(), engine.pool());
        if pool.turns().is_some() {
            return aicpu.sleep_until(end());
        }
        if let Ok(ended) = aicpu.glance() {
            return Ok(ended);
        }
        let (mut called, mut seen) = (0, 0);
        for _ in 0..LOOKS {
            if let Ok(ended) = aicpu.look_for(LOOK) {
                return Ok(ended);
            }
            let moves = executor.moves();
            called +=
                usize::from(self.call_if_needed(std::mem::replace(&mut seen, moves) != moves));
            // The threads of the run need all processors.
            if called > 0 && called + 1 >= self.cores_used {
                break;
            }
        }
        let end = end();
        let guard = C::MAX_AICPU_THREADS..C::MAX_AICPU_THREADS + 1;
        let (mut failed_at, mut glance) = (None, LOOK * LOOKS);
        seen = executor.moves();
        loop {
            glance = GLANCE.min(glance * 2);
            let stuck = match aicpu.sleep_until(end.min(Instant::now() + glance)) {
                Ok(ended) => return Ok(ended),
                Err(stuck) => stuck,
            };
            let now = Instant::now();
            if now >= end {
                return Err(stuck);
            }
            if executor.has_fault() {
                // All leave but those inside a kernel.
                let since = *failed_at.get_or_insert(now);
                let hangs = pool
                    .longest_kernel()
                    .is_some_and(|busy| Duration::from_nanos(busy.nanoseconds) >= launch.grace);
                if hangs && now.duration_since(since) >= launch.grace {
                    return Err(stuck);
                }
            }
            let moves = executor.moves();
            self.call_if_needed(moves != seen);
            if moves == seen && glance == GLANCE {
                pool.distrust();
                pool.relieve();
                aicpu.call(guard.clone());
            }
            seen = moves;
        }
    }

    /// Calls another thread into a run that has more to do than those in it do; whether one came.
    fn call_if_needed(&self, has_moved: bool) -> bool {
        let Parts { aicpu, engine, .. } = &*self.parts;
        let (executor, pool) = (engine.executor(), engine.pool());
        let seen = Seen {
            has_work: executor.has_ready_tasks() || pool.has_waiting_kernels(),
            has_blocks: executor.has_ready_blocks(),
            has_moved,
            are_kernels_slight: pool.are_kernels_slight(),
        };
        seen.asks_for_another() && aicpu.call(1..self.cores_used.min(C::MAX_AICPU_THREADS))
    }

    /// Waits for everything that the run has set in motion.
    pub(super) fn finish(&self, launch: &Launch) -> Result<RunOutcome, DeviceLost> {
        let Parts { aicpu, engine, .. } = &*self.parts;
        let executor = engine.executor();
        let back = self.attend(launch).or_else(|_running| {
            // A run that is only being set up clears the latch, so once may not be enough.
            let given_up = Instant::now() + launch.grace;
            loop {
                executor.report_time_limit(launch.timeout.as_millis());
                let next = given_up.min(Instant::now() + REPORT_AGAIN);
                match aicpu.wait(next) {
                    Err(_running) if next < given_up => {}
                    ended => break ended,
                }
            }
        });
        let fault = executor.take_fault().map(Box::new);
        let cause = match back {
            Ok(ended) if ended.panicked => Some(LostCause::Executor),
            Ok(_) if fault.is_none() => {
                engine.pool().keep_on();
                None
            }
            Ok(_) => {
                let idle = engine.pool().end_run(Instant::now() + launch.grace);
                idle.err().map(|busy| self.hanging_kernel(busy))
            }
            Err(_stuck) => Some(match engine.pool().longest_kernel() {
                // A kernel that has just started is not what the run hangs in.
                Some(busy) if Duration::from_nanos(busy.nanoseconds) >= launch.grace => {
                    self.hanging_kernel(busy)
                }
                _ => match executor.running_call_of_run() {
                    Some(call) if call.function != ForeignFunction::Entry => {
                        LostCause::Function(Box::new(call))
                    }
                    _ => LostCause::Orchestration,
                },
            }),
        };
        match cause {
            None => {
                let RunCounts { tasks, loaded } = executor.counts();
                Ok(RunOutcome { fault, tasks, loaded })
            }
            Some(cause) => Err(DeviceLost { cause, fault }),
        }
    }

    fn hanging_kernel(&self, busy: Busy) -> LostCause {
        LostCause::Kernel {
            core: busy.core,
            func_id: self.parts.engine.func_id_of(busy.function),
            running: Duration::from_nanos(busy.nanoseconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is seen of a run that one thread does best, although tasks are ready.
    const ALONE: Seen =
        Seen { has_work: true, has_blocks: false, has_moved: true, are_kernels_slight: true };

    #[test]
    fn a_thread_with_slight_kernels_that_moves_is_left_alone() {
        assert!(!ALONE.asks_for_another());
    }

    #[test]
    fn another_one_is_called_where_any_of_what_speaks_against_it_is_missing() {
        for seen in [
            Seen { has_blocks: true, ..ALONE },
            Seen { has_moved: false, ..ALONE },
            Seen { are_kernels_slight: false, ..ALONE },
        ] {
            assert!(seen.asks_for_another(), "{seen:?}");
        }
    }

    #[test]
    fn nobody_is_called_where_there_is_nothing_to_do() {
        for bits in 0..8_u32 {
            let [has_blocks, has_moved, are_kernels_slight] = [1, 2, 4].map(|bit| bits & bit != 0);
            let seen = Seen { has_work: false, has_blocks, has_moved, are_kernels_slight };
            assert!(!seen.asks_for_another(), "{seen:?}");
        }
    }
}

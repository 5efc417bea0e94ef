//! Watching the AICPU threads of a run: until they come back, or until it is clear that they do
//! not, and in what they hang.
//!
//! ```text
//!  begin ─▶ time limit ─▶ fault ─▶ grace ─┬▶ all back: the fault is the outcome
//!                                         └▶ stuck: the device is lost, the cause named
//! ```

use std::time::{Duration, Instant};

use aicpu_executor::{ForeignFunction, RunOutcome};
use protocol::Chip;

use super::core::Busy;
use super::{Parts, SimDevice};
use crate::device::{DeviceLost, Launch, LostCause};

/// How often a run that is past its limit is told so.
const REPORT_AGAIN: Duration = Duration::from_millis(10);

impl<C: Chip> SimDevice<C> {
    /// Waits for everything that the run has set in motion.
    pub(super) fn finish(&self, launch: &Launch) -> Result<RunOutcome, DeviceLost> {
        let Parts { aicpu, engine, .. } = &*self.parts;
        let executor = engine.executor();
        let end = Instant::now() + launch.timeout;
        let back = aicpu.wait(end).or_else(|_running| {
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
        let outcome = executor.take_report();
        let cause = match back {
            Ok(ended) if ended.panicked => Some(LostCause::Executor),
            Ok(_) if outcome.fault.is_none() => {
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
            None => Ok(outcome),
            Some(cause) => Err(DeviceLost { cause, fault: outcome.fault.map(Box::new) }),
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

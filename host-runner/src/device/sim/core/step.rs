//! The transitions of a core: from stage to stage, as far as whoever has it may go.
//!
//! What the AICPU is told comes last in each: the core is not the caller's any more then.

use std::sync::atomic::Ordering;

use protocol::{ConditionWord, Dispatch};

use super::super::event::Event;
use super::{Assignment, Reach, SimCore, Stage, Step, Surroundings, payload};

impl Step {
    /// After a transition behind which the core is not the caller's any more.
    fn moved(reach: Reach) -> Self {
        if reach == Reach::OneTransition { Self::Moved } else { Self::Waits }
    }
}

/// Stands for having a core while it is stepped. In a build with debug assertions, two at once are found out.
struct Held<'a>(#[cfg_attr(not(debug_assertions), expect(dead_code))] &'a SimCore);

impl<'a> Held<'a> {
    #[inline]
    fn new(core: &'a SimCore) -> Self {
        #[cfg(debug_assertions)]
        assert!(!core.is_held.swap(true, Ordering::Relaxed), "core {} is in two hands", core.index);
        Self(core)
    }
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        #[cfg(debug_assertions)]
        self.0.is_held.store(false, Ordering::Relaxed);
    }
}

impl SimCore {
    /// Takes the core as far as it gets.
    ///
    /// # Safety
    ///
    /// The caller has the core. It has it no longer once a task's FIN was reported.
    pub unsafe fn step(&self, around: Surroundings<'_>, reach: Reach) -> Step {
        let held = Held::new(self);
        loop {
            // SAFETY: by the contract.
            let stage = unsafe { self.stage() };
            let moved = match *stage {
                Stage::Off | Stage::Exited => false,
                Stage::AwaitReady(assignment) => self.report_id(stage, assignment, around.event),
                Stage::AwaitRegisters(assignment) => self.report_type(stage, assignment, around),
                Stage::Ready { assignment, last } => {
                    match around.registers.dispatch().decode() {
                        Ok(Dispatch::Exit) => {
                            *stage = Stage::Exited;
                            drop(held);
                            around.registers.set_condition(ConditionWord::EXITED);
                            around.event.signal();
                            return Step::moved(reach);
                        }
                        Ok(Dispatch::Task(id)) if Some(id) != last => {
                            if reach == Reach::UpToKernel {
                                return Step::HasTask;
                            }
                            around.registers.set_condition(ConditionWord::ack(id));
                            *stage = Stage::Acknowledged { assignment, id };
                            true
                        }
                        // Idle, the task that just ended, or a word without meaning: wait.
                        _ => false,
                    }
                }
                Stage::Acknowledged { assignment, id } => {
                    self.run_task(assignment, id, around);
                    *stage = Stage::Returned { assignment, id };
                    true
                }
                Stage::Returned { assignment, id } => {
                    *stage = Stage::Ready { assignment, last: Some(id) };
                    drop(held);
                    around.registers.set_condition(ConditionWord::fin(id));
                    around.event.signal();
                    return Step::moved(reach);
                }
            };
            if !moved {
                return Step::Waits;
            }
            if reach == Reach::OneTransition {
                return Step::Moved;
            }
        }
    }

    /// Carries out the task that the core was given, as [`step`](Self::step) does, if its kernel is known to
    /// be brief; about how many nanoseconds it takes, or `None` if it is not. Nobody sleeps until the end of such a task. It
    /// is entered about at `entered`, in nanoseconds of the clock.
    ///
    /// # Safety
    ///
    /// As for [`step`](Self::step): after a task the caller has the core no longer.
    #[inline(always)]
    pub unsafe fn carry_out_brief(&self, around: Surroundings<'_>, entered: u64) -> Option<u32> {
        let held = Held::new(self);
        // SAFETY: by the contract.
        let Stage::Ready { assignment, last } = (unsafe { self.stage() }) else { return None };
        let id = match around.registers.dispatch().decode() {
            Ok(Dispatch::Task(id)) if Some(id) != *last => id,
            _ => return None,
        };
        let payload = payload(*assignment, id)?;
        // SAFETY: see `entry`.
        let time = around.brief.time_of(unsafe { (*payload).function_bin_addr })?;
        around.registers.set_condition(ConditionWord::ack(id));
        self.call_kernel(assignment.identity, payload, around.faults, entered);
        *last = Some(id);
        drop(held);
        around.registers.set_condition(ConditionWord::fin(id));
        Some(time)
    }

    /// Bring-up, step 2: answers `aicpu_ready` with the physical id.
    fn report_id(&self, stage: &mut Stage, assignment: Assignment, event: &Event) -> bool {
        // SAFETY: the record outlives the run by the contract of `begin`.
        let handshake = unsafe { &*assignment.handshake };
        // ORDERING: Acquire: the AICPU set `task` before.
        if handshake.aicpu_ready().load(Ordering::Acquire) == 0 {
            return false;
        }
        *stage = Stage::AwaitRegisters(assignment);
        // CAST: a chip has at most a few hundred cores.
        handshake.physical_core_id().store(self.index as u32, Ordering::Relaxed);
        // ORDERING: Release: publishes the id.
        handshake.aicore_regs_ready().store(1, Ordering::Release);
        event.signal();
        true
    }

    /// Bring-up, step 4: answers `aicpu_regs_ready` with the core type, and idles.
    fn report_type(
        &self,
        stage: &mut Stage,
        assignment: Assignment,
        around: Surroundings<'_>,
    ) -> bool {
        // SAFETY: the record outlives the run by the contract of `begin`.
        let handshake = unsafe { &*assignment.handshake };
        // ORDERING: Acquire: the AICPU set the dispatch word to idle before.
        if handshake.aicpu_regs_ready().load(Ordering::Acquire) == 0 {
            return false;
        }
        *stage = Stage::Ready { assignment, last: None };
        around.registers.set_condition(ConditionWord::IDLE);
        handshake.core_type().store(assignment.identity.kind as i32, Ordering::Relaxed);
        // ORDERING: Release: publishes the type and the condition word.
        // CAST: a chip has at most a few hundred cores.
        handshake.aicore_done().store(self.index as u32 + 1, Ordering::Release);
        around.event.signal();
        true
    }
}

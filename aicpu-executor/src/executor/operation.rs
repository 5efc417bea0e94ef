//! Loading and unloading outside a run.
//!
//! The reference loads inside the first run of a callable, so that whoever registers one learns only
//! then that it cannot be loaded (spec callable §7.1 H2). Here a host loads when it registers, and
//! knows that the executor has it. No thread of a run is needed for that: slots are independent of
//! each other, and the gate of a slot decides between all who want something of it.

use core::fmt;

use protocol::{CallableId, Chip, RuntimeBody, StatusCode, UnknownValue};

use super::{Executor, extension};
use crate::fault::{Fault, FaultLatch};
use crate::log::{Level, LogRecord, Place, Speaker};
use crate::orch_so_table::UnloadOutcome;
use crate::platform::Platform;

#[cfg(test)]
mod tests;

/// What an operation outside a run works with.
#[derive(Debug, Clone, Copy)]
struct Subject {
    id: CallableId,
    /// From a host that has generations.
    generation: Option<u32>,
}

impl<C: Chip, P: Platform> Executor<C, P> {
    /// Loads the orchestration that a record names into the slot of its callable: image
    /// (`dev_orch_so_addr`, `_size`), entry and config function, `active_callable_id`, and the
    /// generation of a sealed extension. Its constructors have run when this returns, and later runs
    /// enter it by id. Nothing else of the record is looked at; the image is device memory that stays
    /// as it is until this returns.
    ///
    /// May be called from any thread at any time, also while runs and loads of other callables are
    /// under way. What the slot held before is unloaded first. A constructor may never return: a host
    /// that must come back does as with [`unload`](Self::unload), and asks
    /// [`running_call_of`](Self::running_call_of) what it hangs in. Whoever has the callable unloaded
    /// before this has returned finds it unloaded, and this is a success all the same.
    ///
    /// # Errors
    ///
    /// What a run that loads ends with: `CallableIdInvalid`, `LoadFailed`, `EntryMissing`,
    /// `EntryException` (a constructor threw), `ConstructorTimeout` (somebody has given up on a
    /// constructor, which has returned after all), `CallableBusy` (a run uses the slot, or it is on
    /// its way in or out), `CallableQuarantined`. An image that is refused by its looks, and a slot
    /// that is busy, leave what is loaded; after all others the slot is empty. No run hears of it.
    #[expect(clippy::result_large_err, reason = "the text goes by value; failing is rare")]
    pub fn load(&self, body: &RuntimeBody) -> Result<(), Fault> {
        let faults = FaultLatch::new();
        self.platform.begin_speaking(Speaker::outside_of_runs(body, extension(body)));
        let loaded = self.load_into_slot(body, &faults);
        self.platform.end_speaking();
        loaded.map_err(|code| latched(&faults, code))
    }

    /// Does what a record asks for that is no run. Returns 0, or minus the code of the fault.
    pub(super) fn operate(
        &self,
        body: &RuntimeBody,
        operation: impl FnOnce(&Self, &RuntimeBody, &FaultLatch) -> Result<(), i32>,
    ) -> i32 {
        let faults = FaultLatch::new();
        let speaker = Speaker::outside_of_runs(body, extension(body));
        self.platform.begin_speaking(speaker);
        let ended = if body.sche_cpu_num == 1 {
            operation(self, body, &faults)
        } else {
            // Of several threads, each but one would find the slot busy, or load once more.
            Err(faults.report(
                StatusCode::ThreadCountInvalid.code(),
                format_args!(
                    "a record that loads or unloads with {} AICPU threads; it is for 1",
                    body.sche_cpu_num
                ),
            ))
        };
        // A reference host sees only the code.
        faults.with_fault(|Fault { code, text }| {
            crate::log::emit(&LogRecord {
                level: Level::Info,
                verbosity: 9,
                origin: module_path!(),
                place: Some(Place::here()),
                message: format_args!("an operation failed with code {code}: {text}"),
            });
        });
        self.write_outcome_of_operation(body, speaker.area, &faults);
        self.platform.end_speaking();
        ended.map_or_else(|code| -code, |()| 0)
    }

    /// Fills the slot of a callable, and leaves it at once.
    pub(super) fn load_into_slot(
        &self,
        body: &RuntimeBody,
        faults: &FaultLatch,
    ) -> Result<(), i32> {
        let Subject { id, generation } = self.subject(body, faults)?;
        let generation = generation.unwrap_or_default();
        // SAFETY: the record names the bytes of a shared object in device memory.
        unsafe { self.table.load(&self.platform, faults, id, body, generation) }.map(drop)
    }

    /// The callable of a record.
    fn subject(&self, body: &RuntimeBody, faults: &FaultLatch) -> Result<Subject, i32> {
        let generation = extension(body).map(|extension| extension.callable_generation);
        Ok(Subject { id: self.callable_id(body, generation.is_some(), faults)?, generation })
    }

    /// Empties the slot of a callable.
    pub(super) fn unload_from_slot(
        &self,
        body: &RuntimeBody,
        faults: &FaultLatch,
    ) -> Result<(), i32> {
        let Subject { id, generation } = self.subject(body, faults)?;
        let report = |status: StatusCode, text: fmt::Arguments<'_>| {
            Err(faults.report(status.code(), format_args!("callable {} {text}", id.raw())))
        };
        match self.unload(id, generation) {
            UnloadOutcome::Unloaded | UnloadOutcome::Deferred | UnloadOutcome::NothingLoaded => {
                Ok(())
            }
            UnloadOutcome::Stale { loaded } => report(
                StatusCode::StaleCallable,
                format_args!(
                    "is loaded as generation {loaded}, not {}, and stays",
                    generation.unwrap_or_default()
                ),
            ),
            UnloadOutcome::Quarantined => report(
                StatusCode::CallableQuarantined,
                format_args!("has a constructor or destructor that has not returned"),
            ),
        }
    }
}

/// Refuses a record that asks for something else.
pub(super) fn refuse(faults: &FaultLatch, unknown: UnknownValue) -> Result<(), i32> {
    Err(faults.report(StatusCode::OperationUnknown.code(), format_args!("{unknown}")))
}

/// The fault of a latch whose code is known.
fn latched(faults: &FaultLatch, code: i32) -> Fault {
    // What reports a fault is what returns its code, so there is one.
    faults.take().unwrap_or(Fault { code, text: heapless::String::new() })
}

//! Telling a host in another process what came of its record.

use protocol::{Chip, OutcomeRecord, RuntimeBody};

use super::{Executor, RunCounts, extension};
use crate::fault::{Fault, FaultLatch};
use crate::platform::Platform;

impl<C: Chip, P: Platform> Executor<C, P> {
    /// Writes what came of a record to where it says, if it says so and our host has written it.
    ///
    /// Called by the last thread that has to do with the record.
    #[inline]
    pub(super) fn tell_outcome(&self, body: &RuntimeBody, faults: &FaultLatch, counts: RunCounts) {
        // A host in the same process asks.
        if body.pending_orch_so_data != 0 {
            self.write_outcome(body, faults, counts);
        }
    }

    #[cold]
    #[inline(never)]
    fn write_outcome(&self, body: &RuntimeBody, faults: &FaultLatch, counts: RunCounts) {
        // Of a reference host, it is an address of the host's.
        let Some(extension) = extension(body) else { return };
        let address = body.pending_orch_so_data;
        // CAST: usize is 64 bits on the supported targets.
        let place = core::ptr::with_exposed_provenance_mut::<OutcomeRecord>(address as usize);
        if !place.is_aligned() {
            return;
        }
        let mut outcome = OutcomeRecord {
            number: extension.run_number,
            tasks: counts.tasks,
            loaded: counts.loaded.into(),
            ..OutcomeRecord::default()
        };
        faults.with_fault(|Fault { code, text }| outcome = outcome.with_fault(*code, text));
        // SAFETY: our host has room for it there, and nobody else uses that until the record's last thread
        // has returned.
        unsafe { place.write(outcome) };
        self.platform.clean_cache(address, size_of::<OutcomeRecord>());
    }
}

//! How a record ended, for a host that cannot ask the executor: it reads that in the log area.

use core::sync::atomic::Ordering;

use protocol::{Chip, DeviceAddr, RunReport, RuntimeBody};

use super::{Executor, extension};
use crate::fault::{Fault, FaultLatch};
use crate::log::Speaker;
use crate::log::area::write_report;
use crate::platform::Platform;

impl<C: Chip, P: Platform> Executor<C, P> {
    /// Writes the outcome of the run where its record wants it. Only the last thread of the run.
    pub(super) fn write_outcome(&self, body: &RuntimeBody, run: u32) {
        // A run without a number has no area, so that nothing is asked of the record then.
        if run == 0 || body.extension.log_area.is_null() {
            return;
        }
        // ORDERING: Relaxed (both): the other threads of the run have departed.
        let (tasks, loaded) =
            (self.tasks.load(Ordering::Relaxed), self.loaded.load(Ordering::Relaxed));
        let report = RunReport { tasks, loaded: loaded.into(), ..report_of(run, &self.faults) };
        self.write(Speaker::in_run(body, extension(body), 0).area, &report);
    }

    /// Writes the outcome of a load or an unload to `area`.
    pub(super) fn write_outcome_of_operation(
        &self,
        body: &RuntimeBody,
        area: DeviceAddr,
        faults: &FaultLatch,
    ) {
        if !area.is_null() {
            self.write(area, &report_of(body.extension.run_number, faults));
        }
    }

    fn write(&self, area: DeviceAddr, report: &RunReport) {
        let clean = |address, bytes| self.platform.clean_cache(address, bytes);
        let invalidate = |address, bytes| self.platform.invalidate_cache(address, bytes);
        // SAFETY: the host names an area that is there as long as a thread is in the record, and for this
        // record alone (boundary C); of its threads, this one reports.
        unsafe { write_report(area, invalidate, clean, report) };
    }
}

/// A report of what a latch holds.
fn report_of(number: u32, faults: &FaultLatch) -> RunReport {
    let mut report = RunReport { run_number: number, ..RunReport::NONE };
    faults.with_fault(|Fault { code, text }| {
        report.code = *code;
        report.set_text(text);
    });
    report
}

//! Runs, one at a time.

use protocol::{Chip, RuntimeBody, RuntimeRecord};

use super::order::{Order, Pointer};
use super::{Parts, SimDevice};
use crate::device::{DeviceError, Launch, RunOutcome};

impl<C: Chip> SimDevice<C> {
    /// Carries out a run whose record `fill` completes; waits for the run in flight.
    pub(super) fn carry_out_run(
        &self,
        launch: &Launch,
        fill: &mut dyn FnMut(&mut RuntimeBody),
    ) -> Result<RunOutcome, DeviceError> {
        let mut site = self.site();
        if self.is_lost() {
            return Err(DeviceError::Gone);
        }
        fill(site.record.body_mut());
        if !site.is_prepared_for(launch) {
            self.check(launch)?;
            site.prepare_anew(launch)?;
        }
        site.number_run();
        let Parts { aicpu, engine, .. } = &*self.parts;
        let _of_an_earlier_run = engine.executor().platform().take_thrown();
        let (clusters, threads) = (launch.clusters as usize, launch.aicpu_threads as usize);
        let record = &*site.record;
        // SAFETY: (all three) the record stays in its box and is not written until `finish` has
        // seen everybody back, as the site is locked; otherwise the device is lost, and then it
        // stays for good.
        let run = unsafe {
            engine.set_record(&raw const *record);
            engine.pool().begin_run(record, clusters);
            Order::Run(Pointer::new(&raw const *record))
        };
        let members = match engine.pool().turns() {
            Some(turns) => {
                turns.begin(threads);
                threads
            }
            // The first does whatever no other is called for.
            None => 1,
        };
        aicpu.begin(run, members);
        let outcome = match self.finish(launch) {
            Ok(outcome) => outcome,
            Err(lost) => {
                self.lose(&mut site);
                return Err(lost.into());
            }
        };
        // SAFETY: null names no record.
        unsafe { engine.set_record(std::ptr::null()) };
        Ok(outcome)
    }
}

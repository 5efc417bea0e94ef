//! Runs and loads, one at a time.
//!
//! ```text
//!  record ─▶ device ─▶ AICPU and cores started ─▶ both waited for ─▶ outcome read
//!     └ refused: nothing has begun     └ lost: something may be left running, or has left nothing to read
//! ```

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::{CallableId, RecordOperation, RuntimeBody, RuntimeRecord, SharedMemoryHeader};
use zerocopy::{FromZeros, IntoBytes};

use super::chip::CannChip;
use super::device_log::DeviceLog;
use super::error::CallError;
use super::faults;
use super::launch::{Launcher, Limits};
use super::memory::{Block, DeviceArenas};
use super::session::Session;
use crate::device::ledger::Ledger;
use crate::device::run_site::{RunSite, reset_handshake};
use crate::device::sim::record_place::RecordPlace;
use crate::device::{
    DeviceError, DeviceLost, Launch, LoadFault, LostCause, MemoryError, OrchestrationLoad,
    RunOutcome,
};

/// How something ended that brought no result.
#[derive(Debug)]
pub enum End {
    /// It did not come about, or was done and failed; the device is as before.
    Refused(DeviceError),
    /// The device must be reset.
    Lost(LostCause),
}

impl End {
    /// The error of it, once the device was given up if it must be.
    pub fn or_lose<T>(self, lose: impl FnOnce(LostCause) -> DeviceLost) -> Result<T, DeviceError> {
        match self {
            Self::Refused(error) => Err(error),
            Self::Lost(cause) => Err(lose(cause).into()),
        }
    }
}

impl From<DeviceError> for End {
    fn from(error: DeviceError) -> Self {
        Self::Refused(error)
    }
}

impl From<MemoryError> for End {
    fn from(error: MemoryError) -> Self {
        Self::Refused(error.into())
    }
}

/// Something may be left running, or nothing can be started any more: only a reset helps.
fn lost(error: CallError) -> End {
    End::Lost(LostCause::Call(Box::new(error)))
}

/// The number before that of a session's first run. The AICPU program may be there still from an earlier session, and
/// takes a run with the number of its last one for that.
fn first_number(session: &Session) -> NonZeroU32 {
    /// Runs of a session before numbers are those of the next.
    const RUNS: u32 = 1 << 16;
    // CAST: any part of it will do.
    let number = (session.number() as u32).wrapping_mul(RUNS);
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

/// What runs and loads have for themselves.
pub struct Site<C: CannChip> {
    run: RunSite<C, DeviceArenas>,
    launcher: Launcher<C>,
    /// Run records as the device sees them: of runs, and of loads.
    records: [Block; 2],
    /// Where the executor says what came of it, and whatever else it has to say.
    log: DeviceLog,
    /// How long kernels may take, as it was set last.
    op_limit: Option<Duration>,
    session: Arc<Session>,
}

impl<C: CannChip> Site<C> {
    /// Makes the records.
    ///
    /// # Errors
    ///
    /// As [`Block::allocate`].
    pub fn new(
        launcher: Launcher<C>,
        session: &Arc<Session>,
        ledger: &Arc<Ledger>,
    ) -> Result<Self, MemoryError> {
        let record = || Block::allocate(session, size_of::<C::Runtime>());
        let arenas = DeviceArenas::new(Arc::clone(session), Arc::clone(ledger));
        Ok(Self {
            records: [record()?, record()?],
            log: DeviceLog::new(session, launcher.log_decoder())?,
            run: RunSite::new(arenas, RecordPlace::own()).counting_from(first_number(session)),
            launcher,
            op_limit: None,
            session: Arc::clone(session),
        })
    }

    /// The host's copy of the run record, as the last run left it.
    pub fn body_mut(&mut self) -> &mut RuntimeBody {
        self.run.record.body_mut()
    }

    /// Forgets what was on the device.
    pub fn lose(&mut self) {
        self.run.arenas_mut().lose();
    }

    /// Carries out the run of the record.
    ///
    /// # Errors
    ///
    /// [`End`].
    pub fn run(&mut self, launch: &Launch) -> Result<RunOutcome, End> {
        let limits = Limits::of(launch);
        let launch = &Launch { stall_timeout: limits.scheduler, ..*launch };
        self.run.record.body_mut().extension.log_area = self.log.address();
        if !self.run.is_prepared_for(launch) {
            self.run.prepare_anew(launch)?;
        }
        let number = self.run.number_run();
        // CAST: checked against the chip.
        let clusters = launch.clusters as usize;
        for (index, core) in self.run.record.workers().iter().take(3 * clusters).enumerate() {
            reset_handshake(core, index, clusters);
        }
        let record = self.records[0].address();
        self.records[0].copy_in(0, self.run.record.as_mut_bytes())?;
        self.launcher.write_core_record(record)?;
        self.limit_kernels(limits.op);
        // CAST: a handful.
        let threads = C::LAUNCHED_AICPU_THREADS as u32;
        let start = Instant::now();
        self.launcher.launch_aicpu(threads, record, "starting a run").map_err(lost)?;
        self.launcher.launch_cores(launch.clusters, record).map_err(lost)?;
        let ended = self.wait_for_both(start, limits.stream);
        self.conclude(number, limits.stream, ended)
    }

    /// Waits for the AICPU, then for the cores, which it has sent home.
    fn wait_for_both(&self, start: Instant, limit: Duration) -> Result<(), CallError> {
        let api = self.session.api()?;
        let aicpu = api.synchronize(self.launcher.aicpu.handle(), limit, "a run on the AICPU");
        let left = limit.saturating_sub(start.elapsed()).max(Duration::from_millis(1));
        match aicpu {
            // Cores whose AICPU is not done are not, either.
            Err(error) if error.is_timeout() || start.elapsed() >= limit => Err(error),
            aicpu => {
                aicpu.and(api.synchronize(self.launcher.cores.handle(), left, "a run on the cores"))
            }
        }
    }

    /// What came of run `number`, whose streams have ended so.
    fn conclude(
        &mut self,
        number: u32,
        limit: Duration,
        ended: Result<(), CallError>,
    ) -> Result<RunOutcome, End> {
        if let Err(error) = &ended
            && error.is_timeout()
        {
            return Err(End::Lost(LostCause::NotEnded { what: error.doing, limit }));
        }
        let told = self.log.collect(number).map_err(|error| match ended.clone() {
            Err(first) => lost(first),
            Ok(()) => End::Refused(error.into()),
        })?;
        let outcome = told.or_else(|| {
            let fault = self.fault_in_header()?;
            Some(RunOutcome { fault: Some(Box::new(fault)), ..RunOutcome::default() })
        });
        let Some(outcome) = outcome else {
            return Err(match ended {
                Err(error) => lost(error),
                Ok(()) => End::Lost(LostCause::Executor),
            });
        };
        match ended {
            Ok(()) => Ok(outcome),
            // An executor that ends with a fault fails as a kernel, too: then it has said why.
            Err(error) if outcome.fault.is_some() => {
                tracing::debug!(%error, "the streams of a failed run are made anew");
                self.launcher.renew_streams().map_err(lost)?;
                Ok(outcome)
            }
            Err(error) => Err(lost(error)),
        }
    }

    /// What the header of the region says.
    fn fault_in_header(&self) -> Option<aicpu_executor::Fault> {
        let mut header = [0; size_of::<SharedMemoryHeader>()];
        let region = self.run.record.body().gm_sm_ptr;
        self.session.api().ok()?.copy_out(&mut header, region.raw()).ok()?;
        faults::fault_in_header(&header)
    }

    /// Sets how long kernels may take, if that is not what it is.
    fn limit_kernels(&mut self, limit: Duration) {
        if self.op_limit == Some(limit) {
            return;
        }
        match self.session.api().and_then(|api| api.set_op_timeout(limit)) {
            Ok(()) => self.op_limit = Some(limit),
            // As in the reference: the stream has a limit, too.
            Err(error) => tracing::warn!(%error, "kernels have the time limit of the system"),
        }
    }

    /// Has the AICPU load an orchestration.
    ///
    /// # Errors
    ///
    /// [`End`].
    pub fn load(&mut self, load: &OrchestrationLoad<'_>, limit: Duration) -> Result<(), End> {
        let mut body = load.body();
        let told = self.operate(&mut body, RecordOperation::Load, limit, "a load")?;
        match told.fault {
            None => Ok(()),
            Some(fault) => Err(DeviceError::from(LoadFault::new(load.id, &fault, None)).into()),
        }
    }

    /// Has the AICPU unload an orchestration.
    ///
    /// # Errors
    ///
    /// [`End`].
    pub fn unload(&mut self, id: CallableId, generation: u32, limit: Duration) -> Result<(), End> {
        let mut body = RuntimeBody { active_callable_id: id.raw(), ..RuntimeBody::default() };
        body.extension.callable_generation = generation;
        let told = self.operate(&mut body, RecordOperation::Unload, limit, "an unloading")?;
        if let Some(fault) = told.fault {
            tracing::debug!(id = id.raw(), generation, text = %fault.text, "not unloaded");
        }
        Ok(())
    }

    /// Has one AICPU thread do what a record asks for.
    fn operate(
        &mut self,
        body: &mut RuntimeBody,
        operation: RecordOperation,
        limit: Duration,
        what: &'static str,
    ) -> Result<RunOutcome, End> {
        let number = self.run.next_number();
        body.sche_cpu_num = 1;
        body.extension.log_area = self.log.address();
        body.extension.operation = operation.raw();
        body.extension.run_number = number;
        body.extension = body.extension.sealed();
        let mut record = Box::new(C::Runtime::new_zeroed());
        *record.body_mut() = *body;
        let address = self.records[1].address();
        self.records[1].copy_in(0, record.as_mut_bytes())?;
        self.launcher.launch_aicpu(1, address, what).map_err(lost)?;
        let api = self.session.api().map_err(lost)?;
        let ended = api.synchronize(self.launcher.aicpu.handle(), limit, what);
        if matches!(&ended, Err(error) if error.is_timeout()) {
            return Err(End::Lost(LostCause::NotEnded { what, limit }));
        }
        let told = match (self.log.collect(number), &ended) {
            (Ok(told), _) => told,
            (Err(error), Ok(())) => return Err(error.into()),
            (Err(_), Err(_)) => None,
        };
        match (ended, told) {
            (Ok(()), Some(told)) => Ok(told),
            (Err(error), Some(told)) if told.fault.is_some() => {
                tracing::debug!(%error, "the streams of a failed operation are made anew");
                self.launcher.renew_streams().map_err(lost)?;
                Ok(told)
            }
            (Err(error), _) => Err(lost(error)),
            (Ok(()), None) => Err(End::Lost(LostCause::Executor)),
        }
    }
}

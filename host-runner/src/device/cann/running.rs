//! Runs and loads, one at a time.
//!
//! ```text
//!  record ─▶ device ─▶ AICPU and cores started ─▶ both waited for ─▶ outcome read
//!     └ refused: nothing has begun     └ lost: something may be left running, or has left nothing to read
//! ```
//!
//! What came of a record is only what the executor says of it in the log area, which names the record's number.
//! Whatever else is in device memory may be of an earlier run.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aicpu_executor::Fault;
use protocol::{CallableId, RecordOperation, RuntimeBody, RuntimeRecord};
use zerocopy::{FromZeros, IntoBytes};

use super::chip::CannChip;
use super::device_log::DeviceLog;
use super::error::CallError;
use super::launch::{LEAVING, Launcher, Limits};
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
    Lost(DeviceLost),
}

impl End {
    /// The error of it, once the device was given up if it must be.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn or_lose<T>(self, lose: impl FnOnce(DeviceLost) -> DeviceLost) -> Result<T, DeviceError> {
        match self {
            Self::Refused(error) => Err(error),
            Self::Lost(lost) => Err(lose(lost).into()),
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
    lost_after(LostCause::Call(Box::new(error)), None)
}

/// The same with the cause, and with what the executor has reported before.
fn lost_after(cause: LostCause, fault: Option<Box<Fault>>) -> End {
    End::Lost(DeviceLost { cause, fault })
}

/// How streams have ended that have not ended well.
#[derive(Debug)]
enum Unwell {
    /// Nothing is left running, and only the AICPU's kernel has failed, as it does where a run does: streams that
    /// are made anew are as good as the old ones were.
    Over(CallError),
    /// Something is left running, or has failed that only a reset clears.
    Unusable(LostCause),
}

impl Unwell {
    /// What is not over, or has failed otherwise than by its own word.
    fn unusable(error: CallError, limit: Duration) -> Self {
        Self::Unusable(match error.is_timeout() {
            true => LostCause::NotEnded { what: error.doing, limit },
            false => LostCause::Call(Box::new(error)),
        })
    }
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
        let ended = self.wait_for_both(start, limits.stream, launch.grace);
        self.conclude(number, "a run", ended)
    }

    /// Waits for the AICPU, then for the cores, which it has sent home. Both are asked, whatever the first says:
    /// what the cores say may be why.
    fn wait_for_both(
        &self,
        start: Instant,
        limit: Duration,
        grace: Duration,
    ) -> Result<(), Unwell> {
        let unusable = |error| Unwell::unusable(error, limit);
        let api = self.session.api().map_err(unusable)?;
        let aicpu = api.synchronize(self.launcher.aicpu.handle(), limit, "a run on the AICPU");
        let left = limit.saturating_sub(start.elapsed()).max(Duration::from_millis(1));
        let left = match &aicpu {
            Ok(()) => left,
            // An AICPU that has failed has told them to leave, and waits for nothing of them any more.
            Err(_) => left.min(grace.max(LEAVING)),
        };
        let cores = api.synchronize(self.launcher.cores.handle(), left, "a run on the cores");
        match (aicpu, cores) {
            (Ok(()), Ok(())) => Ok(()),
            // A core that has failed is why the AICPU has waited in vain, whatever that says of it.
            (aicpu, Err(cores)) if !cores.is_timeout() => {
                also(aicpu);
                Err(unusable(cores))
            }
            (Err(aicpu), cores) if aicpu.is_timeout() => {
                also(cores);
                Err(unusable(aicpu))
            }
            (aicpu, Err(cores)) => {
                also(aicpu);
                // Less than the limit where the AICPU has ended before it.
                Err(Unwell::unusable(cores, start.elapsed()))
            }
            (Err(aicpu), Ok(())) => Err(Unwell::Over(aicpu)),
        }
    }

    /// What came of the record with this number, whose streams have ended so.
    fn conclude(
        &mut self,
        number: u32,
        what: &'static str,
        ended: Result<(), Unwell>,
    ) -> Result<RunOutcome, End> {
        // Before all else: a reset takes the log with it, and what hangs may have said why.
        let told = self.log.collect(number);
        let ended = match ended {
            Ok(()) => {
                return told?.ok_or_else(|| lost_after(LostCause::Executor, None));
            }
            Err(ended) => ended,
        };
        let told = told.unwrap_or_else(|error| {
            tracing::warn!(%error, "the log of {what} that did not end well cannot be read");
            None
        });
        match (ended, told) {
            (Unwell::Over(error), Some(told)) if told.fault.is_some() => {
                tracing::debug!(%error, "the streams of {what} that has failed are made anew");
                self.launcher.renew_streams().map_err(lost)?;
                Ok(told)
            }
            (Unwell::Over(error), _) => Err(lost(error)),
            (Unwell::Unusable(cause), told) => {
                Err(lost_after(cause, told.and_then(|told| told.fault)))
            }
        }
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
        // That of the last run says nothing about a load.
        self.limit_kernels(limit);
        self.launcher.launch_aicpu(1, address, what).map_err(lost)?;
        let api = self.session.api().map_err(lost)?;
        let ended = api.synchronize(self.launcher.aicpu.handle(), limit, what);
        let ended = ended.map_err(|error| match error.is_timeout() {
            true => Unwell::unusable(error, limit),
            false => Unwell::Over(error),
        });
        self.conclude(number, what, ended)
    }
}

/// Has the log say how the other stream has ended than the one that the device is lost to.
fn also(end: Result<(), CallError>) {
    if let Err(error) = end {
        tracing::warn!(%error, "the other stream of a run has not ended well, either");
    }
}

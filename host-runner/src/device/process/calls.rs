//! Asking the program.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use protocol::{CallableId, Chip, DeviceAddr, FuncId, RuntimeBody, RuntimeRecord as _};

use super::child::Child;
use super::crash_record::Crashed;
use super::hearing::Hearing;
use super::lane::{End, Lane};
use super::layout::{ControlFile, LANES};
use super::message::{Answer, Reply, Request, Settings, callable_id};
use super::refusal::Refusal;
use super::run_message;
use super::unanswered::{During, Unanswered};
use crate::device::{DeviceError, DeviceLost, Launch, LostCause, RunOutcome};
use crate::log::Record;

/// How long the host looks for an answer before it sleeps.
const LOOK: Duration = Duration::from_micros(30);
/// How long it sleeps before it looks again by itself.
const SLEEP: Duration = Duration::from_millis(50);
/// What the program has beyond the limits that it keeps by itself, before it is taken to be silent.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many times that under an emulator.
const EMULATED: u32 = 6;
/// How long a program that is closed has to end by itself.
const END_LIMIT: Duration = Duration::from_secs(2);

/// The way to the program of a device.
pub(super) struct Calls<C: Chip> {
    // Before the file: it ends the program.
    child: Child,
    /// What the host has ended the program for, if it has.
    ended_by: OnceLock<LostCause>,
    control: Arc<ControlFile>,
    lanes: [Mutex<()>; LANES],
    /// Where the next one who finds all lanes taken waits.
    next: AtomicUsize,
    record: NonNull<C::Runtime>,
    /// The callable of the run in flight, or of the last one, counted from 1.
    active: AtomicU32,
    unload_limit: Duration,
    patience: Duration,
    hearing: Hearing,
}

// SAFETY: the record is in the control file, which stays as long as this value, and is used with lane 0 held.
unsafe impl<C: Chip> Send for Calls<C> {}
// SAFETY: as above.
unsafe impl<C: Chip> Sync for Calls<C> {}

impl<C: Chip> Calls<C> {
    /// Takes a program that was started.
    pub(super) fn new(
        child: Child,
        control: Arc<ControlFile>,
        unload_limit: Duration,
        is_emulated: bool,
    ) -> Result<Self, DeviceError> {
        let record = control.record::<C>().ok_or(DeviceError::Gone)?;
        let patience = if is_emulated { PATIENCE * EMULATED } else { PATIENCE };
        Ok(Self {
            child,
            ended_by: OnceLock::new(),
            control,
            lanes: Default::default(),
            next: AtomicUsize::new(0),
            record,
            active: AtomicU32::new(0),
            unload_limit,
            patience,
            hearing: Hearing::default(),
        })
    }

    /// Has it open the device.
    pub(super) fn open(&self, settings: Settings) -> Result<Answer, DeviceError> {
        let _held = locked(&self.lanes[0]);
        let asked = self.exchange(self.lane(0), &Request::Open(settings), During::Other);
        asked.map_err(|unanswered| {
            let cause = match unanswered {
                Unanswered::Gone => self.child.how(),
                Unanswered::Ended { cause, .. } => cause,
                refused => return refused.into_device(),
            };
            let how = DeviceLost { cause, fault: None };
            let reason = format!(
                "it has ended before it was ready ({how}); build it together with its host, and see what it \
                 says on the standard error"
            );
            DeviceError::Program { reason }
        })
    }

    /// Whether the program has ended.
    pub(super) fn is_over(&self) -> bool {
        self.child.is_over()
    }

    /// Number of the process.
    pub(super) fn process_id(&self) -> Option<u32> {
        self.child.process_id()
    }

    /// The callable of the run in flight, or of the last one.
    pub(super) fn active_callable(&self) -> Option<CallableId> {
        // ORDERING: Relaxed: asked by who has waited for the run, or about another one.
        let active = self.active.load(Ordering::Relaxed).checked_sub(1)?;
        callable_id(i32::try_from(active).ok()?)
    }

    /// The func id under which that callable has the kernel with this record.
    pub(super) fn func_id_of(&self, record: DeviceAddr) -> Option<FuncId> {
        let _held = locked(&self.lanes[0]);
        // SAFETY: as in `run`.
        let body = unsafe { (*self.record.as_ptr()).body() };
        let index = body.func_id_to_addr.iter().position(|address| *address == record.raw())?;
        FuncId::new(i64::try_from(index).ok()?).ok()
    }

    /// Asks for something that runs no code of the user.
    pub(super) fn ask(&self, request: &Request) -> Result<Answer, Unanswered> {
        self.ask_during(request, During::Other)
    }

    /// Asks on a lane that nobody uses, or else on the one that is free next.
    pub(super) fn ask_during(
        &self,
        request: &Request,
        during: During,
    ) -> Result<Answer, Unanswered> {
        let of_others = 1..LANES;
        for index in of_others {
            match self.lanes[index].try_lock() {
                Ok(_held) => return self.exchange(self.lane(index), request, during),
                Err(TryLockError::Poisoned(_held)) => {
                    return self.exchange(self.lane(index), request, during);
                }
                Err(TryLockError::WouldBlock) => {}
            }
        }
        // ORDERING: Relaxed: any of them will do.
        let index = 1 + self.next.fetch_add(1, Ordering::Relaxed) % (LANES - 1);
        let _held = locked(&self.lanes[index]);
        self.exchange(self.lane(index), request, during)
    }

    /// Asks on a lane, which is held.
    fn exchange(
        &self,
        lane: &Lane,
        request: &Request,
        during: During,
    ) -> Result<Answer, Unanswered> {
        if self.is_over() {
            return Err(Unanswered::Gone);
        }
        let bytes = serde_json::to_vec(request).unwrap_or_default();
        if !lane.put_bytes(&bytes) {
            let reason = "a request that is too large".to_owned();
            return Err(Unanswered::Refused(Refusal::Other { reason }));
        }
        self.ask_for_records();
        lane.hand_over(End::Host);
        // It has one limit for the load, and one for what hangs in its way.
        self.await_answer(lane, self.unload_limit * 2 + self.patience, during)?;
        match serde_json::from_slice::<Reply>(&lane.bytes()) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(refusal)) => {
                if let Some(cause) = refusal.leaves_running() {
                    // Of such a program nothing is of any use; a destructor may keep its loader, too.
                    self.end(cause);
                }
                Err(Unanswered::Refused(refusal))
            }
            Err(error) => Err(Unanswered::Refused(Refusal::Other { reason: error.to_string() })),
        }
    }

    /// Carries out a run; waits while another one is in flight.
    pub(super) fn run(
        &self,
        launch: &Launch,
        fill: &mut dyn FnMut(&mut RuntimeBody),
    ) -> Result<RunOutcome, Unanswered> {
        let held = locked(&self.lanes[0]);
        let lane = self.lane(0);
        if self.is_over() {
            return Err(Unanswered::Gone);
        }
        // SAFETY: inside the control file; with the lane held and no run in flight the program leaves it alone. Any
        // bytes are a record.
        let body = unsafe { (*self.record.as_ptr()).body_mut() };
        fill(body);
        // CAST: ids are not negative; -1, which is none, becomes 0.
        let active = body.active_callable_id.wrapping_add(1) as u32;
        // ORDERING: Relaxed: see `active_callable`.
        self.active.store(active, Ordering::Relaxed);
        lane.put_words(&run_message::words_of(launch));
        self.ask_for_records();
        lane.hand_over(End::Host);
        let limit = launch.timeout.saturating_add(launch.grace * 2).saturating_add(self.patience);
        self.await_answer(lane, limit, During::Run)?;
        let outcome = run_message::outcome_of(lane);
        drop(held);
        outcome.map_err(|error| {
            if let DeviceError::Lost(lost) = &error {
                self.end(lost.cause.clone());
            }
            Unanswered::Failed(error)
        })
    }

    /// Has the program speak from where devices of this process do.
    fn ask_for_records(&self) {
        self.control.control().records.set_threshold(crate::log::threshold());
    }

    /// Passes on what the program has said.
    fn hear(&self) {
        let pass_on = |record: &[u8]| match serde_json::from_slice::<Record>(record) {
            Ok(record) => record.emit(),
            Err(error) => tracing::warn!(%error, "a log record of a device cannot be read"),
        };
        let lose = |lost| tracing::warn!(lost, "a device has said more than there was room for");
        self.hearing.hear(&self.control.control().records, pass_on, lose);
    }

    /// Waits for an answer; what the program says meanwhile is passed on before this returns.
    fn await_answer(&self, lane: &Lane, limit: Duration, during: During) -> Result<(), Unanswered> {
        let answered = self.await_turn(lane, limit, during);
        self.hear();
        answered
    }

    fn await_turn(&self, lane: &Lane, limit: Duration, during: During) -> Result<(), Unanswered> {
        if lane.look(End::Host, LOOK) {
            return Ok(());
        }
        let start = Instant::now();
        while !lane.is_turn_of(End::Host) {
            if self.is_over() {
                // It may have answered before it ended.
                return if lane.is_turn_of(End::Host) { Ok(()) } else { Err(self.ended(during)) };
            }
            if start.elapsed() >= limit {
                let cause = LostCause::Silent { limit };
                self.end(cause.clone());
                return Err(Unanswered::Ended { cause, during });
            }
            self.hear();
            lane.sleep(End::Host, SLEEP);
        }
        Ok(())
    }

    /// Ends the program, and notes what for: whoever waits for something else is told.
    fn end(&self, cause: LostCause) {
        if !self.is_over() {
            // The first cause counts.
            let _is_first = self.ended_by.set(cause);
            self.child.kill();
        }
    }

    /// The program has ended without an answer: how.
    fn ended(&self, during: During) -> Unanswered {
        match self.ended_by.get() {
            // What hangs has been refused, so it is something else, and a load can be tried again.
            Some(cause) if during.is_load() && !matches!(cause, LostCause::Silent { .. }) => {
                Unanswered::Gone
            }
            Some(cause) => Unanswered::Ended { cause: cause.clone(), during },
            None => Unanswered::Ended { cause: self.child.how(), during },
        }
    }

    /// What the program has left behind, if it was ended by a signal of its own making.
    pub(super) fn crashed(&self) -> Option<Crashed> {
        self.control.control().crash.read()
    }

    fn lane(&self, index: usize) -> &Lane {
        &self.control.control().lanes[index]
    }
}

impl<C: Chip> Drop for Calls<C> {
    fn drop(&mut self) {
        match self.ask(&Request::Close) {
            Ok(_closed) => {
                self.child.wait(END_LIMIT);
            }
            Err(Unanswered::Gone) => {}
            Err(unanswered) => {
                let lost = unanswered.into_device();
                tracing::warn!(%lost, "a destructor ends the program of a device, or hangs, while it is closed");
            }
        }
    }
}

/// Nothing panics between two changes that belong together.
fn locked(lane: &Mutex<()>) -> MutexGuard<'_, ()> {
    lane.lock().unwrap_or_else(PoisonError::into_inner)
}

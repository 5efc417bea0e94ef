//! A device that is open: what is called first, what is given back last, and what is left of it once it
//! has hung.
//!
//! ```text
//!  claim ─▶ aclInit ─▶ aclrtSetDevice ─▶ streams ─▶ … ─▶ streams ─▶ aclrtResetDevice ─▶ aclFinalize ─▶ claim
//!                                                 └ hang ─▶ aclrtResetDeviceForce ─▶ aclFinalize ─▶ claim
//! ```
//!
//! Each thing is owned by a value that gives it back when it is dropped, and holds what it came from.
//! A reset by force takes everything with it, so nothing is given back after one. What somebody else of the process
//! has initialised stays initialised.
//!
//! A thread must be attached before it calls anything else; a number tells it whether it is.
//!
//! # Who may call what
//!
//! A device is lost by whoever has runs and loads to himself, so he needs no leave for what he calls
//! ([`Session::api`]). All others call through [`Session::with_device`], so that nothing of theirs is under way while
//! the device is reset, and nothing begins after it: addresses may mean something else by then.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard, TryLockError};
use std::time::{Duration, Instant};

use super::api::{Api, StreamHandle};
use super::error::{CallError, CannError};
use super::image::ProgramImage;
use crate::device::MemoryError;

/// How long calls of other threads may take to return before a lost device is reset under them: a copy of a
/// gigabyte takes a fraction of it, and one that hangs ends with the reset only.
const LAST_CALLS_LIMIT: Duration = Duration::from_secs(2);

/// The right of this process to a device: the driver loads one AICPU program per process (needs §4.2).
#[derive(Debug)]
pub struct Claim(());

/// Whether there is a claim, and which program was loaded.
#[derive(Debug)]
struct Claims {
    is_taken: bool,
    program: Option<(PathBuf, u128)>,
}

static CLAIMS: Mutex<Claims> = Mutex::new(Claims { is_taken: false, program: None });

/// Counts sessions, for threads to know which one they are attached to.
static SESSIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Number of the session that the thread is attached to.
    static ATTACHED: Cell<u64> = const { Cell::new(0) };
}

impl Claim {
    /// Takes the claim.
    ///
    /// # Errors
    ///
    /// [`CannError::InUse`].
    pub fn take() -> Result<Self, CannError> {
        let mut claims = claims();
        if std::mem::replace(&mut claims.is_taken, true) {
            return Err(CannError::InUse);
        }
        Ok(Self(()))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        claims().is_taken = false;
    }
}

fn claims() -> MutexGuard<'static, Claims> {
    // Each change is one store.
    CLAIMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The device is the process's; dropping it closes it.
#[derive(Debug)]
pub struct Session {
    api: Api,
    device: i32,
    number: u64,
    /// Whether the application interface is initialised for this session and not for somebody else.
    has_initialised: bool,
    is_lost: AtomicBool,
    /// Read by calls that are under way.
    calls: RwLock<()>,
    /// Given back with the device, whoever still holds the session.
    claim: Mutex<Option<Claim>>,
}

impl Session {
    /// Opens a device, and attaches the calling thread.
    ///
    /// # Errors
    ///
    /// [`CannError::Call`]; nothing stays behind.
    pub fn open(api: Api, device: i32, claim: Claim) -> Result<Arc<Self>, CannError> {
        let has_initialised = api.init()?;
        // ORDERING: Relaxed: it only has to differ from all others.
        let number = SESSIONS.fetch_add(1, Ordering::Relaxed) + 1;
        if let Err(error) = api.set_device(device) {
            if has_initialised {
                warn_of(api.finalize());
            }
            return Err(error.into());
        }
        ATTACHED.set(number);
        Ok(Arc::new(Self {
            api,
            device,
            number,
            has_initialised,
            is_lost: AtomicBool::new(false),
            calls: RwLock::default(),
            claim: Mutex::new(Some(claim)),
        }))
    }

    /// Does something with the functions, for the calling thread, which is attached by this. A device that is
    /// lost is not reset before it is done, and none is lost when it begins.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Gone`] where the device is lost, or was while `act` failed, as [`check`](Self::check) says;
    /// else [`MemoryError::Call`].
    pub fn with_device<T>(
        &self,
        act: impl FnOnce(&Api) -> Result<T, CallError>,
    ) -> Result<T, MemoryError> {
        self.check()?;
        let under_way = self.calls.read().unwrap_or_else(PoisonError::into_inner);
        let done = match self.is_lost() {
            true => None,
            false => Some(self.api().and_then(act)),
        };
        drop(under_way);
        match done {
            Some(Ok(done)) => Ok(done),
            Some(Err(error)) => {
                self.check()?;
                Err(error.into())
            }
            None => Err(self.check().err().unwrap_or(MemoryError::Gone)),
        }
    }

    /// Checks that the device is not lost. Who hears that it is may open the next one: it has been reset by then.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Gone`].
    pub fn check(&self) -> Result<(), MemoryError> {
        if !self.is_lost() {
            return Ok(());
        }
        drop(self.claim());
        Err(MemoryError::Gone)
    }

    /// The functions, for the calling thread, which is attached by this, and which alone can lose the device.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn api(&self) -> Result<&Api, CallError> {
        if ATTACHED.get() != self.number {
            self.api.set_device(self.device)?;
            ATTACHED.set(self.number);
        }
        Ok(&self.api)
    }

    /// Checks that this AICPU program can be loaded: the process has loaded no other one.
    ///
    /// # Errors
    ///
    /// [`CannError::AnotherProgram`].
    pub fn check_program(&self, wanted: &ProgramImage) -> Result<(), CannError> {
        match &claims().program {
            Some((loaded, hash)) if *hash != wanted.hash() => Err(CannError::AnotherProgram {
                loaded: loaded.clone(),
                wanted: wanted.path.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Notes that the driver's server has been told to load this AICPU program, and may have done so.
    pub fn note_program(&self, loaded: &ProgramImage) {
        claims().program.get_or_insert_with(|| (loaded.path.clone(), loaded.hash()));
    }

    /// Which session of the process this is.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Number of the device.
    pub fn device(&self) -> i32 {
        self.device
    }

    /// Whether the device has been reset by force.
    pub fn is_lost(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `lose`.
        self.is_lost.load(Ordering::Acquire)
    }

    /// Resets the device by force: what is on it, runs or not, is gone. Once.
    ///
    /// Calls of other threads that are under way have a while to return before that, and none begins any more.
    pub fn lose(&self) {
        let mut claim = self.claim();
        // ORDERING: AcqRel: who sees it set sees what led to it. A call that has not seen it holds the lock.
        if self.is_lost.swap(true, Ordering::AcqRel) {
            return;
        }
        let _nobody_else = self.last_calls();
        if let Err(error) = self.api().and_then(|api| api.reset_device_force(self.device)) {
            tracing::warn!(%error, "the device could not be reset; the next one may not open");
        }
        self.end(&mut claim);
    }

    /// The claim; locked from when the device is lost until it has been given back.
    fn claim(&self) -> MutexGuard<'_, Option<Claim>> {
        // Taken out at once.
        self.claim.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no call is under way; `None` if one does not return.
    fn last_calls(&self) -> Option<RwLockWriteGuard<'_, ()>> {
        let start = Instant::now();
        loop {
            match self.calls.try_write() {
                Ok(guard) => return Some(guard),
                Err(TryLockError::Poisoned(error)) => return Some(error.into_inner()),
                Err(TryLockError::WouldBlock) if start.elapsed() < LAST_CALLS_LIMIT => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(TryLockError::WouldBlock) => {
                    tracing::warn!("a call to the device does not return; it is reset under it");
                    return None;
                }
            }
        }
    }

    /// What comes after the device was given up.
    fn end(&self, claim: &mut Option<Claim>) {
        ATTACHED.set(0);
        if self.has_initialised {
            warn_of(self.api.finalize());
        }
        claim.take();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if *self.is_lost.get_mut() {
            return;
        }
        warn_of(self.api().and_then(|api| api.reset_device(self.device)));
        self.end(&mut self.claim());
    }
}

/// A stream of a session.
#[derive(Debug)]
pub struct Stream {
    handle: StreamHandle,
    session: Arc<Session>,
}

impl Stream {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn create(session: &Arc<Session>, doing: &'static str) -> Result<Self, CallError> {
        let handle = session.api()?.create_stream(doing)?;
        Ok(Self { handle, session: Arc::clone(session) })
    }

    /// As the functions take it.
    pub fn handle(&self) -> StreamHandle {
        self.handle
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.session.is_lost() {
            warn_of(self.session.api().and_then(|api| api.destroy_stream(self.handle)));
        }
    }
}

/// Where nobody can be told of it.
pub fn warn_of(end: Result<(), CallError>) {
    if let Err(error) = end {
        tracing::warn!(%error, "the device was not left as it was found");
    }
}

#[cfg(test)]
mod tests;

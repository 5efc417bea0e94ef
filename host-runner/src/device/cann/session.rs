//! A device that is open: what is called first, what is given back last, and what is left of it once it
//! has hung.
//!
//! ```text
//!  claim ─▶ aclInit ─▶ aclrtSetDevice ─▶ streams ─▶ … ─▶ streams ─▶ aclrtResetDevice ─▶ aclFinalize ─▶ claim
//!                                                 └ hang ─▶ aclrtResetDeviceForce ─▶ aclFinalize ─▶ claim
//! ```
//!
//! Each thing is owned by a value that gives it back when it is dropped, and holds what it came from.
//! A reset by force takes everything with it, so nothing is given back after one.
//!
//! A thread must be attached before it calls anything else; a number tells it whether it is.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::api::{Api, StreamHandle};
use super::error::{CallError, CannError};
use super::image::ProgramImage;

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
    is_lost: AtomicBool,
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
        api.init()?;
        // ORDERING: Relaxed: it only has to differ from all others.
        let number = SESSIONS.fetch_add(1, Ordering::Relaxed) + 1;
        if let Err(error) = api.set_device(device) {
            warn_of(api.finalize());
            return Err(error.into());
        }
        ATTACHED.set(number);
        let (is_lost, claim) = (AtomicBool::new(false), Mutex::new(Some(claim)));
        Ok(Arc::new(Self { api, device, number, is_lost, claim }))
    }

    /// The functions, for the calling thread, which is attached by this.
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

    /// Notes that this AICPU program is loaded now.
    ///
    /// # Errors
    ///
    /// [`CannError::AnotherProgram`].
    pub fn use_program(&self, wanted: &ProgramImage) -> Result<(), CannError> {
        let mut claims = claims();
        let (path, hash) = (&wanted.path, wanted.hash());
        let (loaded, other) = claims.program.get_or_insert_with(|| (path.clone(), hash));
        if *other == hash {
            return Ok(());
        }
        Err(CannError::AnotherProgram { loaded: loaded.clone(), wanted: path.clone() })
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
    pub fn lose(&self) {
        // ORDERING: AcqRel: who sees it set sees what led to it.
        if self.is_lost.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Err(error) = self.api().and_then(|api| api.reset_device_force(self.device)) {
            tracing::warn!(%error, "the device could not be reset; the next one may not open");
        }
        self.end();
    }

    /// What comes after the device was given up.
    fn end(&self) {
        ATTACHED.set(0);
        warn_of(self.api.finalize());
        self.claim.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if *self.is_lost.get_mut() {
            return;
        }
        warn_of(self.api().and_then(|api| api.reset_device(self.device)));
        self.end();
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

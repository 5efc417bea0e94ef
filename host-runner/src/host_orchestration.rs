//! Orchestrations that run in this process and build the graph of a run (hbg, spec hbg §A).
//!
//! ```text
//!  registration:  image ─check─▶ opened, constructors run ─▶ HostOrchestration
//!  each run:      build ─▶ entry(runtime, arguments) ─┬─ add_task, add_successor ──▶ GraphBuilder
//!                                                     ├─ device_malloc, _free ─────▶ RunMemory
//!                                                     ├─ copy_to_device ───────────▶ device, at once
//!                                                     └─ record_tensor_pair ───────▶ Built::outputs
//! ```
//!
//! The entry is called on the thread of the run, like any callback of the user's: its pointers are the
//! user's memory, which nobody can take back from code that runs. Constructors and destructors know
//! of no such memory, so they have a thread of their own and a limit.
//!
//! The first wrong call of an orchestration ends the run, whatever the entry does then: calls after it
//! do nothing. What an orchestration is told of and may live with (no memory, metadata that makes no
//! sense) is only mentioned where its entry fails.

use std::ffi::c_int;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use libloading::os::unix::Library;
use protocol::{ChipStorageTaskArgs, OrchestrationRuntime};

use crate::device::{Device, image};
use crate::foreign_code::guarded_call::guarded;
use crate::foreign_code::{OpenError, UserThread, anonymous_library};
use crate::graph::GraphBuilder;

mod built;
mod error;
mod listing;
mod operations;
pub mod run_memory;
mod session;
mod strays;

pub use built::{
    BuildMode, Built, Copies, CopySource, Output, OutputTarget, RecordedCopy, Recording,
};
pub(crate) use built::{find_argument, host_range};
pub use error::{BuildError, CallError, CallFault, HostOrchestrationError, NotClosed};
pub use run_memory::RunMemory;

use operations::OPERATIONS;
use session::Session;
use strays::Strays;

/// What an entry is: `int entry(OrchestrationRuntime *, const ChipStorageTaskArgs &)`.
type Entry =
    unsafe extern "C-unwind" fn(*mut OrchestrationRuntime, *const ChipStorageTaskArgs) -> c_int;

/// An orchestration that is open in this process.
///
/// Dropping it closes it, and logs what [`close`](Self::close) would return.
#[derive(Debug)]
pub struct HostOrchestration {
    /// `None` once it is closed.
    library: Option<Library>,
    /// A function of the library.
    entry: Entry,
    /// Where it is stays the same as long as code of the library runs, which may have kept its address.
    object: Arc<OrchestrationRuntime>,
    strays: Strays,
    limit: Duration,
}

impl HostOrchestration {
    /// Opens `image`, whose entry is the function `entry`. Nothing is written to any disk.
    ///
    /// Its constructors run, and may take this long: `limit`. So may its destructors, later.
    ///
    /// # Errors
    ///
    /// [`HostOrchestrationError`]; it is not open then, unless its constructors are still running.
    pub fn open(
        image: &[u8],
        entry: &str,
        limit: Duration,
    ) -> Result<Self, HostOrchestrationError> {
        Self::check(image, entry)?;
        Self::open_checked(image, entry, limit)
    }

    /// Checks that `image` has a chance to be opened, without running anything of it.
    ///
    /// # Errors
    ///
    /// [`HostOrchestrationError::Image`].
    pub fn check(image: &[u8], entry: &str) -> Result<(), HostOrchestrationError> {
        Ok(image::check(image, entry)?)
    }

    /// As [`open`](Self::open), for an image that has been [checked](Self::check).
    pub(crate) fn open_checked(
        image: &[u8],
        entry: &str,
        limit: Duration,
    ) -> Result<Self, HostOrchestrationError> {
        let (bytes, symbol) = (image.to_vec(), entry.to_owned());
        let opened =
            UserThread::default().within(limit, "constructors", move || open(&bytes, &symbol))?;
        let (library, entry) = opened?;
        let object = Arc::new(OrchestrationRuntime { ops: &OPERATIONS });
        let strays = Strays::of(&object);
        Ok(Self { library: Some(library), entry, object, strays, limit })
    }

    /// Closes it: its destructors run.
    ///
    /// # Errors
    ///
    /// [`NotClosed`]: what it has stays in memory.
    pub fn close(mut self) -> Result<(), NotClosed> {
        self.end()
    }

    fn end(&mut self) -> Result<(), NotClosed> {
        let Some(library) = self.library.take() else { return Ok(()) };
        // Destructors may use the object, so it goes after the library.
        let owned = (library, Arc::clone(&self.object));
        Ok(UserThread::default().drop_within(self.limit, "destructors", owned)?)
    }

    /// Calls the entry, which builds the graph of a run into `builder`.
    ///
    /// Graph and memory start over. The memory is the run's until the next one begins; what was
    /// copied is on the device when this returns. Nothing is written to host memory but by the entry.
    ///
    /// A callable's runs come in turn: code of the user need not be ready for two calls at once.
    ///
    /// # Errors
    ///
    /// [`BuildError`]; the graph is of no use then, and the next build starts over.
    ///
    /// # Panics
    ///
    /// Where the device does, after the entry has returned.
    ///
    /// # Safety
    ///
    /// The host tensors in `arguments` are where it says, can be read and, as far as the orchestration
    /// does so, written, and nobody else writes them meanwhile.
    pub unsafe fn build(
        &self,
        device: &dyn Device,
        memory: &mut RunMemory,
        builder: &mut GraphBuilder,
        arguments: &ChipStorageTaskArgs,
        mode: BuildMode,
    ) -> Result<Built, BuildError> {
        arguments.tensors()?;
        arguments.scalars()?;
        let object = Arc::as_ptr(&self.object);
        let (entry, runtime, passed) = (self.entry, object.cast_mut(), &raw const *arguments);
        let mut session = Session::new(device, memory, builder, arguments, mode);
        // What came between the runs is not this one's.
        self.strays.take();
        let returned = operations::with_session(object, &mut session, || {
            // SAFETY: the user registered it with this entry; the library is open as long as `self`, and
            // both pointers are good for the call.
            guarded(|| unsafe { entry(runtime, passed) })
        });
        if let Some(panic) = session.panic.take() {
            resume_unwind(panic);
        }
        if let (None, Some(call)) = (&session.wrong, self.strays.take()) {
            session.wrong = Some(CallError { call, cause: CallFault::OtherThread });
        }
        session.finish(returned)
    }
}

impl Drop for HostOrchestration {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "an orchestration is not closed");
        }
    }
}

/// Opens the library and finds its entry.
fn open(image: &[u8], entry: &str) -> Result<(Library, Entry), OpenError> {
    // SAFETY: the user registers the orchestration to run it in this process; it has been checked.
    let (library, _file) = unsafe { anonymous_library::open("orchestration", image) }?;
    // SAFETY: the user says that the function of this name is an entry.
    let entry = *unsafe { library.get::<Entry>(entry.as_bytes()) }.map_err(OpenError::Loader)?;
    Ok((library, entry))
}

#[cfg(test)]
mod tests;

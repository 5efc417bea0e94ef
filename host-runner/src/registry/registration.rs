//! One registered callable: what it is, where it is, and who is in.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aicpu_executor::loader::ImageLabel;
use protocol::callable::parse::ChipCallableView;
use protocol::{ArgDirection, CallableId};

use super::content::SharedBytes;
use super::lease_gate::LeaseGate;
use super::open_device::OpenDevice;
use super::placement::{Identity, Placement, Traffic};
use super::{RegisterError, StaleCallable, UnregisterError, build_id};
use crate::callable::Callable;
use crate::completion::Completer;
use crate::device::DeviceLost;
use crate::host_orchestration::{HostOrchestration, HostOrchestrationError};
use crate::runtime_name::RuntimeName;

/// How an unregistration ended, for those who wait for it: [`UnregisterError::DeviceLost`] and
/// [`UnregisterError::HostOrchestration`], where code of the callable did not return.
pub type Unregistered = Result<(), UnregisterError>;

/// A registered callable.
#[derive(Debug)]
pub struct Registration {
    name: String,
    identity: Identity,
    /// Which build its orchestration is, for messages.
    label: ImageLabel,
    blob: SharedBytes,
    directions: Box<[ArgDirection]>,
    runtime: RuntimeName,
    /// The orchestration, where that runs on the host, until it is closed. It is the same on whatever
    /// device the callable is.
    host: Mutex<Option<Arc<HostOrchestration>>>,
    gate: LeaseGate,
    has_run: AtomicBool,
    /// `None` after it was given back.
    placement: Mutex<Option<Placement>>,
    /// Who is told when it has been given back.
    end: Mutex<Option<Completer<Unregistered>>>,
}

impl Registration {
    /// Describes a callable that is on no device yet, and whose orchestration is not open on the host.
    ///
    /// # Errors
    ///
    /// What is wrong with the blob, or with the image of an orchestration that runs on the host.
    pub(super) fn new(
        callable: &Callable,
        id: CallableId,
        generation: u32,
    ) -> Result<Self, RegisterError> {
        let view = ChipCallableView::parse(callable.blob())?;
        if callable.runtime() == RuntimeName::Hbg {
            check_for_host(callable.name(), &view)?;
        }
        let digest_prefix = callable.shared_blob().key().prefix();
        Ok(Self {
            name: callable.name().to_owned(),
            identity: Identity { id, generation, digest_prefix },
            label: build_id::label(view.orchestration()),
            directions: view.signature().iter().collect(),
            runtime: callable.runtime(),
            host: Mutex::default(),
            blob: callable.shared_blob().clone(),
            gate: LeaseGate::default(),
            has_run: AtomicBool::new(false),
            placement: Mutex::default(),
            end: Mutex::default(),
        })
    }

    /// The name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id.
    pub fn id(&self) -> CallableId {
        self.identity.id
    }

    /// Which use of the id.
    pub fn generation(&self) -> u32 {
        self.identity.generation
    }

    /// Which build its orchestration is.
    pub fn label(&self) -> &ImageLabel {
        &self.label
    }

    /// What the callable declares to do with its arguments.
    pub fn declared(&self) -> &[ArgDirection] {
        &self.directions
    }

    /// What the callable declares to do with the tensor at `index`; what it does not declare may be
    /// read and written.
    pub fn direction(&self, index: usize) -> ArgDirection {
        match self.directions.get(index) {
            None | Some(ArgDirection::Scalar) => ArgDirection::InOut,
            Some(declared) => *declared,
        }
    }

    /// Opens the orchestration, where that runs on the host. Its constructors are the first code of it
    /// that runs, so everything else of the registration comes before.
    ///
    /// # Errors
    ///
    /// [`RegisterError::HostOrchestration`].
    pub(super) fn open_on_host(&self, limit: Duration) -> Result<(), RegisterError> {
        if !self.is_on_host() {
            return Ok(());
        }
        let view = ChipCallableView::parse(&self.blob)?;
        let (image, entry) = (view.orchestration(), view.entry_symbol());
        let opened = HostOrchestration::open_checked(image, entry, limit)
            .map_err(|source| not_opened(&self.name, image, source))?;
        let mut host = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        *host = Some(Arc::new(opened));
        Ok(())
    }

    /// Whether the orchestration runs on the host.
    pub(crate) fn is_on_host(&self) -> bool {
        self.runtime == RuntimeName::Hbg
    }

    /// The orchestration, where that runs on the host and has not been closed.
    pub(crate) fn host_orchestration(&self) -> Option<Arc<HostOrchestration>> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes the orchestration, where that runs on the host: handles of what is not registered any
    /// more may stay for long. Nobody is in, and nobody comes.
    ///
    /// # Errors
    ///
    /// [`UnregisterError::HostOrchestration`].
    pub(crate) fn close_on_host(&self) -> Unregistered {
        let host = self.host.lock().unwrap_or_else(PoisonError::into_inner).take();
        let closed = host.and_then(Arc::into_inner).map_or(Ok(()), HostOrchestration::close);
        closed.map_err(|source| {
            tracing::error!(error = %source, name = self.name, "an orchestration is not closed");
            UnregisterError::HostOrchestration { name: self.name.clone(), source }
        })
    }

    /// The orchestration's bytes.
    pub fn image(&self) -> &[u8] {
        ChipCallableView::parse(&self.blob).map(|view| view.orchestration()).unwrap_or_default()
    }

    /// Who is in, and whether anybody may still come.
    pub(crate) fn gate(&self) -> &LeaseGate {
        &self.gate
    }

    /// What a handle of it is told when it has ended.
    pub fn stale(&self) -> StaleCallable {
        StaleCallable { id: self.id(), generation: self.generation() }
    }

    /// Notes a run; true for the first one.
    pub(crate) fn note_run(&self) -> bool {
        // ORDERING: Relaxed: a count; only its exactness matters.
        !self.has_run.load(Ordering::Relaxed) && !self.has_run.swap(true, Ordering::Relaxed)
    }

    /// Makes sure that the callable is on this device, and hands out where, and what it took if it
    /// was not there. Called in turn with runs, or before it is published.
    ///
    /// # Errors
    ///
    /// [`RegisterError`], where it was on another device before and cannot be put on this one.
    pub(crate) fn place_on(
        &self,
        on: &Arc<OpenDevice>,
    ) -> Result<(MutexGuard<'_, Option<Placement>>, Option<Traffic>), RegisterError> {
        let mut placement = self.placement();
        let is_there = placement.as_ref().is_some_and(|it| Arc::ptr_eq(it.on(), on));
        if is_there {
            return Ok((placement, None));
        }
        // What was on the device before goes with that device.
        *placement = None;
        let placed = Placement::place(on, self.identity, &self.name, &self.blob, self.runtime)?;
        let traffic = placed.traffic();
        *placement = Some(placed);
        Ok((placement, Some(traffic)))
    }

    /// Takes it off its device, if it is on one.
    ///
    /// # Errors
    ///
    /// As [`Placement::remove`].
    pub(crate) fn remove(&self) -> Result<(), DeviceLost> {
        let placement = self.placement().take();
        placement.map_or(Ok(()), Placement::remove)
    }

    /// The placement, for as long as nobody else needs it.
    pub(crate) fn placement(&self) -> MutexGuard<'_, Option<Placement>> {
        self.placement.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is told when it has been given back. Held while it is retired, so that whoever gives it
    /// back finds the one who asked.
    pub(crate) fn end(&self) -> MutexGuard<'_, Option<Completer<Unregistered>>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks the image of an orchestration that is to be opened in this process.
fn check_for_host(name: &str, callable: &ChipCallableView<'_>) -> Result<(), RegisterError> {
    let image = callable.orchestration();
    if !callable.names_entry() {
        // Blobs come from anywhere, not from our builder only.
        return Err(RegisterError::NoEntryOfHbg { image: Box::new(build_id::label(image)) });
    }
    HostOrchestration::check(image, callable.entry_symbol())
        .map_err(|source| not_opened(name, image, source))
}

fn not_opened(name: &str, image: &[u8], source: HostOrchestrationError) -> RegisterError {
    let (name, image) = (name.to_owned(), Box::new(build_id::label(image)));
    RegisterError::HostOrchestration { name, image, source: Box::new(source) }
}

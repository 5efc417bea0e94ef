//! What a worker, its handles and its submitted runs share.
//!
//! ```text
//!  run:        lease ──▶ turn ──▶ device ──▶ placement ──▶ run ──▶ turn ends ──▶ lease ends
//!  unregister: retire ──────────────────────────────────────────────────────────────┴▶ give back
//! ```
//!
//! A lease is taken when a run is accepted, so an unregistration waits for what was accepted before
//! it, and refuses what comes after it. Lock order: end of a registration, its placement, the
//! device's own; none of them is held while a turn is waited for.

use std::ops::Deref;
use std::sync::{Arc, MutexGuard};

use protocol::{CallableId, StatusCode};

use super::counters::Counting;
use super::devices::Devices;
use super::submission::{RunOutput, SubmittedRun};
use super::{UnregisterError, WorkerConfig, throw_site};
use crate::arguments::TensorSet;
use crate::callable::Callable;
use crate::code_listing::CodeLister;
use crate::completion::{Completer, Completion, Spares};
use crate::device::{DeviceError, MemoryError};
use crate::registry::lease_gate::Retired;
use crate::registry::{OpenDevice, Placement, RegisterError, Registration, Registry, Unregistered};
use crate::run::{Call, GraphSource, RunConfig, RunError, RunReport};
use crate::run_queue::{RunQueue, Turn};

/// Devices on which a registration or a run is tried: the second one where the first was lost to
/// something else before they had begun.
const DEVICES_TRIED: usize = 2;

/// What a worker, its handles and its submitted runs share.
pub(super) struct Shared {
    pub(super) config: WorkerConfig,
    /// Whom loaded code is shown to, if anybody.
    pub(super) lister: Option<Arc<CodeLister>>,
    pub(super) devices: Devices,
    pub(super) registry: Registry,
    pub(super) queue: RunQueue<SubmittedRun>,
    /// Completions of submitted runs that are over.
    pub(super) completions: Arc<Spares<Result<RunOutput, RunError>>>,
    pub(super) counting: Counting,
}

/// The right to run a callable, which stays where it is meanwhile. It holds worker and callable by
/// whatever points to them: the one of a caller who waits borrows them.
pub(super) struct Lease<S: Deref<Target = Shared>, C: Deref<Target = Registration>> {
    shared: S,
    callable: C,
    is_over: bool,
}

/// The lease of a run that nobody waits for.
pub(super) type OwnedLease = Lease<Arc<Shared>, Arc<Registration>>;

/// A callable that has been given back, and who waits to learn of it.
#[must_use = "somebody waits for it"]
pub(super) struct GivenBack {
    completer: Completer<Unregistered>,
    how: Unregistered,
}

impl Shared {
    /// Registers a callable, under the smallest free id unless the caller wants another.
    pub(super) fn register(
        &self,
        wanted: Option<CallableId>,
        callable: &Callable,
    ) -> Result<Arc<Registration>, RegisterError> {
        again_where_gone(RegisterError::is_gone, || self.register_once(wanted, callable))
    }

    fn register_once(
        &self,
        wanted: Option<CallableId>,
        callable: &Callable,
    ) -> Result<Arc<Registration>, RegisterError> {
        let on = self.devices.ensure()?;
        let reservation = self.registry.reserve(wanted, on.device().facts().callable_ids)?;
        let (id, generation) = (reservation.id(), reservation.generation());
        if let Some(lister) = &self.lister {
            lister.name(id, generation, callable.name());
        }
        let limit = self.config.limit_on_host();
        let filled = reservation.fill(&on, callable, limit).inspect_err(|error| {
            if let Some(lister) = &self.lister {
                lister.forget(id, generation);
            }
            if error.is_lost() || error.is_gone() {
                self.devices.forget(&on);
            }
        });
        let (registration, traffic) = filled?;
        Counting::count(&self.counting.registrations);
        self.counting.placed(traffic);
        if registration.is_on_host() {
            Counting::count(&self.counting.host_opens);
        }
        tracing::info!(
            "registered callable {id} {:?} {}, generation {generation}",
            registration.name(),
            registration.label()
        );
        Ok(registration)
    }

    /// Takes a lease of a callable for a run.
    pub(super) fn lease<S: Deref<Target = Self>, C: Deref<Target = Registration>>(
        shared: S,
        callable: C,
    ) -> Result<Lease<S, C>, RunError> {
        if !callable.gate().enter() {
            return Err(callable.stale().into());
        }
        Ok(Lease { shared, callable, is_over: false })
    }

    /// Lets nobody run a callable any more, and has it given back once the last run has ended: now,
    /// on this thread, where none is in.
    pub(super) fn begin_unregister(
        &self,
        callable: &Registration,
    ) -> Result<Completion<Unregistered>, UnregisterError> {
        let (completion, completer) = Completion::new(|_given_up| Ok(()));
        // It goes on from here: nobody cancels it.
        let _has_started = completer.start();
        let mut end = callable.end();
        match callable.gate().retire() {
            Retired::Before => Err(callable.stale().into()),
            Retired::AfterRuns => {
                *end = Some(completer);
                Ok(completion)
            }
            Retired::Now => {
                *end = Some(completer);
                drop(end);
                GivenBack::tell(self.give_back(callable));
                Ok(completion)
            }
        }
    }

    /// As [`begin_unregister`](Self::begin_unregister), where nobody is left to be told.
    pub(super) fn unregister_unwanted(&self, callable: &Registration) {
        if callable.gate().retire() == Retired::Now {
            GivenBack::tell(self.give_back(callable));
        }
    }

    /// Takes a retired callable off the device, closes what is open on the host, and frees its id. Called
    /// once, by whoever the gate tells to, who then tells those who wait for it, if there are any.
    fn give_back(&self, callable: &Registration) -> Option<GivenBack> {
        let on = callable.placement().as_ref().map(|placement| Arc::clone(placement.on()));
        let removed = callable.remove();
        let closed = callable.close_on_host();
        if let (Err(_), Some(on)) = (&removed, &on) {
            self.devices.forget(on);
        }
        if let Some(lister) = &self.lister {
            lister.forget(callable.id(), callable.generation());
        }
        self.registry.release(callable);
        Counting::count(&self.counting.unregistrations);
        let (id, name, label) = (callable.id(), callable.name(), callable.label());
        tracing::info!("unregistered callable {id} {name:?} {label}");
        let completer = callable.end().take()?;
        Some(GivenBack { completer, how: removed.map_err(UnregisterError::from).and(closed) })
    }

    /// Runs a callable on this thread, when its turn has come.
    pub(super) fn run(
        &self,
        callable: &Registration,
        arguments: &mut dyn TensorSet,
        config: &RunConfig,
        source: &mut GraphSource<'_>,
    ) -> Result<RunReport, RunError> {
        let lease = Self::lease(self, callable)?;
        let turn = self.queue.turn()?;
        let end = self.carry_out(&turn, &lease, arguments, config, source);
        // Before the lease, whose end may mean work that others need not wait for.
        drop(turn);
        end
    }

    /// Carries out a run in its turn.
    pub(super) fn carry_out<S: Deref<Target = Self>, C: Deref<Target = Registration>>(
        &self,
        _turn: &Turn<'_>,
        lease: &Lease<S, C>,
        arguments: &mut dyn TensorSet,
        config: &RunConfig,
        source: &mut GraphSource<'_>,
    ) -> Result<RunReport, RunError> {
        let end = self.run_on_device(&lease.callable, arguments, config, source);
        match &end {
            Ok(_) => Counting::count_in_turn(&self.counting.runs),
            // Cancelled ones count as well, whenever that is.
            Err(_) => Counting::count(&self.counting.failed_runs),
        }
        end
    }

    fn run_on_device(
        &self,
        callable: &Registration,
        arguments: &mut dyn TensorSet,
        config: &RunConfig,
        source: &mut GraphSource<'_>,
    ) -> Result<RunReport, RunError> {
        again_where_gone(RunError::is_gone, || self.run_once(callable, arguments, config, source))
    }

    fn run_once(
        &self,
        callable: &Registration,
        arguments: &mut dyn TensorSet,
        config: &RunConfig,
        source: &mut GraphSource<'_>,
    ) -> Result<RunReport, RunError> {
        let mut placement = callable.placement();
        // Where it is on a device that was not lost, that is the worker's.
        if placement.as_ref().is_none_or(|place| place.on().is_lost()) {
            drop(placement);
            placement = self.place(callable, config)?;
        }
        let Some(place) = placement.as_ref() else { return Err(callable.stale().into()) };
        config.check(place.on().facts())?;
        if !callable.is_on_host() && callable.note_run() {
            Counting::count(&self.counting.first_runs);
        }
        let call = Call { callable, placement: place, config, rings: self.config.rings };
        let mut end = call.carry_out(arguments, source);
        if let Ok(RunReport { graph: Some(graph), .. }) = &end {
            self.counting.graph(*graph);
        }
        if let Err(error) = &mut end {
            let on = Arc::clone(place.on());
            throw_site::name(error, &on, &self.registry);
            match error {
                RunError::DeviceLost(_) | RunError::Memory(MemoryError::Gone) => {
                    self.devices.forget(&on);
                }
                error if error.is_gone() => self.devices.forget(&on),
                // The executor does not have what it has acknowledged: have it load again.
                RunError::Fault(fault)
                    if matches!(
                        fault.code,
                        Some(StatusCode::CallableNotLoaded | StatusCode::StaleCallable)
                    ) =>
                {
                    *placement = None;
                }
                _ => {}
            }
        }
        end
    }

    /// Puts a callable on the device, which is another one than it was on.
    fn place<'r>(
        &self,
        callable: &'r Registration,
        config: &RunConfig,
    ) -> Result<MutexGuard<'r, Option<Placement>>, RunError> {
        let on = self.devices.ensure().map_err(RunError::from)?;
        config.check(on.facts())?;
        let (placement, placed) = callable.place_on(&on).map_err(|error| {
            if error.is_lost() || error.is_gone() {
                self.devices.forget(&on);
            }
            RunError::Replacement(Box::new(error))
        })?;
        if let Some(traffic) = placed {
            self.counting.placed(traffic);
        }
        Ok(placement)
    }

    /// Ends everything: what waits is refused, what runs ends first, and then everything is given
    /// back to the device, and the device to the system. Handles may stay: of what is registered, they
    /// keep nothing.
    pub(super) fn close(&self) {
        self.queue.close();
        self.queue.join_driver();
        for callable in self.registry.all() {
            // Of a device that is lost by it, nothing else is unloaded; on the host, the rest is closed.
            if let Err(lost) = callable.remove() {
                tracing::warn!(%lost, "a destructor hangs or crashes while the worker is closed");
            }
            // What it returns has been logged.
            let _closed = callable.close_on_host();
        }
        self.devices.close();
    }

    /// The device, in turn with runs: what they use does not change meanwhile.
    pub(super) fn device_in_turn(&self) -> Result<(Turn<'_>, Arc<OpenDevice>), DeviceError> {
        let turn = self
            .queue
            .turn()
            .map_err(|refused| DeviceError::NoTurn { reason: refused.to_string() })?;
        Ok((turn, self.devices.ensure()?))
    }
}

/// Does something that needs a device, and again on another one where that was lost to something else
/// before it had begun.
pub(super) fn again_where_gone<T, E>(
    is_gone: impl Fn(&E) -> bool,
    mut attempt: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    for _ in 1..DEVICES_TRIED {
        match attempt() {
            Err(error) if is_gone(&error) => {}
            end => return end,
        }
    }
    attempt()
}

impl<S: Deref<Target = Shared>, C: Deref<Target = Registration>> Lease<S, C> {
    /// What it is a lease of a callable of.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Gives the lease back. Where it was the last one of a retired callable, that has been given
    /// back, and it is the caller's to tell.
    pub(super) fn end(mut self) -> Option<GivenBack> {
        self.leave()
    }

    fn leave(&mut self) -> Option<GivenBack> {
        let is_last = !std::mem::replace(&mut self.is_over, true) && self.callable.gate().leave();
        if is_last { self.shared.give_back(&self.callable) } else { None }
    }
}

impl<S: Deref<Target = Shared>, C: Deref<Target = Registration>> Drop for Lease<S, C> {
    fn drop(&mut self) {
        GivenBack::tell(self.leave());
    }
}

impl GivenBack {
    /// Tells those who wait for it, if there are any.
    pub(super) fn tell(given_back: Option<Self>) {
        if let Some(Self { completer, how }) = given_back {
            completer.complete(how);
        }
    }
}

//! The orchestrator thread's part of a run: load, check, enter, wait.

use core::ptr::null_mut;
use core::sync::atomic::Ordering;

use protocol::{Chip, ChipStorageTaskArgs, RuntimeRecord, ScopeMode, StatusCode};

use super::Executor;
use super::setup::{CleanRegion, Rings, Setup};
use crate::ops::OrchestrationRuntime;
use crate::orch_so_table::{BoundEntry, ForeignFunction, Lease};
use crate::orchestrator::{Orchestrator, Services};
use crate::platform::{BindRuntimeEntry, ExceptionText, ForeignCall, Platform};
use crate::scheduler::partitions::Driver;
use crate::wait::WaitEnd;

/// What messages call it.
const UNBINDING: &str = "unbinding the runtime";

impl<C: Chip, P: Platform> Executor<C, P> {
    /// Runs the orchestration and waits for its tasks. Faults go to the latch.
    ///
    /// `driver` is what it schedules with while it waits.
    pub(super) fn orchestrate(
        &self,
        runtime: &C::Runtime,
        (setup, rings): (&Setup, &Rings),
        driver: Driver<'_, C>,
    ) {
        if self.faults.is_raised() {
            return;
        }
        // Held to the end: kernels may still use data of the orchestration when its entry has
        // returned. If unloading was asked for meanwhile, it happens then.
        let Ok(lease) = self.enter_callable(runtime, rings) else { return };
        let args = &raw const runtime.body().orch_args;
        if self.check_arguments(runtime, &lease, args).is_err() {
            return;
        }
        // SAFETY: of the threads in the run, only this one uses it.
        let place = unsafe { &mut *self.orchestrator.get() };
        let orchestrator = match place {
            Some(kept) if rings.are_kept => {
                kept.reset(&runtime.body().func_id_to_addr);
                kept
            }
            _ => place.insert(Orchestrator::new(rings.region, rings.sizes, rings.heap)),
        };
        let services = Services {
            platform: &self.platform,
            faults: &self.faults,
            scheduler: &self.scheduler,
            payloads: &self.payloads,
            waiting: &self.waiting,
            kernels: &runtime.body().func_id_to_addr,
            driver,
            stall_us: setup.stall_us,
            // CAST: at most 36.
            cluster_count: setup.cores.clusters.len() as u32,
        };
        let mut object = OrchestrationRuntime::new(orchestrator, services);
        self.enter(&lease, args, &mut object);
        let OrchestrationRuntime { orchestrator, services, .. } = &mut object;
        let tasks = orchestrator.tasks();
        // ORDERING: Relaxed: read after the threads have been joined.
        self.tasks.store(tasks, Ordering::Relaxed);
        if self.faults.is_raised() {
            return;
        }
        self.platform.interleave();
        self.scheduler.set_total(tasks);
        self.platform.interleave();
        let end = services.work_to_end(&rings.region);
        match end {
            Ok(()) if orchestrator.retire_all() => {
                let queue_positions = self.scheduler.queue_positions();
                let run = self.scheduler.run();
                let clean = |identity| CleanRegion { identity, queue_positions, run };
                // SAFETY: of the threads in the run, only this one uses it now.
                unsafe { (*self.left_clean.get()).region = rings.identity.map(clean) };
            }
            Err(WaitEnd::TimedOut) => self.report_stall(setup),
            Ok(()) | Err(WaitEnd::Aborted) => {}
        }
    }

    /// Enters the callable that the run names, loaded now if it is new.
    fn enter_callable(&self, runtime: &C::Runtime, rings: &Rings) -> Result<Lease<'_, P>, i32> {
        let body = runtime.body();
        let generation = rings.callable_generation;
        let id = self.callable_id(body, generation.is_some(), &self.faults)?;
        self.active.set(id);
        if body.register_new_callable_id == 0 {
            return self.table.loaded(&self.platform, &self.faults, id, generation);
        }
        let generation = generation.unwrap_or_default();
        // SAFETY: the record names the bytes of a shared object in device memory.
        let lease = unsafe { self.table.load(&self.platform, &self.faults, id, body, generation) }?;
        // ORDERING: Relaxed: read after the threads have been joined.
        self.loaded.store(true, Ordering::Relaxed);
        Ok(lease)
    }

    /// Compares the number of arguments with what the orchestration expects (spec trb §1.2).
    fn check_arguments(
        &self,
        runtime: &C::Runtime,
        lease: &Lease<'_, P>,
        args: *const ChipStorageTaskArgs,
    ) -> Result<(), i32> {
        let Some(config) = lease.entries.config else { return Ok(()) };
        // SAFETY: a loaded function of that signature; the arguments outlive the call.
        let expected = unsafe { lease.call(ForeignCall::Config(config, args)) };
        let expected = expected.map_err(|text| {
            self.faults.report(
                StatusCode::EntryException.code(),
                format_args!("the config function threw {text}"),
            )
        })?;
        let args = &runtime.body().orch_args;
        let given = args.tensor_count.saturating_add(args.scalar_count);
        if expected > 0 && given < expected {
            return Err(self.faults.report(
                StatusCode::ArgCountMismatch.code(),
                format_args!(
                    "arg_count {given} < expected {expected}: the run has {} tensors and {} \
                     scalars, the orchestration wants {expected} arguments together",
                    args.tensor_count, args.scalar_count
                ),
            ));
        }
        Ok(())
    }

    /// Calls the entry inside the root scope (spec trb §1.2).
    fn enter(
        &self,
        lease: &Lease<'_, P>,
        args: *const ChipStorageTaskArgs,
        object: &mut OrchestrationRuntime<'_, C, P>,
    ) {
        // The scope is empty and of depth 1: it opens unless the run has a fault.
        let _latched = object.orchestrator.scope_begin(&object.services, ScopeMode::Auto);
        // SAFETY: `object` is not used here until the orchestration has been unbound.
        let prefix = unsafe { OrchestrationRuntime::connect(&raw mut *object) };
        let entry = lease.entries.entry;
        match lease.entries.bind {
            Some(bind) => {
                let bound = BoundEntry { bind, runtime: prefix.cast(), entry, args };
                // SAFETY: loaded functions of those signatures; the object lives until it is unbound, and
                // the arguments outlive the call.
                if let Err(thrown) = unsafe { lease.enter_bound(&self.faults, bound) } {
                    self.entry_threw(lease, bind, thrown);
                }
            }
            None if self.faults.is_raised() => {}
            None => {
                // SAFETY: a loaded function of that signature; the arguments outlive the call.
                self.call("the orchestration", unsafe {
                    lease.call(ForeignCall::Entry(entry, args))
                });
            }
        }
        if self.faults.is_raised() {
            return;
        }
        if object.orchestrator.scope_depth() > 1 {
            self.faults.report(
                StatusCode::InvalidArgs.code(),
                format_args!(
                    "the orchestration returned with {} scopes of its own open",
                    object.orchestrator.scope_depth() - 1
                ),
            );
            return;
        }
        let _latched = object.orchestrator.scope_end(&object.services);
    }

    /// Reports what a call has thrown on the way into an orchestration or out of it, which is not to find the runtime
    /// object any more.
    #[cold]
    fn entry_threw(
        &self,
        lease: &Lease<'_, P>,
        bind: BindRuntimeEntry,
        (thrower, text): (ForeignFunction, ExceptionText),
    ) {
        let what = match thrower {
            ForeignFunction::Bind => "binding the runtime",
            ForeignFunction::Unbind => UNBINDING,
            _ => "the orchestration",
        };
        self.call::<()>(what, Err(text));
        if thrower != ForeignFunction::Unbind {
            // SAFETY: a loaded function of that signature: from now on, a late call of the orchestration finds
            // no runtime.
            self.call(UNBINDING, unsafe { lease.call(ForeignCall::Bind(bind, null_mut())) });
        }
    }

    /// Turns an exception that came out of a call into a fault.
    fn call<T>(&self, what: &str, result: Result<T, ExceptionText>) {
        if let Err(text) = result {
            self.faults.report(
                StatusCode::EntryException.code(),
                format_args!("{what} ended with a C++ exception: {text}"),
            );
        }
    }
}

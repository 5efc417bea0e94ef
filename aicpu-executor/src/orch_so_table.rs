//! `orch_so_table_[cid]`: the orchestrations that are loaded, one slot for each callable id.
//!
//! A slot is filled when the host announces an id as new, and used by every later run of that id
//! without a look-up: dispatch by id is an index. A run holds a [`Lease`] from before the first to
//! after the last call into the code and the last task; unloading while there is a lease is
//! deferred to its end. A slot that could not be filled is empty.
//!
//! There are as many slots as ids between our host and our executor. A reference host uses the first
//! 64 (spec callable §1.1), and how many can be filled is up to the platform; the others are some
//! bytes of state each and memory that is never touched.
//!
//! | file | what |
//! |---|---|
//! | `slot_gate` | who is inside a slot, and what may be done with it: one lock-free word |
//! | `slot` | from the sealed image to the memory given back |
//! | `listing` | what is loaded, for all who look |
//! | `entries` | the functions a run calls |
//! | `named_code` | what messages call it |
//! | `running_call`, `call_record` | which function a thread is in, for whoever watches |

use protocol::{CallableId, EXTENDED_CALLABLE_IDS, RuntimeBody, StatusCode};

use crate::fault::FaultLatch;
use crate::loaded_code::LoadedRange;
use crate::loader::{CodeMemory as _, ImageLabel, Machine, PlanLimits, plan};
use crate::log::{Shown, log_at};
use crate::platform::{ExceptionText, ForeignCall, Platform};

mod call_record;
mod entries;
mod listing;
mod named_code;
mod running_call;
mod slot;
mod slot_gate;
#[cfg(test)]
pub(crate) mod tests;

use entries::EntryVaddrs;
pub(crate) use entries::{BoundEntry, OrchestrationEntries};
use listing::Place;
use named_code::NamedCode;
pub use running_call::{ForeignFunction, RunningCall};
use slot::{FillError, LoadedOrchestration, Slot, SlotState};
use slot_gate::{Inside, Refused, Unload};

/// What became of a wish to unload an orchestration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnloadOutcome {
    /// Its destructors have run and its memory is given back.
    Unloaded,
    /// A run is using it, or it is being unloaded already: nobody enters it any more, and the last
    /// one out unloads it.
    Deferred,
    /// There was nothing to unload: unloaded before, or never loaded.
    NothingLoaded,
    /// What is loaded is of another generation, and stays.
    Stale {
        /// The generation that is loaded.
        loaded: u32,
    },
    /// A thread is lost in one of its constructors or destructors; it unloads if it ever comes out.
    Quarantined,
}

/// The table.
#[derive(Debug)]
pub(crate) struct OrchSoTable {
    states: [SlotState; EXTENDED_CALLABLE_IDS],
    /// What is loaded, each with the state of the same index.
    places: [Place<LoadedOrchestration>; EXTENDED_CALLABLE_IDS],
}

/// The right of a run to call an orchestration, which stays loaded meanwhile.
///
/// Dropping it unloads the orchestration if that was asked for meanwhile.
#[derive(Debug)]
pub(crate) struct Lease<'t, P: Platform> {
    slot: Slot<'t>,
    platform: &'t P,
    id: CallableId,
    /// `None` only while it is dropped.
    inside: Option<Inside<'t>>,
    pub(crate) entries: OrchestrationEntries,
}

impl OrchSoTable {
    /// Makes a table with empty slots, whose states alone are written.
    ///
    /// # Safety
    ///
    /// `table` is aligned and points at writable memory for one `Self`.
    pub(crate) unsafe fn init_in_place(table: *mut Self) {
        // SAFETY: the caller's promise.
        let states = unsafe { (&raw mut (*table).states).cast::<SlotState>() };
        for index in 0..EXTENDED_CALLABLE_IDS {
            // SAFETY: an element of the array, which nobody else uses yet.
            unsafe { states.add(index).write(SlotState::new()) };
        }
    }

    /// The slot of an id, which is in range by its type.
    fn slot(&self, id: CallableId) -> Slot<'_> {
        // SAFETY: state and memory of an index go together, here and nowhere else.
        unsafe { Slot::new(&self.states[id.index()], &self.places[id.index()]) }
    }

    /// Enters an orchestration that was loaded before.
    ///
    /// # Errors
    ///
    /// The code that was latched: nothing is loaded, it is of another generation, or it cannot be
    /// entered now.
    pub(crate) fn loaded<'t, P: Platform>(
        &'t self,
        platform: &'t P,
        faults: &FaultLatch,
        id: CallableId,
        generation: Option<u32>,
    ) -> Result<Lease<'t, P>, i32> {
        let slot = self.slot(id);
        let inside =
            slot.gate.enter(generation).map_err(|why| refused(faults, &slot.named(id), why))?;
        // SAFETY: what is published is listed until it has been unloaded, which cannot be before we leave.
        let entries = unsafe { slot.entries() };
        Ok(Lease { slot, platform, id, inside: Some(inside), entries })
    }

    /// Loads the orchestration that a record brings along into the slot of its id, and enters it.
    ///
    /// What the slot held before is unloaded first, once the new image has been checked. The
    /// constructors of the new one have run when this returns.
    ///
    /// # Errors
    ///
    /// The code that was latched. An image that is refused by its looks, and a slot that is in use,
    /// leave what is loaded; after all other failures the slot is empty.
    ///
    /// # Safety
    ///
    /// `dev_orch_so_addr` and `_size` of `runtime` name readable memory (or 0).
    pub(crate) unsafe fn load<'t, P: Platform>(
        &'t self,
        platform: &'t P,
        faults: &FaultLatch,
        id: CallableId,
        runtime: &RuntimeBody,
        generation: u32,
    ) -> Result<Lease<'t, P>, i32> {
        // SAFETY: by the contract.
        let image = unsafe { brought_along(platform, runtime) }
            .map_err(|text| load_failed(faults, id, None, format_args!("{text}")))?;
        let page_bytes = platform.code_memory(id).lock().page_bytes();
        let limits = PlanLimits { page_bytes, ..PlanLimits::default() };
        let plan = plan(image, Machine::native(), &limits).map_err(|error| {
            let label = ImageLabel::of_file(image);
            load_failed(faults, id, Some(&label), format_args!("{error}"))
        })?;
        let label = ImageLabel::of_plan(&plan);
        let symbols = EntryVaddrs::find(&plan, runtime).map_err(|missing| {
            faults.report(
                StatusCode::EntryMissing.code(),
                format_args!("the orchestration of callable {} {label} {missing}", id.raw()),
            )
        })?;

        let slot = self.slot(id);
        if let Some(duty) =
            slot.gate.retire().map_err(|why| refused(faults, &slot.named(id), why))?
        {
            slot.finalise(duty, platform, id);
        }
        let filling = slot
            .gate
            .begin_load(generation)
            .map_err(|why| refused(faults, &slot.named(id), why))?;
        let filled = slot.fill(filling, platform, id, (&plan, &symbols));
        let (inside, entries) = filled.map_err(|error| not_filled(faults, id, &label, &error))?;
        if entries.config.is_none() {
            log_at!(
                Warn,
                "callable {} {} has no config function: arguments are not counted",
                id.raw(),
                Shown(&label)
            );
        }
        Ok(Lease { slot, platform, id, inside: Some(inside), entries })
    }

    /// Unloads what the slot of an id holds, of this generation if the caller knows one: now if no
    /// run is using it, otherwise at the end of that run.
    pub(crate) fn unload<P: Platform>(
        &self,
        platform: &P,
        id: CallableId,
        generation: Option<u32>,
    ) -> UnloadOutcome {
        let slot = self.slot(id);
        match slot.gate.begin_unload(generation) {
            Unload::Now(duty) => {
                slot.finalise(duty, platform, id);
                UnloadOutcome::Unloaded
            }
            Unload::Deferred => UnloadOutcome::Deferred,
            Unload::NothingLoaded => UnloadOutcome::NothingLoaded,
            Unload::Stale { loaded } => UnloadOutcome::Stale { loaded },
            Unload::Quarantined => UnloadOutcome::Quarantined,
        }
    }

    /// Unloads everything, each as [`unload`](Self::unload) does.
    pub(crate) fn unload_all<P: Platform>(&self, platform: &P) {
        for id in ids() {
            self.unload(platform, id, None);
        }
    }

    /// Shows where the code of each loaded orchestration is.
    pub(crate) fn loaded_ranges(&self, visit: impl FnMut(LoadedRange)) {
        ids().filter_map(|id| self.slot(id).range(id)).for_each(visit);
    }

    /// Gives up on a constructor or destructor of an id that does not return. Its slot is neither
    /// entered, nor filled, nor given back until the thread in it has come out. False if none is
    /// running any more; nothing changes then.
    pub(crate) fn quarantine(&self, id: CallableId) -> bool {
        self.slot(id).gate.quarantine()
    }

    /// The call into the orchestration of an id that is running.
    pub(crate) fn call_of<P: Platform>(&self, platform: &P, id: CallableId) -> Option<RunningCall> {
        self.slot(id).running(platform, id).map(|(_since, call)| call)
    }

    /// The call into an orchestration that has been running for longest.
    pub(crate) fn longest_call<P: Platform>(&self, platform: &P) -> Option<RunningCall> {
        let running = ids().filter_map(|id| self.slot(id).running(platform, id));
        running.min_by_key(|(since, _)| *since).map(|(_, call)| call)
    }
}

impl<P: Platform> Lease<'_, P> {
    /// Calls a function of the orchestration, where watchers can see it.
    ///
    /// # Errors
    ///
    /// As [`Platform::call_foreign`].
    ///
    /// # Safety
    ///
    /// The call is of one of `entries`, its argument is valid for it, and no other thread calls the
    /// orchestration meanwhile.
    pub(crate) unsafe fn call(&self, call: ForeignCall) -> Result<i32, ExceptionText> {
        let function = match call {
            ForeignCall::Config(..) => ForeignFunction::Config,
            ForeignCall::Bind(_, runtime) if runtime.is_null() => ForeignFunction::Unbind,
            ForeignCall::Bind(..) => ForeignFunction::Bind,
            _ => ForeignFunction::Entry,
        };
        // SAFETY: the caller's promise, and the lease is a token of the slot.
        unsafe { self.slot.call(self.platform, function, call) }
    }
}

impl<P: Platform> Lease<'_, P> {
    /// Binds a runtime object, calls the entry unless the run has a fault by then, and unbinds it.
    ///
    /// # Errors
    ///
    /// Which of the calls has thrown, and what; those after it are not made.
    ///
    /// # Safety
    ///
    /// As for [`call`](Self::call), of all three calls.
    pub(crate) unsafe fn enter_bound(
        &self,
        faults: &FaultLatch,
        entry: BoundEntry,
    ) -> Result<(), (ForeignFunction, ExceptionText)> {
        // SAFETY: the caller's promise, and the lease is a token of the slot.
        unsafe { self.slot.enter_bound(self.platform, faults, entry) }
    }
}

impl<P: Platform> Drop for Lease<'_, P> {
    fn drop(&mut self) {
        if let Some(duty) = self.inside.take().and_then(Inside::leave) {
            self.slot.finalise(duty, self.platform, self.id);
        }
    }
}

/// All ids.
fn ids() -> impl Iterator<Item = CallableId> {
    // CAST: a small table.
    (0..EXTENDED_CALLABLE_IDS as i64).filter_map(|raw| CallableId::new(raw).ok())
}

/// The shared object that a record brings along; the error says what is wrong with it.
///
/// # Safety
///
/// `dev_orch_so_addr` and `_size` of `runtime` name readable memory (or 0).
unsafe fn brought_along<'r, P: Platform>(
    platform: &P,
    runtime: &'r RuntimeBody,
) -> Result<&'r [u8], heapless::String<64>> {
    let (address, bytes) = (runtime.dev_orch_so_addr.raw(), runtime.dev_orch_so_size);
    let Ok(length) = usize::try_from(bytes) else {
        return Err(crate::fault::bounded_text(format_args!("{bytes} bytes are too many")));
    };
    if address == 0 || length == 0 {
        return Err(crate::fault::bounded_text(format_args!("the record brings no shared object")));
    }
    platform.invalidate_cache(address, length);
    let source = core::ptr::with_exposed_provenance(address as usize);
    // SAFETY: by the contract.
    Ok(unsafe { core::slice::from_raw_parts(source, length) })
}

/// Reports a shared object that could not be loaded.
fn load_failed(
    faults: &FaultLatch,
    id: CallableId,
    label: Option<&ImageLabel>,
    text: core::fmt::Arguments<'_>,
) -> i32 {
    let code = NamedCode { id, label: label.copied() };
    faults.report(
        StatusCode::LoadFailed.code(),
        format_args!("cannot load the orchestration of {code}: {text}"),
    )
}

/// Reports an image that was not committed or not constructed.
fn not_filled(faults: &FaultLatch, id: CallableId, label: &ImageLabel, error: &FillError) -> i32 {
    match error {
        FillError::Commit(error) => load_failed(faults, id, Some(label), format_args!("{error}")),
        FillError::Threw(text) => faults.report(
            StatusCode::EntryException.code(),
            format_args!("a constructor of callable {} {label} threw {text}", id.raw()),
        ),
        // Whoever has given up has said more, and first.
        FillError::GivenUp => faults.report(
            StatusCode::ConstructorTimeout.code(),
            format_args!("the constructors of callable {} {label} took too long", id.raw()),
        ),
    }
}

/// Reports a slot that does not do what a run needs.
fn refused(faults: &FaultLatch, code: &NamedCode, why: Refused) -> i32 {
    let report =
        |status: StatusCode, text: core::fmt::Arguments<'_>| faults.report(status.code(), text);
    match why {
        Refused::Empty => report(
            StatusCode::CallableNotLoaded,
            format_args!("{code} is not loaded, and the run does not load it"),
        ),
        Refused::Stale { loaded, wanted } => report(
            StatusCode::StaleCallable,
            format_args!(
                "{code} is loaded as generation {loaded}, the run is for generation {wanted}"
            ),
        ),
        Refused::Loading => {
            report(StatusCode::CallableBusy, format_args!("{code} is just being loaded"))
        }
        Refused::Going { inside } => report(
            StatusCode::CallableBusy,
            format_args!("{code} is being unloaded; {inside} threads are still in its code"),
        ),
        Refused::InUse { inside } => report(
            StatusCode::CallableBusy,
            format_args!("{code} is in use; {inside} threads are in its code, which stays"),
        ),
        Refused::Quarantined => report(
            StatusCode::CallableQuarantined,
            format_args!(
                "{code} has a constructor or destructor that has not returned; its slot is \
                 closed until it does"
            ),
        ),
    }
}

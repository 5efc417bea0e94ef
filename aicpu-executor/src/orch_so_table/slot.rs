//! One slot of the table: an orchestration from its sealed image to the memory given back.
//!
//! ```text
//!  commit: placed, bound, sealed ─▶ listed ─▶ constructors ─▶ published ─▶ runs
//!  memory given back ◀─ unlisted ◀─ destructors ◀─────────────── last one out
//! ```
//!
//! Constructors and destructors are code of the user: no lock is held while they run, and they run
//! when everything around them is in order, so that one that never returns leaves a slot that others
//! can look at and name. What they may do is up to them: one that ends the process does so.

use core::mem::transmute;

use protocol::CallableId;

use super::call_record::CallRecord;
use super::entries::{BoundEntry, EntryVaddrs, OrchestrationEntries};
use super::listing::{IsListed, Listing, Place};
use super::named_code::NamedCode;
use super::running_call::{ForeignFunction, RunningCall};
use super::slot_gate::{Emptying, Filling, Inside, SlotGate, State};
use crate::fault::FaultLatch;
use crate::loaded_code::{LoadedCode, LoadedRange};
use crate::loader::{CodeMemory as _, LoadError, LoadedImage, Plan, commit};
use crate::log::{Shown, log_at};
use crate::platform::{
    ExceptionText, FinaliserEntry, ForeignCall, InitialiserEntry, Platform, UnwindTables,
};

/// A sealed image and what is registered for it.
#[derive(Debug)]
pub(super) struct LoadedOrchestration {
    entries: OrchestrationEntries,
    image: LoadedImage,
    unwind: Option<UnwindTables>,
    /// Generation that the host gave the id; 0 from a host without generations.
    generation: u32,
}

/// What a slot needs at all times; the rest is touched when it is filled.
#[derive(Debug)]
pub(super) struct SlotState {
    gate: SlotGate,
    call: CallRecord,
    is_listed: IsListed,
}

impl SlotState {
    /// Of an empty slot.
    pub(super) const fn new() -> Self {
        Self { gate: SlotGate::new(), call: CallRecord::new(), is_listed: IsListed::new() }
    }
}

/// A slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot<'t> {
    /// Who may touch what: all the rest is used under its tokens.
    pub(super) gate: &'t SlotGate,
    /// Which function of the code is running.
    call: &'t CallRecord,
    /// Listed from the sealing of the image until its destructors have run. The lock is for those
    /// who only look; it is never held while code of the image runs.
    listed: Listing<'t, LoadedOrchestration>,
}

/// Why a slot was not filled. The memory is given back, or will be by the thread that is lost.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "without an allocator missing names go by value")]
pub(super) enum FillError {
    /// The image cannot be committed.
    Commit(LoadError),
    /// A constructor threw.
    Threw(ExceptionText),
    /// Somebody has given up on the constructors; they have returned after all.
    GivenUp,
}

impl<'t> Slot<'t> {
    /// The slot with this state.
    ///
    /// # Safety
    ///
    /// The state has been used with this memory alone, and this memory with the state alone, since
    /// the state was made.
    pub(super) const unsafe fn new(
        state: &'t SlotState,
        place: &'t Place<LoadedOrchestration>,
    ) -> Self {
        // SAFETY: the caller's promise; the flag is part of the state.
        let listed = unsafe { Listing::new(&state.is_listed, place) };
        Self { gate: &state.gate, call: &state.call, listed }
    }

    /// Puts an image into place and runs its constructors.
    ///
    /// # Errors
    ///
    /// [`FillError`]; the slot is empty then.
    #[expect(clippy::result_large_err, reason = "see `commit`; failing is rare")]
    pub(super) fn fill<P: Platform>(
        self,
        filling: Filling<'t>,
        platform: &P,
        id: CallableId,
        (plan, symbols): (&Plan<'_>, &EntryVaddrs),
    ) -> Result<(Inside<'t>, OrchestrationEntries), FillError> {
        let committed = commit(plan, &mut *platform.code_memory(id).lock(), platform.symbols());
        let image = match committed {
            Ok(image) => image,
            Err(error) => {
                // Nothing is listed and no code of it has run.
                filling.give_up().finish();
                return Err(FillError::Commit(error));
            }
        };
        // SAFETY: the addresses are of exported functions of the image just sealed, which stays
        // as long as the slot is filled; the names promise the signatures (spec trb §1.2).
        let entries = unsafe { symbols.entries(&image) };
        let unwind = image
            .eh_frame()
            // A table that is not well-formed is not registered; a throw then ends the process.
            .filter(|tables| tables.frame_bytes.is_some())
            .map(|tables| UnwindTables { eh_frame: tables.frame });
        if let Some(tables) = unwind {
            platform.register_unwind(tables);
        }
        let generation = self.gate.look().generation;
        let orchestration = LoadedOrchestration { entries, image, unwind, generation };
        orchestration.announce(platform, id, plan);
        self.listed.list(orchestration);

        if let Err(error) = self.initialise(&filling, platform) {
            // Constructors before it may have registered destructors with the C library.
            self.finalise(filling.give_up(), platform, id);
            return Err(error);
        }
        match filling.publish() {
            Ok(inside) => Ok((inside, entries)),
            Err(duty) => {
                self.finalise(duty, platform, id);
                Err(FillError::GivenUp)
            }
        }
    }

    /// Runs the constructors.
    #[expect(clippy::result_large_err, reason = "see `commit`; failing is rare")]
    fn initialise<P: Platform>(self, filling: &Filling<'_>, platform: &P) -> Result<(), FillError> {
        for index in 0.. {
            let constructor = self.look_at(|image| nth(image.init_functions(), index));
            let Some((address, count)) = constructor else { break };
            if filling.is_quarantined() {
                return Err(FillError::GivenUp);
            }
            let code = core::ptr::with_exposed_provenance::<()>(address as usize);
            // SAFETY: a verified function of the image (`LoadedImage`), sealed and still there.
            let initialiser = unsafe { transmute::<*const (), InitialiserEntry>(code) };
            let function = ForeignFunction::Constructor { number: index + 1, count };
            // SAFETY: as above; whoever fills the slot calls each constructor once.
            unsafe { self.call(platform, function, ForeignCall::Initialiser(initialiser)) }
                .map_err(FillError::Threw)?;
        }
        Ok(())
    }

    /// Runs the destructors, also those that the constructors have registered elsewhere, and gives
    /// code and unwind tables back.
    pub(super) fn finalise<P: Platform>(self, duty: Emptying<'_>, platform: &P, id: CallableId) {
        for index in 0.. {
            let destructor = self.look_at(|image| nth(image.fini_functions(), index));
            let Some((address, count)) = destructor else { break };
            let code = core::ptr::with_exposed_provenance::<()>(address as usize);
            // SAFETY: a verified function of the image (`LoadedImage`), still in memory.
            let finaliser = unsafe { transmute::<*const (), FinaliserEntry>(code) };
            let function = ForeignFunction::Destructor { number: index + 1, count };
            // SAFETY: as above; `duty` says that nothing else of the image runs.
            let called =
                unsafe { self.call(platform, function, ForeignCall::Finaliser(finaliser)) };
            if let Err(text) = called
                && let Some(label) = self.look_at(|image| Some(*image.label()))
            {
                log_at!(
                    Error,
                    "a destructor of callable {} {} threw {}",
                    id.raw(),
                    Shown(&label),
                    Shown(&text)
                );
            }
        }
        if let Some(orchestration) = self.listed.unlist() {
            orchestration.retract(platform, id);
        }
        platform.code_memory(id).lock().release();
        duty.finish();
    }

    /// Calls a function of the code, where watchers can see it.
    ///
    /// # Safety
    ///
    /// As for [`ForeignCall::invoke`]; the caller holds a token of the slot, and no other thread
    /// calls into the slot meanwhile.
    pub(super) unsafe fn call<P: Platform>(
        self,
        platform: &P,
        function: ForeignFunction,
        call: ForeignCall,
    ) -> Result<i32, ExceptionText> {
        self.call.begin(function.pack(), platform.coarse_ticks());
        // SAFETY: the caller's promise.
        let result = unsafe { platform.call_foreign(call) };
        self.call.end();
        // One by one, so that no text is moved where there is none.
        match result {
            Ok(value) => Ok(value),
            Err(text) => Err(text),
        }
    }

    /// Binds a runtime object, calls the entry unless the run has a fault by then, and unbinds it, where watchers
    /// can see it.
    ///
    /// # Errors
    ///
    /// Which of the calls has thrown, and what; those after it are not made.
    ///
    /// # Safety
    ///
    /// As for [`call`](Self::call), of all three calls.
    pub(super) unsafe fn enter_bound<P: Platform>(
        self,
        platform: &P,
        faults: &FaultLatch,
        BoundEntry { bind, runtime, entry, args }: BoundEntry,
    ) -> Result<(), (ForeignFunction, ExceptionText)> {
        let record = self.call;
        record.begin(ForeignFunction::Bind.pack(), platform.coarse_ticks());
        // SAFETY: the caller's promise.
        let passed = unsafe {
            platform.call_foreign_in_turn(|| {
                bind(runtime);
                if !faults.is_raised() {
                    record.go_on(ForeignFunction::Entry.pack());
                    entry(args);
                }
                record.begin(ForeignFunction::Unbind.pack(), platform.coarse_ticks());
                bind(core::ptr::null_mut());
            })
        };
        match passed {
            Ok(()) => {
                record.end();
                Ok(())
            }
            Err(text) => {
                let thrower = record.current().and_then(|(word, _)| ForeignFunction::unpack(word));
                record.end();
                Err((thrower.unwrap_or(ForeignFunction::Entry), text))
            }
        }
    }

    /// The functions of the code.
    ///
    /// # Safety
    ///
    /// The caller holds a token of the slot, as it is entered when it is full.
    pub(super) unsafe fn entries(self) -> OrchestrationEntries {
        // SAFETY: a value is listed before the slot can be entered, and taken out when nobody is inside.
        unsafe { self.listed.value() }.entries
    }

    /// The call that is running, with its start in ticks.
    pub(super) fn running<P: Platform>(
        self,
        platform: &P,
        callable: CallableId,
    ) -> Option<(u64, RunningCall)> {
        let (function, since) = self.call.current()?;
        let function = ForeignFunction::unpack(function)?;
        let ticks = u128::from(platform.ticks().saturating_sub(since));
        let running_us = ticks * 1_000_000 / u128::from(platform.ticks_per_second().max(1));
        let listed = self.listed.look(|orchestration| {
            Some((orchestration.address_of(function), *orchestration.image.label()))
        });
        let call = RunningCall {
            callable,
            function,
            address: listed.and_then(|(address, _)| address),
            label: listed.map(|(_, label)| label),
            running_us: u64::try_from(running_us).unwrap_or(u64::MAX),
        };
        Some((since, call))
    }

    /// What messages call the code, which others may take away or replace meanwhile.
    pub(super) fn named(self, id: CallableId) -> NamedCode {
        NamedCode { id, label: self.look_at(|image| Some(*image.label())) }
    }

    /// Where the code is, from its sealing until it is on its way out or somebody has given it up.
    pub(super) fn range(self, id: CallableId) -> Option<LoadedRange> {
        if self.gate.look().state == State::Empty {
            return None;
        }
        let range = self.listed.look(|orchestration| Some(orchestration.range(id)))?;
        let now = self.gate.look();
        let stays = matches!(now.state, State::Loading | State::Live);
        (stays && now.generation == range.generation).then_some(range)
    }

    /// Looks something up in the image.
    fn look_at<T>(self, find: impl FnOnce(&LoadedImage) -> Option<T>) -> Option<T> {
        self.listed.look(|orchestration| find(&orchestration.image))
    }
}

/// A function of a list of an image, and the length of the list.
fn nth(mut list: impl ExactSizeIterator<Item = u64>, index: u16) -> Option<(u64, u16)> {
    // CAST: an image has at most some hundred of each (`FunctionList`).
    let count = list.len() as u16;
    Some((list.nth(usize::from(index))?, count))
}

impl LoadedOrchestration {
    /// Where the code is.
    fn range(&self, id: CallableId) -> LoadedRange {
        let (base, span, bias) = (self.image.base(), self.image.span(), self.image.bias());
        LoadedRange { id, generation: self.generation, base, span, bias }
    }

    /// Tells platform and log of code that was just sealed.
    fn announce<P: Platform>(&self, platform: &P, id: CallableId, plan: &Plan<'_>) {
        let range = self.range(id);
        platform.code_loaded(&LoadedCode { range, plan });
        log_at!(
            Info,
            "loaded callable {} {}, generation {}: {} bytes at {:#x}",
            id.raw(),
            Shown(&self.image.label()),
            range.generation,
            range.span,
            range.base
        );
    }

    /// Takes back what platform and unwinder were told; the code is about to go.
    fn retract<P: Platform>(&self, platform: &P, id: CallableId) {
        if let Some(tables) = self.unwind {
            platform.deregister_unwind(tables);
        }
        platform.code_unloading(&self.range(id));
        log_at!(Info, "unloaded callable {} {}", id.raw(), Shown(&self.image.label()));
    }

    /// Address of a function as linked.
    fn address_of(&self, function: ForeignFunction) -> Option<u64> {
        let address = match function {
            ForeignFunction::Constructor { number, .. } => {
                nth(self.image.init_functions(), number.checked_sub(1)?)?.0
            }
            ForeignFunction::Destructor { number, .. } => {
                nth(self.image.fini_functions(), number.checked_sub(1)?)?.0
            }
            ForeignFunction::Entry => self.entries.entry as usize as u64,
            ForeignFunction::Config => self.entries.config? as usize as u64,
            ForeignFunction::Bind | ForeignFunction::Unbind => self.entries.bind? as usize as u64,
        };
        Some(address.wrapping_sub(self.image.bias()))
    }
}

//! `orch_so_table_[cid]`: the orchestrations that are loaded, one slot for each callable id.
//!
//! A slot is filled when the host announces an id as new, and used by every later run of that id
//! without a look-up: dispatch by id is an index. Only the orchestrator's thread uses a slot
//! during a run; the host unloads between runs. A slot that could not be filled is empty.

use core::ffi::{CStr, c_void};
use core::mem::transmute;

use protocol::{
    BIND_SYMBOL, CallableId, DEFAULT_CONFIG_SYMBOL, DEFAULT_ENTRY_SYMBOL,
    MAX_REGISTERED_CALLABLE_IDS, RuntimeBody, SYMBOL_NAME_BYTES, StatusCode,
};
use spin::Mutex;

use crate::fault::FaultLatch;
use crate::loaded_code::{LoadedCode, LoadedRange};
use crate::loader::{CodeMemory, ImageLabel, LoadedImage, Machine, Plan, PlanLimits, commit, plan};
use crate::log::log_at;
use crate::platform::{
    BindRuntimeEntry, FinaliserEntry, ForeignCall, InitialiserEntry, OrchestrationConfigEntry,
    OrchestrationEntry, Platform, UnwindTables,
};

/// The functions of a loaded orchestration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OrchestrationEntries {
    /// Builds the graph.
    pub(crate) entry: OrchestrationEntry,
    /// Says how many arguments it wants.
    pub(crate) config: Option<OrchestrationConfigEntry>,
    /// Takes the runtime object.
    pub(crate) bind: Option<BindRuntimeEntry>,
}

/// A loaded orchestration. [`finalise`](Self::finalise) must be called before it is dropped.
#[derive(Debug)]
struct LoadedOrchestration {
    /// Generation that the host gave the id; 0 from a host without generations.
    generation: u32,
    entries: OrchestrationEntries,
    image: LoadedImage,
    unwind: Option<UnwindTables>,
}

/// The table.
#[derive(Debug)]
pub(crate) struct OrchSoTable {
    slots: [Mutex<Option<LoadedOrchestration>>; MAX_REGISTERED_CALLABLE_IDS],
}

impl OrchSoTable {
    /// A table with empty slots.
    pub(crate) const fn new() -> Self {
        Self { slots: [const { Mutex::new(None) }; MAX_REGISTERED_CALLABLE_IDS] }
    }

    /// The functions of an id that was loaded before.
    ///
    /// # Errors
    ///
    /// The code that was latched: nothing is loaded, or it is of another generation.
    pub(crate) fn loaded(
        &self,
        faults: &FaultLatch,
        id: CallableId,
        generation: Option<u32>,
    ) -> Result<OrchestrationEntries, i32> {
        let slot = self.slots.get(id.index()).map(Mutex::lock);
        let Some(loaded) = slot.as_deref().and_then(Option::as_ref) else {
            return Err(faults.report(
                StatusCode::CallableNotLoaded.code(),
                format_args!("callable {} is not loaded, and the run does not load it", id.raw()),
            ));
        };
        if generation.is_some_and(|wanted| wanted != loaded.generation) {
            return Err(faults.report(
                StatusCode::StaleCallable.code(),
                format_args!(
                    "callable {} is loaded as generation {}, the run is for generation {}",
                    id.raw(),
                    loaded.generation,
                    generation.unwrap_or_default()
                ),
            ));
        }
        Ok(loaded.entries)
    }

    /// Loads the orchestration that a run brings along into the slot of its id.
    ///
    /// What the slot held before is unloaded first. Its constructors have run when this returns.
    ///
    /// # Errors
    ///
    /// The code that was latched; the slot is empty then.
    ///
    /// # Safety
    ///
    /// `dev_orch_so_addr` and `_size` of `runtime` name readable memory (or 0), and nobody is
    /// running code of this slot.
    pub(crate) unsafe fn load<P: Platform>(
        &self,
        platform: &P,
        faults: &FaultLatch,
        id: CallableId,
        runtime: &RuntimeBody,
        generation: u32,
    ) -> Result<OrchestrationEntries, i32> {
        self.unload(platform, id);
        let (address, bytes) = (runtime.dev_orch_so_addr.raw(), runtime.dev_orch_so_size);
        let Ok(length) = usize::try_from(bytes) else {
            return Err(load_failed(faults, id, None, format_args!("{bytes} bytes are too many")));
        };
        if address == 0 || length == 0 {
            let text = format_args!("the run brings no shared object");
            return Err(load_failed(faults, id, None, text));
        }
        platform.invalidate_cache(address, length);
        let source = core::ptr::with_exposed_provenance(address as usize);
        // SAFETY: by the contract.
        let image: &[u8] = unsafe { core::slice::from_raw_parts(source, length) };
        let memory = platform.code_memory(id);
        let page_bytes = memory.lock().page_bytes();
        let limits = PlanLimits { page_bytes, ..PlanLimits::default() };
        let plan = plan(image, Machine::native(), &limits)
            .map_err(|error| load_failed(faults, id, Some(image), format_args!("{error}")))?;
        let symbols = EntryVaddrs::find(&plan, runtime).map_err(|missing| {
            faults.report(
                StatusCode::EntryMissing.code(),
                format_args!(
                    "the orchestration of callable {} {} {missing}",
                    id.raw(),
                    ImageLabel::of_plan(&plan)
                ),
            )
        })?;
        let loaded = commit(&plan, &mut *memory.lock(), platform.symbols())
            .map_err(|error| load_failed(faults, id, Some(image), format_args!("{error}")))?;
        // SAFETY: the addresses are of exported functions of the image just sealed, which stays
        // as long as the slot is filled; the names promise the signatures (spec trb §1.2).
        let entries = unsafe { symbols.entries(&loaded) };
        let unwind = loaded
            .eh_frame()
            // A table without end mark cannot be registered; a throw then ends the process.
            .filter(|tables| tables.frame_bytes.is_some())
            .map(|tables| UnwindTables { eh_frame: tables.frame });
        if let Some(tables) = unwind {
            platform.register_unwind(tables);
        }
        let loaded = LoadedOrchestration { generation, entries, image: loaded, unwind };
        loaded.announce(platform, id, &plan);
        // SAFETY: just sealed, never initialised before.
        if let Err(text) = unsafe { loaded.initialise(platform) } {
            // The constructors before it may have registered destructors with the C library.
            loaded.finalise(platform, id);
            return Err(faults.report(
                StatusCode::EntryException.code(),
                format_args!(
                    "a constructor of callable {} {} threw {text}",
                    id.raw(),
                    ImageLabel::of_plan(&plan)
                ),
            ));
        }
        if entries.config.is_none() {
            log_at!(
                Warn,
                "callable {} {} has no config function: arguments are not counted",
                id.raw(),
                ImageLabel::of_plan(&plan)
            );
        }
        if let Some(slot) = self.slots.get(id.index()) {
            *slot.lock() = Some(loaded);
        }
        Ok(entries)
    }

    /// Shows where the code of each loaded orchestration is.
    pub(crate) fn loaded_ranges(&self, mut visit: impl FnMut(LoadedRange)) {
        for (raw, slot) in (0_i64..).zip(&self.slots) {
            let range = slot
                .lock()
                .as_ref()
                .and_then(|loaded| CallableId::new(raw).ok().map(|id| loaded.range(id)));
            if let Some(range) = range {
                visit(range);
            }
        }
    }

    /// Unloads what the slot of an id holds. No run may be in flight.
    pub(crate) fn unload<P: Platform>(&self, platform: &P, id: CallableId) {
        let Some(slot) = self.slots.get(id.index()) else { return };
        let loaded = slot.lock().take();
        if let Some(loaded) = loaded {
            loaded.finalise(platform, id);
        }
    }

    /// Unloads everything. No run may be in flight.
    pub(crate) fn unload_all<P: Platform>(&self, platform: &P) {
        for raw in 0..MAX_REGISTERED_CALLABLE_IDS as i64 {
            if let Ok(id) = CallableId::new(raw) {
                self.unload(platform, id);
            }
        }
    }
}

impl LoadedOrchestration {
    /// Runs the constructors.
    ///
    /// # Safety
    ///
    /// The image is sealed and was not initialised before.
    unsafe fn initialise<P: Platform>(
        &self,
        platform: &P,
    ) -> Result<(), crate::platform::ExceptionText> {
        for address in self.image.init_functions() {
            let code = core::ptr::with_exposed_provenance::<()>(address as usize);
            // SAFETY: a verified function of the image (`LoadedImage`).
            let initialiser = unsafe { transmute::<*const (), InitialiserEntry>(code) };
            // SAFETY: as above.
            unsafe { platform.call_foreign(ForeignCall::Initialiser(initialiser)) }?;
        }
        Ok(())
    }

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
            self.image.label(),
            range.generation,
            range.span,
            range.base
        );
    }

    /// Runs the destructors, also those that the constructors have registered elsewhere, and gives
    /// code and unwind tables back.
    fn finalise<P: Platform>(self, platform: &P, id: CallableId) {
        for address in self.image.fini_functions() {
            let code = core::ptr::with_exposed_provenance::<()>(address as usize);
            // SAFETY: a verified function of the image (`LoadedImage`), still in memory.
            let finaliser = unsafe { transmute::<*const (), FinaliserEntry>(code) };
            // SAFETY: as above; nothing else of the image runs.
            let thrown = unsafe { platform.call_foreign(ForeignCall::Finaliser(finaliser)) };
            if let Err(text) = thrown {
                let label = self.image.label();
                log_at!(Error, "a destructor of callable {} {label} threw {text}", id.raw());
            }
        }
        if let Some(tables) = self.unwind {
            platform.deregister_unwind(tables);
        }
        platform.code_unloading(&self.range(id));
        platform.code_memory(id).lock().release();
        log_at!(Info, "unloaded callable {} {}", id.raw(), self.image.label());
    }
}

/// Reports a shared object that could not be loaded.
fn load_failed(
    faults: &FaultLatch,
    id: CallableId,
    image: Option<&[u8]>,
    text: core::fmt::Arguments<'_>,
) -> i32 {
    let code = StatusCode::LoadFailed.code();
    let what = format_args!("cannot load the orchestration of callable {}", id.raw());
    match image.map(ImageLabel::of_file) {
        Some(label) => faults.report(code, format_args!("{what} {label}: {text}")),
        None => faults.report(code, format_args!("{what}: {text}")),
    }
}

/// Where the functions are, as linked.
#[derive(Debug, Clone, Copy)]
struct EntryVaddrs {
    entry: crate::loader::Export,
    config: Option<crate::loader::Export>,
    bind: Option<crate::loader::Export>,
}

impl EntryVaddrs {
    /// Finds the functions that the run names; the text of an error ends "the orchestration …".
    fn find(plan: &Plan<'_>, runtime: &RuntimeBody) -> Result<Self, heapless::String<192>> {
        let entry = symbol_name(&runtime.device_orch_func_name, DEFAULT_ENTRY_SYMBOL);
        let config = symbol_name(&runtime.device_orch_config_name, DEFAULT_CONFIG_SYMBOL);
        let found = plan.exported_function(entry).map_err(|error| {
            crate::fault::bounded_text(format_args!(
                "cannot be entered at `{}`: {error}",
                core::str::from_utf8(entry).unwrap_or("?")
            ))
        })?;
        Ok(Self {
            entry: found,
            config: plan.exported_function(config).ok(),
            bind: plan.exported_function(BIND_SYMBOL.as_bytes()).ok(),
        })
    }

    /// The functions at their run-time addresses.
    ///
    /// # Safety
    ///
    /// `image` was committed from the same plan, and its functions have the signatures that go
    /// with their names.
    unsafe fn entries(&self, image: &LoadedImage) -> OrchestrationEntries {
        let code = |export: &crate::loader::Export| {
            core::ptr::with_exposed_provenance::<c_void>(image.address_of(export) as usize)
        };
        OrchestrationEntries {
            // SAFETY: a function of the image with that signature, by the contract.
            entry: unsafe { transmute::<*const c_void, OrchestrationEntry>(code(&self.entry)) },
            config: self.config.as_ref().map(|export| {
                // SAFETY: as above.
                unsafe { transmute::<*const c_void, OrchestrationConfigEntry>(code(export)) }
            }),
            bind: self.bind.as_ref().map(|export| {
                // SAFETY: as above.
                unsafe { transmute::<*const c_void, BindRuntimeEntry>(code(export)) }
            }),
        }
    }
}

/// A name of the run record, or the default where it is empty.
fn symbol_name<'a>(name: &'a [u8; SYMBOL_NAME_BYTES], default: &'a str) -> &'a [u8] {
    let given = CStr::from_bytes_until_nul(name).map_or(&name[..], CStr::to_bytes);
    if given.is_empty() { default.as_bytes() } else { given }
}

//! What the loader's integration tests share.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses a part of it")]

pub mod campaign;
pub mod checked_memory;
pub mod compiler;
pub mod cpu_clock;
pub mod elf_numbers;
pub mod exports;
pub mod footprint;
pub mod image_builder;
pub mod image_patch;
pub mod maps;
pub mod model;
pub mod mutator;
pub mod oracle;
pub mod process_symbols;
pub mod regions;
pub mod section_table;
pub mod slot_kinds;
pub mod specimens;
pub mod system_loader;
pub mod unwind;
pub mod versioned_image;

use aicpu_executor::loader::{
    Import, LoadedImage, Machine, Plan, PlanLimits, SymbolResolver, commit, plan,
};
use aicpu_linux::{Slot, SlotConfig};
use process_symbols::ProcessSymbols;
use unwind::UnwindTables;

/// Plans an image with the default limits and pages of this process.
pub fn plan_native(image: &[u8]) -> Plan<'_> {
    let limits = PlanLimits { page_bytes: aicpu_linux::page_bytes(), ..PlanLimits::default() };
    plan(image, Machine::native(), &limits).unwrap_or_else(|error| panic!("{error}"))
}

/// Memory for one image, of the kind that orchestrations are loaded into.
pub fn slot() -> Slot {
    Slot::standalone(SlotConfig::DEFAULT).unwrap_or_else(|error| panic!("{error}"))
}

/// A loaded image with its memory. Dropping runs the finalisers and unmaps.
pub struct Loaded<'a> {
    pub plan: Plan<'a>,
    pub image: LoadedImage,
    pub unwind: Option<UnwindTables>,
    pub memory: Slot,
}

impl<'a> Loaded<'a> {
    /// Loads an image with the symbols of this process and runs its initialisers.
    pub fn new(image: &'a [u8]) -> Self {
        Self::with_symbols(image, &ProcessSymbols::default())
    }

    /// Loads an image with `symbols` and runs its initialisers.
    pub fn with_symbols(image: &'a [u8], symbols: &ProcessSymbols) -> Self {
        let plan = plan_native(image);
        let mut memory = slot();
        let image = commit(&plan, &mut memory, symbols).unwrap_or_else(|error| panic!("{error}"));
        let unwind = UnwindTables::register(&image);
        // SAFETY: compiled by the test for this machine; called once.
        unsafe { image.run_init() };
        Self { plan, image, unwind, memory }
    }

    /// Returns the address of an exported function.
    pub fn function(&self, name: &str) -> *const () {
        let export = self
            .plan
            .exported_function(name.as_bytes())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        self.image.pointer_to(&export)
    }

    /// Calls an exported `extern "C" long name()`.
    pub fn call(&self, name: &str) -> i64 {
        let code = self.function(name);
        // SAFETY: the test's source declares it so.
        let function =
            unsafe { std::mem::transmute::<*const (), unsafe extern "C" fn() -> i64>(code) };
        // SAFETY: as above; the image is loaded and initialised.
        unsafe { function() }
    }

    /// Calls an exported `extern "C" long name(long)`.
    pub fn call_with(&self, name: &str, argument: i64) -> i64 {
        let code = self.function(name);
        // SAFETY: the test's source declares it so.
        let function =
            unsafe { std::mem::transmute::<*const (), unsafe extern "C" fn(i64) -> i64>(code) };
        // SAFETY: as above; the image is loaded and initialised.
        unsafe { function(argument) }
    }
}

impl Drop for Loaded<'_> {
    fn drop(&mut self) {
        // SAFETY: initialised once in `with_symbols`; nothing of the image runs afterwards.
        unsafe { self.image.run_fini() };
    }
}

/// Offers the names of a list.
pub struct Names(pub &'static [(&'static str, u64)]);

impl SymbolResolver for Names {
    fn resolve(&self, import: &Import<'_>) -> Option<u64> {
        self.0.iter().find(|(each, _)| each.as_bytes() == import.name).map(|(_, address)| *address)
    }
}

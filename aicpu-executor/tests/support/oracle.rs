//! Judges any bytes: whatever the loader makes of them must be harmless.
//!
//! The oracle is more than "no panic": what is accepted is committed into memory that checks every
//! write, and must come out sealed and byte for byte as an independent model computes it, which
//! includes the pages between segments; what fails leaves the memory empty.

use aicpu_executor::loader::{
    Import, LoadError, LoadedImage, Machine, Plan, PlanLimits, Protection, SymbolResolver, commit,
    plan,
};

use super::checked_memory::{BASE, CheckedMemory};
use super::model::Model;

/// What became of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Planning refused it.
    Refused,
    /// Committing failed, and nothing of it stayed.
    Failed,
    /// It was loaded, and everything was as it should be.
    Loaded,
}

/// Offers every name but those that begin with `_ITM`.
struct Everything;

impl SymbolResolver for Everything {
    fn resolve(&self, import: &Import<'_>) -> Option<u64> {
        let version = import.version.map(|version| version.name);
        (!import.name.starts_with(b"_ITM")).then(|| address_of(import.name, version))
    }
}

/// The address that [`Everything`] gives to a name in a version.
fn address_of(name: &[u8], version: Option<&[u8]>) -> u64 {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    0x4000_0000_0000 + sum(name) + version.map_or(0, |version| sum(version) << 20)
}

/// Asks a plan everything it can be asked.
fn interrogate(plan: &Plan<'_>) {
    for name in ["entry", "config", "table", "", "outside", "_ZTI3One", "nothing of the kind"] {
        let export = plan.export(name.as_bytes());
        if let Ok(function) = plan.exported_function(name.as_bytes()) {
            assert_eq!(export, Some(function));
            assert!(plan.segments().iter().any(|segment| {
                segment.protection.contains(Protection::EXECUTE)
                    && function.vaddr >= segment.vaddr
                    && function.vaddr + function.size <= segment.end()
            }));
        }
    }
    assert!(plan.imports().all(|import| import.name.len() <= 4096));
    assert!(plan.needed().all(|name| !name.contains(&b'/')));
    assert!(plan.build_id().is_none_or(|id| (1..=64).contains(&id.len())));
    assert!(plan.span() <= 16 << 20 && plan.span().is_multiple_of(4096));
    let _ = (plan.soname(), plan.eh_frame(), plan.machine(), plan.relocations());
    // A mutant may claim very many functions, so only the first ones are looked up.
    for function in plan.functions().take(20) {
        let found = plan.symbolise(function.vaddr).expect("a function starts here");
        assert_eq!(found.function.vaddr + found.offset, function.vaddr);
    }
}

/// Compares a sealed image with the model of it, and its pages with its segments.
fn inspect(bytes: &[u8], plan: &Plan<'_>, image: &LoadedImage, memory: &CheckedMemory) {
    let expected = Model::new(bytes, 4096).memory(BASE, |name, version| {
        if name.starts_with(b"_ITM") { 0 } else { address_of(name, version) }
    });
    if memory.bytes() != expected {
        let differs = |(ours, model): &(&u8, &u8)| ours != model;
        let at = memory.bytes().iter().zip(&expected).position(|pair| differs(&pair));
        panic!(
            "{} bytes, {} expected; they differ at {at:x?}",
            memory.bytes().len(),
            expected.len()
        );
    }
    for segment in plan.segments() {
        let pages = (segment.vaddr - plan.start()) as usize / 4096;
        let end = ((segment.end() - plan.start()) as usize).div_ceil(4096);
        for rights in &memory.pages[pages..end] {
            let is_writable = segment.protection.contains(Protection::WRITE);
            // RELRO, of writable segments.
            let sealed = is_writable && *rights == Protection::READ;
            assert!(*rights == segment.protection || sealed, "{rights:?} of {segment:?}");
        }
    }
    for address in image.init_functions().chain(image.fini_functions()) {
        let page = (address - image.base()) as usize / 4096;
        assert!(memory.pages[page].contains(Protection::EXECUTE), "{address:#x}");
    }
}

/// Plans an image and, if that is accepted, commits it.
///
/// # Panics
///
/// Anything was not as it should be.
pub fn judge(bytes: &[u8], machine: Machine) -> Verdict {
    let Ok(plan) = plan(bytes, machine, &PlanLimits::default()) else { return Verdict::Refused };
    interrogate(&plan);
    let mut memory = CheckedMemory::new();
    let result = commit(&plan, &mut memory, &Everything);
    assert_eq!(memory.violations, [""; 0]);
    match result {
        Ok(image) => {
            inspect(bytes, &plan, &image, &memory);
            Verdict::Loaded
        }
        Err(LoadError::FunctionOutsideText { .. } | LoadError::Unresolved(_)) => {
            assert!(!memory.is_reserved);
            Verdict::Failed
        }
        Err(other) => panic!("{other}"),
    }
}

//! Truncates valid images at every length, and breaks them at random by the thousand.
//!
//! The oracle is more than "no panic": what is accepted is committed into memory that checks every
//! write, and must come out sealed and byte for byte as an independent model computes it, which
//! includes the pages between segments; what fails leaves the memory empty.
//!
//! A failure prints the seed of its mutant; `LOADER_SEED=… LOADER_MUTANTS=1` repeats it. The number
//! and other variables are described in `support/campaign.rs`; `cargo xtask mutants` runs a million.

#[path = "support/support.rs"]
mod support;

use aicpu_executor::loader::{
    Import, LoadError, LoadedImage, Plan, PlanError, PlanLimits, Protection, SymbolResolver,
    commit, plan,
};
use support::campaign::{Campaign, Verdict};
use support::checked_memory::{BASE, CheckedMemory};
use support::model::Model;
use support::mutator::Random;
use support::specimens::specimens;

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

#[test]
fn no_mutant_panics_or_writes_outside_its_image() {
    let specimens = specimens();
    let mut campaign = Campaign::new("memory", 20_000);
    campaign.run(|seed| {
        let (machine, specimen) = &specimens[(seed % specimens.len() as u64) as usize];
        let bytes = specimen.mutant(seed);
        let Ok(plan) = plan(&bytes, *machine, &PlanLimits::default()) else {
            return Verdict::Refused;
        };
        interrogate(&plan);
        let mut memory = CheckedMemory::new();
        let result = commit(&plan, &mut memory, &Everything);
        assert_eq!(memory.violations, [""; 0]);
        match result {
            Ok(image) => {
                inspect(&bytes, &plan, &image, &memory);
                Verdict::Loaded
            }
            Err(LoadError::FunctionOutsideText { .. } | LoadError::Unresolved(_)) => {
                assert!(!memory.is_reserved);
                Verdict::Failed
            }
            Err(other) => panic!("{other}"),
        }
    });
    campaign.assert_harmless();
}

#[test]
fn every_table_there_is_occurs_in_a_specimen() {
    let mut names: Vec<_> =
        specimens().iter().flat_map(|(_, specimen)| specimen.region_names()).collect();
    names.sort_unstable();
    names.dedup();
    let expected = [
        "GNU hash table",
        "SysV hash table",
        "defined versions",
        "dynamic section",
        "file header",
        "finalisers",
        "full symbol table",
        "function slots",
        "initialisers",
        "needed versions",
        "notes",
        "packed relocations",
        "program headers",
        "properties",
        "relocations",
        "section headers",
        "section strings",
        "strings",
        "symbol versions",
        "symbols",
        "unwind header",
    ];
    assert_eq!(names, expected);
}

#[test]
fn every_truncation_is_refused() {
    for (machine, specimen) in specimens() {
        let bytes = &specimen.bytes;
        let whole = plan(bytes, *machine, &PlanLimits::default()).unwrap();
        let needed =
            whole.segments().iter().map(|each| each.offset + each.file_bytes).max().unwrap();
        for length in 0..bytes.len() {
            let found = plan(&bytes[..length], *machine, &PlanLimits::default()).map(|_| ());
            if (length as u64) < needed {
                let is_expected = matches!(found, Err(PlanError::OutsideFile { file_bytes, .. }) if file_bytes == length);
                assert!(is_expected, "{} at {length}: {found:?}", specimen.name);
            } else {
                // Only section headers are cut, which nothing that is loaded depends on.
                assert_eq!(found, Ok(()), "{} at {length}", specimen.name);
            }
        }
    }
}

#[test]
fn arbitrary_bytes_are_refused() {
    for (machine, specimen) in specimens() {
        for seed in 0..2_000 {
            let mut random = Random(seed);
            let mut bytes = specimen.bytes[..64 + random.below(448)].to_vec();
            for byte in bytes.iter_mut().skip(random.below(128)) {
                *byte = random.next() as u8;
            }
            assert!(plan(&bytes, *machine, &PlanLimits::default()).is_err(), "{seed}");
        }
    }
}

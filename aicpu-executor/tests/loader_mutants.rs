//! Truncates valid images at every length, and breaks them at random by the thousand.
//!
//! What is checked of each is in `support/oracle.rs`. A failure prints the seed of its mutant;
//! `LOADER_SEED=… LOADER_MUTANTS=1` repeats it. The number and other variables are described in
//! `support/campaign.rs`; `cargo xtask mutants` runs a million.

#[path = "support/support.rs"]
mod support;

use aicpu_executor::loader::{PlanError, PlanLimits, plan};
use support::campaign::Campaign;
use support::mutator::Random;
use support::oracle::judge;
use support::specimens::specimens;

#[test]
fn no_mutant_panics_or_writes_outside_its_image() {
    let specimens = specimens();
    let mut campaign = Campaign::new("memory", 20_000);
    campaign.run(|seed| {
        let (machine, specimen) = &specimens[(seed % specimens.len() as u64) as usize];
        judge(&specimen.mutant(seed), *machine)
    });
    campaign.assert_harmless();
    campaign.assert_varied();
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
        "unwind records",
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

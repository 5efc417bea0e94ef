//! Loads mutants into the real memory of this machine, with its guard pages, and unloads them.
//!
//! The other lane (`loader_mutants.rs`) checks what the loader asks for; this one checks what the
//! system's pages hold in the end, as code would see them, and that nothing of a mutant stays. A
//! write past the memory ends the process here, since the neighbour pages are without access. No
//! code of a mutant runs.

#[path = "support/support.rs"]
mod support;

use aicpu_executor::loader::{
    CodeMemory, Import, LoadError, LoadedImage, Machine, Plan, PlanLimits, Protection,
    SymbolResolver, commit, plan,
};
use support::campaign::Campaign;
use support::maps::rights;
use support::model::Model;
use support::oracle::Verdict;
use support::slot_kinds::slots;
use support::specimens::native;

/// Offers every name at one address.
struct Everything;

const IMPORTED: u64 = 0x1234_5678_9000;

impl SymbolResolver for Everything {
    fn resolve(&self, _: &Import<'_>) -> Option<u64> {
        Some(IMPORTED)
    }
}

/// Compares the pages of a loaded image with the model of it.
fn inspect(kind: &str, bytes: &[u8], plan: &Plan<'_>, image: &LoadedImage) {
    let expected =
        Model::new(bytes, plan.page_bytes() as u64).memory(image.base(), |_, _| IMPORTED);
    assert_eq!(expected.len(), image.span());
    for run in plan.pages().runs() {
        if !run.protection.contains(Protection::READ) {
            continue;
        }
        let from = std::ptr::with_exposed_provenance(image.base() as usize + run.offset);
        // SAFETY: the run is readable memory of the image, which stays while this runs.
        let found: &[u8] = unsafe { std::slice::from_raw_parts(from, run.bytes) };
        let expected = &expected[run.offset..run.offset + run.bytes];
        let differs = |at: &usize| {
            let is_mapped =
                || kind == "staged" && is_of_file(bytes, plan, run.offset + at, found[*at]);
            found[*at] != expected[*at] && !is_mapped()
        };
        if let Some(at) = (0..run.bytes).find(differs) {
            let (found, expected) = (found[at], expected[at]);
            panic!("{kind}: {run:x?} at {at:#x}: {found:#x}, {expected:#x} expected");
        }
    }
}

/// Tells whether a byte around a segment, on its pages, is what the file has there: pages that are
/// mapped and not copied show what is next to a segment in the file.
fn is_of_file(file: &[u8], plan: &Plan<'_>, offset: usize, found: u8) -> bool {
    let vaddr = plan.start() + offset as u64;
    let page = plan.page_bytes() as u64;
    plan.segments().iter().any(|segment| {
        let pages = segment.vaddr / page * page..segment.end().next_multiple_of(page);
        let is_around = vaddr < segment.vaddr || vaddr >= segment.end();
        let place = segment.offset.wrapping_add(vaddr).wrapping_sub(segment.vaddr);
        // Behind the end of the file the page is zero.
        let expected = file.get(place as usize).copied().unwrap_or(0);
        pages.contains(&vaddr) && is_around && expected == found
    })
}

/// Compares the rights of every run, and of the neighbour pages, with what the kernel says.
fn inspect_rights(plan: &Plan<'_>, image: &LoadedImage) {
    let address = |offset: usize| image.base() + offset as u64;
    for run in plan.pages().runs() {
        let mut expected = *b"---";
        for (at, letter, right) in [
            (0, b'r', Protection::READ),
            (1, b'w', Protection::WRITE),
            (2, b'x', Protection::EXECUTE),
        ] {
            if run.protection.contains(right) {
                expected[at] = letter;
            }
        }
        for page in [address(run.offset), address(run.offset + run.bytes) - 1] {
            assert_eq!(rights(page).as_bytes(), expected, "{run:?} at {page:#x}");
        }
    }
    for neighbour in [address(0) - 1, address(image.span())] {
        let found = rights(neighbour);
        assert!(found.is_empty() || found == "---", "{found} at {neighbour:#x}");
    }
}

#[test]
fn no_mutant_stays_in_real_memory_or_leaves_its_pages() {
    let specimens = native();
    let mut slots = slots();
    let page_bytes = aicpu_linux::page_bytes();
    let limits = PlanLimits { page_bytes, ..PlanLimits::default() };
    let mut campaign = Campaign::new("pages", 20_000);
    let mut loads = 0;
    campaign.run(|seed| {
        let bytes = specimens[(seed % specimens.len() as u64) as usize].mutant(seed);
        let Ok(plan) = plan(&bytes, Machine::native(), &limits) else { return Verdict::Refused };
        // Each kind gets every specimen, and keeps its memory from one to the next.
        let kind = (seed / specimens.len() as u64) as usize % slots.len();
        let (name, slot) = &mut slots[kind];
        // What a mutant that panicked left behind.
        slot.release();
        match commit(&plan, slot, &Everything) {
            Ok(image) => {
                loads += 1;
                inspect(name, &bytes, &plan, &image);
                // The kernel takes long to tell, so only now and then.
                if loads % 64 == 0 {
                    inspect_rights(&plan, &image);
                }
                slot.release();
                assert!(!slot.is_occupied());
                Verdict::Loaded
            }
            Err(LoadError::FunctionOutsideText { .. }) => {
                assert!(!slot.is_occupied());
                Verdict::Failed
            }
            Err(other) => panic!("{name}: {other}"),
        }
    });
    campaign.assert_harmless();
    campaign.assert_varied();
}

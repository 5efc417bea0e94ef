//! Registers the unwind tables of mutants with the run time of C++, and lets it search them.
//!
//! Once one exception is thrown anywhere, that run time reads the tables of every registered image,
//! and trusts them. So what the loader says may be registered must be readable to the end. No code
//! of a mutant runs.

#[path = "support/support.rs"]
mod support;

use std::ffi::c_void;

use aicpu_executor::loader::{
    CodeMemory, Import, LoadError, Machine, PlanLimits, SymbolResolver, commit, plan,
};
use support::campaign::Campaign;
use support::mutator::Specimen;
use support::oracle::Verdict;
use support::specimens::native;
use support::unwind::UnwindTables;

/// What `_Unwind_Find_FDE` tells of a function: bases for relative pointers, and its start.
#[repr(C)]
struct Bases {
    text: *const c_void,
    data: *const c_void,
    function: *const c_void,
}

#[link(name = "gcc_s")]
unsafe extern "C" {
    fn _Unwind_Find_FDE(pc: *const c_void, bases: *mut Bases) -> *const c_void;
}

/// Lets the run time look for the tables of an address, through all registered ones.
fn search(address: u64) -> bool {
    let null = std::ptr::null();
    let mut bases = Bases { text: null, data: null, function: null };
    let pc = std::ptr::with_exposed_provenance(address as usize);
    // SAFETY: any address may be asked for; the answer goes to a local.
    let found = unsafe { _Unwind_Find_FDE(pc, &raw mut bases) };
    !found.is_null()
}

/// Offers every name at one address.
struct Everything;

impl SymbolResolver for Everything {
    fn resolve(&self, _: &Import<'_>) -> Option<u64> {
        Some(0x1234_5678_9000)
    }
}

#[test]
fn registered_tables_of_mutants_can_be_searched() {
    let only = |specimen: &Specimen| specimen.only(&["unwind header", "unwind records"]);
    let specimens: Vec<_> = native().iter().map(only).collect();
    let page_bytes = aicpu_linux::page_bytes();
    let limits = PlanLimits { page_bytes, ..PlanLimits::default() };
    let mut slot = support::slot();
    let (mut registered, mut found) = (0, 0);
    let mut campaign = Campaign::new("unwind", 20_000);
    campaign.run(|seed| {
        let specimen = &specimens[(seed % specimens.len() as u64) as usize];
        let bytes = specimen.mutant(seed);
        let Ok(plan) = plan(&bytes, Machine::native(), &limits) else { return Verdict::Refused };
        match commit(&plan, &mut slot, &Everything) {
            Ok(image) => {
                if let Some(tables) = UnwindTables::register(&image) {
                    registered += 1;
                    for function in plan.functions().take(8) {
                        found += u64::from(search(image.bias() + function.vaddr));
                    }
                    // An address in nobody's tables: all of them are read.
                    assert!(!search(1));
                    // And one of this program, whose tables are elsewhere.
                    assert!(search(search as *const () as u64 + 1));
                    drop(tables);
                }
                slot.release();
                Verdict::Loaded
            }
            Err(LoadError::FunctionOutsideText { .. }) => Verdict::Failed,
            Err(other) => panic!("{other}"),
        }
    });
    println!("{registered} registered, {found} functions found");
    campaign.assert_harmless();
    // Most changes are in a table that may be registered all the same.
    assert!(found > registered && registered > campaign.loaded / 2);
}

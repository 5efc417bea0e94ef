//! Loads, unloads and refuses the same images again and again: nothing may stay.
//!
//! `LOADER_CYCLES` sets how often: 100,000 times in a release build, which is what the loader is
//! held to, and 3,000 times in a debug build.

#[path = "support/support.rs"]
mod support;

use std::sync::{Mutex, MutexGuard, PoisonError};

use aicpu_executor::loader::{
    CodeMemory, Import, LoadError, Machine, PlanError, PlanLimits, SymbolResolver, commit, plan,
};
use support::campaign::number;
use support::footprint::Footprint;
use support::slot_kinds::slots;
use support::specimens::native;
use support::{Names, plan_native, slot};

/// Growth of resident memory that is none: a stack or an allocator that got a little deeper.
const GROWTH_LIMIT_KIB: i64 = 256;

/// Offers every name at one address.
struct Everything;

impl SymbolResolver for Everything {
    fn resolve(&self, _: &Import<'_>) -> Option<u64> {
        Some(0x1234_5678_9000)
    }
}

/// Lets one test at a time use this process, the compiler that it runs included.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `turn` as often as asked for, and compares the process after a short warm-up with the end.
fn assert_no_growth(what: &str, mut turn: impl FnMut(u64)) {
    let cycles = number("LOADER_CYCLES", if cfg!(debug_assertions) { 3_000 } else { 100_000 });
    Footprint::settle_allocator();
    let warm_up = 200.min(cycles);
    (0..warm_up).for_each(&mut turn);
    let before = Footprint::now();
    (warm_up..cycles).for_each(&mut turn);
    let after = Footprint::now();
    let growth = after.resident_kib - before.resident_kib;
    println!("growth {what} cycles={cycles} resident_kib={growth} {before:?} {after:?}");
    assert!(growth < GROWTH_LIMIT_KIB, "{growth} KiB more after {cycles} times: {what}");
    // The slots differ in how many mappings their images make of them.
    assert!(after.mappings < before.mappings + 8, "{} mappings: {what}", after.mappings);
    assert_eq!(after.files, before.files, "{what}");
}

#[test]
fn loading_and_unloading_leaves_nothing_behind() {
    let _alone = alone();
    let images = native();
    let plans: Vec<_> = images.iter().map(|image| plan_native(&image.bytes)).collect();
    let mut slots = slots();
    assert_no_growth("load and unload", |turn| {
        // The same layout twice, then another one; and every kind of slot.
        let plan = &plans[(turn / 2) as usize % plans.len()];
        let kind = (turn / 8) as usize % slots.len();
        let (_, slot) = &mut slots[kind];
        let image = commit(plan, slot, &Everything).expect("a valid image");
        assert!(image.contains(image.base()));
        slot.release();
    });
}

#[test]
fn refusing_leaves_nothing_behind() {
    let _alone = alone();
    let images = native();
    let bytes = &images[0].bytes;
    let plan_whole = plan_native(bytes);
    // Its first initialiser is moved out of the text, which shows after relocation.
    let mut moved = bytes.clone();
    let init = support::regions::regions(&moved)
        .into_iter()
        .find(|region| region.name == "relocations")
        .expect("the image has relocations");
    moved[init.range.start + 16..init.range.start + 24].fill(0);
    let plan_moved = plan_native(&moved);
    let mut memory = slot();
    assert_no_growth("refuse", |turn| match turn % 4 {
        0 => {
            let length = turn as usize % bytes.len();
            let limits = PlanLimits::default();
            let found = plan(&bytes[..length], Machine::native(), &limits).map(|_| ());
            let section_headers_cut = found.is_ok();
            assert!(section_headers_cut || matches!(found, Err(PlanError::OutsideFile { .. })));
        }
        1 => match commit(&plan_whole, &mut memory, &Names(&[])) {
            Err(LoadError::Unresolved(missing)) => assert!(missing.total() > 0),
            other => panic!("{other:?}"),
        },
        2 => match commit(&plan_moved, &mut memory, &Everything) {
            Err(LoadError::FunctionOutsideText { .. }) => {}
            other => panic!("{other:?}"),
        },
        _ => {
            commit(&plan_whole, &mut memory, &Everything).expect("a valid image");
            match commit(&plan_whole, &mut memory, &Everything) {
                Err(LoadError::Memory(_)) => {}
                other => panic!("{other:?}"),
            }
            memory.release();
        }
    });
}

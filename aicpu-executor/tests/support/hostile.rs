//! Runs tables of broken images: each row breaks the valid image once and names the exact error.

use aicpu_executor::loader::{Machine, PlanError, PlanLimits, plan};

use crate::support::image_builder::TestImage;

/// Class of design loader §4.1, what is broken, and how. The function returns the error expected.
pub type Row = (u8, &'static str, fn(&mut TestImage) -> PlanError);

/// Checks every row on both machines, and that the rows cover exactly `classes`.
pub fn check(rows: &[Row], classes: &[u8]) {
    for machine in [Machine::X86_64, Machine::Aarch64] {
        for (class, name, break_it) in rows {
            let mut image = TestImage::new(machine);
            let expected = break_it(&mut image);
            let found = plan(&image.bytes, machine, &PlanLimits::default()).map(|_| ());
            assert_eq!(found, Err(expected), "class {class}, {name}, {machine}");
            // A sentence of its own, not the fallback.
            assert_ne!(expected.to_string(), format!("{expected:?}"), "class {class}, {name}");
        }
    }
    let mut covered: Vec<u8> = rows.iter().map(|(class, ..)| *class).collect();
    covered.sort_unstable();
    covered.dedup();
    assert_eq!(covered, classes);
}

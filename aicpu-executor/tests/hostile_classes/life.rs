//! Classes 31 to 33: what happens around a load, so that no image alone can show it.
//!
//! Each entry names the test that covers it; that the test exists is checked.

use crate::class::Case::Elsewhere;
use crate::class::HostileClass;

pub(crate) const STAGED_FILE: HostileClass = HostileClass {
    number: 31,
    title: "a staged file that is swapped or truncated, and links in its folder",
    // Nothing is staged yet: images are copied out of a slice that nobody else can write.
    cases: &[Elsewhere(
        "tests/loader_images.rs",
        "seals_every_page_and_leaves_nothing_of_the_memory_before",
    )],
};

pub(crate) const SLOT: HostileClass = HostileClass {
    number: 32,
    title: "reload while old code runs, double unload, stale handles",
    cases: &[
        Elsewhere("tests/loader_images.rs", "refuses_an_occupied_slot_and_leaves_it_alone"),
        Elsewhere("../tests/tests/bad_input.rs", "handles_that_name_nothing_here_are_refused"),
    ],
};

pub(crate) const CONSTRUCTORS: HostileClass = HostileClass {
    number: 33,
    title: "constructors that crash, loop or throw",
    cases: &[Elsewhere(
        "../tests/tests/bad_input.rs",
        "a_constructor_that_throws_is_reported_with_what_it_threw",
    )],
};

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
        Elsewhere(
            "src/orch_so_table/tests.rs",
            "unloading_during_a_run_waits_for_its_end_and_happens_once",
        ),
        Elsewhere(
            "src/orch_so_table/tests.rs",
            "a_reload_while_the_old_code_runs_is_refused_and_loses_nothing",
        ),
        Elsewhere(
            "src/orch_so_table/tests.rs",
            "a_stale_handle_neither_runs_nor_unloads_the_code_that_took_its_place",
        ),
        Elsewhere(
            "src/orch_so_table/slot_gate/models.rs",
            "two_unloads_during_two_runs_take_the_code_away_once",
        ),
        Elsewhere(
            "../host-runner/src/device/sim/tests/unloading.rs",
            "unloading_during_a_run_is_deferred_to_its_end_and_done_once",
        ),
    ],
};

pub(crate) const CONSTRUCTORS: HostileClass = HostileClass {
    number: 33,
    title: "constructors that crash, loop or throw",
    // One that crashes ends the process that it shares.
    cases: &[
        Elsewhere(
            "../tests/tests/bad_input.rs",
            "a_constructor_that_throws_is_reported_with_what_it_threw",
        ),
        Elsewhere(
            "src/orch_so_table/tests.rs",
            "constructors_run_last_and_destructors_first_each_once",
        ),
        Elsewhere(
            "src/orch_so_table/tests.rs",
            "a_constructor_that_is_given_up_on_closes_the_slot_until_it_returns",
        ),
        Elsewhere(
            "../tests/tests/life.rs",
            "a_constructor_that_does_not_return_is_named_and_costs_the_device_but_not_the_worker",
        ),
        Elsewhere(
            "../tests/tests/life.rs",
            "a_destructor_that_does_not_return_ends_the_unregistering_and_costs_the_device",
        ),
    ],
};

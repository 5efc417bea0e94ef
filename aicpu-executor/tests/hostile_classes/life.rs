//! Classes 31 to 33: what happens around a load, so that no image alone can show it.
//!
//! Each entry names the test that covers it; that the test exists is checked.

use crate::class::Case::Elsewhere;
use crate::class::HostileClass;

const STAGING: &str = "linux/src/slots/tests/staging.rs";
const SEALED: &str = "linux/src/slots/tests/sealed.rs";
const MEMORY: &str = "linux/src/slots/tests/refusals.rs";
const TABLE: &str = "src/orch_so_table/tests.rs";
const GATE: &str = "src/orch_so_table/slot_gate/tests.rs";
const MODELS: &str = "src/orch_so_table/slot_gate/models.rs";
const SCENES: &str = "../tests/tests/life.rs";
const BAD_INPUT: &str = "../tests/tests/bad_input.rs";

pub(crate) const STAGED_FILE: HostileClass = HostileClass {
    number: 31,
    title: "a staged file that is swapped or truncated, and links in its folder",
    cases: &[
        Elsewhere(STAGING, "s2_a_file_that_somebody_changes_is_an_error_and_not_loaded"),
        Elsewhere(STAGING, "s2_folders_are_tried_in_order_and_links_are_not_followed"),
        Elsewhere(
            STAGING,
            "s5_a_stale_file_of_ours_is_replaced_and_whatever_else_has_the_name_is_left_alone",
        ),
        Elsewhere(
            STAGING,
            "a_staged_image_runs_from_a_file_that_is_private_while_it_is_there_and_then_gone",
        ),
        Elsewhere(STAGING, "no_failure_of_any_call_leaves_a_file_or_a_broken_slot"),
        Elsewhere(STAGING, "s6_short_writes_and_reads_are_continued"),
        Elsewhere(SEALED, "a_sealed_image_cannot_be_changed"),
        Elsewhere(SEALED, "the_plan_of_other_bytes_is_copied"),
    ],
};

pub(crate) const SLOT: HostileClass = HostileClass {
    number: 32,
    title: "reload while old code runs, double unload, stale handles",
    cases: &[
        Elsewhere(TABLE, "a_reload_while_the_old_code_runs_is_refused_and_loses_nothing"),
        Elsewhere(TABLE, "unloading_during_a_run_waits_for_its_end_and_happens_once"),
        Elsewhere(TABLE, "a_stale_handle_neither_runs_nor_unloads_the_code_that_took_its_place"),
        Elsewhere(GATE, "unloading_twice_is_an_answer_and_unloads_once"),
        Elsewhere(GATE, "any_order_of_operations_has_the_answers_of_a_plain_account"),
        Elsewhere(MODELS, "a_reload_never_lets_a_handle_of_the_code_before_it_in"),
        Elsewhere(MODELS, "two_unloads_during_two_runs_take_the_code_away_once"),
        Elsewhere(MEMORY, "a_slot_holds_one_image_and_the_second_changes_nothing"),
        Elsewhere(
            SCENES,
            "unregistering_during_a_run_waits_for_its_end_and_the_second_time_is_an_answer",
        ),
        Elsewhere(BAD_INPUT, "handles_that_name_nothing_here_are_refused"),
    ],
};

pub(crate) const CONSTRUCTORS: HostileClass = HostileClass {
    number: 33,
    title: "constructors that crash, loop or throw",
    cases: &[
        Elsewhere(TABLE, "constructors_run_last_and_destructors_first_each_once"),
        Elsewhere(TABLE, "code_is_shown_from_before_its_constructors_until_it_is_on_its_way_out"),
        Elsewhere(TABLE, "a_constructor_that_throws_ends_the_load_and_the_next_one_works"),
        Elsewhere(TABLE, "a_constructor_that_is_given_up_on_closes_the_slot_until_it_returns"),
        Elsewhere(GATE, "a_quarantine_ends_when_the_lost_thread_comes_out_and_not_before"),
        Elsewhere(
            SCENES,
            "a_constructor_that_does_not_return_is_named_and_costs_the_device_but_not_the_worker",
        ),
        Elsewhere(
            SCENES,
            "a_constructor_that_hangs_on_the_fresh_device_is_named_by_the_run_that_needs_it",
        ),
        Elsewhere(BAD_INPUT, "a_constructor_that_throws_is_reported_with_what_it_threw"),
    ],
};

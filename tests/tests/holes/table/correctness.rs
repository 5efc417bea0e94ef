//! Correctness and lifetime (spec callable §7.1).

use super::Hole;

const FAILED_RUNS: &str = "tests/tests/holes/failed_runs.rs";
const MEMORY: &str = "tests/tests/holes/memory.rs";
const SHARING: &str = "tests/tests/prepared_callables/sharing.rs";
const FAILED_STEPS: &str = "host-runner/src/worker/tests/failed_steps.rs";
const BLOB: &str = "host-runner/src/registry/tests/callers_blob.rs";
const EXECUTOR: &str = "aicpu-executor/src/executor/tests.rs";

/// In the order of the specification.
pub(super) const ROWS: &[Hole] = &[
    Hole {
        name: "H1",
        what: "A run that fails early leaves the executor so that the next run hangs.",
        answer: "What a run changes belongs to the run. Every end of it passes the same gate, whose last \
                 thread takes it down, and every wait has a limit.",
        tests: &[(FAILED_RUNS, "h1_after_a_run_that_failed_in_any_way_its_id_and_others_go_on")],
        open: None,
    },
    Hole {
        name: "H2",
        what: "An id counts as loaded before it is, so that it never works after a load that failed.",
        answer: "Registration succeeds when the executor has acknowledged the load, and leaves nothing \
                 otherwise. A callable that the device does not have after all is placed again.",
        tests: &[
            (FAILED_RUNS, "h2_an_id_whose_load_or_first_run_has_failed_works_the_next_time"),
            (
                FAILED_STEPS,
                "h2_a_callable_that_the_device_has_forgotten_is_loaded_again_wherever_it_then_is",
            ),
        ],
        open: None,
    },
    Hole {
        name: "H3",
        what: "Kernels are kept by func id alone: another callable's kernel takes the place of one's own.",
        answer: "Each callable has a table of its own; kernels are found by all their bytes, and counted.",
        tests: &[(
            SHARING,
            "h3_two_callables_with_other_kernels_under_one_func_id_run_interleaved",
        )],
        open: None,
    },
    Hole {
        name: "H4",
        what: "A rejected registration leaves a mapped library behind.",
        answer: "Everything that a registration takes has an owner that gives it back when it is dropped, \
                 and ids and names are checked first.",
        tests: &[
            (MEMORY, "h4_registrations_that_are_rejected_leave_no_mapping_and_no_descriptor"),
            (
                FAILED_STEPS,
                "h4_a_registration_that_fails_at_any_step_leaves_no_mapping_and_no_descriptor",
            ),
        ],
        open: None,
    },
    Hole {
        name: "H5",
        what: "64 places for 64 tensors and two buffers more: what does not fit leaks with each run.",
        answer: "There is no such table. Tensors have buffers with their callable, arenas are the device's.",
        tests: &[(MEMORY, "h5_sixty_four_tensors_come_back_and_leave_nothing_on_the_device")],
        open: None,
    },
    Hole {
        name: "H6",
        what: "Eight bytes of a Build-ID decide that two images are the same.",
        answer: "Length and hash of all bytes find an image, and a comparison of all bytes decides. A \
                 Build-ID leads to a warning and to nothing else.",
        tests: &[
            (SHARING, "h6_two_images_of_one_build_id_run_their_own_code_and_the_log_warns"),
            (SHARING, "h6_an_image_that_goes_on_behind_another_one_is_an_image_of_its_own"),
        ],
        open: None,
    },
    Hole {
        name: "H7",
        what: "A timeout of the scheduler is reported as success.",
        answer: "It is the fault SchedulerTimeout, and a run with a fault has no other end.",
        tests: &[(
            FAILED_RUNS,
            "h7_a_run_in_which_nothing_moves_is_a_scheduler_timeout_and_no_success",
        )],
        open: None,
    },
    Hole {
        name: "H8",
        what: "A run that fails copies whatever the device holds over the user's outputs, or reads a \
               header that nobody has written.",
        answer: "Outputs are copied after a run without a fault only. The header is written by the set-up \
                 of each run, also of one that fails there; codes come from the executor, not from it.",
        tests: &[
            (FAILED_RUNS, "h8_a_failed_run_writes_to_no_output_whatever_the_device_holds"),
            (
                EXECUTOR,
                "h8_a_run_that_fails_before_its_orchestration_leaves_its_code_in_the_header",
            ),
        ],
        open: None,
    },
    Hole {
        name: "H8b",
        what: "A task of a func id without kernel dereferences null.",
        answer: "Whoever submits a task looks its kernel up, and a missing one is the fault KernelMissing.",
        tests: &[(FAILED_RUNS, "h8b_a_task_of_a_func_id_without_kernel_is_an_error_that_names_it")],
        open: None,
    },
    Hole {
        name: "H9",
        what: "Registering writes into the caller's callable, so that it is another one the next time.",
        answer: "The blob is read. The device has a copy, and addresses are in the table of the run.",
        tests: &[
            (
                BLOB,
                "h9_a_callable_in_memory_that_cannot_be_written_is_registered_and_stays_as_it_is",
            ),
            (BLOB, "h9_the_same_object_registered_again_is_found_on_the_device"),
        ],
        open: None,
    },
    Hole {
        name: "H10",
        what: "A run on one AICPU thread hangs.",
        answer: "One thread orchestrates and schedules by turns.",
        tests: &[(FAILED_RUNS, "h10_a_single_aicpu_thread_runs_everything")],
        open: None,
    },
    Hole {
        name: "H11",
        what: "A C++ exception out of an orchestration ends the process.",
        answer: "Every call of the users' code is guarded; what it throws is a fault with its text.",
        tests: &[(
            FAILED_RUNS,
            "h11_an_exception_of_the_users_code_is_an_error_and_not_the_end_of_the_process",
        )],
        open: None,
    },
    Hole {
        name: "H12",
        what: "Each run registers, allocates, uploads and creates what it then leaks or throws away.",
        answer: "Threads, arenas, record and buffers are the device's or the callable's, from run to run.",
        tests: &[(
            MEMORY,
            "h12_a_steady_run_allocates_maps_opens_and_copies_nothing_but_its_tensors",
        )],
        open: Some("streams and launches of hardware: with the device that has them"),
    },
    Hole {
        name: "H13",
        what: "What an orchestration allocates on the device stays until the end of the device.",
        answer: "It comes from the arenas of the run, which the next run uses again.",
        tests: &[(MEMORY, "h13_what_a_run_allocates_on_the_device_does_not_outlive_its_callable")],
        open: None,
    },
    Hole {
        name: "H14",
        what: "Records lie where their alignment does not allow.",
        answer: "Device memory is aligned to 64 bytes, blobs are read at any address, and records of \
                 runs, executor and threads say their alignment.",
        tests: &[
            (BLOB, "h14_images_and_kernels_are_aligned_on_the_device_wherever_the_callers_blob_is"),
            (EXECUTOR, "h14_the_executor_and_what_its_threads_share_are_aligned_to_cache_lines"),
        ],
        open: None,
    },
    Hole {
        name: "H15",
        what: "The AICPU reads an image through a cache that has what was there before.",
        answer: "The executor invalidates the range before it looks at the first byte.",
        tests: &[(
            "aicpu-executor/src/orch_so_table/tests.rs",
            "h15_the_cache_over_an_image_is_invalidated_before_any_of_it_is_read",
        )],
        open: Some("that the instruction does what it should: with the hardware"),
    },
    Hole {
        name: "H16",
        what: "Two threads may find the run finished, and both take it down.",
        answer: "Threads are counted out by one word; the one that brings it to nothing is the last.",
        tests: &[
            (
                "aicpu-executor/src/executor/roll/tests.rs",
                "h16_of_threads_that_depart_at_the_same_time_one_is_the_last",
            ),
            (
                "aicpu-executor/src/executor/gate.rs",
                "h16_the_others_enter_after_the_set_up_and_the_last_one_out_takes_it_down_alone",
            ),
        ],
        open: None,
    },
    Hole {
        name: "H17",
        what: "An exception in the middle of a run leaves its record and its allocations.",
        answer: "A run makes nothing that it has to destroy: buffers are the callable's, the record is the \
                 device's. A step that fails is an error, and the next run starts from the same place.",
        tests: &[(
            FAILED_STEPS,
            "h17_a_run_that_fails_at_any_step_leaves_nothing_and_the_next_one_works",
        )],
        open: None,
    },
];

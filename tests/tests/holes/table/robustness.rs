//! Security, the API and processes (spec callable §7.2, §7.3).

use super::Hole;

const MEMORY: &str = "tests/tests/holes/memory.rs";
const FILES: &str = "tests/tests/holes/files.rs";
const HOSTILE: &str = "tests/tests/holes/hostile.rs";
const MANY_USERS: &str = "tests/tests/holes/many_users.rs";
const DOCUMENTS: &str = "tests/tests/holes/documents.rs";
const RECORDS: &str = "host-runner/src/worker/tests/records.rs";
const STAGING: &str = "aicpu-executor/linux/src/slots/tests/staging.rs";
const WRITTEN: &str = "aicpu-executor/linux/src/slots/tests/written.rs";
const LIMITS: &str = "aicpu-executor/linux/src/slots/tests/system_limits.rs";
const C_HOSTILE: &str = "tests/tests/c_library/hostile.rs";
const C_REFUSALS: &str = "tests/tests/c_library/refusals.rs";
const C_SCENARIOS: &str = "tests/tests/c_library/scenarios.rs";
const C_PROCESSES: &str = "tests/tests/c_library/processes.rs";

/// In the order of the specification.
pub(super) const ROWS: &[Hole] = &[
    Hole {
        name: "S1",
        what: "A blob comes without its size, and its numbers are believed.",
        answer: "A blob is bytes with a length, and each number in it is checked against that. Where the C \
                 ABI passes no size, the blob is read as far as its own checked numbers go.",
        tests: &[
            (HOSTILE, "s1_a_blob_is_read_within_its_length_and_every_number_in_it_is_checked"),
            ("protocol/tests/wire/callable.rs", "s1_every_cut_is_refused"),
            (C_HOSTILE, "s1_a_blob_that_is_cut_off_anywhere_is_refused"),
        ],
        open: None,
    },
    Hole {
        name: "S2",
        what: "Code is unpacked under a name that anybody can know, into a folder that anybody can write to.",
        answer: "Code is loaded from memory. Where only files are left, they are made anew and without \
                 following links, and read back before they are used.",
        tests: &[
            (FILES, "s2_links_under_predictable_names_are_not_followed"),
            (STAGING, "s2_folders_are_tried_in_order_and_links_are_not_followed"),
            (STAGING, "s2_a_file_that_somebody_changes_is_an_error_and_not_loaded"),
        ],
        open: None,
    },
    Hole {
        name: "S3",
        what: "Offsets of a hostile ELF file are added without a look at the overflow.",
        answer: "All arithmetic on numbers of a file is checked, in every one of its readers.",
        tests: &[
            (HOSTILE, "s3_offsets_that_overflow_are_refused_or_harmless"),
            (
                "protocol/tests/wire/build_id.rs",
                "s3_offsets_that_overflow_or_leave_the_image_end_in_the_hash",
            ),
        ],
        open: None,
    },
    Hole {
        name: "S4",
        what: "Files go to the folder of the system's libraries, and a folder without programs breaks it.",
        answer: "As for S2: no file. In the fallback, such folders are passed over.",
        tests: &[
            (FILES, "s4_loaded_code_is_in_no_file_of_any_folder"),
            (
                LIMITS,
                "s4_full_folders_and_such_without_executable_files_are_passed_over_and_left_empty",
            ),
        ],
        open: None,
    },
    Hole {
        name: "S5",
        what: "A path is unlinked again later, when the file may be somebody else's.",
        answer: "As for S2: no path is kept. The fallback unlinks what it has just made.",
        tests: &[
            (FILES, "s5_files_of_others_under_predictable_names_are_neither_changed_nor_deleted"),
            (
                STAGING,
                "s5_a_stale_file_of_ours_is_replaced_and_whatever_else_has_the_name_is_left_alone",
            ),
        ],
        open: None,
    },
    Hole {
        name: "S6",
        what: "A short or interrupted write is a failure, and the message may be anything.",
        answer: "Writes go on where they stopped. A step that fails is named, with the system's number.",
        tests: &[
            (WRITTEN, "s6_interrupted_and_short_writes_are_continued"),
            (STAGING, "s6_short_writes_and_reads_are_continued"),
            (
                STAGING,
                "s6_a_fault_that_lasts_is_an_error_of_its_step_and_leaves_nothing_in_the_slot",
            ),
        ],
        open: None,
    },
    Hole {
        name: "S7",
        what: "Shapes, element types, sizes, counts and device addresses of the user are believed.",
        answer: "A tensor is checked when it is added, an address when it is used: against the one live \
                 allocation that it has to be in, and frees against what the user has allocated.",
        tests: &[
            (HOSTILE, "s7_arguments_that_make_no_sense_never_reach_the_device"),
            ("protocol/tests/wire/args_blob.rs", "s7_tensors_that_make_no_sense_are_refused"),
        ],
        open: None,
    },
    Hole {
        name: "S8",
        what: "A process that is killed leaves files.",
        answer: "As for S2: there are none at any time.",
        tests: &[(FILES, "s8_a_process_that_is_killed_leaves_no_file")],
        open: None,
    },
    Hole {
        name: "S9",
        what: "Pointers of the host, and rests of its stack, are shipped to the device.",
        answer: "Host-only fields of the record are zero, and arguments are packed into zeroed memory.",
        tests: &[(RECORDS, "s9_the_record_of_a_run_holds_nothing_of_the_host")],
        open: None,
    },
    Hole {
        name: "P1",
        what: "Ids are used up by unregistering and by failing, and chosen ones collide with others.",
        answer: "One table gives out the smallest free id, chosen ones too; dropping a reservation frees it.",
        tests: &[(MANY_USERS, "p1_ids_come_back_in_every_way_in_which_a_registration_can_end")],
        open: None,
    },
    Hole {
        name: "P2",
        what: "Python functions use up ids of callables and fail only when they are run.",
        answer: "A callable is a type of its own here: what is none cannot be registered.",
        tests: &[],
        open: Some(
            "messages of a Python client: with the client; there is none in this project yet",
        ),
    },
    Hole {
        name: "P3",
        what: "No call has a limit, and what fails at its start hangs its parent for ever.",
        answer: "Runs, loads, unloadings and every wait for a completion have one. There is no child \
                 process: a device that does not come back is given up and replaced.",
        tests: &[(MANY_USERS, "p3_every_wait_has_a_limit_and_tells_when_it_is_over")],
        open: Some(
            "children that outlive their parent: with the device in a child process, issue 8",
        ),
    },
    Hole {
        name: "P4",
        what: "Controls write to a mailbox without the lock that dispatches hold.",
        answer: "There is no mailbox: what threads share is behind locks of the device and the registry.",
        tests: &[(
            MANY_USERS,
            "p4_registering_from_one_thread_and_running_from_others_do_not_meet",
        )],
        open: Some("a mailbox between processes: with the device in a child process, issue 8"),
    },
    Hole {
        name: "P5",
        what: "Nothing can be registered after the children were forked.",
        answer: "Registration is an order to the device, at any time, also during a run.",
        tests: &[(
            MANY_USERS,
            "p5_a_callable_is_registered_and_taken_away_while_a_run_of_another_is_in_flight",
        )],
        open: None,
    },
    Hole {
        name: "P6",
        what: "The mailbox is too small for the arguments that a run may have.",
        answer: "Arguments travel in the record of the run, which holds the most there may be; one more is \
                 refused where it is added.",
        tests: &[(
            MANY_USERS,
            "p6_sixty_four_tensors_and_a_hundred_and_twenty_eight_scalars_arrive",
        )],
        open: None,
    },
    Hole {
        name: "R9",
        what: "Communication before init calls through null.",
        answer: "The C library has no function pointers to be set: a call without device is refused.",
        tests: &[(C_REFUSALS, "r9_no_context_is_an_error_of_every_function")],
        open: None,
    },
    Hole {
        name: "R10",
        what: "An init that fails late leaks what it has opened when it is tried again.",
        answer: "A device that could not be opened is dropped whole, and the next use opens one.",
        tests: &[
            (
                MEMORY,
                "r10_a_worker_whose_device_could_not_be_opened_gets_one_the_next_time_and_nothing_leaks",
            ),
            (C_SCENARIOS, "r10_a_context_lives_again_after_it_was_finalized"),
        ],
        open: None,
    },
    Hole {
        name: "R11",
        what: "Documents describe calls that are not there.",
        answer: "Examples are compiled, commands of the README run in CI, names are looked up in the sources.",
        tests: &[(DOCUMENTS, "r11_names_of_the_api_in_the_documents_are_names_of_the_sources")],
        open: None,
    },
    Hole {
        name: "R12",
        what: "Some errors are positive, and all of them are numbers.",
        answer: "A status is the negative of a code, or of whatever number an orchestration ends with, \
                 and errors have texts.",
        tests: &[(MANY_USERS, "r12_every_status_is_negative_and_comes_with_a_text")],
        open: None,
    },
    Hole {
        name: "R13",
        what: "Nothing is locked anywhere.",
        answer: "A worker is Sync: registering and memory work beside runs, and runs take turns.",
        tests: &[
            (MANY_USERS, "r13_threads_share_a_worker_without_a_lock_of_their_own"),
            (C_PROCESSES, "r13_threads_share_a_context_while_it_is_finalized_and_destroyed"),
        ],
        open: None,
    },
];

//! The limits (spec trb §2.1): what works at each, and what is said above it. Nothing ends the
//! process, nothing is dropped, and no limit is smaller than the reference's.
//!
//! | limit | at it and above it |
//! |---|---|
//! | task window, heap, dependency edges, map entries | `error_matrix`: `full_pools_…`; `tiny_rings`: all; `graphs`: `a_scope_that_is_larger_…`, `output_memory_…` |
//! | rings, scope depth | here: `sixty_four_scopes_…` |
//! | ready queue | unit, executor: `a_ready_queue_takes_every_task_slot_there_is` |
//! | wiring queue, local buffers, release buffer, spill pool | not there: edges are wired at submit, from one ring |
//! | fan-in of 64 | no limit: `graphs`: `a_task_waits_for_a_hundred_producers` |
//! | tensors, scalars, dependencies, dimensions of a task | here: `a_task_takes_…` |
//! | tensors and scalars of a run | `host_runner::arguments`: `the_limits_are_64_tensors_…`; `bad_input`: `buffers_of_another_size_…` |
//! | func ids, kernels | here: `a_callable_has_…` |
//! | callable ids | `register_and_run`: `there_are_64_ids_…` |
//! | symbol names | here: `a_callable_has_…` (the reference cuts them off) |
//! | cores, clusters, threads, block dimension | `bad_input`: `settings_that_the_device_does_not_have_…`; unit, executor: `silent_cores_…` |
//! | clusters of a scheduler thread | no limit: `spmd`: 24 clusters on one thread |
//! | blocks of a task, bytes of its outputs | `hazards`: `the_largest_task_…`; unit, executor: `packed_outputs_…` |
//! | error text | here: `a_message_of_…` |
//! | deferred completion | with deferred completion |

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use host_runner::callable::{Callable, CallableError, KernelImage};
use protocol::{CoreType, StatusCode};
use tests::sources;
use tests::workers::{
    AICPU_THREADS, Cells, SENTINEL, assert_fault, assert_works, fault, open, threads,
};

fn kernels() -> Vec<KernelImage> {
    let mut kernels = sources::cell_kernels();
    kernels.push(sources::kernel(4, CoreType::Aiv, "count"));
    kernels
}

#[test]
fn sixty_four_scopes_can_be_open_at_once_and_one_more_is_an_error() {
    let worker = open();
    let handle = worker.register(&sources::callable("errors", "deep_scopes", kernels())).unwrap();
    for aicpu_threads in AICPU_THREADS {
        let run = |scopes| {
            let mut passed = Cells { cells: vec![1], scalars: vec![scopes], ..Cells::default() };
            passed.run(&worker, &handle, &threads(aicpu_threads)).map(|report| {
                assert_eq!(report.tasks, scopes);
                passed.cells[0]
            })
        };
        // One is around the whole orchestration. A task adds its own cell to three times it.
        let expected = (0..63).fold(1_u64, |state, i| state.wrapping_mul(4).wrapping_add(i));
        assert_eq!(run(63).unwrap(), expected);
        let error = run(64).map(|_| unreachable!("65 scopes"));
        assert_fault(error, StatusCode::InvalidArgs, &["more than 64 scopes are open"]);
        assert_works(&worker, &threads(aicpu_threads));
    }
}

#[test]
fn a_task_takes_as_many_arguments_as_its_record_holds_and_no_more() {
    let worker = open();
    let callable = sources::callable("errors", "counted_arguments", kernels());
    let handle = worker.register(&callable).unwrap();
    let run = |counts: [u64; 4], aicpu_threads| {
        let scalars = counts.to_vec();
        let mut passed = Cells { cells: vec![SENTINEL; 2], scalars, ..Cells::default() };
        let report = passed.run(&worker, &handle, &threads(aicpu_threads))?;
        assert_eq!((report.tasks, passed.cells), (2, vec![1, 8]), "{counts:?}");
        Ok(report)
    };
    for aicpu_threads in [1, 3] {
        for most in [[16, 32, 16, 5], [1, 0, 0, 1], [16, 0, 0, 5], [1, 32, 16, 1]] {
            run(most, aicpu_threads).unwrap();
        }
        for (counts, text) in [
            ([17, 0, 0, 1], "more than 16 tensor arguments"),
            ([1, 33, 0, 1], "more than 32 scalar arguments"),
            ([1, 0, 17, 1], "more than 16 explicit dependencies"),
            ([1, 0, 0, 6], "tensor argument 0: it has 6 dimensions; at most 5"),
        ] {
            assert_fault(run(counts, aicpu_threads), StatusCode::InvalidArgs, &[text]);
        }
        assert_works(&worker, &threads(aicpu_threads));
    }
}

#[test]
fn a_callable_has_func_ids_up_to_1023_and_symbols_of_up_to_63_bytes() {
    assert!(protocol::FuncId::new(1023).is_ok() && protocol::FuncId::new(1024).is_err());
    let build = |entry: &str, config: &str| {
        let builder = Callable::builder(sources::orchestration("errors")).name("limits");
        builder.entry(entry).config(config).build()
    };
    let name = |bytes: usize| "a".repeat(bytes);
    assert!(build(&name(63), &name(63)).is_ok());
    for (entry, config, what) in [(64, 1, "entry"), (1, 64, "config")] {
        let error = build(&name(entry), &name(config)).unwrap_err();
        assert!(matches!(error, CallableError::Symbol { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
        assert!(error.to_string().contains("64 bytes; a symbol has at most 63"), "{error}");
    }
}

#[test]
fn a_message_of_a_thousand_bytes_arrives_and_a_longer_one_is_cut() {
    let worker = open();
    let handle = worker.register(&sources::callable("errors", "long_message", kernels())).unwrap();
    for (length, kept) in [(0, 0), (1000, 1000), (1023, 1023), (5000, 1023)] {
        let scalars = vec![length];
        let mut passed = Cells { cells: vec![SENTINEL], scalars, ..Cells::default() };
        let fault = fault(passed.run(&worker, &handle, &threads(2)));
        assert_eq!(fault.code, Some(StatusCode::ExplicitFatal));
        let letters = fault.text.bytes().filter(|byte| *byte == b'x').count();
        assert_eq!(letters, kept, "of {length}");
    }
    assert_works(&worker, &threads(2));
}

//! Callables that are wrong, each in one way, and damaged images: each gives a typed error whose
//! text helps, leaves the caller's memory untouched, and the next run on the same worker works.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use aicpu_executor::loader::PlanError;
use host_runner::arguments::{Arguments, ArgumentsError, TensorArgument, TensorData};
use host_runner::callable::{Callable, CallableBuilder, KernelImage};
use host_runner::device::{
    DeviceError, DeviceUsage, ImageError, KernelError, MemoryError, OrchestrationError,
};
use host_runner::registry::RegisterError;
use host_runner::run::{RunConfig, RunError};
use host_runner::worker::Worker;
use protocol::{CoreType, DataType, DeviceAddr, StatusCode};
use tests::sources::{self, image_label};
use tests::workers::{
    AICPU_THREADS, Cells, SENTINEL, assert_fault, assert_works, fault, open, threads, with_causes,
};

/// Asserts that a callable cannot be registered, with all these words in the message, that nothing
/// of it stays, and that the worker works; returns the error.
#[track_caller]
fn refused(worker: &Worker, callable: &Callable, parts: &[&str]) -> RegisterError {
    let error = worker.register(callable).unwrap_err();
    let text = with_causes(&error);
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
    assert_eq!(worker.usage(), DeviceUsage::default());
    assert_works(worker, &threads(3));
    error
}

/// As [`refused`], for an orchestration image with a good kernel.
#[track_caller]
fn refused_image(worker: &Worker, image: Vec<u8>, parts: &[&str]) -> OrchestrationError {
    let builder = Callable::builder(image).name("broken").entry("fork_join");
    let callable = sources::packed(builder, sources::cell_kernels());
    let image = image_label(callable.blob());
    match refused(worker, &callable, &[&["callable `broken`", &image], parts].concat()) {
        RegisterError::Orchestration { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

/// As [`refused`], for a kernel image under a good orchestration.
#[track_caller]
fn refused_kernel(worker: &Worker, binary: Vec<u8>, parts: &[&str]) -> KernelError {
    let kernels = vec![
        sources::kernel(0, CoreType::Aiv, "fill"),
        sources::kernel_of(5, CoreType::Aiv, "broken", binary),
    ];
    let callable = sources::callable("faults", "kernel_throws", kernels);
    match refused(worker, &callable, &[&["func_id 5 of callable `kernel_throws`"], parts].concat())
    {
        RegisterError::Kernel { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

/// An image with one 16-bit number replaced.
fn with_word(mut image: Vec<u8>, at: usize, value: u16) -> Vec<u8> {
    image[at..at + 2].copy_from_slice(&value.to_le_bytes());
    image
}

/// ELF machine numbers, and where the number is in the header.
const X86_64: u16 = 62;
const AARCH64: u16 = 183;
const MACHINE_AT: usize = 18;
/// A machine that this one is not.
const OTHER_MACHINE: u16 = if cfg!(target_arch = "x86_64") { AARCH64 } else { X86_64 };

#[test]
fn what_is_not_an_elf_file_is_refused() {
    let worker = open();
    for image in [b"#!/bin/sh\nexit 0\n".to_vec(), b"\x7fEL".to_vec(), vec![0; 4096]] {
        let found = image[..image.len().min(4)].to_vec();
        let expected = ImageError::NotElf { found };
        let parts = ["not an ELF file", "pass a compiled shared object"];
        let error = refused_image(&worker, image.clone(), &parts);
        assert!(matches!(error, OrchestrationError::Image(got) if got == expected));
        let error = refused_kernel(&worker, image, &parts);
        assert!(matches!(error, KernelError::Image(got) if got == expected));
    }
}

#[test]
fn an_image_for_another_machine_is_refused() {
    let worker = open();
    let expected = || {
        let want = if OTHER_MACHINE == AARCH64 { X86_64 } else { AARCH64 };
        ImageError::WrongMachine { found: OTHER_MACHINE, want }
    };
    let number = OTHER_MACHINE.to_string();
    let parts = ["compiled for another machine", &number, "compile it with"];
    let image = with_word(sources::orchestration("graphs"), MACHINE_AT, OTHER_MACHINE);
    let error = refused_image(&worker, image, &parts);
    assert!(matches!(error, OrchestrationError::Image(got) if got == expected()));
    let image = with_word(sources::kernel_image(CoreType::Aiv, "fill"), MACHINE_AT, OTHER_MACHINE);
    let error = refused_kernel(&worker, image, &parts);
    assert!(matches!(error, KernelError::Image(got) if got == expected()));
}

#[test]
fn a_truncated_image_is_refused_wherever_it_ends() {
    let worker = open();
    let orchestration = sources::orchestration("graphs");
    let kernel = sources::kernel_image(CoreType::Aiv, "fill");
    let lengths = |image: &[u8]| {
        let length = image.len();
        [5, 63, 64, 200, length / 4, length / 2, length - 4096, length - 1]
    };
    for length in lengths(&orchestration) {
        let error =
            refused_image(&worker, orchestration[..length].to_vec(), &["truncated", "copy"]);
        let OrchestrationError::Image(ImageError::Truncated { need, have, .. }) = error else {
            panic!("{length}: {error:?}")
        };
        assert!(have == length as u64 && need > have);
    }
    for length in lengths(&kernel) {
        let error = refused_kernel(&worker, kernel[..length].to_vec(), &["truncated", "copy"]);
        let KernelError::Image(ImageError::Truncated { have, .. }) = error else {
            panic!("{length}: {error:?}")
        };
        assert_eq!(have, length as u64);
    }
}

#[test]
fn a_missing_entry_is_named() {
    let worker = open();
    let callable = sources::callable("graphs", "fork_joint", sources::cell_kernels());
    let error = refused(&worker, &callable, &["does not export `fork_joint`", "C linkage"]);
    assert!(matches!(error, RegisterError::Orchestration {
        source: OrchestrationError::Image(ImageError::MissingSymbol { symbol }), ..
    } if symbol == "fork_joint"));

    let image = sources::kernel_image(CoreType::Aiv, "no_entry");
    let error = refused_kernel(&worker, image, &["does not export `kernel_entry`", "C linkage"]);
    assert!(matches!(error, KernelError::Image(ImageError::MissingSymbol { symbol })
        if symbol == "kernel_entry"));
}

#[test]
fn what_an_orchestration_may_not_have_is_named() {
    let worker = open();
    let plain = |source: &str| {
        let builder = Callable::builder(sources::orchestration(source)).name(source);
        sources::packed(builder, Vec::new())
    };
    let error = refused(&worker, &plain("thread_local"), &["thread", "tile_cursor"]);
    assert!(matches!(
        error,
        RegisterError::Orchestration {
            source: OrchestrationError::Plan(PlanError::ThreadLocal { .. }),
            ..
        }
    ));
    let parts = ["imports what the device does not offer", "open_the_window"];
    let error = refused(&worker, &plain("missing_import"), &parts);
    assert!(matches!(error, RegisterError::Orchestration {
        source: OrchestrationError::Unresolved { names }, ..
    } if names == ["open_the_window"]));
}

#[test]
fn a_constructor_that_throws_is_reported_with_what_it_threw() {
    let worker = open();
    let builder = Callable::builder(sources::orchestration("constructor_throws")).name("static");
    let callable = sources::packed(builder, Vec::new());
    let image = image_label(callable.blob());
    assert!(image.len() > "(build-id )".len() + 30, "{image}");
    let before = worker.usage();
    for _ in 0..3 {
        let parts = ["a constructor of callable 0", &image, "no table of tiles"];
        match refused(&worker, &callable, &parts) {
            RegisterError::Load { source: DeviceError::Load(fault), .. } => {
                assert_eq!(fault.code, Some(StatusCode::EntryException));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(worker.usage(), before);
        assert_works(&worker, &threads(3));
    }
}

#[test]
fn a_kernel_whose_constructor_throws_is_refused_with_what_it_threw() {
    let worker = open();
    let image = sources::kernel_image(CoreType::Aiv, "throws_while_loading");
    let parts = ["its `constructors`", "std::runtime_error: no table of kernels"];
    let error = refused_kernel(&worker, image, &parts);
    assert!(matches!(error, KernelError::Exception { .. }), "{error:?}");
}

/// Runs an entry of `faults.cpp` twice on each number of threads, asserts how it ends, and that
/// the worker works after each time.
#[track_caller]
fn check_fault(entry: &str, code: StatusCode, parts: &[&str]) {
    check_fault_of(Callable::builder(sources::orchestration("faults")).entry(entry), code, parts);
}

#[track_caller]
fn check_fault_of(builder: CallableBuilder, code: StatusCode, parts: &[&str]) {
    let worker = open();
    let handle = worker.register(&sources::packed(builder, fault_kernels())).unwrap();
    for aicpu_threads in AICPU_THREADS {
        for _ in 0..2 {
            let mut passed = Cells { cells: vec![SENTINEL; 8], ..Cells::default() };
            assert_fault(passed.run(&worker, &handle, &threads(aicpu_threads)), code, parts);
        }
        assert_works(&worker, &threads(aicpu_threads));
    }
}

/// The kernels that `faults.cpp` numbers.
fn fault_kernels() -> Vec<KernelImage> {
    let mut kernels = sources::cell_kernels();
    kernels.push(sources::kernel(5, CoreType::Aiv, "throws"));
    kernels
}

#[test]
fn the_output_of_these_orchestrations_would_show() {
    let worker = open();
    let callable = sources::callable("faults", "spoils", fault_kernels());
    let handle = worker.register(&callable).unwrap();
    let mut passed = Cells { cells: vec![SENTINEL; 3], ..Cells::default() };
    passed.run(&worker, &handle, &threads(3)).unwrap();
    assert_eq!(passed.cells, [666, 667, 668]);
}

#[test]
fn a_func_id_without_kernel_is_named() {
    check_fault("missing_kernel", StatusCode::KernelMissing, &["17"]);
    check_fault("impossible_kernel", StatusCode::KernelMissing, &["1024"]);
    check_fault("no_kernel", StatusCode::InvalidArgs, &["without kernel"]);
}

#[test]
fn too_few_arguments_are_counted() {
    let builder = || Callable::builder(sources::orchestration("faults")).entry("spoils");
    let parts = ["arg_count 1 < expected 3", "1 tensors and 0 scalars"];
    check_fault_of(builder().config("expects_three"), StatusCode::ArgCountMismatch, &parts);
    let parts = ["config function", "no configuration"];
    check_fault_of(builder().config("config_throws"), StatusCode::EntryException, &parts);
}

#[test]
fn a_fatal_report_of_the_orchestration_arrives_with_its_text() {
    check_fault("fatal", StatusCode::ExplicitFatal, &["tile 7 of the left is odd"]);
    let worker = open();
    let handle = worker.register(&sources::callable("faults", "own_fatal", fault_kernels()));
    let handle = handle.unwrap();
    let mut passed = Cells { cells: vec![SENTINEL], ..Cells::default() };
    let fault = fault(passed.run(&worker, &handle, &threads(3)));
    assert_eq!((fault.code, fault.status), (None, -4711));
    assert!(fault.text.contains("a number of its own"), "{fault}");
    assert_works(&worker, &threads(3));
}

#[test]
fn an_exception_out_of_the_entry_arrives_with_its_text() {
    let code = StatusCode::EntryException;
    check_fault("throws_error", code, &["std::runtime_error", "no such tile"]);
    check_fault("throws_number", code, &["int"]);
    check_fault("throws_in_scope", code, &["string"]);
    check_fault("asserts", code, &["assertion failed: index < output_count_", "thrown in asserts"]);
}

#[test]
fn the_fatal_report_counts_and_not_the_exception_that_follows_from_it() {
    check_fault("asserts_after_fatal", StatusCode::ExplicitFatal, &["the first cause"]);
}

#[test]
fn an_exception_out_of_a_kernel_arrives_with_its_text_and_place() {
    let parts = ["func_id 5", "core ", "std::logic_error: odd tile"];
    check_fault("kernel_throws", StatusCode::KernelException, &parts);
}

#[test]
fn arguments_of_a_task_are_checked() {
    let code = StatusCode::InvalidArgs;
    check_fault("too_many_tensors", code, &["more than 16 tensor arguments"]);
    check_fault("tensor_after_scalar", code, &["a tensor was added after a scalar"]);
    check_fault("invalid_dependency", code, &["add_dep names task", "no earlier task"]);
    check_fault("no_blocks", code, &["block_num 0"]);
    check_fault("element_outside", code, &["[1000]", "64 bytes"]);
    let parts = ["block_num=49", "limit=48", "24 clusters"];
    check_fault("too_many_at_once", StatusCode::RequireSyncStartInvalid, &parts);
}

#[test]
fn scopes_that_do_not_match_are_reported() {
    let code = StatusCode::InvalidArgs;
    check_fault("open_scopes", code, &["returned with 2 scopes of its own open"]);
    check_fault("closes_too_much", code, &["none is open"]);
    check_fault("automatic_in_manual", code, &["AUTO scope", "inside a MANUAL one"]);
}

#[test]
fn settings_that_the_device_does_not_have_are_refused_before_anything_runs() {
    let worker = open();
    let callable = sources::callable("faults", "spoils", fault_kernels());
    let handle = worker.register(&callable).unwrap();
    let run = |config: RunConfig| {
        let mut passed = Cells { cells: vec![SENTINEL], ..Cells::default() };
        let before = worker.counters();
        let error = passed.run(&worker, &handle, &config).unwrap_err();
        let after = worker.counters();
        assert_eq!(after.failed_runs, before.failed_runs + 1);
        assert_eq!(after.aicpu_dlopen_count, before.aicpu_dlopen_count, "nothing has run");
        assert_works(&worker, &threads(3));
        error
    };
    for value in [0, 25, u32::MAX] {
        let error = run(RunConfig { block_dim: value, ..threads(3) });
        assert!(matches!(error, RunError::BlockDim { value: got, max: 24 } if got == value));
        assert!(error.to_string().contains("1 to 24 clusters"), "{error}");
    }
    for value in [0, 5] {
        let error = run(threads(value));
        assert!(matches!(error, RunError::AicpuThreads { value: got, max: 4 } if got == value));
        assert!(error.to_string().contains("1 to 4"), "{error}");
    }
}

#[test]
fn handles_that_name_nothing_here_are_refused() {
    let (worker, other) = (open(), open());
    let callable = sources::callable("faults", "spoils", fault_kernels());
    let foreign = other.register(&callable).unwrap();
    let stale = worker.register(&callable).unwrap();
    worker.unregister(&stale).unwrap();
    let run = |handle| {
        let mut passed = Cells { cells: vec![SENTINEL], ..Cells::default() };
        passed.run(&worker, handle, &threads(3)).unwrap_err()
    };
    let error = run(&foreign);
    assert!(matches!(error, RunError::ForeignHandle));
    assert!(error.to_string().contains("register the callable with this one"), "{error}");
    let error = run(&stale);
    assert!(matches!(&error, RunError::StaleCallable(stale) if stale.id.index() == 0));
    assert!(error.to_string().contains("not registered any more"), "{error}");
    let again = worker.register(&callable).unwrap();
    assert_eq!(again.id(), stale.id());
    assert!(matches!(run(&stale), RunError::StaleCallable(_)));
    assert_works(&worker, &threads(3));
}

#[test]
fn device_tensors_that_are_in_no_allocation_never_reach_a_run() {
    let worker = open();
    let callable = sources::callable("graphs", "empty", Vec::new());
    let handle = worker.register(&callable).unwrap();
    let ours = worker.allocate(100).unwrap();
    let inside = ours.checked_add(64).unwrap();
    for address in [DeviceAddr::new(64), DeviceAddr::new(0xDEAD_0000), ours, inside] {
        let mut arguments = Arguments::new();
        let (data, dtype) = (TensorData::Device(address), DataType::Float32);
        arguments.push_tensor(TensorArgument { data, dtype, shape: vec![8, 12] }).unwrap();
        let error = worker.run(&handle, &mut arguments, &threads(3)).unwrap_err();
        let expected = MemoryError::OutOfRange { address, bytes: 384 };
        assert!(matches!(error, RunError::Memory(found) if found == expected));
        assert_works(&worker, &threads(3));
    }
    worker.free(ours).unwrap();
}

#[test]
fn buffers_of_another_size_and_too_many_tensors_never_reach_a_run() {
    let (input, mut output) = ([1_u64; 3], [SENTINEL; 3]);
    let mut arguments = Arguments::new();
    let error = arguments.push_input(&input, &[4]).unwrap_err();
    let shape = vec![4];
    assert_eq!(error, ArgumentsError::Length { index: 0, shape, need: 32, have: 24 });
    assert!(error.to_string().contains("needs 32 bytes, but its buffer has 24"), "{error}");
    for _ in 0..64 {
        arguments.push_input(&input, &[3]).unwrap();
    }
    let error = arguments.push_output(&mut output, &[3]).unwrap_err();
    assert_eq!(error, ArgumentsError::TooMany { what: "tensor", limit: 64 });

    // Exactly as many as there may be do run (spec callable §7.1 H5).
    let worker = open();
    let callable = sources::callable("graphs", "empty", Vec::new());
    let handle = worker.register(&callable).unwrap();
    let report = worker.run(&handle, &mut arguments, &threads(3)).unwrap();
    assert_eq!(report.tasks, 0);
    assert_works(&worker, &threads(3));
}

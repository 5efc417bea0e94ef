//! Every name of the interface that orchestrations and kernels are written against (spec trb §1.7,
//! §8.1), used at least once, with its result where one can be seen. `sdk/tests` has the same names
//! without a runtime; here the runtime answers.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::fs;
use std::path::Path;

use host_runner::arguments::Arguments;
use protocol::{CoreType, StatusCode};
use tests::sources;
use tests::workers::{AICPU_THREADS, SENTINEL, assert_fault, open, threads};

#[path = "sdk/toolchain.rs"]
#[allow(dead_code, reason = "shared with the tests of the SDK")]
mod toolchain;

use toolchain::{Build, root};

/// The names of spec trb §1.7, those that no published source uses included, and the other names of
/// §1.4 and §1.5.
const ORCHESTRATION: &[&str] = &[
    "orch_args.tensor(",
    "add_input",
    "add_scalar",
    "from_tensor_arg",
    "add_output",
    "Arg ",
    "get_ref",
    "LOG_INFO_V9",
    ".shapes[",
    "rt_submit_aiv_task",
    "add_inout",
    "data_as<",
    "make_tensor_external",
    "TaskOutputTensors",
    ".view(",
    "TensorCreateInfo",
    "DataType::FLOAT32",
    "aicpu_orchestration_config",
    "aicpu_orchestration_entry",
    "orch_args.scalar(",
    "get_tensor_data",
    "LOG_INFO_V0",
    "add_dep",
    "rt_submit_aic_task",
    ".task_id()",
    "MixedKernels",
    "rt_submit_task",
    ".reset()",
    "set_tensor_data",
    "alloc_tensors",
    "PTO2_SCOPE()",
    "set_require_sync_start",
    ".buffer.size",
    ".dtype",
    "set_block_num",
    "set_core_num",
    "PTO2TaskId",
    "PTO2TaskId::invalid",
    "is_valid()",
    "tensor_count()",
    "scalar_count()",
    "LOG_ERROR",
    "PTO2_SCOPE(PTO2ScopeMode::MANUAL)",
    "PTO2_SCOPE_GUARD()",
    "set_initial_value",
    "rt_scope_begin",
    "rt_scope_end",
    "rt_report_fatal",
    "PTO2_ERROR_EXPLICIT_ORCH_FATAL",
    "get_element_size",
    ".reshape(",
    ".transpose(",
    "numel()",
    "add_no_dep",
    "add_scalars(",
    "add_scalars_i32",
    "copy_scalars_from",
    "rt_is_fatal",
    "rt_orchestration_done",
    "LOG_WARN",
    "LOG_DEBUG",
    "LOG_INFO_V1",
    "LOG_INFO_V2",
    "LOG_INFO_V3",
    "LOG_INFO_V4",
    "LOG_INFO_V5",
    "LOG_INFO_V6",
    "LOG_INFO_V7",
    "LOG_INFO_V8",
    "TaskSubmitResult",
    "to_u64",
    "from_u64",
    "DataType::BFLOAT16",
    "nbytes()",
    "is_child_memory()",
    "PTO2ScopeGuard",
    "get_dtype_name",
    "always_assert",
    "debug_assert",
    "is_contiguous()",
    "valid_reshape",
    "valid_transpose",
    "is_same_memref",
    "get_raw_shapes",
    "compute_flat_offset",
    "update_start_offset",
    ".copy(",
    ".dump()",
    "buffer_size_bytes",
    "set_error",
    "explicit_dep_count()",
    "explicit_dep(",
    "explicit_deps_data()",
    ".tag(",
    "block_num()",
    "core_num()",
    "require_sync_start()",
    ".empty()",
    ".size()",
    "PTO2OrchestrationConfig",
    "add_tensor",
    ".clear()",
    "scalar_data()",
    "tensor_data()",
];

/// The names of spec trb §8.1, without those of the instruction headers and of notifications, which
/// have tests of their own.
const KERNEL: &[&str] = &[
    "kernel_entry",
    ".buffer.addr",
    ".start_offset",
    ".shapes[",
    "pipe_sync()",
    "get_block_idx",
    "get_sub_block_id",
    "get_block_num",
    "get_async_ctx",
    "from_u64<",
    "->start_offset",
];

fn data(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(path)).unwrap()
}

#[test]
fn the_sources_of_these_tests_use_every_name() {
    let orchestrations = ["orchestrations/api.cpp", "orchestrations/cells.h"].map(data).concat();
    for name in ORCHESTRATION {
        assert!(orchestrations.contains(name), "no use of `{name}`");
    }
    let kernels = ["kernels/show_scalars.cpp", "kernels/cells.h", "kernels/append_box.cpp"];
    let kernels = kernels.map(data).concat();
    for name in KERNEL {
        assert!(kernels.contains(name), "no use of `{name}` in a kernel");
    }
}

#[test]
fn the_sources_of_these_tests_compile_for_both_chips() {
    for chip in [[].as_slice(), &["-DSIMPLER_CHIP_A5"]] {
        let source = root().join("tests/data/orchestrations/api.cpp");
        let build = Build::orchestration("c++17").flags(chip).source(&source).check_only();
        build.expect_clean(&format!("orchestration {chip:?}"));
        for core in ["aic", "aiv"] {
            let source = root().join("tests/data/kernels/show_scalars.cpp");
            let build = Build::kernel_for("c++20", core).include("sdk/stub").flags(chip);
            build.source(&source).check_only().expect_clean(&format!("kernel {core} {chip:?}"));
        }
    }
}

/// What the orchestration's calls give, in the order of the source.
fn expected(floats: &[f32; 6]) -> Vec<u64> {
    let bits = |value: f32| u64::from(value.to_bits());
    let arguments = [24, 0, 23, 1, 23, 13, 8, 64, 2, 0];
    let tensors = [
        [624, 16, 32, 31, 1, 1, 1, 2].as_slice(),
        &[bits(floats[3]), bits(-2.0), 3, 5, 1, 1, 42_421_128_824, 1],
    ];
    let minus_one = u64::from(u32::MAX);
    let shown = [u64::MAX, 12, minus_one, bits(1.5), 0xff, 1, 4, 2.0_f64.to_bits(), 6];
    let tasks = [shown.as_slice(), &[1, 1, 1, 1], &[77, 6], &[3, 12, 1], &[78, 6], &[1]];
    let scopes = [32, 31, 1024, 2, 3, 2, 0];
    [arguments.as_slice(), &tensors.concat(), &tasks.concat(), &scopes].concat()
}

#[test]
fn every_call_gives_what_it_should_on_every_number_of_threads() {
    let worker = open();
    let kernels = vec![
        sources::kernel(0, CoreType::Aiv, "show_scalars"),
        sources::kernel(1, CoreType::Aic, "show_scalars"),
    ];
    let entry = "aicpu_orchestration_entry";
    let handle = worker.register(&sources::callable("api", entry, kernels)).unwrap();
    for aicpu_threads in AICPU_THREADS {
        let mut out = vec![SENTINEL; 64];
        let mut floats = [0.5_f32, 1.5, 2.5, 3.5, 4.5, 5.5];
        let expected = expected(&floats);
        let mut arguments = Arguments::new();
        arguments.push_inout(&mut out, &[64]).unwrap();
        arguments.push_inout(&mut floats, &[2, 3]).unwrap();
        for scalar in [7_u64, 0xffff_fffe, 3] {
            arguments.push_scalar(scalar).unwrap();
        }
        let report = worker.run(&handle, &mut arguments, &threads(aicpu_threads)).unwrap();
        assert_eq!(report.tasks, 3 + 4);
        drop(arguments);
        let (written, rest) = out.split_at(expected.len());
        assert_eq!(written, expected, "{aicpu_threads} threads");
        assert!(rest.iter().all(|cell| *cell == SENTINEL), "{rest:?}");
        assert_eq!(floats, [0.5, 1.5, 2.5, -2.0, 4.5, 5.5]);
    }
}

#[test]
fn after_a_fatal_report_the_same_calls_give_nothing() {
    let worker = open();
    let callable = sources::callable("api", "reports_fatal", Vec::new());
    let handle = worker.register(&callable).unwrap();
    for aicpu_threads in AICPU_THREADS {
        let (mut out, mut floats) = (vec![SENTINEL; 64], [0.0_f32; 6]);
        let mut arguments = Arguments::new();
        arguments.push_inout(&mut out, &[64]).unwrap();
        arguments.push_inout(&mut floats, &[2, 3]).unwrap();
        for scalar in [7_u64, 0xffff_fffe, 3] {
            arguments.push_scalar(scalar).unwrap();
        }
        let result = worker.run(&handle, &mut arguments, &threads(aicpu_threads));
        assert_fault(result, StatusCode::ExplicitFatal, &["3 of many"]);
        drop(arguments);
        assert_eq!(out, [SENTINEL; 64]);
    }
}

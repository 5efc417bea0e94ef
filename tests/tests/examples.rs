//! The examples through the library, on both chips, every number of AICPU threads and several
//! numbers of clusters: manifest, compile, register, run, compare.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use host_runner::arguments::{Arguments, TensorArgument, TensorData};
use host_runner::case_data::{CaseData, TensorValues};
use host_runner::compare::{Tolerance, compare};
use host_runner::device::DeviceFacts;
use host_runner::manifest::Case;
use host_runner::run::RunConfig;
use host_runner::runtime_name::RuntimeName;
use host_runner::worker::{CallableHandle, PlatformName, Worker};
use protocol::ArgDirection;
use tests::sources;
use tests::workers::{open_on, threads};

/// Runs the cases of an example with each setting on each chip; `tasks` is how many tasks each has.
#[track_caller]
fn check(name: &str, tasks: &[u64]) {
    for &platform in PlatformName::SIMULATORS {
        check_on(platform, name, tasks);
    }
}

#[track_caller]
fn check_on(platform: PlatformName, name: &str, tasks: &[u64]) {
    let (manifest, callable) = sources::example_for(platform, name);
    assert_eq!(manifest.cases.len(), tasks.len(), "every case has its tasks");
    let worker = open_on(platform);
    let handle = worker.register(&callable).unwrap();
    // The device loads no orchestration that runs on the host.
    let loads = u64::from(manifest.runtime == RuntimeName::Trb);
    for (case, &tasks) in manifest.cases.iter().zip(tasks) {
        check_case(platform, &worker, &handle, case, Expected { tasks, loads });
    }
}

/// What a run reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expected {
    tasks: u64,
    /// Orchestrations that the device has loaded so far.
    loads: u64,
}

#[track_caller]
fn check_case(
    platform: PlatformName,
    worker: &Worker,
    handle: &CallableHandle,
    case: &Case,
    expected: Expected,
) {
    let data = CaseData::load(case).unwrap();
    let DeviceFacts { clusters_max, aicpu_threads_max, .. } = worker.facts().unwrap();
    for aicpu_threads in 1..=aicpu_threads_max {
        for block_dim in [1, 3, clusters_max] {
            let name = &case.name;
            let setting =
                format!("{name} on {platform}, {aicpu_threads} threads, block_dim {block_dim}");
            let before = |tensor: &TensorValues| match tensor.direction {
                ArgDirection::Out => vec![0xA5; tensor.initial.len()],
                _ => tensor.initial.clone(),
            };
            let mut outputs: Vec<Vec<u8>> = data.tensors.iter().map(before).collect();
            let mut arguments = Arguments::new();
            for (tensor, output) in data.tensors.iter().zip(&mut outputs) {
                let data = match tensor.direction {
                    ArgDirection::In => TensorData::In(&tensor.initial),
                    // The sentinel goes to the device as well: what an earlier run left in a buffer
                    // there must not pass for something written now.
                    _ => TensorData::InOut(output),
                };
                let (dtype, shape) = (tensor.dtype, tensor.shape.clone());
                arguments.push_tensor(TensorArgument { data, dtype, shape }).unwrap();
            }
            for bits in &data.scalars {
                arguments.push_scalar(*bits).unwrap();
            }
            let config = RunConfig { block_dim, ..threads(aicpu_threads) };
            let report = worker.run(handle, &mut arguments, &config).unwrap();
            let found = Expected { tasks: report.tasks, loads: worker.counters().loads };
            assert_eq!(found, expected, "{setting}");

            let mut compared = 0;
            for (tensor, output) in data.tensors.iter().zip(&outputs) {
                let Some(expected) = &tensor.expected else { continue };
                let tolerance = Tolerance { relative: 1e-5, absolute: 1e-5 };
                let (dtype, shape) = (tensor.dtype, &tensor.shape);
                let mismatch = compare(dtype, shape, output, expected, tolerance).unwrap();
                assert_eq!(mismatch, None, "{}, {setting}", tensor.name);
                compared += 1;
            }
            let outputs = data.tensors.iter().filter(|it| it.direction != ArgDirection::In);
            assert_eq!(compared, outputs.count(), "every output has an expected value");
        }
    }
}

#[test]
fn vector_add_gives_what_it_should_everywhere() {
    check("vector_add", &[5]);
}

#[test]
fn tiled_matmul_gives_what_it_should_everywhere() {
    // 4 x 4 tiles of 4 products each, and as many additions.
    check("tiled_matmul", &[4 * 4 * 4 * 2]);
}

#[test]
fn mixed_cluster_gives_what_it_should_everywhere() {
    check("mixed_cluster", &[1]);
}

#[test]
fn hbg_vector_gives_what_it_should_everywhere() {
    check("hbg_vector", &[4]);
}

#[test]
fn hbg_block_table_gives_what_it_should_everywhere() {
    // A task for each block of a request, and one for each of 5 requests.
    check("hbg_block_table", &[3 + 6 + 1 + 1 + 5, 5 * 6 + 5]);
}

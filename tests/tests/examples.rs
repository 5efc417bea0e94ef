//! The examples through the library, on both chips, every number of AICPU threads and several
//! numbers of clusters: manifest, compile, register, run, compare.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use host_runner::arguments::{Arguments, TensorArgument, TensorData};
use host_runner::case_data::{CaseData, TensorValues};
use host_runner::compare::{Tolerance, compare};
use host_runner::device::DeviceFacts;
use host_runner::run::RunConfig;
use host_runner::worker::PlatformName;
use protocol::ArgDirection;
use tests::sources;
use tests::workers::{open_on, threads};

/// Runs the only case of an example with each setting on each chip; `tasks` is what its
/// orchestration submits.
#[track_caller]
fn check(name: &str, tasks: u64) {
    for &platform in PlatformName::ALL {
        check_on(platform, name, tasks);
    }
}

#[track_caller]
fn check_on(platform: PlatformName, name: &str, tasks: u64) {
    let (manifest, callable) = sources::example_for(platform, name);
    let [case] = manifest.cases.as_slice() else { panic!("one case") };
    let data = CaseData::load(case).unwrap();
    let worker = open_on(platform);
    let DeviceFacts { clusters_max, aicpu_threads_max, .. } = worker.facts().unwrap();
    let handle = worker.register(&callable).unwrap();
    for aicpu_threads in 1..=aicpu_threads_max {
        for block_dim in [1, 3, clusters_max] {
            let setting = format!("{platform}, {aicpu_threads} threads, block_dim {block_dim}");
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
            let report = worker.run(&handle, &mut arguments, &config).unwrap();
            assert_eq!((report.tasks, worker.counters().loads), (tasks, 1), "{setting}");

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
    check("vector_add", 5);
}

#[test]
fn tiled_matmul_gives_what_it_should_everywhere() {
    // 4 x 4 tiles of 4 products each, and as many additions.
    check("tiled_matmul", 4 * 4 * 4 * 2);
}

#[test]
fn mixed_cluster_gives_what_it_should_everywhere() {
    check("mixed_cluster", 1);
}

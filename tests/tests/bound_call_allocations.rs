//! A bound call runs without allocating anything: neither on the host nor on the device.
//!
//! Alone in its program: it counts what the whole process allocates.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use host_runner::arguments::OwnedData;
use host_runner::run::RunConfig;
use tests::allocations::Counting;
use tests::workers::{MIXED_CELLS, open, register_mixes, threads};

#[global_allocator]
static ALLOCATIONS: Counting = Counting::new();

#[test]
fn a_bound_call_allocates_nothing_once_it_has_run() {
    let worker = open();
    let (handle, arguments) = register_mixes(&worker);
    for aicpu_threads in [1, 4] {
        let config = RunConfig { block_dim: 3, ..threads(aicpu_threads) };
        let mut call = worker.bind(&handle, arguments.clone(), &config).unwrap();
        for _ in 0..20 {
            call.run().unwrap();
        }
        let inputs: Vec<_> =
            (0..4_u64).map(|i| (i, i.to_le_bytes().repeat(MIXED_CELLS).into())).collect();
        let (before, usage) = (ALLOCATIONS.count(), worker.usage());
        let report = worker.memory_report();
        let of_report = ALLOCATIONS.count() - before;
        for number in 0..300_u64 {
            let (value, input) = &inputs[number as usize % 4];
            call.set_scalar(0, number).unwrap();
            call.set_tensor(0, OwnedData::In(std::sync::Arc::clone(input))).unwrap();
            call.run().unwrap();
            let OwnedData::Out(output) = &call.arguments().tensors()[2] else { panic!() };
            let first = u64::from_le_bytes(output[..8].try_into().unwrap());
            assert_eq!(first, value + number);
        }
        let of_runs = ALLOCATIONS.count() - before - of_report;
        assert_eq!(of_runs, 0, "in 300 runs on {aicpu_threads} threads");
        assert_eq!(worker.usage(), usage);
        assert_eq!(worker.memory_report().holders, report.holders);
        assert!(of_report > 0, "the count counts");
    }
}

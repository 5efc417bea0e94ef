//! A replay of an unchanged graph allocates nothing: neither on the host nor on the device.
//!
//! Alone in its program: it counts what the whole process allocates.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use host_runner::arguments::Arguments;
use host_runner::run::RunConfig;
use protocol::{ChipName, CoreType};
use tests::allocations::Counting;
use tests::sources;
use tests::workers::{open, threads};

#[global_allocator]
static ALLOCATIONS: Counting = Counting::new();

#[test]
fn a_replay_allocates_nothing_once_it_has_run() {
    let worker = open();
    let kernel = sources::kernel_for(ChipName::A2a3, 0, CoreType::Aiv, "graph/mix_unless_spoiled");
    let callable = sources::host_callable_for(ChipName::A2a3, "recorded", "chain", vec![kernel]);
    let handle = worker.register(&callable).unwrap();
    let input: Vec<u64> = (0..64).collect();
    for (calls, aicpu_threads) in [(1, 1), (2, 4)] {
        let config = RunConfig { block_dim: 3, ..threads(aicpu_threads) };
        let mut output = vec![0; 64];
        let mut arguments = Arguments::new();
        arguments.push_input(&input, &[64]).unwrap();
        arguments.push_output(&mut output, &[64]).unwrap();
        for scalar in [5, 20, 0] {
            arguments.push_scalar(scalar).unwrap();
        }
        let (recording, _) = worker.record(&handle, &mut arguments, &config).unwrap();
        for _ in 0..20 {
            recording.replay(&mut arguments, &config).unwrap();
        }
        let (before, usage) = (ALLOCATIONS.count(), worker.usage());
        for _ in 0..300 {
            recording.replay(&mut arguments, &config).unwrap();
        }
        assert_eq!(ALLOCATIONS.count() - before, 0, "in 300 replays on {aicpu_threads} threads");
        assert_eq!(worker.usage(), usage);
        recording.rebuild(&mut arguments, &config).unwrap();
        assert!(ALLOCATIONS.count() > before, "the count counts");
        drop(arguments);
        let cell = |input: &u64| {
            // The entry was called for the recording and for the rebuild, on each number of threads.
            let start = 3 * input + 2 * calls + 5;
            (0..20).fold(start, |state: u64, _| state.wrapping_mul(3).wrapping_add(input + 5))
        };
        assert_eq!(output, input.iter().map(cell).collect::<Vec<_>>());
    }
}

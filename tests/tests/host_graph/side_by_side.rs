//! Runs of host-built graphs beside others: of the other runtime on the same worker, from several
//! threads, submitted and bound, and on several devices.

use std::thread;
use std::time::Duration;

use host_runner::arguments::OwnedData;
use host_runner::run::RunConfig;
use host_runner::worker::{CallableHandle, PlatformName, Worker};
use protocol::DataType;
use tests::script::Script;
use tests::sources;
use tests::workers::{Cells, FORK_JOIN_TASKS, SENTINEL, fork_join, open_on, threads};

use super::setting::{COUNT, Stand, after_diamond, config, diamond};

/// Longer than anything here takes on a slow machine.
const LIMIT: Duration = Duration::from_secs(30);

/// Numbers that no other run has.
fn cells_of(run: u64) -> Vec<u64> {
    (0..COUNT).map(|cell| 1000 * run + cell).collect()
}

/// A run of the other runtime's callable.
#[track_caller]
fn assert_fork_join(worker: &Worker, handle: &CallableHandle, first: u64, config: &RunConfig) {
    let input: Vec<u64> = (0..16).map(|cell| 1000 + cell).collect();
    let mut passed = Cells { input, cells: vec![SENTINEL; 16], scalars: vec![first] };
    let report = passed.run(worker, handle, config).unwrap();
    assert_eq!(passed.cells, fork_join(&passed.input, first));
    assert_eq!((report.tasks, report.graph), (FORK_JOIN_TASKS, None));
}

fn register_fork_join(worker: &Worker) -> CallableHandle {
    let chip = worker.platform().chip();
    let kernels = sources::cell_kernels_for(chip);
    worker.register(&sources::callable_for(chip, "graphs", "fork_join", kernels)).unwrap()
}

#[test]
fn callables_of_both_runtimes_run_by_turns_on_one_worker() {
    for platform in PlatformName::SIMULATORS {
        let stand = Stand::open_on(*platform);
        let other = register_fork_join(&stand.worker);
        for round in 0..12 {
            let config = RunConfig { block_dim: 3, ..threads(1 + (round % 4) as u32) };
            let mut cells = cells_of(round);
            let script = diamond(round);
            let played = script.run(&stand.worker, &stand.handle, &config, &mut cells);
            played.result.unwrap();
            assert_eq!(cells, after_diamond(&cells_of(round), round), "round {round}");
            assert_fork_join(&stand.worker, &other, round, &config);
            // Now and then one that fails.
            if round % 5 == 3 {
                stand.refused(&diamond(1).throws(0));
            }
        }
        let counters = stand.worker.counters();
        let loads = (counters.host_dlopen_count, counters.aicpu_dlopen_count, counters.loads);
        assert_eq!((loads, counters.registrations), ((1, 1, 1), 2));
    }
}

#[test]
fn several_threads_run_several_callables_at_once() {
    for platform in PlatformName::SIMULATORS {
        let stand = Stand::open_on(*platform);
        let second = stand.worker.register(&tests::script::player_for(platform.chip())).unwrap();
        let other = register_fork_join(&stand.worker);
        let (worker, handles) = (&stand.worker, [&stand.handle, &second]);
        thread::scope(|scope| {
            for number in 0..4 {
                scope.spawn(move || {
                    for round in 0..25 {
                        let run = 100 * number + round;
                        // Structures of all threads at once, more of them than are kept.
                        let script = (0..run % 7).fold(diamond(run), |s, _| s.edge(0, 1));
                        let mut cells = cells_of(run);
                        let handle = handles[(run % 2) as usize];
                        let played = script.run(worker, handle, &config(), &mut cells);
                        assert_eq!(played.result.unwrap().tasks, 3);
                        assert_eq!(cells, after_diamond(&cells_of(run), run));
                    }
                });
            }
            scope.spawn(|| (0..25).for_each(|i| assert_fork_join(worker, &other, i, &config())));
        });
        assert_eq!(worker.counters().runs, 125);
    }
}

#[test]
fn submitted_runs_come_back_with_their_own_results() {
    let stand = Stand::open();
    let completions: Vec<_> = (0..60)
        .map(|run| {
            let script = if run % 10 == 7 { diamond(run).returns(5) } else { diamond(run) };
            let arguments = script.owned(&cells_of(run));
            stand.worker.submit(&stand.handle, arguments, &config()).unwrap()
        })
        .collect();
    for (completion, run) in completions.into_iter().zip(0..) {
        match completion.wait_for(LIMIT).expect("it ends") {
            Err(error) => assert!(run % 10 == 7 && error.to_string().contains("returned 5")),
            Ok(output) => {
                assert_ne!(run % 10, 7);
                let cells = output.arguments.elements::<u64>(1).unwrap();
                assert_eq!(cells, after_diamond(&cells_of(run), run));
                assert_eq!(output.report.graph.unwrap().tasks, 3);
            }
        }
    }
}

#[test]
fn a_bound_call_builds_its_graph_from_what_its_tensors_hold_at_that_time() {
    let stand = Stand::open();
    let mut call =
        stand.worker.bind(&stand.handle, diamond(4).owned(&cells_of(1)), &config()).unwrap();
    let mut cells = cells_of(1);
    for _ in 0..3 {
        // What a run leaves is what the next one finds.
        call.run().unwrap();
        cells = after_diamond(&cells, 4);
        assert_eq!(call.arguments().elements::<u64>(1).unwrap(), cells);
    }
    // Another script in the same call is another graph.
    let other = Script::new().then(&diamond(6)).edge(0, 1).owned(&cells_of(2));
    let script = other.elements::<u64>(0).unwrap();
    let bytes: Vec<u8> = script.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut arguments = host_runner::arguments::OwnedArguments::new();
    let length = [u32::try_from(script.len()).unwrap()];
    arguments.push_tensor(OwnedData::In(bytes.into()), DataType::Uint64, &length).unwrap();
    arguments.push_inout(&cells_of(2), &[COUNT as u32]).unwrap();
    arguments.push_scalar(0).unwrap();
    let mut other = stand.worker.bind(&stand.handle, arguments, &config()).unwrap();
    other.run().unwrap();
    assert_eq!(other.arguments().elements::<u64>(1).unwrap(), after_diamond(&cells_of(2), 6));
    let submitted = call.submit().unwrap().wait().unwrap();
    let expected = after_diamond(&cells, 4);
    assert_eq!(submitted.arguments.elements::<u64>(1).unwrap(), expected);
}

#[test]
fn devices_of_both_chips_run_graphs_at_once() {
    use PlatformName::{A2a3Sim, A5Sim};
    for platforms in [[A2a3Sim, A2a3Sim], [A5Sim, A5Sim], [A2a3Sim, A5Sim]] {
        thread::scope(|scope| {
            for (platform, number) in platforms.into_iter().zip(1..) {
                scope.spawn(move || {
                    let stand = Stand::of(open_on(platform));
                    for round in 0..20 {
                        stand.assert_works(100 * number + round);
                    }
                    let counters = stand.worker.counters();
                    assert_eq!((counters.runs, counters.host_dlopen_count), (20, 1));
                });
            }
        });
    }
}

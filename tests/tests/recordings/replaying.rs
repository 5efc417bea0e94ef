//! Replays: what they copy, what they compute, and in whose turn.

use std::thread;

use host_runner::arguments::Arguments;
use host_runner::worker::PlatformName;
use tests::spied_device::open_worker;
use tests::workers::{SENTINEL, open, open_on, threads};

use super::setting::{Chain, config, register, uploaded};

#[test]
fn a_replay_computes_from_the_contents_that_it_is_given_without_the_orchestration() {
    for platform in PlatformName::SIMULATORS {
        let worker = open_on(*platform);
        let handle = register(&worker, "chain");
        let mut chain = Chain::of(0..64);
        let recording = chain.assert_record(&worker, &handle, 1);
        for round in 0..20 {
            let mut given = Chain::of((0..64).map(|cell| cell * cell + 2000 * (1 + round)));
            let report = given.assert_replay(&recording, 1);
            assert_eq!((report.tasks, report.graph.unwrap().edges), (5, 4));
            assert_eq!(uploaded(&report), (0, true));
        }
        // That of a run is the second call.
        chain.assert_run(&worker, &handle, 2);
        let counters = worker.counters();
        assert_eq!((counters.runs, counters.failed_runs), (22, 0));
        assert_eq!((counters.graph_uploads, counters.graph_replays), (1, 21));
        // With other scalars it is called; from then on that is the recorded run.
        let mut other = Chain { constant: 9, ..Chain::of(50..100) };
        other.assert_rebuild(&recording, 3);
        other.assert_replay(&recording, 3);
    }
}

#[test]
fn each_number_of_threads_replays_what_any_other_has_recorded() {
    for platform in PlatformName::SIMULATORS {
        let worker = open_on(*platform);
        let handle = register(&worker, "chain");
        let counts = 1..=worker.facts().unwrap().aicpu_threads_max;
        for (calls, recorded_on) in (1..).zip(counts.clone()) {
            let mut chain = Chain::of(5..21);
            let record = |arguments: &mut Arguments<'_>| {
                let recorded = worker.record(&handle, arguments, &threads(recorded_on));
                recorded.map(|(recording, _)| recording)
            };
            let recording = chain.lend(record).unwrap();
            for replayed_on in counts.clone() {
                let replay = |arguments: &mut Arguments<'_>| {
                    recording.replay(arguments, &threads(replayed_on))
                };
                chain.lend(replay).unwrap();
                assert_eq!(chain.output, chain.expected(calls), "{recorded_on}, {replayed_on}");
            }
        }
    }
}

#[test]
fn only_what_the_orchestration_copied_travels() {
    let (worker, opened) = open_worker();
    let handle = register(&worker, "chain");
    let mut chain = Chain::of(0..512);
    let recording = chain.assert_record(&worker, &handle, 1);
    let device = opened.lock().unwrap()[0].clone();
    let given = device.given().len();
    for _ in 0..3 {
        device.take_traffic();
        chain.assert_replay(&recording, 1);
        // The input and the orchestration's own table; the output.
        assert_eq!(device.take_traffic(), (2 * 512 * 8, 512 * 8));
    }
    assert_eq!(device.given().len(), given, "nothing was allocated");
}

#[test]
fn recordings_of_one_structure_have_their_own_words() {
    let worker = open();
    let handle = register(&worker, "chain");
    let mut chains: Vec<Chain> =
        (0..3).map(|number| Chain { constant: 100 * number, ..Chain::of(number..40) }).collect();
    let record = |(chain, calls): (&mut Chain, u64)| chain.assert_record(&worker, &handle, calls);
    let recordings: Vec<_> = chains.iter_mut().zip(1..).map(record).collect();
    for _ in 0..3 {
        for ((chain, recording), calls) in chains.iter_mut().zip(&recordings).zip(1..) {
            let report = chain.assert_replay(recording, calls);
            // Constant, addresses: at least one patch, and the device has the graph.
            assert!(matches!(uploaded(&report), (1.., true)), "{report:?}");
            assert_eq!(uploaded(&chain.assert_replay(recording, calls)), (0, true));
        }
    }
    assert_eq!(worker.counters().graph_uploads, 1);
}

#[test]
fn more_recordings_than_the_device_keeps_graphs_of_are_right_all_the_same() {
    let worker = open();
    let handle = register(&worker, "chain");
    let mut chains: Vec<Chain> = (0..7).map(|steps| Chain { steps, ..Chain::of(1..9) }).collect();
    let record = |(chain, calls): (&mut Chain, u64)| chain.assert_record(&worker, &handle, calls);
    let recordings: Vec<_> = chains.iter_mut().zip(1..).map(record).collect();
    for _ in 0..3 {
        for ((chain, recording), calls) in chains.iter_mut().zip(&recordings).zip(1..) {
            let report = chain.assert_replay(recording, calls);
            let is_replay = report.graph.unwrap().is_replay;
            assert!(!is_replay, "seven in turn, where the device keeps four");
        }
    }
}

#[test]
fn parts_of_tensors_come_from_where_they_were_and_go_where_they_went() {
    let worker = open();
    let handle = register(&worker, "halves");
    let check = |input: [u64; 6], run: &mut dyn FnMut(&mut Arguments<'_>)| {
        let mut output = [SENTINEL; 6];
        let mut arguments = Arguments::new();
        arguments.push_input(&input, &[2, 3]).unwrap();
        arguments.push_output(&mut output, &[6]).unwrap();
        run(&mut arguments);
        drop(arguments);
        // What lies behind the swapped halves' second one is the first; the rest is nobody's.
        assert_eq!(output, [input[0], input[1], input[2], SENTINEL, SENTINEL, SENTINEL]);
    };
    let mut recording = None;
    check([1, 2, 3, 4, 5, 6], &mut |arguments| {
        let (made, report) = worker.record(&handle, arguments, &config()).unwrap();
        assert_eq!(report.tasks, 0);
        recording = Some(made);
    });
    let recording = recording.unwrap();
    for first in 10..15 {
        let input = std::array::from_fn(|cell| first + cell as u64);
        check(input, &mut |arguments| {
            assert_eq!(recording.replay(arguments, &config()).unwrap().tasks, 0);
        });
    }
}

#[test]
fn threads_replay_one_recording_while_others_run_the_callable() {
    let worker = open();
    let handle = register(&worker, "chain");
    let recording = Chain::of(0..32).assert_record(&worker, &handle, 1);
    thread::scope(|scope| {
        for number in 0..3 {
            let recording = &recording;
            scope.spawn(move || {
                for round in 0..20 {
                    Chain::of((0..32).map(|cell| 5000 * number + round * cell + 2000))
                        .assert_replay(recording, 1);
                }
            });
        }
        scope.spawn(|| {
            for calls in 2..12 {
                let unused = calls << 17;
                let mut other = Chain { constant: calls, unused, ..Chain::of(3..99) };
                other.assert_run(&worker, &handle, calls);
            }
        });
    });
    assert_eq!(worker.counters().runs, 1 + 3 * 20 + 10);
}

#[test]
fn a_recording_outlives_its_worker_and_other_handles() {
    let worker = open();
    let handle = register(&worker, "chain");
    let mut chain = Chain::of(0..4);
    let recording = chain.assert_record(&worker, &handle, 1);
    drop(handle);
    chain.assert_replay(&recording, 1);
    let shown = format!("{recording:?}");
    assert!(shown.contains("chain"), "{shown}");
    drop(worker);
    chain.replay(&recording).unwrap_err();
}

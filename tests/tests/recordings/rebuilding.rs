//! Rebuilds: the orchestration is called, and must build what it built before.

use host_runner::arguments::Arguments;
use host_runner::graph::GraphDifference;
use host_runner::worker::ReplayError;
use tests::workers::open;

use super::setting::{Chain, config, register, uploaded};

#[test]
fn a_rebuild_takes_other_scalars_and_shapes_and_is_recorded_from_then_on() {
    let worker = open();
    let handle = register(&worker, "chain");
    let recording = Chain::of(0..64).assert_record(&worker, &handle, 1);
    let mut other = Chain { constant: 9, ..Chain::of(50..100) };
    assert!(matches!(other.replay(&recording), Err(ReplayError::Shape { index: 0, .. })));
    let report = other.assert_rebuild(&recording, 2);
    // Of each of 5 tasks the constant and the count, and the words that are addresses behind the input.
    assert!(matches!(uploaded(&report), (1.., true)), "{report:?}");
    for _ in 0..3 {
        assert_eq!(uploaded(&other.assert_replay(&recording, 2)), (0, true));
    }
    // The former arguments are no more what was recorded.
    Chain::of(0..64).replay(&recording).unwrap_err();
    // The same once more: no word changes.
    assert_eq!(uploaded(&other.assert_rebuild(&recording, 3)), (0, true));
    other.assert_replay(&recording, 3);
    // Also where the device has had other words in between.
    Chain::of(0..64).assert_run(&worker, &handle, 4);
    other.assert_replay(&recording, 3);
}

#[test]
fn a_rebuild_with_another_structure_is_refused_and_changes_nothing() {
    let worker = open();
    let handle = register(&worker, "chain");
    let mut chain = Chain::of(0..16);
    let recording = chain.assert_record(&worker, &handle, 1);
    // The contents decide: three tasks more.
    let mut longer = Chain::of(1003..1019);
    let refused = longer.rebuild(&recording);
    let expected = GraphDifference::TaskCount { known: 5, new: 8 };
    assert!(matches!(refused, Err(ReplayError::Graph(it)) if it == expected), "{refused:?}");
    // A replay does not look at them, and says what the recorded graph gives.
    longer.replay(&recording).unwrap();
    let as_recorded = Chain { steps: 1, ..longer.clone() };
    assert_eq!(longer.output, as_recorded.expected(1));
    let counters = worker.counters();
    assert_eq!((counters.runs, counters.failed_runs), (2, 1));
    // Where the structure is the same, by a step less.
    longer.steps = 1;
    longer.assert_rebuild(&recording, 3);
}

#[test]
fn a_rebuild_that_fails_leaves_what_was_recorded() {
    let worker = open();
    let handle = register(&worker, "chain");
    let mut chain = Chain::of(20..36);
    let recording = chain.assert_record(&worker, &handle, 1);
    let mut spoiled = Chain { constant: 1, ..Chain::of(0xBAD..0xBBD) };
    let refused = spoiled.rebuild(&recording);
    assert!(matches!(refused, Err(ReplayError::Run(_))), "{refused:?}");
    let report = chain.assert_replay(&recording, 1);
    assert!(!report.graph.unwrap().is_replay, "nobody knows what the failed run has left");
    assert_eq!(uploaded(&chain.assert_replay(&recording, 1)), (0, true));
}

#[test]
fn what_the_orchestration_refuses_is_refused() {
    let worker = open();
    let handle = register(&worker, "reaches");
    let (input, mut output) = ([1_u64; 4], [0_u64; 4]);
    let mut with = |bytes: u64, run: &mut dyn FnMut(&mut Arguments<'_>)| {
        let mut arguments = Arguments::new();
        arguments.push_input(&input, &[4]).unwrap();
        arguments.push_output(&mut output, &[4]).unwrap();
        for scalar in [bytes, 0, 0] {
            arguments.push_scalar(scalar).unwrap();
        }
        run(&mut arguments);
    };
    let mut recording = None;
    with(32, &mut |arguments| {
        recording = Some(worker.record(&handle, arguments, &config()).unwrap().0);
    });
    let recording = recording.unwrap();
    // More than the device memory that it has allocated.
    with(8192, &mut |arguments| {
        let refused = recording.rebuild(arguments, &config());
        assert!(matches!(refused, Err(ReplayError::Run(_))), "{refused:?}");
    });
    with(32, &mut |arguments| {
        recording.replay(arguments, &config()).unwrap();
    });
}

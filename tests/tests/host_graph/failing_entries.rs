//! Entries that return a number, throw, or make a call that cannot be granted: a typed error, the
//! caller's memory as it was, nothing left on the device, and the next run works.

use host_runner::host_orchestration::{BuildError, CallError};
use host_runner::run::RunError;
use host_runner::worker::PlatformName;
use tests::script::{At, Script};
use tests::workers::with_causes;

use super::setting::{BYTES, COUNT, Stand, diamond};

#[track_caller]
fn returned(error: RunError) -> (i32, Option<Box<CallError>>) {
    match error {
        RunError::Build(BuildError::Returned { status, mentioned }) => (status, mentioned),
        other => panic!("expected a number that was returned, got {other:?}"),
    }
}

#[test]
fn a_number_that_the_entry_returns_is_the_error() {
    for platform in PlatformName::SIMULATORS {
        let stand = Stand::open_on(*platform);
        for status in [1, -1, -7, 4711, i32::MIN, i32::MAX] {
            // At once, and with a whole graph, its outputs and what was copied.
            for script in [Script::new(), diamond(3)] {
                let error = stand.refused(&script.returns(status));
                let text = with_causes(&error);
                assert!(text.contains(&format!("returned {status}")), "{text}");
                assert_eq!(returned(error), (status, None));
            }
        }
    }
}

#[test]
fn an_exception_of_the_entry_is_the_error_wherever_it_is_thrown() {
    let cases =
        [(0, &["std::runtime_error", "no such block: 17"][..]), (1, &["int"]), (2, &["Odd"])];
    for platform in PlatformName::SIMULATORS {
        let stand = Stand::open_on(*platform);
        for (kind, parts) in cases {
            let half = Script::new().malloc(0, BYTES).mix(
                At::Memory(0, 0),
                At::Memory(0, 0),
                At::Memory(0, 0),
                1,
                COUNT,
            );
            for script in [Script::new(), half, diamond(3)] {
                match stand.refused(&script.throws(kind)) {
                    RunError::Build(BuildError::Exception { text, mentioned: None }) => {
                        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

#[test]
fn memory_that_is_not_there_is_null_and_mentioned_only_by_an_entry_that_gives_up() {
    let stand = Stand::open();
    for bytes in [1 << 50, u64::MAX, u64::MAX - 511, 1 << 63] {
        let without = Script::new().malloc(5, bytes).then(&diamond(1));
        let mut cells = [1; COUNT as usize];
        let played = stand.play(&without, &mut cells);
        played.result.unwrap();
        assert_eq!((played.answers[0], cells), (Some(0), [16 + 5 + 3; COUNT as usize]));

        let (status, mentioned) = returned(stand.refused(&without.clone().returns(3)));
        let call = mentioned.expect("the call that could not be granted");
        assert_eq!((status, call.call), (3, "device_malloc"));
        match stand.refused(&without.throws(0)) {
            RunError::Build(BuildError::Exception { mentioned: Some(call), .. }) => {
                assert_eq!(call.call, "device_malloc");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_wrong_description_of_tensors_is_refused_and_changes_nothing() {
    let stand = Stand::open();
    let wrong = [(0, 17, false), (0, -1, false), (0, 1, true), (3, 1, false), (-1, 1, false)];
    for (task, count, is_null) in wrong {
        let script = diamond(2).describe(task, count, is_null);
        let calls = diamond(2).calls();
        let mut cells = [0; COUNT as usize];
        let played = stand.play(&script, &mut cells);
        played.result.unwrap();
        assert_eq!((played.answers[calls], cells), (Some(-1), [13; COUNT as usize]));
        let (status, mentioned) = returned(stand.refused(&script.returns(-4)));
        assert_eq!((status, mentioned.unwrap().call), (-4, "set_tensor_info_to_task"));
    }
    for (count, is_null) in [(0, true), (0, false), (1, false), (16, false)] {
        let script = diamond(2).describe(2, count, is_null);
        let played = stand.play(&script, &mut [0; COUNT as usize]);
        played.result.unwrap();
        assert_eq!(played.answers.last(), Some(&Some(0)));
    }
}

#[test]
fn calls_that_only_look_see_the_graph_so_far() {
    let stand = Stand::open();
    let script = Script::new().count().print().then(&diamond(2)).count().print();
    let played = stand.play(&script, &mut [0; COUNT as usize]);
    assert_eq!(played.result.unwrap().tasks, 3);
    let [first, _, .., last, _] = played.answers[..] else { panic!("{:?}", played.answers) };
    assert_eq!((first, last), (Some(0), Some(3)));
}

#[test]
fn an_entry_that_fails_many_times_leaves_as_much_as_one_that_fails_once() {
    let stand = Stand::open();
    stand.refused(&diamond(3).throws(0));
    let usage = stand.worker.usage();
    for round in 0..200 {
        let script = diamond(round);
        let script = if round % 2 == 0 { script.throws(round % 3) } else { script.returns(-1) };
        stand.play(&script, &mut [0; COUNT as usize]).result.unwrap_err();
    }
    assert_eq!(stand.worker.usage(), usage);
    stand.assert_works(1);
    assert_eq!(stand.worker.counters().failed_runs, 201);
}

//! Graphs that cannot run: tasks that wait for each other, edges to tasks that are not there, tasks
//! without a kernel, too many arguments. Each is an error that names the tasks, and no graph runs
//! without what was asked for.

use std::collections::BTreeSet;

use host_runner::graph::GraphError;
use host_runner::host_orchestration::CallFault;
use host_runner::run::RunError;
use host_runner::worker::PlatformName;
use tests::script::{AIC, AIV, At, MIX, MIX_ON_CUBE, Script};
use tests::workers::with_causes;

use super::setting::{BYTES, HOST, Stand};

/// Tasks that do nothing to any cell, as they have none.
fn idle(tasks: i32) -> Script {
    let start = Script::new().malloc(0, BYTES);
    let [x, none] = [At::Memory(0, 0), At::Word(0)];
    (0..tasks).fold(start, |script, _| script.task(MIX, AIV, &[x, x, x, none, none]))
}

/// The tasks of the cycle in a graph with these edges, and how long it is said to be.
#[track_caller]
fn cycle(stand: &Stand, tasks: i32, edges: &[(i32, i32)]) -> (Vec<u32>, usize) {
    let script = edges.iter().fold(idle(tasks), |script, (from, to)| script.edge(*from, *to));
    let error = stand.refused(&script);
    let text = with_causes(&error);
    let RunError::Graph(GraphError::Cycle { tasks, length }) = error else { panic!("{error:?}") };
    for task in &tasks {
        assert!(text.contains(&task.to_string()), "task {task} is missing in: {text}");
    }
    // Each waits for the one before it, and the first one for the last one.
    let edges: BTreeSet<_> = edges.iter().copied().collect();
    let is_whole = length == tasks.len();
    let next = tasks.iter().skip(1).chain(is_whole.then(|| &tasks[0]));
    for (from, to) in tasks.iter().zip(next) {
        assert!(edges.contains(&(*from as i32, *to as i32)), "{from} → {to} is no edge: {text}");
    }
    (tasks, length)
}

#[test]
fn tasks_that_wait_for_each_other_are_named() {
    for platform in PlatformName::SIMULATORS {
        let stand = Stand::open_on(*platform);
        assert_eq!(cycle(&stand, 1, &[(0, 0)]), (vec![0], 1));
        assert_eq!(cycle(&stand, 3, &[(0, 1), (1, 1), (1, 2)]), (vec![1], 1));
        let (mut two, length) = cycle(&stand, 5, &[(0, 1), (1, 3), (3, 1), (3, 4)]);
        two.sort_unstable();
        assert_eq!((two, length), (vec![1, 3], 2));
        let (_, length) = cycle(&stand, 9, &[(1, 7), (7, 2), (2, 5), (5, 4), (4, 1), (0, 1)]);
        assert_eq!(length, 5);
    }
}

#[test]
fn a_cycle_of_thousands_of_tasks_is_found_behind_a_long_way() {
    let stand = Stand::open();
    let tasks = 5000;
    // The first 1000 tasks lead to a cycle of the rest, and every one has a way out as well.
    let mut edges: Vec<_> = (1..tasks).map(|task| (task - 1, task)).collect();
    edges.push((tasks - 1, 1000));
    edges.extend((0..tasks).map(|task| (task, tasks)));
    let (named, length) = cycle(&stand, tasks + 1, &edges);
    assert_eq!(length, 4000);
    assert!(named.len() < 100, "a message is for people: {}", named.len());
    assert!(named.iter().all(|task| (1000..5000).contains(task)), "{named:?}");
}

#[test]
fn edges_to_tasks_that_are_not_there_name_both_ends() {
    for platform in PlatformName::SIMULATORS {
        let stand = Stand::open_on(*platform);
        let ends = [(0, 3), (3, 0), (7, 9), (-1, 0), (0, -1), (i32::MIN, 2), (2, i32::MAX)];
        for (from, to) in ends {
            let call = stand.refused_call(&idle(3).edge(from, to));
            let text = call.to_string();
            assert_eq!(call.call, "add_successor");
            for part in [format!("task {from} "), format!("task {to} "), "there are 3".to_owned()] {
                assert!(text.contains(&part), "{part:?} is missing in: {text}");
            }
            let expected = GraphError::UnknownTask { from, to, tasks: 3 };
            assert_eq!(call.cause, CallFault::Graph(expected));
        }
        // The second task comes too late.
        let call = stand.refused_call(&idle(1).edge(0, 1).then(&idle(1)));
        let expected = GraphError::UnknownTask { from: 0, to: 1, tasks: 1 };
        assert_eq!(call.cause, CallFault::Graph(expected));
    }
}

#[test]
fn a_task_has_up_to_sixteen_arguments() {
    let stand = Stand::open();
    let words = [At::Word(0); 20];
    for (told, given) in [(17, 17), (17, 20), (-1, 4), (i32::MIN, 4), (i32::MAX, 4)] {
        let call = stand.refused_call(&idle(2).task_of(MIX, AIV, told, &words[..given]));
        assert_eq!(call.call, "add_task");
        let expected = GraphError::ArgumentCount { task: 2, have: told.into(), limit: 16 };
        assert_eq!(call.cause, CallFault::Graph(expected));
    }
    // As many as there may be, and none; the rest of the list of a kernel is no concern of it.
    let mut sixteen = [At::Memory(0, 0); 16];
    sixteen[3..].fill(At::Word(0));
    let script = idle(1).task(MIX, AIV, &sixteen).count();
    let played = stand.play(&script, &mut [0]);
    assert_eq!(played.result.unwrap().tasks, 2);
    assert_eq!(played.answers, [played.answers[0], Some(0), Some(1), Some(2)]);
}

#[test]
fn null_is_no_array_of_arguments() {
    let stand = Stand::open();
    for told in [1, 5, 16] {
        let call = stand.refused_call(&idle(1).task_of(MIX, AIV, told, &[]));
        assert_eq!(call.call, "add_task");
        assert!(matches!(call.cause, CallFault::Null { .. }), "{call}");
    }
}

#[test]
fn a_task_names_a_kernel_of_the_callable_and_a_core_that_there_is() {
    let stand = Stand::open();
    for func_id in [4, 1023, 1024, 70_000, -1, i32::MIN, i32::MAX] {
        let call = stand.refused_call(&idle(2).task(func_id, AIV, &[]));
        let expected = GraphError::UnknownKernel { task: 2, func_id };
        assert_eq!((call.call, call.cause), ("add_task", CallFault::Graph(expected)));
    }
    for value in [2, -1, 256, i32::MAX, i32::MIN] {
        let call = stand.refused_call(&idle(1).task(MIX, value, &[]));
        let expected = GraphError::UnknownCoreType { task: 1, value };
        assert_eq!((call.call, call.cause), ("add_task", CallFault::Graph(expected)));
    }
}

#[test]
fn after_a_wrong_call_no_other_one_is_granted() {
    let stand = Stand::open();
    let x = At::Memory(0, 0);
    let wrong =
        idle(1).task(99, AIV, &[]).count().malloc(1, 8).copy(x, HOST, 8).describe(0, 1, false);
    let played = stand.play(&wrong.task(MIX, AIV, &[]), &mut [0; 8]);
    played.result.unwrap_err();
    let refused = [-1, -1, 0, -1, -1, -1].map(Some);
    assert_eq!(played.answers[2..], refused);
}

#[test]
fn the_first_wrong_call_counts_whatever_follows_it() {
    let stand = Stand::open();
    let wrong = idle(1).task(99, AIV, &[]);
    let follow = [
        wrong.clone(),
        wrong.clone().edge(0, 0).edge(5, 6),
        wrong.clone().task_of(MIX_ON_CUBE, AIC, 17, &[]),
        wrong.clone().free(At::Word(8)),
        wrong.clone().returns(-3),
        wrong.throws(0),
    ];
    for script in follow {
        let call = stand.refused_call(&script);
        let expected = GraphError::UnknownKernel { task: 1, func_id: 99 };
        assert_eq!(call.cause, CallFault::Graph(expected));
    }
}

#[test]
fn an_edge_that_is_there_twice_changes_nothing() {
    let stand = Stand::open();
    let (x, word) = (At::Memory(0, 0), At::Word);
    let start = Script::new().malloc(0, BYTES).copy(x, HOST, BYTES).record(HOST, x, BYTES);
    // x becomes 4 x + 1 twice.
    let script = (0..2).fold(start, |s, _| s.task(MIX, AIV, &[x, x, x, word(1), word(1)]));
    for edges in [1, 2, 300] {
        let script = (0..edges).fold(script.clone(), |script, _| script.edge(0, 1));
        let mut cells = [5, 6, 0, 0, 0, 0, 0, 0];
        assert_eq!(stand.play(&script, &mut cells).result.unwrap().tasks, 2);
        assert_eq!(cells[..2], [4 * (4 * 5 + 1) + 1, 6]);
    }
}

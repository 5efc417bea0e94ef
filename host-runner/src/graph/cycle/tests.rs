//! Cycles against reachability, which is worked out here by closing the relation.

use proptest::prelude::proptest;

use super::*;
use crate::graph::KnownGraph;
use crate::graph::test_graphs::{Plan, any_plan, sound_plan};

/// The cycle that is found in these edges: the tasks that are named, and its length.
fn cycle(tasks: usize, edges: &[(u32, u32)]) -> Option<(Vec<u32>, usize)> {
    match KnownGraph::of(&Plan::bare(tasks, edges).build()) {
        Ok(_) => None,
        Err(GraphError::Cycle { tasks, length }) => Some((tasks, length)),
        Err(other) => panic!("{other}"),
    }
}

/// Whether some task leads to itself over any number of edges.
fn has_cycle(plan: &Plan) -> bool {
    let count = plan.tasks.len();
    let mut leads = vec![vec![false; count]; count];
    for (from, to) in &plan.edges {
        leads[*from as usize][*to as usize] = true;
    }
    for between in 0..count {
        for from in 0..count {
            for to in 0..count {
                leads[from][to] |= leads[from][between] && leads[between][to];
            }
        }
    }
    (0..count).any(|task| leads[task][task])
}

#[test]
fn edges_to_lower_numbers_are_no_cycle() {
    assert_eq!(cycle(4, &[(3, 2), (3, 1), (2, 0), (1, 0), (3, 2)]), None);
    assert_eq!(cycle(1, &[]), None);
}

#[test]
fn a_cycle_is_named_in_the_order_in_which_its_tasks_wait() {
    assert_eq!(cycle(2, &[(0, 1), (1, 0)]), Some((vec![0, 1], 2)));
    assert_eq!(cycle(5, &[(4, 2), (2, 3), (3, 4)]), Some((vec![2, 3, 4], 3)));
    assert_eq!(cycle(5, &[(4, 3), (3, 2), (2, 4)]), Some((vec![2, 4, 3], 3)));
    assert_eq!(cycle(3, &[(0, 1), (1, 1), (1, 2)]), Some((vec![1], 1)));
}

#[test]
fn tasks_before_and_behind_a_cycle_are_not_named() {
    // 0 leads to the cycle 5, 6; that leads to 1, which leads to 2; 3 and 4 have nothing to do with it.
    let edges = [(5, 6), (0, 6), (6, 5), (6, 1), (1, 2), (3, 4)];
    assert_eq!(cycle(7, &edges), Some((vec![5, 6], 2)));
}

#[test]
fn a_long_cycle_is_found_and_its_first_tasks_are_named() {
    const TASKS: u32 = 50_000;
    let mut edges: Vec<_> = (1..TASKS).map(|task| (task - 1, task)).collect();
    assert_eq!(cycle(TASKS as usize, &edges), None);
    edges.push((TASKS - 1, 0));
    let named = (0..8).collect();
    assert_eq!(cycle(TASKS as usize, &edges), Some((named, TASKS as usize)));
}

#[test]
fn the_message_shows_who_waits_for_whom() {
    let text =
        |tasks: &[u32], length| GraphError::Cycle { tasks: tasks.to_vec(), length }.to_string();
    assert_eq!(text(&[4], 1), "task 4 waits for itself; take the edge away");
    assert_eq!(
        text(&[3, 9, 4], 3),
        "tasks wait for each other: 3 → 9 → 4 → 3; take one of the edges away"
    );
    assert_eq!(
        text(&[0, 1, 2, 3, 4, 5, 6, 7], 20),
        "20 tasks wait for each other: 0 → 1 → 2 → 3 → 4 → 5 → 6 → 7 → … (12 more) → 0; take one \
         of the edges away"
    );
}

proptest! {
    #[test]
    fn a_plan_is_refused_where_a_task_leads_to_itself_and_the_cycle_is_one(plan in any_plan(12)) {
        match KnownGraph::of(&plan.build()) {
            Ok(_) => assert!(!has_cycle(&plan)),
            Err(GraphError::Cycle { tasks, length }) => {
                assert_eq!(tasks.len(), length.min(8));
                let closing = (length == tasks.len()).then(|| (tasks[length - 1], tasks[0]));
                let pairs = tasks.windows(2).map(|pair| (pair[0], pair[1])).chain(closing);
                for pair in pairs {
                    assert!(plan.edges.contains(&pair), "{pair:?} of {tasks:?}");
                }
                let mut once = tasks.clone();
                once.sort_unstable();
                once.dedup();
                assert_eq!((once.len(), once[0]), (tasks.len(), tasks[0]));
            }
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_plan_whose_edges_follow_an_order_is_not_refused(plan in sound_plan(100)) {
        KnownGraph::of(&plan.build()).unwrap();
    }
}

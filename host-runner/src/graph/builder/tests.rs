//! What is added is there, and what is refused changes nothing.

use super::*;
use crate::graph::test_graphs::{Plan, empty};

/// Tasks and edges, as they are compared before and after a refusal.
fn parts(graph: &GraphBuilder) -> (Vec<TaskKind>, Vec<u64>, Vec<Edge>) {
    (graph.tasks.clone(), graph.args.clone(), graph.edges.clone())
}

/// Two tasks and an edge.
fn small() -> GraphBuilder {
    let tasks = vec![(vec![1, 2], 0, 0), (vec![3], 1023, 1)];
    Plan { tasks, edges: vec![(0, 1)] }.build()
}

#[track_caller]
fn refuses_task(graph: &mut GraphBuilder, args: &[u64], func_id: i32, core: i32, is: GraphError) {
    let before = parts(graph);
    assert_eq!(graph.add_task(args, func_id, core), Err(is));
    assert_eq!(parts(graph), before);
}

#[test]
fn tasks_are_numbered_from_0_and_keep_their_arguments() {
    let mut graph = empty();
    assert_eq!(graph.add_task(&[5; 16], 0, 0), Ok(0));
    assert_eq!(graph.add_task(&[], 7, 1), Ok(1));
    assert_eq!(graph.add_task(&[u64::MAX], 1023, 0), Ok(2));
    assert_eq!((graph.task_count(), graph.edge_count()), (3, 0));
    let kind = |func_id, arg_count, core_type| TaskKind { func_id, arg_count, core_type };
    assert_eq!(graph.tasks, [kind(0, 16, 0), kind(7, 0, 1), kind(1023, 1, 0)]);
    assert_eq!((graph.args[15], graph.args[16], graph.args.len()), (5, u64::MAX, 17));
}

#[test]
fn a_task_that_is_none_is_refused() {
    let mut graph = small();
    refuses_task(
        &mut graph,
        &[0; 17],
        0,
        0,
        GraphError::ArgumentCount { task: 2, have: 17, limit: 16 },
    );
    for func_id in [1, 6, 1022, 1024, -1, i32::MIN, i32::MAX] {
        let error = GraphError::UnknownKernel { task: 2, func_id };
        refuses_task(&mut graph, &[1], func_id, 0, error);
    }
    for value in [-1, 2, i32::MIN, i32::MAX] {
        let error = GraphError::UnknownCoreType { task: 2, value };
        refuses_task(&mut graph, &[1], 7, value, error);
    }
    assert_eq!(graph.add_task(&[4], 7, 1), Ok(2));
}

#[test]
fn an_edge_from_or_to_a_task_that_there_is_not_is_refused() {
    let mut graph = small();
    let before = parts(&graph);
    for (from, to) in [(0, 2), (2, 0), (-1, 0), (0, -1), (i32::MIN, i32::MAX), (2, 2)] {
        let error = GraphError::UnknownTask { from, to, tasks: 2 };
        assert_eq!(graph.add_successor(from, to), Err(error));
    }
    assert_eq!(parts(&graph), before);
    assert_eq!(graph.add_successor(1, 1), Ok(()));
    let error = empty().add_successor(0, 0);
    assert_eq!(error, Err(GraphError::UnknownTask { from: 0, to: 0, tasks: 0 }));
}

#[test]
fn a_full_graph_takes_nothing_more() {
    let full = |what, limit| GraphError::Full { what, limit };
    let mut graph = GraphBuilder { limits: Limits { tasks: 3, edges: 2, args: 4 }, ..small() };
    refuses_task(&mut graph, &[1, 2], 0, 0, full("argument", 4));
    assert_eq!(graph.add_task(&[1], 0, 0), Ok(2));
    refuses_task(&mut graph, &[], 0, 0, full("task", 3));
    assert_eq!(graph.add_successor(0, 2), Ok(()));
    let before = parts(&graph);
    assert_eq!(graph.add_successor(1, 2), Err(full("edge", 2)));
    assert_eq!(parts(&graph), before);
    let text = full("edge", 2).to_string();
    assert!(text.contains("another edge") && text.contains("it has 2"), "{text}");
}

#[test]
fn a_graph_has_the_room_that_an_image_has() {
    let Limits { tasks, edges, args } = empty().limits;
    let header = |tasks, edges, args| protocol::GraphHeader::new(tasks, edges, args, 1);
    assert!(header(tasks, edges, args).is_ok());
    for (tasks, edges, args) in
        [(tasks + 1, edges, args), (tasks, edges + 1, args), (tasks, edges, args + 1)]
    {
        assert!(header(tasks, edges, args).is_err());
    }
}

#[test]
fn a_graph_that_starts_over_is_as_new() {
    let mut graph = small();
    graph.clear();
    assert_eq!(parts(&graph), parts(&empty()));
    assert_eq!(graph.structure(), empty().structure());
    assert_eq!(graph.add_task(&[], 7, 1), Ok(0));
}

#[test]
fn a_set_has_the_kernels_that_it_was_made_of() {
    let ids = [0, 63, 64, 1023];
    let set: KernelSet = ids.into_iter().map(|id| FuncId::new(id).unwrap()).collect();
    for id in 0..1024 {
        assert_eq!(set.contains(FuncId::new(id).unwrap()), ids.contains(&id), "{id}");
    }
}

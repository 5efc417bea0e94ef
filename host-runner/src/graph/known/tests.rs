//! A graph by hand: its image, what changes in it, and what does not fit it.

use protocol::graph::image::GraphView;

use super::*;
use crate::graph::builder::KernelSet;
use protocol::FuncId;

fn builder() -> GraphBuilder {
    let kernels = [3, 7].map(|id| FuncId::new(id).unwrap());
    GraphBuilder::new(KernelSet::from_iter(kernels))
}

/// 0 leads to 2 and 1, which lead to 3; the edges are added in that order. 4 stands alone.
fn diamond() -> GraphBuilder {
    let mut graph = builder();
    for (args, func_id, core_type) in
        [(&[10, 11][..], 3, 0), (&[12], 7, 1), (&[], 7, 1), (&[13], 3, 1), (&[14, 15, 16], 3, 0)]
    {
        graph.add_task(args, func_id, core_type).unwrap();
    }
    for (from, to) in [(1, 3), (0, 2), (0, 1), (2, 3)] {
        graph.add_successor(from, to).unwrap();
    }
    graph
}

/// The image at an address that is a multiple of 8.
fn image(graph: &KnownGraph, number: u64) -> Vec<u64> {
    let mut bytes = vec![0xaa; 3];
    graph.write_image(number, &mut bytes);
    assert_eq!(bytes.len(), graph.image_bytes());
    let mut words = vec![0; bytes.len().div_ceil(8)];
    words.as_mut_bytes()[..bytes.len()].copy_from_slice(&bytes);
    words
}

#[test]
fn an_image_is_the_graph_and_nothing_more() {
    let builder = diamond();
    let graph = KnownGraph::of(&builder).unwrap();
    assert_eq!((graph.task_count(), graph.edge_count(), graph.root_count()), (5, 4, 2));
    assert_eq!(graph.image_bytes(), 64 + 5 * 16 + 7 * 8 + 4 * 4 + 2 * 4);
    let words = image(&graph, 9);
    let view = GraphView::parse(&words.as_bytes()[..graph.image_bytes()]).unwrap();
    assert_eq!((view.header.number, view.roots), (9, &[0, 4][..]));
    assert_eq!(view.header.structure_prefix, builder.structure().prefix());
    let expected: [(&[u64], &[u32], u32, u16, u8); 5] = [
        (&[10, 11], &[2, 1], 0, 3, 0),
        (&[12], &[3], 1, 7, 1),
        (&[], &[3], 1, 7, 1),
        (&[13], &[], 2, 3, 1),
        (&[14, 15, 16], &[], 0, 3, 0),
    ];
    for (task, (args, successors, predecessors, func_id, core_type)) in
        expected.into_iter().enumerate()
    {
        let record = view.tasks[task];
        assert_eq!((view.args_of(task), view.successors_of(task)), (args, successors));
        assert_eq!(record.predecessor_count, predecessors);
        assert_eq!((record.func_id, record.core_type), (func_id, core_type));
    }
}

//! Images and patches against what the plan of the graph says.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, proptest};
use proptest::sample::Index;
use protocol::graph::image::GraphView;

use super::*;
use crate::graph::test_graphs::{Plan, any_plan, empty, sound_plan};

/// 0 leads to 2 and 1, which lead to 3; 4 stands alone.
fn diamond() -> Plan {
    let tasks = vec![
        (vec![10, 11], 7, 0),
        (vec![12], 0, 1),
        (vec![], 0, 1),
        (vec![13], 1023, 1),
        (vec![14, 15, 16], 7, 0),
    ];
    Plan { tasks, edges: vec![(1, 3), (0, 2), (0, 1), (2, 3)] }
}

/// The image at an address that is a multiple of 8, with zeros up to the next one.
fn image(graph: &KnownGraph, number: u64) -> Vec<u64> {
    let mut bytes = vec![0xaa; 3];
    graph.write_image(number, &mut bytes);
    assert_eq!(bytes.len(), graph.image_bytes());
    let mut words = vec![0; bytes.len().div_ceil(8)];
    words.as_mut_bytes()[..bytes.len()].copy_from_slice(&bytes);
    words
}

/// Compares an image with the plan: each task's record is what counting in the plan gives.
fn check_image(graph: &KnownGraph, plan: &Plan) {
    let words = image(graph, 9);
    let view = GraphView::parse(&words.as_bytes()[..graph.image_bytes()]).unwrap();
    assert_eq!(view.header.number, 9);
    assert_eq!(view.header.structure_prefix, plan.build().structure().prefix());
    assert_eq!(view.tasks.len(), plan.tasks.len());
    let mut roots = Vec::new();
    for (task, (args, func_id, core_type)) in (0..).zip(&plan.tasks) {
        let record = view.tasks[task as usize];
        assert_eq!(i32::from(record.func_id), *func_id);
        assert_eq!(i32::from(record.core_type), *core_type);
        assert_eq!(view.args_of(task as usize), args);
        let from_it = plan.edges.iter().filter(|(from, _)| *from == task);
        let successors: Vec<u32> = from_it.map(|(_, to)| *to).collect();
        assert_eq!(view.successors_of(task as usize), successors);
        let predecessors = plan.edges.iter().filter(|(_, to)| *to == task).count();
        assert_eq!(record.predecessor_count as usize, predecessors);
        if predecessors == 0 {
            roots.push(task);
        }
    }
    assert_eq!(view.roots, roots);
    let counts = (graph.task_count(), graph.edge_count(), graph.root_count());
    assert_eq!(counts, (plan.tasks.len(), plan.edges.len(), roots.len()));
    let (words, parts) = (plan.words(), 16 * counts.0 + 4 * counts.1 + 4 * counts.2);
    assert_eq!((graph.args(), graph.image_bytes()), (&*words, 64 + parts + 8 * words.len()));
    assert_eq!(graph.layout().args.len(), 8 * words.len());
}

#[test]
fn an_image_by_hand() {
    let mut graph = KnownGraph::of(&diamond().build()).unwrap();
    let mut bytes = Vec::new();
    graph.write_image(0x0102, &mut bytes);
    assert_eq!(bytes.len(), 64 + 5 * 16 + 7 * 8 + 4 * 4 + 2 * 4);
    assert_eq!(bytes[..4], *b"SRXG");
    assert_eq!(bytes[24..32], [2, 1, 0, 0, 0, 0, 0, 0]);
    // Task 3: its arguments begin at word 3, its successors at 4, two lead to it, func id 1023.
    assert_eq!(bytes[112..128], [3, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 0xff, 3, 1, 1]);
    assert_eq!(bytes[144 + 3 * 8..][..8], [13, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[200..], [2_u32, 1, 3, 3, 0, 4].map(u32::to_le_bytes).concat());
    check_image(&graph, &diamond());
    assert_eq!(graph.image(0x0102), bytes);
    assert_eq!(GraphView::parse(graph.image(7)).unwrap().header.number, 7);
}

#[test]
fn a_graph_without_tasks_is_refused() {
    assert_eq!(KnownGraph::of(&empty()).unwrap_err(), GraphError::Empty);
}

#[test]
fn an_edge_that_was_added_twice_is_there_twice_and_waited_for_twice() {
    let plan = Plan::bare(2, &[(0, 1), (0, 1)]);
    check_image(&KnownGraph::of(&plan.build()).unwrap(), &plan);
}

#[test]
fn one_task_can_lead_to_all_others_and_all_to_one() {
    let wide: Vec<_> = (1..20_000).map(|task| (0, task)).collect();
    let narrow: Vec<_> = (1..20_000).map(|task| (task, 0)).collect();
    for edges in [wide, narrow] {
        let graph = KnownGraph::of(&Plan::bare(20_000, &edges).build()).unwrap();
        let words = image(&graph, 1);
        let view = GraphView::parse(&words.as_bytes()[..graph.image_bytes()]).unwrap();
        let others: Vec<u32> = (1..20_000).collect();
        if graph.root_count() == 1 {
            assert_eq!(view.successors_of(0), others);
        } else {
            assert_eq!((view.roots, view.tasks[0].predecessor_count), (&*others, 19_999));
        }
    }
}

#[test]
fn patches_are_the_words_that_changed_and_are_given_once() {
    let mut graph = KnownGraph::of(&diamond().build()).unwrap();
    let mut patches = vec![GraphPatch::default(); 3];
    assert_eq!(graph.patches(&diamond().build(), &mut patches), Ok(0));
    assert_eq!(patches, []);
    let changed = diamond().with_words(&[10, 21, 12, 13, 24, 15, 0]).build();
    assert_eq!(graph.patches(&changed, &mut patches), Ok(3));
    let of = |word, value| GraphPatch { word, reserved: 0, value };
    assert_eq!(patches, [of(1, 21), of(4, 24), of(6, 0)]);
    assert_eq!(graph.args(), [10, 21, 12, 13, 24, 15, 0]);
    assert_eq!(graph.patches(&changed, &mut patches), Ok(0));
    assert_eq!(patches, []);
}

#[test]
fn a_graph_of_another_structure_gives_no_patches_and_changes_nothing() {
    let mut graph = KnownGraph::of(&diamond().build()).unwrap();
    let mut other = diamond().with_words(&[0; 7]);
    other.edges[3] = (1, 2);
    let mut patches = vec![GraphPatch::default(); 3];
    let difference = GraphDifference::Edge { index: 3, known: (2, 3), new: (1, 2) };
    assert_eq!(graph.patches(&other.build(), &mut patches), Err(difference));
    assert_eq!(patches, [GraphPatch::default(); 3]);
    check_image(&graph, &diamond());
}

#[test]
fn it_takes_the_host_memory_that_it_says() {
    let graph = KnownGraph::of(&diamond().build()).unwrap();
    let parts = 64 + 5 * 20 + 7 * 8 + 4 * 12 + 2 * 4;
    assert_eq!(graph.host_bytes(), size_of::<KnownGraph>() + parts);
}

/// A plan that can run, and other words for it, few or many of which differ.
fn with_other_words() -> impl Strategy<Value = (Plan, Vec<u64>)> {
    sound_plan(60).prop_flat_map(|plan| {
        let changes = vec((any::<Index>(), any::<u64>()), 0..300);
        (Just(plan), changes).prop_map(|(plan, changes)| {
            let mut words = plan.words();
            if !words.is_empty() {
                for (index, word) in changes {
                    let count = words.len();
                    words[index.index(count)] = word;
                }
            }
            (plan, words)
        })
    })
}

proptest! {
    #[test]
    fn every_sound_plan_has_an_image_that_says_what_it_says(plan in sound_plan(40)) {
        check_image(&KnownGraph::of(&plan.build()).unwrap(), &plan);
    }

    #[test]
    fn a_patched_image_is_the_image_of_the_new_graph((plan, words) in with_other_words()) {
        let new = plan.with_words(&words);
        let mut graph = KnownGraph::of(&plan.build()).unwrap();
        let mut patched = image(&graph, 3);
        let mut patches = Vec::new();
        let count = graph.patches(&new.build(), &mut patches).unwrap();
        let first = graph.layout().args.start / 8;
        for patch in &patches {
            let word = &mut patched[first + patch.word as usize];
            assert_ne!(*word, patch.value);
            *word = patch.value;
        }
        assert_eq!(count, patches.len());
        assert!(patches.is_sorted_by(|a, b| a.word < b.word));
        assert_eq!(patched, image(&KnownGraph::of(&new.build()).unwrap(), 3));
        assert_eq!(patched, image(&graph, 3));
    }

    #[test]
    fn two_plans_have_the_same_structure_where_they_differ_in_words_only(
        plan in sound_plan(4),
        other in any_plan(4),
    ) {
        let graph = KnownGraph::of(&plan.build()).unwrap();
        let structure = |plan: &Plan| {
            let tasks = plan.tasks.iter().map(|(args, func, core)| (args.len(), *func, *core));
            (tasks.collect::<Vec<_>>(), plan.edges.clone())
        };
        let other = &[&other, &plan.with_words(&vec![1; plan.words().len()])];
        for other in other {
            let same = structure(&plan) == structure(other);
            let builder = other.build();
            assert_eq!(graph.has_structure_of(&builder), same);
            assert_eq!(graph.first_difference(&builder).is_none(), same);
            assert_eq!(graph.structure() == builder.structure(), same);
        }
    }
}

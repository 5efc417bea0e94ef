//! An image by hand, and every number of it that leads astray.

use std::vec::Vec;

use super::*;

/// A diamond: 0 leads to 1 and 2, which lead to 3; 2 has no argument.
fn diamond() -> Vec<u64> {
    let task = |first_arg, first_successor, predecessor_count, arg_count| GraphTask {
        first_arg,
        first_successor,
        predecessor_count,
        func_id: 7,
        arg_count,
        core_type: 1,
    };
    let tasks = [task(0, 0, 0, 2), task(2, 2, 1, 1), task(3, 3, 1, 0), task(3, 4, 2, 1)];
    let header = GraphHeader { number: 5, ..GraphHeader::new(4, 4, 4, 1).unwrap() };
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(tasks.as_bytes());
    bytes.extend_from_slice([10_u64, 11, 12, 13].as_bytes());
    bytes.extend_from_slice([1_u32, 2, 3, 3].as_bytes());
    bytes.extend_from_slice([0_u32].as_bytes());
    assert_eq!(bytes.len() as u64, header.total_bytes);
    aligned(&bytes)
}

/// The bytes at a multiple of 8, with zeros up to the next one.
fn aligned(bytes: &[u8]) -> Vec<u64> {
    let mut words = std::vec![0; bytes.len().div_ceil(8)];
    words.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
    words
}

const BYTES: usize = 64 + 4 * 16 + 4 * 8 + 4 * 4 + 4;

fn parse(words: &[u64]) -> Result<GraphView<'_>, WireError> {
    GraphView::parse(&words.as_bytes()[..BYTES])
}

/// The diamond with `bytes` at `at`.
fn changed(at: usize, bytes: &[u8]) -> Vec<u64> {
    let mut words = diamond();
    words.as_mut_bytes()[at..at + bytes.len()].copy_from_slice(bytes);
    words
}

#[test]
fn a_diamond_shows_its_tasks_arguments_and_edges() {
    let words = diamond();
    let view = parse(&words).unwrap();
    assert_eq!((view.header.number, view.tasks.len(), view.roots), (5, 4, &[0][..]));
    let of = |task| (view.args_of(task), view.successors_of(task));
    assert_eq!(of(0), (&[10, 11][..], &[1, 2][..]));
    assert_eq!(of(1), (&[12][..], &[3][..]));
    assert_eq!(of(2), (&[][..], &[3][..]));
    assert_eq!(of(3), (&[13][..], &[][..]));
    assert_eq!(of(4), (&[][..], &[][..]));
    assert_eq!(view.tasks[0].core_type(), Ok(CoreType::Aiv));
}

#[test]
fn every_length_but_the_right_one_is_refused() {
    let words = diamond();
    for length in (0..BYTES).chain([BYTES + 1, BYTES + 4]) {
        let bytes = &words.as_bytes()[..length.min(words.len() * 8)];
        if bytes.len() != BYTES {
            assert!(GraphView::parse(bytes).is_err(), "{length}");
        }
    }
    assert!(matches!(
        GraphView::parse(&words.as_bytes()[1..]),
        Err(WireError::Misaligned { offset: 1, align: 8, .. })
    ));
}

#[test]
fn each_number_that_leads_astray_is_refused() {
    let task = |index: usize, field: usize| 64 + 16 * index + field;
    let successors = 64 + 64 + 32;
    let cases: [(&str, usize, &[u8]); 17] = [
        ("magic", 0, &[0]),
        ("version", 4, &[2]),
        ("no tasks", 8, &[0, 0, 0, 0]),
        ("more tasks", 8, &[5, 0, 0, 0]),
        ("too many tasks", 8, &[0xFF; 4]),
        ("more edges", 12, &[0xFF; 4]),
        ("fewer arguments", 16, &[3, 0, 0, 0]),
        ("more roots than tasks", 20, &[5, 0, 0, 0]),
        ("another total", 40, &[1]),
        ("first arguments elsewhere", task(0, 0), &[1]),
        ("a gap between arguments", task(2, 0), &[4]),
        ("successors that go back", task(2, 4), &[1]),
        ("first successors elsewhere", task(0, 4), &[1]),
        ("more predecessors", task(3, 8), &[3]),
        ("a kernel that no callable has", task(1, 12), &[0, 4]),
        ("a core of no kind", task(1, 15), &[2]),
        ("a successor that is no task", successors, &[4, 0, 0, 0]),
    ];
    for (what, at, bytes) in cases {
        assert!(parse(&changed(at, bytes)).is_err(), "{what}");
    }
    let roots = successors + 16;
    assert!(parse(&changed(roots, &[1])).is_err(), "a root that is none");
    let mut other = diamond();
    // A predecessor moves from task 1 to task 0, which is the root.
    other.as_mut_bytes()[task(0, 8)] = 1;
    other.as_mut_bytes()[task(1, 8)] = 0;
    assert!(parse(&other).is_err(), "a root with predecessors");
}

#[test]
fn headers_beyond_the_limits_are_refused() {
    assert!(GraphHeader::new(1, 0, 0, 1).is_ok());
    assert!(GraphHeader::new(0, 0, 0, 0).is_err());
    assert!(GraphHeader::new(GRAPH_TASKS_MAX + 1, 0, 0, 1).is_err());
    assert!(GraphHeader::new(2, GRAPH_EDGES_MAX + 1, 0, 1).is_err());
    assert!(GraphHeader::new(2, 1, GRAPH_EDGES_MAX + 1, 1).is_err());
    assert!(GraphHeader::new(2, 1, 0, 3).is_err());
    let largest = GraphHeader::new(GRAPH_TASKS_MAX, GRAPH_EDGES_MAX, GRAPH_EDGES_MAX, 1).unwrap();
    let bytes = 64 + 16 * (1_u64 << 24) + 12 * (1_u64 << 28) + 4;
    assert_eq!(largest.total_bytes, bytes);
}

//! A thousand runs of one id: one load, and nothing that grows.
//!
//! Alone in its program: other tests beside it would change what the process holds.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::path::PathBuf;

use tests::process::{Holdings, leftovers};
use tests::sources;
use tests::workers::{Cells, SENTINEL, open, threads};

/// What the resident memory may differ by: the allocator's and the kernel's own bookkeeping. A leak
/// of a page in each run would be 4 MB.
const RESIDENT_SLACK: u64 = 1 << 20;

#[test]
fn a_thousand_runs_of_one_id_load_once_and_nothing_grows() {
    // A chain, so that no task is ever ready beside another one and no pool has a reason to grow,
    // with an output that is allocated, an input and an inout tensor.
    let kernels = sources::cell_kernels();
    let callable = sources::callable("graphs", "nested_scopes", kernels);
    let before = leftovers();
    let worker = open();
    let handle = worker.register(&callable).unwrap();
    let mut at_start = None;
    let mut runs = 0;
    for run in 0..1100 {
        if run == 100 {
            at_start = Some((Holdings::now(), worker.usage()));
        }
        let (turns, config) = (1 + run % 3, threads(1 + (run % 4) as u32));
        let mut passed =
            Cells { cells: vec![SENTINEL; 64], scalars: vec![turns, 2], ..Cells::default() };
        let report = passed.run(&worker, &handle, &config).unwrap();
        let loads = worker.counters().loads;
        assert_eq!((report.tasks, loads), (1 + turns * (1 + 2 * 2), 1), "run {run}");
        assert_eq!(passed.cells, nested(turns), "run {run}");
        runs += 1;
    }
    let (start, usage) = at_start.unwrap();
    let end = Holdings::now();
    println!("after 100 runs {start:?}\nafter {runs} runs {end:?}");
    assert_eq!(end.threads, start.threads);
    assert_eq!(end.descriptors, start.descriptors);
    assert_eq!(end.mappings, start.mappings);
    assert!(end.resident <= start.resident + RESIDENT_SLACK, "{start:?} {end:?}");
    assert_eq!(worker.usage(), usage);
    let counters = worker.counters();
    assert_eq!((counters.registrations, counters.loads, counters.runs), (1, 1, runs));
    let left = || -> Vec<_> { leftovers().difference(&before).cloned().collect() };
    assert_eq!(left(), Vec::<PathBuf>::new());

    worker.unregister(&handle).unwrap();
    drop(worker);
    assert_eq!(left(), Vec::<PathBuf>::new());
    let closed = Holdings::now();
    assert!(closed.descriptors <= start.descriptors && closed.mappings < start.mappings);
    assert!(closed.threads < start.threads, "the threads of the device are gone: {closed:?}");
}

/// What `nested_scopes` leaves with two inner turns: cell c starts from the sentinel, and turn i, j
/// makes 3 x + (5 + c) + (100 i + c) + j of it.
fn nested(outer: u64) -> Vec<u64> {
    let mut cells = vec![SENTINEL; 64];
    for (i, j) in (0..outer).flat_map(|i| [(i, 0), (i, 1)]) {
        for (cell, c) in cells.iter_mut().zip(0..) {
            *cell = cell.wrapping_mul(3).wrapping_add(5 + c + 100 * i + c + j);
        }
    }
    cells
}

//! What of a graph is copied to the device, by the figures of the reports: in proportion to its tasks
//! and edges the first time, and to what has changed afterwards.

use std::time::Duration;

use host_runner::run::RunConfig;
use host_runner::worker::{CallableHandle, GraphReport, PlatformName, Worker};
use tests::layers::{self, Layers};
use tests::script::Script;
use tests::workers::{assert_works, open, open_on, threads};

use super::setting::Stand;

/// Most bytes of a graph: for each task, and for each edge.
const TASK_BYTES: u64 = 96;
/// See there.
const EDGE_BYTES: u64 = 8;
/// Most bytes of a graph of ten tasks.
const SMALL: u64 = 16 << 10;
/// Most bytes of a graph that the device has.
const REPLAY: u64 = 4 << 10;

/// Time for a hundred thousand tasks that wait for each other, on a machine that has other things to do.
fn config() -> RunConfig {
    RunConfig { block_dim: 24, timeout: Duration::from_secs(240), ..threads(3) }
}

fn register(worker: &Worker) -> CallableHandle {
    worker.register(&layers::callable_for(worker.platform().chip())).unwrap()
}

/// What the report of a run says, which must be what the graph has.
#[track_caller]
fn reported(worker: &Worker, handle: &CallableHandle, graph: Layers) -> GraphReport {
    let report = graph.run(worker, handle, &config()).unwrap().graph.unwrap();
    assert_eq!((report.tasks, report.edges), (graph.tasks(), graph.edges()));
    report
}

#[test]
fn a_graph_of_ten_tasks_is_a_few_kilobytes_and_its_replay_nothing() {
    for platform in PlatformName::SIMULATORS {
        let worker = open_on(*platform);
        let handle = register(&worker);
        let graph = Layers::new(8, 1, 5);
        assert_eq!(graph.tasks(), 10);
        let first = reported(&worker, &handle, graph);
        assert!(!first.is_replay && first.bytes_uploaded < SMALL, "{first:?}");
        println!("{}: {} bytes for 10 tasks", platform.name(), first.bytes_uploaded);
        for _ in 0..5 {
            let again = reported(&worker, &handle, graph);
            assert!(again.is_replay && again.bytes_uploaded < REPLAY, "{again:?}");
            println!("{}: {} bytes once more", platform.name(), again.bytes_uploaded);
        }
        let counters = worker.counters();
        assert_eq!((counters.graph_uploads, counters.graph_replays), (1, 5));
        assert!(counters.graph_bytes_uploaded >= first.bytes_uploaded);
    }
}

#[test]
fn the_bytes_of_a_large_graph_go_with_its_tasks_and_edges() {
    let worker = open();
    let handle = register(&worker);
    for (width, layers) in [(8, 1111), (1, 5000), (3000, 2), (100, 100)] {
        let graph = Layers::new(width, layers, 1);
        let report = reported(&worker, &handle, graph);
        let limit = TASK_BYTES * graph.tasks() + EDGE_BYTES * graph.edges();
        assert!(!report.is_replay && report.bytes_uploaded <= limit, "{report:?}, {limit} bytes");
        // Less would not say which tasks there are and what they get.
        assert!(report.bytes_uploaded > 8 * 5 * graph.tasks() + 4 * graph.edges(), "{report:?}");
        let again = reported(&worker, &handle, graph);
        assert!(again.is_replay && again.bytes_uploaded < REPLAY, "{again:?}");
    }
}

#[test]
fn a_hundred_thousand_tasks_are_uploaded_once_and_replayed() {
    for platform in PlatformName::SIMULATORS {
        let worker = open_on(*platform);
        let handle = register(&worker);
        let graph = Layers::new(8, 11_111, 3);
        assert_eq!(graph.tasks(), 100_000);
        let first = reported(&worker, &handle, graph);
        let limit = TASK_BYTES * graph.tasks() + EDGE_BYTES * graph.edges();
        println!("{} bytes of at most {limit} for 100,000 tasks", first.bytes_uploaded);
        assert!(first.bytes_uploaded <= limit, "{first:?}");
        let again = reported(&worker, &handle, graph);
        assert!(again.is_replay && again.bytes_uploaded < REPLAY, "{again:?}");
    }
}

#[test]
fn what_changes_is_what_is_uploaded() {
    let worker = open();
    let handle = register(&worker);
    let graph = Layers { width: 9, layers: 200, salt: 0, salted: 0 };
    reported(&worker, &handle, graph);
    let mut salt = 0;
    for changed in [0, 1, 10, 100, 500] {
        // Words of so many tasks change, from 0 to the salt and back.
        for salted in [changed, 0] {
            salt += 1;
            let graph = Layers { salt, salted, ..graph };
            let report = reported(&worker, &handle, graph);
            let limit = REPLAY + 32 * changed;
            assert!(report.is_replay && report.bytes_uploaded <= limit, "{changed}: {report:?}");
            assert!(report.bytes_uploaded >= 8 * changed, "{changed}: {report:?}");
        }
    }
    // Where every task gets another word, the words are what is uploaded, and nothing of the structure.
    let all = reported(&worker, &handle, Layers { salt: 77, salted: u64::MAX, ..graph });
    let words = 8 * 5 * graph.tasks();
    assert!(all.is_replay && all.bytes_uploaded <= words + REPLAY, "{all:?}");
}

#[test]
fn structures_that_alternate_are_all_kept() {
    let worker = open();
    let handle = register(&worker);
    for count in [2, 3] {
        let graphs: Vec<_> = (1..=count).map(|n| Layers::new(10 * n, 5 * count, n)).collect();
        for (round, graph) in (0..5).flat_map(|round| graphs.iter().map(move |g| (round, g))) {
            let report = reported(&worker, &handle, *graph);
            assert_eq!(report.is_replay, round > 0, "{count} graphs, round {round}: {graph:?}");
        }
    }
}

#[test]
fn more_structures_than_are_kept_are_right_all_the_same() {
    let worker = open();
    let handle = register(&worker);
    let usage = |n: u64| {
        let graph = Layers::new(1 + n % 23, 1 + n % 7, n);
        graph.run(&worker, &handle, &config()).unwrap();
        worker.usage().bytes
    };
    // There are 23 times 7 of them.
    let most = (0..200).map(usage).max().unwrap();
    let later = (200..400).map(usage).max().unwrap();
    assert!(later <= most, "{most} bytes, {later} bytes");
}

#[test]
fn a_graph_with_the_same_tasks_and_other_edges_is_another_one() {
    let worker = open();
    let handle = register(&worker);
    // 1 + 12 and 1 + 12 tasks; all of them are of one kind.
    for round in 0..3 {
        for (width, layers) in [(11, 1), (1, 6), (2, 4), (3, 3), (5, 2)] {
            let graph = Layers::new(width, layers, round);
            let report = graph.run(&worker, &handle, &config()).unwrap();
            assert_eq!(report.tasks, 13);
        }
    }
}

#[test]
fn runs_of_the_other_runtime_and_graphs_without_tasks_say_so() {
    let worker = open();
    let handle = register(&worker);
    assert_works(&worker, &config());
    let counters = worker.counters();
    let of_graphs = (counters.graph_uploads, counters.graph_replays, counters.graph_bytes_uploaded);
    assert_eq!(of_graphs, (0, 0, 0));
    // A run without tasks has no graph that could be uploaded, or be there already.
    let empty = Stand::of(open());
    for _ in 0..2 {
        let report = empty.play(&Script::new(), &mut [1]).result.unwrap();
        assert_eq!((report.tasks, report.graph), (0, Some(GraphReport::default())));
    }
    let counters = empty.worker.counters();
    let of_graphs = (counters.graph_uploads, counters.graph_replays, counters.graph_bytes_uploaded);
    assert_eq!((counters.runs, of_graphs), (2, (0, 0, 0)));
    // A single task has no edge.
    let report = reported(&worker, &handle, Layers::new(3, 0, 1));
    assert!(report.bytes_uploaded > 0 && report.edges == 0);
}

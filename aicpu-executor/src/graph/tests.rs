//! One scheduler for graphs and for what orchestrations submit, in turns: the queues are the same, the
//! cells are not.

use std::vec::Vec;

use protocol::ArgTag;

use crate::scheduler::Scheduler;
use crate::testing::graph::{TestGraph, Uploaded};
use crate::testing::submission::{Submission, external};
use crate::testing::{Kernel, Machine};

extern "C" fn count(args: *const u64) {
    // SAFETY: the task's one tensor is a single integer.
    let tensor =
        unsafe { &*core::ptr::with_exposed_provenance::<protocol::Tensor>(*args as usize) };
    let place = core::ptr::with_exposed_provenance_mut::<i32>(tensor.buffer.addr as usize);
    // SAFETY: the buffer outlives the run, and its tasks run one after the other.
    unsafe { *place += 1 };
}

/// Submits so many tasks, with as many counters; each has to come to its share.
fn run_orchestration(scheduler: &Scheduler, tasks: usize, seed: u64) {
    const KERNELS: [Kernel; 1] = [count];
    let mut counters = [[0_i32; 1]; 5];
    let sizes = Machine {
        window: 64,
        heap_bytes: 1024,
        edges: 256,
        map_entries: 256,
        ..Machine::default()
    };
    let machine = Machine { seed, ..sizes };
    let outcome = machine.run_on(scheduler, &KERNELS, |session| {
        for task in 0..tasks {
            let tensor = external(&mut counters[task % 5], &[1]);
            let kind = [Submission::aic, Submission::aiv][task % 2];
            kind(0).tensor(ArgTag::InOut, tensor).submit(session);
        }
    });
    assert_eq!(outcome.code(), 0, "{:?}", outcome.fault);
    let counted: i32 = counters.iter().flatten().sum();
    assert_eq!(counted as usize, tasks);
}

#[test]
fn graphs_and_orchestrations_take_turns_on_one_scheduler_under_many_orders_of_events() {
    for seed in 0..20 {
        let scheduler = Scheduler::default();
        let machine = Machine { seed, clusters: 2, ..Machine::default() };
        let graphs = [
            TestGraph::new(1, &[]),
            TestGraph::new(7, &[(0, 6), (1, 6), (2, 3), (3, 4), (3, 5), (3, 4)]),
            TestGraph::new(33, &(0..32).map(|task| (task, task + 1)).collect::<Vec<_>>()),
        ];
        let cyclic = TestGraph::new(9, &[(0, 1), (1, 2), (2, 1), (3, 4)]);
        let uploaded: Vec<_> =
            graphs.iter().zip(1..).map(|(graph, number)| Uploaded::new(graph, number)).collect();
        for round in 0..9 {
            run_orchestration(&scheduler, round * 5 % 31, seed + round as u64);
            graphs[round % 3].poison();
            assert_eq!(machine.run_graph(&scheduler, &uploaded[round % 3]), None);
            graphs[round % 3].assert_ran();
            // A graph that does not come to an end leaves nothing to the next run of either kind.
            assert_eq!(machine.run_graph(&scheduler, &Uploaded::new(&cyclic, 100)), None);
            assert!(!scheduler.is_finished());
        }
    }
}

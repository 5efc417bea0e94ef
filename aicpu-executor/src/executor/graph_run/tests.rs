//! Runs of graphs by real threads on cores that take their time.

use std::vec::Vec;

use protocol::{
    A2a3, A5, Chip, GraphPatch, RecordOperation, RuntimeBody, SharedMemoryHeader, StatusCode,
    WorkspaceLayout, WorkspaceState,
};
use zerocopy::{FromBytes, IntoBytes};

use crate::testing::device::Device;
use crate::testing::graph::{KERNELS, Memory, TestGraph, Uploaded};

mod caches;
mod kept_cores;
mod refusals;
mod together;
mod waits;

/// A device with the kernels of test graphs.
fn device<C: Chip>(clusters: usize, seed: u64) -> Device<C> {
    Device::new(clusters, &KERNELS, seed)
}

/// Runs a graph, with these patches.
fn run<C: Chip>(
    device: &mut Device<C>,
    uploaded: &Uploaded,
    threads: usize,
    patches: &[GraphPatch],
) -> i32 {
    run_with(device, uploaded, threads, patches, |_| {})
}

/// The same with a change to the record.
fn run_with<C: Chip>(
    device: &mut Device<C>,
    uploaded: &Uploaded,
    threads: usize,
    patches: &[GraphPatch],
    change: impl FnOnce(&mut RuntimeBody),
) -> i32 {
    let mut memory = Memory::of(patches.as_bytes());
    let mut run = uploaded.run;
    if !patches.is_empty() {
        (run.patches, run.patch_count) = (memory.address(), patches.len() as u64);
    }
    device.execute(RecordOperation::RunGraph, threads, |body| {
        run.write_to(body);
        change(body);
    })
}

/// The codes of orchestrator and scheduler in the header, as a host reads them.
fn codes(uploaded: &mut Uploaded) -> [i32; 2] {
    let bytes = &mut uploaded.workspace.bytes_mut()[..size_of::<SharedMemoryHeader>()];
    let header = SharedMemoryHeader::mut_from_bytes(bytes).expect("an aligned workspace");
    [*header.orch_error_code.get_mut(), *header.sched_error_code.get_mut()]
}

/// The state that the last run has left in a workspace.
fn state(uploaded: &mut Uploaded, tasks: usize) -> WorkspaceState {
    let at = WorkspaceLayout::of(tasks as u32).state as usize;
    let bytes = &uploaded.workspace.bytes_mut()[at..at + size_of::<WorkspaceState>()];
    WorkspaceState::read_from_bytes(bytes).expect("the bytes of a state")
}

/// Runs a graph and checks what each task has computed.
#[track_caller]
fn run_well<C: Chip>(
    device: &mut Device<C>,
    graph: &TestGraph,
    uploaded: &mut Uploaded,
    threads: usize,
    patches: &[GraphPatch],
) {
    graph.poison();
    let code = run(device, uploaded, threads, patches);
    assert_eq!(code, 0, "{:?}", device.fault());
    graph.assert_ran();
    assert_eq!(codes(uploaded), [0, 0]);
    assert_eq!(state(uploaded, graph.tasks()).ready_for, uploaded.run.number);
    for (worker, func_id) in device.given() {
        let is_cube = worker < device.clusters();
        assert_eq!(is_cube, func_id == 0, "func_id {func_id} on core {worker}");
    }
}

/// A pseudo-random number below a limit.
fn below(random: &mut u64, limit: u64) -> u64 {
    *random =
        random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*random >> 33) % limit
}

/// A graph of up to 60 tasks without a cycle, whose numbers say nothing about their order.
fn random_graph(seed: u64) -> TestGraph {
    let mut random = seed;
    let tasks = 1 + below(&mut random, 60) as u32;
    let mut order: Vec<u32> = (0..tasks).collect();
    for index in (1..tasks as usize).rev() {
        order.swap(index, below(&mut random, index as u64 + 1) as usize);
    }
    let mut edges = Vec::new();
    for to in 1..tasks {
        for _ in 0..below(&mut random, 4) {
            // Now and then the same edge twice.
            let from = below(&mut random, u64::from(to)) as usize;
            edges.push((order[from], order[to as usize]));
        }
    }
    TestGraph::new(tasks as usize, &edges)
}

#[test]
fn chains_fans_and_diamonds_run_in_order_with_any_number_of_threads_again_and_again() {
    let chain: Vec<_> = (0..30).map(|task| (task, task + 1)).collect();
    let fan_out: Vec<_> = (1..40).map(|task| (0, task)).collect();
    let fan_in: Vec<_> = (0..39).map(|task| (task, 39)).collect();
    let graphs = [
        TestGraph::new(1, &[]),
        TestGraph::new(31, &chain),
        TestGraph::new(40, &fan_out),
        TestGraph::new(40, &fan_in),
        TestGraph::new(4, &[(0, 1), (0, 2), (1, 3), (2, 3)]),
        TestGraph::new(50, &[]),
    ];
    for threads in 1..=A5::MAX_AICPU_THREADS {
        let mut device = device::<A5>(3, threads as u64);
        let mut number = 0;
        for graph in &graphs {
            number += 1;
            let mut uploaded = Uploaded::new(graph, number);
            for runs in 1..=3 {
                run_well(&mut device, graph, &mut uploaded, threads, &[]);
                assert_eq!(state(&mut uploaded, graph.tasks()).runs, runs);
                let counts = device.executor.counts();
                assert_eq!((counts.tasks, counts.loaded), (graph.tasks() as u64, false));
            }
        }
    }
}

#[test]
fn random_graphs_run_in_order_whatever_the_threads_do() {
    for seed in 0..40 {
        let mut random = seed;
        let threads = 1 + below(&mut random, A2a3::MAX_AICPU_THREADS as u64) as usize;
        let mut device = device::<A2a3>(1 + below(&mut random, 4) as usize, seed);
        let graph = random_graph(seed);
        let mut uploaded = Uploaded::new(&graph, 7 + seed);
        for _ in 0..4 {
            run_well(&mut device, &graph, &mut uploaded, threads, &[]);
        }
    }
}

#[test]
fn patches_change_what_a_graph_computes_and_nothing_else() {
    let mut device = device::<A2a3>(2, 5);
    let mut graph = random_graph(99);
    let mut uploaded = Uploaded::new(&graph, 1);
    for round in 0..6_u64 {
        // Of a graph that the device has, and of one that it sees for the first time.
        let changed: Vec<usize> =
            (0..graph.tasks()).filter(|task| task % 5 == round as usize % 5).collect();
        for task in &changed {
            graph.numbers[*task] = 1 << (40 + round);
        }
        let patches: Vec<_> = changed.iter().map(|task| graph.patch_of(*task)).collect();
        run_well(&mut device, &graph, &mut uploaded, 3, &patches);
        run_well(&mut device, &graph, &mut uploaded, 3, &[]);
    }
}

#[test]
fn a_workspace_serves_one_image_after_the_other() {
    let mut device = device::<A2a3>(2, 8);
    let graphs: Vec<_> = (0..12).map(|seed| random_graph(1000 + seed)).collect();
    let largest = WorkspaceLayout::of(60).total;
    let mut workspace = Memory::new(largest);
    for (index, graph) in graphs.iter().enumerate() {
        let mut uploaded = Uploaded::new(graph, 50 + index as u64);
        uploaded.workspace = workspace;
        uploaded.run.workspace = uploaded.workspace.address();
        uploaded.run.workspace_bytes = largest;
        for _ in 0..2 {
            run_well(&mut device, graph, &mut uploaded, 2, &[]);
        }
        workspace = uploaded.workspace;
    }
}

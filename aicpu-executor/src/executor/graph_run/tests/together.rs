//! Runs of graphs between runs of orchestrations on one executor: each finds everything as it wants it.

use protocol::DeviceAddr;

use super::*;
use crate::Executor;
use crate::loader::Machine;
use crate::orch_so_table::tests::image_builder::TestImage;
use crate::orch_so_table::tests::recorder::{bring_along, id};
use crate::testing::device::Cores;

/// A region for runs of an orchestration that submits nothing.
struct Region(Memory);

impl Region {
    fn new() -> Self {
        let bytes = Executor::<A2a3, Cores<A2a3>>::region_bytes(4, 4).expect("valid sizes");
        Self(Memory::new(bytes))
    }

    fn run(&mut self, device: &mut Device<A2a3>, threads: usize, id: i32) -> i32 {
        let region = self.0.address();
        device.execute(RecordOperation::Run, threads, |body| {
            body.active_callable_id = id;
            (body.task_window_size, body.dep_pool_size, body.heap_size) = (4, 4, 1024);
            body.gm_sm_ptr = region;
            // Never touched: the run has no task.
            body.gm_heap_ptr = DeviceAddr::new(1 << 40);
            body.extension.region_generation = 3;
        })
    }
}

#[test]
fn orchestrations_and_graphs_take_turns_and_failures_of_either_are_not_the_others() {
    let image = TestImage::new(Machine::native()).bytes;
    let graphs = [random_graph(3), random_graph(4), TestGraph::new(1, &[])];
    let mut uploaded: Vec<_> =
        graphs.iter().zip(1..).map(|(graph, number)| Uploaded::new(graph, number)).collect();
    let mut device = device::<A2a3>(2, 6);
    let mut region = Region::new();
    let loaded = device.execute(RecordOperation::Load, 1, |body| {
        bring_along(body, &image, b"entry");
        body.active_callable_id = id().raw();
    });
    assert_eq!(loaded, 0, "{:?}", device.fault());
    for round in 0..24_usize {
        let threads = 1 + round % 4;
        let which = round % graphs.len();
        match round % 4 {
            0 | 2 => assert_eq!(region.run(&mut device, threads, id().raw()), 0),
            1 => {
                let stale = StatusCode::CallableNotLoaded;
                assert_eq!(region.run(&mut device, threads, 33), -stale.code());
            }
            _ => {
                let broken = GraphPatch { word: 1 << 20, ..GraphPatch::default() };
                let ended = run(&mut device, &uploaded[which], threads, &[broken]);
                assert_eq!(ended, -StatusCode::GraphInvalid.code());
            }
        }
        let (graph, uploaded) = (&graphs[which], &mut uploaded[which]);
        run_well(&mut device, graph, uploaded, threads, &[]);
        assert_eq!(state(uploaded, graph.tasks()).runs, 1 + (round / graphs.len()) as u64);
    }
}

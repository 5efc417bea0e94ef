//! What schedulers do with a finished task, where the order of single steps matters.

use core::sync::atomic::Ordering;
use std::vec::Vec;

use protocol::{
    DispatchPayload, LOCAL_CONTEXT_ARG, MAX_SCALAR_ARGS, MAX_TENSOR_ARGS, ResourceShape,
};
use zerocopy::FromZeros as _;

use super::Scheduler;
use super::task_store::{Completer, TaskStore};
use crate::fault::FaultLatch;
use crate::region::consumers::EMPTY;
use crate::region::{EdgeHandle, Region, RegionLayout, RegionSizes, SlotHandle, TaskRecord};
use crate::testing::TestPlatform;

/// A region of the smallest window, and its memory.
fn region() -> (Region<'static>, Vec<u128>) {
    let layout = RegionLayout::new(RegionSizes::wanted(4, 4)).expect("valid sizes");
    let memory = std::vec![0_u128; layout.total() as usize / 16 + 8];
    let address = (memory.as_ptr().expose_provenance() as u64).next_multiple_of(64);
    // SAFETY: the memory is zeroed, large enough, and outlives the region in each test.
    let region = unsafe { Region::at(address, &layout) }.expect("aligned memory");
    region.clean();
    (region, memory)
}

fn record(shape: ResourceShape) -> TaskRecord {
    TaskRecord {
        kernel_addresses: [0; 3],
        kernel_ids: [-1; 3],
        block_count: 1,
        edge_first: 0,
        edge_count: 0,
        edge_ring: 4,
        lanes: 2,
        shape: shape as u8,
        tensor_count: 0,
        scalar_count: 0,
        sync_start: 0,
        reserved: [0; 3],
        local: 0,
    }
}

/// Item 4 of spec trb §14.1: as soon as a consumer is notified it may run, retire, and its edge be
/// somebody else's. Here the notification itself overwrites the edge: the ready queue's cells are
/// the memory of the edges. Every consumer must be notified all the same.
#[test]
fn an_edge_that_is_reused_as_soon_as_its_consumer_is_notified_was_read_before() {
    for by in [Completer::Orchestrator, Completer::Scheduler] {
        complete_and_overwrite_edges(by);
    }
}

fn complete_and_overwrite_edges(by: Completer) {
    let (mut region, _memory) = region();
    let edges = region.rings[0].edges;
    // SAFETY: an edge is four 32-bit atomics, so two of these words; both are atomics in the same
    // memory, which outlives the region. No other test or thread uses it.
    let cells = unsafe { core::slice::from_raw_parts(edges.as_ptr().cast(), 8) };
    region.ready_cells[ResourceShape::Aiv as usize] = cells;

    let (scheduler, faults) = (Scheduler::default(), FaultLatch::new());
    scheduler.start();
    let handle = |index| SlotHandle::new(0, index);
    let producer = region.slot(handle(0)).unwrap();
    producer.open(1);
    // SAFETY: the test is orchestrator and scheduler at once; nobody else has the slot.
    unsafe { producer.new_record(&record(ResourceShape::Aiv)) };
    // The newest edge is notified first, and its memory is the first that is overwritten: its link
    // then names edge 3, where a walk that has gone astray ends.
    // ORDERING: Relaxed: this is the only thread.
    edges[3].next.store(EMPTY, Ordering::Relaxed);
    for (consumer, edge) in [(1, 2), (2, 1), (3, 0)] {
        let slot = region.slot(handle(consumer)).unwrap();
        // Waits for one thing, which is the producer.
        slot.open(1);
        // ORDERING: Relaxed: this is the only thread.
        slot.pending.store(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { slot.new_record(&record(ResourceShape::Aiv)) };
        let edge_handle = EdgeHandle::new(0, edge);
        let edge = region.edge(edge_handle).unwrap();
        edge.set(handle(0), handle(consumer));
        assert!(producer.consumers.push(edge_handle.raw(), &edge.next, true));
    }
    let platform = TestPlatform::without_cores();
    let ready =
        |consumer, shape| scheduler.make_ready(&platform, &region, &faults, consumer, shape);
    // SAFETY: the task is as good as published, and this completes it once.
    unsafe { region.complete(&platform, handle(0), producer, by, ready) };
    assert_eq!(faults.take(), None);
    let mut told = [0; 4];
    let (queue, cells) = scheduler.queue(&region, ResourceShape::Aiv as usize).unwrap();
    assert_eq!(queue.pop(cells, &mut told), 3, "every consumer has been told");
    assert_eq!(told[..3], [3, 2, 1].map(|index| handle(index).raw()));
    assert!(producer.is_completed());
}

/// Item 8 of spec trb §14.1: total and completed are one statement about the end, whichever of the
/// two comes last, and a run of no task is one that is finished.
#[test]
fn a_run_is_finished_when_the_total_is_known_and_reached_and_not_before() {
    let scheduler = Scheduler::default();
    scheduler.start();
    assert!(!scheduler.is_finished(), "nothing is known yet");
    scheduler.count_completed(2);
    assert!(!scheduler.is_finished());
    scheduler.set_total(3);
    assert!(!scheduler.is_finished() && scheduler.is_total_known());
    scheduler.count_completed(1);
    assert!(scheduler.is_finished());
    scheduler.start();
    assert!(!scheduler.is_finished() && !scheduler.is_total_known(), "of the run before");
    scheduler.set_total(0);
    assert!(scheduler.is_finished(), "an empty graph ends at once");
}

/// Lines are copied whole, and what is beyond them one by one: no count may leave a gap between tensors and scalars,
/// nor touch the contexts behind them.
#[test]
fn a_kernel_gets_every_tensor_and_scalar_in_order_whatever_their_number() {
    let (region, _memory) = region();
    let handle = SlotHandle::new(0, 1);
    let slot = region.slot(handle).unwrap();
    let arguments = region.arguments(handle, slot).unwrap();
    for index in 0..MAX_SCALAR_ARGS {
        let scalar = arguments.scalar_pointer(index);
        // SAFETY: the scalar is one of the slot, which is the test's alone.
        unsafe { scalar.write(1000 + index as u64) };
    }
    for (tensors, scalars) in
        (0..=MAX_TENSOR_ARGS).flat_map(|tensors| (0..=MAX_SCALAR_ARGS).map(move |n| (tensors, n)))
    {
        let counts = (tensors as u8, scalars as u8);
        let like = record(ResourceShape::Aiv);
        let like = TaskRecord { tensor_count: counts.0, scalar_count: counts.1, ..like };
        // SAFETY: the test is orchestrator and scheduler at once; nobody else has the slot.
        unsafe { slot.new_record(&like) };
        let mut payload = DispatchPayload::new_zeroed();
        payload.args[LOCAL_CONTEXT_ARG..].fill(7);
        // SAFETY: as above: the task is as good as published.
        let filled = unsafe { region.fill(handle, slot, 1, &mut payload, &FaultLatch::new()) };
        assert_eq!(filled, Some(-1));
        let addresses = (0..tensors).map(|index| arguments.tensor_pointer(index).addr() as u64);
        let expected: Vec<u64> = addresses.chain((0..scalars as u64).map(|n| 1000 + n)).collect();
        assert_eq!(payload.args[..tensors + scalars], expected, "{tensors}, {scalars}");
        assert!(payload.args[LOCAL_CONTEXT_ARG..].iter().all(|word| *word == 7));
    }
}

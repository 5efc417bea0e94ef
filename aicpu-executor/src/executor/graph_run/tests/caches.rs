//! What a host that is out of reach of this processor's caches writes and reads.

use core::mem::offset_of;
use std::vec;

use protocol::{CoreCallable, DeviceAddr, HandshakeRecord, RuntimeRecord};

use super::*;

/// A device that has run a graph of two tasks once, and both. Its seed is even: the cores do not stay up.
fn after_a_run() -> (Device<A2a3>, TestGraph, Uploaded) {
    let graph = TestGraph::new(2, &[(0, 1)]);
    let mut uploaded = Uploaded::new(&graph, 1);
    let mut device = device::<A2a3>(2, 4);
    run_well(&mut device, &graph, &mut uploaded, 2, &[]);
    (device, graph, uploaded)
}

#[test]
fn handshake_records_are_taken_from_memory_and_leave_nothing_in_caches() {
    let (device, ..) = after_a_run();
    let handshakes = device.record().workers()[..6].as_ptr_range();
    let (start, end) = (handshakes.start.expose_provenance(), handshakes.end.expose_provenance());
    let told = device.forgotten(start as u64, end - start);
    assert_eq!(
        told,
        vec![false, true],
        "before the cores are told to come up, and when they are up"
    );
    assert_eq!(
        device.record().workers()[0].aicpu_ready().load(core::sync::atomic::Ordering::Relaxed),
        1
    );
}

#[test]
fn addresses_of_kernels_are_taken_from_memory_before_the_graph_is_looked_at() {
    let (mut device, graph, mut uploaded) = after_a_run();
    let at = |kernel: &CoreCallable| {
        let record = core::ptr::from_ref(kernel).expose_provenance();
        (record + offset_of!(CoreCallable, resolved_addr)) as u64
    };
    for kernel in 0..KERNELS.len() {
        let address = at(&device.kernels()[kernel]);
        assert_eq!(device.forgotten(address, size_of::<u64>()), [false], "kernel {kernel}");
        run_well(&mut device, &graph, &mut uploaded, 2, &[]);
    }
}

#[test]
fn the_code_of_memory_that_is_refused_is_written_to_memory() {
    let mut device = device::<A2a3>(1, 4);
    let mut region = vec![[0_u64; 8]; size_of::<SharedMemoryHeader>() / 64 + 2];
    let address = (region.as_mut_ptr().expose_provenance() as u64).next_multiple_of(64);
    let ended = device.execute(RecordOperation::Run, 1, |body| {
        body.task_window_size = 6;
        body.gm_sm_ptr = DeviceAddr::new(address);
    });
    assert_eq!(ended, -StatusCode::RegionTooSmall.code());
    assert!(device.has_cleaned(address, size_of::<SharedMemoryHeader>()));
}

//! What of a graph travels, and by what it is known.

use std::sync::Arc;

use protocol::{A2a3, FuncId};

use super::*;
use crate::device::failing::{FailingDevice, Failures};
use crate::device::sim::SimDevice;

fn space() -> (OpenDevice, GraphSpace) {
    let (on, space, _) = failing_space();
    (on, space)
}

/// With a device that fails when a test wants it.
fn failing_space() -> (OpenDevice, GraphSpace, Arc<Failures>) {
    let failures = Arc::<Failures>::default();
    let device = SimDevice::<A2a3>::open().unwrap();
    let device = FailingDevice::with(device, Arc::clone(&failures));
    let kernels = std::iter::once(FuncId::new(0).unwrap()).collect();
    let space = GraphSpace::new(CallableId::new(3).unwrap(), kernels);
    (OpenDevice::new(Box::new(device)), space, failures)
}

/// Builds as many tasks of one word each.
fn build(builder: &mut GraphBuilder, tasks: u64, first: u64) {
    builder.clear();
    for task in 0..tasks {
        builder.add_task(&[first + task], 0, 1).unwrap();
    }
}

/// Uploads what is built: bytes, whether it was there, and the version.
fn upload(on: &OpenDevice, space: &mut GraphSpace, version: u64) -> (u64, bool, u64) {
    let uploaded = space.graphs.upload(on, &space.builder, version, None).unwrap();
    (uploaded.report.bytes_uploaded, uploaded.report.is_replay, uploaded.version)
}

#[test]
fn a_graph_of_a_version_that_is_there_is_not_even_looked_at() {
    let (on, mut space) = space();
    build(&mut space.builder, 8, 1);
    let (bytes, was_there, first) = upload(&on, &mut space, 0);
    // Header, and a record, a word and a root for each task.
    assert_eq!((bytes, was_there), (64 + 8 * (16 + 8 + 4), false));
    assert_eq!(upload(&on, &mut space, 0), (0, true, first), "compared, and the same");
    // One word is another one: nobody notices with the version, and without it it is a patch.
    build(&mut space.builder, 8, 1);
    space.builder.args[5] = 77;
    assert_eq!(upload(&on, &mut space, first), (0, true, first));
    let (bytes, was_there, second) = upload(&on, &mut space, 0);
    assert_eq!((bytes, was_there), (16, true));
    assert_ne!(second, first);
    // What the device had before is not there any more.
    build(&mut space.builder, 8, 1);
    let (bytes, was_there, third) = upload(&on, &mut space, first);
    assert_eq!((bytes, was_there), (16, true));
    assert!(third != second && third != first, "never the same number again");
    space.give_back(&on);
    assert_eq!(on.device().usage().allocations, 0);
}

#[test]
fn a_version_that_was_forgotten_is_uploaded_anew() {
    let (on, mut space) = space();
    build(&mut space.builder, 2, 1);
    let uploaded = space.graphs.upload(&on, &space.builder, 0, None).unwrap();
    space.graphs.forget_number(&on, uploaded.run.number);
    let (_, was_there, version) = upload(&on, &mut space, uploaded.version);
    assert!(!was_there && version != uploaded.version);
    // By others that came after it.
    for tasks in 3..8 {
        build(&mut space.builder, tasks, 1);
        upload(&on, &mut space, 0);
    }
    build(&mut space.builder, 2, 1);
    assert!(!upload(&on, &mut space, version).1);
    space.give_back(&on);
}

#[test]
fn no_two_spaces_have_the_same_number() {
    let (on, first) = space();
    let (_, second) = space();
    assert_ne!(first.number, second.number);
    drop(on);
}

/// Whether the device has a graph of so many tasks. It is the one that was used last then.
fn has(on: &OpenDevice, space: &mut GraphSpace, tasks: u64) -> bool {
    build(&mut space.builder, tasks, 1);
    let (known, builder) = (&space.graphs.kept, &space.builder);
    let has = known.iter().any(|kept| kept.known.has_structure_of(builder));
    if has {
        upload(on, space, 0);
    }
    has
}

fn add(on: &OpenDevice, space: &mut GraphSpace, tasks: u64) {
    build(&mut space.builder, tasks, 1);
    assert!(!upload(on, space, 0).1);
}

#[test]
fn graphs_are_kept_up_to_a_number_and_up_to_a_number_of_bytes() {
    let (on, mut space) = space();
    (1..=4).for_each(|tasks| add(&on, &mut space, tasks));
    let held: usize = space.graphs.kept.iter().map(KeptGraph::bytes).sum();
    assert!(has(&on, &mut space, 1));
    add(&on, &mut space, 5);
    // The second was used least recently.
    assert_eq!(
        [2, 3, 4, 1, 5].map(|tasks| has(&on, &mut space, tasks)),
        [false, true, true, true, true]
    );
    let with_fifth: usize = space.graphs.kept.iter().map(KeptGraph::bytes).sum();
    assert!(with_fifth > held);
    // As many bytes as there are: one more graph costs those that were used least recently.
    space.graphs.bytes_max = with_fifth;
    add(&on, &mut space, 6);
    let now: usize = space.graphs.kept.iter().map(KeptGraph::bytes).sum();
    assert!(now <= with_fifth && !has(&on, &mut space, 3) && has(&on, &mut space, 6));
    // One alone may have more.
    space.graphs.bytes_max = 1;
    add(&on, &mut space, 7);
    assert_eq!((space.graphs.kept.len(), has(&on, &mut space, 7)), (1, true));
    add(&on, &mut space, 8);
    assert_eq!((space.graphs.kept.len(), has(&on, &mut space, 8)), (1, true));
    space.give_back(&on);
    assert_eq!(on.device().usage().allocations, 0);
}

#[test]
fn a_graph_for_which_there_is_no_room_takes_that_of_others_and_of_memory_that_is_not_used() {
    let (on, mut space, failures) = failing_space();
    // A chunk that the run does not use.
    space.memory.allocate(on.device(), 1000).unwrap();
    space.memory.begin_run();
    let chunk = space.memory.held_bytes();
    [1, 2].into_iter().for_each(|tasks| add(&on, &mut space, tasks));
    // For the image, and for what the AICPU counts in: the oldest graph is enough.
    for (step, forgotten) in [(1, 1), (3, 2)] {
        let tasks = 10 + step as u64;
        failures.fail_at(step);
        add(&on, &mut space, tasks);
        assert!(!has(&on, &mut space, forgotten), "step {step}");
        assert_eq!((space.graphs.kept.len(), space.memory.held_bytes()), (2, chunk));
    }
    // Without another graph, the chunk.
    while space.graphs.forget_oldest(&on) {}
    failures.fail_at(1);
    build(&mut space.builder, 20, 1);
    let GraphSpace { graphs, builder, memory, .. } = &mut space;
    graphs.upload(&on, builder, 0, Some(memory)).unwrap();
    assert_eq!(memory.held_bytes(), 0);
    // Without either there is no room.
    while graphs.forget_oldest(&on) {}
    let held = on.device().usage();
    failures.fail_at(1);
    match graphs.upload(&on, builder, 0, None) {
        Err(GraphRefusal::NoRoom { bytes }) => {
            // Header, and a record, a word and a root for each task; and what is counted in.
            let workspace = WorkspaceLayout::of(20).total as usize;
            assert_eq!(bytes, 64 + 20 * (16 + 8 + 4) + workspace);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(on.device().usage(), held, "nothing of it stays");
    space.give_back(&on);
    assert_eq!(on.device().usage().allocations, 0);
}

#[test]
fn words_for_whose_patches_there_is_no_room_come_with_the_image() {
    let (on, mut space, failures) = failing_space();
    build(&mut space.builder, 50, 1);
    let (image, ..) = upload(&on, &mut space, 0);
    space.builder.args[7] = 77;
    failures.fail_at(1);
    let (bytes, was_there, version) = upload(&on, &mut space, 0);
    assert_eq!((bytes, was_there, failures.calls()), (image, true, 2));
    assert_eq!(upload(&on, &mut space, 0), (0, true, version));
    space.give_back(&on);
    assert_eq!(on.device().usage().allocations, 0);
}

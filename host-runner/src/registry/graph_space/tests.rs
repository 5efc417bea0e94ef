//! What of a graph travels, and by what it is known.

use protocol::{A2a3, FuncId};

use super::*;
use crate::device::sim::SimDevice;

fn space() -> (OpenDevice, GraphSpace) {
    let device = SimDevice::<A2a3>::open().unwrap();
    let kernels = std::iter::once(FuncId::new(0).unwrap()).collect();
    let space = GraphSpace::new(CallableId::new(3).unwrap(), kernels);
    (OpenDevice::new(Box::new(device)), space)
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
    let uploaded = space.graphs.upload(on, &space.builder, version).unwrap();
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
    let uploaded = space.graphs.upload(&on, &space.builder, 0).unwrap();
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

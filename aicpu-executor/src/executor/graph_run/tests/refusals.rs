//! Records, images, patches and kernels that make no sense: what the host finds, and that a graph that
//! is as it should be runs afterwards.

use core::mem::offset_of;

use protocol::{DeviceAddr, GraphHeader, GraphTask};

use super::*;

/// Something wrong with a graph that is otherwise [`graph`].
type Break = fn(&mut Uploaded);

/// Five tasks with 3 + 4 + 4 + 5 + 4 argument words.
fn graph() -> TestGraph {
    TestGraph::new(5, &[(0, 1), (0, 2), (1, 3), (2, 3), (3, 4)])
}

/// Checks code, text and header of a run that failed.
#[track_caller]
fn assert_failed(device: &mut Device<A2a3>, ended: i32, code: StatusCode, part: &str) {
    let fault = device.fault().expect("a fault with its text");
    assert_eq!((ended, fault.code), (-code.code(), code.code()), "{}", fault.text);
    assert!(fault.text.contains(part), "{part:?} is missing in: {}", fault.text);
}

fn shifted(address: DeviceAddr, bytes: u64) -> DeviceAddr {
    DeviceAddr::new(address.raw() + bytes)
}

/// Where a field of task `task` is in an image.
fn task_at(task: usize, field: usize) -> usize {
    size_of::<GraphHeader>() + task * size_of::<GraphTask>() + field
}

/// What is wrong with the record, and found whether the device has the graph or not.
const RECORDS: [(StatusCode, &str, Break); 14] = [
    (StatusCode::GraphInvalid, "an image of", |up| up.run.image = DeviceAddr::new(0)),
    (StatusCode::GraphInvalid, "a multiple of 64", |up| up.run.image = shifted(up.run.image, 8)),
    (StatusCode::GraphInvalid, "an image of", |up| up.run.image_bytes = u64::MAX),
    (StatusCode::GraphInvalid, "the image at", |up| up.run.image_bytes = 63),
    (StatusCode::GraphInvalid, "the image at", |up| up.run.image_bytes -= 4),
    (StatusCode::GraphInvalid, "image 0; at", |up| up.run.number = 0),
    (StatusCode::GraphInvalid, "there is image 12", |up| up.run.number = 13),
    (StatusCode::GraphInvalid, "a workspace of", |up| up.run.workspace = DeviceAddr::new(0)),
    (StatusCode::GraphInvalid, "a workspace of", |up| up.run.workspace_bytes = u64::MAX),
    (StatusCode::RegionTooSmall, "the graph needs", |up| up.run.workspace_bytes -= 1),
    (StatusCode::RegionTooSmall, "of 100 bytes", |up| up.run.workspace_bytes = 100),
    (StatusCode::GraphInvalid, "1 patches at 0x0", |up| up.run.patch_count = 1),
    (StatusCode::GraphInvalid, "a multiple of 8", |up| {
        (up.run.patches, up.run.patch_count) = (shifted(up.run.image, 4), 1);
    }),
    (StatusCode::GraphInvalid, "21 patches for 20 argument words", |up| {
        (up.run.patches, up.run.patch_count) = (up.run.image, 21);
    }),
];

#[test]
fn a_record_that_makes_no_sense_is_refused_and_leaves_a_known_graph_as_it_was() {
    let graph = graph();
    for (index, (code, part, break_it)) in RECORDS.into_iter().enumerate() {
        for is_known in [false, true] {
            let mut device = device::<A2a3>(2, index as u64);
            let mut uploaded = Uploaded::new(&graph, 12);
            if is_known {
                run_well(&mut device, &graph, &mut uploaded, 2, &[]);
            }
            let good = uploaded.run;
            break_it(&mut uploaded);
            let has_header = uploaded.run.workspace == good.workspace
                && (832..1 << 40).contains(&uploaded.run.workspace_bytes);
            let ended = run(&mut device, &uploaded, 3, &[]);
            assert_failed(&mut device, ended, code, part);
            if has_header {
                assert_eq!(codes(&mut uploaded), [code.code(), 0], "case {index}");
            }
            uploaded.run = good;
            let ready_for = if is_known { 12 } else { 0 };
            assert_eq!(state(&mut uploaded, 5).ready_for, ready_for, "case {index}");
            run_well(&mut device, &graph, &mut uploaded, 2, &[]);
            let runs = if is_known { 2 } else { 1 };
            assert_eq!(state(&mut uploaded, 5).runs, runs, "case {index}");
        }
    }
}

#[test]
fn one_patch_for_a_word_that_is_not_there_keeps_all_of_them_out() {
    let graph = graph();
    let mut device = device::<A2a3>(2, 1);
    let mut uploaded = Uploaded::new(&graph, 12);
    run_well(&mut device, &graph, &mut uploaded, 2, &[]);
    let good = GraphPatch { value: 5, ..graph.patch_of(2) };
    for word in [20, u32::MAX] {
        let ended = run(&mut device, &uploaded, 2, &[good, GraphPatch { word, ..good }]);
        let text = std::format!("patch 1 (of 2, from 0) is for argument word {word}; there are 20");
        assert_failed(&mut device, ended, StatusCode::GraphInvalid, &text);
        run_well(&mut device, &graph, &mut uploaded, 2, &[]);
    }
}

#[test]
fn an_image_that_is_damaged_is_refused_before_anything_runs() {
    let cases: [(&str, usize, u8); 7] = [
        ("graph magic", 0, 0),
        ("graph version", 4, 9),
        ("a successor", 64 + 5 * 16 + 20 * 8, 5),
        ("CoreType", task_at(1, offset_of!(GraphTask, core_type)), 7),
        ("func id", task_at(4, offset_of!(GraphTask, func_id)) + 1, 4),
        ("arguments of a graph task", task_at(2, offset_of!(GraphTask, arg_count)), 17),
        ("graph predecessors", task_at(3, offset_of!(GraphTask, predecessor_count)), 3),
    ];
    let graph = graph();
    for (part, at, value) in cases {
        let mut device = device::<A2a3>(2, 1);
        let mut uploaded = Uploaded::new(&graph, 12);
        let whole = core::mem::replace(&mut uploaded.image.bytes_mut()[at], value);
        graph.poison();
        let ended = run(&mut device, &uploaded, 2, &[]);
        assert_failed(&mut device, ended, StatusCode::GraphInvalid, part);
        assert_eq!((graph.ran(), codes(&mut uploaded)), (0, [StatusCode::GraphInvalid.code(), 0]));
        uploaded.image.bytes_mut()[at] = whole;
        run_well(&mut device, &graph, &mut uploaded, 2, &[]);
    }
}

/// The sum of the counts is right, so only whoever counts edges can tell.
#[test]
fn a_task_that_counts_other_predecessors_than_lead_to_it_is_named() {
    let graph = graph();
    let mut device = device::<A2a3>(2, 1);
    let mut uploaded = Uploaded::new(&graph, 12);
    let count = |task| task_at(task, offset_of!(GraphTask, predecessor_count));
    (uploaded.image.bytes_mut()[count(1)], uploaded.image.bytes_mut()[count(3)]) = (2, 1);
    let ended = run(&mut device, &uploaded, 2, &[]);
    let text = "task 1 of the graph counts 2 predecessors, and 1 edges lead to it";
    assert_failed(&mut device, ended, StatusCode::GraphInvalid, text);
    (uploaded.image.bytes_mut()[count(1)], uploaded.image.bytes_mut()[count(3)]) = (1, 2);
    run_well(&mut device, &graph, &mut uploaded, 2, &[]);
}

#[test]
fn a_kernel_that_is_missing_is_named_with_its_task_in_a_new_graph_and_in_a_known_one() {
    let mut graph = graph();
    graph.func_ids[3] = 9;
    let mut device = device::<A2a3>(2, 1);
    let mut uploaded = Uploaded::new(&graph, 1);
    graph.poison();
    let ended = run(&mut device, &uploaded, 2, &[]);
    let text = "task 3 of the graph names func_id 9, but the callable has no kernel of that id";
    assert_failed(&mut device, ended, StatusCode::KernelMissing, text);
    assert_eq!(graph.ran(), 0, "nothing has run");
    // A kernel that is there and not loaded.
    let not_loaded = protocol::CoreCallable::default();
    let ended = run_with(&mut device, &uploaded, 2, &[], |body| {
        body.func_id_to_addr[9] = core::ptr::from_ref(&not_loaded).expose_provenance() as u64;
    });
    let text = "task 3 of the graph names func_id 9, but its kernel has not been loaded";
    assert_failed(&mut device, ended, StatusCode::KernelMissing, text);

    graph.func_ids[3] = 1;
    uploaded = Uploaded::new(&graph, 2);
    for round in 0..3 {
        run_well(&mut device, &graph, &mut uploaded, 3, &[]);
        graph.poison();
        let ended = run_with(&mut device, &uploaded, 3, &[], |body| body.func_id_to_addr[1] = 0);
        let text = "task 1 of the graph names func_id 1, but the callable has no kernel";
        assert_failed(&mut device, ended, StatusCode::KernelMissing, text);
        let only_cube = device.given().into_iter().all(|(_, func_id)| func_id == 0);
        assert!(only_cube && (1..=2).contains(&graph.ran()), "round {round}");
        assert_eq!(state(&mut uploaded, 5).ready_for, 0);
    }
    run_well(&mut device, &graph, &mut uploaded, 3, &[]);
}

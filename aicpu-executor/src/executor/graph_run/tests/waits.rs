//! Runs that do not come to an end: what they are said to wait for, and that the next one works.

use super::*;

/// The stall timeout of these runs.
const SHORT_US: u64 = 60_000;

/// func_id of the kernel that does not end.
const ENDLESS: u16 = 2;

/// Runs a graph until its stall is reported; the text.
#[track_caller]
fn stall(device: &mut Device<A2a3>, uploaded: &Uploaded, threads: usize) -> std::string::String {
    let ended = run_with(device, uploaded, threads, &[], |body| {
        body.extension.stall_timeout_us = SHORT_US;
    });
    assert_eq!(ended, -StatusCode::SchedulerTimeout.code());
    device.given();
    device.fault().expect("a fault with its text").text.as_str().into()
}

#[test]
fn a_kernel_that_does_not_end_is_named_with_its_task_and_the_next_run_works() {
    let mut graph = TestGraph::new(6, &[(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 5)]);
    let mut device = device::<A2a3>(1, 2);
    graph.func_ids[4] = ENDLESS;
    let mut hanging = Uploaded::new(&graph, 1);
    graph.func_ids[4] = 0;
    let mut good = Uploaded::new(&graph, 2);
    for threads in [1, 2, 4] {
        run_well(&mut device, &graph, &mut good, threads, &[]);
        let text = stall(&mut device, &hanging, threads);
        assert!(text.starts_with("no progress for 60 ms after 4 tasks: core "), "{text}");
        let named = "is still running the kernel of func_id 2 (task 4 of the graph)";
        assert!(text.ends_with(named), "{text}");
        assert_eq!(codes(&mut hanging), [0, StatusCode::SchedulerTimeout.code()]);
        assert_eq!(state(&mut hanging, 6).ready_for, 0);
    }
    run_well(&mut device, &graph, &mut good, 2, &[]);
}

/// The host looks for cycles. Should it miss one, the run ends all the same, and says which tasks wait.
#[test]
fn tasks_that_wait_for_each_other_end_as_a_stall_that_names_one_of_them() {
    let cases: [(&[(u32, u32)], &str); 3] = [
        // Nobody can begin.
        (
            &[(0, 1), (1, 2), (2, 3), (3, 0)],
            "after 0 tasks: 4 of 4 tasks wait for others, so there is a cycle; the first is task 0 \
             (func_id 0), which waits for 1 of its 1 predecessors",
        ),
        // A way in that is not enough.
        (
            &[(0, 1), (1, 2), (2, 1), (2, 3)],
            "after 1 tasks: 3 of 4 tasks wait for others, so there is a cycle; the first is task 1 \
             (func_id 1), which waits for 1 of its 2 predecessors",
        ),
        // One task for itself.
        (
            &[(0, 1), (0, 2), (3, 3)],
            "after 3 tasks: 1 of 4 tasks wait for others, so there is a cycle; the first is task 3 \
             (func_id 1), which waits for 1 of its 1 predecessors",
        ),
    ];
    let mut device = device::<A2a3>(2, 4);
    let sound = TestGraph::new(4, &[(3, 2), (2, 1), (1, 0)]);
    let mut good = Uploaded::new(&sound, 100);
    for (index, (edges, expected)) in cases.into_iter().enumerate() {
        let cyclic = TestGraph::new(4, edges);
        let mut uploaded = Uploaded::new(&cyclic, index as u64 + 1);
        for threads in [1, 3] {
            let text = stall(&mut device, &uploaded, threads);
            assert_eq!(text, std::format!("no progress for 60 ms {expected}"));
            assert_eq!(state(&mut uploaded, 4).ready_for, 0);
            run_well(&mut device, &sound, &mut good, threads, &[]);
        }
    }
}

#[test]
fn a_time_limit_names_the_task_that_is_on_a_core() {
    let mut graph = TestGraph::new(2, &[(0, 1)]);
    graph.func_ids[1] = ENDLESS;
    let mut device = device::<A2a3>(1, 2);
    let uploaded = Uploaded::new(&graph, 1);
    let executor: *const _ = &raw const *device.executor;
    let executor = executor.expose_provenance();
    let watch = std::thread::spawn(move || {
        type Watched = crate::Executor<A2a3, crate::testing::device::Cores<A2a3>>;
        // SAFETY: the device outlives this thread, which is joined below.
        let executor = unsafe { &*core::ptr::with_exposed_provenance::<Watched>(executor) };
        std::thread::sleep(std::time::Duration::from_millis(300));
        executor.report_time_limit(300);
    });
    let ended = run(&mut device, &uploaded, 2, &[]);
    watch.join().unwrap();
    assert_eq!(ended, -StatusCode::SchedulerTimeout.code());
    let text = device.fault().expect("a fault").text;
    let part =
        "its limit of 300 ms: core 1 is still running the kernel of func_id 2 (task 1 of the";
    assert!(text.contains(part) || text.contains(&part.replace("core 1", "core 2")), "{text}");
}

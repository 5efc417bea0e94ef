//! The same of callables whose orchestration runs on the host: registering, placing again, runs, recordings.

use super::*;
use crate::host_orchestration::{BuildError, CallFault};
use crate::test_callables::host_callable;

/// Copies its first tensor to the device and back, with the second one's first element, plus `offset` plus
/// the scalar, in its place.
fn two_kernels_of_a_graph(offset: u32) -> Callable {
    let body = r#"
        void *memory = ops.device_malloc(rt, 4);
        if (!memory) return 77;
        void *own = (void *)args.tensors[0].data;
        if (ops.copy_to_device(rt, memory, own, 4) != 0) return 78;
        uint64_t words[] = {(uint64_t)memory, args.scalars[0]};
        ops.add_task(rt, words, 2, 0, 1);
        ops.record_tensor_pair(rt, own, memory, 4);
        return 0;
    "#;
    host_callable(body, vec![store_kernel(0, offset), store_kernel(1, 1000 + offset)])
}

/// Spec hbg §A12: with the reference, the second registration frees the first one's kernel.
#[test]
fn host_graphs_with_the_same_func_id_keep_their_own_kernels() {
    let (worker, _) = failing();
    let [first, second] =
        [100, 200].map(|offset| worker.register(&two_kernels_of_a_graph(offset)).unwrap());
    let run = |handle, value| run_storing(&worker, handle, value, &RunConfig::default()).unwrap().0;
    for value in 0..6 {
        let shown = i32::try_from(value).unwrap();
        assert_eq!((run(&first, value), run(&second, value)), (100 + shown, 200 + shown));
    }
    let mut recordings = [&first, &second].map(|handle| {
        let (mut output, scalar) = ([-1_i32], 5);
        let mut arguments = Arguments::new();
        arguments.push_output(&mut output, &[1]).unwrap();
        arguments.push_scalar(scalar).unwrap();
        worker.record(handle, &mut arguments, &RunConfig::default()).unwrap().0
    });
    for _ in 0..3 {
        for (recording, expected) in recordings.iter_mut().zip([105, 205]) {
            let mut output = [-1_i32];
            let mut arguments = Arguments::new();
            arguments.push_output(&mut output, &[1]).unwrap();
            arguments.push_scalar(5).unwrap();
            recording.replay(&mut arguments, &RunConfig::default()).unwrap();
            drop(arguments);
            assert_eq!(output, [expected]);
        }
    }
    worker.unregister(&first).unwrap();
    assert_eq!(run(&second, 5), 205);
}

#[test]
fn a_registration_for_the_host_that_fails_at_any_step_leaves_nothing() {
    let (worker, failures) = failing();
    let callable = two_kernels_of_a_graph(10);
    let (failed, handle) = fail_each_step(&worker, &failures, || worker.register(&callable), || ());
    assert_eq!((failed, key(&handle)), (vec!["kernel", "kernel"], (0, 5)));
    worker.unregister(&handle).unwrap();
    assert_eq!(worker.usage(), DeviceUsage::default());
}

#[test]
fn placing_again_after_a_loss_that_fails_at_any_step_leaves_nothing_and_the_host_keeps_what_it_has()
{
    let (worker, failures) = failing();
    let handle = worker.register(&two_kernels_of_a_graph(10)).unwrap();
    let run = |value| run_storing(&worker, &handle, value, &RunConfig::default());
    for step in 1..=2 {
        lose_device(&worker);
        let before = Traces::of(&worker);
        failures.fail_at(step);
        let end = run(1);
        failures.fail_at(0);
        assert!(matches!(end, Err(RunError::Replacement(_))), "{end:?}");
        assert_eq!(Traces::of(&worker), before, "after {step}");
        assert_eq!(run(2).unwrap().0, 12, "after {step}");
    }
    assert_eq!(worker.counters().host_dlopen_count, 1);
}

/// How a run with a device tensor ended.
fn run_with(
    worker: &Worker,
    handle: &CallableHandle,
    on_device: protocol::DeviceAddr,
) -> Result<(), RunError> {
    let mut output = [-1_i32];
    let mut arguments = Arguments::new();
    arguments.push_inout(&mut output, &[1]).unwrap();
    let (data, dtype) = (TensorData::Device(on_device), protocol::DataType::Int32);
    arguments.push_tensor(TensorArgument { data, dtype, shape: vec![1] }).unwrap();
    arguments.push_scalar(4).unwrap();
    let end = worker.run(handle, &mut arguments, &RunConfig::default());
    drop(arguments);
    assert_eq!(output, [if end.is_ok() { 14 } else { -1 }]);
    end.map(drop)
}

/// At which step a run failed.
fn step(error: &RunError) -> &'static str {
    match error {
        RunError::Memory(_) => "memory",
        RunError::Build(BuildError::Returned { status: 77, mentioned: Some(call) }) => {
            assert_eq!(call.call, "device_malloc");
            "allocation"
        }
        RunError::Build(BuildError::Call(call)) => {
            assert!(matches!(call.cause, CallFault::Memory(_)), "{call}");
            "copy"
        }
        RunError::GraphMemory { tasks: 1, edges: 0, bytes } => {
            assert!(*bytes > 64, "{error}");
            assert!(error.to_string().contains("1 tasks and 0 edges"), "{error}");
            "graph"
        }
        other => panic!("{other:?}"),
    }
}

/// Lets step after step of a first run fail, and of a second one; alone, or with all that come after it.
/// Returns what failed. Each time the next run works, and unregistering leaves nothing.
fn fail_each_step_of_a_run(are_all_to_fail: bool, runs_before: usize) -> Vec<&'static str> {
    let (worker, failures) = failing();
    let on_device = worker.allocate(4).unwrap();
    let mut failed = Vec::new();
    for number in 1.. {
        let handle = worker.register(&two_kernels_of_a_graph(10)).unwrap();
        (0..runs_before).for_each(|_| run_with(&worker, &handle, on_device).unwrap());
        if are_all_to_fail {
            failures.fail_from(number);
        } else {
            failures.fail_at(number);
        }
        let end = run_with(&worker, &handle, on_device);
        let calls = failures.calls();
        failures.fail_at(0);
        failed.push(end.as_ref().map_or_else(step, |()| "survived"));
        run_with(&worker, &handle, on_device).unwrap();
        assert_eq!(run_storing(&worker, &handle, 5, &RunConfig::default()).unwrap().0, 15);
        worker.unregister(&handle).unwrap();
        assert_eq!((worker.usage().allocations, worker.usage().kernels), (1, 0), "{failed:?}");
        if calls < number {
            assert_eq!(failed.pop(), Some("survived"));
            break;
        }
    }
    worker.free(on_device).unwrap();
    assert_eq!(worker.losses(), 0);
    failed
}

#[test]
fn h17_a_first_run_of_a_host_graph_that_fails_at_any_step_leaves_nothing_and_the_next_one_works() {
    // The device tensor, a chunk, the input; the image, its bytes, what is counted in; the output.
    let lasting = ["memory", "allocation", "copy", "graph", "memory", "graph", "memory"];
    assert_eq!(fail_each_step_of_a_run(true, 0), lasting);
    // A smaller chunk, and room that could be made, help out where a failure does not last.
    let survived = lasting.map(|step| match step {
        "allocation" | "graph" => "survived",
        other => other,
    });
    assert_eq!(fail_each_step_of_a_run(false, 0), survived);
}

#[test]
fn h17_a_later_run_of_a_host_graph_that_fails_at_any_step_leaves_nothing_and_the_next_one_works() {
    // The chunk is there, and so is the graph.
    for are_all_to_fail in [true, false] {
        let failed = fail_each_step_of_a_run(are_all_to_fail, 1);
        assert_eq!(failed, ["memory", "copy", "memory"]);
    }
}

/// The same of a recorded run, by a replay.
#[test]
fn a_replay_that_fails_at_any_step_leaves_what_the_caller_has_and_the_next_one_works() {
    let (worker, failures) = failing();
    let handle = worker.register(&two_kernels_of_a_graph(10)).unwrap();
    let recorded = |output: &mut [i32; 1], act: &mut dyn FnMut(&mut Arguments<'_>)| {
        let mut arguments = Arguments::new();
        arguments.push_inout(output, &[1]).unwrap();
        arguments.push_scalar(4).unwrap();
        act(&mut arguments);
    };
    let (mut output, mut recording) = ([-1], None);
    recorded(&mut output, &mut |arguments| {
        recording = Some(worker.record(&handle, arguments, &RunConfig::default()).unwrap().0);
    });
    let recording = recording.unwrap();
    // The input, and the output.
    for step in 1..=3 {
        for does_last in [false, true] {
            let (mut output, mut end) = ([-1], None);
            if does_last {
                failures.fail_from(step)
            } else {
                failures.fail_at(step)
            }
            recorded(&mut output, &mut |arguments| {
                end = Some(recording.replay(arguments, &RunConfig::default()));
            });
            failures.fail_at(0);
            let end = end.unwrap();
            assert_eq!(end.is_ok(), step == 3, "{end:?}");
            assert_eq!(output, [if step == 3 { 14 } else { -1 }]);
            recorded(&mut output, &mut |arguments| {
                recording.replay(arguments, &RunConfig::default()).unwrap();
            });
            assert_eq!(output, [14]);
        }
    }
}

//! A failure at every step of everything that takes something from the device: the first step fails,
//! then the second, and so on until nothing fails. Each time nothing is left behind, and the next
//! attempt works.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use protocol::A2a3;

use super::*;
use crate::arguments::{TensorArgument, TensorData};
use crate::child;
use crate::device::failing::{FailingDevice, Failures};
use crate::device::sim::SimDevice;
use crate::device::{DeviceMemoryReport, Holder, HolderUsage};

mod host_graphs;

/// A worker on devices that fail when a test wants it.
fn failing() -> (Worker, Arc<Failures>) {
    let failures = Arc::<Failures>::default();
    let of_devices = Arc::clone(&failures);
    let rings = RingConfig { task_window: 64, heap_bytes: 1 << 20, dep_pool: 0 };
    let open = move || -> Result<Box<dyn Device>, DeviceError> {
        let device = SimDevice::<A2a3>::open()?;
        Ok(Box::new(FailingDevice::with(device, Arc::clone(&of_devices))))
    };
    (Worker::open_on(WorkerConfig::default().with_rings(rings), open).unwrap(), failures)
}

/// Two kernels; stores its scalar, plus `offset`, into the first element of its tensor.
fn two_kernels(offset: u32) -> Callable {
    let body = "store(0, args.tensors[0].data, args.scalars[0]);";
    callable(orchestration(body), vec![store_kernel(0, offset), store_kernel(1, 1000 + offset)])
}

/// All that a registration could leave behind.
#[derive(Debug, PartialEq)]
struct Traces {
    usage: DeviceUsage,
    held: Vec<HolderUsage>,
    ids: Vec<(usize, u32)>,
    images: usize,
    loaded: Vec<(usize, u32)>,
    counters: Counters,
}

impl Traces {
    /// `counters` as they are but for runs that failed, which are none of a registration's.
    fn of(worker: &Worker) -> Self {
        let on = worker.shared.devices.ensure().unwrap();
        let DeviceMemoryReport { holders, .. } = on.device().memory_report();
        let held = |usage: HolderUsage| HolderUsage { high_water_bytes: 0, ..usage };
        let holders = holders.into_iter().map(held);
        let registered = worker.shared.registry.all();
        let loaded = on.device().loaded_code();
        Self {
            usage: on.device().usage(),
            held: holders
                .filter(|usage| usage.bytes + usage.allocations > 0)
                // What runs work in stays for the next one.
                .filter(|usage| usage.holder != Holder::RunArena)
                .collect(),
            ids: registered.iter().map(|it| (it.id().index(), it.generation())).collect(),
            images: on.image_count(),
            loaded: loaded.iter().map(|range| (range.id.index(), range.generation)).collect(),
            counters: Counters { failed_runs: 0, ..worker.counters() },
        }
    }
}

/// Which step of registering an error is from, for a callable of two kernels.
fn step_of(error: &RegisterError) -> &'static str {
    match error {
        RegisterError::Orchestration { .. } => "check",
        RegisterError::Kernel { .. } => "kernel",
        RegisterError::Memory { .. } => "image",
        RegisterError::Load { .. } => "load",
        _ => "none",
    }
}

/// Lets step after step of `register` fail, until none does. Returns where it failed, and what was
/// registered in the end. After each failure, what else is registered must be `unhurt`.
fn fail_each_step(
    worker: &Worker,
    failures: &Failures,
    register: impl Fn() -> Result<CallableHandle, RegisterError>,
    unhurt: impl Fn(),
) -> (Vec<&'static str>, CallableHandle) {
    let mut failed = Vec::new();
    loop {
        let before = Traces::of(worker);
        failures.fail_at(failed.len() + 1);
        let end = register();
        let calls = failures.calls();
        failures.fail_at(0);
        match end {
            Ok(handle) => return (failed, handle),
            Err(error) => {
                assert_eq!(calls, failed.len() + 1, "nothing is tried after a failure");
                failed.push(step_of(&error));
            }
        }
        assert_eq!(Traces::of(worker), before, "after {failed:?}");
        unhurt();
        // The next one works, and unregistering leaves nothing either.
        let next = register().unwrap();
        assert_eq!(run_storing(worker, &next, 5, &RunConfig::default()).unwrap().0, 15);
        worker.unregister(&next).unwrap();
        let counters = before.counters;
        assert_eq!(Traces { counters, ..Traces::of(worker) }, before, "after {failed:?}");
    }
}

/// Where a callable of two kernels can fail.
const STEPS: [&str; 6] = ["check", "kernel", "kernel", "image", "image", "load"];

#[test]
fn a_registration_that_fails_at_any_step_leaves_nothing() {
    let (worker, failures) = failing();
    let callable = two_kernels(10);
    let (failed, handle) = fail_each_step(&worker, &failures, || worker.register(&callable), || ());
    assert_eq!((failed, key(&handle)), (STEPS.to_vec(), (0, 13)));
}

#[test]
fn a_registration_under_a_chosen_id_that_fails_at_any_step_leaves_nothing() {
    let (worker, failures) = failing();
    let (callable, id) = (two_kernels(10), CallableId::new(17).unwrap());
    let register = || worker.register_as(id, &callable);
    let (failed, handle) = fail_each_step(&worker, &failures, register, || ());
    assert_eq!((failed, key(&handle)), (STEPS.to_vec(), (17, 13)));
}

/// Id and generation.
fn key(handle: &CallableHandle) -> (usize, u32) {
    (handle.id().index(), handle.generation())
}

#[test]
fn a_registration_that_shares_everything_with_another_one_fails_without_touching_that() {
    let (worker, failures) = failing();
    let callable = two_kernels(10);
    let other = worker.register(&callable).unwrap();
    let unhurt = || {
        let output = run_storing(&worker, &other, 7, &RunConfig::default()).unwrap().0;
        assert_eq!(output, 17);
    };
    unhurt();
    let register = || worker.register(&callable);
    let (failed, handle) = fail_each_step(&worker, &failures, register, unhurt);
    // The image is there, and was checked for this entry, so that there are no steps for it.
    assert_eq!(failed, ["kernel", "kernel", "load"]);
    worker.unregister(&handle).unwrap();
    assert_eq!(run_storing(&worker, &other, 8, &RunConfig::default()).unwrap().0, 18);
    assert_eq!(worker.usage().kernels, 2);
    worker.unregister(&other).unwrap();
    assert_eq!(worker.usage(), DeviceUsage::default(), "no reference was counted twice");
}

/// As when the device was lost: what was on it is placed again on another one by the next run.
fn lose_device(worker: &Worker) {
    let on = worker.shared.devices.current().unwrap();
    worker.shared.devices.forget(&on);
}

#[test]
fn placing_again_after_a_loss_that_fails_at_any_step_leaves_nothing() {
    let (worker, failures) = failing();
    let handle = worker.register(&two_kernels(10)).unwrap();
    let run = |value| run_storing(&worker, &handle, value, &RunConfig::default());
    let mut failed = Vec::new();
    loop {
        lose_device(&worker);
        let before = Traces::of(&worker);
        assert_eq!(before.usage, DeviceUsage::default(), "a fresh device");
        failures.fail_at(failed.len() + 1);
        let end = run(1);
        failures.fail_at(0);
        match end {
            Err(RunError::Replacement(error)) => failed.push(step_of(&error)),
            // A step behind the placement: a buffer for the tensor.
            Err(RunError::Memory(_)) => break,
            other => panic!("{other:?}"),
        }
        assert_eq!(Traces::of(&worker), before, "after {failed:?}");
        assert_eq!(run(2).unwrap().0, 12, "after {failed:?}");
        assert_eq!(worker.counters().loads, before.counters.loads + 1);
    }
    assert_eq!(failed, STEPS);
    assert_eq!(run(3).unwrap().0, 13);
    worker.unregister(&handle).unwrap();
    assert_eq!(worker.usage(), DeviceUsage::default());
}

/// Spec callable §7.1, H17: whatever step of a run fails, the next run works, the caller's outputs
/// are as they were, and unregistering leaves nothing.
#[test]
fn h17_a_run_that_fails_at_any_step_leaves_nothing_and_the_next_one_works() {
    let (worker, failures) = failing();
    let on_device = worker.allocate(4).unwrap();
    let mut steps = 0;
    loop {
        let handle = worker.register(&two_kernels(10)).unwrap();
        let before = worker.usage();
        failures.fail_at(steps + 1);
        let (mut output, input) = ([-1_i32], [3_i32]);
        let mut arguments = Arguments::new();
        arguments.push_inout(&mut output, &[1]).unwrap();
        arguments.push_input(&input, &[1]).unwrap();
        let (data, dtype) = (TensorData::Device(on_device), protocol::DataType::Int32);
        arguments.push_tensor(TensorArgument { data, dtype, shape: vec![1] }).unwrap();
        arguments.push_scalar(4).unwrap();
        let end = worker.run(&handle, &mut arguments, &RunConfig::default());
        failures.fail_at(0);
        if end.is_ok() {
            assert_eq!(output, [14]);
            worker.unregister(&handle).unwrap();
            break;
        }
        steps += 1;
        assert!(matches!(end, Err(RunError::Memory(_))), "{end:?}");
        assert_eq!(output, [-1], "after step {steps}");
        assert!(worker.usage().allocations <= before.allocations + 2, "no more than its buffers");
        assert_eq!(run_storing(&worker, &handle, 5, &RunConfig::default()).unwrap().0, 15);
        worker.unregister(&handle).unwrap();
        assert_eq!((worker.usage().allocations, worker.usage().kernels), (1, 0));
    }
    assert_eq!(steps, RUN_STEPS);
    worker.free(on_device).unwrap();
    assert_eq!(worker.usage(), DeviceUsage::default());
}

/// Room and bytes of two tensors, a look at the one on the device, and one output back. The second
/// tensor is of no declared direction, but the caller cannot have it written to.
const RUN_STEPS: usize = 6;

/// What the process has of the system: mappings and descriptors.
fn system_holdings() -> (usize, usize) {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    (maps.lines().count(), fs::read_dir("/proc/self/fd").unwrap().count())
}

/// Spec callable §7.1, H4, on the level of steps. In a process of its own, as other tests map, too.
#[test]
fn h4_a_registration_that_fails_at_any_step_leaves_no_mapping_and_no_descriptor() {
    let test = "worker::tests::failed_steps::\
                h4_a_registration_that_fails_at_any_step_leaves_no_mapping_and_no_descriptor";
    child::alone(test, || {
        let (worker, failures) = failing();
        let callable = two_kernels(10);
        let cycle = || worker.unregister(&worker.register(&callable).unwrap()).unwrap();
        (0..3).for_each(|_| cycle());
        let before = system_holdings();
        let mut seen = BTreeSet::new();
        for step in 1..=STEPS.len() {
            for _ in 0..20 {
                failures.fail_at(step);
                let error = worker.register(&callable).unwrap_err();
                failures.fail_at(0);
                seen.insert(step_of(&error));
            }
            assert_eq!(system_holdings(), before, "twenty failures of step {step}");
        }
        assert_eq!(seen, BTreeSet::from(STEPS));
    });
}

/// Spec callable §7.1, H2: where the device does not have what it has acknowledged, the run says so,
/// and the next one has it loaded again, wherever its parts then are.
#[test]
fn h2_a_callable_that_the_device_has_forgotten_is_loaded_again_wherever_it_then_is() {
    let (worker, _) = failing();
    let handle = worker.register(&two_kernels(10)).unwrap();
    let run = |value| run_storing(&worker, &handle, value, &RunConfig::default());
    for round in 0..4 {
        assert_eq!(run(round).unwrap().0, 10 + i32::try_from(round).unwrap());
        let on = worker.shared.devices.current().unwrap();
        on.device().unload_orchestration(handle.id(), handle.generation()).unwrap();
        assert_eq!(fault(run(1)).code, Some(StatusCode::CallableNotLoaded));
        // What takes the places that its kernels and its image had.
        let _in_the_way = [(); 3].map(|()| worker.allocate(1 << 14).unwrap());
        let other = worker.register(&two_kernels(500)).unwrap();
        assert_eq!(run_storing(&worker, &other, 1, &RunConfig::default()).unwrap().0, 501);
        assert_eq!(run(2).unwrap().0, 12);
        // Without a run of another callable in between, which would have the record written anew.
        let on = worker.shared.devices.current().unwrap();
        on.device().unload_orchestration(handle.id(), handle.generation()).unwrap();
        assert_eq!(fault(run(1)).code, Some(StatusCode::CallableNotLoaded));
        let _in_the_way = [(); 8].map(|()| {
            worker.register(&two_kernels(600 + 20 * u32::try_from(round).unwrap())).unwrap()
        });
        assert_eq!(run(3).unwrap().0, 13);
        worker.unregister(&other).unwrap();
    }
}

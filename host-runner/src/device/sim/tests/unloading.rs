//! Unloading an orchestration on the executor itself, at any time: a worker would wait for the run.

use std::sync::atomic::{AtomicU32, Ordering};

use aicpu_executor::{ForeignFunction, UnloadOutcome};

use super::super::engine::SimExecutor;
use super::*;
use crate::device::LostCause;

/// What the orchestration counts and obeys. It stays for ever, as lost code may look at it.
#[derive(Debug, Default)]
#[repr(C)]
struct Steps {
    entered: AtomicU32,
    hold_entry: AtomicU32,
    destroyed: AtomicU32,
    hold_destructor: AtomicU32,
}

/// Counts its entry and the end of a static object, and waits in both as it is told to.
fn counting() -> crate::callable::Callable {
    let body = "static timespec pause{0, 1000000}; \
        struct Object { volatile uint32_t *steps; \
            ~Object() { steps[2] = steps[2] + 1; while (steps[3]) nanosleep(&pause, nullptr); } }; \
        static Object object{reinterpret_cast<volatile uint32_t *>(args.scalars[0])}; \
        object.steps[0] = object.steps[0] + 1; \
        while (object.steps[1]) nanosleep(&pause, nullptr); \
        store(0, args.scalars[1], 7);";
    callable(orchestration(body), vec![storing_kernel()])
}

fn storing_kernel() -> crate::callable::KernelImage {
    crate::test_callables::store_kernel(0, 0)
}

/// Runs the callable while `meanwhile` is done as soon as its entry has begun; returns the output.
fn run_and(
    device: &SimDevice<A2a3>,
    steps: &'static Steps,
    launch: &Launch,
    meanwhile: impl FnOnce(&SimExecutor<A2a3>, CallableId, u32) + Send,
) -> Result<i32, DeviceError> {
    let placed = loaded(device, &counting());
    let output = device.allocate(4, Holder::User).unwrap();
    let engine = Arc::clone(&device.parts.engine);
    std::thread::scope(|scope| {
        let placed = &placed;
        scope.spawn(move || {
            while steps.entered.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            meanwhile(engine.executor(), placed.id, placed.generation);
        });
        let address = std::ptr::from_ref(steps).expose_provenance() as u64;
        let outcome = placed.run(device, &[address, output.raw()], launch)?;
        assert_eq!(outcome.fault, None);
        Ok(int_at(device, output))
    })
}

fn steps() -> &'static Steps {
    Box::leak(Box::default())
}

fn on_threads(aicpu_threads: u32) -> Launch {
    Launch { aicpu_threads, ..launch() }
}

#[test]
fn unloading_during_a_run_is_deferred_to_its_end_and_done_once() {
    for aicpu_threads in [1, 3] {
        let (device, steps) = (SimDevice::<A2a3>::open().unwrap(), steps());
        steps.hold_entry.store(1, Ordering::SeqCst);
        let output =
            run_and(&device, steps, &on_threads(aicpu_threads), |executor, id, generation| {
                let call = executor.running_call().unwrap();
                assert_eq!((call.callable, call.function), (id, ForeignFunction::Entry));
                let stale = UnloadOutcome::Stale { loaded: generation };
                assert_eq!(executor.unload(id, Some(generation + 1)), stale);
                for _ in 0..2 {
                    assert_eq!(executor.unload(id, Some(generation)), UnloadOutcome::Deferred);
                }
                assert_eq!(steps.destroyed.load(Ordering::SeqCst), 0);
                steps.hold_entry.store(0, Ordering::SeqCst);
            });
        assert_eq!(output.unwrap(), 7);
        assert_eq!(steps.destroyed.load(Ordering::SeqCst), 1);
        let executor = device.parts.engine.executor();
        let id = CallableId::new(0).unwrap();
        assert_eq!(executor.unload(id, Some(1)), UnloadOutcome::NothingLoaded);
        drop(device);
        assert_eq!(steps.destroyed.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_destructor_that_hangs_at_the_end_of_a_run_is_named_by_the_run() {
    let (device, steps) = (SimDevice::<A2a3>::open().unwrap(), steps());
    steps.hold_destructor.store(1, Ordering::SeqCst);
    steps.hold_entry.store(1, Ordering::SeqCst);
    let (timeout, grace) = (Duration::from_millis(500), Duration::from_millis(300));
    let launch_of_it = Launch { timeout, grace, ..on_threads(2) };
    let lost = run_and(&device, steps, &launch_of_it, |executor, id, generation| {
        assert_eq!(executor.unload(id, Some(generation)), UnloadOutcome::Deferred);
        steps.hold_entry.store(0, Ordering::SeqCst);
    });
    let Err(DeviceError::Lost(lost)) = lost else { panic!("{lost:?}") };
    let LostCause::Function(call) = &lost.cause else { panic!("{lost:?}") };
    assert!(matches!(call.function, ForeignFunction::Destructor { .. }), "{call}");
    let fault = lost.fault.as_ref().unwrap();
    assert_eq!(fault.code, StatusCode::DestructorTimeout.code(), "{fault:?}");
    assert_eq!(steps.destroyed.load(Ordering::SeqCst), 1);
    assert!(matches!(device.run(&launch(), &mut |_| {}), Err(DeviceError::Gone)));
    assert_eq!(device.unload_orchestration(CallableId::new(0).unwrap(), 1), Ok(()));
    steps.hold_destructor.store(0, Ordering::SeqCst);
}

#[test]
fn limits_without_end_are_no_panic() {
    let device = SimDevice::<A2a3>::open().unwrap();
    drop(device.with_unload_limit(std::time::Duration::MAX));
}

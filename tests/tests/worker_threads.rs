//! The threads of a worker: when they begin, and that they are gone when it is, whatever was in
//! flight.
//!
//! Alone in its program, one test at a time: other workers beside it would have threads of the same
//! names.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use host_runner::run::RunError;
use host_runner::worker::{CallableHandle, DeviceStart, SubmitRefusal, Worker, WorkerConfig};
use tests::flag::Flag;
use tests::process::threads_named;
use tests::workers::open;

#[path = "runs/setting.rs"]
#[allow(dead_code, reason = "shared with the tests of runs")]
mod setting;

use setting::{Held, PATIENCE, config, faulty, has_started, note, register, short, sum, until};

/// One test at a time, and the threads of devices that were lost before: they stay for good.
struct Alone {
    _guard: MutexGuard<'static, ()>,
    lost: usize,
}

impl Alone {
    fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        Self { _guard: guard, lost: threads_named("sim-") }
    }

    /// Threads of devices, and threads that carry out submitted runs. A thread gets its name a
    /// little after it is started, and is seen a little after it was waited for.
    fn threads(&self) -> (usize, usize) {
        thread::sleep(Duration::from_millis(20));
        (threads_named("sim-").saturating_sub(self.lost), threads_named("run-queue"))
    }

    /// Asserts that there are none.
    #[track_caller]
    fn assert_no_threads(&self) {
        until(|| self.threads() == (0, 0));
    }
}

fn opened_at_first_use() -> Worker {
    let config = WorkerConfig::default().with_device_start(DeviceStart::AtFirstUse);
    Worker::open(config).unwrap()
}

/// A use of a worker that needs its device.
type Need = fn(&Worker);

#[test]
fn nothing_is_started_before_the_first_need_of_a_device() {
    let alone = Alone::new();
    assert_eq!(alone.threads(), (0, 0));
    let needs: [Need; 4] = [
        |worker| assert!(worker.facts().unwrap().clusters_max > 0),
        |worker| assert!(!worker.allocate(8).unwrap().is_null()),
        |worker| drop(register(worker, "adds")),
        |worker| assert!(worker.copy_out(&mut [0], protocol::DeviceAddr::new(64)).is_err()),
    ];
    for need in needs {
        let worker = opened_at_first_use();
        assert_eq!((worker.usage(), worker.losses()), Default::default());
        assert_eq!(worker.memory_report().bytes, 0);
        assert_eq!((worker.counters().loads, worker.interleaving()), (0, None));
        assert_eq!((worker.symbolise(64), alone.threads()), (None, (0, 0)));
        need(&worker);
        let (of_device, of_queue) = alone.threads();
        assert!(of_device > 4);
        assert_eq!(of_queue, 0, "nothing was submitted");
        drop(worker);
        alone.assert_no_threads();
    }
    drop(opened_at_first_use());
    let at_once = open();
    assert!(alone.threads().0 > 4);
    drop(at_once);
    alone.assert_no_threads();
}

#[test]
fn registrations_from_several_threads_start_one_device() {
    let alone = Alone::new();
    let loaders = threads_named("sim-loader");
    let worker = opened_at_first_use();
    thread::scope(|scope| {
        for entry in ["adds", "doubles", "notes"] {
            let worker = &worker;
            scope.spawn(move || std::mem::forget(register(worker, entry)));
        }
    });
    assert!(alone.threads().0 > 4);
    assert_eq!(threads_named("sim-loader"), loaders + 1, "a device has one");
    assert_eq!(worker.counters().registrations, 3);
    // The forgotten handles keep the worker's parts; its device and threads go all the same.
    drop(worker);
    alone.assert_no_threads();
}

/// Sets the flag a while after the worker is being dropped.
fn set_soon(flag: &Flag) -> impl FnOnce() + Send + use<'_> {
    || {
        thread::sleep(Duration::from_millis(60));
        flag.set();
    }
}

#[test]
fn dropping_a_worker_lets_one_run_end_and_refuses_the_others() {
    let alone = Alone::new();
    let worker = open();
    let handle = register(&worker, "notes");
    let state = worker.allocate(8).unwrap();
    let mut bound = worker.bind(&handle, note(state, 1), &config()).unwrap();
    let Held { flag, handle: of_held, completion } = Held::new(&worker);
    let submit = |number| worker.submit(&handle, note(state, number), &config()).unwrap();
    let queued: Vec<_> = (0..20).map(submit).collect();
    let ended = worker.begin_unregister(&of_held).unwrap();
    thread::scope(|scope| {
        // A call that waits for its turn meanwhile.
        let mut calling = bound.clone();
        let calling = scope.spawn(move || calling.run());
        until(|| worker.memory_report().queue.runs == 22);
        scope.spawn(set_soon(&flag));
        assert!(has_started(&completion));
        drop(worker);
        let refused = calling.join().unwrap();
        assert!(matches!(refused, Err(RunError::Closed)), "{refused:?}");
    });
    alone.assert_no_threads();
    let output = completion.try_take().expect("it has ended").unwrap();
    assert_eq!(output.arguments.elements::<u64>(0), Some(vec![1]));
    for completion in queued {
        assert!(!completion.cancel(), "it has ended already");
        let refused = completion.try_take().expect("and is told");
        assert!(matches!(refused, Err(RunError::Closed)), "{refused:?}");
    }
    ended.try_take().expect("its run has ended").unwrap();

    // What outlives the worker is refused.
    assert!(matches!(bound.run(), Err(RunError::Closed)));
    let refused = bound.submit().unwrap_err();
    assert!(matches!(refused.why, SubmitRefusal::Run(RunError::Closed)), "{refused:?}");
    assert_eq!(&*refused.arguments, bound.arguments());
    let refused = bound.submit_within(PATIENCE).unwrap_err();
    assert!(matches!(refused.why, SubmitRefusal::Run(RunError::Closed)), "{refused:?}");
    assert!(of_held.is_stale() && !handle.is_stale());
    assert_eq!((handle.id().index(), handle.generation()), (0, 1));
    drop((handle, of_held, bound));
    alone.assert_no_threads();
}

/// Takes its time where it is told of an end, and says so when it has done.
struct Slow(Arc<AtomicBool>);

impl Wake for Slow {
    fn wake(self: Arc<Self>) {
        thread::sleep(Duration::from_millis(150));
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn dropping_a_worker_waits_until_everybody_has_been_told() {
    let _alone = Alone::new();
    let worker = open();
    let handle = register(&worker, "adds");
    let Held { flag, mut completion, .. } = Held::new(&worker);
    let told = Arc::new(AtomicBool::new(false));
    let waker = Waker::from(Arc::new(Slow(Arc::clone(&told))));
    let polled = pin!(&mut completion).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    flag.set();
    until(|| completion.is_done());
    drop(worker);
    assert!(told.load(Ordering::SeqCst), "the thread that tells is gone with the worker");
    drop(handle);
}

#[test]
fn a_bound_call_in_flight_is_waited_for_and_who_waits_for_room_is_refused() {
    let alone = Alone::new();
    let worker = Worker::open(WorkerConfig::default().with_in_flight_bytes(4_000)).unwrap();
    let handle = setting::register_faulty(&worker, "waits_for_flag");
    let flag = Flag::new();
    let mut call = worker.bind(&handle, faulty(&flag), &config()).unwrap();
    let adds = register(&worker, "adds");
    let waiting = worker.bind(&adds, sum(&[0; 8].into(), 1), &config()).unwrap();
    thread::scope(|scope| {
        let running = scope.spawn(|| call.run());
        until(|| worker.memory_report().queue.runs == 1);
        let first = waiting.submit().unwrap();
        let refused = scope.spawn(|| waiting.submit_within(PATIENCE));
        thread::sleep(Duration::from_millis(30));
        assert!(!refused.is_finished());
        scope.spawn(set_soon(&flag));
        drop(worker);
        assert_eq!(flag.get(), 1, "the call in flight has ended");
        let refused = refused.join().unwrap().unwrap_err();
        assert!(matches!(refused.why, SubmitRefusal::Run(RunError::Closed)), "{refused:?}");
        assert!(matches!(first.wait(), Err(RunError::Closed)));
        running.join().unwrap().unwrap();
    });
    assert_eq!(call.arguments().elements::<u64>(0), Some(vec![1]));
    alone.assert_no_threads();
}

#[test]
fn a_run_that_hangs_keeps_no_worker_from_closing() {
    let alone = Alone::new();
    let worker = open();
    let handle = setting::register_faulty(&worker, "waits_for_flag");
    let flag = Flag::new();
    let hangs = worker.submit(&handle, faulty(&flag), &short()).unwrap();
    let queued = worker.submit(&handle, faulty(&flag), &short()).unwrap();
    until(|| has_started(&hangs));
    drop(worker);
    assert!(matches!(hangs.wait(), Err(RunError::DeviceLost(_))));
    assert!(matches!(queued.wait(), Err(RunError::Closed)));
    let (of_device, of_queue) = alone.threads();
    assert!(of_device > 0 && of_queue == 0, "those of the lost device stay, the queue's does not");
    flag.set();
}

#[test]
fn closing_gives_the_memory_of_callables_back_though_handles_remain() {
    let alone = Alone::new();
    let descriptors = || tests::process::Holdings::now().descriptors;
    let mut handles: Vec<CallableHandle> = Vec::new();
    let mut held = Vec::new();
    for _ in 0..6 {
        let worker = open();
        let before = worker.usage();
        let handle = register(&worker, "adds");
        let run = worker.submit(&handle, sum(&[0; 80_000].into(), 1), &config()).unwrap();
        run.wait().unwrap();
        assert!(worker.usage().bytes > before.bytes + 160_000);
        drop(worker);
        handles.push(handle);
        alone.assert_no_threads();
        held.push(descriptors());
    }
    assert_eq!(held[2], held[5]);
}

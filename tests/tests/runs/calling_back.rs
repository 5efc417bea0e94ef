//! Wakers that use the worker: they are called by the thread that carries out submitted runs, or by
//! the one that cancels or closes.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use host_runner::device::DeviceError;
use host_runner::run::RunError;
use host_runner::worker::{SubmitRefusal, UnregisterError, Worker, WorkerConfig};
use tests::workers::open;

use super::setting::{Held, PATIENCE, cell_at, cells, config, note, noted, register, sum, until};

/// Does something once, when it is woken.
struct Callback(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Wake for Callback {
    fn wake(self: Arc<Self>) {
        let act = self.0.lock().unwrap().take();
        if let Some(act) = act {
            act();
        }
    }
}

/// Has `act` called when the future is ready, which it is not yet; what it gives comes back.
fn when_ready<F: Future + Unpin, T: Send + 'static>(
    future: &mut F,
    act: impl FnOnce() -> T + Send + 'static,
) -> Receiver<T> {
    let (sender, receiver) = channel();
    let act = move || sender.send(act()).unwrap();
    let waker = Waker::from(Arc::new(Callback(Mutex::new(Some(Box::new(act))))));
    assert!(pin!(future).as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    receiver
}

fn shared() -> Arc<Worker> {
    Arc::new(open())
}

#[test]
fn a_waker_submits_the_next_run() {
    let worker = shared();
    let handle = register(&worker, "notes");
    let state = worker.allocate(8).unwrap();
    let mut held = Held::new(&worker);
    let submitted = when_ready(&mut held.completion, {
        let (worker, handle) = (Arc::clone(&worker), handle.clone());
        move || worker.submit(&handle, note(state, 6), &config())
    });
    let before = worker.submit(&handle, note(state, 5), &config()).unwrap();
    held.release();
    before.wait().unwrap();
    submitted.recv_timeout(PATIENCE).unwrap().unwrap().wait().unwrap();
    assert_eq!(cell_at(&worker, state), noted([5, 6]));
}

#[test]
fn what_would_wait_for_itself_in_a_waker_is_refused_instead() {
    let limit = WorkerConfig::default().with_in_flight_bytes(8_000);
    let worker = Arc::new(Worker::open(limit).unwrap());
    let handle = register(&worker, "adds");
    let mut held = Held::new(&worker);
    let answers = when_ready(&mut held.completion, {
        let (worker, handle) = (Arc::clone(&worker), handle.clone());
        move || {
            let input: Arc<[u8]> = [0; 8].into();
            let bound = worker.bind(&handle, sum(&input, 1), &config()).unwrap();
            let ran = bound.clone().run();
            // It would have room alone.
            let too_much = sum(&[0; 800].into(), 1);
            let fits = worker.submit_within(&handle, sum(&input, 2), &config(), PATIENCE);
            let waits = worker.submit_within(&handle, too_much, &config(), PATIENCE);
            let memory = worker.allocate(8).unwrap();
            (ran, fits, waits, worker.free(memory), worker.unregister(&handle))
        }
    });
    held.release();
    let (ran, fits, waits, freed, unregistered) = answers.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(ran, Err(RunError::FromRun)), "{ran:?}");
    assert_eq!(cells(fits.unwrap().wait(), 1), [2]);
    let why = waits.unwrap_err().why;
    assert!(matches!(why, SubmitRefusal::Run(RunError::FromRun)), "{why:?}");
    assert!(matches!(freed, Err(DeviceError::NoTurn { .. })), "{freed:?}");
    assert_eq!(unregistered, Err(UnregisterError::FromRun));
    for text in [RunError::FromRun.to_string(), UnregisterError::FromRun.to_string()] {
        assert!(text.contains("another thread") && text.contains("without waiting"), "{text}");
    }
    let run = worker.submit(&handle, sum(&[0; 8].into(), 3), &config()).unwrap();
    assert_eq!(cells(run.wait(), 1), [3]);
}

#[test]
fn a_waker_that_is_told_of_the_end_of_a_registration_may_ask_for_it_again() {
    let worker = shared();
    let held = Held::new(&worker);
    let handle = held.handle.clone();
    let mut ended = worker.begin_unregister(&handle).unwrap();
    let again = when_ready(&mut ended, {
        let (worker, handle) = (Arc::clone(&worker), handle.clone());
        move || (worker.begin_unregister(&handle).map(drop), register(&worker, "adds"))
    });
    held.release();
    let (again, next) = again.recv_timeout(PATIENCE).expect("nobody waits for itself");
    assert!(matches!(again, Err(UnregisterError::StaleCallable(_))), "{again:?}");
    assert_eq!(next.id(), handle.id(), "the id was free before anybody was told");
    ended.wait().unwrap();
}

#[test]
fn a_waker_unregisters_and_drops_the_last_handle() {
    let worker = shared();
    let handle = register(&worker, "adds");
    let mut run = {
        let held = Held::new(&worker);
        let mut run = worker.submit(&handle, sum(&[0; 8].into(), 1), &config()).unwrap();
        let ended = when_ready(&mut run, {
            let (worker, handle) = (Arc::clone(&worker), handle.clone());
            move || {
                let ended = worker.begin_unregister(&handle).unwrap().try_take();
                drop(handle);
                ended
            }
        });
        held.release();
        let ended = ended.recv_timeout(PATIENCE).unwrap();
        ended.expect("no run of it is in flight any more").unwrap();
        run
    };
    assert!(pin!(&mut run).as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    drop(handle);
    until(|| worker.counters().unregistrations == 2);
}

#[test]
fn a_waker_drops_the_worker() {
    let worker = open();
    let handle = register(&worker, "adds");
    let mut held = Held::new(&worker);
    let queued = worker.submit(&handle, sum(&[0; 8].into(), 1), &config()).unwrap();
    let bound = worker.bind(&handle, sum(&[0; 8].into(), 1), &config()).unwrap();
    let dropped = when_ready(&mut held.completion, move || drop(worker));
    held.flag.set();
    dropped.recv_timeout(PATIENCE).expect("nobody waits for itself");
    held.completion.wait().unwrap();
    assert!(matches!(queued.wait(), Err(RunError::Closed)));
    assert!(matches!(bound.clone().run(), Err(RunError::Closed)));
}

#[test]
fn a_waker_that_is_called_by_a_cancellation_may_submit_and_cancel() {
    let worker = shared();
    let handle = register(&worker, "notes");
    let state = worker.allocate(8).unwrap();
    let held = Held::new(&worker);
    let submit = |number| worker.submit(&handle, note(state, number), &config()).unwrap();
    let (mut first, second) = (submit(1), submit(2));
    let outcome = when_ready(&mut first, {
        let (worker, handle) = (Arc::clone(&worker), handle.clone());
        move || (second.cancel(), worker.submit(&handle, note(state, 3), &config()))
    });
    assert!(first.cancel());
    let (cancelled, third) = outcome.recv_timeout(Duration::ZERO).expect("within the call");
    assert!(cancelled);
    held.release();
    third.unwrap().wait().unwrap();
    assert_eq!(cell_at(&worker, state), noted([3]));
}

//! Many runs in flight: results in order, right, each its own, however they are taken.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use host_runner::arguments::OwnedData;
use host_runner::run::RunError;
use tests::workers::open;

use super::setting::{
    Held, PATIENCE, bytes_of, cell_at, cells, config, expected_sum, note, noted, register, sum,
};

/// Runs the futures of a test: one thread polls, others wake it.
struct Executor(Sender<()>);

impl Wake for Executor {
    fn wake(self: Arc<Self>) {
        // The test has ended where nobody receives.
        let _ = self.0.send(());
    }
}

/// Polls a future to its end, and says how often.
fn block_on<F: Future>(future: F) -> (F::Output, u32) {
    let (sender, woken) = channel();
    let waker = Waker::from(Arc::new(Executor(sender)));
    let mut future = pin!(future);
    for polls in 1.. {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return (output, polls);
        }
        woken.recv_timeout(PATIENCE).unwrap();
    }
    unreachable!("polled for ever");
}

#[test]
fn two_hundred_runs_of_two_callables_give_their_own_results_in_order() {
    let worker = open();
    let handles = [register(&worker, "adds"), register(&worker, "doubles")];
    let numbers: Vec<u64> = (0..64).map(|i| 10_000 * i).collect();
    let input: Arc<[u8]> = bytes_of(&numbers).into();
    let held = Held::new(&worker);
    let mut inflight = Vec::new();
    for number in 0..200_u64 {
        let handle = &handles[usize::from(number % 2 == 1)];
        inflight.push(worker.submit(handle, sum(&input, 7 * number), &config()).unwrap());
    }
    assert_eq!(worker.runs_in_flight(&handles[0]), 100);
    assert_eq!(worker.memory_report().queue.runs, 201);
    assert!(inflight.iter().all(|completion| !completion.is_done()));
    held.release();
    for (number, completion) in (0_u64..).zip(inflight) {
        // Whatever is done was submitted before what is not.
        let result = match number % 4 {
            0 => completion.wait(),
            1 => completion.wait_for(PATIENCE).unwrap(),
            2 => {
                let mut taken = completion.try_take();
                while let Err(again) = taken {
                    thread::sleep(Duration::from_micros(100));
                    taken = again.try_take();
                }
                taken.unwrap()
            }
            _ => thread::spawn(|| block_on(completion).0).join().unwrap(),
        };
        let output = result.unwrap();
        let expected = expected_sum(1 + number % 2, &numbers, 7 * number);
        assert_eq!(output.arguments.elements::<u64>(1), Some(expected), "run {number}");
        // The input is the same memory in all of them.
        let OwnedData::In(shared) = &output.arguments.tensors()[0] else { panic!() };
        assert!(Arc::ptr_eq(shared, &input));
    }
    assert_eq!(Arc::strong_count(&input), 1, "what is done holds no input");
    let counters = worker.counters();
    assert_eq!((counters.runs, counters.failed_runs, counters.loads), (201, 0, 3));
}

#[test]
fn runs_are_carried_out_in_the_order_of_their_submission() {
    let worker = open();
    let handle = register(&worker, "notes");
    let state = worker.allocate(8).unwrap();
    let submit = |number| worker.submit(&handle, note(state, number), &config()).unwrap();
    let inflight: Vec<_> = (0..40).map(submit).collect();
    for (number, completion) in inflight.into_iter().enumerate().rev() {
        completion.wait().unwrap();
        assert!(number < 40);
    }
    assert_eq!(cell_at(&worker, state), noted(0..40));
}

#[test]
fn a_wait_ends_at_its_deadline_and_gives_the_handle_back() {
    let worker = open();
    let held = Held::new(&worker);
    let handle = register(&worker, "adds");
    let completion = worker.submit(&handle, sum(&[1; 8].into(), 1), &config()).unwrap();
    let start = Instant::now();
    let completion = completion.wait_for(Duration::from_millis(60)).unwrap_err();
    let elapsed = start.elapsed();
    assert!((Duration::from_millis(60)..Duration::from_secs(5)).contains(&elapsed), "{elapsed:?}");
    let completion = completion.wait_for(Duration::ZERO).unwrap_err();
    let completion = completion.try_take().unwrap_err();
    assert!(!completion.is_done());
    held.release();
    let one = u64::from_le_bytes([1; 8]);
    assert_eq!(cells(completion.wait_for(PATIENCE).unwrap(), 1), [one + 1]);
}

#[test]
fn a_completion_wakes_the_task_that_awaits_it() {
    let worker = open();
    let held = Held::new(&worker);
    let handle = register(&worker, "adds");
    let submit = |first| worker.submit(&handle, sum(&[0; 8].into(), first), &config()).unwrap();
    let (first, second) = (submit(5), submit(6));
    let task = thread::spawn(move || {
        block_on(async move { (cells(first.await, 1), cells(second.await, 1)) })
    });
    // Time for the first poll, which finds nothing.
    thread::sleep(Duration::from_millis(20));
    assert!(!task.is_finished());
    held.release();
    let (outputs, polls) = task.join().unwrap();
    assert_eq!(outputs, (vec![5], vec![6]));
    assert!((2..=3).contains(&polls), "{polls} polls: one for each end at most, and the first");
}

#[test]
fn a_result_is_given_once() {
    let worker = open();
    let handle = register(&worker, "adds");
    let mut completion = worker.submit(&handle, sum(&[0; 8].into(), 5), &config()).unwrap();
    block_on(&mut completion).0.unwrap();
    assert!(matches!(completion.wait(), Err(RunError::Abandoned)));
}

#[test]
fn a_completion_that_nobody_keeps_is_a_run_all_the_same() {
    let worker = open();
    let handle = register(&worker, "notes");
    let state = worker.allocate(8).unwrap();
    for number in 1..4 {
        drop(worker.submit(&handle, note(state, number), &config()).unwrap());
    }
    assert_eq!(cell_at(&worker, state), noted(1..4), "copying waits for what was submitted");
}

#[test]
fn settings_and_shapes_of_one_run_are_no_matter_for_the_next() {
    let worker = open();
    let handle = register(&worker, "adds");
    let runs = [(1, 4_usize), (24, 1), (3, 1000), (7, 2)];
    let inflight = runs.map(|(block_dim, count)| {
        let config = host_runner::run::RunConfig { block_dim, ..config() };
        let input = bytes_of(&vec![9; count]).into();
        worker.submit(&handle, sum(&input, 1), &config).unwrap()
    });
    for ((_, count), completion) in runs.into_iter().zip(inflight) {
        assert_eq!(cells(completion.wait(), 1), expected_sum(1, &vec![9; count], 1));
    }
    let beyond = host_runner::run::RunConfig { block_dim: 25, ..config() };
    let refused = worker.submit(&handle, sum(&[0; 8].into(), 1), &beyond).unwrap().wait();
    assert!(matches!(refused, Err(RunError::BlockDim { value: 25, max: 24 })), "{refused:?}");
}

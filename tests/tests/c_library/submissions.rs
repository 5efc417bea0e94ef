//! Runs that the client does not wait for.

use std::thread;
use std::time::Duration;

use protocol::{ChipStorageTaskArgs, CoreType, DataType};
use tests::c_library::{Client, arguments, tensor};
use tests::flag::Flag;
use tests::sources;
use tests::workers::SENTINEL;

use crate::setting::{CHIPS, Floats, GOLDEN, vector_add, with_client};

const PENDING: i32 = -1001;
const CANCELLED: i32 = -1002;
const FOREVER: u64 = u64::MAX;

/// A callable whose one task waits for a flag, under id 1.
pub(crate) fn prepare_waiting(client: &Client<'_>) {
    let mut kernels = sources::cell_kernels();
    kernels.push(sources::kernel(6, CoreType::Aiv, "wait_for_flag"));
    let callable = sources::callable("c_library", "waits_for_flag", kernels);
    assert_eq!(client.prepare(1, callable.blob()), 0, "{}", client.last_error());
}

pub(crate) fn waiting(cells: &mut [u64; 1], flag: &Flag) -> ChipStorageTaskArgs {
    arguments(&[tensor(DataType::Uint64, cells)], &[flag.address()])
}

#[test]
fn a_submitted_run_owns_its_inputs_and_writes_when_it_is_asked() {
    with_client(|client| {
        assert_eq!(client.prepare(0, &vector_add(CHIPS[0].1)), 0);
        let mut floats = Floats::new();
        let run = client.submit(0, &floats.record());
        assert!(!run.run.is_null(), "{}", client.last_error());
        floats.forget_inputs();
        assert_eq!(run.wait(FOREVER), 0, "{}", client.last_error());
        floats.check(GOLDEN);
        // The answer stays, and what the client does with its memory afterwards as well.
        floats.f.fill(0.0);
        assert_eq!((run.poll(), run.wait(0), run.cancel()), (0, 0, -1));
        floats.check(0.0);
        assert_eq!(client.loads(), (1, 0));
    });
}

#[test]
fn runs_end_in_order_and_what_has_not_begun_can_be_cancelled() {
    with_client(|client| {
        assert_eq!(client.prepare(0, &vector_add(CHIPS[0].1)), 0);
        prepare_waiting(client);
        let (flag, mut cells) = (Flag::new(), [SENTINEL]);
        let first = client.submit(1, &waiting(&mut cells, &flag));
        let mut floats = [Floats::new(), Floats::new()];
        let [second, third] = floats.each_mut().map(|it| client.submit(0, &it.record()));
        assert_eq!((first.poll(), first.wait(20), second.wait(1)), (PENDING, PENDING, PENDING));
        assert_eq!((second.cancel(), second.cancel(), second.wait(FOREVER)), (0, 0, CANCELLED));
        assert_eq!(first.cancel(), -1, "it has begun");
        // One waits while another one sets it going.
        let ends = thread::scope(|scope| {
            let waiters = [(); 2].map(|()| scope.spawn(|| third.wait(FOREVER)));
            thread::sleep(Duration::from_millis(20));
            flag.set();
            waiters.map(|waiter| waiter.join().unwrap())
        });
        assert_eq!((ends, first.wait(FOREVER), second.poll()), ([0, 0], 0, CANCELLED));
        floats[0].check(0.0);
        floats[1].check(GOLDEN);
        assert_eq!(cells, [1]);
    });
}

#[test]
fn a_submitted_run_that_fails_says_so_and_writes_nothing() {
    with_client(|client| {
        let callable = crate::setting::cells("writes_all_and_may_fail", Vec::new());
        assert_eq!(client.prepare(0, callable.blob()), 0);
        let mut cells = [SENTINEL; 3];
        let submit = |cells: &mut [u64; 3], fails| {
            client.submit(0, &arguments(&[tensor(DataType::Uint64, cells)], &[fails]))
        };
        let run = submit(&mut cells, 1);
        assert_eq!((run.wait(FOREVER), cells, run.poll()), (-9, [SENTINEL; 3], -9));
        let run = submit(&mut cells, 0);
        assert_eq!((run.wait(FOREVER), cells), (0, [1000, 1001, 1002]));
        // [registrations, loads, runs, lost devices, unregistrations, bytes, hits, failed runs]
        let counters = client.counters();
        assert_eq!((counters[..5].to_vec(), counters[7]), (vec![1, 1, 1, 0, 0], 1));
        assert!(counters[5] > 10_000);
    });
}

#[test]
fn what_run_prepared_refuses_is_not_submitted_and_wrong_handles_are_errors() {
    with_client(|client| {
        let mut floats = Floats::new();
        let refused = client.submit(0, &floats.record());
        assert!(refused.run.is_null());
        assert!(client.last_error().contains("not prepared"), "{}", client.last_error());
        assert_eq!((refused.poll(), refused.cancel(), refused.wait(FOREVER)), (-1, -1, -1));
        assert_eq!(client.prepare(0, &vector_add(CHIPS[0].1)), 0);
        let run = client.submit(0, &floats.record());
        assert_eq!(run.wait(FOREVER), 0);
        floats.check(GOLDEN);
    });
}

#[test]
fn unregistering_waits_for_runs_and_finalizing_refuses_those_that_have_not_begun() {
    with_client(|client| {
        let blob = vector_add(CHIPS[0].1);
        assert_eq!(client.prepare(0, &blob), 0);
        prepare_waiting(client);
        let (flag, mut cells) = (Flag::new(), [SENTINEL]);
        let first = client.submit(1, &waiting(&mut cells, &flag));
        while client.loads() == (0, 0) {
            thread::yield_now();
        }
        let mut floats = Floats::new();
        let second = client.submit(0, &floats.record());
        thread::scope(|scope| {
            let unregistered = scope.spawn(|| client.unregister(1));
            thread::sleep(Duration::from_millis(30));
            assert!(!unregistered.is_finished(), "its run is in flight");
            // Refused at once, and the id is not free yet.
            assert_eq!(
                (client.run(1, &waiting(&mut [0], &flag)), client.prepare(1, &blob)),
                (-1, -1)
            );
            let finalized = scope.spawn(|| client.finalize());
            thread::sleep(Duration::from_millis(30));
            assert!(!finalized.is_finished());
            flag.set();
            assert_eq!((unregistered.join().unwrap(), finalized.join().unwrap()), (0, 0));
        });
        assert_eq!((first.wait(FOREVER), cells), (0, [1]));
        // It has run between the two, or was refused: both are an end.
        let end = second.wait(FOREVER);
        assert!(matches!(end, 0 | -1), "{end}");
        floats.check(if end == 0 { GOLDEN } else { 0.0 });
    });
}

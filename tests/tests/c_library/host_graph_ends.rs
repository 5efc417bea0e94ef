//! How runs of host graphs end, in numbers: what was submitted, time limits, kernels that fail, counters.

use tests::c_library::{Client, tensor};
use tests::flag::Flag;
use tests::script::{AIV, At, Script, THROWS};
use tests::workers::SENTINEL;

use protocol::DataType;

use crate::host_graphs::{PLAYER, mixed, play, script_record, with_player};

const FOREVER: u64 = u64::MAX;

/// What a submitted run of a script ends with, asked for twice.
#[track_caller]
fn submitted(client: &Client<'_>, script: &Script, cells: &mut [u64]) -> i32 {
    // Every tensor may be written back to, so the words have to stay until then.
    let mut words = script.encoded();
    let record = script_record(&mut words, &[tensor(DataType::Uint64, cells)]);
    let run = client.submit(PLAYER, &record);
    assert!(!run.run.is_null(), "{}", client.last_error());
    let end = run.wait(FOREVER);
    assert_eq!((run.wait(0), run.poll(), run.cancel()), (end, end, -1), "the answer stays");
    end
}

#[test]
fn a_submitted_run_ends_as_one_that_is_waited_for() {
    with_player(|client| {
        let mut cells = [1, 2, 3, 4];
        assert_eq!((submitted(client, &mixed(), &mut cells), cells), (0, [9, 13, 17, 21]));
        for (script, code) in [
            (mixed().returns(7), 7),
            (mixed().returns(-7), -7),
            (mixed().throws(1), -1),
            (mixed().edge(0, 0), -1),
            (mixed().task(THROWS, AIV, &[]), -210),
        ] {
            assert_eq!(submitted(client, &script, &mut cells), code);
            assert_eq!(play(client, &script, &mut cells), code, "{}", client.last_error());
            assert_eq!(cells, [9, 13, 17, 21]);
        }
    });
}

/// A client that goes through its buffers in turn: what it puts there for the next run stays, and what a run
/// has computed is all there, also where it is what was there before.
#[test]
fn inputs_that_are_filled_anew_while_a_run_is_in_flight_stay_and_outputs_are_whole() {
    with_player(|client| {
        let (mut input, mut output) = ([1u64, 2, 3, 4], [9u64, 0, 0, 21]);
        let (host, device) = (At::Tensor(1, 0), At::Memory(0, 0));
        let script = Script::new()
            .malloc(0, 32)
            .copy(device, host, 32)
            .mix(device, device, device, 5, 4)
            .record(At::Tensor(2, 0), device, 32);
        for round in 1..4 {
            let mut words = script.encoded();
            let tensors = [&mut input[..], &mut output].map(|it| tensor(DataType::Uint64, it));
            let run = client.submit(PLAYER, &script_record(&mut words, &tensors));
            assert!(!run.run.is_null(), "{}", client.last_error());
            let expected = input.map(|x| 4 * x + 5);
            (input, output) = ([10 * round; 4], [SENTINEL; 4]);
            assert_eq!(run.wait(FOREVER), 0, "{}", client.last_error());
            assert_eq!((input, output), ([10 * round; 4], expected), "round {round}");
        }
    });
}

/// These two say that a run has not ended, or not begun: a client that waits would wait for ever.
#[test]
fn an_entry_cannot_make_a_submitted_run_look_as_if_it_went_on() {
    with_player(|client| {
        for status in [-1001, -1002] {
            let (script, mut cells) = (Script::new().returns(status), [SENTINEL]);
            assert_eq!(submitted(client, &script, &mut cells), -1);
            assert_eq!(play(client, &script, &mut cells), status);
            let text = client.last_error();
            assert!(text.contains(&format!("returned {status}")), "{text}");
        }
    });
}

#[test]
fn an_entry_that_takes_longer_than_the_run_may_is_its_time_limit() {
    with_player(|client| {
        let long = (0..500_000).fold(Script::new(), |script, _| script.count()).then(&mixed());
        let mut cells = [1, 2, 3, 4];
        assert_eq!(client.set_run_limits([1, 0, 0]), 0);
        assert_eq!(play(client, &long, &mut cells), -100, "{}", client.last_error());
        assert!(client.last_error().contains("1ms"), "{}", client.last_error());
        assert_eq!((cells, client.counters()[3]), ([1, 2, 3, 4], 0), "no device is lost");
        assert_eq!(client.set_run_limits([0, 0, 0]), 0);
        assert_eq!((play(client, &long, &mut cells), cells), (0, [9, 13, 17, 21]));
    });
}

/// As of trb: the device is given up, the callable is on the next one, and its orchestration stays open.
#[test]
fn a_kernel_that_does_not_return_costs_the_device_and_the_next_run_works() {
    with_player(|client| {
        let (flag, mut cells) = (Flag::new(), [1, 2, 3, 4]);
        assert_eq!(client.set_run_limits([300, 0, 100]), 0);
        let held = mixed().hold(At::Memory(0, 0), &flag).edge(0, 1);
        assert_eq!(play(client, &held, &mut cells), -100, "{}", client.last_error());
        assert_eq!((cells, client.counters()[3]), ([1, 2, 3, 4], 1));
        assert_eq!(client.set_run_limits([0, 0, 0]), 0);
        assert_eq!((play(client, &mixed(), &mut cells), cells), (0, [9, 13, 17, 21]));
        assert_eq!(client.loads(), (0, 1), "placing it again is not counted");
        flag.set();
    });
}

#[test]
fn counters_say_what_was_uploaded_and_what_was_there() {
    with_player(|client| {
        // Registrations, loads, runs, lost devices, unregistrations, bytes, hits, failed runs; graphs
        // uploaded, replayed and their bytes; orchestrations opened.
        let before = client.counters();
        assert!(before[5] > 10_000, "kernels: {before:?}");
        assert_eq!((before[0], before[8..].to_vec()), (1, vec![0, 0, 0, 1]));
        let mut cells = [1, 2, 3, 4];
        assert_eq!(play(client, &mixed(), &mut cells), 0);
        let first = client.counters();
        assert_eq!((first[2], first[7..10].to_vec()), (1, vec![0, 1, 0]));
        assert!(first[10] > 0);
        for _ in 0..3 {
            assert_eq!(play(client, &mixed(), &mut cells), 0);
        }
        let replayed = client.counters();
        assert_eq!(replayed[8..], [1, 3, first[10], 1], "an unchanged graph costs nothing");
        assert_eq!(play(client, &mixed().returns(3), &mut cells), 3);
        let failed = client.counters();
        assert_eq!((failed[7], &failed[8..]), (1, &replayed[8..]));
        // A client of an earlier version has fewer of them, one of a later version more.
        assert_eq!(client.counters_of(8), failed[..8]);
        assert_eq!(client.counters_of(14), [&failed[..], &[0, 0]].concat());
    });
}

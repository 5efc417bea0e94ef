//! The hbg variants: the same calls, with orchestrations that run in the client's process (spec callable
//! §6.3, hbg A6).

use protocol::ChipStorageTaskArgs;
use tests::c_library::{Client, HostLibrary, arguments, tensor};
use tests::prepared::reference_graph;
use tests::script::{At, Script, player_for};

use crate::setting::{CHIPS, Floats, GOLDEN, held, vector_add};
use host_runner::worker::PlatformName;
use protocol::DataType;

/// The hbg library of each chip, what callables are compiled for, and what its graph makes of 2 and 3.
const HBG: [(&str, PlatformName, f32); 2] =
    [("a2a3_hbg", PlatformName::A2a3Sim, 42.0), ("a5_hbg", PlatformName::A5Sim, 6.0)];

/// Runs a scenario on both chips, with the blob of the chip and what its graph computes.
fn on_both_chips(scenario: impl Fn(&Client<'_>, &[u8], f32)) {
    for (library, platform, golden) in HBG {
        let library = HostLibrary::open(library);
        let client = library.attach();
        scenario(&client, reference_graph(platform).blob(), golden);
        let (on_device, on_host) = client.loads();
        assert_eq!((on_device, client.finalize()), (0, 0));
        assert_eq!(client.loads(), (0, on_host), "finalizing does not reset the host's counter");
    }
}

#[test]
fn base_two_ids_of_one_callable_are_prepared_and_run_twice() {
    on_both_chips(|client, blob, golden| {
        assert_eq!((client.prepare(0, blob), client.prepare(1, blob)), (0, 0));
        for cid in [0, 0, 1] {
            Floats::run_and_check(client, cid, golden);
        }
        assert_eq!((client.unregister(0), client.unregister(1)), (0, 0));
        assert_eq!(client.loads(), (0, 2));
    });
}

#[test]
fn a_five_runs_of_one_id_open_it_once() {
    on_both_chips(|client, blob, golden| {
        assert_eq!((client.prepare(0, blob), client.loads()), (0, (0, 1)));
        for _ in 0..5 {
            Floats::run_and_check(client, 0, golden);
        }
        assert_eq!(client.loads(), (0, 1));
    });
}

#[test]
fn b_two_ids_that_take_turns_are_opened_twice() {
    on_both_chips(|client, blob, golden| {
        assert_eq!((client.prepare(0, blob), client.prepare(1, blob)), (0, 0));
        for cid in [0, 1].repeat(5) {
            Floats::run_and_check(client, cid, golden);
        }
        assert_eq!(client.loads(), (0, 2));
    });
}

#[test]
fn c_preparing_an_id_twice_is_refused_and_not_counted() {
    on_both_chips(|client, blob, golden| {
        assert_eq!((client.prepare(0, blob), client.prepare(0, blob)), (0, -1));
        assert!(client.last_error().contains("callable_id=0 is prepared already"));
        Floats::run_and_check(client, 0, golden);
        assert_eq!((client.loads(), client.unregister(0)), ((0, 1), 0));
    });
}

#[test]
fn d_an_id_that_is_prepared_again_is_opened_again() {
    on_both_chips(|client, blob, golden| {
        for round in 1..=3 {
            assert_eq!(client.prepare(0, blob), 0);
            Floats::run_and_check(client, 0, golden);
            assert_eq!((client.loads(), client.unregister(0)), ((0, round), 0));
            assert_eq!(client.run(0, &Floats::new().record()), -1);
        }
    });
}

#[test]
fn a_callable_without_its_entry_is_not_prepared_and_not_counted() {
    on_both_chips(|client, blob, golden| {
        let mut wrong = blob.to_vec();
        // The name of the entry, and its length.
        wrong[264..328].fill(0);
        wrong[264..272].copy_from_slice(b"no_entry");
        wrong[328] = 8;
        let before = held(client);
        assert_eq!(client.prepare(0, &wrong), -1);
        assert!(client.last_error().contains("no_entry"), "{}", client.last_error());
        assert_eq!((client.loads(), held(client)), ((0, 0), before));
        assert_eq!(client.prepare(0, blob), 0);
        Floats::run_and_check(client, 0, golden);
    });
}

/// The record of a script that works on cells.
fn script_record(words: &mut [u64], cells: &mut [u64]) -> ChipStorageTaskArgs {
    // No address of answers.
    arguments(&[tensor(DataType::Uint64, words), tensor(DataType::Uint64, cells)], &[0])
}

#[test]
fn what_the_entry_returns_is_what_the_client_gets_and_its_tensors_stay() {
    for (library, platform, _) in HBG {
        let library = HostLibrary::open(library);
        let client = library.attach();
        assert_eq!(client.prepare(3, player_for(platform.chip()).blob()), 0);
        let (host, device) = (At::Tensor(1, 0), At::Memory(0, 0));
        let written = Script::new().malloc(0, 32).copy(device, host, 32).record(host, device, 32);
        let mixed = written.mix(device, device, device, 5, 4);
        for (script, code, text) in [
            (mixed.clone().returns(7), 7, "returned 7"),
            (mixed.clone().returns(-5), -5, "returned -5"),
            (mixed.clone().throws(0), -1, "C++ exception"),
            (mixed.clone().edge(0, 0), -1, "task 0 waits for itself"),
            (mixed.clone().edge(0, 9), -1, "from task 0 to task 9"),
        ] {
            let (mut words, mut cells) = (script.encoded(), vec![1, 2, 3, 4]);
            assert_eq!(client.run(3, &script_record(&mut words, &mut cells)), code);
            assert!(client.last_error().contains(text), "{}", client.last_error());
            assert_eq!(cells, [1, 2, 3, 4], "{text}");
            let (mut words, mut cells) = (mixed.encoded(), vec![1, 2, 3, 4]);
            assert_eq!(client.run(3, &script_record(&mut words, &mut cells)), 0);
            assert_eq!(cells, [9, 13, 17, 21], "4 x + 5");
        }
    }
}

#[test]
fn submitted_runs_of_host_graphs_write_back_when_they_are_waited_for() {
    on_both_chips(|client, blob, golden| {
        assert_eq!(client.prepare(0, blob), 0);
        let mut floats = Floats::new();
        let record = floats.record();
        let submission = client.submit(0, &record);
        floats.forget_inputs();
        assert_eq!(submission.wait(20_000), 0, "{}", client.last_error());
        floats.check(golden);
    });
}

#[test]
fn libraries_of_both_runtimes_work_side_by_side() {
    for ((trb, platform), (hbg, _, golden)) in CHIPS.into_iter().zip(HBG) {
        let (trb, hbg) = (HostLibrary::open(trb), HostLibrary::open(hbg));
        let (trb, hbg) = (trb.attach(), hbg.attach());
        assert_eq!(trb.prepare(0, &vector_add(platform)), 0);
        assert_eq!(hbg.prepare(0, reference_graph(platform).blob()), 0);
        for _ in 0..3 {
            Floats::run_and_check(&trb, 0, GOLDEN);
            Floats::run_and_check(&hbg, 0, golden);
        }
        assert_eq!((trb.loads(), hbg.loads()), ((1, 0), (0, 1)));
    }
}

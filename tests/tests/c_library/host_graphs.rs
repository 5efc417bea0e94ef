//! The hbg variants: the same calls, with orchestrations that run in the client's process (spec callable
//! §6.3, hbg A6).

use std::thread;

use host_runner::worker::PlatformName;
use protocol::{ChipCallable, ChipStorageTaskArgs, ContinuousTensor, DataType};
use tests::c_library::{Client, HostLibrary, arguments, tensor};
use tests::prepared::reference_graph;
use tests::script::{At, Script, player_for};

use crate::hostile::{AtTheEdge, Numbers};
use crate::setting::{CHIPS, Floats, GOLDEN, held, vector_add};

/// The hbg library of each chip, what callables are compiled for, and what its graph makes of 2 and 3.
pub(crate) const HBG: [(&str, PlatformName, f32); 2] =
    [("a2a3_hbg", PlatformName::A2a3Sim, 42.0), ("a5_hbg", PlatformName::A5Sim, 6.0)];

/// Runs a scenario on both chips, with the blob of the chip and what its graph computes.
pub(crate) fn on_both_chips(scenario: impl Fn(&Client<'_>, &[u8], f32)) {
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

/// The record of a script that works on tensors: the first of them is tensor 1.
pub(crate) fn script_record(
    words: &mut [u64],
    tensors: &[ContinuousTensor],
) -> ChipStorageTaskArgs {
    // No address of answers.
    arguments(&[&[tensor(DataType::Uint64, words)], tensors].concat(), &[0])
}

/// The id under which [`with_player`] prepares the callable that makes the calls of scripts.
pub(crate) const PLAYER: i32 = 3;

/// Does something on both chips with that callable.
pub(crate) fn with_player(test: impl Fn(&Client<'_>)) {
    for (library, platform, _) in HBG {
        let library = HostLibrary::open(library);
        let client = library.attach();
        let callable = player_for(platform.chip());
        assert_eq!(client.prepare(PLAYER, callable.blob()), 0, "{}", client.last_error());
        test(&client);
    }
}

/// Runs a script on cells as tensor 1.
pub(crate) fn play(client: &Client<'_>, script: &Script, cells: &mut [u64]) -> i32 {
    client.run(PLAYER, &script_record(&mut script.encoded(), &[tensor(DataType::Uint64, cells)]))
}

/// Calls of a graph that makes 4 x + 5 of the four cells of tensor 1.
pub(crate) fn mixed() -> Script {
    let (host, device) = (At::Tensor(1, 0), At::Memory(0, 0));
    let written = Script::new().malloc(0, 32).copy(device, host, 32).record(host, device, 32);
    written.mix(device, device, device, 5, 4)
}

#[test]
fn what_the_entry_returns_is_what_the_client_gets_and_its_tensors_stay() {
    with_player(|client| {
        let mixed = mixed();
        let x = At::Memory(0, 0);
        let cycle = mixed.clone().mix(x, x, x, 1, 4).edge(0, 1).edge(1, 0);
        for (script, code, text) in [
            (mixed.clone().returns(7), 7, "returned 7"),
            (Script::new().returns(i32::MAX), i32::MAX, "returned 2147483647"),
            (Script::new().returns(-1002), -1002, "returned -1002"),
            (mixed.clone().returns(-5), -5, "returned -5"),
            (mixed.clone().throws(0), -1, "C++ exception"),
            (mixed.clone().edge(0, 0), -1, "task 0 waits for itself"),
            (mixed.clone().edge(0, 9), -1, "from task 0 to task 9"),
            (cycle.clone(), -1, "0 → 1 → 0"),
        ] {
            let mut cells = [1, 2, 3, 4];
            assert_eq!(play(client, &script, &mut cells), code);
            assert!(client.last_error().contains(text), "{}", client.last_error());
            assert_eq!(cells, [1, 2, 3, 4], "{text}");
            assert_eq!(play(client, &mixed, &mut cells), 0);
            assert_eq!(cells, [9, 13, 17, 21], "4 x + 5");
        }
    });
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
        floats.check_with_forgotten_inputs(golden);
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

/// hbg has no default for the name of the entry (spec hbg A6).
#[test]
fn a_callable_that_does_not_name_its_entry_is_not_prepared() {
    on_both_chips(|client, blob, golden| {
        let mut nameless = blob.to_vec();
        nameless[264..332].fill(0);
        let before = held(client);
        assert_eq!(client.prepare(0, &nameless), -1);
        let text = client.last_error();
        assert!(text.contains("names no entry") && text.contains("hbg"), "{text}");
        assert_eq!((client.loads(), held(client)), ((0, 0), before));
        assert_eq!((client.prepare(0, blob), client.loads()), (0, (0, 1)));
        Floats::run_and_check(client, 0, golden);
    });
}

#[test]
fn a_context_lives_again_after_it_was_finalized_and_goes_on_counting() {
    on_both_chips(|client, blob, golden| {
        for count in 1..=3 {
            assert_eq!((client.prepare(7, blob), client.loads()), (0, (0, count)));
            Floats::run_and_check(client, 7, golden);
            // What is registered is taken away with the device.
            assert_eq!((client.finalize(), client.finalize()), (0, 0));
            assert_eq!((client.prepare(7, blob), client.loads()), (-1, (0, count)));
            assert_eq!((client.init(0), client.counters()), (0, [0; 12]));
        }
    });
}

#[test]
fn nothing_stays_after_unregistering_however_often() {
    on_both_chips(|client, blob, golden| {
        let round = || {
            assert_eq!((client.prepare(0, blob), client.prepare(0, blob)), (0, -1));
            Floats::run_and_check(client, 0, golden);
            assert_eq!(client.unregister(0), 0);
            held(client)
        };
        let first = round();
        assert!(first.is_empty(), "{first:?}");
        assert!((0..10).all(|_| round() == first));
    });
}

#[test]
fn threads_of_a_client_take_turns_on_one_context() {
    on_both_chips(|client, blob, golden| {
        assert_eq!((client.prepare(0, blob), client.prepare(1, blob)), (0, 0));
        thread::scope(|scope| {
            for cid in [0, 1, 0, 1] {
                scope.spawn(move || {
                    for _ in 0..5 {
                        Floats::run_and_check(client, cid, golden);
                    }
                });
            }
        });
        assert_eq!((client.loads(), client.counters()[2]), ((0, 2), 20));
    });
}

/// Blobs end where memory ends, so a step too far would end the process. Those that are callables too are
/// not run.
#[test]
fn hostile_blobs_are_refused_or_harmless() {
    on_both_chips(|client, blob, golden| {
        let edge = AtTheEdge::new(blob.len());
        for length in (0..blob.len()).step_by(blob.len() / 60) {
            assert_eq!(client.prepare_at(9, edge.put(&blob[..length])), -1, "{length}");
        }
        let mut numbers = Numbers(0x0B5E_55ED);
        for _ in 0..150 {
            let mut forged = blob.to_vec();
            for _ in 0..=numbers.below(4) {
                // Images are for the tests of the loader, which is the system's.
                let at = numbers.below(size_of::<ChipCallable>());
                forged[at] ^= 1 << numbers.below(8);
            }
            let code = client.prepare_at(9, edge.put(&forged));
            assert!(code == -1 || client.unregister(9) == 0, "{code}");
        }
        assert_eq!(client.prepare_at(9, edge.put(blob)), 0, "{}", client.last_error());
        Floats::run_and_check(client, 9, golden);
    });
}

/// Libraries of one process have their objects open side by side, and every one of them its own: each has
/// code of its own that opens them, and the system's loader tells objects apart by their names.
#[test]
fn objects_of_several_libraries_are_not_taken_for_each_other() {
    let [a2a3, a5] = HBG.map(|(library, ..)| HostLibrary::open(library));
    let (first, second) = (a2a3.attach(), a5.attach());
    let graphs = HBG.map(|(_, platform, _)| reference_graph(platform));
    let players = HBG.map(|(_, platform, _)| player_for(platform.chip()));
    // While one has a graph open, the other opens a player under the number that is the next one there.
    for cid in 0..24 {
        let (here, there) = if cid % 2 == 0 { (0, 1) } else { (1, 0) };
        let blobs = [&graphs, &players];
        assert_eq!(first.prepare(cid, blobs[here][0].blob()), 0, "{}", first.last_error());
        assert_eq!(second.prepare(cid, blobs[there][1].blob()), 0, "{}", second.last_error());
    }
    for cid in 0..24 {
        let (graph, player) = if cid % 2 == 0 { (&first, &second) } else { (&second, &first) };
        let golden = HBG[(cid % 2) as usize].2;
        Floats::run_and_check(graph, cid, golden);
        let (mut words, mut cells) = (mixed().encoded(), [1u64, 2, 3, 4]);
        let record = script_record(&mut words, &[tensor(DataType::Uint64, &mut cells)]);
        assert_eq!((player.run(cid, &record), cells), (0, [9, 13, 17, 21]));
    }
}

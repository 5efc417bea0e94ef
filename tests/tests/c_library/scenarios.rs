//! The reference's system tests of prepared callables (spec callable §6.3), by their letters.

use tests::c_library::{Client, HostLibrary};

use crate::setting::{CHIPS, Floats, GOLDEN, held, vector_add};

/// Runs a scenario on both chips, with a context of its own and the blob of the chip.
fn on_both_chips(scenario: impl Fn(&Client<'_>, &[u8])) {
    for (library, platform) in CHIPS {
        let library = HostLibrary::open(library);
        let client = library.attach();
        scenario(&client, &vector_add(platform));
        assert_eq!(client.finalize(), 0);
        assert_eq!(client.loads(), (0, 0), "finalizing resets the counter");
    }
}

#[test]
fn base_two_ids_of_one_callable_are_prepared_and_run_twice() {
    on_both_chips(|client, blob| {
        assert_eq!((client.prepare(0, blob), client.prepare(1, blob)), (0, 0));
        for cid in [0, 0, 1] {
            Floats::run_and_check(client, cid, GOLDEN);
        }
        assert_eq!((client.unregister(0), client.unregister(1)), (0, 0));
    });
}

#[test]
fn a_five_runs_of_one_id_load_once() {
    on_both_chips(|client, blob| {
        assert_eq!(client.prepare(0, blob), 0);
        assert_eq!(client.loads(), (0, 0), "preparing is not counted");
        for _ in 0..5 {
            Floats::run_and_check(client, 0, GOLDEN);
        }
        assert_eq!(client.loads(), (1, 0));
        assert_eq!((client.unregister(0), client.loads()), (0, (1, 0)));
    });
}

#[test]
fn b_two_ids_that_take_turns_load_twice() {
    on_both_chips(|client, blob| {
        assert_eq!((client.prepare(0, blob), client.prepare(1, blob)), (0, 0));
        for cid in [0, 1].repeat(5) {
            Floats::run_and_check(client, cid, GOLDEN);
        }
        assert_eq!(client.loads(), (2, 0));
    });
}

#[test]
fn c_preparing_an_id_twice_is_refused_and_the_first_stays() {
    on_both_chips(|client, blob| {
        assert_eq!((client.prepare(0, blob), client.prepare(0, blob)), (0, -1));
        let text = client.last_error();
        assert!(text.contains("callable_id=0 is prepared already"), "{text}");
        Floats::run_and_check(client, 0, GOLDEN);
        assert_eq!((client.loads(), client.unregister(0)), ((1, 0), 0));
    });
}

#[test]
fn d_an_id_that_is_prepared_again_loads_again() {
    on_both_chips(|client, blob| {
        for round in 1..=3 {
            assert_eq!(client.prepare(0, blob), 0);
            Floats::run_and_check(client, 0, GOLDEN);
            assert_eq!((client.loads(), client.unregister(0)), ((round, 0), 0));
            assert_eq!(client.loads(), (round, 0), "unregistering is not counted");
            let record = Floats::new().record();
            assert_eq!(client.run(0, &record), -1);
            assert!(client.last_error().contains("callable_id=0 not prepared"));
        }
    });
}

#[test]
fn e_one_of_two_ids_of_a_callable_goes_and_the_other_still_runs() {
    on_both_chips(|client, blob| {
        assert_eq!((client.prepare(0, blob), client.prepare(1, blob)), (0, 0));
        Floats::run_and_check(client, 0, GOLDEN);
        Floats::run_and_check(client, 1, GOLDEN);
        assert_eq!(client.unregister(0), 0);
        Floats::run_and_check(client, 1, GOLDEN);
        assert_eq!(client.loads(), (2, 0));
    });
}

/// A later test of the reference (spec callable §6.3, F).
#[test]
fn f_a_callable_without_its_entry_is_not_prepared_and_not_counted() {
    for (library, platform) in CHIPS {
        let library = HostLibrary::open(library);
        let client = library.attach();
        let mut blob = vector_add(platform);
        // The name of the entry, and its length.
        blob[264..328].fill(0);
        blob[264..272].copy_from_slice(b"no_entry");
        blob[328] = 8;
        let before = held(&client);
        assert_eq!(client.prepare(0, &blob), -1);
        let text = client.last_error();
        assert!(text.contains("no_entry"), "{text}");
        assert_eq!(client.run(0, &Floats::new().record()), -1);
        assert_eq!((client.loads(), held(&client)), ((0, 0), before));
        assert_eq!(client.prepare(0, &vector_add(platform)), 0);
        Floats::run_and_check(&client, 0, GOLDEN);
    }
}

/// A finalized context can be attached again, to another device too (spec callable §7.3, R10).
#[test]
fn r10_a_context_lives_again_after_it_was_finalized() {
    on_both_chips(|client, blob| {
        for device_id in [0, 5] {
            assert_eq!(client.prepare(7, blob), 0);
            let mut floats = Floats::new();
            let record = floats.record();
            let from = std::ptr::from_ref(&record).cast();
            if device_id == 5 {
                assert_eq!(client.run_at(7, from, 3, 4, 0), -1, "another device");
            }
            assert_eq!(client.run_at(7, from, 3, 4, device_id), 0, "{}", client.last_error());
            floats.check(GOLDEN);
            assert_eq!((client.loads(), client.finalize(), client.finalize()), ((1, 0), 0, 0));
            assert_eq!(client.prepare(7, blob), -1);
            assert_eq!((client.loads(), client.init(5)), ((0, 0), 0));
        }
    });
}

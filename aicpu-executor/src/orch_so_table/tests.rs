//! The life of a slot: hostile classes 32 (reload while old code runs, double unload, stale handle)
//! and 33 (constructors that throw or do not return), against a platform that writes down what it is
//! asked to do.
//!
//! A function that does not return is played by one that does, late: what others find meanwhile is
//! looked at from inside it.

use std::string::ToString;

use protocol::StatusCode;

use super::*;

#[path = "../../tests/support/elf_numbers.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared with the integration tests")]
mod elf_numbers;
#[path = "../../tests/support/image_builder.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared with the integration tests")]
pub(crate) mod image_builder;
#[path = "../../tests/support/image_patch.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared with the integration tests")]
mod image_patch;
pub(crate) mod recorder;

use image_builder::{TEXT, TestImage};
use recorder::{Bench, Event, Recorder, id, range};

/// `DT_INIT`, then the init array.
const CONSTRUCTORS: [Event; 3] =
    [Event::Constructor(TEXT + 80), Event::Constructor(TEXT + 32), Event::Constructor(TEXT + 48)];
/// The fini array, then `DT_FINI`.
const DESTRUCTORS: [Event; 2] = [Event::Destructor(TEXT + 64), Event::Destructor(TEXT + 96)];

/// From empty memory to code of a generation that is ready.
fn loading(generation: u32) -> Vec<Event> {
    let announced = Event::Announced(generation);
    let prepared = [Event::Placed, Event::Sealed, Event::UnwindRegistered, announced];
    prepared.into_iter().chain(CONSTRUCTORS).collect()
}

/// From the last run of a generation to empty memory.
fn unloading(generation: u32) -> Vec<Event> {
    let withdrawn = Event::Withdrawn(generation);
    let given_back = [Event::UnwindDeregistered, withdrawn, Event::Released];
    DESTRUCTORS.into_iter().chain(given_back).collect()
}

/// What messages call the callable and its image.
fn label() -> String {
    let digits = image_builder::BUILD_ID.map(|byte| format!("{byte:02x}")).concat();
    format!("callable 5 libtest.so (build-id {digits})")
}

/// Where the table says that code is.
fn ranges(table: &OrchSoTable) -> Vec<LoadedRange> {
    let mut ranges = Vec::new();
    table.loaded_ranges(|range| ranges.push(range));
    ranges
}

/// Runs the entry under a lease.
fn run(lease: &Lease<'_, Recorder<'_>>) {
    let call = ForeignCall::Entry(lease.entries.entry, core::ptr::null());
    // SAFETY: the recorder calls nothing.
    unsafe { lease.call(call) }.expect("the entry returns");
}

#[test]
fn constructors_run_last_and_destructors_first_each_once() {
    let (bench, platform) = (Bench::new(), Recorder::new());
    let lease = bench.load(&platform, 1).unwrap();
    assert_eq!(platform.take_events(), loading(1));
    run(&lease);
    drop(lease);
    run(&bench.enter(&platform, Some(1)).unwrap());
    assert_eq!(platform.take_events(), [Event::Entry(TEXT); 2]);
    assert_eq!(bench.unload(&platform, Some(1)), UnloadOutcome::Unloaded);
    assert_eq!(platform.take_events(), unloading(1));
    assert_eq!(bench.unload(&platform, Some(1)), UnloadOutcome::NothingLoaded);
    assert_eq!(platform.take_events(), []);
    assert_eq!(bench.faults.take(), None);
}

#[test]
fn unloading_during_a_run_waits_for_its_end_and_happens_once() {
    let (bench, platform) = (Bench::new(), Recorder::new());
    let first = bench.load(&platform, 1).unwrap();
    let second = bench.enter(&platform, Some(1)).unwrap();
    platform.take_events();
    for _ in 0..2 {
        assert_eq!(bench.unload(&platform, Some(1)), UnloadOutcome::Deferred);
    }
    let parts = [&*label(), "unloaded", "2 threads"];
    bench.assert_fault(bench.enter(&platform, Some(1)), StatusCode::CallableBusy, &parts);
    run(&first);
    drop(first);
    run(&second);
    assert_eq!(platform.take_events(), [Event::Entry(TEXT); 2], "still callable");
    drop(second);
    assert_eq!(platform.take_events(), unloading(1));
    assert_eq!(bench.unload(&platform, Some(1)), UnloadOutcome::NothingLoaded);
    drop(bench.load(&platform, 2).unwrap());
    assert_eq!(platform.take_events(), loading(2));
}

#[test]
fn a_reload_while_the_old_code_runs_is_refused_and_loses_nothing() {
    let (bench, platform) = (Bench::new(), Recorder::new());
    let lease = bench.load(&platform, 1).unwrap();
    platform.take_events();
    let parts = [&*format!("{} is in use", label()), "1 threads"];
    bench.assert_fault(bench.load(&platform, 2), StatusCode::CallableBusy, &parts);
    run(&lease);
    drop(lease);
    run(&bench.enter(&platform, Some(1)).unwrap());
    assert_eq!(platform.take_events(), [Event::Entry(TEXT); 2]);

    drop(bench.load(&platform, 2).unwrap());
    let reloading: Vec<_> = unloading(1).into_iter().chain(loading(2)).collect();
    assert_eq!(platform.take_events(), reloading);
}

#[test]
fn a_stale_handle_neither_runs_nor_unloads_the_code_that_took_its_place() {
    let (bench, platform) = (Bench::new(), Recorder::new());
    drop(bench.load(&platform, 1).unwrap());
    assert_eq!(bench.unload(&platform, Some(1)), UnloadOutcome::Unloaded);
    bench.assert_fault(bench.enter(&platform, Some(1)), StatusCode::CallableNotLoaded, &[]);
    drop(bench.load(&platform, 2).unwrap());
    platform.take_events();
    let parts = [&*label(), "loaded as generation 2", "for generation 1"];
    bench.assert_fault(bench.enter(&platform, Some(1)), StatusCode::StaleCallable, &parts);
    assert_eq!(bench.unload(&platform, Some(1)), UnloadOutcome::Stale { loaded: 2 });
    assert_eq!(platform.take_events(), []);
    // A host without generations checks nothing.
    run(&bench.enter(&platform, None).unwrap());
    assert_eq!(bench.unload(&platform, None), UnloadOutcome::Unloaded);
}

#[test]
fn a_refused_image_leaves_what_is_loaded_and_one_without_room_an_empty_slot() {
    let (bench, platform) = (Bench::new(), Recorder::new());
    drop(bench.load(&platform, 1).unwrap());
    platform.take_events();
    let truncated = &bench.image[..100];
    let parts = ["cannot load the orchestration of callable 5"];
    let ended = bench.load_bytes(&platform, 2, truncated);
    bench.assert_fault(ended, StatusCode::LoadFailed, &parts);
    bench.assert_fault(bench.load_bytes(&platform, 2, &[]), StatusCode::LoadFailed, &parts);
    let ended = bench.load_entry(&platform, 2, &bench.image, b"entrance");
    bench.assert_fault(
        ended,
        StatusCode::EntryMissing,
        &["of callable 5", "entered at `entrance`"],
    );
    assert_eq!(platform.take_events(), []);
    run(&bench.enter(&platform, Some(1)).unwrap());
    platform.take_events();

    platform.memory.lock().is_full = true;
    bench.assert_fault(bench.load(&platform, 2), StatusCode::LoadFailed, &parts);
    assert_eq!(platform.take_events(), unloading(1));
    bench.assert_fault(bench.enter(&platform, None), StatusCode::CallableNotLoaded, &parts[1..]);
    platform.memory.lock().is_full = false;
    drop(bench.load(&platform, 2).unwrap());
    assert_eq!(platform.take_events(), loading(2));
}

#[test]
fn a_constructor_that_throws_ends_the_load_and_the_next_one_works() {
    let bench = Bench::new();
    for thrower in CONSTRUCTORS {
        let throws = Recorder::with_behaviour(|event| {
            let text = heapless::String::try_from("no tiles").unwrap();
            if event == thrower { Err(text) } else { Ok(0) }
        });
        let parts = [&*format!("a constructor of {} threw no tiles", label())];
        bench.assert_fault(bench.load(&throws, 1), StatusCode::EntryException, &parts);
        let mut expected = loading(1);
        expected.truncate(expected.iter().position(|event| *event == thrower).unwrap() + 1);
        expected.extend(unloading(1));
        assert_eq!(throws.take_events(), expected);
        assert_eq!(bench.unload(&throws, None), UnloadOutcome::NothingLoaded);
    }
    let platform = Recorder::new();
    drop(bench.load(&platform, 2).unwrap());
    assert_eq!(bench.unload(&platform, None), UnloadOutcome::Unloaded);
}

#[test]
fn a_destructor_that_throws_keeps_neither_the_others_nor_the_memory() {
    let bench = Bench::new();
    let throws = Recorder::with_behaviour(|event| match event {
        Event::Destructor(_) => Err(heapless::String::try_from("late").unwrap()),
        _ => Ok(0),
    });
    drop(bench.load(&throws, 1).unwrap());
    throws.take_events();
    assert_eq!(bench.unload(&throws, None), UnloadOutcome::Unloaded);
    assert_eq!(throws.take_events(), unloading(1));
}

/// What everybody else finds while a constructor or destructor of generation 1 does not return and
/// somebody has given up on it.
#[track_caller]
fn assert_closed(bench: &Bench) {
    let other = Recorder::new();
    let (code, parts) = (StatusCode::CallableQuarantined, [&*label(), "has not returned"]);
    bench.assert_fault(bench.enter(&other, Some(1)), code, &parts);
    bench.assert_fault(bench.load(&other, 2), code, &parts);
    assert_eq!(bench.unload(&other, Some(1)), UnloadOutcome::Quarantined);
    assert_eq!(bench.unload(&other, Some(2)), UnloadOutcome::Stale { loaded: 1 });
    bench.table.unload_all(&other);
    assert_eq!(other.take_events(), [], "its memory is not touched");
}

#[test]
fn a_constructor_that_is_given_up_on_closes_the_slot_until_it_returns() {
    let bench = Bench::new();
    let late = Recorder::with_behaviour(|event| {
        if event == CONSTRUCTORS[1] {
            let watcher = Recorder::new();
            let call = bench.table.longest_call(&watcher).expect("a constructor is running");
            let place = TEXT + 32;
            let expected = format!("constructor 2 of 3 of {} at {place:#x}", label());
            assert_eq!(call.to_string(), expected);
            assert!(bench.table.quarantine(id()));
            assert_closed(&bench);
        }
        Ok(0)
    });
    bench.assert_fault(bench.load(&late, 1), StatusCode::ConstructorTimeout, &[&label()]);
    let mut expected = loading(1);
    expected.pop();
    expected.extend(unloading(1));
    assert_eq!(late.take_events(), expected, "the third constructor does not run");
    assert_eq!(bench.table.longest_call(&late), None);

    // The lost thread has come out: the id is as good as new.
    let platform = Recorder::new();
    run(&bench.load(&platform, 2).unwrap());
    assert!(!bench.table.quarantine(id()), "there is nothing to give up on");
    run(&bench.enter(&platform, Some(2)).unwrap());
}

#[test]
fn a_last_constructor_that_is_given_up_on_is_no_success() {
    let bench = Bench::new();
    let late = Recorder::with_behaviour(|event| {
        if event == CONSTRUCTORS[2] {
            assert!(bench.table.quarantine(id()));
        }
        Ok(0)
    });
    bench.assert_fault(bench.load(&late, 1), StatusCode::ConstructorTimeout, &[]);
    assert_eq!(late.take_events(), [loading(1), unloading(1)].concat());
}

#[test]
fn a_destructor_that_is_given_up_on_closes_the_slot_until_it_returns() {
    let bench = Bench::new();
    let late = Recorder::with_behaviour(|event| {
        if event == DESTRUCTORS[1] {
            let call = bench.table.longest_call(&Recorder::new()).expect("a destructor is running");
            assert!(
                call.to_string().starts_with(&format!("destructor 2 of 2 of {}", label())),
                "{call}"
            );
            assert_eq!(bench.unload(&Recorder::new(), Some(1)), UnloadOutcome::Deferred);
            assert!(bench.table.quarantine(id()));
            assert_closed(&bench);
        }
        Ok(0)
    });
    drop(bench.load(&late, 1).unwrap());
    late.take_events();
    assert_eq!(bench.unload(&late, Some(1)), UnloadOutcome::Unloaded);
    assert_eq!(late.take_events(), unloading(1));
    drop(bench.load(&late, 2).unwrap());
}

#[test]
fn every_call_into_an_orchestration_can_be_watched() {
    let bench = Bench::new();
    let seen = std::sync::Mutex::new(Vec::new());
    let platform = Recorder::with_behaviour(|_| {
        let call = bench.table.longest_call(&Recorder::new()).expect("a call is running");
        seen.lock().unwrap().push((call.function, call.address));
        Ok(0)
    });
    let lease = bench.load(&platform, 1).unwrap();
    let config = lease.entries.config.expect("the image has one");
    // SAFETY: the recorder calls nothing.
    unsafe { lease.call(ForeignCall::Config(config, core::ptr::null())) }.unwrap();
    run(&lease);
    assert_eq!(bench.unload(&platform, None), UnloadOutcome::Deferred);
    drop(lease);
    let constructor = |number| ForeignFunction::Constructor { number, count: 3 };
    let destructor = |number| ForeignFunction::Destructor { number, count: 2 };
    let expected = [
        (constructor(1), Some(TEXT + 80)),
        (constructor(2), Some(TEXT + 32)),
        (constructor(3), Some(TEXT + 48)),
        (ForeignFunction::Config, Some(TEXT + 16)),
        (ForeignFunction::Entry, Some(TEXT)),
        (destructor(1), Some(TEXT + 64)),
        (destructor(2), Some(TEXT + 96)),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[test]
fn code_is_shown_from_before_its_constructors_until_it_is_on_its_way_out() {
    let bench = Bench::new();
    let platform = Recorder::with_behaviour(|event| {
        let expected = if matches!(event, Event::Destructor(_)) { vec![] } else { vec![range(1)] };
        assert_eq!(ranges(&bench.table), expected, "during {event:?}");
        Ok(0)
    });
    assert_eq!(ranges(&bench.table), []);
    let lease = bench.load(&platform, 1).unwrap();
    run(&lease);
    drop(lease);
    assert_eq!(ranges(&bench.table), [range(1)]);
    assert_eq!(bench.unload(&platform, None), UnloadOutcome::Unloaded);
    assert_eq!(ranges(&bench.table), []);
    let given_up = Recorder::with_behaviour(|event| {
        if matches!(event, Event::Constructor(_)) && bench.table.quarantine(id()) {
            assert_eq!(ranges(&bench.table), []);
        }
        Ok(0)
    });
    bench.assert_fault(bench.load(&given_up, 2), StatusCode::ConstructorTimeout, &[]);
}

/// Spec callable §7.1, H15: the host has written an image to memory of which the AICPU's cache still
/// has what was there before; whoever reads it before the range is invalidated reads that.
#[test]
fn h15_the_cache_over_an_image_is_invalidated_before_any_of_it_is_read() {
    let image = TestImage::new(Machine::native()).bytes;
    // As the AICPU sees it: an image of an earlier callable, until the cache is told.
    let stale = std::vec![0xA5_u8; image.len()];
    let seen = std::sync::Mutex::new(stale.clone());
    let invalidated = std::sync::Mutex::new(Vec::new());
    let (address, bench) = (seen.lock().unwrap().as_mut_ptr().expose_provenance(), Bench::new());
    let platform = Recorder::with_cache(|start, bytes| {
        invalidated.lock().unwrap().push((start, bytes));
        let inside = start == address as u64 && bytes == image.len();
        if inside {
            seen.lock().unwrap().copy_from_slice(&image);
        }
    });
    for generation in 1..3 {
        seen.lock().unwrap().copy_from_slice(&stale);
        let mut body = protocol::RuntimeBody::default();
        recorder::bring_along(&mut body, &image, b"entry");
        body.dev_orch_so_addr = protocol::DeviceAddr::new(address as u64);
        // SAFETY: the bytes are there for the whole call.
        let lease = unsafe { bench.table.load(&platform, &bench.faults, id(), &body, generation) };
        assert!(lease.is_ok(), "{:?}", bench.faults.take());
        assert_eq!(*invalidated.lock().unwrap(), [(address as u64, image.len())]);
        invalidated.lock().unwrap().clear();
    }
}

//! What a host in another process is told of its records.

use std::boxed::Box;

use protocol::{OutcomeRecord, RecordOperation, RuntimeBody, StatusCode};

use super::{Device, id};

/// A place for an outcome, and what is left of it where nobody wrote.
fn place_for_outcome() -> Box<OutcomeRecord> {
    Box::new(OutcomeRecord { number: u32::MAX, ..OutcomeRecord::default() })
}

/// The same record with a place for its outcome, and with a number.
fn with_outcome(mut body: RuntimeBody, place: &mut OutcomeRecord, number: u32) -> RuntimeBody {
    body.pending_orch_so_data = (&raw mut *place).expose_provenance() as u64;
    body.extension.run_number = number;
    body.extension = body.extension.sealed();
    body
}

#[test]
fn a_host_elsewhere_is_told_what_came_of_a_load_a_run_and_an_unloading() {
    let device = Device::new();
    let mut place = place_for_outcome();
    let load = device.record(id(), 4, RecordOperation::Load);
    assert_eq!(device.execute(&with_outcome(load, &mut place, 1)), 0);
    assert_eq!(*place, OutcomeRecord { number: 1, ..OutcomeRecord::default() });

    let ended = device.run_record(id(), 3, |body| *body = with_outcome(*body, &mut place, 2));
    assert_eq!(ended, -StatusCode::StaleCallable.code());
    assert_eq!((place.number, place.code), (2, StatusCode::StaleCallable.code()));
    assert!(place.text().contains("generation"), "{}", place.text());

    let ended = device.run_record(id(), 4, |body| *body = with_outcome(*body, &mut place, 3));
    assert_eq!(ended, 0);
    assert_eq!(*place, OutcomeRecord { number: 3, ..OutcomeRecord::default() });

    let unload = device.record(id(), 3, RecordOperation::Unload);
    assert_ne!(device.execute(&with_outcome(unload, &mut place, 4)), 0);
    assert_eq!((place.number, place.code), (4, StatusCode::StaleCallable.code()));
}

#[test]
fn the_field_of_a_reference_host_is_no_place_for_an_outcome() {
    let device = Device::new();
    let mut place = place_for_outcome();
    let mut load = device.record(id(), 1, RecordOperation::Load);
    load = with_outcome(load, &mut place, 1);
    load.extension.checksum ^= 1;
    // Without a valid extension it is a run, which finds no region.
    assert_ne!(device.execute(&load), 0);
    assert_eq!(*place, *place_for_outcome());
}

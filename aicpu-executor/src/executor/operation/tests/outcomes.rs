//! What a host in another process is told of its records.

use std::boxed::Box;

use protocol::{DeviceAddr, LogArea, RecordOperation, RunReport, RuntimeBody, StatusCode};

use super::{Device, id};

/// Bytes of a ring.
const RING_BYTES: u32 = 4096;

/// An area with one ring.
#[repr(C, align(64))]
struct Area {
    header: LogArea,
    rest: [u8; RING_BYTES as usize + 128],
}

impl Area {
    /// In which nobody has reported.
    fn new() -> Box<Self> {
        let header = LogArea::formatted(1, RING_BYTES).expect("in range");
        let area = Box::new(Self { header, rest: [0; RING_BYTES as usize + 128] });
        assert_eq!(header.layout().expect("formatted").total_bytes(), size_of::<Self>());
        area
    }

    /// The same record with this area, and with a number.
    fn named_by(&mut self, mut body: RuntimeBody, number: u32) -> RuntimeBody {
        let address = (&raw mut *self).expose_provenance();
        body.extension.log_area = DeviceAddr::new(address as u64);
        body.extension.run_number = number;
        body.extension = body.extension.sealed();
        body
    }

    /// Number, code and text of the last report.
    fn report(&self) -> (u32, i32, &str) {
        let report = &self.header.report;
        (report.run_number, report.code, report.text())
    }
}

#[test]
fn a_host_elsewhere_is_told_what_came_of_a_load_a_run_and_an_unloading() {
    let device = Device::new();
    let mut area = Area::new();
    let load = device.record(id(), 4, RecordOperation::Load);
    assert_eq!(device.execute(&area.named_by(load, 1)), 0);
    assert_eq!(area.report(), (1, 0, ""));

    let ended = device.run_record(id(), 3, |body| *body = area.named_by(*body, 2));
    assert_eq!(ended, -StatusCode::StaleCallable.code());
    let (number, code, text) = area.report();
    assert_eq!((number, code), (2, StatusCode::StaleCallable.code()));
    assert!(text.contains("generation"), "{text}");

    let ended = device.run_record(id(), 4, |body| *body = area.named_by(*body, 3));
    assert_eq!(ended, 0);
    assert_eq!(area.report(), (3, 0, ""));

    let unload = device.record(id(), 3, RecordOperation::Unload);
    assert_ne!(device.execute(&area.named_by(unload, 4)), 0);
    assert_eq!((area.report().0, area.report().1), (4, StatusCode::StaleCallable.code()));
}

#[test]
fn a_record_without_a_valid_extension_names_no_area() {
    let device = Device::new();
    let mut area = Area::new();
    let mut load = area.named_by(device.record(id(), 1, RecordOperation::Load), 1);
    load.extension.checksum ^= 1;
    // Then it is a run, which finds no region.
    assert_ne!(device.execute(&load), 0);
    assert_eq!(area.header.report, RunReport::NONE);
}

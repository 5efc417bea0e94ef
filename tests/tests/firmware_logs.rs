//! What the firmware says, as a user of the host sees it: levels, tiers, file and line, thread and callable, and
//! the outcome of a record, on this machine and under the emulator.
//!
//! The image is that of a chip, in the daemon that stands in for the chip's; the host side is the library's.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use host_runner::device::log_area::{
    Collected, HostLogArea, LogDecoder, LogMemory, LogProblem, USUAL_LAYOUT,
};
use host_runner::device::sim::platform::SimPlatform;
use host_runner::log::{Level, Record};
use protocol::{
    A2a3, CoreType, DeviceAddr, KernelArgsA2a3, RecordOperation, RuntimeA2a3, RuntimeBody,
    RuntimeExtension, RuntimeRecord, StatusCode,
};
use stand_in::memory::NotDeviceMemory;
use stand_in::{
    Answer, Chip, CoreLaunch, Daemon, DaemonError, DeviceMemory, Machine, Request, Scope,
};
use zerocopy::{FromZeros, IntoBytes};

/// A limit that nothing reaches that works.
const LIMIT: Duration = Duration::from_secs(60);

/// Where things are in device memory, from its start on.
const ARGUMENTS: u64 = 0x0;
const REGISTER_TABLE: u64 = 0x1000;
const RECORD: u64 = 0x1_0000;
const REGISTERS: u64 = 0x2_0000;
const AREA: u64 = 0x10_0000;
const IMAGE: u64 = 0x20_0000;
const REGION: u64 = 0x80_0000;
const HEAP: u64 = 0x800_0000;
const MEMORY_BYTES: u64 = 0x1000_0000;

/// Task window and heap of each ring.
const WINDOW: u64 = 64;
const HEAP_BYTES: u64 = 1 << 16;

/// Device memory, as the host side of a log area copies from and to it.
struct Copies<'a>(&'a DeviceMemory);

impl LogMemory for Copies<'_> {
    type Error = NotDeviceMemory;

    fn copy_out(&mut self, to: &mut [u8], from: DeviceAddr) -> Result<(), NotDeviceMemory> {
        to.copy_from_slice(&self.0.read(from.raw(), to.len())?);
        Ok(())
    }

    fn copy_in(&mut self, to: DeviceAddr, from: &[u8]) -> Result<(), NotDeviceMemory> {
        self.0.write(to.raw(), from)
    }
}

/// A device with the firmware, and what its host knows of the log.
struct Device {
    daemon: Daemon,
    memory: DeviceMemory,
    area: HostLogArea,
    decoder: LogDecoder,
    /// Number of the last record.
    number: u32,
    /// Severity and tier.
    threshold: (u32, u32),
}

impl Device {
    fn open(machine: Machine) -> Option<Self> {
        let image = machine.image(Chip::A2a3, "onboard");
        let memory = DeviceMemory::new(MEMORY_BYTES).unwrap();
        let started = image.map_err(DaemonError::NotHere).and_then(|image| {
            let daemon = Daemon::start(machine, &memory)?;
            daemon.open(&image, Scope::Global, LIMIT)?;
            Ok((image, daemon))
        });
        let (image, daemon) = match started {
            Ok(started) => started,
            Err(DaemonError::NotHere(missing)) => {
                println!("skipped: {missing}");
                return None;
            }
            Err(error) => panic!("{machine:?}: {error}"),
        };
        let area = HostLogArea::new(DeviceAddr::new(memory.address() + AREA));
        assert_eq!(area.total_bytes(), USUAL_LAYOUT.total_bytes());
        area.format(&mut Copies(&memory)).unwrap();
        let decoder = LogDecoder::beside(&image).unwrap();
        Some(Self { daemon, memory, area, decoder, number: 0, threshold: (1, 5) })
    }

    /// An address in device memory.
    fn at(&self, offset: u64) -> DeviceAddr {
        DeviceAddr::new(self.memory.address() + offset)
    }

    fn write(&self, offset: u64, bytes: &[u8]) {
        self.memory.write(self.at(offset).raw(), bytes).unwrap();
    }

    /// Has the firmware carry out a record of callable 3; the first status, and what there is in the area.
    fn carry_out(
        &mut self,
        operation: RecordOperation,
        fill: impl FnOnce(&mut RuntimeBody),
    ) -> (i32, Collected) {
        self.number += 1;
        let mut record = Box::new(RuntimeA2a3::new_zeroed());
        let body = record.body_mut();
        body.sche_cpu_num = 1;
        body.active_callable_id = 3;
        body.extension = RuntimeExtension {
            operation: operation.raw(),
            run_number: self.number,
            log_area: self.area.address(),
            ..RuntimeExtension::default()
        };
        fill(body);
        body.extension = body.extension.sealed();
        let cores = usize::try_from(body.worker_count).unwrap();
        for (index, worker) in record.workers.iter_mut().take(cores).enumerate() {
            let kind = if index < cores / 3 { CoreType::Aic } else { CoreType::Aiv };
            worker.core_type = (kind as i32).into();
        }
        self.write(RECORD, record.as_mut_bytes());
        let arguments = KernelArgsA2a3 {
            runtime_args: self.at(RECORD),
            regs: self.at(REGISTER_TABLE),
            log_level: self.threshold.0,
            log_info_v: self.threshold.1,
            ..KernelArgsA2a3::default()
        };
        self.write(ARGUMENTS, arguments.as_bytes());
        let address = self.at(ARGUMENTS).raw();
        let call = |entry: &str, threads| self.daemon.call(entry, address, threads, LIMIT).unwrap();
        assert_eq!(call("DynTileFwkBackendKernelServerInit", 1), [0]);
        let cores = (cores != 0).then(|| self.start_cores(cores));
        let threads = record.body.sche_cpu_num.unsigned_abs();
        let status = call("DynTileFwkBackendKernelServer", threads)[0];
        if let Some(cores) = cores {
            let left = cores.wait(LIMIT).unwrap();
            assert!(matches!(left, Answer::CoresLeft { stopped: 0, .. }), "{left:?}");
        }
        let memory = &mut Copies(&self.memory);
        (status, self.area.collect(memory, Some(&self.decoder), self.number).unwrap())
    }

    fn start_cores(&self, cores: usize) -> stand_in::Pending {
        let table: Vec<u64> =
            (0..cores as u64).map(|core| self.at(REGISTERS + core * 0x4000).raw()).collect();
        self.write(REGISTER_TABLE, table.as_bytes());
        self.write(REGISTERS, &vec![0; cores * 0x4000]);
        let launch = CoreLaunch {
            chip: Chip::A2a3,
            clusters: u32::try_from(cores / 3).unwrap(),
            runtime: self.at(RECORD).raw(),
            registers: self.at(REGISTER_TABLE).raw(),
        };
        self.daemon.begin(Request::RunCores(launch)).unwrap()
    }

    fn load(&mut self, image: &[u8]) -> (i32, Collected) {
        self.write(IMAGE, image);
        let (address, bytes) = (self.at(IMAGE), image.len() as u64);
        self.carry_out(RecordOperation::Load, |body| {
            (body.dev_orch_so_addr, body.dev_orch_so_size) = (address, bytes);
        })
    }

    /// Runs what is loaded, on one cluster.
    fn run(&mut self, threads: i32, scalar: u64) -> (i32, Collected) {
        let (region, heap) = (self.at(REGION), self.at(HEAP));
        let bytes = aicpu_executor::Executor::<A2a3, SimPlatform<A2a3>>::region_bytes(WINDOW, 0);
        assert!(bytes.unwrap() < HEAP - REGION);
        self.carry_out(RecordOperation::Run, |body| {
            body.worker_count = 3;
            body.sche_cpu_num = threads;
            (body.task_window_size, body.heap_size) = (WINDOW, HEAP_BYTES);
            (body.gm_sm_ptr, body.gm_heap_ptr) = (region, heap);
            body.orch_args.scalar_count = 1;
            body.orch_args.scalars[0] = scalar;
        })
    }
}

/// The part of the SDK's support that the orchestration needs: all of it wants the library of C++, which the firmware
/// does not offer.
const SUPPORT: &str = r#"
#include "pto_orchestration_api.h"
static PTO2Runtime *bound;
void framework_bind_runtime(PTO2Runtime *rt) { bound = rt; }
PTO2Runtime *framework_current_runtime() { return bound; }
"#;

/// Compiles `speaks.cpp` for a machine.
fn orchestration(machine: Machine) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("firmware-logs");
    std::fs::create_dir_all(&folder).unwrap();
    let number = std::process::id();
    let source = folder.join(format!("{}-{number}.cpp", machine.processor()));
    std::fs::write(&source, SUPPORT).unwrap();
    let library = source.with_extension("so");
    let sdk = tests::sources::repository().join("sdk");
    let mut compiler = Command::new(machine.cxx().unwrap_or("g++"));
    compiler.args(["-shared", "-fPIC", "-O2", "-std=gnu++17", "-fno-gnu-unique", "-I"]);
    compiler.arg(sdk.join("include")).arg("-o").arg(&library).arg(&source);
    compiler.arg(tests::sources::repository().join("tests/data/orchestrations/speaks.cpp"));
    assert!(compiler.status().unwrap().success());
    std::fs::read(library).unwrap()
}

/// Does `act` with a device on each machine that can be had here.
fn on_each(act: impl Fn(Device)) {
    Machine::ALL.into_iter().filter_map(Device::open).for_each(act);
}

/// The line of a source file that has a text, which is once in it.
fn line_of(file: &str, text: &str) -> u32 {
    let source = std::fs::read_to_string(tests::sources::repository().join(file)).unwrap();
    let mut lines = (1..).zip(source.lines()).filter(|(_, line)| line.contains(text));
    let (line, _) = lines.next().unwrap_or_else(|| panic!("{file} has no {text:?}"));
    assert_eq!(lines.next(), None, "{text:?} is once in {file}");
    line
}

/// File from the project on and line of a record.
fn place(record: &Record) -> (PathBuf, u32) {
    let place = record.place.as_ref().unwrap();
    let start = place.file.rfind("aicpu-executor/").unwrap();
    (PathBuf::from(&place.file[start..]), place.line)
}

#[test]
fn a_statement_comes_with_its_line_its_module_and_its_callable() {
    on_each(|mut device| {
        let image = orchestration(device.daemon.machine());
        let (status, collected) = device.load(&image);
        assert_eq!((status, &collected.problems[..]), (0, &[][..]), "{collected:?}");
        let [record, second] = &collected.records[..] else { panic!("{:?}", collected.records) };
        let text = "loaded callable 3 (build-id ";
        assert!(
            record.text.starts_with(text) && record.text.contains(" bytes at 0x"),
            "{record:?}"
        );
        assert_eq!((record.level, record.tier), (Level::Info, 9));
        assert_eq!((record.callable, record.aicpu_thread), (Some(3), None));
        assert_eq!(record.origin, "aicpu_executor::orch_so_table::slot");
        let file = "aicpu-executor/src/orch_so_table/slot.rs";
        // The macro is on the line before.
        let line = line_of(file, "\"loaded callable {} {}, generation") - 2;
        assert_eq!(place(record), (PathBuf::from(file), line));
        assert_eq!(second.level, Level::Warn);
        assert!(second.text.contains("has no config function: "), "{second:?}");
        assert_eq!(place(second).0, Path::new("aicpu-executor/src/orch_so_table.rs"));
        let outcome = collected.outcome().unwrap();
        assert_eq!((outcome.fault, collected.dropped), (None, 0));
    });
}

#[test]
fn an_orchestration_is_heard_with_its_function_from_the_levels_that_are_set() {
    on_each(|mut device| {
        let image = orchestration(device.daemon.machine());
        assert_eq!(device.load(&image).0, 0);
        let all = [
            "no. 1",
            "tier 0",
            "tier 4",
            "tier 5",
            "tier 9 of nine, 0x2a",
            "look:  2.50",
            "bad: \u{e9}",
        ];
        for (threshold, expected) in [
            ((1, 5), &all[3..]),
            ((0, 0), &all[..]),
            ((1, 9), &all[4..]),
            ((2, 0), &all[5..]),
            ((3, 0), &all[6..]),
            ((4, 0), &[]),
        ] {
            device.threshold = threshold;
            let (status, collected) = device.run(1, 0);
            assert_eq!((status, &collected.problems[..]), (0, &[][..]), "{collected:?}");
            let texts: Vec<_> = collected.records.iter().map(|it| it.text.as_str()).collect();
            assert_eq!(texts, expected, "{threshold:?}");
            for record in &collected.records {
                assert_eq!((record.callable, record.aicpu_thread), (Some(3), Some(0)));
                assert_eq!(record.origin, "aicpu_orchestration_entry");
                assert_eq!(record.place, None);
            }
        }
    });
}

#[test]
fn a_fault_comes_with_its_text_whatever_is_logged() {
    on_each(|mut device| {
        let image = orchestration(device.daemon.machine());
        assert_eq!(device.load(&image).0, 0);
        for (threshold, records) in [((4, 9), 0), ((1, 9), 5)] {
            device.threshold = threshold;
            let (status, collected) = device.run(2, 77);
            assert_eq!(status, -77);
            let outcome = collected.outcome().unwrap();
            let fault = outcome.fault.unwrap();
            assert_eq!(fault.code, 77);
            assert_eq!(fault.text.as_str(), "aicpu_orchestration_entry: scalar is 7");
            assert_eq!(collected.records.len(), records, "{:?}", collected.records);
        }
        // What came before is not there any more.
        device.threshold = (2, 0);
        let (status, collected) = device.run(1, 0);
        assert_eq!((status, collected.outcome().unwrap().fault), (0, None));
    });
}

#[test]
fn a_load_that_fails_says_where_and_why() {
    on_each(|mut device| {
        let (status, collected) = device.load(b"no shared object");
        assert_eq!(status, -StatusCode::LoadFailed.code());
        let fault = collected.outcome().unwrap().fault.unwrap();
        assert_eq!(fault.code, StatusCode::LoadFailed.code());
        let [record] = &collected.records[..] else { panic!("{:?}", collected.records) };
        assert_eq!(
            record.text,
            format!("an operation failed with code {}: {}", fault.code, fault.text)
        );
        let file = "aicpu-executor/src/executor/operation.rs";
        let line = line_of(file, "\"an operation failed with code") - 1;
        assert_eq!(place(record), (PathBuf::from(file), line));
        assert_eq!(record.origin, "aicpu_executor::executor::operation");
    });
}

#[test]
fn texts_of_another_image_are_not_taken_for_this_ones() {
    on_each(|mut device| {
        let image = device.daemon.machine().image(Chip::A2a3, "sim").unwrap();
        device.decoder = LogDecoder::beside(&image).unwrap();
        let (_, collected) = device.load(b"no shared object");
        let [LogProblem::ForeignImage { running, known }] = &collected.problems[..] else {
            panic!("{collected:?}")
        };
        assert_eq!((*known, collected.records.len()), (device.decoder.build_id(), 0));
        assert_ne!(running, known);
        let outcome = collected.outcome().unwrap();
        assert!(outcome.fault.is_some(), "the outcome needs no texts");
        // Said once.
        assert_eq!(device.load(b"no shared object").1.problems, []);
    });
}

//! What executor and orchestrations say, as users see it: the same lines of every simulated device, from the levels
//! that are set. (The firmware's are in `firmware_logs.rs`.)

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::io;
use std::sync::Mutex;

use host_runner::log;
use host_runner::run::RunError;
use host_runner::worker::{PlatformName, Worker};
use tests::device_program::open_process;
use tests::sources;
use tests::workers::{Cells, open, threads};

/// What the subscriber of the process has written.
static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Writes there.
struct Writer;

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        WRITTEN.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lines of executor and orchestrations since the last call, with other digits in the place of addresses.
fn heard() -> Vec<String> {
    let text = String::from_utf8(std::mem::take(&mut *WRITTEN.lock().unwrap())).unwrap();
    let is_of_device = |line: &&str| line.contains(" origin=");
    text.lines().filter(is_of_device).map(without_address).collect()
}

fn without_address(line: &str) -> String {
    match line.split_once(" bytes at 0x") {
        Some((before, after)) => {
            let after = after.trim_start_matches(|it: char| it.is_ascii_hexdigit());
            format!(
                "{} bytes at 0x…{after}",
                before.trim_end_matches(|it: char| it.is_ascii_digit())
            )
        }
        None => line.trim().to_owned(),
    }
}

/// What a worker's device says when it loads `speaks.cpp`, runs it once in each way, and unloads it.
fn said_on(worker: &Worker) -> [Vec<String>; 4] {
    heard();
    let callable = sources::callable("speaks", "aicpu_orchestration_entry", Vec::new());
    let handle = worker.register(&callable).unwrap();
    let loaded = heard();
    let run = |code| {
        let mut passed = Cells { scalars: vec![code], ..Cells::default() };
        passed.run(worker, &handle, &threads(1)).map(drop)
    };
    run(0).unwrap();
    let succeeded = heard();
    let fault = run(77).unwrap_err();
    assert!(matches!(&fault, RunError::Fault(fault) if fault.status == -77), "{fault:?}");
    let failed = heard();
    drop(handle);
    [loaded, succeeded, failed, heard()]
}

/// How an event of an orchestration looks.
fn of_orchestration(level: &str, text: &str, tier: &str) -> String {
    format!("{level} {text} origin=\"aicpu_orchestration_entry\"{tier} thread=0 callable=0")
}

#[test]
fn every_device_says_the_same_with_level_tier_place_thread_and_callable() {
    tracing_subscriber::fmt()
        .with_writer(|| Writer)
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .init();
    log::forward_all();
    assert_eq!(log::threshold(), (0, 0));
    let said = said_on(&open());
    let [loaded, succeeded, failed, unloaded] = &said;

    assert_eq!(loaded.len(), 2, "{loaded:?}");
    let place = "at=\"aicpu-executor/src/orch_so_table/slot.rs:";
    for part in ["INFO loaded callable 0 ", place, " verbosity=9 ", " callable=0"] {
        assert!(loaded[0].contains(part), "{part:?} in {loaded:?}");
    }
    assert!(loaded[1].starts_with("WARN callable 0 "), "{loaded:?}");
    assert!(loaded.iter().all(|line| !line.contains("thread=")), "it is no thread of a run");
    let spoken = [
        of_orchestration("DEBUG", "no. 1", ""),
        of_orchestration("INFO", "tier 0", " verbosity=0"),
        of_orchestration("INFO", "tier 4", " verbosity=4"),
        of_orchestration("INFO", "tier 5", " verbosity=5"),
        of_orchestration("INFO", "tier 9 of nine, 0x2a", " verbosity=9"),
        of_orchestration("WARN", "look:  2.50", ""),
        of_orchestration("ERROR", "bad: \u{e9}", ""),
    ];
    assert_eq!(succeeded, &spoken);
    assert_eq!(failed[..7], spoken);
    assert_eq!(failed[7], of_orchestration("ERROR", "FATAL(code=77): scalar is 7", ""));
    assert_eq!(failed.len(), 9, "{failed:?}");
    let place = " at=\"aicpu-executor/src/executor.rs:";
    assert!(
        failed[8].starts_with("INFO the run failed with code 77: ") && failed[8].contains(place)
    );
    assert!(unloaded.iter().any(|line| line.contains("INFO unloaded callable 0 ")), "{unloaded:?}");

    assert_eq!(said_on(&open_process(PlatformName::A2a3Proc)), said);

    // From warnings on, and then nothing.
    for worker in [open(), open_process(PlatformName::A2a3Proc)] {
        log::set_threshold((2, 0));
        let [loaded, succeeded, failed, unloaded] = said_on(&worker);
        assert_eq!((&succeeded[..], &failed[..2]), (&spoken[5..], &spoken[5..]));
        assert_eq!((loaded.len(), failed.len(), unloaded.len()), (1, 3, 0));
        log::set_threshold((4, 0));
        assert_eq!(said_on(&worker), [const { Vec::<String>::new() }; 4]);
    }
}

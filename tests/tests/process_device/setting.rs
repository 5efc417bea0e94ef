//! What all drills need: a callable that goes wrong as its scalar says, and the worker's processes.

use std::process::Command;
use std::time::Duration;

use host_runner::callable::Callable;
use host_runner::device::{Crash, DeviceLost, LostCause};
use host_runner::run::{RunConfig, RunError};
use host_runner::worker::{CallableHandle, Worker};
use protocol::CoreType;
use tests::device_program::children;
use tests::sources;
use tests::workers::{Cells, SENTINEL, threads};

// What the scalar of `crashes.cpp` asks for.
pub(crate) const SOUND: u64 = 0;
pub(crate) const CALL_NULL: u64 = 1;
pub(crate) const ABORT: u64 = 2;
pub(crate) const ENDLESS: u64 = 3;
pub(crate) const OVERFLOW_STACK: u64 = 4;
pub(crate) const WRITE_NULL: u64 = 5;
pub(crate) const WRITE_WILD: u64 = 6;

/// No drill may take longer; the time limit of the runs that do not return is a fraction of it.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

pub(crate) fn callable(entry: &str) -> Callable {
    let mut kernels = sources::cell_kernels();
    kernels.push(sources::kernel(6, CoreType::Aiv, "crash"));
    sources::callable("crashes", entry, kernels)
}

/// Runs in a way; the output is untouched if it fails.
pub(crate) fn run(
    worker: &Worker,
    handle: &CallableHandle,
    way: u64,
    config: &RunConfig,
) -> Result<u64, RunError> {
    let mut passed = Cells { cells: vec![SENTINEL], scalars: vec![way], ..Cells::default() };
    passed.run(worker, handle, config).map(|_| passed.cells[0])
}

#[track_caller]
pub(crate) fn lost(result: Result<u64, RunError>) -> DeviceLost {
    match result {
        Err(RunError::DeviceLost(lost)) => lost,
        other => panic!("expected the loss of the device, got {other:?}"),
    }
}

#[track_caller]
pub(crate) fn crash(lost: &DeviceLost) -> &Crash {
    match &lost.cause {
        LostCause::Crash(crash) => crash,
        other => panic!("expected a crash, got {other:?}"),
    }
}

pub(crate) fn names(crash: &Crash) -> Vec<&str> {
    crash.frames.iter().filter_map(|frame| frame.symbol.as_deref()).collect()
}

/// The worker's one child.
#[track_caller]
pub(crate) fn only_child() -> u32 {
    let children = children();
    assert_eq!(children.len(), 1, "{children:?}");
    children[0]
}

pub(crate) fn kill(process: u32) {
    let ended = Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap();
    assert!(ended.success());
}

/// Ends the worker's one child while it has nothing to do, and waits until it has gone.
#[track_caller]
pub(crate) fn kill_idle() {
    kill(only_child());
    while !children().is_empty() {
        std::thread::yield_now();
    }
}

/// Settings with which what does not return takes about a second.
pub(crate) fn short() -> RunConfig {
    RunConfig {
        timeout: Duration::from_millis(500),
        stall_timeout: Duration::from_millis(200),
        grace: Duration::from_millis(300),
        ..threads(3)
    }
}

/// Numbers of signals, which are the same on both machines.
pub(crate) mod libc_signal {
    pub(crate) const ABRT: i32 = 6;
    pub(crate) const SEGV: i32 = 11;
}

//! Workers of the tests, and the proof that one works.

use std::time::Duration;

use host_runner::arguments::{Arguments, OwnedArguments};
use host_runner::device::RingConfig;
use host_runner::run::{RunConfig, RunError, RunFault, RunReport};
use host_runner::worker::{CallableHandle, PlatformName, Worker, WorkerConfig};
use protocol::{DataType, StatusCode};

use crate::sources;

/// What the outputs of a test hold before a run; no run of a test computes it.
pub const SENTINEL: u64 = 0xDEAD_BEEF_0BAD_F00D;

/// All numbers of AICPU threads that a run on a2a3 may have.
pub const AICPU_THREADS: [u32; 4] = [1, 2, 3, 4];

/// A worker on the default platform with the executor's ring sizes.
pub fn open() -> Worker {
    open_on(PlatformName::default())
}

/// A worker on a platform with the executor's ring sizes.
pub fn open_on(platform: PlatformName) -> Worker {
    Worker::open(WorkerConfig::new(platform)).expect("the simulator opens")
}

/// A worker with this task window and heap size per ring.
pub fn open_with_rings(task_window: u64, heap_bytes: u64) -> Worker {
    let rings = RingConfig { task_window, heap_bytes, dep_pool: 0 };
    Worker::open(WorkerConfig::default().with_rings(rings)).expect("the simulator opens")
}

/// Settings with this number of AICPU threads; a test that hangs ends with an error.
pub fn threads(aicpu_threads: u32) -> RunConfig {
    RunConfig { aicpu_threads, timeout: Duration::from_secs(30), ..RunConfig::default() }
}

/// What a run of a test passes: one input, one tensor that is changed, scalars.
#[derive(Debug, Clone, Default)]
pub struct Cells {
    /// The input, if the callable takes one.
    pub input: Vec<u64>,
    /// What is changed; it stays as it is if the run fails.
    pub cells: Vec<u64>,
    /// The scalars.
    pub scalars: Vec<u64>,
}

impl Cells {
    /// Runs a callable with these arguments.
    ///
    /// # Errors
    ///
    /// As [`Worker::run`]; what the caller passed is untouched then, which is asserted.
    pub fn run(
        &mut self,
        worker: &Worker,
        handle: &CallableHandle,
        config: &RunConfig,
    ) -> Result<RunReport, RunError> {
        let before = self.cells.clone();
        let length = |cells: &[u64]| [u32::try_from(cells.len()).expect("a short tensor")];
        let (input_length, cells_length) = (length(&self.input), length(&self.cells));
        let mut arguments = Arguments::new();
        if !self.input.is_empty() {
            arguments.push_input(&self.input, &input_length).expect("an input");
        }
        if !self.cells.is_empty() {
            arguments.push_inout(&mut self.cells, &cells_length).expect("an output");
        }
        for scalar in &self.scalars {
            arguments.push_scalar(*scalar).expect("a scalar");
        }
        let result = worker.run(handle, &mut arguments, config);
        if result.is_err() {
            assert_eq!(self.cells, before, "a failed run leaves the caller's memory as it is");
        }
        result
    }
}

/// Registers `mixes` of `runs.cpp`, and makes arguments for it: an input of sevens, device memory, an output, all of
/// [`MIXED_CELLS`], and two scalars of 0.
pub fn register_mixes(worker: &Worker) -> (CallableHandle, OwnedArguments) {
    let callable = sources::callable("runs", "mixes", sources::cell_kernels());
    let handle = worker.register(&callable).expect("a good callable can be registered");
    let state = worker.allocate(8 * MIXED_CELLS).expect("memory of the device");
    let shape = [u32::try_from(MIXED_CELLS).expect("a short tensor")];
    let mut arguments = OwnedArguments::new();
    arguments.push_input(&[7_u64; MIXED_CELLS], &shape).expect("an input");
    arguments.push_device(state, DataType::Uint64, &shape).expect("a device tensor");
    arguments.push_output::<u64>(&shape).expect("an output");
    arguments.push_scalar(0).expect("a scalar");
    arguments.push_scalar(0).expect("a scalar");
    (handle, arguments)
}

/// Cells of each tensor of [`register_mixes`].
pub const MIXED_CELLS: usize = 16;

/// The fault that a run ended with.
#[track_caller]
pub fn fault(result: Result<RunReport, RunError>) -> RunFault {
    match result {
        Err(RunError::Fault(fault)) => fault,
        other => panic!("expected a fault of the run, got {other:?}"),
    }
}

/// Asserts that a run ended with this status and a text that has all these parts.
#[track_caller]
pub fn assert_fault(result: Result<RunReport, RunError>, code: StatusCode, parts: &[&str]) {
    let fault = fault(result);
    assert_eq!((fault.code, fault.status), (Some(code), -code.code()), "{fault}");
    let text = fault.to_string();
    for part in parts.iter().chain(&[code.name(), code.remedy()]) {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

/// Registers a callable of five kinds of dependencies, runs it, and takes it away again: whatever
/// happened before, the worker gives the right result.
#[track_caller]
pub fn assert_works(worker: &Worker, config: &RunConfig) {
    let callable = sources::callable("graphs", "fork_join", sources::cell_kernels());
    let handle = worker.register(&callable).expect("a good callable can be registered");
    let mut passed = Cells {
        input: (0..16).map(|cell| 1000 + cell).collect(),
        cells: vec![SENTINEL; 16],
        scalars: vec![9],
    };
    let report = passed.run(worker, &handle, config).expect("a good callable runs");
    assert_eq!(passed.cells, fork_join(&passed.input, 9));
    assert_eq!(report.tasks, FORK_JOIN_TASKS);
    worker.unregister(&handle).expect("a registered callable can be taken away");
}

/// Tasks of `fork_join`: the source, eight branches of two tasks each, and seven that join them.
pub const FORK_JOIN_TASKS: u64 = 1 + 8 * 2 + 7;

/// What the graph `fork_join` computes. With the source s and the input x, branch i is
/// 3(s + x) + s + i; the output is the sum of eight branches.
pub fn fork_join(input: &[u64], first: u64) -> Vec<u64> {
    let cell = |(x, s): (&u64, u64)| 8 * (3 * (s + x) + s) + (0..8).sum::<u64>();
    input.iter().zip(first..).map(cell).collect()
}

/// An error with all its causes in one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

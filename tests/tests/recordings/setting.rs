//! What the tests of recordings share: callables, arguments, and what they expect.

use host_runner::arguments::Arguments;
use host_runner::run::RunConfig;
use host_runner::worker::{CallableHandle, Recording, ReplayError, RunError, RunReport, Worker};
use protocol::CoreType;
use tests::sources;
use tests::workers::{SENTINEL, threads};

/// Settings of the runs here: few clusters, so that a run is quick.
pub(crate) fn config() -> RunConfig {
    RunConfig { block_dim: 2, ..threads(3) }
}

/// Registers an entry of `recorded.cpp`.
pub(crate) fn register(worker: &Worker, entry: &str) -> CallableHandle {
    let chip = worker.platform().chip();
    let kernel = sources::kernel_for(chip, 0, CoreType::Aiv, "graph/mix_unless_spoiled");
    let callable = sources::host_callable_for(chip, "recorded", entry, vec![kernel]);
    worker.register(&callable).unwrap()
}

/// Arguments of `chain`.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) input: Vec<u64>,
    pub(crate) output: Vec<u64>,
    pub(crate) constant: u64,
    pub(crate) steps: u64,
    pub(crate) unused: u64,
}

impl Chain {
    /// Of this many cells.
    pub(crate) fn of(input: impl IntoIterator<Item = u64>) -> Self {
        let input: Vec<u64> = input.into_iter().collect();
        let output = vec![SENTINEL; input.len()];
        Self { input, output, constant: 7, steps: 4, unused: 0 }
    }

    /// What it leaves, where the entry has been called this often.
    pub(crate) fn expected(&self, calls: u64) -> Vec<u64> {
        let first = self.input[0];
        let more = if first > 1000 && first < 1010 { first - 1000 } else { 0 };
        let cell = |input: &u64| {
            let start = 3 * input + calls + self.constant;
            (0..self.steps + more).fold(start, |state, _| {
                state.wrapping_mul(3).wrapping_add(*input).wrapping_add(self.constant)
            })
        };
        self.input.iter().map(cell).collect()
    }

    /// Lends the arguments; the output is as before a run, and stays so if it fails.
    pub(crate) fn lend<T, E>(
        &mut self,
        run: impl FnOnce(&mut Arguments<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let length = [u32::try_from(self.input.len()).unwrap()];
        let mut arguments = Arguments::new();
        self.output.fill(SENTINEL);
        arguments.push_input(&self.input, &length).unwrap();
        arguments.push_output(&mut self.output, &length).unwrap();
        for scalar in [self.constant, self.steps, self.unused] {
            arguments.push_scalar(scalar).unwrap();
        }
        let result = run(&mut arguments);
        if result.is_err() {
            assert!(self.output.iter().all(|cell| *cell == SENTINEL), "outputs are untouched");
        }
        result
    }

    pub(crate) fn run(
        &mut self,
        worker: &Worker,
        handle: &CallableHandle,
    ) -> Result<RunReport, RunError> {
        self.lend(|arguments| worker.run(handle, arguments, &config()))
    }

    pub(crate) fn record(
        &mut self,
        worker: &Worker,
        handle: &CallableHandle,
    ) -> Result<(Recording, RunReport), RunError> {
        self.lend(|arguments| worker.record(handle, arguments, &config()))
    }

    pub(crate) fn replay(&mut self, recording: &Recording) -> Result<RunReport, ReplayError> {
        self.lend(|arguments| recording.replay(arguments, &config()))
    }

    pub(crate) fn rebuild(&mut self, recording: &Recording) -> Result<RunReport, ReplayError> {
        self.lend(|arguments| recording.rebuild(arguments, &config()))
    }

    /// Replays, and checks what it leaves where the entry has been called this often when it ran last.
    #[track_caller]
    pub(crate) fn assert_replay(&mut self, recording: &Recording, calls: u64) -> RunReport {
        let report = self.replay(recording).unwrap();
        assert_eq!(self.output, self.expected(calls));
        report
    }

    /// The same with the entry.
    #[track_caller]
    pub(crate) fn assert_rebuild(&mut self, recording: &Recording, calls: u64) -> RunReport {
        let report = self.rebuild(recording).unwrap();
        assert_eq!(self.output, self.expected(calls));
        report
    }

    /// A run of the callable.
    #[track_caller]
    pub(crate) fn assert_run(&mut self, worker: &Worker, handle: &CallableHandle, calls: u64) {
        self.run(worker, handle).unwrap();
        assert_eq!(self.output, self.expected(calls));
    }

    /// Records.
    #[track_caller]
    pub(crate) fn assert_record(
        &mut self,
        worker: &Worker,
        handle: &CallableHandle,
        calls: u64,
    ) -> Recording {
        let (recording, report) = self.record(worker, handle).unwrap();
        assert_eq!(self.output, self.expected(calls));
        assert_eq!((report.tasks, &recording.handle()), (self.steps + 1, &handle));
        recording
    }
}

/// Bytes of the graph that a run copied, and whether the device had the graph.
pub(crate) fn uploaded(report: &RunReport) -> (u64, bool) {
    let graph = report.graph.unwrap();
    (graph.bytes_uploaded, graph.is_replay)
}

//! What the tests of runs share: callables, arguments, a run that is held, and what they expect.

use std::sync::Arc;
use std::time::{Duration, Instant};

use host_runner::arguments::{OwnedArguments, OwnedData};
use host_runner::run::{RunConfig, RunError};
use host_runner::worker::{CallableHandle, RunCompletion, RunOutput, Worker};
use protocol::{CoreType, DataType, DeviceAddr};
use tests::flag::Flag;
use tests::sources;
use tests::workers::{SENTINEL, threads};

/// No test waits longer for something that happens at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How long a run may be held: far longer than a test takes on a machine that is busy.
const HELD_MAX: Duration = Duration::from_secs(1200);

/// Settings of the runs here: few clusters, so that a run is quick.
pub(crate) fn config() -> RunConfig {
    RunConfig { block_dim: 2, ..threads(3) }
}

/// Settings with which a run that hangs costs the device well within a second.
pub(crate) fn short() -> RunConfig {
    RunConfig {
        stall_timeout: Duration::from_millis(150),
        timeout: Duration::from_millis(300),
        grace: Duration::from_millis(200),
        ..config()
    }
}

/// Registers an entry of `runs.cpp`.
pub(crate) fn register(worker: &Worker, entry: &str) -> CallableHandle {
    let callable = sources::callable("runs", entry, sources::cell_kernels());
    worker.register(&callable).unwrap()
}

/// Registers an entry of `faults.cpp`, whose kernel 6 waits for a flag.
pub(crate) fn register_faulty(worker: &Worker, entry: &str) -> CallableHandle {
    let mut kernels = sources::cell_kernels();
    kernels.push(sources::kernel(6, CoreType::Aiv, "wait_for_flag"));
    worker.register(&sources::callable("faults", entry, kernels)).unwrap()
}

/// Bytes of cells.
pub(crate) fn bytes_of(cells: &[u64]) -> Vec<u8> {
    cells.iter().flat_map(|cell| cell.to_le_bytes()).collect()
}

/// Arguments of `adds` and `doubles`, whose input they share.
pub(crate) fn sum(input: &Arc<[u8]>, first: u64) -> OwnedArguments {
    let count = u32::try_from(input.len() / 8).unwrap();
    let mut arguments = OwnedArguments::new();
    let data = OwnedData::In(Arc::clone(input));
    arguments.push_tensor(data, DataType::Uint64, &[count]).unwrap();
    let output = OwnedData::Out(bytes_of(&vec![SENTINEL; count as usize]));
    arguments.push_tensor(output, DataType::Uint64, &[count]).unwrap();
    arguments.push_scalar(first).unwrap();
    arguments
}

/// What `adds` (1) and `doubles` (2) make of it.
pub(crate) fn expected_sum(times: u64, input: &[u64], first: u64) -> Vec<u64> {
    input.iter().zip(first..).map(|(cell, number)| times * cell + number).collect()
}

/// Arguments of `notes`, on a device tensor of one cell.
pub(crate) fn note(state: DeviceAddr, number: u64) -> OwnedArguments {
    let mut arguments = OwnedArguments::new();
    arguments.push_device(state, DataType::Uint64, &[1]).unwrap();
    arguments.push_scalar(number).unwrap();
    arguments
}

/// What `notes` leaves after runs with these numbers, in this order.
pub(crate) fn noted(numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers.into_iter().fold(0, |state: u64, number| state.wrapping_mul(3).wrapping_add(number))
}

/// The cell at an address.
pub(crate) fn cell_at(worker: &Worker, address: DeviceAddr) -> u64 {
    let mut bytes = [0; 8];
    worker.copy_out(&mut bytes, address).unwrap();
    u64::from_le_bytes(bytes)
}

/// Arguments of a run of `faults.cpp`.
pub(crate) fn faulty(flag: &Flag) -> OwnedArguments {
    let mut arguments = OwnedArguments::new();
    arguments.push_inout(&[SENTINEL], &[1]).unwrap();
    arguments.push_scalar(flag.address()).unwrap();
    arguments
}

/// A run that is in flight until its flag is set.
pub(crate) struct Held {
    pub(crate) flag: Flag,
    pub(crate) handle: CallableHandle,
    pub(crate) completion: RunCompletion,
}

impl Held {
    /// Submits it, and waits until it has started.
    pub(crate) fn new(worker: &Worker) -> Self {
        let handle = register_faulty(worker, "waits_for_flag");
        let flag = Flag::new();
        // It ends by its flag, which goes even where the test fails: how long it is held is a matter of the machine.
        let config = RunConfig { timeout: HELD_MAX, ..config() };
        let completion = worker.submit(&handle, faulty(&flag), &config).unwrap();
        until(|| has_started(&completion));
        Self { flag, handle, completion }
    }

    /// Lets it end, which it does well.
    pub(crate) fn release(self) -> RunOutput {
        self.flag.set();
        let output = self.completion.wait().unwrap();
        assert_eq!(output.arguments.elements::<u64>(0), Some(vec![1]));
        output
    }
}

/// Whether the run has begun and not ended.
pub(crate) fn has_started(completion: &RunCompletion) -> bool {
    format!("{completion:?}").contains("started")
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "it never comes about");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The output of a run that has one.
#[track_caller]
pub(crate) fn cells(result: Result<RunOutput, RunError>, index: usize) -> Vec<u64> {
    result.unwrap().arguments.elements(index).unwrap()
}

//! Runs one case: as many rounds as asked for, each from fresh buffers, each compared.
//!
//! What is run is behind the small trait [`Target`], so that the loop is tested without a device.

use std::error::Error;
use std::time::Duration;

use host_runner::arguments::{Arguments, ArgumentsError, TensorArgument, TensorData};
use host_runner::case_data::{CaseData, TensorValues};
use host_runner::compare::{Mismatch, Tolerance, compare};
use host_runner::run::RunConfig;
use host_runner::worker::{CallableHandle, Worker};
use protocol::ArgDirection;

use super::with_causes;

/// A case that is ready to run.
#[derive(Debug)]
pub(crate) struct PreparedCase {
    /// Its name.
    pub(crate) name: String,
    /// Its arguments and expected outputs.
    pub(crate) data: CaseData,
    /// How it is run.
    pub(crate) config: RunConfig,
    /// How far each tensor may be from what is expected.
    pub(crate) tolerances: Vec<Tolerance>,
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CaseResult {
    /// The case.
    pub(crate) name: String,
    /// Tasks of the last run.
    pub(crate) tasks: u64,
    /// Times the device has loaded an orchestration since it was opened.
    pub(crate) loads: u64,
    /// How long each round took; a round that failed has no time.
    pub(crate) times: Vec<Duration>,
    /// How it ended.
    pub(crate) outcome: Outcome,
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// Every round ran, and every output that has an expectation met it.
    Passed {
        /// Outputs that were compared.
        compared: usize,
        /// Outputs in all.
        outputs: usize,
    },
    /// A round gave something else.
    Mismatched {
        /// The round, from 1.
        round: u32,
        /// The tensors that differ, and how.
        tensors: Vec<(String, Mismatch)>,
    },
    /// A round did not run to its end.
    Failed {
        /// The round, from 1.
        round: u32,
        /// Why, with all causes.
        message: String,
    },
}

impl Outcome {
    /// Whether all is well.
    pub(crate) fn is_ok(&self) -> bool {
        matches!(self, Self::Passed { .. })
    }
}

/// What one run did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    /// Tasks that ran.
    pub(crate) tasks: u64,
    /// How long it took.
    pub(crate) elapsed: Duration,
}

/// Something that can be run with arguments.
pub(crate) trait Target {
    /// Runs once.
    fn run(
        &self,
        arguments: &mut Arguments<'_>,
        config: &RunConfig,
    ) -> Result<Round, Box<dyn Error>>;

    /// Loads of orchestrations so far.
    fn loads(&self) -> u64;
}

/// A callable that is registered on a worker.
#[derive(Debug)]
pub(crate) struct Registered<'a> {
    /// The worker.
    pub(crate) worker: &'a Worker,
    /// The callable on it.
    pub(crate) handle: &'a CallableHandle,
}

impl Target for Registered<'_> {
    fn run(
        &self,
        arguments: &mut Arguments<'_>,
        config: &RunConfig,
    ) -> Result<Round, Box<dyn Error>> {
        let report = self.worker.run(self.handle, arguments, config)?;
        Ok(Round { tasks: report.tasks, elapsed: report.elapsed })
    }

    fn loads(&self) -> u64 {
        self.worker.counters().loads
    }
}

/// Runs a case up to `rounds` times, and no further than its first failure.
pub(crate) fn run_case(
    target: &impl Target,
    case: &PreparedCase,
    rounds: u32,
    on_round: &dyn Fn(),
) -> CaseResult {
    let mut buffers = Buffers::new(&case.data);
    let mut times = Vec::new();
    let mut tasks = 0;
    let mut outcome = passed(&case.data);
    for round in 1..=rounds {
        let ended = buffers.run(target, &case.data, &case.config);
        match ended {
            Ok(done) => {
                tasks = done.tasks;
                times.push(done.elapsed);
            }
            Err(error) => {
                outcome = Outcome::Failed { round, message: with_causes(error.as_ref()) };
                break;
            }
        }
        on_round();
        match buffers.compare(case) {
            Ok(tensors) if tensors.is_empty() => {}
            Ok(tensors) => {
                outcome = Outcome::Mismatched { round, tensors };
                break;
            }
            Err(error) => {
                outcome = Outcome::Failed { round, message: with_causes(error.as_ref()) };
                break;
            }
        }
    }
    CaseResult { name: case.name.clone(), tasks, loads: target.loads(), times, outcome }
}

/// What a case has become if nothing fails.
fn passed(data: &CaseData) -> Outcome {
    let outputs = data.tensors.iter().filter(|tensor| tensor.direction != ArgDirection::In);
    let compared = data.tensors.iter().filter(|tensor| tensor.expected.is_some()).count();
    Outcome::Passed { compared, outputs: outputs.count() }
}

/// The memory of what a case writes; one buffer a tensor, empty for inputs.
struct Buffers(Vec<Vec<u8>>);

impl Buffers {
    /// Allocates the buffers.
    fn new(data: &CaseData) -> Self {
        let buffer = |tensor: &TensorValues| match tensor.direction {
            ArgDirection::In => Vec::new(),
            _ => tensor.initial.clone(),
        };
        Self(data.tensors.iter().map(buffer).collect())
    }

    /// Runs once, from the initial values: what an earlier round wrote must not pass for this one.
    fn run(
        &mut self,
        target: &impl Target,
        data: &CaseData,
        config: &RunConfig,
    ) -> Result<Round, Box<dyn Error>> {
        let mut arguments = Arguments::new();
        for (tensor, buffer) in data.tensors.iter().zip(&mut self.0) {
            if tensor.direction != ArgDirection::In {
                buffer.copy_from_slice(&tensor.initial);
            }
            push(&mut arguments, tensor, buffer)?;
        }
        for bits in &data.scalars {
            arguments.push_scalar(*bits)?;
        }
        target.run(&mut arguments, config)
    }

    /// Compares what was written with what is expected.
    fn compare(&self, case: &PreparedCase) -> Result<Vec<(String, Mismatch)>, Box<dyn Error>> {
        let mut found = Vec::new();
        let tensors = case.data.tensors.iter().zip(&self.0).zip(&case.tolerances);
        for ((tensor, got), tolerance) in tensors {
            let Some(expected) = &tensor.expected else { continue };
            let mismatch = compare(tensor.dtype, &tensor.shape, got, expected, *tolerance)?;
            found.extend(mismatch.map(|mismatch| (tensor.name.clone(), mismatch)));
        }
        Ok(found)
    }
}

/// Adds one tensor as its direction says.
fn push<'a>(
    arguments: &mut Arguments<'a>,
    tensor: &'a TensorValues,
    buffer: &'a mut [u8],
) -> Result<(), ArgumentsError> {
    let data = match tensor.direction {
        ArgDirection::In => TensorData::In(&tensor.initial),
        // Outputs start from their initial values on the device as well: a buffer there is used
        // again, and what an earlier round left in it must not pass for something written now.
        _ => TensorData::InOut(buffer),
    };
    let (dtype, shape) = (tensor.dtype, tensor.shape.clone());
    arguments.push_tensor(TensorArgument { data, dtype, shape })
}

#[cfg(test)]
mod tests;

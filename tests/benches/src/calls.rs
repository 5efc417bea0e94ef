//! Bound calls of the programs, with what they have to come to.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use host_runner::arguments::OwnedArguments;
use host_runner::run::RunConfig;
use host_runner::worker::{BoundCall, Worker};

use crate::programs::Programs;
use crate::rounds::{Subject, timed};

/// Clusters of all runs: the reference's default.
pub(crate) const BLOCK_DIM: u32 = 24;

/// AICPU threads of all runs: the reference's default.
pub(crate) const AICPU_THREADS: u32 = 4;

/// The settings of all runs; the time limit is for machines that have much else to do.
pub(crate) fn config() -> RunConfig {
    RunConfig {
        block_dim: BLOCK_DIM,
        aicpu_threads: AICPU_THREADS,
        timeout: Duration::from_secs(600),
        ..RunConfig::default()
    }
}

/// What the tasks of a call do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// One task.
    One,
    /// Tasks that depend on nothing, of four tensors: two read, one written, one new.
    Independent,
    /// The same with two written.
    IndependentExisting,
    /// Tasks each of which needs the one before.
    Chain,
    /// 1-8-1 and again.
    ForkJoin,
    /// One task of many blocks.
    Blocks,
}

/// What the cells of the inputs hold.
const INPUT: [u64; 2] = [1000, 7];

impl Work {
    /// The entry of `tasks.cpp`, which also names the rows.
    pub(crate) fn entry(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Independent => "independent",
            Self::IndependentExisting => "independent_existing",
            Self::Chain => "chain",
            Self::ForkJoin => "fork_join",
            Self::Blocks => "blocks",
        }
    }

    /// The arguments for this many tasks, or blocks.
    ///
    /// # Errors
    ///
    /// There are too many.
    pub(crate) fn arguments(self, count: u64) -> Result<OwnedArguments> {
        let mut arguments = OwnedArguments::new();
        let cells = usize::try_from(count)?;
        let shape = [u32::try_from(count)?];
        match self {
            Self::One => {
                arguments.push_input(&INPUT[..1], &[1])?;
                arguments.push_output::<u64>(&[1])?;
            }
            Self::Independent | Self::IndependentExisting => {
                arguments.push_input(&vec![INPUT[0]; cells], &shape)?;
                arguments.push_input(&vec![INPUT[1]; cells], &shape)?;
                arguments.push_output::<u64>(&shape)?;
                if self == Self::IndependentExisting {
                    arguments.push_output::<u64>(&shape)?;
                }
            }
            Self::Chain => {
                arguments.push_input(&INPUT[..1], &[1])?;
                arguments.push_inout(&[0_u64], &[1])?;
            }
            Self::ForkJoin => arguments.push_inout(&[0_u64], &[1])?,
            Self::Blocks => arguments.push_output::<u64>(&shape)?,
        }
        arguments.push_scalar(0)?;
        if self != Self::One {
            arguments.push_scalar(count)?;
        }
        Ok(arguments)
    }

    /// What a run makes of the state that a chain goes through.
    fn next_state(self, state: u64, constant: u64, count: u64) -> u64 {
        let append = |state: u64, sum: u64| state.wrapping_mul(3).wrapping_add(sum);
        match self {
            Self::Chain => {
                (0..count).fold(state, |state, _| append(state, INPUT[0].wrapping_add(constant)))
            }
            Self::ForkJoin => (0..count / 10).fold(state, |state, _| {
                let source = append(state, constant);
                let branches = (0..8).map(|branch| append(source, branch));
                append(state, branches.fold(0, u64::wrapping_add))
            }),
            _ => 0,
        }
    }

    /// Tasks that a run submits.
    fn tasks(self, count: u64) -> u64 {
        if matches!(self, Self::One | Self::Blocks) { 1 } else { count }
    }
}

/// A bound call that checks what it computes.
pub(crate) struct Call {
    pub(crate) bound: BoundCall,
    work: Work,
    count: u64,
    constant: u64,
}

impl Call {
    /// Registers the program of some work and binds a call of this many tasks, or blocks.
    ///
    /// # Errors
    ///
    /// The worker refuses it.
    pub(crate) fn bind(
        worker: &Worker,
        programs: &Programs,
        work: Work,
        count: u64,
        config: &RunConfig,
    ) -> Result<Self> {
        Self::with(worker, programs, work, (count, work.arguments(count)?), config)
    }

    /// The same with arguments that are there.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub(crate) fn with(
        worker: &Worker,
        programs: &Programs,
        work: Work,
        (count, arguments): (u64, OwnedArguments),
        config: &RunConfig,
    ) -> Result<Self> {
        let handle = worker.register(&programs.tasks(work.entry())?)?;
        let bound = worker.bind(&handle, arguments, config)?;
        Ok(Self { bound, work, count, constant: 0 })
    }

    /// Runs once more. Other input each time, so that an output of an earlier run is not taken for a new one.
    ///
    /// # Errors
    ///
    /// The run fails, or has other tasks.
    pub(crate) fn run(&mut self) -> Result<()> {
        self.constant += 1;
        self.bound.set_scalar(0, self.constant)?;
        let report = self.bound.run()?;
        ensure!(report.tasks == self.work.tasks(self.count), "{} tasks ran", report.tasks);
        Ok(())
    }

    /// Checks what the last run computed.
    ///
    /// # Errors
    ///
    /// Something else.
    pub(crate) fn check(&mut self) -> Result<()> {
        let [a, b] = INPUT;
        let elements = |index: usize| {
            let elements = self.bound.arguments().elements::<u64>(index);
            elements.context("an output on the host")
        };
        let right = match self.work {
            Work::One => elements(1)? == [3 * a + self.constant],
            Work::Independent => elements(2)?.iter().all(|&cell| cell == a + b + self.constant),
            Work::IndependentExisting => {
                let cells = [elements(2)?, elements(3)?].concat();
                cells.iter().all(|&cell| cell == a + b + self.constant)
            }
            Work::Blocks => {
                elements(0)?.iter().zip(self.constant..).all(|(&cell, own)| cell == own)
            }
            Work::Chain | Work::ForkJoin => true,
        };
        ensure!(right, "wrong result of `{}` with {}", self.work.entry(), self.count);
        self.check_state()
    }

    /// Checks what one run more makes of a state.
    fn check_state(&mut self) -> Result<()> {
        let index = match self.work {
            Work::Chain => 1,
            Work::ForkJoin => 0,
            _ => return Ok(()),
        };
        let state = |bound: &BoundCall| {
            bound.arguments().elements::<u64>(index).and_then(|it| it.first().copied())
        };
        let before = state(&self.bound).context("a state on the host")?;
        self.run()?;
        let expected = self.work.next_state(before, self.constant, self.count);
        ensure!(
            state(&self.bound) == Some(expected),
            "wrong result of `{}` with {}",
            self.work.entry(),
            self.count
        );
        Ok(())
    }
}

impl Subject for Call {
    fn operate(&mut self) -> Result<Duration> {
        timed(|| self.run())
    }

    fn verify(&mut self) -> Result<()> {
        self.check()
    }
}

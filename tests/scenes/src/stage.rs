//! What the runs of a scene stand on: a chip, built programs, workers.

use std::time::Duration;

use anyhow::{Context as _, Result};
use host_runner::callable::Callable;
use host_runner::device::RingConfig;
use host_runner::run::{RunConfig, RunError};
use host_runner::worker::{CallableHandle, Worker};
use protocol::ChipName;

use crate::arguments::CaseArguments;
use crate::device_kind::DeviceKind;
use crate::program::{Builder, Program};
use crate::scene::Expect;

/// Time limit of a run: far more than any scene takes, and a hang is named.
const RUN_LIMIT: Duration = Duration::from_secs(30);

/// The programs of a scene, built for a chip.
#[derive(Debug)]
pub struct Ensemble {
    /// The chip.
    pub chip: ChipName,
    /// The kind of device.
    pub kind: DeviceKind,
    programs: Vec<Program>,
    callables: Vec<(&'static str, Callable)>,
}

/// What the setting of a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// AICPU threads.
    pub threads: u32,
    /// Clusters.
    pub block_dim: u32,
    /// How long nothing may move; zero is the run's own limit.
    pub stall_timeout: Duration,
    /// Ring sizes.
    pub rings: RingConfig,
    /// The seed of the interleaving; `None` is as it comes.
    pub seed: Option<u64>,
}

/// A scene's programs in one setting, for cases that arrange their runs themselves.
#[derive(Debug, Clone, Copy)]
pub struct Stage<'a> {
    /// The programs.
    pub ensemble: &'a Ensemble,
    /// The setting.
    pub setting: Setting,
}

impl Setting {
    /// The settings of a run.
    #[must_use]
    pub fn config(&self) -> RunConfig {
        RunConfig {
            block_dim: self.block_dim,
            aicpu_threads: self.threads,
            timeout: RUN_LIMIT,
            stall_timeout: self.stall_timeout,
            ..RunConfig::default()
        }
    }

    /// Runs a callable and compares what came of it. Returns its tasks.
    ///
    /// # Errors
    ///
    /// It did not come to what it must.
    pub fn run(
        &self,
        worker: &Worker,
        handle: &CallableHandle,
        passed: &CaseArguments,
        expect: &Expect,
    ) -> Result<u64> {
        let mut buffers = passed.buffers();
        let result = {
            let mut arguments = passed.borrow(&mut buffers)?;
            worker.run(handle, &mut arguments, &self.config())
        };
        match (expect, result) {
            (Expect::Values { tasks }, Ok(report)) => {
                passed.check(&buffers).map_err(anyhow::Error::msg)?;
                if report.tasks != *tasks {
                    anyhow::bail!("{} tasks were submitted, expected {tasks}", report.tasks);
                }
                Ok(report.tasks)
            }
            (Expect::Fault { status, parts }, Err(RunError::Fault(fault))) => {
                passed.check_untouched(&buffers).map_err(anyhow::Error::msg)?;
                let text = fault.to_string();
                if fault.code != Some(*status) {
                    anyhow::bail!("expected a fault {}, got: {text}", status.name());
                }
                if let Some(part) = parts.iter().find(|part| !text.contains(part.as_str())) {
                    anyhow::bail!("{part:?} is missing in the report: {text}");
                }
                Ok(0)
            }
            (Expect::Values { .. }, Err(error)) => Err(error.into()),
            (Expect::Fault { status, .. }, Ok(_)) => {
                anyhow::bail!("the run succeeded, expected a fault {}", status.name())
            }
            (Expect::Fault { status, .. }, Err(error)) => {
                Err(error).context(format!("expected a fault {}", status.name()))
            }
        }
    }
}

impl Ensemble {
    /// Builds programs for a chip.
    ///
    /// # Errors
    ///
    /// One does not build.
    pub fn build(programs: &[Program], chip: ChipName, kind: DeviceKind) -> Result<Self> {
        let builder = Builder::new(chip, kind)?;
        let build = |program: &Program| {
            let callable = builder.build(program);
            Ok((program.name, callable.with_context(|| format!("program {}", program.name))?))
        };
        let callables = programs.iter().map(build).collect::<Result<_>>()?;
        Ok(Self { chip, kind, programs: programs.to_vec(), callables })
    }

    /// The same programs for another chip.
    ///
    /// # Errors
    ///
    /// One does not build.
    pub fn on(&self, chip: ChipName) -> Result<Self> {
        Self::build(&self.programs, chip, self.kind)
    }

    /// The callable of a program.
    ///
    /// # Errors
    ///
    /// There is none of this name.
    pub fn callable(&self, program: &str) -> Result<&Callable> {
        let found = self.callables.iter().find(|(name, _)| *name == program);
        Ok(&found.with_context(|| format!("the scene has no program `{program}`"))?.1)
    }

    /// Opens a worker for a setting.
    ///
    /// # Errors
    ///
    /// It cannot be opened.
    pub fn open(&self, setting: &Setting) -> Result<Worker> {
        let config = self.kind.worker(self.chip)?.with_rings(setting.rings);
        Ok(Worker::open(config.with_interleaving_seed(setting.seed))?)
    }
}

impl Stage<'_> {
    /// Opens a worker for the setting.
    ///
    /// # Errors
    ///
    /// It cannot be opened.
    pub fn open(&self) -> Result<Worker, String> {
        self.ensemble.open(&self.setting).map_err(|error| format!("{error:#}"))
    }

    /// Registers a program.
    ///
    /// # Errors
    ///
    /// There is none of this name, or it cannot be registered.
    pub fn register(&self, worker: &Worker, program: &str) -> Result<CallableHandle, String> {
        let callable = self.ensemble.callable(program).map_err(|error| error.to_string())?;
        worker.register(callable).map_err(|error| error.to_string())
    }

    /// As [`Setting::run`], in the setting of the stage.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn run(
        &self,
        worker: &Worker,
        handle: &CallableHandle,
        passed: &CaseArguments,
        expect: &Expect,
    ) -> Result<u64, String> {
        self.setting.run(worker, handle, passed, expect).map_err(|error| format!("{error:#}"))
    }
}

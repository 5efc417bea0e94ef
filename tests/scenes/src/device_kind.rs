//! On which kind of device the scenes run.

use anyhow::{Context as _, Result};
use host_runner::compile::{Compiler, Machine};
use host_runner::device::process::ProcessSettings;
use host_runner::worker::{PlatformName, WorkerConfig};
use protocol::ChipName;

/// A kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceKind {
    /// The simulator in the process of the scene.
    #[default]
    Simulator,
    /// The simulator in a process of its own.
    Process,
    /// The same for aarch64, under an emulator.
    EmulatedProcess,
}

impl DeviceKind {
    /// The arguments by which a parent tells its children.
    #[must_use]
    pub const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Simulator => &[],
            Self::Process => &["--process"],
            Self::EmulatedProcess => &["--process", "--emulated"],
        }
    }

    /// What the table calls the device for a chip.
    #[must_use]
    pub fn name(self, chip: ChipName) -> String {
        match self {
            Self::Simulator => chip.name().to_owned(),
            Self::Process => format!("{chip}proc"),
            Self::EmulatedProcess => format!("{chip}proc aarch64"),
        }
    }

    /// Why a scene with windows that several devices share does not run; `None` where it does.
    #[must_use]
    pub const fn why_no_windows(self) -> Option<&'static str> {
        match self {
            Self::Simulator => None,
            Self::Process | Self::EmulatedProcess => {
                Some("a device in a process of its own has no windows that it shares with others")
            }
        }
    }

    /// Settings of a worker on a device for a chip.
    ///
    /// # Errors
    ///
    /// There is none for the chip.
    pub fn worker(self, chip: ChipName) -> Result<WorkerConfig> {
        let platforms = match self {
            Self::Simulator => PlatformName::SIMULATORS,
            Self::Process | Self::EmulatedProcess => PlatformName::PROCESSES,
        };
        let found = platforms.iter().find(|platform| platform.chip() == chip);
        let platform = found.with_context(|| format!("there is no device for {chip}"))?;
        let config = WorkerConfig::new(*platform);
        if self != Self::EmulatedProcess {
            return Ok(config);
        }
        Ok(config.with_process(ProcessSettings::for_machine(Machine::Aarch64)))
    }

    /// The compiler for what runs on the device, where that is for another machine.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub fn compiler(self) -> Result<Option<Compiler>> {
        if self != Self::EmulatedProcess {
            return Ok(None);
        }
        let compiler = Compiler::for_machine(Machine::Aarch64);
        Ok(Some(compiler.context("no C++ compiler for aarch64: install g++-aarch64-linux-gnu")?))
    }
}

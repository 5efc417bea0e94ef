//! On which kind of device the scenes run.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use host_runner::compile::{Compiler, Machine};
use host_runner::device::cann::CannConfig;
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
    /// The chip, through CANN or what stands in for that, with an AICPU of this machine's kind.
    Cann,
    /// The same with an AICPU that is an aarch64, under an emulator.
    EmulatedCann,
}

impl DeviceKind {
    /// The arguments by which a parent tells its children.
    #[must_use]
    pub const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Simulator => &[],
            Self::Process => &["--process"],
            Self::EmulatedProcess => &["--process", "--emulated"],
            Self::Cann => &["--cann", "native"],
            Self::EmulatedCann => &["--cann", "aarch64"],
        }
    }

    /// What the table calls the device for a chip.
    #[must_use]
    pub fn name(self, chip: ChipName) -> String {
        match self {
            Self::Simulator => chip.name().to_owned(),
            Self::Process => format!("{chip}proc"),
            Self::EmulatedProcess => format!("{chip}proc aarch64"),
            Self::Cann => format!("{chip} CANN"),
            Self::EmulatedCann => format!("{chip} CANN aarch64"),
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
            Self::Cann | Self::EmulatedCann => Some(
                "a process has one CANN device, and its windows are not in that device's reach",
            ),
        }
    }

    /// Whether a process can have one such device at a time only.
    #[must_use]
    pub const fn is_alone(self) -> bool {
        matches!(self, Self::Cann | Self::EmulatedCann)
    }

    /// Whether it is for small cases only: what stands in for a device is slow.
    #[must_use]
    pub const fn is_slow(self) -> bool {
        matches!(self, Self::EmulatedProcess | Self::Cann | Self::EmulatedCann)
    }

    /// The machine that code of the device is for.
    #[must_use]
    pub const fn machine(self) -> Machine {
        match self {
            Self::EmulatedProcess | Self::EmulatedCann => Machine::Aarch64,
            Self::Simulator | Self::Process | Self::Cann => Machine::native(),
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
            Self::Cann | Self::EmulatedCann => PlatformName::CHIPS,
        };
        let found = platforms.iter().find(|platform| platform.chip() == chip);
        let platform = found.with_context(|| format!("there is no device for {chip}"))?;
        let config = WorkerConfig::new(*platform);
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        Ok(match self {
            Self::Simulator | Self::Process => config,
            Self::EmulatedProcess => {
                config.with_process(ProcessSettings::for_machine(Machine::Aarch64))
            }
            Self::Cann | Self::EmulatedCann => config.with_cann(CannConfig {
                home: variable("ASCEND_HOME_PATH"),
                aicpu_images: variable("AICPU_IMAGES"),
                aicpu_machine: self.machine(),
                ..CannConfig::default()
            }),
        })
    }

    /// The compiler for what runs on the device, where that is for another machine.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub fn compiler(self) -> Result<Option<Compiler>> {
        if self.machine() == Machine::native() {
            return Ok(None);
        }
        let compiler = Compiler::for_machine(self.machine());
        Ok(Some(compiler.context("no C++ compiler for aarch64: install g++-aarch64-linux-gnu")?))
    }
}

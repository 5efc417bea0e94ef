//! TEMPORARY: replaced by the device author. Only the types and signatures that the command
//! needs; every call returns an error.

use std::str::FromStr;
use std::time::Duration;

use crate::arguments::Arguments;
use crate::callable::Callable;

/// A platform to run on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PlatformName {
    /// The simulator of chip a2a3.
    #[default]
    A2a3Sim,
}

/// A platform that does not exist.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no platform `{0}`; the one there is is a2a3sim")]
pub struct UnknownPlatform(String);

impl FromStr for PlatformName {
    type Err = UnknownPlatform;

    fn from_str(name: &str) -> Result<Self, UnknownPlatform> {
        match name {
            "a2a3sim" => Ok(Self::A2a3Sim),
            _ => Err(UnknownPlatform(name.to_owned())),
        }
    }
}

/// How a worker is opened.
#[derive(Clone, Debug, Default)]
pub struct WorkerConfig {
    /// The platform.
    pub platform: PlatformName,
}

/// How a run is run.
#[derive(Clone, Debug)]
pub struct RunConfig {
    /// Clusters.
    pub block_dim: u32,
    /// AICPU threads.
    pub aicpu_threads: u32,
    /// The longest a run may take.
    pub timeout: Duration,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self { block_dim: 24, aicpu_threads: 3, timeout: Duration::from_secs(60) }
    }
}

/// What a run did.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// Tasks that ran.
    pub tasks: u64,
    /// Loads of orchestrations so far.
    pub loads: u64,
    /// Time from call to return.
    pub elapsed: Duration,
}

/// What a worker did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Callables registered.
    pub registrations: u64,
    /// Orchestrations loaded.
    pub loads: u64,
    /// Runs ended.
    pub runs: u64,
}

/// The device side is not there yet.
#[derive(Clone, Debug, thiserror::Error)]
#[error("this build has no device; it is added by the next change")]
pub struct NoDevice;

/// As [`NoDevice`].
pub type WorkerError = NoDevice;
/// As [`NoDevice`].
pub type RegisterError = NoDevice;
/// As [`NoDevice`].
pub type RunError = NoDevice;

/// A registered callable.
#[derive(Debug)]
pub struct CallableHandle(());

/// A device that callables are registered on.
#[derive(Debug)]
pub struct Worker(());

impl Worker {
    /// Opens a device.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn open(_config: WorkerConfig) -> Result<Self, WorkerError> {
        Err(NoDevice)
    }

    /// Registers a callable.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn register(&self, _callable: &Callable) -> Result<CallableHandle, RegisterError> {
        Err(NoDevice)
    }

    /// Runs a registered callable.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn run(
        &self,
        _handle: &CallableHandle,
        arguments: &mut Arguments<'_>,
        _config: &RunConfig,
    ) -> Result<RunReport, RunError> {
        let _ = arguments.tensors_mut();
        Err(NoDevice)
    }

    /// What has been done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters::default()
    }
}

//! What a worker is opened with.

use std::sync::Arc;
use std::time::Duration;

use crate::code_listing::{CodeListing, PerfMapError};
use crate::device::cann::CannConfig;
use crate::device::process::ProcessSettings;
use crate::device::sim::UNLOAD_LIMIT_DEFAULT;
use crate::device::{DeviceError, RingConfig};
use crate::image_cache::ImageCache;
use crate::platform_name::PlatformName;
use crate::run::TIMEOUT_MAX;

/// What a worker is opened with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkerConfig {
    /// The device.
    pub platform: PlatformName,
    /// Sizes of the rings of every run; the default is the executor's.
    pub rings: RingConfig,
    /// How long loading or unloading an orchestration may take before the device is given up, or the
    /// thread where it is loaded on the host: its constructors and destructors are code of the user. Zero
    /// is 5 seconds.
    pub unload_limit: Duration,
    /// Whom loaded code is shown to; the default is nobody.
    pub code_listing: CodeListing,
    /// Which interleaving the simulator's threads go through; the default is what the machine makes of it.
    pub interleaving_seed: Option<u64>,
    /// How many processors the threads of a simulated device use at a time in a run; zero is as many as the
    /// machine has. Kernels that take long have threads of their own, which are not among these.
    pub cores_used: usize,
    /// How many bytes of arguments runs in flight may hold together; zero is
    /// [`IN_FLIGHT_BYTES_DEFAULT`]. Runs that their caller waits for hold nothing; an input that
    /// several runs share counts for each of them, though it is there once.
    pub in_flight_bytes: u64,
    /// When the device is opened.
    pub device_start: DeviceStart,
    /// Where verdicts on orchestrations are kept for later processes; the default is nowhere.
    pub image_cache: Option<Arc<ImageCache>>,
    /// What a chip itself is opened with.
    pub cann: CannConfig,
    /// Which program the device is, where it is in a process of its own.
    pub process: ProcessSettings,
}

/// How many bytes of arguments runs in flight may hold unless the user says otherwise: 1 GiB.
pub const IN_FLIGHT_BYTES_DEFAULT: u64 = 1 << 30;

/// When the device of a worker is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceStart {
    /// With the worker, so that opening the worker says what is wrong.
    #[default]
    AtOnce,
    /// When something needs it first: a registration, memory, facts.
    AtFirstUse,
}

impl WorkerConfig {
    /// Settings for a device, with default ring sizes.
    pub fn new(platform: PlatformName) -> Self {
        Self { platform, ..Self::default() }
    }

    /// The same with other ring sizes.
    #[must_use]
    pub fn with_rings(self, rings: RingConfig) -> Self {
        Self { rings, ..self }
    }

    /// The same with another limit for unloading.
    #[must_use]
    pub fn with_unload_limit(self, unload_limit: Duration) -> Self {
        Self { unload_limit, ..self }
    }

    /// How long constructors and destructors on the host may take.
    pub(super) fn limit_on_host(&self) -> Duration {
        match self.unload_limit {
            Duration::ZERO => UNLOAD_LIMIT_DEFAULT,
            limit => limit.min(TIMEOUT_MAX),
        }
    }

    /// The same with loaded code shown to debuggers or profilers.
    #[must_use]
    pub fn with_code_listing(self, code_listing: CodeListing) -> Self {
        Self { code_listing, ..self }
    }

    /// The same with verdicts on orchestrations taken from a cache and kept there
    /// ([`crate::image_cache`]).
    #[must_use]
    pub fn with_image_cache(self, image_cache: Option<Arc<ImageCache>>) -> Self {
        Self { image_cache, ..self }
    }

    /// The same with another program for a device in a process of its own.
    #[must_use]
    pub fn with_process(self, process: ProcessSettings) -> Self {
        Self { process, ..self }
    }

    /// The same with the threads of a simulated device taking turns in runs, one at a time, in an
    /// order that the seed decides: the same seed is the same interleaving again, unless kernels wait for one
    /// another. For tests: it is slower by far.
    #[must_use]
    pub fn with_interleaving_seed(self, interleaving_seed: Option<u64>) -> Self {
        Self { interleaving_seed, ..self }
    }

    /// The same with another number of processors that a simulated device uses ([`cores_used`](Self::cores_used)).
    #[must_use]
    pub fn with_cores_used(self, cores_used: usize) -> Self {
        Self { cores_used, ..self }
    }

    /// The same with another limit for what runs in flight hold.
    #[must_use]
    pub fn with_in_flight_bytes(self, in_flight_bytes: u64) -> Self {
        Self { in_flight_bytes, ..self }
    }

    /// The same with the device opened at another time.
    #[must_use]
    pub fn with_device_start(self, device_start: DeviceStart) -> Self {
        Self { device_start, ..self }
    }

    /// The same with other settings for a chip itself.
    #[must_use]
    pub fn with_cann(self, cann: CannConfig) -> Self {
        Self { cann, ..self }
    }

    /// How many bytes runs in flight may hold.
    pub(super) fn in_flight_limit(&self) -> u64 {
        match self.in_flight_bytes {
            0 => IN_FLIGHT_BYTES_DEFAULT,
            given => given,
        }
    }

    /// Checks the ring sizes (spec trb §2.4); 0 is the default of each.
    ///
    /// # Errors
    ///
    /// [`WorkerError::Ring`].
    pub(super) fn check(&self) -> Result<(), WorkerError> {
        let RingConfig { task_window, heap_bytes, dep_pool } = self.rings;
        let check = |what, value: u64, min: u64, power: bool| {
            let valid = value == 0 || (value >= min && (!power || value.is_power_of_two()));
            if valid { Ok(()) } else { Err(WorkerError::Ring { what, value, min }) }
        };
        check("task window", task_window, 4, true)?;
        check("heap size", heap_bytes, 1024, true)?;
        check("dependency pool", dep_pool, 4, false)
    }
}

/// Why a worker cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// A ring size that no executor can work with.
    #[error(
        "a {what} of {value} per ring is not possible; use at least {min}, a power of two for \
         window and heap"
    )]
    Ring {
        /// Which size.
        what: &'static str,
        /// As given.
        value: u64,
        /// The smallest.
        min: u64,
    },
    /// The device cannot be opened.
    #[error("the device cannot be opened")]
    Device(#[from] DeviceError),
    /// The map for perf cannot be written.
    #[error(transparent)]
    CodeListing(#[from] PerfMapError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ring_sizes_are_checked() {
        let check = |task_window, heap_bytes, dep_pool| {
            let rings = RingConfig { task_window, heap_bytes, dep_pool };
            WorkerConfig::default().with_rings(rings).check().is_ok()
        };
        assert!(check(0, 0, 0));
        assert!(check(4, 1024, 5));
        assert!(!check(2, 0, 0));
        assert!(!check(12, 0, 0));
        assert!(!check(0, 512, 0));
        assert!(!check(0, 3000, 0));
        assert!(!check(0, 0, 3));
    }
}

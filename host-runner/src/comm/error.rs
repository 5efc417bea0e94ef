//! Why a group of workers cannot be made or used.

use protocol::MAX_RANKS;

use crate::device::{DeviceError, MemoryError};
use crate::platform_name::PlatformName;

/// Why a group of workers cannot be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommError {
    /// No worker, or more than a communicator has room for.
    #[error("a group of {ranks} workers is not possible; it has 1 to {max}", max = MAX_RANKS)]
    Ranks {
        /// Workers given.
        ranks: usize,
    },
    /// A worker that is given twice: its runs wait for one another, so two ranks on it would too.
    #[error("rank {second} is the same worker as rank {first}; give each rank a worker of its own")]
    SameWorker {
        /// The rank that it has.
        first: u32,
        /// The rank that it is given for again.
        second: u32,
    },
    /// Chips of different families, whose windows do not reach one another.
    #[error(
        "rank {rank} is on {platform} and rank 0 on {first}; open all workers of a group on one \
         platform"
    )]
    MixedPlatforms {
        /// The first rank that differs.
        rank: u32,
        /// Its platform.
        platform: PlatformName,
        /// The platform of rank 0.
        first: PlatformName,
    },
    /// A window without bytes.
    #[error("a window of 0 bytes has room for nothing; give it at least one byte")]
    EmptyWindow,
    /// A window, or the record of a rank, that the device has no memory for.
    #[error("no memory for the window of rank {rank}")]
    Window {
        /// The rank.
        rank: u32,
        /// The device's reason.
        #[source]
        source: MemoryError,
    },
    /// A worker without a device.
    #[error("the device of rank {rank} cannot be opened")]
    Device {
        /// The rank.
        rank: u32,
        /// Why.
        #[source]
        source: Box<DeviceError>,
    },
    /// A rank that the group does not have.
    #[error("there is no rank {rank} in a group of {ranks}")]
    NoSuchRank {
        /// As given.
        rank: u32,
        /// Ranks of the group.
        ranks: u32,
    },
    /// Bytes that are not inside the window.
    #[error("{bytes} bytes at {offset} are not inside a window of {window} bytes")]
    OutOfWindow {
        /// The first byte.
        offset: usize,
        /// Number of bytes.
        bytes: usize,
        /// Bytes of the window.
        window: usize,
    },
    /// The device that had this rank's window was lost, and the window with it.
    #[error(
        "the device of rank {rank} was lost in a run that did not return, and its window with it; \
         make a new group"
    )]
    DeviceLost {
        /// The rank.
        rank: u32,
    },
}

//! What a kernel needs to reach the memory of other ranks.
//!
//! Written by the communication set-up, read by kernels of distributed callables. Field names and
//! order are those of the platform's communication library (spec trb §3.1).

use crate::addr::DeviceAddr;
use crate::layout::layout;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Ranks that one communicator can have.
pub const MAX_RANKS: usize = 64;

/// One rank's view of a communicator.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CommContext {
    /// Scratch memory of the library.
    pub work_space: DeviceAddr,
    /// Bytes of it.
    pub work_space_size: u64,
    /// This rank, from 0.
    pub rank_id: u32,
    /// Ranks, at most 64.
    pub rank_num: u32,
    /// Bytes of each window.
    pub win_size: u64,
    /// Window of each rank for data that it receives.
    pub windows_in: [DeviceAddr; MAX_RANKS],
    /// Window of each rank for data that it sends.
    pub windows_out: [DeviceAddr; MAX_RANKS],
}

layout! {
    COMM_CONTEXT: CommContext = "CommContext" on both, size 1056, align 8 {
        work_space as "workSpace" @ 0, work_space_size as "workSpaceSize" @ 8,
        rank_id as "rankId" @ 16, rank_num as "rankNum" @ 20, win_size as "winSize" @ 24,
        windows_in as "windowsIn" @ 32, windows_out as "windowsOut" @ 544,
    }
}

//! Workers that reach one another's memory: windows, and what kernels know of them. A [`CommGroup`] is
//! of workers of one process, a [`ProcessGroup`] of processes.
//!
//! ```text
//!  CommGroup ── rank 0 ── Worker ── device:  window 0, context 0 ──┐ windowsIn[1]
//!            └─ rank 1 ── Worker ── device:  window 1, context 1 ◀─┘
//! ```
//!
//! A callable gets the address of its rank's [`CommContext`](protocol::CommContext) as a scalar ([`CommGroup::context`]);
//! its kernels find every window there (`platform_comm/comm_context.h`; spec trb §3.1, hbg B9). The
//! group sends nothing by itself: kernels copy, and signal with words in the windows. A run waits
//! for its own worker only, so ranks that wait for one another are run from a thread each.
//!
//! A lost device may go on running code that reads its peers' windows. So whatever a device can
//! reach stays in memory as long as that device does; see [`SharedMemory`].

use std::sync::Arc;

use protocol::{DeviceAddr, MAX_RANKS};

use crate::device::SharedMemory;
use crate::worker::Worker;

mod error;
mod process_group;
mod rank_memory;

pub use error::CommError;
pub use process_group::{ProcessGroup, ProcessGroupError, WAIT_LIMIT_DEFAULT};
pub use rank_memory::RankMemory;

/// Bytes of zeroed scratch memory that each rank's context names as its work space: as much as
/// asynchronous copies want on the chip (spec hbg B9).
pub const WORK_SPACE_BYTES: usize = 16 * 1024;

/// Workers that share windows. Rank `r` is the `r`-th worker.
///
/// Dropping it takes the windows from the devices, after the runs in flight; where a device was
/// lost meanwhile, the log says so, and the windows stay in memory for good.
#[derive(Debug)]
pub struct CommGroup<'w> {
    ranks: Vec<Rank<'w>>,
    window_bytes: usize,
}

/// One member.
#[derive(Debug)]
struct Rank<'w> {
    worker: &'w Worker,
    memory: RankMemory,
    /// The worker's losses when the memory was attached to its device; `None` before.
    attached: Option<u64>,
}

impl Rank<'_> {
    /// Whether the device that has the window is lost.
    fn is_lost(&self) -> bool {
        self.attached.is_some_and(|losses| losses != self.worker.losses())
    }
}

impl<'w> CommGroup<'w> {
    /// Puts a zeroed window of `window_bytes` bytes and a context on the device of each worker.
    ///
    /// Waits while a run of one of them is in flight.
    ///
    /// # Errors
    ///
    /// [`CommError`]; nothing stays behind then.
    pub fn new(workers: &[&'w Worker], window_bytes: usize) -> Result<Self, CommError> {
        check_members(workers)?;
        if window_bytes == 0 {
            return Err(CommError::EmptyWindow);
        }
        let no_room = |rank| move |source| CommError::Window { rank, source };
        let window = |rank| SharedMemory::allocate(window_bytes).map_err(no_room(rank));
        let windows = (0..).zip(workers).map(|(rank, _)| window(rank));
        let windows = windows.collect::<Result<Vec<Arc<_>>, _>>()?;
        let member = |(rank, &worker)| {
            let memory = RankMemory::new(rank, windows.clone()).map_err(no_room(rank))?;
            Ok(Rank { worker, memory, attached: None })
        };
        let ranks = (0..).zip(workers).map(member).collect::<Result<Vec<_>, CommError>>()?;
        let mut group = Self { ranks, window_bytes };
        for rank in 0..workers.len() {
            group.attach(rank)?;
        }
        Ok(group)
    }

    /// Workers in the group.
    pub fn ranks(&self) -> u32 {
        // CAST: at most 64.
        self.ranks.len() as u32
    }

    /// Bytes of each window.
    pub fn window_bytes(&self) -> usize {
        self.window_bytes
    }

    /// Device address of a rank's [`CommContext`](protocol::CommContext), to be passed as a scalar of a run on that rank.
    ///
    /// # Errors
    ///
    /// [`CommError::NoSuchRank`] and [`CommError::DeviceLost`].
    pub fn context(&self, rank: u32) -> Result<DeviceAddr, CommError> {
        Ok(self.rank(rank)?.memory.context())
    }

    /// Device address of a rank's window. Every rank may pass it, as `TensorData::Device` too.
    ///
    /// # Errors
    ///
    /// [`CommError::NoSuchRank`] and [`CommError::DeviceLost`].
    pub fn window(&self, rank: u32) -> Result<DeviceAddr, CommError> {
        Ok(self.rank(rank)?.memory.window())
    }

    /// Copies `from` into a rank's window, from byte `offset` on.
    ///
    /// Does not wait for runs: a kernel that looks at the window meanwhile may see a part. Words of
    /// 32 bits are written whole, and not before what earlier calls wrote.
    ///
    /// # Errors
    ///
    /// [`CommError::NoSuchRank`], [`CommError::OutOfWindow`] and [`CommError::DeviceLost`].
    pub fn copy_in(&self, rank: u32, offset: usize, from: &[u8]) -> Result<(), CommError> {
        let copied = self.rank(rank)?.memory.own().copy_in(offset, from);
        copied.map_err(|_| self.out_of_window(offset, from.len()))
    }

    /// Copies bytes of a rank's window, from byte `offset` on; as [`copy_in`](Self::copy_in).
    ///
    /// # Errors
    ///
    /// As [`copy_in`](Self::copy_in).
    pub fn copy_out(&self, rank: u32, offset: usize, to: &mut [u8]) -> Result<(), CommError> {
        let copied = self.rank(rank)?.memory.own().copy_out(offset, to);
        copied.map_err(|_| self.out_of_window(offset, to.len()))
    }

    /// Takes the windows from the devices, as dropping does.
    ///
    /// # Errors
    ///
    /// [`CommError::DeviceLost`] with the first rank whose device was lost: its code may still use
    /// the windows, so they stay in memory until the process ends.
    pub fn close(self) -> Result<(), CommError> {
        match (0..).zip(&self.ranks).find(|(_, member)| member.is_lost()) {
            Some((rank, _)) => Err(CommError::DeviceLost { rank }),
            None => Ok(()),
        }
    }

    /// Gives the device of a rank what its kernels may reach.
    fn attach(&mut self, index: usize) -> Result<(), CommError> {
        // CAST: at most 64 ranks.
        let rank = index as u32;
        let member = &mut self.ranks[index];
        let losses = member
            .worker
            .attach_windows(&member.memory)
            .map_err(|error| CommError::Device { rank, source: Box::new(error) })?;
        member.attached = Some(losses);
        Ok(())
    }

    /// A member whose device still has its window.
    fn rank(&self, rank: u32) -> Result<&Rank<'w>, CommError> {
        let member = usize::try_from(rank).ok().and_then(|index| self.ranks.get(index));
        let member = member.ok_or(CommError::NoSuchRank { rank, ranks: self.ranks() })?;
        if member.is_lost() { Err(CommError::DeviceLost { rank }) } else { Ok(member) }
    }

    fn out_of_window(&self, offset: usize, bytes: usize) -> CommError {
        CommError::OutOfWindow { offset, bytes, window: self.window_bytes }
    }
}

impl Drop for CommGroup<'_> {
    fn drop(&mut self) {
        for (rank, member) in self.ranks.iter().enumerate() {
            if member.attached.is_none() {
                continue;
            }
            member.worker.detach_windows(&member.memory);
            if member.is_lost() {
                tracing::warn!(
                    "the device of rank {rank} was lost: the windows of its group stay in memory \
                     until the process ends"
                );
            }
        }
    }
}

/// Checks who is in a group.
fn check_members(workers: &[&Worker]) -> Result<(), CommError> {
    let Some(first) = workers.first().filter(|_| workers.len() <= MAX_RANKS) else {
        return Err(CommError::Ranks { ranks: workers.len() });
    };
    for (rank, worker) in (0..).zip(workers) {
        let platform = worker.platform();
        if platform != first.platform() {
            return Err(CommError::MixedPlatforms { rank, platform, first: first.platform() });
        }
        let same = |other: &&&Worker| std::ptr::eq(**other, *worker);
        let twin = (0..rank).zip(workers).find(|(_, other)| same(other));
        if let Some((first, _)) = twin {
            return Err(CommError::SameWorker { first, second: rank });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! Workers of one process that reach one another's memory: windows, and what kernels know of them.
//!
//! ```text
//!  CommGroup ── rank 0 ── Worker ── device:  window 0, context 0 ──┐ windowsIn[1]
//!            └─ rank 1 ── Worker ── device:  window 1, context 1 ◀─┘
//! ```
//!
//! A callable gets the address of its rank's [`CommContext`] as a scalar ([`CommGroup::context`]);
//! its kernels find every window there (`platform_comm/comm_context.h`; spec trb §3.1, hbg B9). The
//! group sends nothing by itself: kernels copy, and signal with words in the windows. A run waits
//! for its own worker only, so ranks that wait for one another are run from a thread each.
//!
//! A lost device may go on running code that reads its peers' windows. So whatever a device can
//! reach stays in memory as long as that device does; see [`SharedMemory`].

use std::sync::Arc;

use protocol::{CommContext, DeviceAddr, MAX_RANKS};
use zerocopy::IntoBytes as _;

use crate::device::{SharedMemory, Side};
use crate::worker::Worker;

mod error;

pub use error::CommError;

/// Bytes of zeroed scratch memory that each rank's context names as its work space: as much as
/// asynchronous copies want on the chip (spec hbg B9).
pub const WORK_SPACE_BYTES: usize = 16 * 1024;

/// Where the work space begins in the memory of a context: behind it, on a cache line.
const WORK_SPACE_OFFSET: usize = size_of::<CommContext>().next_multiple_of(64);

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
    window: Arc<SharedMemory>,
    /// The context, and the work space behind it.
    context: Arc<SharedMemory>,
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
        let mut ranks = Vec::with_capacity(workers.len());
        for (rank, worker) in (0..).zip(workers.iter().copied()) {
            let allocate = |bytes| {
                SharedMemory::allocate(bytes).map_err(|source| CommError::Window { rank, source })
            };
            let window = allocate(window_bytes)?;
            let context = allocate(WORK_SPACE_OFFSET + WORK_SPACE_BYTES)?;
            ranks.push(Rank { worker, window, context, attached: None });
        }
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

    /// Device address of a rank's [`CommContext`], to be passed as a scalar of a run on that rank.
    ///
    /// # Errors
    ///
    /// [`CommError::NoSuchRank`] and [`CommError::DeviceLost`].
    pub fn context(&self, rank: u32) -> Result<DeviceAddr, CommError> {
        Ok(self.rank(rank)?.context.address())
    }

    /// Device address of a rank's window. Every rank may pass it, as `TensorData::Device` too.
    ///
    /// # Errors
    ///
    /// [`CommError::NoSuchRank`] and [`CommError::DeviceLost`].
    pub fn window(&self, rank: u32) -> Result<DeviceAddr, CommError> {
        Ok(self.rank(rank)?.window.address())
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
        let copied = self.rank(rank)?.window.copy_in(offset, from);
        copied.map_err(|_| self.out_of_window(offset, from.len()))
    }

    /// Copies bytes of a rank's window, from byte `offset` on; as [`copy_in`](Self::copy_in).
    ///
    /// # Errors
    ///
    /// As [`copy_in`](Self::copy_in).
    pub fn copy_out(&self, rank: u32, offset: usize, to: &mut [u8]) -> Result<(), CommError> {
        let copied = self.rank(rank)?.window.copy_out(offset, to);
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

    /// Writes the context of a rank and gives its device what its kernels may reach.
    fn attach(&mut self, index: usize) -> Result<(), CommError> {
        // CAST: at most 64 ranks.
        let rank = index as u32;
        let member = &self.ranks[index];
        let record = self.record(rank);
        let fits = |source| CommError::Window { rank, source };
        member.context.copy_in(0, record.as_bytes()).map_err(fits)?;
        let side = |other: usize| if other == index { Side::Own } else { Side::Peer };
        let windows = self.ranks.iter().enumerate();
        let windows = windows.map(|(other, it)| (Arc::clone(&it.window), side(other)));
        let own = std::iter::once((Arc::clone(&member.context), Side::Own));
        let losses = member
            .worker
            .attach(windows.chain(own))
            .map_err(|error| CommError::Device { rank, source: Box::new(error) })?;
        self.ranks[index].attached = Some(losses);
        Ok(())
    }

    /// What a rank is told.
    fn record(&self, rank: u32) -> CommContext {
        let mut windows = [DeviceAddr::NULL; MAX_RANKS];
        for (address, member) in windows.iter_mut().zip(&self.ranks) {
            *address = member.window.address();
        }
        // CAST: indices below 64; an offset inside the memory of the context.
        let work_space = &self.ranks[rank as usize].context;
        let work_space = work_space.address().checked_add(WORK_SPACE_OFFSET as u64);
        CommContext {
            work_space: work_space.unwrap_or(DeviceAddr::NULL),
            work_space_size: WORK_SPACE_BYTES as u64,
            rank_id: rank,
            rank_num: self.ranks(),
            win_size: self.window_bytes as u64,
            // One window is for both: what a rank sends, it reads or writes in place.
            windows_in: windows,
            windows_out: windows,
        }
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
            let windows = self.ranks.iter().map(|other| other.window.address());
            member.worker.detach(windows.chain([member.context.address()]));
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

//! What the kernels of one rank reach: its window, those of its peers, and the record of them.

use std::sync::Arc;

use protocol::{CommContext, DeviceAddr, MAX_RANKS};
use zerocopy::IntoBytes as _;

use super::WORK_SPACE_BYTES;
use crate::device::{MemoryError, SharedMemory, Side};

/// Where the work space begins in the memory of a context: behind it, on a cache line.
const WORK_SPACE_OFFSET: usize = size_of::<CommContext>().next_multiple_of(64);

/// The windows of a communicator as one rank sees them, and its [`CommContext`].
///
/// A worker lets its kernels reach them after `Worker::attach_windows`. The memory stays as long
/// as this, or a device that it is attached to.
#[derive(Debug)]
pub struct RankMemory {
    rank: u32,
    /// By rank.
    pub(super) windows: Vec<Arc<SharedMemory>>,
    /// The context, and the work space behind it.
    pub(super) context: Arc<SharedMemory>,
}

impl RankMemory {
    /// Makes the record of a rank. There are 1 to 64 windows, all of one size, and the rank's is one
    /// of them.
    pub(super) fn new(rank: u32, windows: Vec<Arc<SharedMemory>>) -> Result<Self, MemoryError> {
        let context = SharedMemory::allocate(WORK_SPACE_OFFSET + WORK_SPACE_BYTES)?;
        let memory = Self { rank, windows, context };
        memory.context.copy_in(0, memory.record().as_bytes())?;
        Ok(memory)
    }

    /// The rank.
    pub fn rank(&self) -> u32 {
        self.rank
    }

    /// Ranks of the communicator.
    pub fn ranks(&self) -> u32 {
        // CAST: at most 64.
        self.windows.len() as u32
    }

    /// Bytes of each window.
    pub fn window_bytes(&self) -> usize {
        self.own().byte_len()
    }

    /// Device address of the rank's window.
    pub fn window(&self) -> DeviceAddr {
        self.own().address()
    }

    /// Device address of the rank's [`CommContext`], to be passed as a scalar of a run.
    pub fn context(&self) -> DeviceAddr {
        self.context.address()
    }

    /// All of the memory, and whose it is.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Arc<SharedMemory>, Side)> {
        let side = |rank| if rank == self.rank { Side::Own } else { Side::Peer };
        let windows = (0..).zip(&self.windows);
        let windows = windows.map(move |(rank, window)| (window, side(rank)));
        windows.chain([(&self.context, Side::Own)])
    }

    pub(super) fn own(&self) -> &SharedMemory {
        // CAST: below 64.
        &self.windows[self.rank as usize]
    }

    /// What the rank is told.
    fn record(&self) -> CommContext {
        let mut windows = [DeviceAddr::NULL; MAX_RANKS];
        for (address, window) in windows.iter_mut().zip(&self.windows) {
            *address = window.address();
        }
        // CAST: an offset inside the memory of the context; sizes of memory that there is.
        let work_space = self.context.address().checked_add(WORK_SPACE_OFFSET as u64);
        CommContext {
            work_space: work_space.unwrap_or(DeviceAddr::NULL),
            work_space_size: WORK_SPACE_BYTES as u64,
            rank_id: self.rank,
            rank_num: self.ranks(),
            win_size: self.window_bytes() as u64,
            // One window is for both: what a rank sends, it reads or writes in place.
            windows_in: windows,
            windows_out: windows,
        }
    }
}

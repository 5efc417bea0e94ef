//! Communicators of processes: ranks that share windows through POSIX shared memory (spec hbg B9).
//!
//! ```text
//!  join ──▶ a rank of its own, in a file with a name ──▶ windows: all ranks map it, its name goes
//!       ──▶ barrier, any number ──▶ leave
//! ```
//!
//! Processes with the same parent find one another by a path that all are given, of which only the
//! text matters. Nothing of a communicator is left behind once all ranks have mapped the windows,
//! however they end; what is left of one that never got there is replaced by the next.
//!
//! A process that is forked from a member holds its rank too, as long as it lives.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use protocol::MAX_RANKS;
use rustix::param::page_size;

use super::RankMemory;
use crate::device::{MemoryError, SharedMemory};

mod error;
#[expect(unsafe_code, reason = "asks the system for locks that no crate offers")]
mod locks;
mod meeting_file;

pub use error::ProcessGroupError;
use meeting_file::{MeetingFile, path_of};

/// How long ranks wait for one another, as in the reference (spec hbg B9).
pub const WAIT_LIMIT_DEFAULT: Duration = Duration::from_secs(120);

/// Between two looks at the other ranks: first and last.
const POLLS: [Duration; 2] = [Duration::from_micros(50), Duration::from_millis(1)];

/// How long a member that leaves early waits to tidy up.
const TIDY_LIMIT: Duration = Duration::from_secs(1);

/// The first words of a header: "simpler comm".
const MAGIC: [u32; 3] = [0x706d_6973, 0x2072_656c, 0x6d6d_6f63];
/// Layout of the file.
const VERSION: u32 = 1;

/// Words of the header, by index.
const VERSION_WORD: usize = MAGIC.len();
const RANKS_WORD: usize = VERSION_WORD + 1;
/// Bytes of a window, lower half first; 0 as long as nobody has said.
const WINDOW_WORDS: [usize; 2] = [RANKS_WORD + 1, RANKS_WORD + 2];
/// 1 for each rank that has mapped the windows.
const MAPPED_WORDS: usize = 16;
/// Barriers that each rank has come to.
const ARRIVED_WORDS: usize = MAPPED_WORDS + MAX_RANKS;
const HEADER_BYTES: usize = (ARRIVED_WORDS + MAX_RANKS) * size_of::<u32>();

/// One rank of a communicator of processes.
///
/// Dropping it leaves without a word to the others; those that wait for it learn of it.
#[derive(Debug)]
pub struct ProcessGroup {
    rank: u32,
    ranks: u32,
    limit: Duration,
    file: MeetingFile,
    header: Arc<SharedMemory>,
    memory: Option<Arc<RankMemory>>,
    /// Barriers that this rank has come to.
    barriers: u32,
    is_broken: bool,
}

impl ProcessGroup {
    /// Takes rank `rank` of `ranks` at the place that `key` names; does not wait for the others.
    /// `limit` is for each later wait.
    ///
    /// # Errors
    ///
    /// [`ProcessGroupError`]; nothing stays behind then.
    pub fn join(
        rank: u32,
        ranks: u32,
        key: &Path,
        limit: Duration,
    ) -> Result<Self, ProcessGroupError> {
        // CAST: 64.
        if ranks == 0 || ranks > MAX_RANKS as u32 {
            return Err(ProcessGroupError::Ranks { ranks });
        }
        if rank >= ranks {
            return Err(ProcessGroupError::NoSuchRank { rank, ranks });
        }
        let (path, until) = (path_of(key), Instant::now() + limit);
        loop {
            if let Some(file) = MeetingFile::open(&path)?
                && let Some(header) = enter(&file, rank, ranks, until)?
            {
                let memory = None;
                let (barriers, is_broken) = (0, false);
                return Ok(Self { rank, ranks, limit, file, header, memory, barriers, is_broken });
            }
            if Instant::now() >= until {
                let what = "the file where ranks meet";
                return Err(ProcessGroupError::Late { what, limit, missing: Vec::new() });
            }
        }
    }

    /// The rank.
    pub fn rank(&self) -> u32 {
        self.rank
    }

    /// Ranks of the communicator.
    pub fn ranks(&self) -> u32 {
        self.ranks
    }

    /// The windows, once they are there.
    pub fn memory(&self) -> Option<&Arc<RankMemory>> {
        self.memory.as_ref()
    }

    /// Makes zeroed windows of `bytes` bytes, together with all other ranks, and waits for those.
    ///
    /// # Errors
    ///
    /// [`ProcessGroupError`]. After [`Late`](ProcessGroupError::Late) the communicator is broken; after
    /// the others it is as before.
    pub fn windows(&mut self, bytes: usize) -> Result<&Arc<RankMemory>, ProcessGroupError> {
        self.check()?;
        if self.memory.is_some() {
            return Err(ProcessGroupError::HasWindows);
        }
        let until = Instant::now() + self.limit;
        let memory = self.map(bytes, until)?;
        let what = "the windows";
        let has_mapped = |rank| self.word(MAPPED_WORDS, rank) == 1;
        if let Err(error) = self.wait(what, until, has_mapped, |_| Ok(false)) {
            self.is_broken = true;
            return Err(error);
        }
        Ok(self.memory.insert(Arc::new(memory)))
    }

    /// Waits until all ranks have come here. What a rank did before is seen by all afterwards.
    ///
    /// # Errors
    ///
    /// [`ProcessGroupError::NoWindows`]; [`RankLost`](ProcessGroupError::RankLost) and
    /// [`Late`](ProcessGroupError::Late), after which the communicator is broken.
    pub fn barrier(&mut self) -> Result<(), ProcessGroupError> {
        self.check()?;
        if self.memory.is_none() {
            return Err(ProcessGroupError::NoWindows);
        }
        self.barriers = self.barriers.wrapping_add(1);
        let own = self.barriers;
        // ORDERING: Release: who sees it sees what this rank did before.
        self.header.word(ARRIVED_WORDS + self.rank as usize).store(own, Ordering::Release);
        // Others are at most one barrier ahead, and never half of all numbers.
        let has_come = |rank| self.word(ARRIVED_WORDS, rank).wrapping_sub(own) < u32::MAX / 2;
        let is_gone = |rank| self.file.has_rank(rank).map(|has| !has);
        let met = self.wait("a barrier", Instant::now() + self.limit, has_come, is_gone);
        self.is_broken = met.is_err();
        met
    }

    /// Waits for the others, where there are windows, and leaves.
    ///
    /// # Errors
    ///
    /// As [`barrier`](Self::barrier); this rank has left all the same.
    pub fn leave(mut self) -> Result<(), ProcessGroupError> {
        if self.memory.is_some() { self.barrier() } else { Ok(()) }
    }

    fn check(&self) -> Result<(), ProcessGroupError> {
        if self.is_broken { Err(ProcessGroupError::Broken) } else { Ok(()) }
    }

    /// Agrees on the size with the others and maps all windows. The last one takes the name away.
    fn map(&self, bytes: usize, until: Instant) -> Result<RankMemory, ProcessGroupError> {
        let late = || ProcessGroupError::Late {
            what: "the file where ranks meet",
            limit: self.limit,
            missing: Vec::new(),
        };
        let gate = self.file.gate(until)?.ok_or_else(late)?;
        let stride = self.agree(bytes)?;
        let page = page_size() as u64;
        let window = |rank: u32| self.file.map(page + u64::from(rank) * stride, bytes);
        let windows = (0..self.ranks).map(window).collect::<Result<Vec<_>, _>>()?;
        let memory = RankMemory::new(self.rank, windows)?;
        let has_mapped = |rank| rank == self.rank || self.word(MAPPED_WORDS, rank) == 1;
        if (0..self.ranks).all(has_mapped) {
            // Before the others can see that all are there, and go on.
            gate.remove_name()?;
        }
        // ORDERING: Release: as in `barrier`, and the name is gone for whoever sees all of them.
        self.header.word(MAPPED_WORDS + self.rank as usize).store(1, Ordering::Release);
        Ok(memory)
    }

    /// Agrees on the size of windows, with the gate held; returns the distance from one to the next.
    fn agree(&self, bytes: usize) -> Result<u64, ProcessGroupError> {
        if bytes == 0 {
            return Err(ProcessGroupError::EmptyWindow);
        }
        let [low, high] = WINDOW_WORDS.map(|word| self.header.word(word));
        // ORDERING: Relaxed: changed with the gate held only.
        let half = |word: &AtomicU32| u64::from(word.load(Ordering::Relaxed));
        // CAST: the supported targets have 64 bits.
        let (own, theirs) = (bytes as u64, half(low) | half(high) << 32);
        if theirs != 0 && theirs != own {
            return Err(ProcessGroupError::OtherWindow { own, theirs });
        }
        let page = page_size() as u64;
        let size = |stride: u64| stride.checked_mul(self.ranks.into())?.checked_add(page);
        let stride = own.checked_next_multiple_of(page);
        let fits = stride.and_then(|stride| Some((stride, size(stride)?)));
        let fits = fits.filter(|(_, total)| i64::try_from(*total).is_ok());
        let (stride, total) = fits.ok_or(MemoryError::Exhausted { bytes })?;
        if theirs == 0 {
            self.file.reserve(total)?;
            // CAST: the halves.
            // ORDERING: Relaxed: as above.
            low.store(own as u32, Ordering::Relaxed);
            high.store((own >> 32) as u32, Ordering::Relaxed);
        }
        Ok(stride)
    }

    /// A word of a rank.
    fn word(&self, first: usize, rank: u32) -> u32 {
        // ORDERING: Acquire: what the rank did before it wrote this is seen.
        self.header.word(first + rank as usize).load(Ordering::Acquire)
    }

    /// Waits until all ranks are there, or one of those that are not is gone for good.
    fn wait(
        &self,
        what: &'static str,
        until: Instant,
        is_there: impl Fn(u32) -> bool,
        is_gone: impl Fn(u32) -> Result<bool, ProcessGroupError>,
    ) -> Result<(), ProcessGroupError> {
        let [mut pause, longest] = POLLS;
        loop {
            let mut missing = (0..self.ranks).filter(|&rank| rank != self.rank && !is_there(rank));
            let Some(first) = missing.next() else { return Ok(()) };
            for rank in std::iter::once(first).chain(missing) {
                // It may have come, and left, in between.
                if is_gone(rank)? && !is_there(rank) {
                    return Err(ProcessGroupError::RankLost { rank });
                }
            }
            if Instant::now() >= until {
                let missing = (0..self.ranks).filter(|&rank| !is_there(rank)).collect();
                return Err(ProcessGroupError::Late { what, limit: self.limit, missing });
            }
            std::thread::sleep(pause);
            pause = (2 * pause).min(longest);
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if self.memory.is_some() {
            return;
        }
        let tidied = self.file.gate(Instant::now() + TIDY_LIMIT).and_then(|gate| match gate {
            Some(gate) if !self.file.has_members()? => gate.remove_name(),
            _ => Ok(()),
        });
        if let Err(error) = tidied {
            tracing::warn!(%error, "a communicator that was not complete leaves its file behind");
        }
    }
}

/// Takes a rank in a file, and maps its header. `None` where the file has been, or is now, replaced.
fn enter(
    file: &MeetingFile,
    rank: u32,
    ranks: u32,
    until: Instant,
) -> Result<Option<Arc<SharedMemory>>, ProcessGroupError> {
    let Some(gate) = file.gate(until)? else { return Ok(None) };
    if !file.is_named()? {
        return Ok(None);
    }
    let is_new = file.byte_len()? == 0;
    if !is_new && !file.has_members()? {
        gate.remove_name()?;
        return Ok(None);
    }
    let entered = take(file, is_new, rank, ranks);
    if entered.is_err() && is_new {
        gate.remove_name()?;
    }
    entered.map(Some)
}

/// Takes a rank, with the gate held.
fn take(
    file: &MeetingFile,
    is_new: bool,
    rank: u32,
    ranks: u32,
) -> Result<Arc<SharedMemory>, ProcessGroupError> {
    if is_new {
        // CAST: a page.
        file.reserve(page_size() as u64)?;
    }
    let foreign = ProcessGroupError::OtherVersion { own: VERSION, theirs: 0 };
    if file.byte_len()? < page_size() as u64 {
        return Err(foreign);
    }
    let header = file.map(0, HEADER_BYTES)?;
    // ORDERING: Relaxed: the gate is held.
    let word = |index: usize| header.word(index).load(Ordering::Relaxed);
    let store = |index: usize, value| header.word(index).store(value, Ordering::Relaxed);
    if is_new {
        MAGIC.into_iter().chain([VERSION, ranks]).enumerate().for_each(|(at, it)| store(at, it));
    }
    if !(0..MAGIC.len()).map(word).eq(MAGIC) {
        return Err(foreign);
    }
    let (version, theirs) = (word(VERSION_WORD), word(RANKS_WORD));
    if version != VERSION {
        return Err(ProcessGroupError::OtherVersion { own: VERSION, theirs: version });
    }
    if theirs != ranks {
        return Err(ProcessGroupError::OtherRanks { own: ranks, theirs });
    }
    if !file.claim(rank)? {
        return Err(ProcessGroupError::RankTaken { rank });
    }
    // Another process may have had this rank, and ended early.
    store(MAPPED_WORDS + rank as usize, 0);
    Ok(header)
}

#[cfg(test)]
mod tests;

//! Why processes cannot form a communicator, or go on with it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use protocol::MAX_RANKS;

use crate::device::MemoryError;

/// Why processes cannot form a communicator, or go on with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessGroupError {
    /// No rank, or more than a communicator has room for.
    #[error("a communicator of {ranks} ranks is not possible; it has 1 to {max}", max = MAX_RANKS)]
    Ranks {
        /// As given.
        ranks: u32,
    },
    /// A rank that the communicator does not have.
    #[error("there is no rank {rank} in a communicator of {ranks}")]
    NoSuchRank {
        /// As given.
        rank: u32,
        /// Ranks of the communicator.
        ranks: u32,
    },
    /// The system refuses something about the file where the ranks meet.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was to be done with it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The name is in use by something that is not this user's own file.
    #[error("{} is not a file of this user alone; remove it, or use another path", path.display())]
    ForeignFile {
        /// The file.
        path: PathBuf,
    },
    /// The others are of another version of this library.
    #[error(
        "the other ranks have version {theirs} of the communicator, and this one {own}; use one version"
    )]
    OtherVersion {
        /// Version of this library; 0 for a file of somebody else.
        own: u32,
        /// Version of the file.
        theirs: u32,
    },
    /// The ranks that are there are of a communicator of another size.
    #[error("this rank is one of {own}, but the others are of a communicator of {theirs}")]
    OtherRanks {
        /// Ranks as given here.
        own: u32,
        /// Ranks as given by the others.
        theirs: u32,
    },
    /// A rank that another process, or another handle, has.
    #[error("rank {rank} is taken; give each process a rank of its own")]
    RankTaken {
        /// The rank.
        rank: u32,
    },
    /// A window without bytes.
    #[error("a window of 0 bytes has room for nothing; give it at least one byte")]
    EmptyWindow,
    /// The others have windows of another size.
    #[error("a window of {own} bytes, but those of the other ranks have {theirs}; use one size")]
    OtherWindow {
        /// Bytes as given here.
        own: u64,
        /// Bytes as given by the first rank.
        theirs: u64,
    },
    /// Windows are made once.
    #[error("the windows of this communicator are there already")]
    HasWindows,
    /// Nothing to meet in.
    #[error("the communicator has no windows yet; make them first")]
    NoWindows,
    /// No memory for a window or the record of the rank.
    #[error("no memory for a window")]
    Memory(#[from] MemoryError),
    /// Ranks that did not come.
    #[error("waited {limit:?} for {what}, without ranks {missing:?}")]
    Late {
        /// What was waited for.
        what: &'static str,
        /// For how long.
        limit: Duration,
        /// Who has not come.
        missing: Vec<u32>,
    },
    /// A rank that ended, or left, while others wait for it.
    #[error("rank {rank} has ended while others wait for it; make a new communicator")]
    RankLost {
        /// The rank.
        rank: u32,
    },
    /// An earlier wait failed, so the ranks may be at different places.
    #[error("an earlier wait of this communicator failed; make a new one")]
    Broken,
}

//! What can be wrong with the folder or with an entry in it.
//!
//! An entry that is wrong is never an error of who asks: it is logged, counted and passed by. The
//! types are here so that the log says what was wrong, and the tests can tell one from another.

use std::io;
use std::path::PathBuf;

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// The system refuses it.
    #[error("the folder {} cannot be used; choose another one", path.display())]
    System {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// It belongs to somebody else, who could put code there.
    #[error(
        "the folder {} belongs to user {found}, not to {own}; choose a folder of your own",
        path.display()
    )]
    ForeignOwner {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        found: u32,
        /// Who this process is.
        own: u32,
    },
    /// Others may write to it, and could put code there.
    #[error(
        "others may write to the folder {} (mode {mode:03o}); take that right away with \
         `chmod go-w`",
        path.display()
    )]
    OthersMayWrite {
        /// The folder.
        path: PathBuf,
        /// Its rights.
        mode: u32,
    },
}

/// Why an entry is not used. Nothing of it is.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// It is no ordinary file: a link, a folder, a pipe.
    #[error("it is not an ordinary file")]
    NotAFile,
    /// Somebody else wrote it or may write it.
    #[error("it belongs to user {owner} with mode {mode:03o}, so others may have written it")]
    NotPrivate {
        /// Its owner.
        owner: u32,
        /// Its rights.
        mode: u32,
    },
    /// It is larger than an entry may be.
    #[error("it has {bytes} bytes, more than {limit}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The most an entry may have.
        limit: u64,
    },
    /// The system does not let it be read.
    #[error("it cannot be read ({kind})")]
    Unreadable {
        /// The system's reason.
        kind: io::ErrorKind,
    },
    /// It ends within a part of it.
    #[error("it ends within its {part}")]
    Truncated {
        /// The part.
        part: &'static str,
    },
    /// It does not begin as entries do.
    #[error("it does not begin as an entry of this cache does")]
    Magic,
    /// It was written in another format.
    #[error("it has format {found}, this program writes {want}")]
    Format {
        /// As written.
        found: u32,
        /// As expected.
        want: u32,
    },
    /// It holds something else than its place says.
    #[error("it is an entry of another kind, or for other content")]
    Misplaced,
    /// A digest is not that of the bytes.
    #[error("its {part} does not have the digest that it names")]
    Digest {
        /// Header or payload.
        part: &'static str,
    },
    /// More bytes follow than it announces.
    #[error("{bytes} bytes follow its end")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A field has a value that is never written.
    #[error("its {part} has a value that is never written")]
    Value {
        /// The field.
        part: &'static str,
    },
}

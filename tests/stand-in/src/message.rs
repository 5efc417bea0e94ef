//! What is said between the daemon and whoever started it: numbered requests, and an answer to each.
//!
//! A message is its length, four bytes, the lowest first, and then JSON. Answers come in the order in which
//! things are done, so requests may be made while others are under way, as on streams of a chip.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use protocol::ChipName;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Longest message that is read.
const MESSAGE_BYTES_MAX: u32 = 1 << 20;

/// A message with the number of its request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbered<T> {
    /// The number, which the request was given by who made it.
    pub number: u64,
    /// What is said.
    pub content: T,
}

/// What the daemon is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Open the AICPU image, in place of the one before.
    Open {
        /// Where it is.
        library: PathBuf,
        /// Who sees its symbols.
        scope: Scope,
    },
    /// Call an entry point, on several threads at once.
    Call {
        /// Its symbol.
        entry: String,
        /// Its argument, an address in device memory as a rule.
        argument: u64,
        /// How many threads.
        threads: u32,
    },
    /// Start the program of the cores, which ends with the run.
    RunCores(CoreLaunch),
    /// Have all cores leave their program, wherever they wait; those inside a kernel do so after it.
    StopCores,
    /// Close the image.
    Close,
}

/// How an image is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// As the driver's server does: symbols are bound when they are used, and offered to everybody.
    Global,
    /// As a simulator host does: symbols are bound at once, and offered to nobody.
    Local,
}

/// A chip, as messages name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Chip {
    /// The a2a3 family.
    A2a3,
    /// The a5 family.
    A5,
}

impl Chip {
    /// Both.
    pub const ALL: [Self; 2] = [Self::A2a3, Self::A5];

    /// Its name for users and in folders.
    pub const fn name(self) -> &'static str {
        match self {
            Self::A2a3 => ChipName::A2a3.name(),
            Self::A5 => ChipName::A5.name(),
        }
    }
}

impl From<ChipName> for Chip {
    fn from(name: ChipName) -> Self {
        match name {
            ChipName::A2a3 => Self::A2a3,
            ChipName::A5 => Self::A5,
        }
    }
}

/// What cores are started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoreLaunch {
    /// Whose cores they are.
    pub chip: Chip,
    /// How many clusters of one cube and two vector cores.
    pub clusters: u32,
    /// Address of the run record, with the handshakes.
    pub runtime: u64,
    /// Address of the array of register block addresses, by physical core id. A core's physical id is its
    /// index.
    pub registers: u64,
}

/// What the daemon answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done: an image was opened or closed, cores were told to leave.
    Done,
    /// All threads have returned.
    Returned {
        /// What the entry point returned to each, in order of their numbers.
        statuses: Vec<i32>,
    },
    /// All cores have left their program.
    CoresLeft {
        /// Tasks that they were given.
        tasks: u64,
        /// Tasks that they could not do, and why; empty where all is well.
        faults: Vec<String>,
        /// How many left because they were told to stop, not by an exit word.
        stopped: u32,
    },
    /// It is not done.
    Refused {
        /// Why.
        reason: String,
    },
}

/// Writes a message.
///
/// # Errors
///
/// Those of the writer.
pub fn write(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let length = u32::try_from(text.len()).map_err(|_| invalid("a message of 4 GiB"))?;
    // In one piece, so that the other side is woken once.
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend_from_slice(&text);
    to.write_all(&bytes)?;
    to.flush()
}

/// Reads a message; `None` where there will be no more.
///
/// # Errors
///
/// Those of the reader; [`io::ErrorKind::InvalidData`] for bytes that are no such message.
pub fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_le_bytes(length);
    if length > MESSAGE_BYTES_MAX {
        return Err(invalid("a message that is longer than any"));
    }
    let mut text = vec![0; length as usize];
    from.read_exact(&mut text)?;
    Ok(Some(serde_json::from_slice(&text)?))
}

fn invalid(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_were_written_and_then_there_is_none() {
        let launch = CoreLaunch { chip: Chip::A5, clusters: 2, runtime: 1 << 60, registers: 64 };
        let sent = [Request::RunCores(launch), Request::StopCores];
        let mut bytes = Vec::new();
        for (number, content) in (7..).zip(sent.clone()) {
            write(&mut bytes, &Numbered { number, content }).unwrap();
        }
        let mut from = bytes.as_slice();
        for (number, content) in (7..).zip(sent) {
            assert_eq!(read(&mut from).unwrap(), Some(Numbered { number, content }));
        }
        assert_eq!(read::<Numbered<Request>>(&mut from).unwrap(), None);
    }

    #[test]
    fn what_is_cut_short_too_long_or_no_message_is_an_error() {
        let mut bytes = Vec::new();
        write(&mut bytes, &Answer::Done).unwrap();
        let cut = &bytes[..bytes.len() - 1];
        assert!(read::<Answer>(&mut &*cut).is_err());
        assert!(read::<Answer>(&mut &[0xFF; 8][..]).is_err());
        assert!(read::<Answer>(&mut &b"\x02\0\0\0{]"[..]).is_err());
    }
}

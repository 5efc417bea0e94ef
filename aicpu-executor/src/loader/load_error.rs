//! Why a planned image cannot be committed.
//!
//! The image itself is beyond doubt by then, so what is left is memory and names.

use core::fmt;

use super::code_memory::MemoryError;
use super::elf::Tag;
use super::error::PlanError;
use super::import::Import;

/// Names that are listed at most.
const MAX_LISTED: usize = 64;

/// Bytes of all listed names together, each with a NUL behind it.
const LISTED_BYTES: usize = 4096;

/// Why [`commit`](super::commit()) failed. The memory was released.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "without an allocator the names of missing symbols travel by value"
)]
pub enum LoadError {
    /// The memory has larger pages than the plan was made for; plan again with its page size.
    PageSize {
        /// Page size of the plan.
        planned: usize,
        /// Page size of the memory.
        memory: usize,
    },
    /// The memory handed out an address that is not aligned as asked, or wraps around.
    BaseAddress {
        /// What it handed out.
        base: u64,
        /// What was asked for.
        align: usize,
    },
    /// The memory failed.
    Memory(MemoryError),
    /// The image wants symbols that the resolver does not offer.
    Unresolved(UnresolvedSymbols),
    /// An entry of an initialiser or finaliser array is not code of this image.
    FunctionOutsideText {
        /// The array.
        tag: Tag,
        /// Index of the entry.
        index: usize,
        /// What the entry holds after relocation.
        address: u64,
    },
    /// The loader itself tried to write outside the writable segments; nothing was written there.
    WriteOutsideImage {
        /// First address, as linked.
        vaddr: u64,
        /// Bytes.
        bytes: u64,
    },
    /// The plan contradicts the image; cannot happen while the image is borrowed.
    Plan(PlanError),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PageSize { planned, memory } => write!(
                f,
                "the image was planned for pages of {planned} bytes, the memory has {memory}; plan \
                 with the page size of the memory"
            ),
            Self::BaseAddress { base, align } => {
                write!(
                    f,
                    "reserved code memory at {base:#x}, which is not usable with alignment {align:#x}"
                )
            }
            Self::Memory(error) => error.fmt(f),
            Self::Unresolved(symbols) => symbols.fmt(f),
            Self::FunctionOutsideText { tag, index, address } => {
                write!(f, "entry {index} of {tag} is {address:#x}, which is not code of this image")
            }
            Self::WriteOutsideImage { vaddr, bytes } => {
                write!(f, "refused to write {bytes:#x} bytes at {vaddr:#x}, outside the image")
            }
            Self::Plan(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Memory(error) => Some(error),
            Self::Plan(error) => Some(error),
            _ => None,
        }
    }
}

impl From<MemoryError> for LoadError {
    fn from(error: MemoryError) -> Self {
        Self::Memory(error)
    }
}

impl From<PlanError> for LoadError {
    fn from(error: PlanError) -> Self {
        Self::Plan(error)
    }
}

/// All strong symbols nobody offers: the exact number and the first names.
///
/// Up to 64 names are listed, as long as they fit 4 KiB together.
#[derive(Clone, PartialEq, Eq)]
pub struct UnresolvedSymbols {
    total: usize,
    listed: usize,
    /// The listed names, each with a NUL behind it.
    names: heapless::Vec<u8, LISTED_BYTES>,
}

impl UnresolvedSymbols {
    /// Starts with none.
    pub(super) const fn new() -> Self {
        Self { total: 0, listed: 0, names: heapless::Vec::new() }
    }

    /// Counts an import, and lists it if there is room.
    pub(super) fn push(&mut self, import: &Import<'_>) {
        self.total += 1;
        let version = import.version.map_or(&[][..], |version| version.name);
        let at: &[u8] = if version.is_empty() { b"" } else { b"@" };
        let room = LISTED_BYTES - self.names.len();
        // Once a name was left out no later one is listed, so that the list is a beginning.
        let all_listed = self.listed + 1 == self.total;
        if all_listed
            && self.listed < MAX_LISTED
            && import.name.len() + at.len() + version.len() < room
        {
            for part in [import.name, at, version, b"\0"] {
                // Cannot fail: the room was compared.
                let _ = self.names.extend_from_slice(part);
            }
            self.listed += 1;
        }
    }

    /// Returns how many symbols are missing, listed or not.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.total
    }

    /// Iterates over the listed names, in the order of the symbol table; those wanted in a
    /// version as `name@VERSION`.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.names.split(|byte| *byte == 0).take(self.listed)
    }
}

impl fmt::Display for UnresolvedSymbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} symbols are not offered by the executor:", self.total)?;
        for name in self.names() {
            write!(f, " {}", name.escape_ascii())?;
        }
        match self.total - self.listed {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl fmt::Debug for UnresolvedSymbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnresolvedSymbols({self})")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;
    use std::vec::Vec;
    use std::{format, vec};

    use super::*;
    use crate::loader::SymbolVersion;

    /// An import of `name` without version.
    fn plain(name: &[u8]) -> Import<'_> {
        Import { name, weak: false, version: None }
    }

    #[test]
    fn a_version_stands_behind_its_name_and_counts_as_room() {
        let version = Some(SymbolVersion { name: b"V_2" });
        let mut symbols = UnresolvedSymbols::new();
        symbols.push(&Import { name: b"memcpy", weak: false, version });
        symbols.push(&plain(b"free"));
        assert_eq!(symbols.names().collect::<Vec<_>>(), [&b"memcpy@V_2"[..], b"free"]);
        for (spare, listed) in [(4, false), (5, true)] {
            let mut symbols = UnresolvedSymbols::new();
            // Behind it and its NUL there are spare + 1 bytes; `b@V_2` and its NUL take six.
            symbols.push(&plain(&vec![b'a'; LISTED_BYTES - 2 - spare]));
            symbols.push(&Import { name: b"b", weak: false, version });
            assert_eq!(symbols.names().count(), 1 + usize::from(listed), "{spare}");
        }
    }

    #[test]
    fn lists_64_names_and_counts_the_rest() {
        for count in [63, 64, 65] {
            let mut symbols = UnresolvedSymbols::new();
            for index in 0..count {
                symbols.push(&plain(format!("name_{index}").as_bytes()));
            }
            assert_eq!(symbols.total(), count);
            assert_eq!(symbols.names().count(), count.min(64));
            assert_eq!(
                symbols.names().last(),
                Some(format!("name_{}", count.min(64) - 1).as_bytes())
            );
            assert_eq!(symbols.to_string().ends_with(" and 1 more"), count == 65);
        }
    }

    #[test]
    fn leaves_out_whole_names_when_the_room_ends() {
        let mut symbols = UnresolvedSymbols::new();
        symbols.push(&plain(&vec![b'a'; LISTED_BYTES - 5]));
        symbols.push(&plain(b"abcd"));
        symbols.push(&plain(b"abc"));
        assert_eq!(symbols.total(), 3);
        assert_eq!(symbols.names().map(<[u8]>::len).collect::<Vec<_>>(), [LISTED_BYTES - 5]);
        let mut exact = UnresolvedSymbols::new();
        exact.push(&plain(&vec![b'a'; LISTED_BYTES - 5]));
        exact.push(&plain(b"abc"));
        assert_eq!(exact.names().count(), 2);
    }
}

//! How log lines and messages name a shared object: its own name and its Build-ID.
//!
//! Both are copied, because a message may be needed when the image is gone: at unloading, or when
//! a destructor throws. A file that cannot be planned gets a label as well.

use core::fmt;

use super::name::SymbolName;
use super::note::{self, MAX_BUILD_ID_BYTES};
use super::plan::Plan;

/// A GNU Build-ID, 1 to 64 bytes. Prints as hexadecimal digits, all of them.
///
/// It names a build for logs and debuggers; equal ids do not prove equal files.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BuildId {
    bytes: [u8; MAX_BUILD_ID_BYTES],
    length: u8,
}

impl BuildId {
    /// Copies an id; `None` unless it has 1 to 64 bytes.
    #[must_use]
    pub fn new(id: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_BUILD_ID_BYTES];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        let length = u8::try_from(id.len()).ok().filter(|length| *length > 0)?;
        Some(Self { bytes, length })
    }

    /// Reads the id of any ELF64 little-endian file, even one that cannot be loaded.
    ///
    /// `None` if it has none that can be read. No input makes it panic; cost: one pass over the
    /// program headers and notes.
    #[must_use]
    pub fn of_file(file: &[u8]) -> Option<Self> {
        Self::new(note::build_id_of_any_file(file)?)
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&self.bytes)
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BuildId({self})")
    }
}

/// What a message calls a shared object.
///
/// Prints as `liba.so (build-id 1a2b…)`, or without what the file does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageLabel {
    /// `DT_SONAME`, empty if there is none.
    pub soname: SymbolName,
    /// Build-ID.
    pub build_id: Option<BuildId>,
}

impl ImageLabel {
    /// The label of a planned image.
    #[must_use]
    pub fn of_plan(plan: &Plan<'_>) -> Self {
        Self {
            soname: plan.soname().map_or(SymbolName::EMPTY, SymbolName::new),
            build_id: plan.build_id().and_then(BuildId::new),
        }
    }

    /// The label of a file that may not be an image at all.
    #[must_use]
    pub fn of_file(file: &[u8]) -> Self {
        Self { soname: SymbolName::EMPTY, build_id: BuildId::of_file(file) }
    }
}

impl fmt::Display for ImageLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.soname.is_empty() {
            write!(f, "{} ", self.soname)?;
        }
        match self.build_id {
            Some(id) => write!(f, "(build-id {id})"),
            None => f.write_str("(no build-id)"),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn ids_of_1_to_64_bytes_are_kept_whole_and_printed_in_full() {
        for (length, accepted) in [(0, false), (1, true), (64, true), (65, false)] {
            let bytes = std::vec![0x0a; length];
            let kept = BuildId::new(&bytes);
            assert_eq!(kept.as_ref().map(BuildId::as_bytes), accepted.then_some(&bytes[..]));
            assert_eq!(kept.map(|id| id.to_string()), accepted.then(|| "0a".repeat(length)));
        }
    }

    #[test]
    fn a_label_prints_what_the_file_says() {
        let build_id = BuildId::new(&[0x1a, 0x2b]);
        let soname = SymbolName::new(b"liba\n.so");
        let rows = [
            (soname, build_id, "liba\\n.so (build-id 1a2b)"),
            (soname, None, "liba\\n.so (no build-id)"),
            (SymbolName::EMPTY, build_id, "(build-id 1a2b)"),
            (SymbolName::EMPTY, None, "(no build-id)"),
        ];
        for (soname, build_id, expected) in rows {
            assert_eq!(ImageLabel { soname, build_id }.to_string(), expected);
        }
    }
}

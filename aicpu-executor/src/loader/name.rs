//! A symbol or file name that an error can carry by value.
//!
//! Errors outlive the image they speak of, and there is no allocator, so the name is copied and cut.

use core::fmt;

/// Bytes of a name that are kept.
const KEPT_BYTES: usize = 56;

/// The first 56 bytes of a name out of an image.
///
/// Prints with every non-ASCII and control byte escaped, since the bytes come from the image.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SymbolName {
    bytes: [u8; KEPT_BYTES],
    /// Kept bytes, at most 56.
    length: u8,
    /// Whether the name went on.
    cut: bool,
}

impl SymbolName {
    /// The name of something that has none.
    pub const EMPTY: Self = Self { bytes: [0; KEPT_BYTES], length: 0, cut: false };

    /// Copies the beginning of `name`.
    #[must_use]
    pub fn new(name: &[u8]) -> Self {
        let mut kept = Self { cut: name.len() > KEPT_BYTES, ..Self::EMPTY };
        for (to, from) in kept.bytes.iter_mut().zip(name) {
            *to = *from;
            kept.length += 1;
        }
        kept
    }

    /// Returns the kept bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&self.bytes)
    }

    /// Tells whether nothing is kept.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl fmt::Display for SymbolName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.as_bytes().escape_ascii(), if self.cut { "…" } else { "" })
    }
}

impl fmt::Debug for SymbolName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;
    use std::vec;

    use super::*;

    #[test]
    fn keeps_56_bytes_and_marks_what_it_cut() {
        for (length, expected_end) in [(55, "a"), (56, "a"), (57, "a…")] {
            let name = SymbolName::new(&vec![b'a'; length]);
            assert_eq!(name.as_bytes().len(), length.min(56));
            assert!(name.to_string().ends_with(expected_end), "{length}: {name}");
            assert_eq!(name.to_string().ends_with('…'), length > 56);
        }
    }

    #[test]
    fn escapes_bytes_that_are_not_text() {
        assert_eq!(SymbolName::new(b"a\n\xff").to_string(), "a\\n\\xff");
        assert!(SymbolName::new(b"").is_empty());
    }
}

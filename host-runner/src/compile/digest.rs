//! SHA-256 digests of several fields, the names of cache entries.
//!
//! Apart from `cache`, because the SDK folder and the compile steps are named by digests too.
//! Every field is preceded by its length, so that `("ab", "c")` and `("a", "bc")` differ.

use sha2::{Digest as _, Sha256};

/// A finished SHA-256 digest.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Digest([u8; Digest::BYTES]);

impl Digest {
    /// Length of a digest, in bytes.
    pub(crate) const BYTES: usize = 32;

    /// Returns the digest of one run of bytes, without a length before it.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Returns the bytes.
    pub(crate) fn bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Returns the digest in lower-case hexadecimal, 64 characters.
    pub(crate) fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Collects fields for one digest.
#[derive(Clone, Default)]
pub(crate) struct DigestFields(Sha256);

impl DigestFields {
    /// Adds one field.
    pub(crate) fn field(mut self, bytes: &[u8]) -> Self {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Ends the digest.
    pub(crate) fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_published_test_vector() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").hex(), expected);
    }

    #[test]
    fn field_boundaries_change_the_digest() {
        let one = DigestFields::default().field(b"ab").field(b"c").finish();
        let other = DigestFields::default().field(b"a").field(b"bc").finish();
        assert_ne!(one, other);
    }
}

//! The frame around every entry: what it is, for what, how long, and digests over all of it.
//!
//! ```text
//!   0  magic               8 bytes
//!   8  format              u32, raised when the meaning of an entry changes
//!  12  kind                u32
//!  16  payload's length    u64
//!  24  key                 32 bytes: what the entry is for; also its name
//!  56  payload's SHA-256   32 bytes
//!  88  SHA-256 of 0..88    32 bytes
//! 120  payload
//! ```
//!
//! Numbers are little endian. The digest of the header covers the digest of the payload, so every
//! byte is covered, and the payload is hashed once. SHA-256, because an entry may hold code.

use sha2::{Digest as _, Sha256};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::error::EntryError;

/// How an entry begins.
const MAGIC: [u8; 8] = *b"\x89SRSIMG\n";
/// Raised when the meaning of an entry changes.
pub const FORMAT: u32 = 2;
/// Bytes before the payload.
pub const HEADER_BYTES: usize = size_of::<Header>();

/// What an entry holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum Kind {
    /// What planning found of an image.
    Planned = 1,
    /// A packed callable with the files it was built from.
    Build = 2,
}

impl Kind {
    /// How the names of its files end.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Build => "build",
        }
    }
}

/// What an entry is for: a SHA-256 of everything it depends on.
pub type Key = [u8; 32];

/// What stands before the payload.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    format: U32,
    kind: U32,
    payload_bytes: U64,
    key: Key,
    payload_digest: [u8; 32],
    header_digest: [u8; 32],
}

impl Header {
    /// The digest of all fields before the digest.
    fn digest(&self) -> [u8; 32] {
        let (covered, _) = self.as_bytes().split_at(std::mem::offset_of!(Self, header_digest));
        Sha256::digest(covered).into()
    }
}

/// Puts a payload into its frame.
#[must_use]
pub fn framed(kind: Kind, key: &Key, payload: &[u8]) -> Vec<u8> {
    let mut header = Header {
        magic: MAGIC,
        format: U32::new(FORMAT),
        // CAST: the numbers are those of the enum.
        kind: U32::new(kind as u32),
        // CAST: usize is at most 64 bits.
        payload_bytes: U64::new(payload.len() as u64),
        key: *key,
        payload_digest: Sha256::digest(payload).into(),
        header_digest: [0; 32],
    };
    header.header_digest = header.digest();
    let mut entry = Vec::with_capacity(HEADER_BYTES + payload.len());
    entry.extend_from_slice(header.as_bytes());
    entry.extend_from_slice(payload);
    entry
}

/// Checks a whole entry and returns its payload.
///
/// # Errors
///
/// [`EntryError`] with the first thing that is wrong.
pub fn payload<'a>(kind: Kind, key: &Key, entry: &'a [u8]) -> Result<&'a [u8], EntryError> {
    let (header, payload) =
        Header::ref_from_prefix(entry).map_err(|_| EntryError::Truncated { part: "header" })?;
    if header.magic != MAGIC {
        return Err(EntryError::Magic);
    }
    if header.format.get() != FORMAT {
        return Err(EntryError::Format { found: header.format.get(), want: FORMAT });
    }
    if header.header_digest != header.digest() {
        return Err(EntryError::Digest { part: "header" });
    }
    // CAST: the numbers are those of the enum.
    if header.kind.get() != kind as u32 || header.key != *key {
        return Err(EntryError::Misplaced);
    }
    let announced = usize::try_from(header.payload_bytes.get()).unwrap_or(usize::MAX);
    if payload.len() < announced {
        return Err(EntryError::Truncated { part: "payload" });
    }
    if payload.len() > announced {
        return Err(EntryError::Trailing { bytes: payload.len() - announced });
    }
    if Sha256::digest(payload)[..] != header.payload_digest {
        return Err(EntryError::Digest { part: "payload" });
    }
    Ok(payload)
}

//! Fields of a payload: numbers in little endian, and byte strings after their length.
//!
//! Reading never goes past the end and never allocates more than there is to read.

use super::error::EntryError;

/// Collects the fields of a payload.
#[derive(Debug, Default)]
pub struct FieldWriter(Vec<u8>);

impl FieldWriter {
    /// Adds one byte.
    pub fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Adds a number.
    pub fn number(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Adds bytes whose number is known to the reader.
    pub fn array(&mut self, bytes: &[u8; 32]) {
        self.0.extend_from_slice(bytes);
    }

    /// Adds bytes after their number.
    pub fn bytes(&mut self, bytes: &[u8]) {
        // CAST: usize is at most 64 bits.
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// Ends the payload.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads the fields of a payload, one after the other.
#[derive(Debug)]
pub struct FieldReader<'a>(&'a [u8]);

impl<'a> FieldReader<'a> {
    /// Starts at the first field.
    #[must_use]
    pub const fn new(payload: &'a [u8]) -> Self {
        Self(payload)
    }

    /// Takes so many bytes.
    fn take(&mut self, bytes: usize, part: &'static str) -> Result<&'a [u8], EntryError> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(EntryError::Truncated { part })?;
        self.0 = rest;
        Ok(taken)
    }

    /// Takes a fixed number of bytes.
    ///
    /// # Errors
    ///
    /// [`EntryError::Truncated`].
    pub fn array<const N: usize>(&mut self, part: &'static str) -> Result<[u8; N], EntryError> {
        let taken = self.take(N, part)?;
        taken.try_into().map_err(|_| EntryError::Truncated { part })
    }

    /// Takes one byte.
    ///
    /// # Errors
    ///
    /// [`EntryError::Truncated`].
    pub fn byte(&mut self, part: &'static str) -> Result<u8, EntryError> {
        Ok(u8::from_le_bytes(self.array(part)?))
    }

    /// Takes a yes or no.
    ///
    /// # Errors
    ///
    /// [`EntryError::Truncated`], [`EntryError::Value`].
    pub fn flag(&mut self, part: &'static str) -> Result<bool, EntryError> {
        match self.byte(part)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(EntryError::Value { part }),
        }
    }

    /// Takes a number.
    ///
    /// # Errors
    ///
    /// [`EntryError::Truncated`].
    pub fn number(&mut self, part: &'static str) -> Result<u64, EntryError> {
        Ok(u64::from_le_bytes(self.array(part)?))
    }

    /// Takes bytes that stand after their number.
    ///
    /// # Errors
    ///
    /// [`EntryError::Truncated`].
    pub fn bytes(&mut self, part: &'static str) -> Result<&'a [u8], EntryError> {
        let bytes = usize::try_from(self.number(part)?).unwrap_or(usize::MAX);
        self.take(bytes, part)
    }

    /// Ends the payload.
    ///
    /// # Errors
    ///
    /// [`EntryError::Trailing`] where something is left.
    pub const fn finish(self) -> Result<(), EntryError> {
        match self.0.len() {
            0 => Ok(()),
            bytes => Err(EntryError::Trailing { bytes }),
        }
    }
}

//! Where everything is in a log area, and why a header may be none.

use core::fmt;

use super::{
    LOG_AREA_MAGIC, LOG_AREA_VERSION, LOG_RING_BYTES_MAX, LOG_RING_BYTES_MIN, LOG_RINGS_MAX,
    LogArea, LogRing,
};

/// Why an area cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogAreaError {
    /// There is no area, or something has overwritten it.
    Magic {
        /// The word found.
        found: u32,
    },
    /// An area of another version.
    Version {
        /// Its version.
        found: u16,
    },
    /// No rings, or too many.
    Rings {
        /// As given.
        count: u16,
    },
    /// Rings of a size that is none.
    RingBytes {
        /// As given.
        bytes: u32,
    },
}

impl fmt::Display for LogAreaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic { found } => {
                write!(f, "there is no log area: it begins with {found:#010x}")
            }
            Self::Version { found } => write!(
                f,
                "a log area of version {found}; this program knows version {LOG_AREA_VERSION}: \
                 use a host and a firmware that were built together"
            ),
            Self::Rings { count } => {
                write!(f, "a log area with {count} rings; there are 1 to {LOG_RINGS_MAX}")
            }
            Self::RingBytes { bytes } => write!(
                f,
                "a log area with rings of {bytes} bytes; a ring has a power of two of them, from \
                 {LOG_RING_BYTES_MIN} to {LOG_RING_BYTES_MAX}"
            ),
        }
    }
}

impl core::error::Error for LogAreaError {}

/// Offsets within an area, in bytes from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogAreaLayout {
    rings: u16,
    ring_bytes: u32,
}

impl LogAreaLayout {
    /// The layout of an area with these rings.
    ///
    /// # Errors
    ///
    /// [`LogAreaError::Rings`], [`LogAreaError::RingBytes`].
    pub const fn new(rings: u16, ring_bytes: u32) -> Result<Self, LogAreaError> {
        if rings == 0 || rings > LOG_RINGS_MAX {
            return Err(LogAreaError::Rings { count: rings });
        }
        let in_range = ring_bytes >= LOG_RING_BYTES_MIN && ring_bytes <= LOG_RING_BYTES_MAX;
        if !in_range || !ring_bytes.is_power_of_two() {
            return Err(LogAreaError::RingBytes { bytes: ring_bytes });
        }
        Ok(Self { rings, ring_bytes })
    }

    /// The layout of an area whose header begins with these words.
    ///
    /// # Errors
    ///
    /// [`LogAreaError`].
    pub const fn checked(
        magic: u32,
        version: u16,
        rings: u16,
        ring_bytes: u32,
    ) -> Result<Self, LogAreaError> {
        if magic != LOG_AREA_MAGIC {
            return Err(LogAreaError::Magic { found: magic });
        }
        if version != LOG_AREA_VERSION {
            return Err(LogAreaError::Version { found: version });
        }
        Self::new(rings, ring_bytes)
    }

    /// How many rings there are.
    pub const fn rings(&self) -> usize {
        self.rings as usize
    }

    /// Bytes of each ring, a power of two.
    pub const fn ring_bytes(&self) -> usize {
        // CAST: at most LOG_RING_BYTES_MAX.
        self.ring_bytes as usize
    }

    /// Where the positions of a ring are; `None` if there is no such ring.
    pub const fn ring(&self, index: usize) -> Option<usize> {
        if index < self.rings() {
            Some(size_of::<LogArea>() + index * size_of::<LogRing>())
        } else {
            None
        }
    }

    /// Where the bytes of a ring are; `None` if there is no such ring.
    pub const fn ring_data(&self, index: usize) -> Option<usize> {
        if index < self.rings() {
            Some(self.head_bytes() + index * self.ring_bytes())
        } else {
            None
        }
    }

    /// Bytes of the header and all positions.
    pub const fn head_bytes(&self) -> usize {
        size_of::<LogArea>() + self.rings() * size_of::<LogRing>()
    }

    /// Bytes of the whole area.
    pub const fn total_bytes(&self) -> usize {
        self.head_bytes() + self.rings() * self.ring_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_without_overlap() {
        let layout = LogAreaLayout::new(3, 4096).expect("in range");
        assert_eq!((layout.ring(0), layout.ring(2)), (Some(1280), Some(1280 + 256)));
        assert_eq!(layout.head_bytes(), 1280 + 3 * 128);
        assert_eq!(layout.ring_data(0), Some(1664));
        assert_eq!(layout.ring_data(2), Some(1664 + 8192));
        assert_eq!(layout.total_bytes(), 1664 + 3 * 4096);
        assert_eq!((layout.ring(3), layout.ring_data(3)), (None, None));
    }

    #[test]
    fn sizes_out_of_range_are_refused() {
        for count in [0, 65, u16::MAX] {
            assert_eq!(LogAreaLayout::new(count, 4096), Err(LogAreaError::Rings { count }));
        }
        for bytes in [0, 2048, 4097, 6000, 2 << 20, u32::MAX] {
            assert_eq!(LogAreaLayout::new(1, bytes), Err(LogAreaError::RingBytes { bytes }));
        }
        assert!(LogAreaLayout::new(64, 1 << 20).is_ok());
    }
}

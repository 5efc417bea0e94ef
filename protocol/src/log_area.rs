//! Device memory into which the executor writes what it has to say about a run: its log, and the outcome.
//!
//! The host allocates an area, formats it ([`LogArea::formatted`]) and names it in the extension of the
//! record ([`RuntimeExtension::log_area`](crate::RuntimeExtension::log_area)). An area goes with one record
//! at a time: that of a run, or that of a load or an unload.
//!
//! ```text
//!  LogArea (with its RunReport) │ LogRing × ring_count │ bytes of ring 0 │ bytes of ring 1 │ …
//! ```
//!
//! Each AICPU thread that is in the record writes to a ring of its own: frames, whole or not at all, the old
//! ones kept where there is no room. Positions count up from 0; a byte's slot is its position modulo
//! `ring_bytes`. The device writes `written` after the bytes before it, the host `read` after it has copied
//! what is before that. Each side's words are on cache lines of their own.
//!
//! A frame is a [`LogFrameHeader`] and as many bytes as it says of a defmt frame without an encoding. The host
//! turns it into text with the unstripped twin of the image that wrote it: the same Build-ID, and the load bias
//! added to the interned strings' addresses.

use core::fmt;

use crate::layout::check_layout;

mod shape;

pub use shape::{LogAreaError, LogAreaLayout};

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// "SRL1" in memory order.
pub const LOG_AREA_MAGIC: u32 = u32::from_le_bytes(*b"SRL1");

/// Version of the area that this crate writes and accepts.
pub const LOG_AREA_VERSION: u16 = 1;

/// Alignment of an area: a cache line.
pub const LOG_AREA_ALIGN: u64 = 64;

/// Rings of an area unless somebody wants another number: the threads of any chip, and some that load.
pub const LOG_RINGS_DEFAULT: u16 = 16;

/// Most rings of an area.
pub const LOG_RINGS_MAX: u16 = 64;

/// Bytes of a ring unless somebody wants another number.
pub const LOG_RING_BYTES_DEFAULT: u32 = 16 * 1024;

/// Fewest bytes of a ring: the longest message of an orchestration fits.
pub const LOG_RING_BYTES_MIN: u32 = 4 * 1024;

/// Most bytes of a ring.
pub const LOG_RING_BYTES_MAX: u32 = 1024 * 1024;

/// Bytes of a fault's text in a [`RunReport`]: as much as the executor keeps.
pub const REPORT_TEXT_BYTES: usize = 1024 + 128;

/// In [`LogFrameHeader::callable`]: no callable is concerned.
pub const NO_CALLABLE: u16 = u16::MAX;

/// In [`LogFrameHeader::aicpu_thread`]: a thread that is in no run.
pub const NO_AICPU_THREAD: u8 = u8::MAX;

/// How a record ended, as the executor tells it. Written by the device before the last thread leaves.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct RunReport {
    /// Number of the record that this is about; 0 as long as the executor has reported nothing.
    pub run_number: u32,
    /// Code of the first fault; 0 is success.
    pub code: i32,
    /// Tasks that the orchestration submitted.
    pub tasks: u64,
    /// 1 if the record loaded its orchestration.
    pub loaded: u32,
    /// How many bytes of `text` count.
    pub text_bytes: u32,
    /// Written as zero.
    pub reserved: u64,
    /// Text of the first fault, UTF-8.
    pub text: [u8; REPORT_TEXT_BYTES],
}

check_layout!(RunReport, size 1184, align 8 {
    run_number @ 0, code @ 4, tasks @ 8, loaded @ 16, text_bytes @ 20, reserved @ 24, text @ 32,
});

impl RunReport {
    /// A report of nothing.
    pub const NONE: Self = Self {
        run_number: 0,
        code: 0,
        tasks: 0,
        loaded: 0,
        text_bytes: 0,
        reserved: 0,
        text: [0; REPORT_TEXT_BYTES],
    };

    /// Sets the text; what does not fit is cut at a character.
    pub fn set_text(&mut self, text: &str) {
        let mut bytes = text.len().min(REPORT_TEXT_BYTES);
        while !text.is_char_boundary(bytes) {
            bytes -= 1;
        }
        for (to, from) in self.text.iter_mut().zip(text.as_bytes().iter().take(bytes)) {
            *to = *from;
        }
        // CAST: at most REPORT_TEXT_BYTES.
        self.text_bytes = bytes as u32;
    }

    /// The text, up to the first byte that is none of a text.
    pub fn text(&self) -> &str {
        let bytes = usize::try_from(self.text_bytes).unwrap_or(usize::MAX);
        let text = self.text.get(..bytes).unwrap_or(&self.text);
        match core::str::from_utf8(text) {
            Ok(text) => text,
            Err(error) => {
                let valid = text.get(..error.valid_up_to()).unwrap_or_default();
                core::str::from_utf8(valid).unwrap_or_default()
            }
        }
    }
}

impl fmt::Debug for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run_number, code, tasks, loaded, .. } = self;
        f.debug_struct("RunReport")
            .field("run_number", run_number)
            .field("code", code)
            .field("tasks", tasks)
            .field("loaded", loaded)
            .field("text", &self.text())
            .finish_non_exhaustive()
    }
}

impl Default for RunReport {
    fn default() -> Self {
        Self::NONE
    }
}

/// What an area begins with.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct LogArea {
    /// [`LOG_AREA_MAGIC`]. Written by the host, as the three after it.
    pub magic: u32,
    /// [`LOG_AREA_VERSION`].
    pub version: u16,
    /// Rings of the area, at least 1.
    pub ring_count: u16,
    /// Bytes of each ring, a power of two.
    pub ring_bytes: u32,
    /// Written as zero.
    pub reserved: u32,
    /// What was added to the addresses of the image that writes here when it was loaded. Written by the
    /// device, as all that follows.
    pub image_bias: u64,
    /// First bytes of the image's Build-ID; zeroes if it has none.
    pub build_id: [u8; 8],
    /// Frames that were dropped since no ring was left for their thread.
    pub homeless: u64,
    /// Written as zero.
    pub reserved_line: [u64; 3],
    /// How the last record ended.
    pub report: RunReport,
    /// Written as zero; up to a whole cache line.
    pub reserved_end: [u64; 4],
}

check_layout!(LogArea, size 1280, align 8 {
    magic @ 0, version @ 4, ring_count @ 6, ring_bytes @ 8, reserved @ 12, image_bias @ 16,
    build_id @ 24, homeless @ 32, reserved_line @ 40, report @ 64, reserved_end @ 1248,
});

/// Positions of a ring. The bytes are elsewhere ([`LogAreaLayout::ring_data`]).
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct LogRing {
    /// Position behind the last whole frame. Written by the device.
    pub written: u64,
    /// Frames that found no room. Written by the device.
    pub dropped: u64,
    /// Written as zero.
    pub reserved: [u64; 6],
    /// Position before which the host has copied everything. Written by the host.
    pub read: u64,
    /// Written as zero.
    pub reserved_read: [u64; 7],
}

check_layout!(LogRing, size 128, align 8 {
    written @ 0, dropped @ 8, reserved @ 16, read @ 64, reserved_read @ 72,
});

/// What precedes each frame of a ring, at any alignment.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct LogFrameHeader {
    /// Bytes of the frame, without this header.
    pub bytes: u16,
    /// The callable that is being run or loaded, or [`NO_CALLABLE`].
    pub callable: u16,
    /// Index of the AICPU thread in its run, or [`NO_AICPU_THREAD`].
    pub aicpu_thread: u8,
    /// Written as zero.
    pub reserved: [u8; 3],
    /// When it was said, by a clock of the device, in microseconds.
    pub time_us: u64,
}

check_layout!(LogFrameHeader, size 16, align 8 {
    bytes @ 0, callable @ 2, aicpu_thread @ 4, reserved @ 5, time_us @ 8,
});

impl LogArea {
    /// The header of a fresh area with this many rings of this many bytes, for the host to write; the rest
    /// of the area is zeroes.
    ///
    /// # Errors
    ///
    /// [`LogAreaError::Rings`], [`LogAreaError::RingBytes`].
    pub fn formatted(ring_count: u16, ring_bytes: u32) -> Result<Self, LogAreaError> {
        let area = Self {
            magic: LOG_AREA_MAGIC,
            version: LOG_AREA_VERSION,
            ring_count,
            ring_bytes,
            ..Self::new_zeroed()
        };
        area.layout().map(|_| area)
    }

    /// Where everything is in the area that begins with this header.
    ///
    /// # Errors
    ///
    /// [`LogAreaError`], where this is no such header.
    pub fn layout(&self) -> Result<LogAreaLayout, LogAreaError> {
        LogAreaLayout::checked(self.magic, self.version, self.ring_count, self.ring_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::ToOwned;
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_text_is_cut_at_a_character_and_read_up_to_the_first_bad_byte() {
        let mut report = RunReport::NONE;
        report.set_text("abc");
        assert_eq!((report.text(), report.text_bytes), ("abc", 3));
        let long = "\u{e9}".repeat(REPORT_TEXT_BYTES / 2) + "x";
        report.set_text(&("y".to_owned() + &long));
        assert_eq!(report.text_bytes as usize, REPORT_TEXT_BYTES - 1, "half a character is left");
        assert!(report.text().starts_with("y\u{e9}") && report.text().ends_with('\u{e9}'));
        report.text[3] = 0xFF;
        assert_eq!(report.text(), "y\u{e9}");
        report.text_bytes = u32::MAX;
        assert_eq!(report.text(), "y\u{e9}");
    }

    #[test]
    fn a_header_that_is_not_one_is_named() {
        let area = LogArea::formatted(4, 8192).expect("in range");
        assert_eq!(area.layout().map(|layout| layout.rings()), Ok(4));
        let zero = LogArea { magic: 0, ..area };
        assert_eq!(zero.layout(), Err(LogAreaError::Magic { found: 0 }));
        let newer = LogArea { version: 2, ..area };
        assert_eq!(newer.layout(), Err(LogAreaError::Version { found: 2 }));
        let text = LogAreaError::Version { found: 2 }.to_string();
        assert!(text.contains("version 2") && text.contains("version 1"), "{text}");
    }
}

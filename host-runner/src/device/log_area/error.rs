//! What can be wrong with an image's texts, with a frame, and with an area.

use std::path::PathBuf;

use protocol::LogAreaError;

/// Why the log frames of an image cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogDecoderError {
    /// The file cannot be read.
    #[error(
        "cannot read {}, which has the texts of the firmware's log: {reason}; build it with `cargo xtask build-aicpu`, \
         and keep it beside the image",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// Not an ELF file.
    #[error(
        "the unstripped firmware is no ELF file: {reason}; build it again with `cargo xtask build-aicpu`"
    )]
    Elf {
        /// What is wrong.
        reason: String,
    },
    /// A file without texts.
    #[error(
        "there are no log texts in this file: it is stripped, or no firmware; name the \
         `libaicpu.unstripped.so` beside the image"
    )]
    NoTexts,
    /// Frames of another version of defmt.
    #[error(
        "the firmware logs in version {version} of defmt's wire format, which this program does not know; use a host and a firmware that were built together"
    )]
    WireVersion {
        /// The version.
        version: String,
    },
    /// Frames that are encoded.
    #[error(
        "the firmware encodes its log frames as {encoding:?}, not raw; use a host and a firmware that were built together"
    )]
    Encoding {
        /// The encoding.
        encoding: String,
    },
    /// A text that is none.
    #[error("the log text {name:?} of the firmware cannot be read")]
    Symbol {
        /// Name of its symbol.
        name: String,
    },
    /// A statement with an argument that this program cannot read.
    #[error(
        "the log text {text:?} of the firmware has an argument of type {kind}, which this program cannot read"
    )]
    Argument {
        /// The text.
        text: String,
        /// The type.
        kind: String,
    },
}

/// Why bytes are no frame of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// It ends within an argument.
    #[error("a log frame ends within an argument")]
    Truncated,
    /// It names a text that is not in the table.
    #[error(
        "a log frame names a text at {address:#06x}, where the image has none: it is damaged, or of another image"
    )]
    UnknownText {
        /// As sent.
        address: u16,
    },
    /// It begins with a text that is no statement's.
    #[error(
        "a log frame begins with {text:?}, which is no statement: it is damaged, or of another image"
    )]
    NoStatement {
        /// The text.
        text: String,
    },
    /// There are bytes behind the last argument.
    #[error(
        "a log frame of {text:?} has {bytes} bytes too many: it is damaged, or of another image"
    )]
    Trailing {
        /// The statement.
        text: String,
        /// How many.
        bytes: usize,
    },
    /// Text that is no UTF-8.
    #[error("a log frame has text that is no UTF-8")]
    NoText,
    /// Formats within formats.
    #[error("a log frame has more formats within formats than any statement")]
    TooDeep,
}

/// What is wrong with what an area holds, beside which there may be good records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogProblem {
    /// The header is none any more.
    #[error("the log of the device is lost")]
    Area(#[from] LogAreaError),
    /// Positions that cannot be.
    #[error(
        "ring {ring} of the log area has {bytes} bytes to read, more than there is room for; they are lost"
    )]
    Positions {
        /// Its index.
        ring: usize,
        /// Bytes by its positions.
        bytes: u64,
    },
    /// A frame that ends behind the last byte.
    #[error(
        "ring {ring} of the log area ends within a frame; the {bytes} bytes from its start on are lost"
    )]
    Cut {
        /// Its index.
        ring: usize,
        /// Bytes that are left.
        bytes: usize,
    },
    /// A frame that cannot be read.
    #[error("ring {ring} of the log area: {error}")]
    Frame {
        /// Its index.
        ring: usize,
        /// What is wrong with it.
        #[source]
        error: FrameError,
    },
    /// Another image has written the area.
    #[error(
        "the log is of the firmware with Build-ID {}, not of {}, whose texts are there; name the unstripped twin of the one that runs",
        hex(.running), hex(.known)
    )]
    ForeignImage {
        /// First bytes of the Build-ID of the image that runs.
        running: [u8; 8],
        /// First bytes of that of the image whose texts there are.
        known: [u8; 8],
    },
    /// Nobody knows the texts.
    #[error(
        "{frames} log records of the device cannot be shown: there is no unstripped twin of its firmware; build it \
         with `cargo xtask build-aicpu`, and keep `libaicpu.unstripped.so` beside the image"
    )]
    NoDecoder {
        /// How many.
        frames: usize,
    },
}

/// Bytes as one writes a Build-ID.
fn hex(bytes: &[u8; 8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

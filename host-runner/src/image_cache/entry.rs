//! The entries of the cache as bytes: written here, and read by one parser.
//!
//! ```text
//!  frame ── kind, key, digests ──▶ payload ──┬─ planned_image: a verdict
//!                                            └─ kept_build: files, a verdict, a packed callable
//! ```
//!
//! Any bytes give a value or an [`EntryError`]: nothing panics, reads past the end, or allocates
//! more than a small multiple of what there is to read. The fuzz target `image_cache` checks that.

mod error;
mod fields;
mod frame;
mod kept_build;
mod planned_image;

pub use error::{EntryError, FolderError};
pub use fields::{FieldReader, FieldWriter};
pub use frame::{FORMAT, HEADER_BYTES, Key, Kind, framed, payload};
pub use kept_build::KeptBuild;
pub use planned_image::{PlannedImage, PlannedImport};

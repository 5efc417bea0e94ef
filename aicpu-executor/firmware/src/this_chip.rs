//! Which chip this image is for: the one choice between two chips, made when it is built.

/// The chip that this image is built for.
#[cfg(not(feature = "a5"))]
pub(crate) type ThisChip = protocol::A2a3;
/// The chip that this image is built for.
#[cfg(feature = "a5")]
pub(crate) type ThisChip = protocol::A5;

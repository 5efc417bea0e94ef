//! What messages call the code of a callable: its id, and which shared object that is.

use core::fmt;

use protocol::CallableId;

use crate::loader::ImageLabel;

/// A callable and the image that is loaded for it, if that is known.
///
/// Prints as "callable 5 liba.so (build-id 1a2b…)", without an image as "callable 5".
#[derive(Debug, Clone, Copy)]
pub(super) struct NamedCode {
    pub(super) id: CallableId,
    pub(super) label: Option<ImageLabel>,
}

impl fmt::Display for NamedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "callable {}", self.id.raw())?;
        self.label.iter().try_for_each(|label| write!(f, " {label}"))
    }
}

//! Arguments of runs that are over, whose memory later runs use: a client that runs or submits again and again
//! allocates nothing.

use std::ops::{Deref, DerefMut};

use super::ClientArguments;
use crate::kept::Kept;

/// Bytes that each of them may keep for tensors.
const KEPT_BYTES_MAX: u64 = 64 << 10;

/// Why a drop is the only one that finds nothing.
const THERE: &str = "arguments are there until they are dropped";

/// Boxed, as they go in and out by their address.
static KEPT: Kept<Box<ClientArguments>> = Kept::new();

/// Arguments of a run, in memory that later ones use.
#[derive(Debug)]
pub(crate) struct SpareArguments(Option<Box<ClientArguments>>);

impl SpareArguments {
    /// No arguments.
    pub(crate) fn take() -> Self {
        let kept = KEPT.take_latest();
        Self(Some(kept.unwrap_or_else(|| Box::new(ClientArguments::new()))))
    }
}

impl Deref for SpareArguments {
    type Target = ClientArguments;

    fn deref(&self) -> &ClientArguments {
        self.0.as_deref().expect(THERE)
    }
}

impl DerefMut for SpareArguments {
    fn deref_mut(&mut self) -> &mut ClientArguments {
        self.0.as_deref_mut().expect(THERE)
    }
}

impl Drop for SpareArguments {
    fn drop(&mut self) {
        let Some(mut arguments) = self.0.take() else { return };
        arguments.clear();
        arguments.keep_at_most(KEPT_BYTES_MAX);
        KEPT.keep(arguments);
    }
}

//! What can be set of a simulated device before it is used.

use std::sync::Arc;
use std::time::Duration;

use protocol::Chip;

use super::{SimDevice, UNLOAD_LIMIT_DEFAULT, parking};
use crate::image_cache::ImageCache;
use crate::run::TIMEOUT_MAX;

impl<C: Chip> SimDevice<C> {
    /// The same with another limit for loading and unloading, at most [`TIMEOUT_MAX`]; zero is
    /// [`UNLOAD_LIMIT_DEFAULT`].
    #[must_use]
    pub fn with_unload_limit(mut self, limit: Duration) -> Self {
        // A point in time further off could not be told.
        let limit = limit.min(TIMEOUT_MAX);
        self.unload_limit = if limit.is_zero() { UNLOAD_LIMIT_DEFAULT } else { limit };
        self.parts.kernels.set_limit(self.unload_limit);
        self
    }

    /// The same with another number of processors that the threads of a run use at a time; zero is as many as
    /// the machine has. Kernels that take long have threads of their own, which are not among these.
    #[must_use]
    pub fn with_cores_used(mut self, cores: usize) -> Self {
        self.cores_used = if cores == 0 { parking::parallelism() } else { cores };
        self
    }

    /// The same with code of orchestrations in private memory, if that is wanted: an emulator sees it change there.
    #[must_use]
    pub fn with_private_code(self, is_wanted: bool) -> Self {
        if is_wanted {
            self.parts.engine.executor().platform().keep_code_private();
        }
        self
    }

    /// The same with verdicts on orchestrations taken from a cache and kept there.
    #[must_use]
    pub fn with_image_cache(mut self, images: Option<Arc<ImageCache>>) -> Self {
        self.images = images;
        self
    }
}

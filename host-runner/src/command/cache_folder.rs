//! The folder that keeps compiled code, the unpacked SDK and built callables.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use host_runner::image_cache::ImageCache;
use tempfile::TempDir;

use super::failure::Failure;
use super::with_causes;
use crate::cli::{Environment, RunArguments};

/// Such a folder.
#[derive(Debug)]
pub(super) struct CacheFolder {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Ends the folder with the command, if it is a temporary one.
    temporary: Option<TempDir>,
}

impl CacheFolder {
    /// The folder that the user wants, or where there is none or it cannot be written a temporary
    /// one.
    pub(super) fn choose(
        arguments: &RunArguments,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let wanted = arguments.cache_dir.clone().or_else(|| environment.cache_dir.clone());
        if let Some(path) = wanted {
            let writable = fs::create_dir_all(&path).and_then(|()| tempfile::tempfile_in(&path));
            match writable {
                Ok(_) => return Ok(Self { path, temporary: None }),
                Err(error) => tracing::warn!("nothing is kept in {}: {error}", path.display()),
            }
        }
        let temporary = tempfile::tempdir().map_err(Failure::Output)?;
        Ok(Self { path: temporary.path().to_owned(), temporary: Some(temporary) })
    }

    /// The cache of callables and verdicts in it; none if the user wants none, or it would not
    /// last.
    pub(super) fn image_cache(&self, no_cache: bool) -> Option<Arc<ImageCache>> {
        if no_cache || self.temporary.is_some() {
            return None;
        }
        match ImageCache::open(&self.path.join("images")) {
            Ok(cache) => Some(Arc::new(cache)),
            Err(error) => {
                tracing::warn!("built callables are not kept: {}", with_causes(&error));
                None
            }
        }
    }
}

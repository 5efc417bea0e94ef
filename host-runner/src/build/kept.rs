//! Callables that were built before: one look-up from a manifest to a packed blob.
//!
//! The key is all that decides what is built, but for the contents of files; the entry names the
//! files, and what they held. So a build that is found is taken only if every file still holds
//! that. Names, arguments and expectations are not in the key: they are taken from the manifest.
//!
//! The runtime is in the key. An entry of trb holds the verdict of this program's loader; one of hbg
//! holds none, because the system's loader opens its orchestration.

use std::collections::BTreeMap;
use std::path::PathBuf;

use protocol::callable::parse::ChipCallableView;

use super::{Code, CodeKind, Manifest, signature, units};
use crate::callable::{Callable, KernelName};
use crate::compile::{ToolchainKey, absolute};
use crate::device::orchestration_check;
use crate::image_cache::{EntryError, ImageCache, KeptBuild, Key};
use crate::runtime_name::RuntimeName;
use crate::source_file::{Since, SourceFile};

/// Builds that one toolchain made, kept in a cache.
#[derive(Clone, Copy, Debug)]
pub struct KeptBuilds<'a> {
    /// Where they are kept.
    pub cache: &'a ImageCache,
    /// The toolchain.
    pub toolchain: ToolchainKey,
}

impl KeptBuilds<'_> {
    /// The callable of a manifest, if it was built before and nothing has changed. The verdict on
    /// its orchestration is then at hand when it is registered.
    pub(super) fn find(&self, manifest: &Manifest) -> Option<Callable> {
        let key = self.key(manifest)?;
        self.cache.find_build(&key, |mut build| {
            let Some(is_moved) = look_at(&mut build.files) else { return Ok(None) };
            if is_moved {
                // With what the files look like now, so that they need not be read next time.
                self.cache.keep_build(&key, &build);
            }
            let no_callable = |_| EntryError::Value { part: "callable" };
            let callable = Callable::built(manifest.name.clone(), names(manifest), build.blob)
                .map_err(no_callable)?;
            match (manifest.runtime, build.planned) {
                (RuntimeName::Trb, Some(planned)) => {
                    let view = ChipCallableView::parse(callable.blob()).map_err(no_callable)?;
                    self.cache.remember(view.orchestration(), view.entry_symbol(), planned);
                }
                (RuntimeName::Hbg, None) => {}
                _ => return Err(EntryError::Value { part: "verdict" }),
            }
            Ok(Some(callable.for_runtime(manifest.runtime)))
        })
    }

    /// Keeps a callable that was built from `files`, if it can be registered at all.
    pub(super) fn keep(&self, manifest: &Manifest, callable: &Callable, files: Vec<SourceFile>) {
        let Some(key) = self.key(manifest) else { return };
        let Ok(view) = ChipCallableView::parse(callable.blob()) else { return };
        let (image, entry) = (view.orchestration(), view.entry_symbol());
        // What does not pass is told by the registration.
        let planned = match manifest.runtime {
            RuntimeName::Trb => {
                let planned = self.cache.plan(|| orchestration_check::planned(image, entry));
                let Ok(planned) = planned else { return };
                Some(planned)
            }
            RuntimeName::Hbg => None,
        };
        let by_path: BTreeMap<PathBuf, SourceFile> =
            files.into_iter().map(|file| (file.path.clone(), file)).collect();
        let files = by_path.into_values().collect();
        let build = KeptBuild { files, planned, blob: callable.blob().to_vec() };
        self.cache.keep_build(&key, &build);
        if let Some(planned) = build.planned {
            self.cache.remember(image, entry, planned);
        }
    }

    /// The key of what a manifest asks for; `None` without sources, as packing shared objects costs
    /// less than to find them packed.
    fn key(&self, manifest: &Manifest) -> Option<Key> {
        if super::jobs(manifest).is_empty() {
            return None;
        }
        let runtime = manifest.runtime.name().as_bytes();
        let mut parts: Vec<Vec<u8>> =
            vec![b"build".to_vec(), runtime.to_vec(), self.toolchain.bytes().to_vec()];
        let path = |path| Some(absolute(path).ok()?.into_os_string().into_encoded_bytes());
        for (code, kind) in units(manifest) {
            let kind = match (code, kind) {
                (Code::SharedObject(_), _) => "shared object".to_owned(),
                (Code::Source(_), CodeKind::Orchestration) => "orchestration".to_owned(),
                (Code::Source(_), CodeKind::HostOrchestration) => "host orchestration".to_owned(),
                (Code::Source(_), CodeKind::Kernel(core)) => format!("kernel {core:?}"),
            };
            parts.extend([kind.into_bytes(), path(code.path())?]);
        }
        parts.push(b"func ids".to_vec());
        parts.extend(manifest.kernels.iter().map(|each| each.func_id.raw().to_le_bytes().to_vec()));
        let orchestration = &manifest.orchestration;
        parts.push(b"symbols".to_vec());
        let config = orchestration.config.as_deref().unwrap_or_default();
        parts.extend([&*orchestration.entry, config].map(|symbol| symbol.as_bytes().to_vec()));
        parts.push(b"signature".to_vec());
        let directions = signature(&manifest.cases);
        parts.extend(directions.iter().map(|each| each.raw().to_le_bytes().to_vec()));
        parts.push(b"include folders".to_vec());
        for folder in &orchestration.include_dirs {
            parts.push(path(folder)?);
        }
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        Some(self.cache.key(&parts))
    }
}

/// Looks at files as they are now. `None` where one has changed, else whether one had to be read
/// that need not be read next time.
fn look_at(files: &mut [SourceFile]) -> Option<bool> {
    let mut is_moved = false;
    for file in files {
        match file.since() {
            Since::Same => {}
            Since::SameBytes(now) => {
                is_moved |= now.is_settled;
                *file = now;
            }
            Since::Changed => return None,
        }
    }
    Some(is_moved)
}

/// What messages call the kernels.
fn names(manifest: &Manifest) -> Vec<KernelName> {
    let name = |kernel: &crate::manifest::Kernel| KernelName {
        func_id: kernel.func_id,
        core_type: kernel.core_type,
        name: kernel.name.clone(),
    };
    manifest.kernels.iter().map(name).collect()
}

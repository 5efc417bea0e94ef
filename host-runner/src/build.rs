//! From a manifest to a callable: compiles what is source, reads what is image, packs both.
//!
//! ```text
//!  manifest ── kept ──▶ what was built before, if nothing of it has changed ──▶ callable
//!          └── else ──▶ compile, read, pack ──▶ keep ─────────────────────────────┘
//! ```
//!
//! Apart from `compile`, which knows no manifest, and from `callable`, which knows no files; this
//! is where the two meet.

use std::io;
use std::path::PathBuf;

use protocol::ArgDirection;

use crate::callable::{Callable, CallableError, KernelImage};
use crate::compile::{BuiltImage, CodeKind, CompileError, CompileJob, Toolchain};
use crate::manifest::{Case, Code, Manifest};
use crate::runtime_name::RuntimeName;
use crate::source_file::SourceFile;

mod kept;
#[cfg(test)]
mod tests;

pub use kept::KeptBuilds;

/// Why a manifest did not become a callable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A source does not compile, or there is nothing to compile it with.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// A shared object cannot be read.
    #[error("cannot read {}; check that it may be read", path.display())]
    ReadImage {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The images make no callable.
    #[error(transparent)]
    Callable(#[from] CallableError),
}

/// The sources of a manifest, in the order of [`callable`]'s images.
///
/// Empty if everything comes as a shared object; no compiler is needed then.
pub fn jobs(manifest: &Manifest) -> Vec<CompileJob> {
    let orchestration = &manifest.orchestration;
    units(manifest)
        .filter_map(|(code, kind)| match code {
            Code::Source(source) => Some(CompileJob {
                source: source.clone(),
                kind,
                include_dirs: match kind {
                    CodeKind::Orchestration | CodeKind::HostOrchestration => {
                        orchestration.include_dirs.clone()
                    }
                    CodeKind::Kernel(_) => Vec::new(),
                },
            }),
            Code::SharedObject(_) => None,
        })
        .collect()
}

/// Compiles the sources of a manifest, if there are any, and packs the callable.
///
/// `toolchain` is asked for only if there is something to compile; `on_built` hears of each source
/// (by its index in [`jobs`]) as soon as it is built, from any thread.
///
/// # Errors
///
/// [`BuildError`].
pub fn callable(
    manifest: &Manifest,
    toolchain: impl FnOnce() -> Result<Toolchain, CompileError>,
    on_built: &(dyn Fn(usize, &BuiltImage) + Sync),
) -> Result<Callable, BuildError> {
    kept_callable(manifest, None, toolchain, on_built)
}

/// The same, or what was kept of an earlier build, if nothing of that has changed: then nothing is
/// compiled, read, packed or planned, and `toolchain` is not asked for.
///
/// # Errors
///
/// [`BuildError`].
pub fn kept_callable(
    manifest: &Manifest,
    kept: Option<&KeptBuilds<'_>>,
    toolchain: impl FnOnce() -> Result<Toolchain, CompileError>,
    on_built: &(dyn Fn(usize, &BuiltImage) + Sync),
) -> Result<Callable, BuildError> {
    if let Some(callable) = kept.and_then(|kept| kept.find(manifest)) {
        return Ok(callable);
    }
    let jobs = jobs(manifest);
    let built = if jobs.is_empty() { Vec::new() } else { toolchain()?.build(&jobs, on_built)? };
    let mut built = built.into_iter();
    // What the callable is made of, as long as all of it is known.
    let mut files = kept.map(|_| Vec::new());
    let mut images = units(manifest).map(|(code, _)| match code {
        // There is an image for each source, in this order.
        Code::Source(_) => {
            let image = built.next();
            let sources = image.as_ref().and_then(|image| image.sources.clone());
            files = files.take().zip(sources).map(|(all, more)| [all, more].concat());
            Ok(image.map(|image| image.bytes).unwrap_or_default())
        }
        Code::SharedObject(path) => {
            let failed = |source| BuildError::ReadImage { path: path.clone(), source };
            let (file, bytes) = SourceFile::read(path).map_err(failed)?;
            files.iter_mut().for_each(|all| all.push(file.clone()));
            Ok::<_, BuildError>(bytes)
        }
    });
    let orchestration = images.next().transpose()?.unwrap_or_default();
    let mut builder = Callable::builder(orchestration)
        .name(&manifest.name)
        .entry(&manifest.orchestration.entry)
        .runtime(manifest.runtime)
        .config(manifest.orchestration.config.as_deref().unwrap_or_default())
        .signature(signature(&manifest.cases));
    for (kernel, binary) in manifest.kernels.iter().zip(&mut images) {
        builder = builder.kernel(KernelImage {
            func_id: kernel.func_id,
            core_type: kernel.core_type,
            binary: binary?,
            name: kernel.name.clone(),
        });
    }
    drop(images);
    let callable = builder.build()?;
    if let (Some(kept), Some(files)) = (kept, files) {
        kept.keep(manifest, &callable, files);
    }
    Ok(callable)
}

/// Orchestration and kernels, in this order.
fn units(manifest: &Manifest) -> impl Iterator<Item = (&Code, CodeKind)> {
    let kernels =
        manifest.kernels.iter().map(|kernel| (&kernel.code, CodeKind::Kernel(kernel.core_type)));
    let orchestration = match manifest.runtime {
        RuntimeName::Trb => CodeKind::Orchestration,
        RuntimeName::Hbg => CodeKind::HostOrchestration,
    };
    std::iter::once((&manifest.orchestration.code, orchestration)).chain(kernels)
}

/// The directions of the tensors (spec trb §9.1), if all cases agree on them; else none, which
/// promises nothing.
fn signature(cases: &[Case]) -> Vec<ArgDirection> {
    let of = |case: &Case| -> Vec<_> { case.tensors.iter().map(|it| it.direction).collect() };
    let mut signatures = cases.iter().map(of);
    let first = signatures.next().unwrap_or_default();
    if signatures.all(|other| other == first) { first } else { Vec::new() }
}

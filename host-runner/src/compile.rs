//! Builds user code with the system's C++ compiler.
//!
//! ```text
//! orchestration.cpp ─┐ + support object for trb  ┌─▶ orchestration image
//! kernels/*.cpp ─────┴▶ Toolchain::build ────────┴─▶ kernel images
//!                        │  in parallel, by content
//!                        └─▶ <cache>/compile/{list,built}, <cache>/sdk-…
//! ```
//!
//! Apart from the rest of the crate: nothing here knows a manifest or a device, it maps sources to
//! image bytes. Flags are those of spec trb §1.1 and §7.5.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{fs, thread};

use protocol::ChipName;

use self::cache::Cache;
use self::step::{Step, StepOutput};
use crate::source_file::SourceFile;

mod cache;
mod compiler;
mod dependencies;
mod digest;
mod error;
mod file;
mod flags;
mod sdk;
mod step;
mod toolchain_key;

pub use self::compiler::Compiler;
pub use self::error::CompileError;
pub use self::flags::CodeKind;
pub use self::sdk::Sdk;
pub use self::toolchain_key::{ToolchainFacts, ToolchainKey};
pub use aicpu_executor::loader::Machine;

pub(crate) use self::digest::DigestFields;

/// One source to build.
#[derive(Clone, Debug)]
pub struct CompileJob {
    /// The source file.
    pub source: PathBuf,
    /// What it becomes.
    pub kind: CodeKind,
    /// Folders searched for headers before the SDK's.
    pub include_dirs: Vec<PathBuf>,
}

/// A built shared object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BuiltImage {
    /// The bytes of the ELF file.
    pub bytes: Vec<u8>,
    /// Whether it came from the cache, without a compile.
    pub is_cached: bool,
    /// The sources and headers that they were made of; `None` where they changed meanwhile, or
    /// nothing is kept.
    pub sources: Option<Vec<SourceFile>>,
}

/// What a [`Toolchain`] works with.
#[derive(Clone, Debug)]
pub struct ToolchainConfig {
    /// The C++ compiler.
    pub compiler: Compiler,
    /// An SDK folder; `None` takes the built-in one.
    pub sdk: Option<PathBuf>,
    /// The folder for the unpacked SDK, for compiled code and for work in progress. It is created
    /// when needed and may be shared by any number of processes.
    pub cache_dir: PathBuf,
    /// Whether compiled code is kept in `cache_dir` and taken from there.
    pub reuse: Reuse,
    /// Root of the real pto-isa headers; `None` compiles kernels with the SDK's stub.
    pub isa_root: Option<PathBuf>,
}

/// What happens with code that was compiled before.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Reuse {
    /// Unchanged sources are not compiled again.
    #[default]
    Cached,
    /// Every source is compiled, and nothing compiled is kept.
    Never,
}

/// A compiler with its SDK and cache, which compiles for one chip.
#[derive(Debug)]
pub struct Toolchain {
    compiler: Compiler,
    /// What compiles for the device, where that is another machine.
    device_compiler: Option<Compiler>,
    chip: ChipName,
    sdk: Sdk,
    isa_root: Option<PathBuf>,
    cache: Cache,
    /// Where the compiler works, a fresh folder for each run of it.
    scratch: PathBuf,
}

impl Toolchain {
    /// Prepares the folders and checks that the SDK is complete. Compiles for a2a3.
    ///
    /// # Errors
    ///
    /// [`CompileError::Write`], [`CompileError::SdkIncomplete`], [`CompileError::SdkNotEmbedded`]
    /// or [`CompileError::IsaIncomplete`].
    pub fn new(config: ToolchainConfig) -> Result<Self, CompileError> {
        let ToolchainConfig { compiler, sdk, cache_dir, reuse, isa_root } = config;
        let root = absolute(&cache_dir)?;
        let sdk = match sdk {
            Some(folder) => Sdk::at(&folder)?,
            None => Sdk::embedded(&root)?,
        };
        let isa_root = isa_root.map(|folder| isa_at(&folder)).transpose()?;
        let kept = (reuse == Reuse::Cached).then(|| root.join("compile"));
        let scratch = root.join("scratch");
        let cache = Cache::new(kept);
        let (device_compiler, chip) = (None, ChipName::A2a3);
        Ok(Self { compiler, device_compiler, chip, sdk, isa_root, cache, scratch })
    }

    /// The same for another chip than a2a3: a few things of the headers differ (spec trb §11).
    #[must_use]
    pub fn for_chip(self, chip: ChipName) -> Self {
        Self { chip, ..self }
    }

    /// The same with another compiler for what runs on the device: that is for another machine. What runs in
    /// this process, orchestrations of hbg, is compiled as before.
    #[must_use]
    pub fn with_device_compiler(self, device_compiler: Option<Compiler>) -> Self {
        Self { device_compiler, ..self }
    }

    /// The compiler of a kind of code.
    fn compiler_of(&self, kind: CodeKind) -> &Compiler {
        match kind {
            CodeKind::HostOrchestration => &self.compiler,
            CodeKind::Orchestration | CodeKind::Kernel(_) => {
                self.device_compiler.as_ref().unwrap_or(&self.compiler)
            }
        }
    }

    /// The compiler in use.
    #[must_use]
    pub fn compiler(&self) -> &Compiler {
        &self.compiler
    }

    /// Builds all jobs, several at a time, and returns their images in the same order.
    ///
    /// `on_done` is called after each job with its index, from the thread that built it. After a
    /// failure no further job is started.
    ///
    /// # Errors
    ///
    /// The first error in job order.
    pub fn build(
        &self,
        jobs: &[CompileJob],
        on_done: &(dyn Fn(usize, &BuiltImage) + Sync),
    ) -> Result<Vec<BuiltImage>, CompileError> {
        self.cache.forget_sources();
        let results = Mutex::new(Vec::new());
        let next = AtomicUsize::new(0);
        let is_failed = AtomicBool::new(false);
        let work = || {
            // ORDERING: both are only hints about what to start; the results travel in the mutex.
            while !is_failed.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(job) = jobs.get(index) else { break };
                let result = self.build_one(job);
                match &result {
                    Ok(image) => on_done(index, image),
                    // ORDERING: as above; a late reader starts one job too many.
                    Err(_) => is_failed.store(true, Ordering::Relaxed),
                }
                results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
            }
        };
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(jobs.len());
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// Builds one job.
    fn build_one(&self, job: &CompileJob) -> Result<BuiltImage, CompileError> {
        // The cache notes what the compiler names, so nothing may depend on the current folder.
        let source = absolute(&job.source)?;
        let include_dirs: Vec<PathBuf> =
            job.include_dirs.iter().map(|folder| absolute(folder)).collect::<Result<_, _>>()?;
        let compiler = self.compiler_of(job.kind);
        let family = compiler.family();
        let folder = self.sdk.folder();
        let (flags, support) = match job.kind {
            CodeKind::Orchestration => {
                let flags = flags::orchestration_flags(family, folder, &include_dirs);
                (flags, Some(self.support_object()?))
            }
            // It gets the runtime as an argument, so there is nothing to link.
            CodeKind::HostOrchestration => {
                (flags::orchestration_flags(family, folder, &include_dirs), None)
            }
            CodeKind::Kernel(core_type) => {
                let isa = self.isa_root.as_deref();
                (flags::kernel_flags(family, core_type, folder, isa, &include_dirs), None)
            }
        };
        let support_file = folder.join(sdk::SUPPORT_SOURCE);
        let linked = support.as_ref().map(|support| (support.bytes.as_slice(), support_file));
        let built = self.run(compiler, Step { source: &source, flags, support: linked })?;
        let support_sources = support.map_or(Some(Vec::new()), |support| support.sources);
        let both = built.sources.zip(support_sources);
        let sources = both.map(|(own, support)| [own, support].concat());
        Ok(BuiltImage { bytes: built.bytes, is_cached: built.is_cached, sources })
    }

    /// The object of the SDK's support source. It is a step of its own, so that all orchestrations
    /// share it and the dependency file of an orchestration covers one source only.
    fn support_object(&self) -> Result<StepOutput, CompileError> {
        let source = self.sdk.folder().join(sdk::SUPPORT_SOURCE);
        let compiler = self.compiler_of(CodeKind::Orchestration);
        let flags = flags::support_flags(compiler.family(), self.sdk.folder());
        self.run(compiler, Step { source: &source, flags, support: None })
    }

    /// Runs a step with a compiler and this toolchain's cache, for its chip.
    fn run(&self, compiler: &Compiler, mut step: Step<'_>) -> Result<StepOutput, CompileError> {
        step.flags.extend(flags::chip_flags(self.chip));
        step.run(compiler, &self.cache, &self.scratch)
    }
}

/// Makes a path absolute and, if it exists, free of links.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, CompileError> {
    if let Ok(found) = fs::canonicalize(path) {
        return Ok(found);
    }
    std::path::absolute(path).map_err(|source| CompileError::Read { path: path.to_owned(), source })
}

/// Checks the folder of the real kernel headers.
fn isa_at(folder: &Path) -> Result<PathBuf, CompileError> {
    let missing = "include/pto/pto-inst.hpp";
    if !folder.join(missing).is_file() {
        return Err(CompileError::IsaIncomplete { folder: folder.to_owned(), missing });
    }
    absolute(folder)
}

#[cfg(test)]
mod tests;

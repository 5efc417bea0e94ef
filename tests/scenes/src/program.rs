//! From the C++ sources in `programs/` to callables.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use host_runner::callable::{Callable, KernelImage};
use host_runner::compile::{CodeKind, CompileJob, Compiler, Reuse, Toolchain, ToolchainConfig};
use host_runner::runtime_name::RuntimeName;
use protocol::{ChipName, CoreType, FuncId};

use crate::device_kind::DeviceKind;

/// An orchestration with its kernels. Paths are relative to `programs/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// How cases name it.
    pub name: &'static str,
    /// Where the orchestration runs.
    pub runtime: RuntimeName,
    /// The source of the orchestration.
    pub orchestration: &'static str,
    /// Its entry function.
    pub entry: &'static str,
    /// Its kernels.
    pub kernels: Vec<KernelSource>,
}

/// A kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelSource {
    /// The number by which the orchestration names it.
    pub func_id: i64,
    /// The core that it is built for.
    pub core_type: CoreType,
    /// The source.
    pub source: &'static str,
}

/// A kernel for cube cores.
#[must_use]
pub const fn aic(func_id: i64, source: &'static str) -> KernelSource {
    KernelSource { func_id, core_type: CoreType::Aic, source }
}

/// A kernel for vector cores.
#[must_use]
pub const fn aiv(func_id: i64, source: &'static str) -> KernelSource {
    KernelSource { func_id, core_type: CoreType::Aiv, source }
}

impl Program {
    /// A program whose orchestration runs on the device, with the entry `aicpu_orchestration_entry`.
    #[must_use]
    pub fn new(name: &'static str, orchestration: &'static str, kernels: &[KernelSource]) -> Self {
        Self {
            name,
            runtime: RuntimeName::Trb,
            orchestration,
            entry: "aicpu_orchestration_entry",
            kernels: kernels.to_vec(),
        }
    }

    /// A program whose orchestration builds its graph on the host; the entry names it.
    #[must_use]
    pub fn host_built(
        entry: &'static str,
        orchestration: &'static str,
        kernels: &[KernelSource],
    ) -> Self {
        let runtime = RuntimeName::Hbg;
        Self { runtime, ..Self::new(entry, orchestration, kernels).entry(entry) }
    }

    /// With another entry.
    #[must_use]
    pub fn entry(mut self, entry: &'static str) -> Self {
        self.entry = entry;
        self
    }
}

/// Builds programs; what did not change since the last time is not compiled.
#[derive(Debug)]
pub struct Builder {
    toolchain: Toolchain,
    sources: PathBuf,
}

impl Builder {
    /// With the compiler of this machine, and that of the device, for a chip.
    ///
    /// # Errors
    ///
    /// There is no compiler, or no folder to work in.
    pub fn new(chip: ChipName, kind: DeviceKind) -> Result<Self> {
        let compiler = match std::env::var("CXX") {
            Ok(command) if !command.is_empty() => Compiler::named(&command),
            _ => Compiler::newest_on(&std::env::var_os("PATH").unwrap_or_default()),
        }
        .context("no C++ compiler")?;
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        let repository = own.ancestors().nth(2).context("the crate is two folders down")?;
        let program = std::env::current_exe().context("no path of this program")?;
        // The program is in <target>/<profile>.
        let target = program.ancestors().nth(2).context("this program is in no target folder")?;
        let toolchain = Toolchain::new(ToolchainConfig {
            compiler,
            sdk: Some(repository.join("sdk")),
            cache_dir: target.join("scenes"),
            reuse: Reuse::Cached,
            isa_root: None,
        })?;
        let toolchain = toolchain.for_chip(chip).with_device_compiler(kind.compiler()?);
        Ok(Self { toolchain, sources: own.join("programs") })
    }

    /// Builds a program.
    ///
    /// # Errors
    ///
    /// A source does not compile, or the parts do not fit together.
    pub fn build(&self, program: &Program) -> Result<Callable> {
        let job = |source: &str, kind| CompileJob {
            source: self.sources.join(source),
            kind,
            include_dirs: vec![self.sources.clone()],
        };
        let kernels = program
            .kernels
            .iter()
            .map(|kernel| job(kernel.source, CodeKind::Kernel(kernel.core_type)));
        let orchestration = match program.runtime {
            RuntimeName::Trb => CodeKind::Orchestration,
            RuntimeName::Hbg => CodeKind::HostOrchestration,
        };
        let jobs: Vec<_> =
            [job(program.orchestration, orchestration)].into_iter().chain(kernels).collect();
        let mut images = self.toolchain.build(&jobs, &|_, _| {})?.into_iter();
        let orchestration = images.next().context("no image of the orchestration")?;
        let mut builder = Callable::builder(orchestration.bytes)
            .name(program.name)
            .entry(program.entry)
            .runtime(program.runtime);
        for (kernel, image) in program.kernels.iter().zip(images) {
            let stem = Path::new(kernel.source).file_stem().unwrap_or_default();
            builder = builder.kernel(KernelImage {
                func_id: FuncId::new(kernel.func_id).context("a func_id out of range")?,
                core_type: kernel.core_type,
                binary: image.bytes,
                name: stem.to_string_lossy().into_owned(),
            });
        }
        Ok(builder.build()?)
    }
}

//! From the C++ sources in `programs/` to callables.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use host_runner::callable::{Callable, KernelImage};
use host_runner::compile::{CodeKind, CompileJob, Compiler, Reuse, Toolchain, ToolchainConfig};
use host_runner::runtime_name::RuntimeName;
use protocol::{CoreType, FuncId};

/// The kernels of `tasks.cpp`, by their func ids.
const TASK_KERNELS: [&str; 5] = ["step", "combine", "append", "join", "mark"];

/// What `large.cpp` and its kernel have in front of the number of the image.
const MARK: u64 = 0x1A26_E04C_4E57_2A70;

/// Bytes that the large orchestration and its kernel have together, as the target says.
const LARGE_BYTES: std::ops::Range<usize> = 380_000..480_000;

/// Compiled code; what did not change since the last time is not compiled again.
pub(crate) struct Programs {
    tasks: Vec<u8>,
    task_kernels: Vec<Vec<u8>>,
    large: Vec<u8>,
    tell: Vec<u8>,
    graphs: Vec<u8>,
    gather: Vec<u8>,
}

impl Programs {
    /// Compiles everything.
    ///
    /// # Errors
    ///
    /// There is no compiler, or a source does not compile.
    pub(crate) fn build() -> Result<Self> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
        let job = |source: &str, kind| CompileJob {
            source: sources.join(source),
            kind,
            include_dirs: vec![sources.clone()],
        };
        let kernel =
            |name: &str| job(&format!("kernels/{name}.cpp"), CodeKind::Kernel(CoreType::Aiv));
        let mut jobs = vec![
            job("tasks.cpp", CodeKind::Orchestration),
            job("large.cpp", CodeKind::Orchestration),
            kernel("tell"),
            job("graphs.cpp", CodeKind::HostOrchestration),
            kernel("gather"),
        ];
        jobs.extend(TASK_KERNELS.iter().map(|name| kernel(name)));
        let images = toolchain()?.build(&jobs, &|_, _| {})?;
        let mut images = images.into_iter().map(|image| image.bytes);
        let mut next = || images.next().context("fewer images than jobs");
        let built = Self {
            tasks: next()?,
            large: next()?,
            tell: next()?,
            graphs: next()?,
            gather: next()?,
            task_kernels: TASK_KERNELS.iter().map(|_| next()).collect::<Result<_>>()?,
        };
        let bytes = built.large.len() + built.tell.len();
        ensure!(LARGE_BYTES.contains(&bytes), "the large orchestration has {bytes} bytes");
        Ok(built)
    }

    /// An entry of `tasks.cpp` with all its kernels.
    ///
    /// # Errors
    ///
    /// The parts do not fit together.
    pub(crate) fn tasks(&self, entry: &str) -> Result<Callable> {
        let mut builder = Callable::builder(self.tasks.clone()).name(entry).entry(entry);
        for ((name, image), id) in TASK_KERNELS.iter().zip(&self.task_kernels).zip(0..) {
            builder = builder.kernel(kernel(id, name, image)?);
        }
        Ok(builder.build()?)
    }

    /// The image of a kernel of `tasks.cpp`.
    ///
    /// # Errors
    ///
    /// There is none of this name.
    pub(crate) fn task_kernel(&self, name: &str) -> Result<&[u8]> {
        let index = TASK_KERNELS.iter().position(|it| *it == name).context("no such kernel")?;
        Ok(&self.task_kernels[index])
    }

    /// The large orchestration with its kernel, with a number in both images, so that those of other
    /// numbers are other images.
    ///
    /// # Errors
    ///
    /// The parts do not fit together.
    pub(crate) fn large(&self, number: u64) -> Result<Callable> {
        let builder = Callable::builder(numbered(&self.large, number)?).name("large").entry("one");
        Ok(builder.kernel(kernel(0, "tell", &numbered(&self.tell, number)?)?).build()?)
    }

    /// An entry of `graphs.cpp` with its kernel.
    ///
    /// # Errors
    ///
    /// The parts do not fit together.
    pub(crate) fn graph(&self, entry: &str) -> Result<Callable> {
        let builder = Callable::builder(self.graphs.clone()).name(entry).entry(entry);
        let kernel = kernel(0, "gather", &self.gather)?;
        Ok(builder.runtime(RuntimeName::Hbg).kernel(kernel).build()?)
    }
}

/// An image with a number in the place of the word behind the mark.
fn numbered(image: &[u8], number: u64) -> Result<Vec<u8>> {
    let mark = MARK.to_le_bytes();
    let mut image = image.to_vec();
    let mut places = image.windows(mark.len()).enumerate().filter(|(_, word)| *word == mark);
    let (place, _) = places.next().context("no mark in the image")?;
    ensure!(places.next().is_none(), "more than one mark in the image");
    image[place + 8..place + 16].copy_from_slice(&number.to_le_bytes());
    Ok(image)
}

/// A kernel for vector cores.
fn kernel(func_id: i64, name: &str, image: &[u8]) -> Result<KernelImage> {
    Ok(KernelImage {
        func_id: FuncId::new(func_id).context("a func_id out of range")?,
        core_type: CoreType::Aiv,
        binary: image.to_vec(),
        name: name.to_owned(),
    })
}

/// The compiler of this machine with a cache in the target folder.
fn toolchain() -> Result<Toolchain> {
    let compiler = match std::env::var("CXX") {
        Ok(command) if !command.is_empty() => Compiler::named(&command),
        _ => Compiler::newest_on(&std::env::var_os("PATH").unwrap_or_default()),
    }
    .context("no C++ compiler")?;
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let repository = own.ancestors().nth(2).context("the crate is two folders down")?;
    Ok(Toolchain::new(ToolchainConfig {
        compiler,
        sdk: Some(repository.join("sdk")),
        cache_dir: target_folder()?.join("benches"),
        reuse: Reuse::Cached,
        isa_root: None,
    })?)
}

/// The folder of the profile's folder, in which this program is.
fn target_folder() -> Result<PathBuf> {
    let program = std::env::current_exe().context("no path of this program")?;
    let target = program.ancestors().nth(2).context("this program is in no target folder")?;
    Ok(target.to_owned())
}

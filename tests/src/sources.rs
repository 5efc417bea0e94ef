//! From the C++ sources of the tests and examples to callables.
//!
//! A source is compiled once in a process and, through the cache of `host_runner::compile`, once in
//! a target folder as long as it does not change.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use host_runner::build;
use host_runner::callable::{Callable, CallableBuilder, KernelImage};
use host_runner::compile::{
    CodeKind, CompileError, CompileJob, Compiler, Reuse, Toolchain, ToolchainConfig,
};
use host_runner::manifest::Manifest;
use host_runner::runtime_name::RuntimeName;
use host_runner::worker::PlatformName;
use protocol::{ChipName, CoreType, FuncId};

/// An image that is there or is being built.
type Built = Arc<OnceLock<Vec<u8>>>;

/// The folder of the repository.
pub fn repository() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().expect("the crate is below the repository's folder").to_owned()
}

/// The manifest and the callable of an example, compiled for the default platform.
pub fn example(name: &str) -> (Manifest, Callable) {
    example_for(PlatformName::default(), name)
}

/// The manifest and the callable of an example, compiled for the chip of a platform.
pub fn example_for(platform: PlatformName, name: &str) -> (Manifest, Callable) {
    let manifest = Manifest::load(&repository().join("examples").join(name)).expect("a manifest");
    let toolchain = || Ok(toolchain()?.for_chip(platform.chip()));
    let callable = build::callable(&manifest, toolchain, &|_, _| {}).expect("the example builds");
    (manifest, callable)
}

/// The image of `data/orchestrations/<name>.cpp`, for a2a3.
pub fn orchestration(name: &str) -> Vec<u8> {
    orchestration_for(ChipName::A2a3, name)
}

/// The image of `data/orchestrations/<name>.cpp`.
pub fn orchestration_for(chip: ChipName, name: &str) -> Vec<u8> {
    image(chip, CodeKind::Orchestration, &format!("orchestrations/{name}.cpp"))
}

/// The image of `data/host_orchestrations/<name>.cpp`, which builds its graphs on the host.
pub fn host_orchestration_for(chip: ChipName, name: &str) -> Vec<u8> {
    image(chip, CodeKind::HostOrchestration, &format!("host_orchestrations/{name}.cpp"))
}

/// The image of `data/kernels/<name>.cpp`, for a2a3.
pub fn kernel_image(core_type: CoreType, name: &str) -> Vec<u8> {
    image(ChipName::A2a3, CodeKind::Kernel(core_type), &format!("kernels/{name}.cpp"))
}

/// The kernel of `data/kernels/<name>.cpp`.
pub fn kernel(func_id: i64, core_type: CoreType, name: &str) -> KernelImage {
    kernel_of(func_id, core_type, name, kernel_image(core_type, name))
}

/// The kernel of `data/kernels/<name>.cpp`, for a chip.
pub fn kernel_for(chip: ChipName, func_id: i64, core_type: CoreType, name: &str) -> KernelImage {
    let binary = image(chip, CodeKind::Kernel(core_type), &format!("kernels/{name}.cpp"));
    kernel_of(func_id, core_type, name, binary)
}

/// A kernel with an image of the test's own.
pub fn kernel_of(func_id: i64, core_type: CoreType, name: &str, binary: Vec<u8>) -> KernelImage {
    let func_id = FuncId::new(func_id).expect("a func id");
    KernelImage { func_id, core_type, binary, name: name.to_owned() }
}

/// The kernels that `data/orchestrations/cells.h` numbers.
pub fn cell_kernels() -> Vec<KernelImage> {
    cell_kernels_for(ChipName::A2a3)
}

/// The same, compiled for a chip.
pub fn cell_kernels_for(chip: ChipName) -> Vec<KernelImage> {
    let names = ["fill", "add", "append", "weigh"];
    names.iter().zip(0..).map(|(name, id)| kernel_for(chip, id, CoreType::Aiv, name)).collect()
}

/// A callable with one entry of an orchestration, which also names it.
pub fn callable(source: &str, entry: &str, kernels: Vec<KernelImage>) -> Callable {
    packed(Callable::builder(orchestration(source)).name(entry).entry(entry), kernels)
}

/// The same, compiled for a chip.
pub fn callable_for(
    chip: ChipName,
    source: &str,
    entry: &str,
    kernels: Vec<KernelImage>,
) -> Callable {
    let image = orchestration_for(chip, source);
    packed(Callable::builder(image).name(entry).entry(entry), kernels)
}

/// A callable with one entry of an orchestration on the host, which also names it.
pub fn host_callable_for(
    chip: ChipName,
    source: &str,
    entry: &str,
    kernels: Vec<KernelImage>,
) -> Callable {
    let builder = Callable::builder(host_orchestration_for(chip, source)).name(entry).entry(entry);
    packed(builder.runtime(RuntimeName::Hbg), kernels)
}

/// An image with a word of a test's own: it takes the place of the eight bytes behind `mark`, which
/// the source of the image has once.
pub fn with_word_behind(mut image: Vec<u8>, mark: u64, word: u64) -> Vec<u8> {
    let mark = mark.to_le_bytes();
    let places: Vec<_> = (0..image.len() - 16).filter(|at| image[*at..][..8] == mark).collect();
    let [place] = places[..] else { panic!("one mark, not {places:?}") };
    image[place + 8..][..8].copy_from_slice(&word.to_le_bytes());
    image
}

/// `witness.cpp` with a number in its image. All numbers give images of one length and one Build-ID.
pub fn witness_for(chip: ChipName, number: u64) -> Vec<u8> {
    with_word_behind(orchestration_for(chip, "witness"), 0x5717_0E55_0FA1_1A5E, number)
}

/// A builder with these kernels, built.
pub fn packed(builder: CallableBuilder, kernels: Vec<KernelImage>) -> Callable {
    let builder = kernels.into_iter().fold(builder, CallableBuilder::kernel);
    builder.build().expect("the parts fit together")
}

/// The image of a source in `data/`, from memory, the cache or the compiler.
fn image(chip: ChipName, kind: CodeKind, source: &str) -> Vec<u8> {
    static BUILT: LazyLock<Mutex<HashMap<String, Built>>> = LazyLock::new(Mutex::default);
    let built = {
        let mut all = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(format!("{chip} {kind:?} {source}")).or_default())
    };
    let compile = || {
        static A2A3: LazyLock<Toolchain> = LazyLock::new(|| toolchain().expect("a compiler"));
        static A5: LazyLock<Toolchain> =
            LazyLock::new(|| toolchain().expect("a compiler").for_chip(ChipName::A5));
        let toolchain: &Toolchain = match chip {
            ChipName::A2a3 => &A2A3,
            ChipName::A5 => &A5,
        };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(source);
        let job = CompileJob { source, kind, include_dirs: Vec::new() };
        let images = toolchain.build(&[job], &|_, _| {}).expect("the source compiles");
        images.into_iter().next().expect("an image for the job").bytes
    };
    built.get_or_init(compile).clone()
}

/// The compiler of this machine with a cache in the target folder.
fn toolchain() -> Result<Toolchain, CompileError> {
    let compiler = match std::env::var("CXX") {
        Ok(command) if !command.is_empty() => Compiler::named(&command),
        _ => Compiler::newest_on(&std::env::var_os("PATH").unwrap_or_default()),
    }?;
    let program = std::env::current_exe().expect("the path of the test program");
    // The program is in <target>/<profile>/deps.
    let target = program.ancestors().nth(3).expect("test programs are in the target folder");
    Toolchain::new(ToolchainConfig {
        compiler,
        sdk: Some(repository().join("sdk")),
        cache_dir: target.join("test-callables"),
        reuse: Reuse::Cached,
        isa_root: None,
    })
}

/// What messages call the orchestration of a callable: its Build-ID, by another parser than the
/// loader's.
pub fn image_label(blob: &[u8]) -> String {
    let view = protocol::callable::parse::ChipCallableView::parse(blob).expect("a whole blob");
    match protocol::build_id::find_build_id(view.orchestration()) {
        Some(id) => {
            let digits: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("(build-id {digits})")
        }
        None => "(no build-id)".to_owned(),
    }
}

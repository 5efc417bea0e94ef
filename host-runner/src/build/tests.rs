//! Manifests of both runtimes become callables, by a compile or from what was kept of one.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use protocol::ChipName;
use protocol::callable::parse::ChipCallableView;

use super::*;
use crate::compile::{Compiler, Reuse, ToolchainConfig, ToolchainFacts, ToolchainKey};
use crate::image_cache::{CacheCounters, ImageCache};
use crate::runtime_name::RuntimeName;

/// Good for either runtime, as both entries are there.
const ORCHESTRATION: &str = "\
extern \"C\" int graph(void *, const void *) { return 0; }
extern \"C\" void tasks(const void *) {}
";

/// A folder with a small SDK, a source, a cache and room for manifests.
struct Bench {
    folder: tempfile::TempDir,
    /// How often a toolchain was asked for.
    asked: Cell<u32>,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap(), asked: Cell::new(0) };
        for (name, text) in [
            ("sdk/include/own.h", ""),
            ("sdk/stub/own.h", ""),
            ("sdk/src/orchestration_support.cpp", "extern \"C\" int support() { return 7; }"),
            ("orchestration.cpp", ORCHESTRATION),
            // A compiler that is told by its file, whichever one compiles here.
            ("programs/g++", "\x7fELF"),
        ] {
            let path = bench.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        make_executable(&bench.path("programs/g++"));
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn manifest(&self, runtime: &str, entry: &str) -> Manifest {
        let text = format!(
            "name = \"both\"\nruntime = \"{runtime}\"\n[orchestration]\n\
             source = \"orchestration.cpp\"\nentry = \"{entry}\"\n"
        );
        Manifest::parse(&self.path("callable.toml"), &text).unwrap()
    }

    fn toolchain(&self) -> Result<Toolchain, CompileError> {
        self.asked.set(self.asked.get() + 1);
        Toolchain::new(ToolchainConfig {
            compiler: Compiler::newest_on(&std::env::var_os("PATH").unwrap())?,
            sdk: Some(self.path("sdk")),
            cache_dir: self.path("cache"),
            reuse: Reuse::Cached,
            isa_root: None,
        })
    }

    /// Builds as another process would: with nothing in memory. Returns what the cache did.
    fn build(&self, manifest: &Manifest) -> (Callable, CacheCounters) {
        let cache = ImageCache::open(&self.path("images")).unwrap();
        let toolchain = ToolchainKey::of(&ToolchainFacts {
            compiler: None,
            search_path: self.path("programs").as_os_str(),
            chip: ChipName::A2a3,
            sdk: Some(&self.path("sdk")),
            cache_dir: &self.path("cache"),
            isa_root: None,
        });
        let kept = KeptBuilds { cache: &cache, toolchain: toolchain.unwrap() };
        let callable = kept_callable(manifest, Some(&kept), || self.toolchain(), &|_, _| {});
        (callable.unwrap(), cache.counters())
    }
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}

/// Whether the orchestration is linked with the SDK's support source.
fn is_supported(callable: &Callable) -> bool {
    let view = ChipCallableView::parse(callable.blob()).unwrap();
    let image = view.orchestration();
    image.windows(8).any(|bytes| bytes == b"support\0")
}

#[test]
fn the_runtime_of_a_manifest_decides_how_its_orchestration_is_built() {
    let bench = Bench::new();
    for (runtime, entry) in [(RuntimeName::Trb, "tasks"), (RuntimeName::Hbg, "graph")] {
        let manifest = bench.manifest(runtime.name(), entry);
        let built = callable(&manifest, || bench.toolchain(), &|_, _| {}).unwrap();
        assert_eq!(built.runtime(), runtime);
        assert_eq!(is_supported(&built), runtime == RuntimeName::Trb);
        let view = ChipCallableView::parse(built.blob()).unwrap();
        assert_eq!(view.entry_symbol(), entry);
    }
}

#[test]
fn a_kept_build_is_for_its_runtime_alone() {
    let bench = Bench::new();
    // One source and one entry: nothing but the runtime tells them apart.
    let [trb, hbg] = ["trb", "hbg"].map(|runtime| bench.manifest(runtime, "graph"));
    for (asked, manifest) in [(1, &trb), (2, &hbg)] {
        let (built, counters) = bench.build(manifest);
        assert_eq!((bench.asked.get(), built.runtime()), (asked, manifest.runtime));
        assert_eq!((counters.hits, counters.written), (0, 1));
        // The orchestration of hbg is not for the loader that plans.
        assert_eq!(counters.plans, u64::from(manifest.runtime == RuntimeName::Trb));
    }
    for manifest in [&trb, &hbg] {
        let fresh = callable(manifest, || bench.toolchain(), &|_, _| {}).unwrap();
        let asked = bench.asked.get();
        let (kept, counters) = bench.build(manifest);
        assert_eq!(kept, fresh);
        assert_eq!((bench.asked.get(), counters.hits, counters.plans), (asked, 1, 0));
    }
}

#[test]
fn both_names_of_a_runtime_mean_one_build() {
    let bench = Bench::new();
    let (built, _) = bench.build(&bench.manifest("hbg", "graph"));
    let (kept, counters) = bench.build(&bench.manifest("host_build_graph", "graph"));
    assert_eq!((kept, counters.hits), (built, 1));
    let (_, counters) = bench.build(&bench.manifest("hbg", "tasks"));
    assert_eq!(counters.hits, 0, "another entry is another callable");
}

#[test]
fn a_changed_source_of_a_graph_is_compiled_anew() {
    let bench = Bench::new();
    let manifest = bench.manifest("hbg", "graph");
    let (first, _) = bench.build(&manifest);
    fs::write(bench.path("orchestration.cpp"), format!("{ORCHESTRATION}int more = 1;")).unwrap();
    let (second, counters) = bench.build(&manifest);
    assert_ne!(first.blob(), second.blob());
    assert_eq!((counters.hits, bench.asked.get()), (0, 2));
}

//! Real compiles of tiny sources, against a tiny SDK, in a temporary folder.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use protocol::CoreType;

use super::*;

/// A folder with a small SDK and room for sources.
struct Bench {
    folder: tempfile::TempDir,
    clock: Cell<u64>,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap(), clock: Cell::new(1) };
        bench.write("sdk/include/answer.h", "#pragma once\n#define ANSWER 42\n");
        bench.write("sdk/stub/pto/pto-inst.hpp", "#pragma once\n#define STUB 1\n");
        bench
            .write("sdk/src/orchestration_support.cpp", "extern \"C\" int support() { return 7; }");
        bench
    }

    /// Writes a file; each one is dated a minute after the last, all well in the past, so that no
    /// test depends on how fast the clock of the file system ticks.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        self.clock.set(self.clock.get() + 60);
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + self.clock.get());
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        path
    }

    fn config(&self) -> ToolchainConfig {
        let path = std::env::var_os("PATH").unwrap();
        ToolchainConfig {
            compiler: Compiler::newest_on(&path).unwrap(),
            sdk: Some(self.folder.path().join("sdk")),
            cache_dir: self.folder.path().join("cache"),
            reuse: Reuse::Cached,
            isa_root: None,
        }
    }

    fn build(&self, jobs: &[CompileJob]) -> Result<Vec<BuiltImage>, CompileError> {
        Toolchain::new(self.config())?.build(jobs, &|_, _| {})
    }
}

fn job(source: &Path, kind: CodeKind) -> CompileJob {
    CompileJob { source: source.to_owned(), kind, include_dirs: Vec::new() }
}

/// The names of the dynamic symbols of an image.
fn symbols(image: &BuiltImage) -> Vec<String> {
    let elf = goblin::elf::Elf::parse(&image.bytes).unwrap();
    elf.dynsyms
        .iter()
        .filter_map(|symbol| Some(elf.dynstrtab.get_at(symbol.st_name)?.to_owned()))
        .collect()
}

#[test]
fn an_orchestration_is_linked_with_the_support_source_and_carries_a_build_id() {
    let bench = Bench::new();
    let source =
        bench.write("o.cpp", "#include \"answer.h\"\nextern \"C\" int entry() { return ANSWER; }");
    let images = bench.build(&[job(&source, CodeKind::Orchestration)]).unwrap();
    let names = symbols(&images[0]);
    for name in ["entry", "support"] {
        assert!(names.iter().any(|present| present == name), "{name} in {names:?}");
    }
    let elf = goblin::elf::Elf::parse(&images[0].bytes).unwrap();
    let mut notes = elf.iter_note_headers(&images[0].bytes).unwrap();
    let is_build_id = |note: goblin::elf::note::Note<'_>| note.n_type == 3 && note.desc.len() == 20;
    assert!(notes.any(|note| is_build_id(note.unwrap())));
}

#[test]
fn an_orchestration_of_hbg_is_linked_with_nothing_and_carries_a_build_id() {
    let bench = Bench::new();
    bench.write("sdk/src/orchestration_support.cpp", "this is never compiled");
    bench.write("mine/own.h", "#define OWN ANSWER\n");
    let text = "#include <answer.h>\n#include <own.h>\nextern \"C\" int entry() { return OWN; }";
    let source = bench.write("o.cpp", text);
    let include_dirs = vec![bench.folder.path().join("mine")];
    let host = CompileJob { include_dirs, ..job(&source, CodeKind::HostOrchestration) };
    let images = bench.build(&[host]).unwrap();
    let names = symbols(&images[0]);
    assert!(names.contains(&"entry".to_owned()) && !names.contains(&"support".to_owned()));
    let elf = goblin::elf::Elf::parse(&images[0].bytes).unwrap();
    let mut notes = elf.iter_note_headers(&images[0].bytes).unwrap();
    assert!(notes.any(|note| note.unwrap().n_type == 3));
    let sources = images[0].sources.clone().unwrap();
    assert!(!sources.iter().any(|file| file.path.ends_with("orchestration_support.cpp")));
}

#[test]
fn one_source_compiled_for_both_runtimes_gives_two_images_that_are_kept_apart() {
    let bench = Bench::new();
    let source = bench.write("o.cpp", "extern \"C\" int entry() { return 1; }");
    let kinds = [CodeKind::Orchestration, CodeKind::HostOrchestration];
    let jobs = kinds.map(|kind| job(&source, kind));
    for round in 0..2 {
        let images = bench.build(&jobs).unwrap();
        let is_linked = |image: &BuiltImage| symbols(image).contains(&"support".to_owned());
        assert_eq!(images.iter().map(is_linked).collect::<Vec<_>>(), [true, false]);
        assert!(images.iter().all(|image| image.is_cached == (round == 1)));
    }
}

#[test]
fn kernels_see_the_stub_and_the_macro_of_their_core_type() {
    let bench = Bench::new();
    let text = "#include <pto/pto-inst.hpp>\n#include <answer.h>\n\
                #ifdef __DAV_VEC__\nextern \"C\" int vector_kernel() { return STUB; }\n#endif\n\
                #ifdef __DAV_CUBE__\nextern \"C\" int cube_kernel() { return STUB; }\n#endif\n";
    let source = bench.write("k.cpp", text);
    let jobs = [CoreType::Aic, CoreType::Aiv].map(|core| job(&source, CodeKind::Kernel(core)));
    let images = bench.build(&jobs).unwrap();
    let of = |name: &'static str| {
        images.iter().map(move |image| symbols(image).contains(&name.to_owned()))
    };
    assert!(of("cube_kernel").eq([true, false]));
    assert!(of("vector_kernel").eq([false, true]));
}

#[test]
fn unchanged_sources_come_from_the_cache_until_a_nested_header_changes() {
    let bench = Bench::new();
    bench.write("inner.h", "#define VALUE 1\n");
    bench.write("outer.h", "#include \"inner.h\"\n");
    let kernel =
        bench.write("k.cpp", "#include \"outer.h\"\nextern \"C\" int f() { return VALUE; }");
    let other = bench.write("o.cpp", "extern \"C\" int g() { return 1; }");
    let jobs =
        [job(&kernel, CodeKind::Kernel(CoreType::Aiv)), job(&other, CodeKind::Orchestration)];
    let cached = |images: &[BuiltImage]| [images[0].is_cached, images[1].is_cached];
    let first = bench.build(&jobs).unwrap();
    assert_eq!(cached(&first), [false, false]);
    let second = bench.build(&jobs).unwrap();
    assert_eq!(cached(&second), [true, true]);
    assert_eq!(first[0].bytes, second[0].bytes);

    bench.write("inner.h", "#define VALUE 2\n");
    let third = bench.build(&jobs).unwrap();
    assert_eq!(cached(&third), [false, true]);
    assert_ne!(third[0].bytes, second[0].bytes);
}

#[test]
fn every_kind_of_source_is_compiled_for_its_chip_and_kept_apart() {
    let bench = Bench::new();
    let support = "#ifdef SIMPLER_CHIP_A5\nextern \"C\" int support_a5() { return 7; }\n#endif";
    bench.write("sdk/src/orchestration_support.cpp", support);
    let text = "#ifdef SIMPLER_CHIP_A5\nextern \"C\" int on_a5() { return 1; }\n#else\n\
                extern \"C\" int on_a2a3() { return 1; }\n#endif\n";
    let source = bench.write("both.cpp", text);
    let kinds = [CodeKind::Orchestration, CodeKind::Kernel(CoreType::Aiv)];
    let jobs = kinds.map(|kind| job(&source, kind));
    for round in 0..2 {
        for (chip, name) in [(ChipName::A2a3, "on_a2a3"), (ChipName::A5, "on_a5")] {
            let toolchain = Toolchain::new(bench.config()).unwrap().for_chip(chip);
            let images = toolchain.build(&jobs, &|_, _| {}).unwrap();
            for image in &images {
                assert!(symbols(image).contains(&name.to_owned()), "{name}");
                assert_eq!(image.is_cached, round == 1, "{name}");
            }
            let is_a5 = symbols(&images[0]).contains(&"support_a5".to_owned());
            assert_eq!(is_a5, chip == ChipName::A5);
        }
    }
}

#[test]
fn the_users_include_folders_come_before_the_sdks() {
    let bench = Bench::new();
    bench.write("mine/answer.h", "#define MINE 1\n");
    let source = bench.write("o.cpp", "#include <answer.h>\nextern \"C\" int f() { return MINE; }");
    let include_dirs = vec![bench.folder.path().join("mine")];
    let own = CompileJob { include_dirs, ..job(&source, CodeKind::Orchestration) };
    assert!(bench.build(&[own]).is_ok());
    assert!(bench.build(&[job(&source, CodeKind::Orchestration)]).is_err());
}

#[test]
fn a_changed_support_source_relinks_the_orchestration() {
    let bench = Bench::new();
    let source = bench.write("o.cpp", "extern \"C\" int entry() { return 1; }");
    let jobs = [job(&source, CodeKind::Orchestration)];
    bench.build(&jobs).unwrap();
    bench.write("sdk/src/orchestration_support.cpp", "extern \"C\" int renewed() { return 8; }");
    let images = bench.build(&jobs).unwrap();
    assert!(!images[0].is_cached);
    assert!(symbols(&images[0]).contains(&"renewed".to_owned()));
}

#[test]
fn without_reuse_nothing_compiled_is_taken_or_kept() {
    let bench = Bench::new();
    let source = bench.write("k.cpp", "extern \"C\" int f() { return 1; }");
    let jobs = [job(&source, CodeKind::Kernel(CoreType::Aiv))];
    bench.build(&jobs).unwrap();
    let kept = || fs::read_dir(bench.folder.path().join("cache/compile/built")).unwrap().count();
    assert_eq!(kept(), 1);
    let config = ToolchainConfig { reuse: Reuse::Never, ..bench.config() };
    let images = Toolchain::new(config).unwrap().build(&jobs, &|_, _| {}).unwrap();
    assert!(!images[0].is_cached);
    assert_eq!(kept(), 1);
}

#[test]
fn a_broken_source_names_the_file_the_line_and_a_command_that_repeats_it() {
    let bench = Bench::new();
    let good = bench.write("good.cpp", "extern \"C\" int f() { return 1; }");
    let bad = bench.write("my kernel.cpp", "int f( { return 1; }\n");
    let jobs = [good, bad].map(|source| job(&source, CodeKind::Kernel(CoreType::Aiv)));
    let error = bench.build(&jobs).unwrap_err();
    let CompileError::Rejected { source_file, first_errors, command, .. } = &error else {
        panic!("{error}");
    };
    assert!(source_file.ends_with("my kernel.cpp"));
    assert!(first_errors.contains("my kernel.cpp:1:"), "{first_errors}");
    let repeated = std::process::Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(!repeated.status.success());
    assert!(String::from_utf8_lossy(&repeated.stderr).contains("my kernel.cpp:1:"));
    assert!(error.to_string().contains("correct the source"));
    let scratch = fs::read_dir(bench.folder.path().join("cache/scratch")).unwrap();
    assert_eq!(scratch.count(), 0, "nothing is left of a failed compile");
}

#[test]
fn a_missing_source_is_named() {
    let bench = Bench::new();
    let missing = bench.folder.path().join("none.cpp");
    let error = bench.build(&[job(&missing, CodeKind::Orchestration)]).unwrap_err();
    assert!(matches!(&error, CompileError::Read { path, .. } if *path == missing), "{error}");
}

#[test]
fn a_compiler_that_writes_nothing_is_caught() {
    let bench = Bench::new();
    let fake = bench.write("fake", "#!/bin/sh\necho fake 1.0\n");
    let source = bench.write("k.cpp", "");
    let compiler = Compiler::named(&format!("sh {}", fake.display())).unwrap();
    let toolchain = Toolchain::new(ToolchainConfig { compiler, ..bench.config() }).unwrap();
    let jobs = [job(&source, CodeKind::Kernel(CoreType::Aiv))];
    let error = toolchain.build(&jobs, &|_, _| {}).unwrap_err();
    assert!(matches!(error, CompileError::NoOutput { .. }), "{error}");
}

#[test]
fn the_real_headers_must_be_where_the_user_says() {
    let bench = Bench::new();
    let isa_root = Some(bench.folder.path().join("isa"));
    let error = Toolchain::new(ToolchainConfig { isa_root, ..bench.config() }).unwrap_err();
    assert!(matches!(error, CompileError::IsaIncomplete { .. }));

    bench.write("isa/include/pto/pto-inst.hpp", "#define REAL 1\n");
    let source = bench.write("k.cpp", "#include <pto/pto-inst.hpp>\nint f() { return REAL; }");
    let isa_root = Some(bench.folder.path().join("isa"));
    let toolchain = Toolchain::new(ToolchainConfig { isa_root, ..bench.config() }).unwrap();
    let jobs = [job(&source, CodeKind::Kernel(CoreType::Aic))];
    assert_eq!(toolchain.build(&jobs, &|_, _| {}).unwrap().len(), 1);
}

#[test]
fn many_processes_worth_of_builds_may_share_one_cache() {
    let bench = Bench::new();
    let source = bench.write("o.cpp", "extern \"C\" int entry() { return 1; }");
    let jobs = [job(&source, CodeKind::Orchestration)];
    let config = bench.config();
    let images: Vec<_> = thread::scope(|scope| {
        let build = || Toolchain::new(config.clone()).unwrap().build(&jobs, &|_, _| {});
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(build)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
    });
    assert!(images.iter().all(|built| symbols(&built[0]).contains(&"entry".to_owned())));
    assert!(bench.build(&jobs).unwrap()[0].is_cached);
}

//! The C++ SDK, seen from a user's compiler.
//!
//! `sdk/tests` holds sources written the way users write them; these tests compile them with the
//! documented flags, run the behavioural program, and run the examples on an executor that knows no
//! scheduling. Nothing here needs the runtime, so a failure points at the headers or the sources.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

#[path = "sdk/graphs.rs"]
mod graphs;
#[path = "sdk/image.rs"]
#[allow(dead_code, reason = "shared with the tests of imports")]
mod image;
#[path = "sdk/toolchain.rs"]
mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::tempdir;
use toolchain::{Build, printed, root, sources, stem, support};

const ORCHESTRATIONS: &str = "sdk/tests/reference_style/orchestrations";
const KERNELS: &str = "sdk/tests/reference_style/kernels";
const CHIP_A5: &[&str] = &["-DSIMPLER_CHIP_A5"];

/// Fails the test if the loader would refuse the image (spec trb §1.2).
#[track_caller]
fn check_loadable(path: &Path) -> image::Image {
    let image = image::read(path);
    assert!(!image.has_thread_locals, "{}", path.display());
    assert!(image.unique.is_empty(), "{}: {:?}", path.display(), image.unique);
    image
}

#[test]
fn reference_style_orchestrations_become_loadable_images_without_warnings() {
    let folder = tempdir().unwrap();
    for source in sources(ORCHESTRATIONS, 8) {
        let output = folder.path().join(stem(&source)).with_extension("so");
        let build = Build::orchestration("c++17").source(&source).source(&support());
        build.into_file(&output).expect_clean(&stem(&source));
        let exports = check_loadable(&output).exports;
        assert!(exports.contains(&"framework_bind_runtime".into()), "{exports:?}");
        assert!(!exports.contains(&"framework_current_runtime".into()), "{exports:?}");
        // The wrappers are hidden: an image exports what its author wrote, and library templates.
        let wrapper = |name: &&String| {
            ["rt_submit", "rt_scope", "rt_is_fatal", "alloc_tensors", "make_tensor_external"]
                .iter()
                .any(|part| name.contains(part))
        };
        assert_eq!(exports.iter().find(wrapper), None, "{exports:?}");
    }
}

#[test]
fn reference_style_orchestrations_compile_in_every_standard_and_for_both_chips() {
    let variants: [(&str, &[&str]); 4] =
        [("gnu++17", &[]), ("c++17", CHIP_A5), ("c++20", &[]), ("c++23", CHIP_A5)];
    for (standard, chip) in variants {
        let build = Build::orchestration(standard).flags(chip);
        let build = build.sources(&sources(ORCHESTRATIONS, 8));
        build.check_only().expect_clean(&format!("{standard} {chip:?}"));
    }
}

#[test]
fn reference_style_kernels_become_loadable_images_with_the_stub() {
    let folder = tempdir().unwrap();
    for source in sources(KERNELS, 6) {
        let name = stem(&source);
        let output = folder.path().join(&name).with_extension("so");
        let build = Build::kernel("c++20", &source).include("sdk/stub");
        build.into_file(&output).expect_clean(&name);
        assert_eq!(check_loadable(&output).exports, ["kernel_entry"], "{name}");

        let build = Build::kernel("c++23", &source).include("sdk/stub").flags(CHIP_A5);
        build.check_only().expect_clean(&format!("{name} for a5"));
    }
}

#[test]
fn stub_steps_aside_wherever_the_instruction_headers_stand_in_the_include_path() {
    let real = "sdk/tests/isa_double";
    for source in sources("sdk/tests/reference_style/kernels_isa", 2) {
        let build = || Build::kernel("c++20", &source);
        let before = build().include(real).include("sdk/stub");
        before.check_only().expect_clean("real headers before the stub");
        let after = build().include("sdk/stub").include(real);
        after.check_only().expect_clean("real headers after the stub");
        build().include(real).check_only().expect_clean("real headers alone");
        let alone = build().include("sdk/stub").check_only();
        assert!(!alone.accepted, "{} does not need the real headers", source.display());
    }
}

#[test]
fn misuse_is_refused_with_a_text_that_says_why() {
    let refused = "sdk/tests/must_not_compile";
    refuses(refused, 8, &[]);
    refuses(refused, 8, CHIP_A5);
    // Names of a2a3 that a5 has not (spec trb §11); on a2a3 they are there.
    refuses("sdk/tests/must_not_compile_a5", 2, CHIP_A5);
    for source in sources("sdk/tests/must_not_compile_a5", 2) {
        let build = Build::orchestration("c++17").source(&source);
        build.check_only().expect_clean(&stem(&source));
    }
}

/// Each source of a folder is refused with the text in its first line.
#[track_caller]
fn refuses(folder: &str, least: usize, chip: &[&str]) {
    for source in sources(folder, least) {
        let text = fs::read_to_string(&source).unwrap();
        let first = text.lines().next().unwrap_or_default();
        let expected = first.strip_prefix("// EXPECT: ").expect("the first line names the text");
        let finished = Build::orchestration("c++17").flags(chip).source(&source).check_only();
        assert!(!finished.accepted, "{} compiles", source.display());
        assert!(finished.text.contains(expected), "{}:\n{}", source.display(), finished.text);
    }
}

#[test]
fn support_unit_exports_the_bind_function_and_nothing_else() {
    let folder = tempdir().unwrap();
    let output = folder.path().join("support.so");
    let build = Build::orchestration("c++17").source(&support());
    build.into_file(&output).expect_clean("support unit");
    assert_eq!(check_loadable(&output).exports, ["framework_bind_runtime"]);
}

#[test]
fn wrappers_and_types_behave_as_specified() {
    behaves(&[]);
}

#[test]
fn wrappers_and_types_behave_as_specified_for_a5() {
    behaves(CHIP_A5);
}

#[track_caller]
fn behaves(chip: &[&str]) {
    let build = Build::program("c++17").flags(chip);
    passes(build.sources(&sources("sdk/tests/behaviour", 5)), 200);
}

/// Builds a behavioural program and runs it; it makes more than `least` checks.
#[track_caller]
fn passes(build: Build, least: u32) {
    let folder = tempdir().unwrap();
    let program = folder.path().join("behaviour");
    build.flags(&["-fsanitize=undefined"]).into_file(&program).expect_clean("behaviour");

    let output = Command::new(&program).output().unwrap();
    let text = printed(&output);
    assert!(output.status.success(), "{text}");
    let (checks, verdict) = text.split_once(' ').unwrap();
    assert_eq!(verdict, "checks, 0 failed\n");
    assert!(checks.parse::<u32>().unwrap() > least, "only {checks} checks ran");
}

/// One example, compiled for the serial executor of `sdk/tests/serial_runner`.
struct Example {
    name: &'static str,
    /// core type, func_id, source; as in the example's `callable.toml`.
    kernels: &'static [(&'static str, &'static str, &'static str)],
    /// Arguments in order, in the runner's words; files relative to the example.
    arguments: &'static [&'static [&'static str]],
    /// Tasks and kernel calls the runner must count.
    counts: &'static str,
}

const EXAMPLES: [Example; 3] = [
    Example {
        name: "vector_add",
        kernels: &[("aiv", "0", "add"), ("aiv", "1", "add_scalar"), ("aiv", "2", "mul")],
        arguments: &[&["in", "inputs/a.npy"], &["in", "inputs/b.npy"], &["out", "expected/f.npy"]],
        counts: "5 tasks, 5 kernel calls, ",
    },
    Example {
        name: "tiled_matmul",
        kernels: &[("aic", "0", "matmul_tile"), ("aiv", "1", "accumulate")],
        arguments: &[
            &["in", "inputs/a.npy"],
            &["in", "inputs/b.npy"],
            &["inout", "1.0", "expected/c.npy"],
        ],
        counts: "128 tasks, 128 kernel calls, ",
    },
    Example {
        name: "mixed_cluster",
        kernels: &[("aic", "0", "multiply"), ("aiv", "1", "blend")],
        arguments: &[
            &["in", "inputs/a.npy"],
            &["in", "inputs/b.npy"],
            &["out", "expected/product.npy"],
            &["out", "expected/blend.npy"],
            &["scalar", "6"],
            &["scalar", "0x3f400000"], // 0.75f
        ],
        counts: "1 tasks, 18 kernel calls, ",
    },
];

impl Example {
    /// Compiles everything into `folder`; returns the runner's argument list.
    fn compile(&self, folder: &Path) -> Vec<PathBuf> {
        let home = root().join("examples").join(self.name);
        let graph = folder.join(self.name).with_extension("so");
        let source = home.join("orchestration.cpp");
        let build = Build::orchestration("c++17").source(&source).source(&support());
        build.into_file(&graph).expect_clean(self.name);
        check_loadable(&graph);

        let mut words = vec![graph, "1e-5".into()];
        for (core, func_id, name) in self.kernels {
            let output = folder.join(format!("{}_{name}.so", self.name));
            let source = home.join("kernels").join(name).with_extension("cpp");
            let build = Build::kernel_for("c++20", core).include("sdk/stub").source(&source);
            build.into_file(&output).expect_clean(name);
            assert_eq!(check_loadable(&output).exports, ["kernel_entry"], "{name}");
            words.extend([core.into(), func_id.into(), output]);
        }
        for argument in self.arguments {
            words.extend(argument.iter().map(|word| match word.ends_with(".npy") {
                true => home.join(word),
                false => word.into(),
            }));
        }
        words
    }
}

#[test]
fn examples_compute_their_expected_outputs_on_a_serial_executor() {
    let folder = tempdir().unwrap();
    let runner = folder.path().join("serial_runner");
    let build = Build::program("c++20").sources(&sources("sdk/tests/serial_runner", 2));
    build.flags(&["-ldl"]).into_file(&runner).expect_clean("serial runner");

    for example in &EXAMPLES {
        let words = example.compile(folder.path());
        let output = Command::new(&runner).args(&words).output().unwrap();
        let text = printed(&output);
        assert!(output.status.success(), "{}: {text}", example.name);
        assert!(text.contains(example.counts), "{}: {text}", example.name);

        // The runner tells right from wrong: an input is not what the last output should be.
        let is_data = |word: &PathBuf| word.extension().is_some_and(|extension| extension == "npy");
        let first = words.iter().position(is_data).unwrap();
        let last = words.iter().rposition(is_data).unwrap();
        let mut wrong = words.clone();
        wrong[last] = words[first].clone();
        let output = Command::new(&runner).args(&wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}: {}", example.name, printed(&output));
    }
}

#[test]
fn example_data_is_what_its_script_generates() {
    for example in &EXAMPLES {
        let files = example.arguments.iter().filter_map(|words| words.last());
        is_generated(example.name, files.copied().filter(|file| file.ends_with(".npy")));
    }
}

/// Checks that the script of an example makes these files of it, byte by byte.
#[track_caller]
fn is_generated<'a>(example: &str, files: impl Iterator<Item = &'a str>) {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: no python3 to regenerate the data with");
        return;
    }
    let folder = tempdir().unwrap();
    fs::copy(root().join("examples/npy_files.py"), folder.path().join("npy_files.py")).unwrap();
    let (home, copy) = (root().join("examples").join(example), folder.path().join(example));
    fs::create_dir(&copy).unwrap();
    fs::copy(home.join("make_expected.py"), copy.join("make_expected.py")).unwrap();
    let output = Command::new("python3").arg(copy.join("make_expected.py")).output().unwrap();
    assert!(output.status.success(), "{example}: {}", printed(&output));
    for file in files {
        let (kept, made) = (fs::read(home.join(file)), fs::read(copy.join(file)));
        assert!(kept.unwrap() == made.unwrap(), "{example}/{file} differs");
    }
}

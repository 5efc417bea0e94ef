//! The header of hbg, and the examples whose graphs the host builds.
//!
//! The examples run on `sdk/tests/graph_runner`: it builds the graph, and runs it once for each task,
//! with that task as late as the edges allow, so that an edge that is missing shows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::tempdir;

use super::toolchain::{Build, printed, root, sources, stem};
use super::{CHIP_A5, image, is_generated, passes, refuses};

const GRAPHS: &str = "sdk/tests/reference_style/graphs";

#[test]
fn reference_style_graphs_become_images_that_need_nothing_of_the_runtime() {
    let folder = tempdir().unwrap();
    for source in sources(GRAPHS, 8) {
        let output = folder.path().join(stem(&source)).with_extension("so");
        // Nothing is left to be found when the image is opened.
        let build = Build::orchestration("gnu++17").flags(&["-Wl,-z,defs"]).source(&source);
        build.into_file(&output).expect_clean(&stem(&source));
        let image = image::read(&output);
        assert!(image.unique.is_empty(), "{}: {:?}", source.display(), image.unique);
        // The wrappers are hidden: an image exports what its author wrote, and library templates.
        let wrapper = |name: &&String| {
            ["add_task", "add_successor", "record_tensor", "device_malloc", "make_tensor_info"]
                .iter()
                .any(|part| name.contains(part))
        };
        assert_eq!(image.exports.iter().find(wrapper), None, "{:?}", image.exports);
    }
}

#[test]
fn reference_style_graphs_compile_in_every_standard_and_for_both_chips() {
    let variants: [(&str, &[&str]); 4] =
        [("gnu++17", CHIP_A5), ("c++17", &[]), ("c++20", CHIP_A5), ("c++23", &[])];
    for (standard, chip) in variants {
        let build = Build::orchestration(standard).flags(chip).sources(&sources(GRAPHS, 8));
        build.check_only().expect_clean(&format!("{standard} {chip:?}"));
    }
}

#[test]
fn misuse_of_the_header_of_hbg_is_refused_with_a_text_that_says_why() {
    refuses("sdk/tests/must_not_compile_graph", 5, &[]);
    refuses("sdk/tests/must_not_compile_graph", 5, CHIP_A5);
}

#[test]
fn calls_and_records_of_hbg_are_as_specified() {
    let build = Build::program_of_hbg("c++17");
    passes(build.sources(&sources("sdk/tests/graph_behaviour", 3)), 50);
}

/// One case of an example, for the runner.
struct Case {
    example: &'static str,
    entry: &'static str,
    /// func_id and source; all for vector cores.
    kernels: &'static [(&'static str, &'static str)],
    /// Arguments in order, in the runner's words; files relative to the example.
    arguments: &'static [&'static [&'static str]],
    /// What the runner must count: 2 blocks of 64 KiB, or 2 KiB for each block of the cache.
    counts: &'static str,
}

const BLOCK_KERNELS: &[(&str, &str)] = &[("0", "sum_rows"), ("1", "add_up")];

const CASES: [Case; 3] = [
    Case {
        example: "hbg_vector",
        entry: "build_diamond",
        kernels: &[("0", "add"), ("1", "add_scalar"), ("2", "mul")],
        arguments: &[&["in", "inputs/a.npy"], &["in", "inputs/b.npy"], &["out", "expected/f.npy"]],
        counts: "4 tasks, 4 edges, 131072 bytes copied, ",
    },
    Case {
        example: "hbg_block_table",
        entry: "build_block_sums",
        kernels: BLOCK_KERNELS,
        arguments: &[
            &["in", "inputs/cache.npy"],
            &["in", "inputs/table.npy"],
            &["in", "inputs/lengths.npy"],
            &["out", "expected/ragged.npy"],
        ],
        // 3 + 6 + 0 + 1 + 1 blocks of 5 requests; one block belongs to two of them.
        counts: "16 tasks, 11 edges, 20480 bytes copied, ",
    },
    Case {
        example: "hbg_block_table",
        entry: "build_block_sums",
        kernels: BLOCK_KERNELS,
        arguments: &[
            &["in", "inputs/cache.npy"],
            &["ints", "2", "29", "-1", "5", "6"],
            &["ints", "1", "96", "0", "5"],
            &["out", "expected/full.npy"],
        ],
        counts: "35 tasks, 30 edges, 61440 bytes copied, ",
    },
];

impl Case {
    /// Compiles everything into `folder`; returns the runner's words before the arguments.
    fn compile(&self, folder: &Path) -> Vec<PathBuf> {
        let home = root().join("examples").join(self.example);
        let graph = folder.join(self.example).with_extension("so");
        let build = Build::orchestration("c++17").source(&home.join("orchestration.cpp"));
        build.into_file(&graph).expect_clean(self.example);
        assert_eq!(exports_of_author(&graph), [self.entry]);

        let mut words = vec![graph, self.entry.into(), "1e-5".into()];
        for (func_id, name) in self.kernels {
            let output = folder.join(format!("{}_{name}.so", self.example));
            let source = home.join("kernels").join(name).with_extension("cpp");
            let build = Build::kernel_for("c++20", "aiv").include("sdk/stub").source(&source);
            build.into_file(&output).expect_clean(name);
            assert_eq!(image::read(&output).exports, ["kernel_entry"], "{name}");
            words.extend(["aiv".into(), func_id.into(), output]);
        }
        words
    }

    /// The runner's words for arguments of this case's example.
    fn words(&self, arguments: &[&[&str]]) -> Vec<PathBuf> {
        let home = root().join("examples").join(self.example);
        let word = |word: &&str| match word.ends_with(".npy") {
            true => home.join(word),
            false => word.into(),
        };
        arguments.iter().flat_map(|argument| argument.iter().map(word)).collect()
    }
}

/// The exports that are no templates of the library.
fn exports_of_author(path: &Path) -> Vec<String> {
    image::read(path).exports.into_iter().filter(|name| !name.starts_with("_Z")).collect()
}

/// Compiles the runner into `folder`.
fn runner(folder: &Path) -> PathBuf {
    let runner = folder.join("graph_runner");
    let build = Build::program_of_hbg("c++20").sources(&sources("sdk/tests/graph_runner", 2));
    build.flags(&["-ldl"]).into_file(&runner).expect_clean("graph runner");
    runner
}

fn run(runner: &Path, image: &[PathBuf], arguments: &[PathBuf]) -> (Output, String) {
    let output = Command::new(runner).args(image).args(arguments).output().unwrap();
    let text = printed(&output);
    (output, text)
}

#[test]
fn examples_of_hbg_compute_their_expected_outputs_whichever_task_is_late() {
    let folder = tempdir().unwrap();
    let runner = runner(folder.path());
    for case in &CASES {
        let image = case.compile(folder.path());
        let (output, text) = run(&runner, &image, &case.words(case.arguments));
        assert!(output.status.success(), "{}: {text}", case.example);
        assert!(text.starts_with(case.counts), "{}: {text}", case.example);
    }

    // The runner tells right from wrong: an input is not what the output should be.
    let [case, ..] = &CASES;
    let image = case.compile(folder.path());
    let wrong: [&[&str]; 3] =
        [&["in", "inputs/a.npy"], &["in", "inputs/b.npy"], &["out", "inputs/a.npy"]];
    assert_eq!(run(&runner, &image, &case.words(&wrong)).0.status.code(), Some(1));
}

#[test]
fn an_edge_that_is_missing_shows_on_the_runner() {
    let folder = tempdir().unwrap();
    let runner = runner(folder.path());
    let [case, ..] = &CASES;
    let mut image = case.compile(folder.path());
    let home = root().join("examples").join(case.example);
    let text = fs::read_to_string(home.join("orchestration.cpp")).unwrap();
    let edges: Vec<&str> = text.lines().filter(|line| line.contains("add_successor")).collect();
    assert_eq!(edges.len(), 4);
    for (index, edge) in edges.iter().enumerate() {
        let source = folder.path().join(format!("without_{index}.cpp"));
        fs::write(&source, text.replace(edge, "")).unwrap();
        let output = source.with_extension("so");
        // Task numbers are not used any more where their edges are gone.
        let flags = ["-Wno-unused-variable"];
        let build = Build::orchestration("c++17").flags(&flags).source(&source);
        build.into_file(&output).expect_clean(edge);
        image[0] = output;
        let (output, text) = run(&runner, &image, &case.words(case.arguments));
        assert_eq!(output.status.code(), Some(1), "{edge}: {text}");
    }
}

#[test]
fn the_block_table_refuses_what_is_out_of_range_with_a_status_of_its_own() {
    let folder = tempdir().unwrap();
    let runner = runner(folder.path());
    let [_, case, _] = &CASES;
    let image = case.compile(folder.path());
    let cache = &["in", "inputs/cache.npy"][..];
    let sums = &["out", "expected/full.npy"][..];
    let rows: [(&[&str], &[&str], &str); 5] = [
        (&["ints", "2", "30", "0", "5", "6"], &["ints", "1", "1", "0", "5"], "returned 4\n"),
        (&["ints", "2", "-1", "0", "5", "6"], &["ints", "1", "1", "0", "5"], "returned 4\n"),
        (&["ints", "2", "3", "0", "5", "6"], &["ints", "1", "97", "0", "5"], "returned 3\n"),
        (&["ints", "2", "3", "0", "5", "6"], &["ints", "1", "-1", "0", "5"], "returned 3\n"),
        (&["ints", "2", "3", "0", "4", "6"], &["ints", "1", "1", "0", "5"], "returned 2\n"),
    ];
    for (table, lengths, expected) in rows {
        let words = case.words(&[cache, table, lengths, sums]);
        let (output, text) = run(&runner, &image, &words);
        assert_eq!((output.status.code(), text.as_str()), (Some(3), expected), "{table:?}");
    }
}

#[test]
fn data_of_the_examples_of_hbg_is_what_their_scripts_generate() {
    for case in &CASES {
        let files = case.arguments.iter().filter_map(|words| words.last());
        is_generated(case.example, files.copied().filter(|file| file.ends_with(".npy")));
    }
}

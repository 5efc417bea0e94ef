//! The command as a user meets it, with a device: the examples, a wrong expectation, data that is
//! missing, and what is printed for people and programs.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use program::{check, in_test_environment, program};
use serde_json::Value;

mod program;

/// The examples that come with the project.
fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples")
}

fn run(path: &Path, arguments: &[&str]) -> Output {
    command(path, arguments).output().unwrap()
}

fn command(path: &Path, arguments: &[&str]) -> Command {
    let mut command = program();
    command.arg("run").arg(path).args(arguments);
    command
}

/// A folder with a copy of `vector_add` whose manifest is changed.
fn changed(from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&examples().join("vector_add"), folder.path());
    let path = folder.path().join("callable.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from:?} is in the manifest");
    fs::write(path, text.replace(from, to)).unwrap();
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Words of the lines of a table, without the numbers and units of the times.
fn words(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn the_examples_pass_and_say_so_in_a_table() {
    for (name, tasks) in [("vector_add", "5"), ("tiled_matmul", "128"), ("mixed_cluster", "1")] {
        let (printed, message) = check(&run(&examples().join(name), &[]), 0);
        assert_eq!(message, "", "no progress bar and no warning in a pipe");
        let lines = words(&printed);
        assert_eq!(lines.len(), 2, "{printed}");
        assert_eq!(lines[0], ["case", "runtime", "tasks", "time", "per", "run", "result"]);
        let [case, runtime, count, time, unit, result] = lines[1].as_slice() else {
            panic!("{printed}")
        };
        assert_eq!((*case, *runtime, *count, *result), ("default", "trb", tasks, "ok"));
        assert!(time.parse::<f64>().unwrap() > 0.0 && ["µs", "ms", "s"].contains(unit));
    }
}

#[test]
fn the_examples_whose_graphs_the_host_builds_pass_and_name_their_runtime() {
    let cases: [(&str, &[(&str, &str)]); 2] = [
        ("hbg_vector", &[("default", "4")]),
        ("hbg_block_table", &[("ragged", "16"), ("full", "35")]),
    ];
    for (name, rows) in cases {
        let (printed, message) = check(&run(&examples().join(name), &["--rounds", "3"]), 0);
        assert_eq!(message, "");
        let lines = words(&printed);
        assert_eq!(lines.len(), 1 + rows.len(), "{printed}");
        for (line, (case, tasks)) in lines[1..].iter().zip(rows) {
            assert_eq!(line[..3], [*case, "hbg", *tasks], "{printed}");
            assert_eq!(line.last(), Some(&"ok"), "{printed}");
        }
    }
}

#[test]
fn json_has_these_fields_and_no_others() {
    let path = examples().join("vector_add").join("callable.toml");
    let arguments = ["--json", "--rounds", "20", "--block-dim", "2", "--aicpu-threads", "1"];
    let (printed, message) = check(&run(&path, &arguments), 0);
    assert_eq!((printed.lines().count(), message.as_str()), (1, ""));
    let mut object: Value = serde_json::from_str(&printed).unwrap();
    let mut times = object["run_ns"].take();
    let cache = object.as_object_mut().unwrap().remove("cache").unwrap();
    let fields: Vec<&String> = cache.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["corrupt", "evicted", "hits", "misses", "plans", "written"]);
    let expected = r#"{"case": "default", "platform": "a2a3sim", "runtime": "trb", "ok": true, "rounds": 20, "tasks": 5, "loads": 1,
                       "run_ns": null}"#;
    assert_eq!(object, serde_json::from_str::<Value>(expected).unwrap());
    let times = times.as_object_mut().unwrap();
    let [p50, p90, first] =
        ["p50", "p90", "first"].map(|name| times.remove(name).unwrap().as_u64().unwrap());
    assert!(times.is_empty(), "{times:?}");
    assert!(0 < p50 && p50 <= p90 && 0 < first);
}

#[test]
fn a_wrong_expectation_is_exit_code_1_and_names_the_element() {
    let folder = changed("name = \"vector_add\"", "name = \"vector_add_again\"");
    let file = folder.path().join("expected/f.npy");
    let mut bytes = fs::read(&file).unwrap();
    // Elements are at the end of the file: change the one at row 3, column 7.
    let at = bytes.len() - 128 * 128 * 4 + (3 * 128 + 7) * 4;
    let right = f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    bytes[at..at + 4].copy_from_slice(&1234.5_f32.to_le_bytes());
    fs::write(&file, bytes).unwrap();

    let (printed, _) = check(&run(folder.path(), &[]), 1);
    let lines = words(&printed);
    assert_eq!(lines[1].last(), Some(&"FAILED"), "{printed}");
    let line = printed.lines().nth(2).unwrap();
    let start = line.strip_prefix("default: round 1: f[3, 7] is ").unwrap();
    let (got, rest) = start.split_once(", expected 1234.5; ").unwrap();
    assert!((got.parse::<f32>().unwrap() - right).abs() < 1e-4, "{line}");
    assert!(rest.starts_with("1 of 16384 differ, "), "{line}");

    let (printed, _) = check(&run(folder.path(), &["--json", "--rounds", "3"]), 1);
    let object: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&object["ok"], &object["rounds"]), (&false.into(), &1.into()), "{printed}");
    assert_eq!(object["error"]["code"], "mismatch");
    assert!(object["error"]["message"].as_str().unwrap().contains("f[3, 7] is "), "{printed}");
}

#[test]
fn an_output_that_is_not_written_does_not_pass_for_the_one_of_the_round_before() {
    let folder = changed("aicpu_threads = 4", "aicpu_threads = 4");
    let path = folder.path().join("orchestration.cpp");
    let text = fs::read_to_string(&path).unwrap();
    let entry = text.find("void aicpu_orchestration_entry").unwrap();
    let body = entry + text[entry..].find('{').unwrap() + 1;
    let (before, after) = text.split_at(body);
    let once = "static int runs = 0; if (runs++ > 0) return;";
    fs::write(path, format!("{before}{once}{after}")).unwrap();
    check(&run(folder.path(), &["--rounds", "1"]), 0);
    let (printed, _) = check(&run(folder.path(), &["--rounds", "2"]), 1);
    assert!(printed.contains("round 2: f[0, 0] is 0.0"), "{printed}");
}

#[test]
fn a_cache_that_cannot_be_written_costs_time_only() {
    let path = examples().join("vector_add");
    let (printed, message) = check(&run(&path, &["--cache-dir", "/dev/null/cache"]), 0);
    assert!(printed.contains("ok") && message.contains("nothing is kept in"), "{message}");
}

#[test]
fn a_run_that_fails_is_exit_code_1_with_status_and_remedy() {
    // One clause of the configuration is that three arguments are passed.
    let manifest = "name = \"short\"\n[orchestration]\nsource = \"orchestration.cpp\"\n\
                    [[tensor]]\nname = \"f\"\ndirection = \"out\"\ndtype = \"float32\"\n\
                    shape = [2]\nexpected = { constant = 0 }\n";
    let folder = changed("name = \"vector_add\"", "name = \"unused\"");
    fs::write(folder.path().join("callable.toml"), manifest).unwrap();
    let (printed, _) = check(&run(folder.path(), &[]), 1);
    for part in ["FAILED", "default: round 1: ", "-202", "arg_count 1 < expected 3", "pass every"] {
        assert!(printed.contains(part), "{part:?} is missing in:\n{printed}");
    }
    let (printed, _) = check(&run(folder.path(), &["--json"]), 1);
    let object: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&object["ok"], &object["run_ns"]), (&false.into(), &Value::Null), "{printed}");
    assert_eq!(object["error"]["code"], "run");
}

#[test]
fn a_kernel_that_cannot_be_loaded_is_exit_code_1_before_the_first_case() {
    let folder = changed(
        "source = \"kernels/mul.cpp\"\nname = \"mul\"",
        "so = \"kernels/mul.cpp\"\nname = \"mul\"",
    );
    let (printed, message) = check(&run(folder.path(), &[]), 1);
    assert_eq!(printed, "");
    for part in ["cannot register the callable", "func_id 2 of callable", "not an ELF file"] {
        assert!(message.contains(part), "{part:?} is missing in:\n{message}");
    }
}

#[test]
fn settings_beyond_the_device_fail_with_its_limits() {
    let path = examples().join("vector_add");
    let (printed, _) = check(&run(&path, &["--block-dim", "25"]), 1);
    assert!(printed.contains("block_dim 25 is out of range"), "{printed}");
    let (printed, _) = check(&run(&path, &["--aicpu-threads", "5"]), 1);
    assert!(printed.contains("5 AICPU threads are out of range"), "{printed}");
    let (_, message) = check(&run(&path, &["--rounds", "0"]), 2);
    assert!(message.contains("--rounds"), "{message}");
}

#[test]
fn the_other_chip_has_its_own_limits_and_names_itself() {
    let path = examples().join("vector_add");
    let on_a5 = |arguments: &[&str]| run(&path, &[&["--platform", "a5sim"], arguments].concat());
    let all = ["--json", "--block-dim", "36", "--aicpu-threads", "7"];
    let (printed, message) = check(&on_a5(&all), 0);
    let object: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&object["platform"], &object["ok"]), (&"a5sim".into(), &true.into()), "{message}");
    let (printed, _) = check(&on_a5(&["--block-dim", "37"]), 1);
    assert!(printed.contains("block_dim 37 is out of range"), "{printed}");
    let (printed, _) = check(&on_a5(&["--aicpu-threads", "8"]), 1);
    assert!(printed.contains("8 AICPU threads are out of range"), "{printed}");
}

#[test]
fn sources_are_compiled_for_the_chip_of_the_platform() {
    // `block_idx` would clash with a built-in on a5, so headers leave it out there; its type is
    // known on both chips.
    let folder = changed("name = \"vector_add\"", "name = \"chip\"");
    let source = "#include \"intrinsic.h\"\n#include \"tensor.h\"\n\
                  extern \"C\" void kernel_entry(int64_t *args) {\n\
                  simpler::local_context(args)->block_idx = 0;\n}\n";
    fs::write(folder.path().join("kernels/mul.cpp"), source).unwrap();
    let (_, message) = check(&run(folder.path(), &["--platform", "a5sim"]), 3);
    assert!(message.contains("block_idx"), "{message}");
    // It compiles for a2a3, and after that still not for a5: one is not taken for the other.
    let (printed, _) = check(&run(folder.path(), &[]), 1);
    assert!(printed.contains("f[0, 0] is "), "{printed}");
    check(&run(folder.path(), &["--platform", "a5sim"]), 3);
}

#[test]
fn cases_run_on_the_platforms_that_they_name() {
    let cases = "[[case]]\nname = \"everywhere\"\n\
                 [[case]]\nname = \"wide\"\nplatforms = [\"a5sim\"]\nblock_dim = 36\n";
    let folder = changed("[[case]]\nname = \"default\"", &format!("{cases}[[case]]\nname = \"d\""));
    let names = |arguments: &[&str]| -> Vec<String> {
        let (printed, _) = check(&run(folder.path(), arguments), 0);
        let case = |line: &str| serde_json::from_str::<Value>(line).unwrap()["case"].to_string();
        printed.lines().map(case).collect()
    };
    assert_eq!(names(&["--json"]), ["\"everywhere\"", "\"d\""]);
    let all = ["\"everywhere\"", "\"wide\"", "\"d\""];
    assert_eq!(names(&["--json", "--platform", "a5sim"]), all);
    // A case that is asked for by name is not left out in silence.
    let asked = run(folder.path(), &["--case", "d", "--case", "wide"]);
    let (_, message) = check(&asked, 2);
    let expected = "case `wide` is not for a2a3sim; give --platform a5sim, or add a2a3sim";
    assert!(message.contains(expected), "{message}");
}

#[test]
fn variables_without_effect_are_a_warning_each_and_change_nothing() {
    let mut command = command(&examples().join("mixed_cluster"), &["--rounds", "3"]);
    command.env("PTO2_READY_QUEUE_SHARDS", "many").env("PTO2_ORCH_TO_SCHED", "1");
    let (printed, message) = check(&command.output().unwrap(), 0);
    assert!(printed.contains("ok"), "{printed}");
    for name in ["PTO2_READY_QUEUE_SHARDS=many", "PTO2_ORCH_TO_SCHED=1"] {
        assert_eq!(message.matches(name).count(), 1, "{message}");
    }
    assert_eq!(message.lines().count(), 2, "{message}");
}

#[test]
fn missing_and_broken_files_are_exit_code_2() {
    let folder = changed("file = \"inputs/a.npy\"", "file = \"inputs/nowhere.npy\"");
    let (_, message) = check(&run(folder.path(), &[]), 2);
    for part in
        ["there is no file ", "inputs/nowhere.npy", "callable.toml:30:8", "correct the path"]
    {
        assert!(message.contains(part), "{part:?} is missing in:\n{message}");
    }
    let folder = changed("dtype = \"float32\"", "dtype = \"float33\"");
    let (_, message) = check(&run(folder.path(), &[]), 2);
    for part in ["float33", "callable.toml:", "float32"] {
        assert!(message.contains(part), "{part:?} is missing in:\n{message}");
    }
    let folder = changed("shape = [128, 128]", "shape = [128, 127]");
    let (_, message) = check(&run(folder.path(), &[]), 2);
    for part in ["a.npy", "128"] {
        assert!(message.contains(part), "{part:?} is missing in:\n{message}");
    }
}

#[test]
fn cases_are_chosen_by_name_and_run_in_the_manifests_order() {
    let case = |name: &str, threads: u32| {
        format!("[[case]]\nname = \"{name}\"\nblock_dim = 2\naicpu_threads = {threads}\n")
    };
    let cases = [case("wide", 4), case("narrow", 1), case("middle", 2)].concat();
    let folder = changed("[[case]]\nname = \"default\"", &format!("{cases}[[case]]\nname = \"d\""));
    let names = |arguments: &[&str]| -> Vec<(String, u64)> {
        let (printed, _) = check(&run(folder.path(), arguments), 0);
        let line = |line: &str| {
            let object: Value = serde_json::from_str(line).unwrap();
            (object["case"].as_str().unwrap().to_owned(), object["loads"].as_u64().unwrap())
        };
        printed.lines().map(line).collect()
    };
    // One worker and one registration serve all cases.
    let all = ["wide", "narrow", "middle", "d"].map(|name| (name.to_owned(), 1));
    assert_eq!(names(&["--json"]), all);
    let two = ["--json", "--case", "middle", "--case", "wide"];
    assert_eq!(names(&two), [all[0].clone(), all[2].clone()]);
    let (printed, message) = check(&run(folder.path(), &["--case", "deep"]), 2);
    assert_eq!(printed, "");
    assert!(message.contains("there is no case `deep`; the manifest has wide, narrow, middle, d"));
}

#[test]
fn a_terminal_gets_colour_unless_the_user_wants_none() {
    // `script` runs a command on a terminal of its own.
    let on_terminal = |no_color: &str| {
        let program = env!("CARGO_BIN_EXE_host-runner");
        let line = format!("{program} run {}", examples().join("mixed_cluster").display());
        let mut command = in_test_environment(Command::new("script"));
        command.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm");
        if !no_color.is_empty() {
            command.env("NO_COLOR", no_color);
        }
        command.output().ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (Some(coloured), Some(plain)) = (on_terminal(""), on_terminal("1")) else {
        eprintln!("there is no `script` here: nothing checked");
        return;
    };
    let last = |text: &str| text.lines().last().unwrap_or_default().to_owned();
    assert!(last(&coloured).contains("\u{1b}[38;5;10mok"), "{coloured:?}");
    assert!(last(&plain).trim_end().ends_with(" ok"), "{plain:?}");
    assert!(!plain.contains("[38;5;"), "{plain:?}");
}

#[test]
fn a_chip_without_the_vendors_libraries_is_refused_at_once_with_what_is_missing() {
    for platform in ["a2a3", "a5"] {
        let mut command = command(&examples().join("vector_add"), &["--platform", platform]);
        let empty = tempfile::tempdir().unwrap();
        command.env("ASCEND_HOME_PATH", empty.path()).env_remove("LD_LIBRARY_PATH");
        let (_, message) = check(&command.output().unwrap(), 1);
        for part in ["libascendcl.so", "CANN toolkit", "ASCEND_HOME_PATH", "a2a3sim"] {
            assert!(message.contains(part), "{part:?} is not in: {message}");
        }
    }
    let (_, message) = check(&run(&examples().join("vector_add"), &["--platform", "a9"]), 2);
    assert!(message.contains("a2a3sim or a5sim or a2a3proc or a5proc or a2a3 or a5"), "{message}");
}

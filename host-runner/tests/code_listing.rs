//! The command with gdb and perf in mind: what they need is in the program and on the disk.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::fs;
use std::path::Path;
use std::process::Output;

use goblin::elf::Elf;
use program::{check, program};

mod program;

fn run(arguments: &[&str]) -> Output {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples");
    program().arg("run").arg(examples.join("vector_add")).args(arguments).output().unwrap()
}

#[test]
fn the_program_has_what_gdb_looks_for() {
    let program = fs::read(env!("CARGO_BIN_EXE_host-runner")).unwrap();
    let elf = Elf::parse(&program).unwrap();
    let symbol = |name: &str| {
        let mut found =
            elf.syms.iter().filter(|each| elf.strtab.get_at(each.st_name) == Some(name));
        let symbol = found.next().unwrap_or_else(|| panic!("{name} was left out of the program"));
        assert!(found.next().is_none(), "{name} is there once");
        symbol
    };
    assert!(symbol("__jit_debug_register_code").is_function());
    assert_eq!(symbol("__jit_debug_descriptor").st_size, 24);
}

#[test]
fn a_run_for_gdb_and_perf_leaves_the_functions_in_the_map() {
    let folder = tempfile::tempdir().unwrap();
    let option = format!("--perf-map={}", folder.path().display());
    check(&run(&["--gdb", &option, "--rounds", "3"]), 0);
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap()).collect();
    assert_eq!(files.len(), 1);
    let name = files[0].file_name().into_string().unwrap();
    let process = name.strip_prefix("perf-").and_then(|rest| rest.strip_suffix(".map")).unwrap();
    assert!(process.parse::<u32>().is_ok(), "{name}");
    let text = fs::read_to_string(files[0].path()).unwrap();
    let entry = " aicpu_orchestration_entry [vector_add]";
    assert_eq!(text.lines().filter(|line| line.ends_with(entry)).count(), 1, "{text}");
}

#[test]
fn the_log_names_the_build_of_what_comes_and_goes() {
    let (_, log) = check(&run(&["-v"]), 0);
    let label = |start: &str| {
        let line = log.lines().find(|line| line.contains(start));
        let line = line.unwrap_or_else(|| panic!("{start:?} is missing in:\n{log}"));
        let (_, rest) = line.split_once("(build-id ").unwrap_or_else(|| panic!("{line}"));
        rest.split(')').next().unwrap().to_owned()
    };
    let first = label("registered callable 0 \"vector_add\" ");
    assert!(first.len() == 40 && first.chars().all(|digit| digit.is_ascii_hexdigit()), "{first}");
    assert_eq!(label(" loaded callable 0 "), first);
    assert_eq!(label(" unloaded callable 0 "), first);
}

#[test]
fn a_map_that_cannot_be_written_is_an_error_before_the_first_case() {
    let (printed, message) = check(&run(&["--perf-map=/nonexistent/folder"]), 1);
    assert_eq!(printed, "");
    for part in ["cannot open the platform", "for perf; name a folder that can be written"] {
        assert!(message.contains(part), "{part:?} is missing in:\n{message}");
    }
}

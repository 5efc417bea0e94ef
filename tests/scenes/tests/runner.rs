//! The runner itself: a scene that fails, crashes, hangs or needs too much memory is a row that
//! says so, the others go on, and the program ends with exit code 1.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::process::{Command, Output};

/// The program, without back-traces: they are longer than what is kept of a message.
fn scenes(arguments: &[&str]) -> (Output, Vec<String>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scenes"));
    let output = command.args(arguments).env_remove("RUST_BACKTRACE").output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let lines = text.lines().map(str::to_owned).collect();
    (output, lines)
}

/// Runs one broken scene on one chip and number of threads. Returns what is said below the table.
fn problem(scene: &str) -> String {
    let limit = if scene == "broken_hang" { "2" } else { "120" };
    let (output, lines) = scenes(&[
        "--broken",
        "--scene",
        scene,
        "--chip",
        "a2a3",
        "--threads",
        "2",
        "--limit",
        limit,
    ]);
    assert_eq!(output.status.code(), Some(1), "{lines:?}");
    let [_, row, problem @ .., verdict] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(row.starts_with(scene) && row.ends_with("FAILED"), "{row}");
    assert_eq!(verdict, "0 passed, 1 failed");
    problem.join("\n").strip_prefix(&format!("{scene} on a2a3: ")).unwrap().to_owned()
}

#[test]
fn a_wrong_element_is_reported_with_its_setting() {
    let text = problem("broken_value");
    assert!(text.starts_with("8, 2 threads, block_dim 24: out[0] is 7, expected 8"), "{text}");
    assert!(problem("broken_tasks").contains("1 tasks were submitted, expected 2"));
    assert!(problem("broken_fault").contains("the run succeeded, expected a fault"));
}

#[test]
fn a_crash_is_reported_with_signal_and_setting() {
    let text = problem("broken_crash");
    assert!(text.starts_with("null, 2 threads, block_dim 24: killed by signal 11"), "{text}");
    let text = problem("broken_panic");
    assert!(text.contains("exit code 101") && text.contains("this scene gives up"), "{text}");
}

#[test]
fn a_hang_is_killed_and_reported() {
    let text = problem("broken_hang");
    assert!(text.contains("own, 2 threads") && text.contains("no end within 2s"), "{text}");
}

#[test]
fn too_much_memory_is_reported() {
    assert!(problem("broken_memory").contains("MiB were resident at the peak; 256 MiB are"));
}

#[test]
fn a_good_scene_passes_next_to_others_and_is_written_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.json");
    let json = ["--json", file.to_str().unwrap()];
    let arguments = [&["--scene", "vector", "--chip", "a2a3"], &json[..]].concat();
    let (output, lines) = scenes(&arguments);
    assert!(output.status.success(), "{lines:?}");
    // What has the name in its own: `hbg_vector`, too.
    assert_eq!(lines.last().unwrap(), "2 passed, 0 failed");
    assert!(!lines.concat().contains('\x1b'), "no colours in a pipe");
    let text = std::fs::read_to_string(file).unwrap();
    for part in ["\"scene\": \"vector\"", "\"threads\": \"1-4\"", "\"ok\": true", "\"tasks\": 80"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

#[test]
fn what_cannot_run_is_an_error() {
    for arguments in [
        &["--scene", "no such scene"][..],
        &["--chip", "a2a3", "--threads", "5"],
        &["--chip", "b7"],
    ] {
        let (output, lines) = scenes(arguments);
        assert!(!output.status.success() && lines.is_empty(), "{arguments:?}: {lines:?}");
    }
}

//! The command as a user meets it, up to the point where a device is needed: usage, manifests and
//! builds that fail, with their exit codes, messages and JSON.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::fs;
use std::path::Path;
use std::process::Output;

use program::program;

mod program;

/// A folder with a callable that does nothing, and with a cache of its own.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = "name = \"demo\"\n[orchestration]\nsource = \"o.cpp\"\n[[case]]\nname = \"small\"\n";
    fs::write(folder.path().join("callable.toml"), text).unwrap();
    fs::write(folder.path().join("o.cpp"), "int broken( {\n").unwrap();
    folder
}

/// Runs the command in `folder`, with the SDK and cache that lie there.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    program()
        .current_dir(folder)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env_remove("CXX")
        .args(arguments)
        .output()
        .unwrap()
}

/// Checks exit code and that the message has these parts; returns the standard output.
#[track_caller]
fn check(output: &Output, code: i32, parts: &[&str]) -> String {
    let (printed, message) = program::check(output, code);
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in:\n{message}");
    }
    printed
}

/// A small SDK below `folder`.
fn with_sdk(folder: &Path) {
    for part in ["sdk/include", "sdk/stub", "sdk/src"] {
        fs::create_dir_all(folder.join(part)).unwrap();
    }
    fs::write(folder.join("sdk/src/orchestration_support.cpp"), "").unwrap();
}

#[test]
fn help_shows_examples_and_exit_codes() {
    let folder = folder();
    let output = run(folder.path(), &["run", "--help"]);
    let text = check(&output, 0, &[]);
    for part in [
        "Exit codes:",
        "host-runner run examples/vector_add",
        "--block-dim",
        "a5sim",
        "NO_COLOR",
        "hbg",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let folder = folder();
    check(&run(folder.path(), &["walk"]), 2, &["unrecognized subcommand 'walk'"]);
    let platform = run(folder.path(), &["run", ".", "--platform", "h100"]);
    check(&platform, 2, &["h100", "use a2a3sim or a5sim"]);
    let case = run(folder.path(), &["run", ".", "--case", "large"]);
    check(&case, 2, &["there is no case `large`; the manifest has small"]);
    let nowhere = run(folder.path(), &["run", "nowhere"]);
    check(&nowhere, 2, &["cannot read nowhere", "give a folder that holds callable.toml"]);
}

#[test]
fn a_bad_manifest_is_exit_code_2_and_quoted() {
    let folder = folder();
    fs::write(folder.path().join("callable.toml"), "name = \"demo\"\ncolour = 1\n").unwrap();
    let output = run(folder.path(), &["run", "."]);
    check(&output, 2, &["unknown field `colour`", "callable.toml:2:1", "colour = 1"]);

    let json = check(&run(folder.path(), &["run", ".", "--json"]), 2, &["unknown field"]);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&value["ok"], &value["error"]["code"]), (&false.into(), &"manifest".into()));
}

#[test]
fn a_source_that_does_not_compile_is_exit_code_3_with_its_first_error() {
    let folder = folder();
    with_sdk(folder.path());
    let output = run(folder.path(), &["run", ".", "--sdk", "sdk"]);
    let parts = ["compiling ", "o.cpp failed", "o.cpp:1:", "error:", "-std=gnu++17"];
    check(&output, 3, &parts);

    let json = run(folder.path(), &["run", ".", "--sdk", "sdk", "--json", "--no-cache"]);
    let value: serde_json::Value = serde_json::from_str(&check(&json, 3, &[])).unwrap();
    assert_eq!((&value["case"], &value["error"]["code"]), (&().into(), &"build".into()));
}

/// Makes the callable of `folder` one of hbg, with this in its `[orchestration]`.
fn for_hbg(folder: &Path, lines: &str) {
    let text = format!(
        "name = \"demo\"\nruntime = \"hbg\"\n[orchestration]\nsource = \"o.cpp\"\n{lines}\n"
    );
    fs::write(folder.join("callable.toml"), text).unwrap();
}

#[test]
fn an_entry_that_hbg_misses_and_a_config_that_it_has_not_are_exit_code_2_and_quoted() {
    let folder = folder();
    for_hbg(folder.path(), "");
    let parts = ["hbg has no default entry", "with `entry`", "callable.toml:3:1"];
    check(&run(folder.path(), &["run", "."]), 2, &parts);
    for_hbg(folder.path(), "entry = \"graph\"\nconfig = \"counts\"");
    let parts = ["hbg calls no configuration function; remove `config`", "callable.toml:6:10"];
    check(&run(folder.path(), &["run", "."]), 2, &parts);
}

#[test]
fn a_graph_source_that_does_not_compile_is_exit_code_3_with_its_first_error() {
    let folder = folder();
    for_hbg(folder.path(), "entry = \"graph\"");
    let source = "#include \"orchestration_api.h\"\n\
                  extern \"C\" int graph(OrchestrationRuntime *rt, const ChipStorageTaskArgs &) {\n    \
                  return rt_submit_aiv_task(0, rt);\n}\n";
    fs::write(folder.path().join("o.cpp"), source).unwrap();
    // With the built-in SDK: its header is found, and what is wrong is the source alone.
    let output = run(folder.path(), &["run", ".", "--no-cache"]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    check(&output, 3, &["o.cpp failed", "o.cpp:3:", "rt_submit_aiv_task", "-std=gnu++17"]);
    assert!(!message.contains("orchestration_support.cpp"), "{message}");

    // One source cannot be for both runtimes.
    let both = "#include \"orchestration_api.h\"\n#include \"pto_orchestration_api.h\"\n";
    fs::write(folder.path().join("o.cpp"), both).unwrap();
    let output = run(folder.path(), &["run", ".", "--no-cache"]);
    check(&output, 3, &["a source is for one runtime"]);
}

#[test]
fn a_missing_compiler_is_exit_code_3_and_says_what_to_do() {
    let folder = folder();
    with_sdk(folder.path());
    let output = run(folder.path(), &["run", ".", "--sdk", "sdk", "--cxx", "/nonexistent/g++"]);
    check(&output, 3, &["cannot start the C++ compiler `/nonexistent/g++`", "--cxx"]);
    let mut bare = program();
    let output = bare.current_dir(folder.path()).env_clear().args(["run", "."]).output().unwrap();
    check(&output, 3, &["no C++ compiler found", "apt install g++"]);
}

//! The program as a user starts it, in an environment that is the same on every machine, and what it
//! leaves: exit code and text.

use std::path::Path;
use std::process::{Command, Output};

/// The program, without arguments yet.
pub(crate) fn program() -> Command {
    in_test_environment(Command::new(env!("CARGO_BIN_EXE_host-runner")))
}

/// Gives a command a cache that all tests of this folder share, and none of the variables that say
/// where sources are or how output looks.
pub(crate) fn in_test_environment(mut command: Command) -> Command {
    command
        .env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("run-command"))
        .env_remove("PTO_ISA_ROOT")
        .env_remove("NO_COLOR");
    command
}

/// Checks the exit code; returns what was printed on both streams.
#[track_caller]
pub(crate) fn check(output: &Output, code: i32) -> (String, String) {
    let [printed, message] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert_eq!(output.status.code(), Some(code), "{printed}\n{message}");
    assert!(!printed.contains('\u{1b}') && !message.contains('\u{1b}'), "no colour in a pipe");
    (printed, message)
}

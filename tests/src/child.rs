//! Tests in a process of their own: this test program once more, for one test.
//!
//! ```text
//!  test, in its program ── start ──▶ the program with `--exact TEST` ── is_child ──▶ what is tested
//! ```
//!
//! What a process holds can only be looked at where no other test runs beside, and what a process
//! leaves behind only after its end.

use std::process::{Child, Command, Output, Stdio};

/// Names the test for which a process was started.
const VARIABLE: &str = "TESTS_CHILD_OF";

/// Whether this process was started for this test; the name is the one that the test program knows,
/// such as `module::test`.
pub fn is_child(test: &str) -> bool {
    std::env::var_os(VARIABLE).is_some_and(|started_for| started_for == test)
}

/// A process for a test, which finds [`is_child`] there.
pub fn command(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the path of the test program"));
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command.env(VARIABLE, test).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts a process for a test.
pub fn start(test: &str) -> Child {
    command(test).stdin(Stdio::piped()).spawn().expect("the test program starts")
}

/// What a process printed, once it has ended and its test has passed.
#[track_caller]
pub fn passed(test: &str, output: Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let did_pass = output.status.success() && text.contains("1 passed");
    // Its closing line must not be taken for one of the program that started it.
    let marked = |text: &str| text.lines().map(|line| format!("| {line}\n")).collect::<String>();
    let (text, errors) = (marked(&text), marked(&String::from_utf8_lossy(&output.stderr)));
    assert!(did_pass, "`{test}` in its own process, {}: {text}\n{errors}", output.status);
    text
}

/// Does `act` in a process of its own: here, if this is one for the test, and otherwise there.
#[track_caller]
pub fn alone(test: &str, act: impl FnOnce()) {
    if is_child(test) {
        act();
    } else {
        let output = command(test).stdin(Stdio::null()).output().expect("the test program starts");
        print!("{}", passed(test, output));
    }
}

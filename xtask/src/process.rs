//! Runs other programs: from the root of the workspace, shown before they run, with a typed end.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Root of the workspace: the one that this program was built in, or a copy that the environment names.
pub(crate) fn root() -> PathBuf {
    if let Some(copy) = std::env::var_os("XTASK_ROOT") {
        return PathBuf::from(copy);
    }
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

/// The cargo that runs this program, set to run from the root.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(root());
    // `cargo run` sets these for this package; the packages built from here are others.
    for variable in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME"] {
        command.env_remove(variable);
    }
    command
}

/// The command as a person would type it, without the folder of the program.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| value.map(|value| (name, value)))
        .map(|(name, value)| format!("{}={:?}", name.display(), value));
    let arguments = command.get_args().map(|argument| argument.display().to_string());
    variables.chain([program.display().to_string()]).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Runs a command to its end.
///
/// # Errors
///
/// The command cannot be started, or ends with anything but success.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    eprintln!("$ {}", shown(command));
    run_quietly(command)
}

/// The same for a command that nobody needs to see as long as it works.
///
/// # Errors
///
/// As for [`run`].
pub(crate) fn run_quietly(command: &mut Command) -> Result<()> {
    let text = shown(command);
    let status = command.status().with_context(|| format!("cannot start `{text}`"))?;
    if !status.success() {
        bail!("`{text}` ended with {status}");
    }
    Ok(())
}

/// Runs a command and returns what it wrote to its standard output.
///
/// # Errors
///
/// As for [`run`], and output that is no UTF-8.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let text = shown(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{text}`"))?;
    if !output.status.success() {
        bail!("`{text}` ended with {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{text}` printed no UTF-8"))
}

/// Runs a command, passes its standard output on, and shows each line to `see` as well. Returns
/// whether the command succeeded.
///
/// # Errors
///
/// The command cannot be started, or its output cannot be read.
pub(crate) fn run_and_watch(command: &mut Command, mut see: impl FnMut(&str)) -> Result<bool> {
    let text = shown(command);
    eprintln!("$ {text}");
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start `{text}`"))?;
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).context("cannot read the output")? > 0 {
            let shown = String::from_utf8_lossy(&line);
            print!("{shown}");
            see(shown.trim_end());
            line.clear();
        }
    }
    Ok(child.wait().with_context(|| format!("cannot wait for `{text}`"))?.success())
}

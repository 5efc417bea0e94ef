//! For which machine the daemon and its images are, and where the built files are.
//!
//! Whoever asks for a file gets one that is up to date: it is built on demand, once in a process, by the
//! project's own commands. Where this machine lacks what that takes, the answer says so, and a test is
//! skipped.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::message::Chip;

/// The exit code of the project's commands where this machine lacks something.
const NOT_HERE: i32 = 3;

/// Where the daemon runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Machine {
    /// This one.
    Native,
    /// An aarch64 one, under an emulator on this one.
    Emulated,
}

/// This machine lacks what something takes; the text says what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotHere(pub String);

/// What is built for a machine, by its arguments for `cargo xtask`, or why it is not.
type Built = HashMap<Vec<String>, Result<(), NotHere>>;

impl Machine {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Native, Self::Emulated];

    /// The name of its processor.
    #[must_use]
    pub const fn processor(self) -> &'static str {
        match self {
            Self::Native => std::env::consts::ARCH,
            Self::Emulated => "aarch64",
        }
    }

    /// The compiler's name of it.
    #[must_use]
    pub fn triple(self) -> String {
        format!("{}-unknown-linux-gnu", self.processor())
    }

    /// The C++ compiler that makes code for it.
    #[must_use]
    pub fn cxx(self) -> Option<&'static str> {
        match self {
            Self::Native => None,
            Self::Emulated => Some("aarch64-linux-gnu-g++"),
        }
    }

    /// What runs programs of it, with its arguments; empty where they run by themselves.
    #[must_use]
    pub const fn emulator(self) -> &'static [&'static str] {
        match self {
            Self::Native => &[],
            Self::Emulated => &["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
        }
    }

    /// The daemon's program for it, up to date.
    ///
    /// # Errors
    ///
    /// [`NotHere`].
    ///
    /// # Panics
    ///
    /// It does not build.
    pub fn daemon(self) -> Result<PathBuf, NotHere> {
        built(&["build-stand-in", "--target", &self.triple()])?;
        Ok(aicpu_folder().join(self.processor()).join("stand-in-daemon"))
    }

    /// The program of a device in a process of its own for it, up to date.
    ///
    /// # Errors
    ///
    /// [`NotHere`].
    ///
    /// # Panics
    ///
    /// It does not build.
    pub fn device_program(self) -> Result<PathBuf, NotHere> {
        built(&["build-device", "--target", &self.triple()])?;
        Ok(target_folder().join("device").join(self.processor()).join("process-device"))
    }

    /// The AICPU image for a chip and a kind of host (`onboard`, `sim`), up to date.
    ///
    /// # Errors
    ///
    /// [`NotHere`].
    ///
    /// # Panics
    ///
    /// It does not build.
    pub fn image(self, chip: Chip, abi: &str) -> Result<PathBuf, NotHere> {
        built(&["build-aicpu", "--target", &self.triple()])?;
        let folder = aicpu_folder().join(self.processor()).join(chip.name());
        Ok(folder.join(abi).join("libaicpu.so"))
    }
}

/// Runs one of the project's commands, unless this process has.
fn built(arguments: &[&str]) -> Result<(), NotHere> {
    static DONE: LazyLock<Mutex<Built>> = LazyLock::new(Mutex::default);
    let key: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    // Locked meanwhile: whoever wants the same waits for it, and cargo would have the others wait anyway.
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    done.entry(key).or_insert_with_key(|arguments| run(arguments)).clone()
}

/// Runs one of the project's commands.
fn run(arguments: &[String]) -> Result<(), NotHere> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.arg("xtask").args(arguments).current_dir(repository());
    let Output { status, stderr, .. } = command.output().expect("cargo starts");
    let text = String::from_utf8_lossy(&stderr);
    if status.code() == Some(NOT_HERE) {
        let last = text.lines().last().unwrap_or_default();
        return Err(NotHere(last.trim_start_matches("error: ").to_owned()));
    }
    assert!(status.success(), "`cargo xtask {}` ended with {status}:\n{text}", arguments.join(" "));
    Ok(())
}

/// The folder of the repository.
fn repository() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_path_buf()
}

/// Where the project's commands put what is for the AICPU.
fn aicpu_folder() -> PathBuf {
    target_folder().join("aicpu")
}

/// The folder of everything that is built.
fn target_folder() -> PathBuf {
    let named = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    repository().join(named.unwrap_or_else(|| PathBuf::from("target")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_needs_no_emulator_and_the_other_one_is_aarch64() {
        assert!(Machine::Native.emulator().is_empty());
        assert_eq!(Machine::Native.cxx(), None);
        assert_eq!(Machine::Emulated.triple(), "aarch64-unknown-linux-gnu");
    }

    #[test]
    fn the_repository_has_the_workspace() {
        assert!(repository().join("aicpu-executor/firmware/Cargo.toml").is_file());
    }
}

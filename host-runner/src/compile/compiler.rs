//! Finds the C++ compiler and learns what it is.
//!
//! The order is: a name that the user gave, else the newest numbered `g++-N` on the search path,
//! else the newest `clang++`, else `g++`, else `c++`. The search path comes in as a value, since
//! only the command reads the environment.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use aicpu_executor::loader::Machine;

use super::error::CompileError;
use super::toolchain_key::NamedProgram;
use crate::device::process::machine_name;

/// A C++ compiler that has answered `--version`.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// The program and the words before its own arguments (`ccache g++`).
    words: Vec<OsString>,
    family: Family,
    version: String,
}

/// Which set of flags a compiler understands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Family {
    /// GCC's g++.
    Gnu,
    /// LLVM's clang++, Apple's included.
    Clang,
}

impl Compiler {
    /// Takes the compiler that the user named: a path, a name, or a command such as `ccache g++`.
    ///
    /// # Errors
    ///
    /// [`CompileError::CompilerStart`] if it does not start, [`CompileError::CompilerVersion`] if
    /// it does not answer `--version`.
    pub fn named(command: &str) -> Result<Self, CompileError> {
        Self::probe(words_of(command))
    }

    /// Takes the newest compiler in the folders of `search_path` (the value of PATH).
    ///
    /// # Errors
    ///
    /// [`CompileError::NoCompiler`] if there is none, else as [`Compiler::named`].
    pub fn newest_on(search_path: &OsStr) -> Result<Self, CompileError> {
        let program = newest_program(search_path).ok_or(CompileError::NoCompiler)?;
        Self::probe(vec![program.into_os_string()])
    }

    /// Takes the compiler for another machine, under the name that Debian gives it: `aarch64-linux-gnu-g++`.
    ///
    /// # Errors
    ///
    /// As [`Compiler::named`].
    pub fn for_machine(machine: Machine) -> Result<Self, CompileError> {
        Self::named(&format!("{}-linux-gnu-g++", machine_name(machine)))
    }

    /// The command as it is started, for messages.
    #[must_use]
    pub fn name(&self) -> String {
        let words: Vec<_> = self.words.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    /// The first line of what it says to `--version`.
    #[must_use]
    pub fn version_line(&self) -> &str {
        self.version.lines().next().unwrap_or_default()
    }

    /// The set of flags it understands.
    pub(crate) fn family(&self) -> Family {
        self.family
    }

    /// What tells this compiler from another one: its command and all of `--version`.
    pub(crate) fn identity(&self) -> String {
        format!("{}\n{}", self.name(), self.version)
    }

    /// The program and its leading words.
    pub(crate) fn words(&self) -> &[OsString] {
        &self.words
    }

    /// Starts a command line of this compiler. Messages are asked for in English, because their
    /// error lines are looked for by word.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).env("LC_ALL", "C");
        command
    }

    /// Runs `--version` and sorts the compiler into its family.
    fn probe(words: Vec<OsString>) -> Result<Self, CompileError> {
        if words.is_empty() {
            return Err(CompileError::NoCompiler);
        }
        let mut compiler = Self { words, family: Family::Gnu, version: String::new() };
        let program = compiler.name();
        let output = match compiler.command().arg("--version").output() {
            Ok(output) => output,
            Err(source) => return Err(CompileError::CompilerStart { program, source }),
        };
        if !output.status.success() {
            let status = output.status.to_string();
            return Err(CompileError::CompilerVersion { program, status });
        }
        compiler.version = String::from_utf8_lossy(&output.stdout).into_owned();
        if compiler.version.contains("clang") {
            compiler.family = Family::Clang;
        }
        Ok(compiler)
    }
}

/// The words of a command; the path of a file is one word.
fn words_of(command: &str) -> Vec<OsString> {
    if Path::new(command).is_file() {
        return vec![OsString::from(command)];
    }
    command.split_whitespace().map(OsString::from).collect()
}

/// The command of the compiler that is meant, and its file; `None` where there is no such file, or
/// the command has several words.
pub(super) fn find_program(command: Option<&str>, search_path: &OsStr) -> Option<NamedProgram> {
    let Some(command) = command else {
        let program = newest_program(search_path)?;
        return Some((program.clone().into_os_string(), program));
    };
    let words = words_of(command);
    let [word] = &words[..] else { return None };
    // As the system looks for it: a word without a folder is on the search path.
    let program = if word.as_encoded_bytes().contains(&b'/') {
        PathBuf::from(word)
    } else {
        let folders: Vec<PathBuf> = std::env::split_paths(search_path).collect();
        first(&folders, &word.to_string_lossy())?
    };
    Some((word.clone(), program))
}

/// The best compiler in the folders of `search_path`.
fn newest_program(search_path: &OsStr) -> Option<PathBuf> {
    let folders: Vec<PathBuf> = std::env::split_paths(search_path).collect();
    newest_numbered(&folders, "g++-")
        .or_else(|| newest_numbered(&folders, "clang++-"))
        .or_else(|| ["clang++", "g++", "c++"].iter().find_map(|name| first(&folders, name)))
}

/// The program `prefix` + N with the largest N; of equals the one found first.
fn newest_numbered(folders: &[PathBuf], prefix: &str) -> Option<PathBuf> {
    let mut best: Option<(u32, PathBuf)> = None;
    for entry in folders.iter().filter_map(|folder| folder.read_dir().ok()).flatten().flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(prefix)?.parse::<u32>().ok());
        let Some(number) = number else { continue };
        if best.as_ref().is_none_or(|(most, _)| number > *most) && is_program(&entry.path()) {
            best = Some((number, entry.path()));
        }
    }
    best.map(|(_, path)| path)
}

/// The program `name` in the first folder that has it.
fn first(folders: &[PathBuf], name: &str) -> Option<PathBuf> {
    folders.iter().map(|folder| folder.join(name)).find(|path| is_program(path))
}

/// Tells whether a file may be run; a dangling link or a folder may not.
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A folder with programs of these names, none of which does anything.
    fn folder_with(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::write(&path, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        folder
    }

    fn chosen(names: &[&str]) -> Option<String> {
        let folder = folder_with(names);
        let program = newest_program(folder.path().as_os_str())?;
        Some(program.file_name().unwrap().to_string_lossy().into_owned())
    }

    #[test]
    fn the_largest_number_wins_as_a_number() {
        assert_eq!(chosen(&["g++-9", "g++-12", "g++", "g++-x"]).as_deref(), Some("g++-12"));
    }

    #[test]
    fn falls_back_from_numbered_to_plain_names() {
        assert_eq!(chosen(&["clang++-15", "clang++", "g++"]).as_deref(), Some("clang++-15"));
        assert_eq!(chosen(&["c++", "g++"]).as_deref(), Some("g++"));
        assert_eq!(chosen(&["c++"]).as_deref(), Some("c++"));
    }

    #[test]
    fn a_file_that_cannot_be_run_is_not_a_compiler() {
        let folder = folder_with(&["g++-11"]);
        fs::write(folder.path().join("g++-12"), "").unwrap();
        fs::create_dir(folder.path().join("g++-13")).unwrap();
        let program = newest_program(folder.path().as_os_str()).unwrap();
        assert_eq!(program, folder.path().join("g++-11"));
    }

    #[test]
    fn an_empty_search_path_says_what_to_install() {
        let error = Compiler::newest_on(OsStr::new("/nonexistent")).unwrap_err();
        assert!(matches!(error, CompileError::NoCompiler));
        assert!(error.to_string().contains("apt install g++"));
        assert!(matches!(Compiler::named("  "), Err(CompileError::NoCompiler)));
    }

    #[test]
    fn a_named_program_that_is_missing_is_named_in_the_error() {
        let error = Compiler::named("/nonexistent/g++").unwrap_err();
        assert!(matches!(&error, CompileError::CompilerStart { program, .. }
            if program == "/nonexistent/g++"));
    }

    #[test]
    fn a_program_that_fails_on_version_is_refused() {
        let error = Compiler::named("false").unwrap_err();
        assert!(matches!(error, CompileError::CompilerVersion { .. }));
    }

    #[test]
    fn the_command_may_hold_leading_words_and_tells_its_family() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fake");
        fs::write(&path, "#!/bin/sh\necho \"Debian clang version 15.0.6 $*\"\n").unwrap();
        let compiler = Compiler::named(&format!("sh {}", path.display())).unwrap();
        assert_eq!(compiler.family(), Family::Clang);
        assert_eq!(compiler.version_line(), "Debian clang version 15.0.6 --version");
    }
}

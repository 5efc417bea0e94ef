//! The house rules that no compiler checks; `cargo xtask tidy`.
//!
//! A rule sees one file at a time and reports places. Rust files are read through [`source`], which
//! tells code from comments and strings, so that a rule is not fooled by either.
//!
//! | rule | for |
//! |---|---|
//! | opens with `//!` | `.rs` |
//! | at most 400 lines | `.rs`, C++ |
//! | functions of at most 70 lines | `.rs` |
//! | no `test_` names, no `ignore`, no `should_panic` without a text | `.rs` |
//! | comment tags from the set | `.rs` |
//! | no absolute paths of a machine | all |
//! | no links but to known documentation | all |

mod paths;
mod rust;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process::root;

/// Most lines of a file, tests included.
const FILE_LINES: usize = 400;

/// Folders that are not looked into; fuzzers fill the last two.
const SKIPPED_FOLDERS: [&str; 4] = [".git", "target", "corpus", "artifacts"];

/// Files of texts that are not ours: licences, and what git (in a linked work tree) and cargo write.
const SKIPPED_FILES: [&str; 4] = [".git", "Cargo.lock", "LICENSE-APACHE", "LICENSE-MIT"];

/// Endings of C++ sources and headers.
const CPP_ENDINGS: [&str; 6] = ["c", "cc", "cpp", "h", "hpp", "inl"];

/// A broken rule: where, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    /// Counted from 1.
    line: usize,
    text: String,
}

impl Finding {
    fn new(line: usize, text: impl Into<String>) -> Self {
        Self { line, text: text.into() }
    }
}

/// Checks all files of the workspace.
///
/// # Errors
///
/// A file cannot be read, or the number of findings, which are printed.
pub(crate) fn run() -> Result<()> {
    let root = root();
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    let mut findings = 0;
    for path in &files {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        // What is no text is data of a test or an example.
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let name = path.strip_prefix(&root).unwrap_or(path);
        for Finding { line, text } in check_file(name, &text) {
            println!("{}:{line}: {text}", name.display());
            findings += 1;
        }
    }
    if findings > 0 {
        bail!("{findings} places break a house rule");
    }
    println!("{} files are tidy", files.len());
    Ok(())
}

/// Collects all files below a folder.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        if kind.is_dir() && !SKIPPED_FOLDERS.iter().any(|&skipped| name == *skipped) {
            collect(&entry.path(), files)?;
        } else if kind.is_file() && !SKIPPED_FILES.iter().any(|&skipped| name == *skipped) {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Applies every rule that is for this kind of file.
fn check_file(name: &Path, text: &str) -> Vec<Finding> {
    let mut findings = paths::check(name, text);
    let ending = name.extension().and_then(|ending| ending.to_str()).unwrap_or("");
    let is_rust = ending == "rs";
    if is_rust {
        findings.extend(rust::check(text));
    }
    let lines = text.lines().count();
    if (is_rust || CPP_ENDINGS.contains(&ending)) && lines > FILE_LINES {
        findings.push(Finding::new(
            lines,
            format!("the file has {lines} lines; {FILE_LINES} are allowed: split it"),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_have_400_lines_and_no_more() {
        let text = |lines: usize| format!("//! Header.\n{}", "\n".repeat(lines - 1));
        for (name, lines, expected) in [
            ("a.rs", 400, 0),
            ("a.rs", 401, 1),
            ("a.cpp", 400, 0),
            ("a.hpp", 401, 1),
            ("a.md", 401, 0),
        ] {
            let findings = check_file(Path::new(name), &text(lines));
            assert_eq!(findings.len(), expected, "{name} of {lines} lines: {findings:?}");
        }
    }

    #[test]
    fn this_workspace_is_tidy() {
        run().unwrap();
    }
}

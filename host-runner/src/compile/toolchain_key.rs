//! What tells one toolchain from another without starting its compiler.
//!
//! The compile cache asks the compiler for its version, which costs milliseconds. Here its file
//! tells it: path, inode, size and times. That holds for a compiler only; what passes the work on
//! (a script, `ccache`, any command of several words) may pass it to another one tomorrow, and has
//! no such key. An update of a compiler that leaves its driver as it is, is not noticed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use protocol::ChipName;

use super::absolute;
use super::compiler::find_program;
use super::digest::{Digest, DigestFields};
use super::sdk::Sdk;
use crate::source_file::FileStamp;

/// What is known of a toolchain before it is opened.
#[derive(Clone, Copy, Debug)]
pub struct ToolchainFacts<'a> {
    /// The command that the user named, else the newest compiler on the search path is meant.
    pub compiler: Option<&'a str>,
    /// Where programs are looked for (the value of PATH).
    pub search_path: &'a OsStr,
    /// The chip that is compiled for.
    pub chip: ChipName,
    /// An SDK folder; `None` is the built-in one.
    pub sdk: Option<&'a Path>,
    /// Where the built-in one is unpacked.
    pub cache_dir: &'a Path,
    /// Root of the real pto-isa headers.
    pub isa_root: Option<&'a Path>,
}

/// What tells one toolchain from another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ToolchainKey(Digest);

impl ToolchainKey {
    /// The key of a toolchain; `None` where its compiler cannot be told by its file.
    #[must_use]
    pub fn of(facts: &ToolchainFacts<'_>) -> Option<Self> {
        let ToolchainFacts { compiler, search_path, chip, sdk, cache_dir, isa_root } = *facts;
        let (named, program) = find_program(compiler, search_path)?;
        let program = std::fs::canonicalize(program).ok()?;
        let stamp = stamp_of_compiler(&program)?;
        let folder = match sdk {
            Some(folder) => folder.to_owned(),
            None => Sdk::embedded_folder(&absolute(cache_dir).ok()?),
        };
        let isa_root = isa_root.map(absolute).transpose().ok()?.unwrap_or_default();
        let mut fields = DigestFields::default()
            .field(b"toolchain 1")
            .field(named.as_encoded_bytes())
            .field(program.as_os_str().as_encoded_bytes())
            .field(chip.name().as_bytes())
            .field(absolute(&folder).ok()?.as_os_str().as_encoded_bytes())
            .field(isa_root.as_os_str().as_encoded_bytes());
        for part in stamp.identity {
            fields = fields.field(&part.to_le_bytes());
        }
        for part in stamp.times {
            fields = fields.field(&part.to_le_bytes());
        }
        Some(Self(fields.finish()))
    }

    /// The bytes of the key.
    pub(crate) fn bytes(&self) -> &[u8; Digest::BYTES] {
        self.0.bytes()
    }
}

/// The stamp of a program that is a compiler itself.
fn stamp_of_compiler(program: &Path) -> Option<FileStamp> {
    let name = program.file_name()?.to_str()?;
    let is_named_so = ["g++", "c++", "gcc", "clang"].iter().any(|part| name.contains(part));
    let mut file = File::open(program).ok()?;
    let mut magic = [0; 4];
    file.read_exact(&mut magic).ok()?;
    let is_itself = is_named_so && !name.contains("ccache") && magic == *b"\x7fELF";
    is_itself.then(|| file.metadata().ok().as_ref().map(FileStamp::of))?
}

/// The command of a compiler and the file that it names.
pub(super) type NamedProgram = (OsString, PathBuf);

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The key with a compiler of this name and these bytes on the search path.
    fn key(folder: &Path, name: &str, bytes: &[u8]) -> Option<ToolchainKey> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        ToolchainKey::of(&facts(folder, Some(name)))
    }

    fn facts<'a>(folder: &'a Path, compiler: Option<&'a str>) -> ToolchainFacts<'a> {
        ToolchainFacts {
            compiler,
            search_path: folder.as_os_str(),
            chip: ChipName::A2a3,
            sdk: Some(Path::new("/sdk")),
            cache_dir: folder,
            isa_root: None,
        }
    }

    const ELF: &[u8] = b"\x7fELF and more";

    #[test]
    fn a_compiler_is_told_by_its_file_and_what_passes_work_on_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let one = key(folder.path(), "g++-12", ELF).unwrap();
        let again = ToolchainKey::of(&facts(folder.path(), Some("g++-12")));
        assert_eq!(again, Some(one));
        // The newest one is the same file, under its path.
        assert!(ToolchainKey::of(&facts(folder.path(), None)).is_some());
        let other = key(folder.path(), "g++-12", b"\x7fELF, updated").unwrap();
        assert_ne!(other, one);
        assert_eq!(key(folder.path(), "g++-13", b"#!/bin/sh\nexec g++-12 \"$@\"\n"), None);
        assert_eq!(key(folder.path(), "ccache-g++", ELF), None);
        assert_eq!(key(folder.path(), "distcc", ELF), None);
        assert_eq!(ToolchainKey::of(&facts(folder.path(), Some("ccache g++-12"))), None);
        assert_eq!(ToolchainKey::of(&facts(folder.path(), Some("absent-g++"))), None);
        std::os::unix::fs::symlink(folder.path().join("distcc"), folder.path().join("g++"))
            .unwrap();
        assert_eq!(ToolchainKey::of(&facts(folder.path(), Some("g++"))), None);
    }

    #[test]
    fn every_fact_changes_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let one = key(folder.path(), "g++", ELF);
        assert!(one.is_some());
        let base = facts(folder.path(), Some("g++"));
        let path = folder.path().join("g++");
        let others = [
            ToolchainFacts { chip: ChipName::A5, ..base },
            ToolchainFacts { sdk: Some(Path::new("/other")), ..base },
            ToolchainFacts { sdk: None, ..base },
            ToolchainFacts { isa_root: Some(Path::new("/isa")), ..base },
            ToolchainFacts { compiler: path.to_str(), ..base },
        ];
        let mut keys: Vec<_> = others.iter().map(ToolchainKey::of).collect();
        keys.push(one);
        for (index, key) in keys.iter().enumerate() {
            assert!(key.is_some() && !keys[..index].contains(key), "{index}");
        }
    }
}

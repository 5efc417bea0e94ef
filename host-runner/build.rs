//! Generates the table of SDK files that the binary carries, and tells one version of the program
//! from another.
//!
//! The headers, the kernel stub and the support translation unit live in `../sdk`. An installed
//! `host-runner` must compile user code anywhere, so their bytes are embedded. This script walks
//! the three folders and writes one `(relative path, bytes)` entry per file, in sorted order, to
//! `OUT_DIR/sdk_files.rs`; `compile/sdk.rs` includes it and unpacks it on first use.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The folders below `../sdk` that user code is compiled against.
const FOLDERS: [&str; 3] = ["include", "stub", "src"];

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    let workspace = manifest.parent().expect("a workspace member has a parent");
    let sdk = workspace.join("sdk");

    let mut files = Vec::new();
    for folder in FOLDERS {
        let root = sdk.join(folder);
        println!("cargo::rerun-if-changed={}", root.display());
        if root.is_dir() {
            collect(&root, &mut files)?;
        }
    }
    files.sort();

    let mut table = String::from("&[\n");
    for file in &files {
        let name = relative(&sdk, file);
        writeln!(table, "    ({name:?}, include_bytes!({:?})),", file.display().to_string())
            .expect("writing to a String cannot fail");
    }
    table.push_str("]\n");
    fs::write(out.join("sdk_files.rs"), table)?;
    println!("cargo::rustc-env=DECIDING_SOURCES={:016x}", deciding_sources(workspace)?);
    Ok(())
}

/// What decides which images the host lets pass, how sources are compiled and how images are packed;
/// below the folder of the workspace.
const DECIDING: [&str; 10] = [
    "aicpu-executor/src/loader",
    "aicpu-executor/src/loader.rs",
    "host-runner/src/build",
    "host-runner/src/build.rs",
    "host-runner/src/callable",
    "host-runner/src/compile",
    "host-runner/src/compile.rs",
    "host-runner/src/device/image.rs",
    "host-runner/src/device/orchestration_check.rs",
    "protocol/src",
];

/// A digest of the sources that decide what the image cache holds: what another version of this
/// program kept must not be taken for what this one would make. Nobody has to remember to raise a
/// number.
fn deciding_sources(workspace: &Path) -> io::Result<u64> {
    let mut files = Vec::new();
    for name in DECIDING {
        let path = workspace.join(name);
        println!("cargo::rerun-if-changed={}", path.display());
        if path.is_dir() {
            collect(&path, &mut files)?;
        } else {
            files.push(path);
        }
    }
    files.sort();
    // Keyed with zeros, so that it is the same in every build.
    let mut digest = DefaultHasher::new();
    for file in files {
        fs::read(file)?.hash(&mut digest);
    }
    Ok(digest.finish())
}

/// Adds every file below `folder`; hidden files are editors' leftovers and stay out.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// The path of `file` below `root`, with `/` between its parts on every system.
fn relative(root: &Path, file: &Path) -> String {
    let below = file.strip_prefix(root).expect("collected below the root");
    below.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

//! `cargo xtask dist`: the C libraries as they are shipped.
//!
//! ```text
//!  {a2a3,a5}/sim/{trb,hbg}/libhost_runtime.so    one for each variant, from its package
//!  lib/libsimpler_log.so, libcpu_sim_context.so  shared by all variants
//!  include/*.h                                   for C and C++
//! ```
//!
//! A variant is a package of a few lines, so what all of them are made of is compiled once.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use goblin::elf::Elf;

use crate::process::{cargo, root, run};

/// One library: its package, where it goes, and the header that documents it.
struct Library {
    package: &'static str,
    to: &'static str,
    header: &'static str,
}

/// The header of every variant.
const HOST_RUNTIME: &str = "host_runtime.h";

const LIBRARIES: [Library; 6] = [
    Library {
        package: "host-runtime-a2a3-trb",
        to: "a2a3/sim/trb/libhost_runtime.so",
        header: HOST_RUNTIME,
    },
    Library {
        package: "host-runtime-a2a3-hbg",
        to: "a2a3/sim/hbg/libhost_runtime.so",
        header: HOST_RUNTIME,
    },
    Library {
        package: "host-runtime-a5-trb",
        to: "a5/sim/trb/libhost_runtime.so",
        header: HOST_RUNTIME,
    },
    Library {
        package: "host-runtime-a5-hbg",
        to: "a5/sim/hbg/libhost_runtime.so",
        header: HOST_RUNTIME,
    },
    Library { package: "simpler-log", to: "lib/libsimpler_log.so", header: "simpler_log.h" },
    Library {
        package: "cpu-sim-context",
        to: "lib/libcpu_sim_context.so",
        header: "cpu_sim_context.h",
    },
];

/// Folder of the headers in the repository.
const HEADERS: &str = "host-runner/capi/include";

/// Builds everything in release and copies it to `out`, which is made if it is not there.
///
/// # Errors
///
/// A build failed, a file cannot be copied, or a library exports what its header does not declare.
pub(crate) fn build(out: &Path) -> Result<()> {
    let packages = LIBRARIES.iter().flat_map(|library| ["-p", library.package]);
    run(&mut cargo(&["build", "--release"].into_iter().chain(packages).collect::<Vec<_>>()))?;
    let out = root().join(out);
    let mut made = Vec::new();
    for library in &LIBRARIES {
        let built = built(library.package)?;
        check_exports(&built, library.header)?;
        made.push(copy(&built, &out.join(library.to))?);
    }
    let headers: BTreeSet<_> = LIBRARIES.iter().map(|library| library.header).collect();
    for header in headers {
        let from = root().join(HEADERS).join(header);
        made.push(copy(&from, &out.join("include").join(header))?);
    }
    println!("{}", out.display());
    for (path, bytes) in made {
        let name = path.strip_prefix(&out).unwrap_or(&path).display().to_string();
        println!("  {name:<34} {:>8.1} KiB", bytes as f64 / 1024.0);
    }
    Ok(())
}

/// Builds into the target folder, for the check of the same name.
///
/// # Errors
///
/// As for [`build`].
pub(crate) fn check() -> Result<()> {
    build(Path::new("target/dist"))
}

/// Where cargo has put the library of a package.
fn built(package: &str) -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let name = format!("lib{}.so", package.replace('-', "_"));
    let path = root().join(target).join("release").join(name);
    ensure!(path.is_file(), "cargo has built no {}", path.display());
    Ok(path)
}

/// Copies a file through a new one, so that a process which has the old one open keeps it whole.
/// Returns where it is and its size in bytes.
fn copy(from: &Path, to: &Path) -> Result<(PathBuf, u64)> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let fresh = to.with_extension("new");
    let copied = fs::copy(from, &fresh).and_then(|bytes| fs::rename(&fresh, to).map(|()| bytes));
    let bytes = copied.with_context(|| format!("cannot write {}", to.display()))?;
    Ok((to.to_owned(), bytes))
}

/// Checks that a library exports the functions of its header, and nothing else.
fn check_exports(library: &Path, header: &str) -> Result<()> {
    let bytes = fs::read(library).with_context(|| format!("cannot read {}", library.display()))?;
    let elf = Elf::parse(&bytes).with_context(|| format!("{} is no ELF", library.display()))?;
    let own = elf.dynsyms.iter().filter(|symbol| !symbol.is_import());
    let exported: BTreeSet<&str> = own
        .filter_map(|symbol| elf.dynstrtab.get_at(symbol.st_name))
        .filter(|name| !name.is_empty())
        .collect();
    let text = fs::read_to_string(root().join(HEADERS).join(header))
        .with_context(|| format!("cannot read {header}"))?;
    let declared = declared(&text);
    ensure!(
        exported.iter().eq(declared.iter()),
        "{} exports {exported:?}, and {header} declares {declared:?}",
        library.display()
    );
    Ok(())
}

/// The functions that a header of ours declares: the last word before the first parenthesis of a
/// declaration, which starts at the beginning of a line.
fn declared(header: &str) -> BTreeSet<&str> {
    let starts = |line: &&str| line.starts_with(|first: char| first.is_ascii_alphabetic());
    header
        .lines()
        .filter(starts)
        .filter(|line| !line.starts_with("typedef") && !line.starts_with("extern"))
        .filter_map(|line| line.split_once('('))
        .filter_map(|(before, _)| before.rsplit([' ', '*']).next())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_told_from_types_comments_and_macros() {
        let header = "/* f(x) is\n * g(x)\n */\n#define H(x) 1\ntypedef void (*sink)(int);\n\
                      extern \"C\" {\nint a(void);\nvoid *b(int c,\n        int d(int));\n";
        assert_eq!(declared(header), BTreeSet::from(["a", "b"]));
    }

    #[test]
    fn the_header_of_the_variants_has_the_functions_that_clients_look_up_and_ours() {
        let text = fs::read_to_string(root().join(HEADERS).join(HOST_RUNTIME)).unwrap();
        let names = declared(&text);
        let is_ours = |name: &&&str| name.starts_with("simpler_rs_v1_");
        assert_eq!(names.iter().filter(|name| !is_ours(name)).count(), 23, "{names:?}");
    }
}

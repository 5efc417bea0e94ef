//! The command-line flags of the three kinds of compile step.
//!
//! Orchestrations are compiled as in spec trb §1.1, for either runtime, kernels as in spec trb §7.5. Kept apart from
//! the steps so that the sets can be compared with the specification at a glance.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use protocol::{ChipName, CoreType};

use super::compiler::Family;

/// What a source is compiled into.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CodeKind {
    /// An orchestration of trb: runs on the AICPU, submits tasks.
    Orchestration,
    /// An orchestration of hbg: runs in the host's process, builds a graph.
    HostOrchestration,
    /// A kernel for one type of core.
    Kernel(CoreType),
}

/// Flags that orchestrations of both runtimes and the support translation unit share.
fn orchestration_base(family: Family) -> Vec<OsString> {
    let mut flags = words(&["-fPIC", "-O3", "-g", "-std=gnu++17"]);
    if family == Family::Gnu {
        // A unique symbol pins the image in its process, so unloading would not unload.
        flags.push("-fno-gnu-unique".into());
    }
    flags
}

/// Flags of the support object that every orchestration of trb is linked with.
pub(super) fn support_flags(family: Family, sdk: &Path) -> Vec<OsString> {
    let mut flags = words(&["-c"]);
    flags.extend(orchestration_base(family));
    include(&mut flags, &sdk.join("include"));
    flags
}

/// Flags of an orchestration of either runtime; the user's include folders come before the SDK's.
pub(super) fn orchestration_flags(
    family: Family,
    sdk: &Path,
    include_dirs: &[PathBuf],
) -> Vec<OsString> {
    let mut flags = words(&["-shared"]);
    flags.extend(orchestration_base(family));
    // The Build-ID identifies the image (spec callable §1.10).
    flags.push("-Wl,--build-id=sha1".into());
    for folder in include_dirs {
        include(&mut flags, folder);
    }
    include(&mut flags, &sdk.join("include"));
    flags
}

/// Flags of a kernel; with `isa` (the root of the real headers) the stub stays out.
pub(super) fn kernel_flags(
    family: Family,
    core_type: CoreType,
    sdk: &Path,
    isa: Option<&Path>,
    include_dirs: &[PathBuf],
) -> Vec<OsString> {
    let mut flags = words(&["-shared", "-O2", "-fPIC"]);
    flags.push(if isa.is_some() { "-std=c++23" } else { "-std=c++20" }.into());
    // GCC has no warning about redefined macros to silence; clang has no -fpermissive.
    flags.push(match family {
        Family::Gnu => "-fpermissive".into(),
        Family::Clang => "-Wno-macro-redefined".into(),
    });
    flags.extend(words(&["-Wno-ignored-attributes", "-D__CPU_SIM", "-DPTO_CPU_MAX_THREADS=1"]));
    flags.push("-DNDEBUG".into());
    flags.push(match core_type {
        CoreType::Aic => "-D__DAV_CUBE__".into(),
        CoreType::Aiv => "-D__DAV_VEC__".into(),
    });
    for folder in include_dirs {
        include(&mut flags, folder);
    }
    if let Some(isa) = isa {
        include(&mut flags, &isa.join("include"));
        include(&mut flags, &isa.join("include/pto"));
    }
    include(&mut flags, &sdk.join("include"));
    if isa.is_none() {
        include(&mut flags, &sdk.join("stub"));
    }
    flags
}

/// Tells the headers which chip a source is compiled for, where it matters to them (spec trb §11).
///
/// Part of all three kinds of step: one image must not mix what the headers say for two chips.
pub(super) fn chip_flags(chip: ChipName) -> Vec<OsString> {
    match chip {
        ChipName::A2a3 => Vec::new(),
        ChipName::A5 => words(&["-DSIMPLER_CHIP_A5"]),
    }
}

/// Adds `-I folder` as two words, so that any folder name works.
fn include(flags: &mut Vec<OsString>, folder: &Path) {
    flags.push("-I".into());
    flags.push(folder.into());
}

/// Turns fixed flags into owned words.
fn words(flags: &[&str]) -> Vec<OsString> {
    flags.iter().map(OsString::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(flags: &[OsString]) -> String {
        flags.iter().map(|flag| flag.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn orchestration_flags_are_those_of_the_specification() {
        let flags = orchestration_flags(Family::Gnu, Path::new("/sdk"), &["/mine".into()]);
        assert_eq!(
            joined(&flags),
            "-shared -fPIC -O3 -g -std=gnu++17 -fno-gnu-unique -Wl,--build-id=sha1 -I /mine -I \
             /sdk/include"
        );
        assert!(
            !joined(&orchestration_flags(Family::Clang, Path::new("/sdk"), &[]))
                .contains("gnu-unique")
        );
    }

    #[test]
    fn a_kernel_sees_the_stub_unless_the_real_headers_are_given() {
        let plain = kernel_flags(Family::Gnu, CoreType::Aiv, Path::new("/sdk"), None, &[]);
        assert_eq!(
            joined(&plain),
            "-shared -O2 -fPIC -std=c++20 -fpermissive -Wno-ignored-attributes -D__CPU_SIM \
             -DPTO_CPU_MAX_THREADS=1 -DNDEBUG -D__DAV_VEC__ -I /sdk/include -I /sdk/stub"
        );
        let isa = Some(Path::new("/isa"));
        let real = kernel_flags(Family::Clang, CoreType::Aic, Path::new("/sdk"), isa, &[]);
        assert_eq!(
            joined(&real),
            "-shared -O2 -fPIC -std=c++23 -Wno-macro-redefined -Wno-ignored-attributes \
             -D__CPU_SIM -DPTO_CPU_MAX_THREADS=1 -DNDEBUG -D__DAV_CUBE__ -I /isa/include -I \
             /isa/include/pto -I /sdk/include"
        );
    }
}

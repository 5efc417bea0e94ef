//! Calls the C++ compiler on sources of the SDK.
//!
//! Apart from the tests, so that the flags a user is told to use (`sdk/README.md`) stand in one
//! place: a [`Build`] starts from one of the flag sets, gets sources and options, and ends in a
//! [`Finished`] with the compiler's verdict and text. The compiler is `CXX`, or `g++`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Warnings are errors: the headers promise to be free of them.
const STRICT: &[&str] = &["-Wall", "-Wextra", "-Werror"];

/// How an orchestration becomes a shared object (spec trb §1.1).
const ORCHESTRATION: &[&str] =
    &["-shared", "-fPIC", "-O3", "-g", "-fno-gnu-unique", "-Wl,--build-id=sha1"];

/// How a kernel becomes a shared object for the simulator (spec trb §7.5).
const KERNEL: &[&str] =
    &["-shared", "-O2", "-fPIC", "-D__CPU_SIM", "-DPTO_CPU_MAX_THREADS=1", "-DNDEBUG"];

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The C++ sources of a folder below the root, in order.
///
/// Fails the test if there are fewer than `least`: an empty folder proves nothing.
pub(crate) fn sources(folder: &str, least: usize) -> Vec<PathBuf> {
    let folder = root().join(folder);
    let mut found: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the folder is part of the repository")
        .map(|entry| entry.expect("readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cpp"))
        .collect();
    found.sort();
    assert!(found.len() >= least, "{}: {} sources", folder.display(), found.len());
    found
}

/// The part of a path that names a source in messages.
pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().expect("a source has a name").to_string_lossy().into_owned()
}

/// One call of the compiler.
pub(crate) struct Build {
    arguments: Vec<OsString>,
}

/// A call that has ended.
pub(crate) struct Finished {
    /// Whether the compiler accepted the sources.
    pub(crate) accepted: bool,
    /// What it printed.
    pub(crate) text: String,
}

impl Build {
    fn new(standard: &str, flags: &[&str]) -> Self {
        let build = Self { arguments: vec![format!("-std={standard}").into()] };
        build.flags(flags).flags(STRICT).include("sdk/include")
    }

    /// A program of the test's own that plays the runtime of trb.
    pub(crate) fn program(standard: &str) -> Self {
        Self::program_of_hbg(standard).include("sdk/stub").source(&support())
    }

    /// A program of the test's own that plays the runtime of hbg: there is nothing to link.
    pub(crate) fn program_of_hbg(standard: &str) -> Self {
        Self::new(standard, &["-O1", "-g"])
    }

    /// An orchestration of hbg, or one of trb without the support unit; nothing is missing at link
    /// time in a `.so`.
    pub(crate) fn orchestration(standard: &str) -> Self {
        Self::new(standard, ORCHESTRATION)
    }

    /// A kernel for the core type in its file name (`…_aic.cpp`, `…_aiv.cpp`).
    pub(crate) fn kernel(standard: &str, source: &Path) -> Self {
        let core = if stem(source).ends_with("_aic") { "aic" } else { "aiv" };
        Self::kernel_for(standard, core).source(source)
    }

    /// A kernel for core type `aic` or `aiv`.
    pub(crate) fn kernel_for(standard: &str, core: &str) -> Self {
        let core = if core == "aic" { "-D__DAV_CUBE__" } else { "-D__DAV_VEC__" };
        Self::new(standard, KERNEL).flags(&[core])
    }

    /// Adds options as they are.
    pub(crate) fn flags(mut self, flags: &[&str]) -> Self {
        self.arguments.extend(flags.iter().map(OsString::from));
        self
    }

    /// Adds a folder below the root to the include path.
    pub(crate) fn include(mut self, folder: &str) -> Self {
        self.arguments.extend(["-I".into(), root().join(folder).into_os_string()]);
        self
    }

    /// Adds a source file.
    pub(crate) fn source(mut self, path: &Path) -> Self {
        self.arguments.push(path.into());
        self
    }

    /// Adds source files.
    pub(crate) fn sources(self, paths: &[PathBuf]) -> Self {
        paths.iter().fold(self, |build, path| build.source(path))
    }

    /// Compiles and links into `output`.
    pub(crate) fn into_file(mut self, output: &Path) -> Finished {
        self.arguments.extend(["-o".into(), output.into()]);
        self.run()
    }

    /// Checks the sources and writes nothing.
    pub(crate) fn check_only(self) -> Finished {
        self.flags(&["-fsyntax-only"]).run()
    }

    fn run(self) -> Finished {
        let compiler = std::env::var_os("CXX").unwrap_or_else(|| "g++".into());
        let output = Command::new(&compiler).args(&self.arguments).output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", compiler.display()));
        Finished { accepted: output.status.success(), text: printed(&output) }
    }
}

impl Finished {
    /// Fails the test, with the compiler's text, unless the sources were accepted in silence.
    #[track_caller]
    pub(crate) fn expect_clean(self, what: &str) {
        assert!(self.accepted && self.text.is_empty(), "{what}:\n{}", self.text);
    }
}

/// The support unit that is linked into every orchestration of trb.
pub(crate) fn support() -> PathBuf {
    root().join("sdk/src/orchestration_support.cpp")
}

/// Both streams of a finished process, as text.
pub(crate) fn printed(output: &Output) -> String {
    let streams = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&streams).into_owned()
}

//! Why a build of user code failed, and what to do about it.
//!
//! One enum for the whole of `compile`, because its callers treat every variant alike (exit code
//! 3); the texts are what differs.

use std::io;
use std::path::PathBuf;

/// A failed build of an orchestration or a kernel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// No C++ compiler is on the search path.
    #[error(
        "no C++ compiler found: looked for g++-N, clang++, g++ and c++ on the PATH; install one \
         (Debian, Ubuntu: `apt install g++`; Fedora: `dnf install gcc-c++`) or name one with \
         `--cxx PATH`"
    )]
    NoCompiler,
    /// The chosen compiler cannot be started.
    #[error(
        "cannot start the C++ compiler `{program}`; check the path given with `--cxx` or in CXX, \
         or leave both out to use the newest one on the PATH"
    )]
    CompilerStart {
        /// The program as it was named.
        program: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The compiler did not answer `--version`.
    #[error(
        "`{program} --version` failed ({status}), so it cannot be used as the C++ compiler; name \
         another one with `--cxx PATH`"
    )]
    CompilerVersion {
        /// The program as it was named.
        program: String,
        /// How it ended.
        status: String,
    },
    /// The compiler rejected a source.
    #[error(
        "compiling {} failed ({status})\n{first_errors}\ncorrect the source, then run the same \
         command again; to repeat only this step:\n  {command}",
        source_file.display()
    )]
    Rejected {
        /// The source that was compiled.
        source_file: PathBuf,
        /// How the compiler ended.
        status: String,
        /// The first error lines that the compiler printed.
        first_errors: String,
        /// All that the compiler printed.
        output: String,
        /// A shell command that repeats the step.
        command: String,
    },
    /// A source, header, SDK or output file cannot be read.
    #[error("cannot read {}; check that it exists and may be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The compiler ended well but left no output.
    #[error(
        "the compiler reported success for {} but wrote no output; to see what it does:\n  \
         {command}",
        source_file.display()
    )]
    NoOutput {
        /// The source that was compiled.
        source_file: PathBuf,
        /// A shell command that repeats the step.
        command: String,
    },
    /// The cache or a temporary folder cannot be written.
    #[error(
        "cannot write {}; choose another folder with `--cache-dir DIR`, or build without a cache \
         with `--no-cache`",
        path.display()
    )]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The SDK folder lacks a part.
    #[error(
        "the SDK folder {} has no {missing}; give a folder that holds include/, stub/ and src/ \
         with `--sdk DIR`, or leave the option out to use the built-in SDK",
        folder.display()
    )]
    SdkIncomplete {
        /// The folder.
        folder: PathBuf,
        /// What is absent, relative to the folder.
        missing: &'static str,
    },
    /// This build of the program carries no SDK.
    #[error("this build of host-runner carries no SDK files; give their folder with `--sdk DIR`")]
    SdkNotEmbedded,
    /// The folder of the real kernel headers lacks a part.
    #[error(
        "PTO_ISA_ROOT is {}, which has no {missing}; point it at a checkout of the pto-isa \
         headers, or unset it to compile with the built-in stub",
        folder.display()
    )]
    IsaIncomplete {
        /// The folder.
        folder: PathBuf,
        /// What is absent, relative to the folder.
        missing: &'static str,
    },
}

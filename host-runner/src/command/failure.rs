//! Why the command could not do what it was asked to: exit code, code for programs, report for people.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use host_runner::build::BuildError;
use host_runner::case_data::CaseDataError;
use host_runner::manifest::ManifestError;
use host_runner::platform_name::{PlatformName, names};
use miette::{Diagnostic, IntoDiagnostic as _, NamedSource, Report, SourceSpan};

use super::with_causes;

/// A failure before the first case, or of a file that cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The manifest cannot be used.
    #[error(transparent)]
    Manifest(ManifestError),
    /// The user asks for a case that is not there.
    #[error("there is no case `{name}`; the manifest has {}", known.join(", "))]
    NoSuchCase {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A case that is asked for, or every case there is, is for other platforms.
    #[error(
        "case `{name}` is not for {platform}; give --platform {}, or add {platform} to its platforms",
        names(platforms, " or ")
    )]
    OtherPlatform {
        /// The first of them.
        name: String,
        /// What it is for.
        platforms: Vec<PlatformName>,
        /// What was asked for.
        platform: PlatformName,
    },
    /// Options that do not go together.
    #[error("{0}")]
    Usage(&'static str),
    /// The file to inspect cannot be read.
    #[error("cannot read {}; give a shared object", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Inputs or expected outputs cannot be made.
    #[error(transparent)]
    Data(Box<CaseDataError>),
    /// The callable cannot be built.
    #[error(transparent)]
    Build(BuildError),
    /// The platform cannot be opened.
    #[error("cannot open the platform")]
    Open(#[source] Box<dyn Error + Send + Sync>),
    /// The callable cannot be registered.
    #[error("cannot register the callable")]
    Register(#[source] Box<dyn Error + Send + Sync>),
    /// A temporary folder or the standard output cannot be written.
    #[error("cannot write the output or a temporary folder; check the space on the disk")]
    Output(#[source] io::Error),
}

/// A manifest error with the place in the file.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("{message}")]
struct ManifestReport {
    message: String,
    #[source_code]
    text: NamedSource<String>,
    #[label("here")]
    span: SourceSpan,
}

impl Failure {
    /// The exit code, as `run --help` lists them.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Open(_) | Self::Register(_) | Self::Output(_) => 1,
            Self::Manifest(_)
            | Self::NoSuchCase { .. }
            | Self::OtherPlatform { .. }
            | Self::Usage(_)
            | Self::Read { .. }
            | Self::Data(_) => 2,
            Self::Build(_) => 3,
        })
    }

    /// The word that stands for it in `--json`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Manifest(_) => "manifest",
            Self::NoSuchCase { .. } | Self::OtherPlatform { .. } | Self::Usage(_) => "usage",
            Self::Read { .. } => "read",
            Self::Data(_) => "data",
            Self::Build(_) => "build",
            Self::Open(_) => "open",
            Self::Register(_) => "register",
            Self::Output(_) => "output",
        }
    }

    /// The message with its causes.
    pub(crate) fn message(&self) -> String {
        with_causes(self)
    }

    /// The report that a person reads.
    pub(crate) fn into_report(self) -> Report {
        let (path, span, text, problem) = match self {
            Self::Manifest(ManifestError::Invalid { path, span, text, problem, .. }) => {
                (path, span, text, problem)
            }
            other => return Err::<(), _>(other).into_diagnostic().expect_err("it is an error"),
        };
        Report::new(ManifestReport {
            message: problem.to_string(),
            text: NamedSource::new(path.display().to_string(), text.to_string())
                .with_language("toml"),
            span: span.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use host_runner::manifest::Manifest;

    use super::*;

    #[test]
    fn a_manifest_error_quotes_the_line() {
        let text = "name = \"x\"\ncolour = 1\n";
        let error = Manifest::parse(Path::new("my/callable.toml"), text).unwrap_err();
        let report = Failure::Manifest(error).into_report();
        let shown = format!("{report:?}");
        for part in ["unknown field `colour`", "callable.toml:2:1", "colour = 1"] {
            assert!(shown.contains(part), "{part:?} in {shown}");
        }
    }

    #[test]
    fn every_failure_has_its_exit_code_and_keeps_its_causes() {
        let source = || io::Error::other("disk on fire");
        let read = BuildError::ReadImage { path: "k.so".into(), source: source() };
        let read = Failure::Build(read);
        assert_eq!((read.exit_code(), read.code()), (ExitCode::from(3), "build"));
        assert!(read.message().ends_with("may be read: disk on fire"));
        let known = vec!["a".to_owned(), "b".to_owned()];
        let usage = Failure::NoSuchCase { name: "c".into(), known };
        assert_eq!((usage.exit_code(), usage.code()), (ExitCode::from(2), "usage"));
        assert_eq!(usage.message(), "there is no case `c`; the manifest has a, b");
        let open = Failure::Open(Box::new(source()));
        assert_eq!((open.exit_code(), open.code()), (ExitCode::from(1), "open"));
    }
}

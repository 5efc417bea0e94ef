//! What can be wrong with a manifest, where, and what to do about it.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use crate::case_data::ValueError;
use crate::number::Number;
use crate::runtime_name::UnknownRuntime;
use protocol::{CHIP_MAX_SCALAR_ARGS, CHIP_MAX_TENSOR_ARGS, MAX_TENSOR_DIMS, SYMBOL_NAME_BYTES};

/// A manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The file cannot be read.
    #[error(
        "cannot read {}; give a folder that holds callable.toml, or the file itself",
        path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The file says something that does not hold.
    #[error("{}:{position}: {problem}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line and column.
        position: Position,
        /// The same place as bytes of the text.
        span: Range<usize>,
        /// The whole text, to quote from.
        text: Arc<str>,
        /// What is wrong there.
        problem: Box<ManifestProblem>,
    },
}

/// A place in a text, both numbers from 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Position {
    /// The place of a byte of `text`; past its end counts as its end.
    pub(super) fn of(text: &str, byte: usize) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What is wrong at a place in a manifest.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestProblem {
    /// Not TOML, an unknown or missing key, or a value of another type.
    #[error("{0}")]
    Syntax(String),
    /// A runtime that there is not.
    #[error(transparent)]
    Runtime(UnknownRuntime),
    /// An orchestration of hbg without the name of its entry.
    #[error("hbg has no default entry; name the function that builds the graph with `entry`")]
    NoEntryOfHbg,
    /// An orchestration of hbg with a configuration function.
    #[error("hbg calls no configuration function; remove `config`, or set `runtime` to \"trb\"")]
    ConfigOfHbg,
    /// A name that is empty.
    #[error("the name is empty; give it at least one character")]
    EmptyName,
    /// A name that is taken.
    #[error("the {what} name `{name}` occurs twice; give each {what} its own")]
    DuplicateName {
        /// What is named.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A case that is for no platform.
    #[error("the list of platforms is empty; name one, or leave the key out for all")]
    NoPlatform,
    /// Code from two places, or from none.
    #[error("give exactly one of `source` (compiled) and `so` (used as it is)")]
    SourceOrSo,
    /// A symbol name that does not fit the callable's record.
    #[error(
        "a symbol name has 1 to {max} bytes and no NUL, this one has {bytes}; rename the symbol",
        max = SYMBOL_NAME_BYTES - 1
    )]
    Symbol {
        /// Its length.
        bytes: usize,
    },
    /// A file that is not there.
    #[error("there is no file {}; correct the path, which is relative to the manifest", .0.display())]
    MissingFile(PathBuf),
    /// A folder that is not there.
    #[error(
        "there is no folder {}; correct the path, which is relative to the manifest",
        .0.display()
    )]
    MissingFolder(PathBuf),
    /// A func id that is out of range.
    #[error(transparent)]
    FuncId(#[from] protocol::IdOutOfRange),
    /// A func id that is taken.
    #[error("func id {0} is used by two kernels; give each kernel its own")]
    DuplicateFuncId(i64),
    /// A word that is none of those known.
    #[error("`{word}` is no {what}; use one of {known}")]
    UnknownWord {
        /// What is asked for.
        what: &'static str,
        /// The word found.
        word: String,
        /// The words known.
        known: String,
    },
    /// A shape that no tensor can have.
    #[error(
        "a shape has 1 to {max} dimensions of at least 1 element (at most 2^32 - 1), this one is {0:?}",
        max = MAX_TENSOR_DIMS
    )]
    Shape(Vec<i64>),
    /// An input without data.
    #[error("a tensor that is read needs `data`; add a file, constant, ramp or random source")]
    NoData,
    /// An expectation for what is not written.
    #[error("`expected` makes sense for `out` and `inout` only; remove it or correct `direction`")]
    ExpectedOnInput,
    /// A number or shape that makes no tensor.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A scalar that its type cannot hold.
    #[error("{value} does not fit {dtype}; choose another number or dtype")]
    Scalar {
        /// The number.
        value: Number,
        /// The type, in lower case.
        dtype: String,
    },
    /// Too many arguments.
    #[error(
        "{have} {what} arguments are too many; a run takes at most {} tensors and {} scalars",
        CHIP_MAX_TENSOR_ARGS,
        CHIP_MAX_SCALAR_ARGS
    )]
    TooManyArguments {
        /// "tensor" or "scalar".
        what: &'static str,
        /// How many there are.
        have: usize,
    },
    /// A count that is not positive or far too large.
    #[error("`{key}` is {value}; use a whole number of at least 1")]
    Count {
        /// The key.
        key: &'static str,
        /// Its value.
        value: i64,
    },
    /// A tolerance that accepts nothing or everything.
    #[error("`{key}` is {value}; use a finite number that is not negative")]
    Tolerance {
        /// The key.
        key: &'static str,
        /// Its value.
        value: f64,
    },
}

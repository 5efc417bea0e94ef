//! `callable.toml`: what a callable is made of, what it is run with and what it should give.
//!
//! ```text
//! text ──raw──▶ tables with positions ──check──▶ Manifest: resolved paths, checked numbers
//! ```
//!
//! `raw` mirrors the file and refuses unknown keys; `check` proves what the types below promise.
//! Every error knows its place in the file, so that a front end can show it. Paths in the file are
//! relative to its folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::{ArgDirection, CoreType, DataType, FuncId};

use crate::number::Number;
use crate::platform_name::PlatformName;
use crate::runtime_name::RuntimeName;

mod arguments;
mod check;
mod error;
mod raw;

pub use self::error::{ManifestError, ManifestProblem, Position};

/// The file that is meant by a folder.
pub const FILE_NAME: &str = "callable.toml";
/// Name of the case where a manifest lists none.
pub const DEFAULT_CASE: &str = "default";

/// A checked manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The file it was read from.
    pub path: PathBuf,
    /// Name of the callable.
    pub name: String,
    /// The runtime that it is for.
    pub runtime: RuntimeName,
    /// The code that submits the tasks, or adds them to a graph.
    pub orchestration: Orchestration,
    /// The kernels; their func ids are distinct.
    pub kernels: Vec<Kernel>,
    /// What to run; at least one, with distinct names.
    pub cases: Vec<Case>,
}

/// Where code comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Code {
    /// A C++ source, to be compiled.
    Source(PathBuf),
    /// A shared object, used as it is.
    SharedObject(PathBuf),
}

/// The orchestration of a callable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Orchestration {
    /// Where its code comes from.
    pub code: Code,
    /// Symbol of the entry (spec callable §1.9).
    pub entry: String,
    /// Symbol of the configuration function (spec callable §1.9); none for hbg, which has none.
    pub config: Option<String>,
    /// Folders searched for headers before the SDK's.
    pub include_dirs: Vec<PathBuf>,
}

/// One kernel of a callable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kernel {
    /// The number by which the orchestration names it.
    pub func_id: FuncId,
    /// The type of core it runs on.
    pub core_type: CoreType,
    /// Where its code comes from.
    pub code: Code,
    /// Its name in messages.
    pub name: String,
}

/// One way to run the callable.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The platforms that it is for; at least one, all if the case does not say.
    pub platforms: Vec<PlatformName>,
    /// Clusters to run on, if the case says so.
    pub block_dim: Option<u32>,
    /// AICPU threads to run on, if the case says so.
    pub aicpu_threads: Option<u32>,
    /// Relative tolerance, if the case says so; not negative.
    pub relative_tolerance: Option<f64>,
    /// Absolute tolerance, if the case says so; not negative.
    pub absolute_tolerance: Option<f64>,
    /// The tensors, in the order of the arguments; their names are distinct.
    pub tensors: Vec<TensorSpec>,
    /// The scalars that follow them.
    pub scalars: Vec<ScalarSpec>,
}

/// One tensor argument.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    /// Its name in messages.
    pub name: String,
    /// Whether the callable reads or writes it; never [`ArgDirection::Scalar`].
    pub direction: ArgDirection,
    /// Its element type.
    pub dtype: DataType,
    /// Elements per dimension: 1 to 5 dimensions, none of them zero.
    pub shape: Vec<u32>,
    /// What it holds before the run.
    pub data: DataSource,
    /// What it should hold after the run; only for what the callable writes.
    pub expected: Option<DataSource>,
}

/// Where the elements of a tensor come from.
#[derive(Clone, Debug, PartialEq)]
pub enum DataSource {
    /// A `.npy` file of the tensor's type and shape.
    File(PathBuf),
    /// The same number everywhere.
    Constant(Number),
    /// Element `i` in C order is `start + i * step`.
    Ramp {
        /// The first element.
        start: Number,
        /// What is added from one to the next.
        step: Number,
    },
    /// Evenly distributed numbers, the same for a seed on every machine.
    Random {
        /// What the sequence depends on.
        seed: u64,
        /// The least number.
        low: Number,
        /// The bound above: included for integers, otherwise reached by rounding only.
        high: Number,
    },
}

/// One scalar argument.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalarSpec {
    /// Its name in messages.
    pub name: String,
    /// Its type.
    pub dtype: DataType,
    /// The bit pattern of its value, zero-extended (spec callable §1.2).
    pub bits: u64,
}

impl Code {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Source(path) | Self::SharedObject(path) => path,
        }
    }
}

impl Manifest {
    /// Reads and checks a manifest; a folder means the `callable.toml` in it.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] with the file, the place in it and what to do.
    pub fn load(path: &Path) -> Result<Self, ManifestError> {
        let path = if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() };
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&path, &text),
            Err(source) => Err(ManifestError::Read { path, source }),
        }
    }

    /// Checks the text of a manifest that belongs at `path`, which says where its files are.
    ///
    /// # Errors
    ///
    /// As [`Manifest::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ManifestError> {
        check::parse(path, text).map_err(|(problem, span)| ManifestError::Invalid {
            path: path.to_owned(),
            position: Position::of(text, span.start),
            span,
            text: Arc::from(text),
            problem: Box::new(problem),
        })
    }

    /// The folder of the file.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

#[cfg(test)]
mod tests;

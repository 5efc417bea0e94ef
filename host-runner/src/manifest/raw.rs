//! The tables of `callable.toml` as they are written, with the place of each value.
//!
//! Nothing is checked here but types and key names; `check` turns these into the public types.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use toml::Spanned;

use crate::number::Number;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawManifest {
    pub(super) name: Spanned<String>,
    pub(super) runtime: Option<Spanned<String>>,
    pub(super) orchestration: Spanned<RawOrchestration>,
    #[serde(default)]
    pub(super) kernel: Vec<Spanned<RawKernel>>,
    #[serde(default)]
    pub(super) tensor: Vec<Spanned<RawTensor>>,
    #[serde(default)]
    pub(super) scalar: Vec<Spanned<RawScalar>>,
    #[serde(default)]
    pub(super) case: Vec<RawCase>,
}

/// `[orchestration]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOrchestration {
    pub(super) source: Option<Spanned<PathBuf>>,
    pub(super) so: Option<Spanned<PathBuf>>,
    pub(super) entry: Option<Spanned<String>>,
    pub(super) config: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) include_dirs: Vec<Spanned<PathBuf>>,
}

/// `[[kernel]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKernel {
    pub(super) func_id: Spanned<i64>,
    pub(super) core_type: Spanned<String>,
    pub(super) source: Option<Spanned<PathBuf>>,
    pub(super) so: Option<Spanned<PathBuf>>,
    pub(super) name: Option<String>,
}

/// `[[tensor]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTensor {
    pub(super) name: Spanned<String>,
    pub(super) direction: Spanned<String>,
    pub(super) dtype: Spanned<String>,
    pub(super) shape: Spanned<Vec<i64>>,
    pub(super) data: Option<Spanned<RawData>>,
    pub(super) expected: Option<Spanned<RawData>>,
}

/// The value of `data` and of `expected`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawData {
    File(PathBuf),
    Constant(Number),
    Ramp(RawRamp),
    Random(RawRandom),
}

/// `{ ramp = { start = 0, step = 1 } }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRamp {
    pub(super) start: Number,
    pub(super) step: Number,
}

/// `{ random = { seed = 1, low = -1.0, high = 1.0 } }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRandom {
    pub(super) seed: u64,
    pub(super) low: Number,
    pub(super) high: Number,
}

/// `[[scalar]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawScalar {
    pub(super) name: Spanned<String>,
    pub(super) dtype: Spanned<String>,
    pub(super) value: Spanned<Number>,
}

/// `[[case]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCase {
    pub(super) name: Spanned<String>,
    pub(super) platforms: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) block_dim: Option<Spanned<i64>>,
    pub(super) aicpu_threads: Option<Spanned<i64>>,
    pub(super) rtol: Option<Spanned<f64>>,
    pub(super) atol: Option<Spanned<f64>>,
    pub(super) tensor: Option<Vec<Spanned<RawTensor>>>,
    pub(super) scalar: Option<Vec<Spanned<RawScalar>>>,
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

/// Keeps whole numbers whole.
struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
        Ok(Number::Integer(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
        Ok(Number::Integer(value.into()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Number, E> {
        Ok(Number::Integer(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Number, E> {
        Ok(Number::Float(value))
    }
}

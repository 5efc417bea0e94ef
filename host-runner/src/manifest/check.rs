//! Turns the raw tables into a [`Manifest`], or says which value is wrong and where.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use protocol::{CoreType, DEFAULT_CONFIG_SYMBOL, DEFAULT_ENTRY_SYMBOL, FuncId, SYMBOL_NAME_BYTES};
use toml::Spanned;

use super::arguments::{scalars, tensors};
use crate::platform_name::PlatformName;
use crate::runtime_name::RuntimeName;

use super::raw::{RawCase, RawKernel, RawManifest, RawOrchestration};
use super::{
    Case, Code, DEFAULT_CASE, Kernel, Manifest, ManifestProblem, Orchestration, ScalarSpec,
    TensorSpec,
};

/// A problem and the bytes of the text that it is about.
pub(super) type Located = (ManifestProblem, Range<usize>);

/// Reads and checks the text of the manifest at `path`.
pub(super) fn parse(path: &Path, text: &str) -> Result<Manifest, Located> {
    let raw: RawManifest = toml::from_str(text).map_err(|error| {
        let problem = ManifestProblem::Syntax(error.message().trim().replace('\n', ", "));
        (problem, error.span().unwrap_or(0..text.len().min(1)))
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let runtime = runtime(raw.runtime)?;
    if raw.name.get_ref().is_empty() {
        return Err((ManifestProblem::EmptyName, raw.name.span()));
    }
    let tensors = tensors(folder, raw.tensor)?;
    let scalars = scalars(raw.scalar)?;
    Ok(Manifest {
        path: path.to_owned(),
        name: raw.name.into_inner(),
        runtime,
        orchestration: orchestration(folder, runtime, raw.orchestration)?,
        kernels: kernels(folder, raw.kernel)?,
        cases: cases(folder, raw.case, tensors, scalars)?,
    })
}

/// Checks `runtime`; trb where the key is missing.
fn runtime(raw: Option<Spanned<String>>) -> Result<RuntimeName, Located> {
    let Some(raw) = raw else { return Ok(RuntimeName::default()) };
    raw.get_ref().parse().map_err(|unknown| (ManifestProblem::Runtime(unknown), raw.span()))
}

/// Checks `[orchestration]`.
fn orchestration(
    folder: &Path,
    runtime: RuntimeName,
    raw: Spanned<RawOrchestration>,
) -> Result<Orchestration, Located> {
    let span = raw.span();
    let RawOrchestration { source, so, entry, config, include_dirs } = raw.into_inner();
    let folders = include_dirs.into_iter().map(|named| {
        let path = folder.join(named.get_ref());
        if path.is_dir() {
            return Ok(path);
        }
        Err((ManifestProblem::MissingFolder(path), named.span()))
    });
    // hbg has no default entry and no configuration function (spec callable §1.9).
    let (entry, config) = match (runtime, entry, config) {
        (RuntimeName::Trb, entry, config) => {
            let config = symbol(config, DEFAULT_CONFIG_SYMBOL)?;
            (symbol(entry, DEFAULT_ENTRY_SYMBOL)?, Some(config))
        }
        (RuntimeName::Hbg, _, Some(config)) => {
            return Err((ManifestProblem::ConfigOfHbg, config.span()));
        }
        (RuntimeName::Hbg, None, None) => return Err((ManifestProblem::NoEntryOfHbg, span)),
        (RuntimeName::Hbg, Some(entry), None) => (checked_symbol(entry)?, None),
    };
    Ok(Orchestration {
        code: code(folder, source, so, span)?,
        entry,
        config,
        include_dirs: folders.collect::<Result<_, _>>()?,
    })
}

/// Checks all `[[kernel]]`.
fn kernels(folder: &Path, raw: Vec<Spanned<RawKernel>>) -> Result<Vec<Kernel>, Located> {
    let mut taken = HashSet::new();
    let mut kernels = Vec::with_capacity(raw.len());
    for raw in raw {
        let span = raw.span();
        let RawKernel { func_id, core_type, source, so, name } = raw.into_inner();
        let number = *func_id.get_ref();
        let id = FuncId::new(number).map_err(|error| (error.into(), func_id.span()))?;
        if !taken.insert(id) {
            return Err((ManifestProblem::DuplicateFuncId(number), func_id.span()));
        }
        let words = [("aic", CoreType::Aic), ("aiv", CoreType::Aiv)];
        let core_type = word("core type", &core_type, &words)?;
        let code = code(folder, source, so, span)?;
        let stem = || code.path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let name = name.unwrap_or_else(stem);
        kernels.push(Kernel { func_id: id, core_type, code, name });
    }
    Ok(kernels)
}

/// Checks all `[[case]]`; a case without arguments of its own takes the shared ones.
fn cases(
    folder: &Path,
    raw: Vec<RawCase>,
    shared_tensors: Vec<TensorSpec>,
    shared_scalars: Vec<ScalarSpec>,
) -> Result<Vec<Case>, Located> {
    let mut taken = HashSet::new();
    let mut cases = Vec::with_capacity(raw.len().max(1));
    for raw in raw {
        let RawCase { name, platforms, block_dim, aicpu_threads, rtol, atol, tensor, scalar } = raw;
        claim_name(&mut taken, "case", &name)?;
        cases.push(Case {
            name: name.into_inner(),
            platforms: platform_list(platforms)?,
            block_dim: count("block_dim", block_dim)?,
            aicpu_threads: count("aicpu_threads", aicpu_threads)?,
            relative_tolerance: tolerance("rtol", rtol)?,
            absolute_tolerance: tolerance("atol", atol)?,
            tensors: match tensor {
                Some(own) => tensors(folder, own)?,
                None => shared_tensors.clone(),
            },
            scalars: match scalar {
                Some(own) => scalars(own)?,
                None => shared_scalars.clone(),
            },
        });
    }
    if cases.is_empty() {
        cases.push(Case {
            name: DEFAULT_CASE.to_owned(),
            platforms: PlatformName::ALL.to_vec(),
            block_dim: None,
            aicpu_threads: None,
            relative_tolerance: None,
            absolute_tolerance: None,
            tensors: shared_tensors,
            scalars: shared_scalars,
        });
    }
    Ok(cases)
}

/// Checks `platforms`: names that there are, at least one; all where the key is missing.
fn platform_list(raw: Option<Spanned<Vec<Spanned<String>>>>) -> Result<Vec<PlatformName>, Located> {
    let Some(raw) = raw else { return Ok(PlatformName::ALL.to_vec()) };
    if raw.get_ref().is_empty() {
        return Err((ManifestProblem::NoPlatform, raw.span()));
    }
    let words: Vec<_> = PlatformName::ALL.iter().map(|it| (it.name(), *it)).collect();
    raw.get_ref().iter().map(|name| word("platform", name, &words)).collect()
}

/// Takes the one of `source` and `so` that is given; `span` is the table's.
fn code(
    folder: &Path,
    source: Option<Spanned<PathBuf>>,
    so: Option<Spanned<PathBuf>>,
    span: Range<usize>,
) -> Result<Code, Located> {
    match (source, so) {
        (Some(path), None) => Ok(Code::Source(file(folder, path.get_ref(), path.span())?)),
        (None, Some(path)) => Ok(Code::SharedObject(file(folder, path.get_ref(), path.span())?)),
        (Some(_), Some(second)) => Err((ManifestProblem::SourceOrSo, second.span())),
        (None, None) => Err((ManifestProblem::SourceOrSo, span)),
    }
}

/// Resolves the path of a file that must exist.
pub(super) fn file(folder: &Path, path: &Path, span: Range<usize>) -> Result<PathBuf, Located> {
    let path = folder.join(path);
    if path.is_file() { Ok(path) } else { Err((ManifestProblem::MissingFile(path), span)) }
}

/// Checks the name of a symbol, if there is one.
fn symbol(name: Option<Spanned<String>>, default: &str) -> Result<String, Located> {
    name.map_or_else(|| Ok(default.to_owned()), checked_symbol)
}

/// Checks the name of a symbol.
fn checked_symbol(name: Spanned<String>) -> Result<String, Located> {
    let bytes = name.get_ref().len();
    if bytes == 0 || bytes >= SYMBOL_NAME_BYTES || name.get_ref().contains('\0') {
        return Err((ManifestProblem::Symbol { bytes }, name.span()));
    }
    Ok(name.into_inner())
}

/// Finds a word in a table of words.
pub(super) fn word<T: Copy>(
    what: &'static str,
    found: &Spanned<String>,
    words: &[(&str, T)],
) -> Result<T, Located> {
    if let Some((_, value)) = words.iter().find(|(word, _)| word == found.get_ref()) {
        return Ok(*value);
    }
    let known = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    let word = found.get_ref().clone();
    Err((ManifestProblem::UnknownWord { what, word, known }, found.span()))
}

/// Notes a name that must be the only one of its kind.
pub(super) fn claim_name(
    taken: &mut HashSet<String>,
    what: &'static str,
    name: &Spanned<String>,
) -> Result<(), Located> {
    if name.get_ref().is_empty() {
        return Err((ManifestProblem::EmptyName, name.span()));
    }
    if !taken.insert(name.get_ref().clone()) {
        let name_text = name.get_ref().clone();
        return Err((ManifestProblem::DuplicateName { what, name: name_text }, name.span()));
    }
    Ok(())
}

/// Checks a count of at least one; what the platform can do is its own business.
fn count(key: &'static str, value: Option<Spanned<i64>>) -> Result<Option<u32>, Located> {
    let Some(value) = value else { return Ok(None) };
    match u32::try_from(*value.get_ref()) {
        Ok(count) if count > 0 => Ok(Some(count)),
        _ => Err((ManifestProblem::Count { key, value: *value.get_ref() }, value.span())),
    }
}

/// Checks a tolerance.
fn tolerance(key: &'static str, value: Option<Spanned<f64>>) -> Result<Option<f64>, Located> {
    let Some(value) = value else { return Ok(None) };
    let number = *value.get_ref();
    if number.is_finite() && number >= 0.0 {
        return Ok(Some(number));
    }
    Err((ManifestProblem::Tolerance { key, value: number }, value.span()))
}

//! `host-runner run`: from a manifest to a table of results.
//!
//! ```text
//! manifest → case data → build → pack → open and register → run each case → report
//!    2          2          3       3            1                1            exit code
//! ```

use std::error::Error;
use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use host_runner::callable::{Callable, KernelImage};
use host_runner::case_data::CaseData;
use host_runner::compare::Tolerance;
use host_runner::compile::{CodeKind, CompileJob, Compiler, Reuse, Toolchain, ToolchainConfig};
use host_runner::manifest::{Case, Code, Manifest};
use host_runner::worker::{RunConfig, Worker, WorkerConfig};
use protocol::ArgDirection;

use self::failure::Failure;
use self::progress::Progress;
use self::run::{PreparedCase, Registered, run_case};
use crate::cli::{Environment, RunArguments};
use crate::report::{self, Colour};

mod failure;
mod progress;
pub(crate) mod run;

/// Exit code of a case that failed or gave something else.
const EXIT_FAILED_CASE: u8 = 1;

/// Does what `host-runner run` is asked to do; returns the exit code.
pub(crate) fn run(
    arguments: &RunArguments,
    environment: &Environment,
) -> Result<ExitCode, Failure> {
    let manifest = Manifest::load(&arguments.path).map_err(Failure::Manifest)?;
    let cases = select_cases(&manifest, &arguments.case)?
        .into_iter()
        .map(|case| prepare(case, arguments))
        .collect::<Result<Vec<_>, _>>()?;
    let callable = build(&manifest, arguments, environment)?;

    let config = worker_config(arguments);
    let worker = Worker::open(config).map_err(|error| Failure::Open(Box::new(error)))?;
    let handle = worker.register(&callable).map_err(|error| Failure::Register(Box::new(error)))?;
    let target = Registered { worker: &worker, handle: &handle };

    let mut results = Vec::with_capacity(cases.len());
    for case in &cases {
        let title = format!("running {}", case.name);
        let progress = Progress::start(&title, arguments.rounds.into());
        let result = run_case(&target, case, arguments.rounds, &|| progress.advance());
        progress.finish();
        if arguments.json {
            write_out(&format!("{}\n", report::json_line(&result)))?;
        }
        results.push(result);
    }
    if !arguments.json {
        let is_plain = environment.no_color || !io::stdout().is_terminal();
        let colour = if is_plain { Colour::Plain } else { Colour::Ansi };
        write_out(&report::table(&results, colour))?;
    }
    let is_ok = results.iter().all(|result| result.outcome.is_ok());
    Ok(if is_ok { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED_CASE) })
}

/// Writes to the standard output. A reader that has gone away is no failure of ours.
fn write_out(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Output(error)),
        _ => Ok(()),
    }
}

/// The cases that the user asks for, in the order of the manifest.
fn select_cases<'a>(manifest: &'a Manifest, names: &[String]) -> Result<Vec<&'a Case>, Failure> {
    for name in names {
        if !manifest.cases.iter().any(|case| case.name == *name) {
            let known = manifest.cases.iter().map(|case| case.name.clone()).collect();
            return Err(Failure::NoSuchCase { name: name.clone(), known });
        }
    }
    let is_wanted = |case: &&Case| names.is_empty() || names.contains(&case.name);
    Ok(manifest.cases.iter().filter(is_wanted).collect())
}

/// Makes the data of a case and settles how it is run: the command line first, then the case.
fn prepare(case: &Case, arguments: &RunArguments) -> Result<PreparedCase, Failure> {
    let defaults = RunConfig::default();
    let tolerance =
        |dtype| Tolerance::for_type(dtype, case.relative_tolerance, case.absolute_tolerance);
    #[allow(clippy::needless_update, reason = "settings that the command has no option for")]
    let config = RunConfig {
        block_dim: arguments.block_dim.or(case.block_dim).unwrap_or(defaults.block_dim),
        aicpu_threads: arguments
            .aicpu_threads
            .or(case.aicpu_threads)
            .unwrap_or(defaults.aicpu_threads),
        timeout: arguments.timeout.unwrap_or(defaults.timeout),
        ..defaults
    };
    let data = CaseData::load(case).map_err(|error| Failure::Data(Box::new(error)))?;
    let tolerances = data.tensors.iter().map(|tensor| tolerance(tensor.dtype)).collect();
    Ok(PreparedCase { name: case.name.clone(), data, config, tolerances })
}

/// The settings of the worker.
fn worker_config(arguments: &RunArguments) -> WorkerConfig {
    #[allow(clippy::needless_update, reason = "settings that the command has no option for")]
    WorkerConfig { platform: arguments.platform, ..WorkerConfig::default() }
}

/// Compiles what is given as source, reads what is given as shared object, and packs both.
fn build(
    manifest: &Manifest,
    arguments: &RunArguments,
    environment: &Environment,
) -> Result<Callable, Failure> {
    let orchestration = &manifest.orchestration;
    let kernels = manifest.kernels.iter();
    let units: Vec<(&Code, CodeKind)> = [(&orchestration.code, CodeKind::Orchestration)]
        .into_iter()
        .chain(kernels.map(|kernel| (&kernel.code, CodeKind::Kernel(kernel.core_type))))
        .collect();
    let jobs: Vec<CompileJob> = units
        .iter()
        .filter_map(|(code, kind)| match code {
            Code::Source(source) => Some(CompileJob {
                source: source.clone(),
                kind: *kind,
                include_dirs: match kind {
                    CodeKind::Orchestration => orchestration.include_dirs.clone(),
                    CodeKind::Kernel(_) => Vec::new(),
                },
            }),
            Code::SharedObject(_) => None,
        })
        .collect();
    let mut compiled = compile(&jobs, arguments, environment)?.into_iter();
    let mut images = units.iter().map(|(code, _)| match code {
        Code::Source(_) => Ok(compiled.next().unwrap_or_default()),
        Code::SharedObject(path) => {
            fs::read(path).map_err(|source| Failure::ReadImage { path: path.clone(), source })
        }
    });

    let orchestration_so = images.next().transpose()?.unwrap_or_default();
    let mut builder = Callable::builder(orchestration_so)
        .name(&manifest.name)
        .entry(&orchestration.entry)
        .config(&orchestration.config)
        .signature(signature(&manifest.cases));
    for (kernel, binary) in manifest.kernels.iter().zip(images) {
        builder = builder.kernel(KernelImage {
            func_id: kernel.func_id,
            core_type: kernel.core_type,
            binary: binary?,
            name: kernel.name.clone(),
        });
    }
    builder.build().map_err(Failure::Callable)
}

/// Builds the sources, if there are any, and returns their images in order.
fn compile(
    jobs: &[CompileJob],
    arguments: &RunArguments,
    environment: &Environment,
) -> Result<Vec<Vec<u8>>, Failure> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let compiler = match arguments.cxx.as_ref().or(environment.cxx.as_ref()) {
        Some(command) => Compiler::named(command),
        None => Compiler::newest_on(&environment.search_path),
    }
    .map_err(Failure::Compile)?;
    tracing::info!("compiling with {}: {}", compiler.name(), compiler.version_line());
    // Without a home there is nowhere to keep anything; the folder then ends with this function.
    let folder = arguments.cache_dir.clone().or_else(|| environment.cache_dir.clone());
    let temporary = match folder {
        Some(_) => None,
        None => Some(tempfile::tempdir().map_err(Failure::Output)?),
    };
    let cache_dir = folder.or_else(|| Some(temporary.as_ref()?.path().to_owned()));
    let toolchain = Toolchain::new(ToolchainConfig {
        compiler,
        sdk: arguments.sdk.clone(),
        cache_dir: cache_dir.unwrap_or_default(),
        reuse: if arguments.no_cache { Reuse::Never } else { Reuse::Cached },
        isa_root: environment.isa_root.clone(),
    })
    .map_err(Failure::Compile)?;
    let progress = Progress::start("compiling", jobs.len() as u64);
    let built = toolchain.build(jobs, &|index, image| {
        let source = jobs[index].source.display();
        tracing::info!("{} {source}", if image.is_cached { "unchanged" } else { "compiled" });
        progress.advance();
    });
    progress.finish();
    Ok(built.map_err(Failure::Compile)?.into_iter().map(|image| image.bytes).collect())
}

/// The directions of the tensors (spec trb §9.1), if all cases agree on them; else none, which
/// promises nothing.
fn signature(cases: &[Case]) -> Vec<ArgDirection> {
    let of = |case: &Case| -> Vec<_> { case.tensors.iter().map(|it| it.direction).collect() };
    let mut signatures = cases.iter().map(of);
    let first = signatures.next().unwrap_or_default();
    if signatures.all(|other| other == first) { first } else { Vec::new() }
}

/// A message followed by all its causes.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

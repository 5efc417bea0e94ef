//! `host-runner run`: from a manifest to a table of results.
//!
//! ```text
//! manifest → case data → build → pack → open and register → run each case → report
//!    2          2          3       3            1                1            exit code
//! ```

use std::error::Error;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use host_runner::build::{self, KeptBuilds};
use host_runner::callable::Callable;
use host_runner::case_data::CaseData;
use host_runner::compare::Tolerance;
use host_runner::compile::{
    CompileError, Compiler, Machine, Reuse, Toolchain, ToolchainConfig, ToolchainFacts,
    ToolchainKey,
};
use host_runner::image_cache::ImageCache;
use host_runner::manifest::{Case, Manifest};
use host_runner::run::RunConfig;
use host_runner::worker::{PlatformName, Worker, WorkerConfig};

use self::cache_folder::CacheFolder;
use self::failure::Failure;
use self::progress::Progress;
use self::run::{PreparedCase, Registered, run_case};
use crate::cli::{Environment, RunArguments};
use crate::report::{self, Colour};

mod cache_folder;
mod failure;
pub(crate) mod inspect;
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
    let cases = select_cases(&manifest, arguments.platform, &arguments.case)?
        .into_iter()
        .map(|case| prepare(case, arguments))
        .collect::<Result<Vec<_>, _>>()?;
    let kept = CacheFolder::choose(arguments, environment)?;
    let images = kept.image_cache(arguments.no_cache);
    let callable = build(&manifest, arguments, environment, &kept, images.as_deref())?;

    let config = WorkerConfig::new(arguments.platform)
        .with_rings(environment.rings)
        .with_cann(arguments.cann(environment))
        .with_process(arguments.process(environment))
        .with_code_listing(arguments.code_listing())
        .with_image_cache(images.clone());
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
            let counters = images.as_deref().map(ImageCache::counters);
            let line = report::json_line(arguments.platform, manifest.runtime, &result, counters);
            write_out(&format!("{line}\n"))?;
        }
        results.push(result);
    }
    if !arguments.json {
        let is_plain = environment.no_color || !io::stdout().is_terminal();
        let colour = if is_plain { Colour::Plain } else { Colour::Ansi };
        write_out(&report::table(manifest.runtime, &results, colour))?;
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

/// The cases that the user asks for and that are for the platform, in the order of the manifest.
fn select_cases<'a>(
    manifest: &'a Manifest,
    platform: PlatformName,
    names: &[String],
) -> Result<Vec<&'a Case>, Failure> {
    for name in names {
        if !manifest.cases.iter().any(|case| case.name == *name) {
            let known = manifest.cases.iter().map(|case| case.name.clone()).collect();
            return Err(Failure::NoSuchCase { name: name.clone(), known });
        }
    }
    let is_wanted = |case: &&Case| names.is_empty() || names.contains(&case.name);
    let wanted: Vec<&Case> = manifest.cases.iter().filter(is_wanted).collect();
    let (cases, others): (Vec<&Case>, Vec<&Case>) =
        wanted.into_iter().partition(|case| case.platforms.contains(&platform));
    // Who names a case means that one; who names none means those that there are.
    if let Some(case) = others.first().filter(|_| cases.is_empty() || !names.is_empty()) {
        let (name, platforms) = (case.name.clone(), case.platforms.clone());
        return Err(Failure::OtherPlatform { name, platforms, platform });
    }
    for case in others {
        tracing::info!("case {} is not for {platform}", case.name);
    }
    Ok(cases)
}

/// Makes the data of a case and settles how it is run: the command line first, then the case.
fn prepare(case: &Case, arguments: &RunArguments) -> Result<PreparedCase, Failure> {
    let defaults = RunConfig::default();
    let tolerance =
        |dtype| Tolerance::for_type(dtype, case.relative_tolerance, case.absolute_tolerance);
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

/// Takes the callable from the cache, or compiles and packs it, with a progress bar.
fn build(
    manifest: &Manifest,
    arguments: &RunArguments,
    environment: &Environment,
    folder: &CacheFolder,
    images: Option<&ImageCache>,
) -> Result<Callable, Failure> {
    let jobs = build::jobs(manifest);
    let toolchain_key = ToolchainKey::of(&ToolchainFacts {
        compiler: arguments.cxx.as_deref().or(environment.cxx.as_deref()),
        search_path: &environment.search_path,
        chip: arguments.platform.chip(),
        sdk: arguments.sdk.as_deref(),
        cache_dir: &folder.path,
        isa_root: environment.isa_root.as_deref(),
    });
    // What is kept is for this machine.
    let is_native = arguments.machine() == Machine::native();
    let kept = images.zip(toolchain_key.filter(|_| is_native));
    let kept = kept.map(|(cache, toolchain)| KeptBuilds { cache, toolchain });
    let progress = Progress::start("compiling", jobs.len() as u64);
    let callable = build::kept_callable(
        manifest,
        kept.as_ref(),
        || toolchain(arguments, environment, folder.path.clone()),
        &|index, image| {
            let source = jobs[index].source.display();
            tracing::info!("{} {source}", if image.is_cached { "unchanged" } else { "compiled" });
            progress.advance();
        },
    );
    progress.finish();
    callable.map_err(Failure::Build)
}

/// The compiler that the user wants, or the newest there is.
fn toolchain(
    arguments: &RunArguments,
    environment: &Environment,
    cache_dir: PathBuf,
) -> Result<Toolchain, CompileError> {
    let compiler = match arguments.cxx.as_ref().or(environment.cxx.as_ref()) {
        Some(command) => Compiler::named(command),
        None => Compiler::newest_on(&environment.search_path),
    }?;
    tracing::info!("compiling with {}: {}", compiler.name(), compiler.version_line());
    let toolchain = Toolchain::new(ToolchainConfig {
        compiler,
        sdk: arguments.sdk.clone(),
        cache_dir,
        reuse: if arguments.no_cache { Reuse::Never } else { Reuse::Cached },
        isa_root: environment.isa_root.clone(),
    })?;
    let other = Some(arguments.machine()).filter(|machine| *machine != Machine::native());
    let device_compiler = other.map(|machine| match &arguments.device_cxx {
        Some(command) => Compiler::named(command),
        None => Compiler::for_machine(machine),
    });
    let toolchain = toolchain.with_device_compiler(device_compiler.transpose()?);
    Ok(toolchain.for_chip(arguments.platform.chip()))
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

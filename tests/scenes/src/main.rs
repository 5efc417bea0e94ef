//! `scenes`: runs the scenes and prints a table. `cargo xtask test scenes` builds and runs it.

use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use protocol::ChipName;
use scenes::device_kind::DeviceKind;
use scenes::event::Event;
use scenes::performance::{self, Extent};
use scenes::runner::{self, Selection};
use scenes::scene::Scene;
use scenes::table::{self, Colour};
use scenes::{catalogue, row::Row};

/// Runs whole programs on the simulators and compares what they compute.
#[derive(Debug, Parser)]
#[command(disable_help_subcommand = true)]
struct Options {
    /// One chip only: a2a3 or a5.
    #[arg(long, value_parser = parse_chip)]
    chip: Option<ChipName>,
    /// One number of AICPU threads only.
    #[arg(long)]
    threads: Option<u32>,
    /// Scenes whose names contain PATTERN only.
    #[arg(long, value_name = "PATTERN")]
    scene: Option<String>,
    /// Runs the small cases under N seeds of the interleaving, from 1 on; 200 without a number.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "200")]
    seeds: Option<u64>,
    /// The first seed; without --seeds the only one.
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Runs the small cases only.
    #[arg(long)]
    small: bool,
    /// Runs on devices in processes of their own.
    #[arg(long)]
    process: bool,
    /// Runs those for aarch64 under the emulator, small cases only.
    #[arg(long, requires = "process")]
    emulated: bool,
    /// Runs on chips through CANN, small cases only; `cargo xtask test scenes` has a mock stand in for that. The
    /// AICPU is this machine, or an aarch64 under the emulator.
    #[arg(long, value_name = "MACHINE", value_parser = ["native", "aarch64"], conflicts_with = "process")]
    cann: Option<String>,
    /// Writes the rows to FILE as well, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Names the scenes instead of running them.
    #[arg(long)]
    list: bool,
    /// Seconds after which a scene is killed.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    limit: u64,
    /// Runs the scenes that must fail, to see that they are reported.
    #[arg(long, hide = true)]
    broken: bool,
    /// Runs one scene in this process.
    #[arg(long, hide = true, value_name = "SCENE")]
    child: Option<String>,
    /// The AICPU threads of that.
    #[arg(long, hide = true, requires = "child", value_name = "RANGE")]
    child_threads: Option<String>,
}

impl Options {
    fn kind(&self) -> DeviceKind {
        match self.cann.as_deref() {
            Some("aarch64") => return DeviceKind::EmulatedCann,
            Some(_) => return DeviceKind::Cann,
            None => {}
        }
        match (self.process, self.emulated) {
            (false, _) => DeviceKind::Simulator,
            (true, false) => DeviceKind::Process,
            (true, true) => DeviceKind::EmulatedProcess,
        }
    }

    fn seeds(&self) -> Range<u64> {
        let first = self.seed.unwrap_or(1);
        let count = self.seeds.unwrap_or(u64::from(self.seed.is_some()));
        first..first.saturating_add(count)
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<ExitCode> {
    if let Some(name) = &options.child {
        return perform(name, options);
    }
    let scenes = if options.broken { catalogue::broken() } else { catalogue::all() };
    if options.list {
        for scene in &scenes {
            println!("{:<24}{}", scene.name, scene.summary);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let Options { chip, threads, .. } = *options;
    let (scene, seeds) = (options.scene.clone(), options.seeds());
    let kind = options.kind();
    let small = options.small || kind.is_slow();
    let selection = Selection { chip, threads, scene, seeds, small, kind };
    let plan = selection.plan(&scenes)?;
    let limit = Duration::from_secs(options.limit);
    if let Some(reason) = kind.why_no_windows() {
        let has_windows = |scene: &&Scene| scene.cases.iter().any(|case| case.windows);
        for scene in scenes.iter().filter(has_windows) {
            println!("skipped: cases of {} with windows: {reason}", scene.name);
        }
    }
    let rows =
        runner::run_in_children(&plan, limit, &|scene, chip| note(&format!("{scene} on {chip}")))?;
    note("");
    report(&rows, options)
}

/// Prints the rows and says how it ended.
fn report(rows: &[Row], options: &Options) -> Result<ExitCode> {
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(rows).context("rows are JSON")?;
        fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_plain = no_colour || !std::io::stdout().is_terminal();
    let colour = if is_plain { Colour::Plain } else { Colour::Ansi };
    print!("{}", table::render(rows, colour));
    println!("{}", table::verdict(rows));
    let is_good = rows.iter().all(|row| row.ok);
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Shows what runs at the moment, to people only; the next note takes its place.
fn note(text: &str) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        // Nobody is served by an error about a note.
        let _ = write!(stderr, "\r\x1b[K{text}").and_then(|()| stderr.flush());
    }
}

/// The child: runs one scene and tells its events.
fn perform(name: &str, options: &Options) -> Result<ExitCode> {
    let scenes = catalogue::all().into_iter().chain(catalogue::broken());
    let scene: Scene = scenes
        .into_iter()
        .find(|scene| scene.name == name)
        .with_context(|| format!("there is no scene `{name}`"))?;
    let chip = options.chip.context("a child has a chip")?;
    let range = options.child_threads.as_deref().context("a child has a range of threads")?;
    let (threads, seeds) = (runner::parse_range(range)?, options.seeds());
    let extent = Extent { chip, threads, seeds, small: options.small, kind: options.kind() };
    performance::perform(&scene, &extent, &mut tell);
    // At once: a simulated device that was given up still has threads in user code.
    std::process::exit(0)
}

/// Writes an event, past any buffer: the next thing may be a crash.
fn tell(event: &Event) {
    let mut stdout = std::io::stdout().lock();
    // A parent that has gone needs no events.
    let _ = writeln!(stdout, "{}", event.line()).and_then(|()| stdout.flush());
}

fn parse_chip(name: &str) -> Result<ChipName, String> {
    let found = scenes::scene::BOTH_CHIPS.iter().find(|chip| chip.name() == name);
    found.copied().ok_or_else(|| "there are a2a3 and a5".to_owned())
}

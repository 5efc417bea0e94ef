//! The arguments of the command, and the environment variables it looks at.
//!
//! This is the only module of the crate that reads the environment: everything below gets values.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, value_parser};
use host_runner::compile::Machine;
use host_runner::device::cann::CannConfig;
use host_runner::device::process::{ProcessSettings, machine_name};
use host_runner::run::TIMEOUT_MAX;
use host_runner::runtime_name::RuntimeName;
use host_runner::worker::{CodeListing, PlatformName};

mod environment;

pub(crate) use environment::Environment;

/// Shown below `--help`.
const EXAMPLES: &str = "\
Examples:
  host-runner run examples/vector_add
  host-runner run examples/vector_add --block-dim 3 --aicpu-threads 4 --rounds 1000
  host-runner run examples/hbg_vector
  host-runner run my/callable.toml --case small --json
  host-runner run my/callable.toml --cxx g++-15 -v
  host-runner inspect build/orchestration.so";

/// Shown below `run --help`.
const RUN_NOTES: &str = "\
The callable.toml says for which runtime it is: trb, where the orchestration submits tasks from the
device, or hbg (runtime = \"hbg\"), where it runs in this process and hands over a finished graph.

Exit codes:
  0  every case ran and gave what is expected
  1  a case gave something else, or registering or running failed
  2  wrong usage, or a callable.toml or data file that cannot be used
  3  a source that does not compile, or a callable that cannot be built

Environment:
  CXX             the C++ compiler, unless --cxx names one
  PTO_ISA_ROOT    the real pto-isa headers; kernels are then compiled with them, not with the stub
  XDG_CACHE_HOME  where the cache lies, unless --cache-dir says so (else ~/.cache)
  NO_COLOR        no colour, if set to anything but nothing
  SIMPLER_DEVICE_PROGRAM
                  the program of a2a3proc and a5proc [default: process-device beside host-runner]
  PTO2_RING_TASK_WINDOW, PTO2_RING_HEAP, PTO2_RING_DEP_POOL
                  task slots, bytes of output memory and dependency edges of each of the four rings
                  (trb; hbg has none)
  PTO2_READY_QUEUE_SHARDS, PTO2_ORCH_TO_SCHED
                  known, and without effect here: a warning says why
  ASCEND_HOME_PATH, AICPU_IMAGES, ASCEND_DEVICE_ID
                  of the chips themselves: where CANN and the AICPU programs are, and which device
                  (docs/cann.md)

Examples:
  host-runner run examples/vector_add
  host-runner run examples/vector_add --block-dim 3 --aicpu-threads 4 --rounds 1000
  host-runner run examples/vector_add --platform a5sim --block-dim 36 --aicpu-threads 7
  host-runner run examples/hbg_vector --rounds 1000
  host-runner run my/callable.toml --case small --json";

/// Shown below `inspect --help`.
const INSPECT_NOTES: &str = "\
Nothing is loaded, and none of the file's code runs. Kernels are loaded in another way: give the
orchestration of a callable, not one of its kernels.

Exit codes:
  0  it would load; names that a file for another machine imports are not looked up
  2  wrong usage, or a file that cannot be read
  4  it would be refused

Environment:
  NO_COLOR        no colour, if set to anything but nothing

Examples:
  host-runner inspect build/orchestration.so --json
  host-runner inspect build/graph.so --runtime hbg --entry build_graph";

/// Registers callables once and runs them by id, on the simulator or a device.
#[derive(Debug, Parser)]
#[command(name = "host-runner", version, about, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the command can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build a callable, register it, run its cases and compare their outputs
    #[command(after_help = RUN_NOTES)]
    Run(RunArguments),
    /// Say what the loader would do with an orchestration's shared object, or why it would not
    #[command(after_help = INSPECT_NOTES)]
    Inspect(InspectArguments),
}

/// Arguments of `host-runner inspect`.
#[derive(Args, Clone, Debug)]
pub(crate) struct InspectArguments {
    /// The shared object of an orchestration; for this or the other machine
    #[arg(value_name = "FILE")]
    pub(crate) path: PathBuf,

    /// The runtime that it is for: trb, or hbg, where the system's loader opens it in this process
    #[arg(long, value_name = "NAME", default_value_t)]
    pub(crate) runtime: RuntimeName,

    /// The function that a callable names as its entry [default: aicpu_orchestration_entry; hbg has
    /// none]
    #[arg(long, value_name = "NAME")]
    pub(crate) entry: Option<String>,

    /// The function that a callable of trb names as its config [default: aicpu_orchestration_config]
    #[arg(long, value_name = "NAME")]
    pub(crate) config: Option<String>,

    /// Print one JSON object, and no tables
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `host-runner run`.
#[derive(Args, Clone, Debug)]
pub(crate) struct RunArguments {
    /// A callable.toml, or the folder that holds one
    pub(crate) path: PathBuf,

    /// What to run on: the simulator of a chip in this process (a2a3sim, a5sim) or in a process of its own, which
    /// crashes alone (a2a3proc, a5proc); or the chip itself (a2a3, a5), which needs CANN
    #[arg(long, value_name = "NAME", default_value_t)]
    pub(crate) platform: PlatformName,

    /// Run only this case (may be given several times) [default: all]
    #[arg(long, value_name = "NAME")]
    pub(crate) case: Vec<String>,

    /// Clusters to run on, whatever the case says
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub(crate) block_dim: Option<u32>,

    /// AICPU threads to run on, whatever the case says
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub(crate) aicpu_threads: Option<u32>,

    /// How often to run each case; outputs are compared each time
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = value_parser!(u32).range(1..=10_000_000))]
    pub(crate) rounds: u32,

    /// The longest that one run may take [default: 60]; one that hangs gets 5 seconds more to stop
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub(crate) timeout: Option<Duration>,

    /// Print one JSON object a line for each case, and no table
    #[arg(long)]
    pub(crate) json: bool,

    /// The C++ compiler: a path, a name or a command such as "ccache g++"
    #[arg(long, value_name = "PATH")]
    pub(crate) cxx: Option<String>,

    /// The machine that a device in a process of its own, or the AICPU of a chip, is: x86_64 or aarch64. A process for
    /// another one than this is emulated; code of the device is compiled for it [default: this machine; of chips,
    /// aarch64]
    #[arg(long, value_name = "NAME", value_parser = parse_machine)]
    pub(crate) device_machine: Option<Machine>,

    /// The C++ compiler for code of the device, where that is for another machine [default: NAME-linux-gnu-g++]
    #[arg(long, value_name = "PATH", requires = "device_machine")]
    pub(crate) device_cxx: Option<String>,

    /// A folder with include/, stub/ and src/ to use instead of the built-in SDK
    #[arg(long, value_name = "DIR")]
    pub(crate) sdk: Option<PathBuf>,

    /// Where compiled code, built callables and the unpacked SDK are kept
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,

    /// Compile and plan everything anew and keep nothing of it
    #[arg(long)]
    pub(crate) no_cache: bool,

    /// Show the code of orchestrations to gdb: function names and back-traces
    #[arg(long)]
    pub(crate) gdb: bool,

    /// Write the functions of orchestrations to DIR/perf-PID.map, where perf looks for them
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true,
          default_missing_value = "/tmp")]
    pub(crate) perf_map: Option<PathBuf>,

    /// Say more on the standard error; again for still more
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl RunArguments {
    /// Which program a device in a process of its own is.
    pub(crate) fn process(&self, environment: &Environment) -> ProcessSettings {
        ProcessSettings::for_machine(self.machine())
            .with_program(environment.device_program.clone())
    }

    /// What a chip is opened with.
    pub(crate) fn cann(&self, environment: &Environment) -> CannConfig {
        CannConfig { aicpu_machine: self.machine(), ..environment.cann.clone() }
    }

    /// The machine that code of the device is for.
    pub(crate) fn machine(&self) -> Machine {
        let is_chip = PlatformName::CHIPS.contains(&self.platform);
        let default = if is_chip { Machine::Aarch64 } else { Machine::native() };
        self.device_machine.unwrap_or(default)
    }

    /// Whom loaded code is to be shown to.
    pub(crate) fn code_listing(&self) -> CodeListing {
        CodeListing { gdb: self.gdb, perf_map: self.perf_map.clone() }
    }
}

/// Reads the name of a machine.
fn parse_machine(name: &str) -> Result<Machine, String> {
    let known = [Machine::X86_64, Machine::Aarch64];
    let found = known.into_iter().find(|machine| machine_name(*machine) == name);
    found.ok_or_else(|| "there are x86_64 and aarch64".to_owned())
}

/// Reads a positive number of seconds, fractions included.
fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if !time.is_zero() && time <= TIMEOUT_MAX => Ok(time),
        _ => Err("must be more than 0 and at most a year".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<RunArguments, clap::Error> {
        let words = ["host-runner", "run"].into_iter().chain(line.split(' '));
        match Cli::try_parse_from(words)?.command {
            Command::Run(arguments) => Ok(arguments),
            Command::Inspect(_) => panic!("`run` was given"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn one_path_is_enough() {
        let arguments = parse("examples/vector_add").unwrap();
        assert_eq!(arguments.path, PathBuf::from("examples/vector_add"));
        assert_eq!((arguments.rounds, arguments.block_dim, arguments.verbose), (1, None, 0));
        assert!(arguments.case.is_empty() && !arguments.json && !arguments.no_cache);
    }

    #[test]
    fn every_option_is_taken() {
        let line = "a --case x --case y --block-dim 3 --aicpu-threads 4 --rounds 9 --timeout 0.5 \
                    --json --cxx g++-15 --sdk s --cache-dir c --no-cache -vv --platform a5sim \
                    --gdb --perf-map=m --device-machine aarch64 --device-cxx a-g++";
        let arguments = parse(line).unwrap();
        assert_eq!(arguments.case, ["x", "y"]);
        assert_eq!((arguments.block_dim, arguments.aicpu_threads), (Some(3), Some(4)));
        assert_eq!((arguments.rounds, arguments.verbose), (9, 2));
        assert_eq!(arguments.timeout, Some(Duration::from_millis(500)));
        assert_eq!(arguments.cxx.as_deref(), Some("g++-15"));
        let process = arguments.process(&Environment::default());
        assert_eq!(process, ProcessSettings::for_machine(Machine::Aarch64));
        assert_eq!(arguments.device_cxx.as_deref(), Some("a-g++"));
        let listing = CodeListing { gdb: true, perf_map: Some("m".into()) };
        assert_eq!(arguments.code_listing(), listing);
        assert_eq!((arguments.sdk, arguments.cache_dir), (Some("s".into()), Some("c".into())));
        assert!(arguments.json && arguments.no_cache);
        assert_eq!(arguments.platform, PlatformName::A5Sim);
        assert_eq!(parse("a").unwrap().platform, PlatformName::A2a3Sim);
    }

    #[test]
    fn the_map_for_perf_is_where_perf_looks_unless_a_folder_is_given() {
        // What follows the option is the callable, not a folder.
        let arguments = parse("--perf-map examples/vector_add").unwrap();
        assert_eq!(arguments.path, PathBuf::from("examples/vector_add"));
        assert_eq!(arguments.perf_map, Some("/tmp".into()));
        assert_eq!(parse("a").unwrap().code_listing(), CodeListing::default());
    }

    #[test]
    fn wrong_values_are_usage_errors_with_exit_code_2() {
        let wrong = [
            ("a --rounds 0", ErrorKind::ValueValidation),
            ("a --block-dim 0", ErrorKind::ValueValidation),
            ("a --timeout 0", ErrorKind::ValueValidation),
            ("a --timeout -1", ErrorKind::UnknownArgument),
            ("a --timeout soon", ErrorKind::ValueValidation),
            ("a --device-machine m68k", ErrorKind::ValueValidation),
            ("a --platform h100", ErrorKind::ValueValidation),
            ("a --colour", ErrorKind::UnknownArgument),
            ("--json", ErrorKind::MissingRequiredArgument),
        ];
        for (line, kind) in wrong {
            let error = parse(line).expect_err(line);
            assert_eq!((error.kind(), error.exit_code()), (kind, 2), "{line}");
        }
    }
}

//! The command `host-runner`: parses arguments, calls the library, prints. Nothing else.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

use host_runner::log;

use crate::cli::{Cli, Command, Environment};

mod cli;
mod command;
mod report;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let environment = Environment::read();
    let verbose = match &cli.command {
        Command::Run(arguments) => arguments.verbose,
        Command::Inspect(_) => 0,
    };
    start_log(verbose, &environment);
    for setting in &environment.ignored {
        tracing::warn!("{setting}");
    }
    // Messages quote shell commands, which must not be broken into lines.
    let layout = |_: &_| -> Box<dyn miette::ReportHandler> {
        Box::new(miette::MietteHandlerOpts::new().wrap_lines(false).build())
    };
    // The one error is that a hook is set already, which would do as well.
    let _ = miette::set_hook(Box::new(layout));
    let ended = match &cli.command {
        Command::Run(arguments) => command::run(arguments, &environment),
        Command::Inspect(arguments) => command::inspect::run(arguments, &environment),
    };
    let failure = match ended {
        Ok(code) => return code,
        Err(failure) => failure,
    };
    let (code, message) = (failure.code(), failure.message());
    let line = match &cli.command {
        Command::Run(arguments) => {
            arguments.json.then(|| report::json_failure(arguments.platform, code, &message))
        }
        Command::Inspect(arguments) => arguments
            .json
            .then(|| report::json_unread(&arguments.path.display().to_string(), code, message)),
    };
    if let Some(line) = line {
        // A reader that has gone away is told by the exit code alone.
        let _unread = writeln!(io::stdout(), "{line}");
    }
    let code = failure.exit_code();
    // As above.
    let _unread = writeln!(io::stderr(), "{:?}", failure.into_report());
    code
}

/// Sends the library's events to the standard error: warnings, or more with each `-v`.
fn start_log(verbose: u8, environment: &Environment) {
    let level = match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        2 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    if verbose >= 2 {
        log::forward_all();
    }
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(level)
        .with_ansi(io::stderr().is_terminal() && !environment.no_color)
        .with_target(false)
        .without_time()
        .init();
}

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
    let Command::Run(arguments) = &cli.command;
    start_log(arguments.verbose, &environment);
    for setting in &environment.ignored {
        tracing::warn!("{setting}");
    }
    // Messages quote shell commands, which must not be broken into lines.
    let layout = |_: &_| -> Box<dyn miette::ReportHandler> {
        Box::new(miette::MietteHandlerOpts::new().wrap_lines(false).build())
    };
    // The one error is that a hook is set already, which would do as well.
    let _ = miette::set_hook(Box::new(layout));
    match command::run(arguments, &environment) {
        Ok(code) => code,
        Err(failure) => {
            if arguments.json {
                let line = report::json_failure(failure.code(), &failure.message());
                // A reader that has gone away is told by the exit code alone.
                let _unread = writeln!(io::stdout(), "{line}");
            }
            let code = failure.exit_code();
            // As above.
            let _unread = writeln!(io::stderr(), "{:?}", failure.into_report());
            code
        }
    }
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

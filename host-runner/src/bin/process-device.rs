//! The program of a device in a process of its own: started by a host, which says what it is to do.
//!
//! By itself it is of no use: it needs the two files that a host makes for it.

use std::io::Write as _;
use std::os::fd::RawFd;
use std::process::ExitCode;

use clap::Parser;
use host_runner::device::process::program;
use protocol::ChipName;

/// A simulated device for a host in another process, which starts it: not to be started by hand.
#[derive(Debug, Parser)]
#[command(name = "process-device", version, about)]
struct Arguments {
    /// The chip: a2a3 or a5.
    #[arg(long, value_parser = parse_chip)]
    chip: ChipName,
    /// Descriptor of the file that host and device talk in.
    #[arg(long, value_name = "FD")]
    control: RawFd,
    /// Descriptor of the file that is the device's memory.
    #[arg(long, value_name = "FD")]
    memory: RawFd,
}

fn main() -> ExitCode {
    let Arguments { chip, control, memory } = Arguments::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .init();
    match program::serve(chip, control, memory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = format!("process-device: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            // A host that has gone reads nothing.
            let _unread = writeln!(std::io::stderr(), "{text}");
            ExitCode::FAILURE
        }
    }
}

fn parse_chip(name: &str) -> Result<ChipName, String> {
    let known = [ChipName::A2a3, ChipName::A5];
    let found = known.into_iter().find(|chip| chip.name() == name);
    found.ok_or_else(|| "there are a2a3 and a5".to_owned())
}

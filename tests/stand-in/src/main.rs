//! The daemon: see `stand_in::server`.

use std::process::ExitCode;

fn main() -> ExitCode {
    match stand_in::server::serve(std::env::args().skip(1)) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("stand-in-daemon: {error}");
            ExitCode::FAILURE
        }
    }
}

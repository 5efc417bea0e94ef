//! `host-runner inspect`: what the loader would do with a shared object, or why not.

use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;
use std::process::ExitCode;

use host_runner::inspect::{EntryNames, Inspection, inspect, inspect_graph};
use host_runner::runtime_name::RuntimeName;

use super::failure::Failure;
use super::write_out;
use crate::cli::{Environment, InspectArguments};
use crate::report::{self, Colour};

/// Files over this size are not read: 16 times what the loader takes.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Exit code for an image that the loader would refuse.
const EXIT_REFUSED: u8 = 4;

/// Does what `host-runner inspect` is asked to do; returns the exit code.
pub(crate) fn run(
    arguments: &InspectArguments,
    environment: &Environment,
) -> Result<ExitCode, Failure> {
    let path = &arguments.path;
    let file = read(path).map_err(|source| Failure::Read { path: path.clone(), source })?;
    let inspection = look_at(&file, arguments)?;
    let name = path.display().to_string();
    if arguments.json {
        write_out(&format!("{}\n", report::json_inspection(&name, &inspection)))?;
    } else {
        let is_plain = environment.no_color || !io::stdout().is_terminal();
        let colour = if is_plain { Colour::Plain } else { Colour::Ansi };
        write_out(&report::inspection::text(&name, &inspection, colour))?;
    }
    Ok(if inspection.loads { ExitCode::SUCCESS } else { ExitCode::from(EXIT_REFUSED) })
}

/// Looks at the file as the runtime would that the user names.
fn look_at(file: &[u8], arguments: &InspectArguments) -> Result<Inspection, Failure> {
    let InspectArguments { runtime, entry, config, .. } = arguments;
    let (entry, config) = (entry.as_deref(), config.as_deref());
    match (runtime, entry, config) {
        (RuntimeName::Trb, entry, config) => {
            let names = EntryNames::default();
            let (entry, config) = (entry.unwrap_or(names.entry), config.unwrap_or(names.config));
            Ok(inspect(file, EntryNames { entry, config }))
        }
        (RuntimeName::Hbg, Some(entry), None) => Ok(inspect_graph(file, entry)),
        (RuntimeName::Hbg, None, _) => {
            Err(Failure::Usage("hbg has no default entry; name the function with --entry"))
        }
        (RuntimeName::Hbg, _, Some(_)) => {
            Err(Failure::Usage("hbg calls no configuration function; leave --config out"))
        }
    }
}

/// Reads an ordinary file; a device or a pipe may have no end.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let refused = |why: String| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return refused("it is not an ordinary file".into());
    }
    if metadata.len() > FILE_BYTES_MAX {
        let bytes = metadata.len();
        return refused(format!("it has {bytes} bytes, more than {FILE_BYTES_MAX}; strip it"));
    }
    // It may grow while it is read.
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

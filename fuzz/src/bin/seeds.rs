//! Writes the seeds of a target to a folder: `seeds TARGET FOLDER`.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, folder] = &arguments[..] else {
        eprintln!("usage: seeds TARGET FOLDER");
        return ExitCode::FAILURE;
    };
    let Some(seeds) = fuzz::seeds(target) else {
        eprintln!("there is no target `{target}`");
        return ExitCode::FAILURE;
    };
    for (index, seed) in seeds.iter().enumerate() {
        let path = Path::new(folder).join(format!("seed-{index}"));
        if let Err(error) = std::fs::write(&path, seed) {
            eprintln!("cannot write {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

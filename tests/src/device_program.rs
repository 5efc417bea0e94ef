//! The program of a device in a process of its own, built when a test wants it.
//!
//! Cargo builds programs of a package for its own tests only, and these are of another one.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use host_runner::device::process::PROGRAM_NAME;
use host_runner::worker::{PlatformName, Worker, WorkerConfig};

/// A worker whose device is in a process of its own.
///
/// # Panics
///
/// Where there is no program for it, or it does not start.
#[track_caller]
pub fn open_process(platform: PlatformName) -> Worker {
    build();
    Worker::open(WorkerConfig::new(platform)).expect("the program of the device starts")
}

/// Builds the program as this one was built, once in a process.
///
/// # Panics
///
/// It does not build.
pub fn build() {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(cargo);
        command.current_dir(folder.parent().expect("the crate is below the repository's folder"));
        command.args(["build", "--quiet", "-p", "host-runner", "--bin", PROGRAM_NAME]);
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        let ended = command.status().expect("cargo starts");
        assert!(ended.success(), "the program of the device does not build");
    });
}

/// Numbers of the processes that this one has started and that have not gone, as the system lists them: zombies too.
pub fn children() -> Vec<u32> {
    let own = std::process::id();
    let tasks = std::fs::read_dir("/proc/self/task").expect("a folder of this process");
    let lists =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    let text: String = lists.collect::<Vec<_>>().join(" ");
    let numbers = text.split_whitespace().filter_map(|word| word.parse().ok());
    numbers.filter(|number| *number != own).collect()
}

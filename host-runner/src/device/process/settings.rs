//! Which program a device in a process of its own is, and how it is started.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use aicpu_executor::loader::Machine;

use crate::device::DeviceError;

/// Name of the program.
pub const PROGRAM_NAME: &str = "process-device";

/// Which program a device in a process of its own is, and for which machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessSettings {
    /// The machine that it is for. Another one than this is emulated.
    pub machine: Machine,
    /// The program; `None` looks for one where programs of this project are: see [`Self::find`].
    pub program: Option<PathBuf>,
    /// The emulator and its arguments, before the program; empty is `qemu-aarch64 -L /usr/aarch64-linux-gnu` for a
    /// machine that is another one, and nothing for this.
    pub emulator: Vec<OsString>,
}

/// What a simulated device is made with, wherever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceSettings {
    /// The seed of the interleaving; `None` is as it comes.
    pub interleaving_seed: Option<u64>,
    /// How long loading and unloading may take; zero is the default.
    pub unload_limit: Duration,
    /// How many processors the threads of a run use; zero is as many as there are.
    pub cores_used: usize,
}

impl Default for ProcessSettings {
    fn default() -> Self {
        Self { machine: Machine::native(), program: None, emulator: Vec::new() }
    }
}

/// Name of a machine, as compilers have it.
#[must_use]
pub const fn machine_name(machine: Machine) -> &'static str {
    match machine {
        Machine::X86_64 => "x86_64",
        Machine::Aarch64 => "aarch64",
    }
}

impl ProcessSettings {
    /// Settings for a machine.
    #[must_use]
    pub fn for_machine(machine: Machine) -> Self {
        Self { machine, ..Self::default() }
    }

    /// The same with a program; `None` looks for one.
    #[must_use]
    pub fn with_program(self, program: Option<PathBuf>) -> Self {
        Self { program, ..self }
    }

    /// Whether the program is run by an emulator.
    #[must_use]
    pub fn is_emulated(&self) -> bool {
        self.machine != Machine::native() || !self.emulator.is_empty()
    }

    /// The program: the one that was named, else `process-device` beside the running program, or
    /// `device/MACHINE/process-device` beside that or in the folder above, where `cargo xtask build-device` puts it.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Program`], with where it was looked for.
    pub fn find(&self) -> Result<PathBuf, DeviceError> {
        if let Some(program) = &self.program {
            return Ok(program.clone());
        }
        let own = std::env::current_exe().map_err(|error| DeviceError::Program {
            reason: format!(
                "the path of the running program is unknown ({error}); name the device's"
            ),
        })?;
        first_of(&candidates(&own, self.machine), self.machine)
    }

    /// The command that starts the program for a chip.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub fn command(&self, chip: &str) -> Result<Command, DeviceError> {
        let program = self.find()?;
        let emulator: Vec<OsString> = match (&self.emulator[..], self.machine) {
            ([], Machine::Aarch64) if self.is_emulated() => {
                ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"].map(OsString::from).to_vec()
            }
            ([], Machine::X86_64) if self.is_emulated() => vec!["qemu-x86_64".into()],
            (given, _) => given.to_vec(),
        };
        let mut words = emulator.into_iter().chain([program.into_os_string()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).args(["--chip", chip]);
        Ok(command)
    }
}

/// Where the program may be, seen from a program of the same build.
fn candidates(own: &Path, machine: Machine) -> Vec<PathBuf> {
    // Tests are in `deps`, below the folder of the other programs.
    let folders: Vec<&Path> = own.ancestors().skip(1).take(3).collect();
    let beside = folders.iter().take(2).map(|folder| folder.join(PROGRAM_NAME));
    let beside = beside.filter(|_| machine == Machine::native());
    let of_machine = Path::new("device").join(machine_name(machine)).join(PROGRAM_NAME);
    beside.chain(folders.iter().map(|folder| folder.join(&of_machine))).collect()
}

/// The first of these places where there is a program.
fn first_of(candidates: &[PathBuf], machine: Machine) -> Result<PathBuf, DeviceError> {
    let found = candidates.iter().find(|path| path.is_file());
    found.cloned().ok_or_else(|| {
        let machine = machine_name(machine);
        let places: Vec<_> = candidates.iter().map(|it| it.display().to_string()).collect();
        let reason = format!(
            "there is no {PROGRAM_NAME} for {machine} at {}; build it with `cargo xtask build-device \
             --target {machine}-unknown-linux-gnu`, or name it (SIMPLER_DEVICE_PROGRAM)",
            places.join(", ")
        );
        DeviceError::Program { reason }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: Machine = match Machine::native() {
        Machine::X86_64 => Machine::Aarch64,
        Machine::Aarch64 => Machine::X86_64,
    };

    #[test]
    fn the_program_is_looked_for_beside_its_host_and_where_it_is_built() {
        let own = Path::new("/t/debug/deps/tests-1");
        let found = candidates(own, Machine::native());
        assert_eq!(found[0], Path::new("/t/debug/deps/process-device"));
        assert_eq!(found[1], Path::new("/t/debug/process-device"));
        let of_other = candidates(own, OTHER);
        let name = machine_name(OTHER);
        assert!(of_other.contains(&PathBuf::from(format!("/t/device/{name}/process-device"))));
        assert!(!of_other.contains(&found[1]), "that one is for this machine");
    }

    #[test]
    fn another_machine_is_emulated_and_a_missing_program_says_how_to_build_it() {
        let settings = ProcessSettings::for_machine(OTHER).with_program(Some("/p".into()));
        let command = settings.command("a5").unwrap();
        assert!(settings.is_emulated());
        assert!(command.get_program().to_string_lossy().starts_with("qemu-"));
        let words: Vec<_> = command.get_args().map(|it| it.to_string_lossy()).collect();
        assert_eq!(words[words.len() - 3..], ["/p", "--chip", "a5"]);
        let native = ProcessSettings::default().with_program(Some("/p".into()));
        assert_eq!(native.command("a5").unwrap().get_program(), "/p");
        // Not beside this program, where somebody may have built one.
        let nowhere = candidates(Path::new("/nonexistent/debug/deps/tests-1"), OTHER);
        let missing = first_of(&nowhere, OTHER).unwrap_err().to_string();
        assert!(missing.contains("cargo xtask build-device"), "{missing}");
    }
}

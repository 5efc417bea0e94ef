//! The tools for programs of another machine: which compiler, linker and emulator.
//!
//! `rust-toolchain.toml` names no targets, since rustup would then want the network for every build. So the
//! libraries of another machine are looked for here, in this order:
//!
//! | where | what |
//! |---|---|
//! | the folder that `AICPU_TOOLCHAIN` names | a private toolchain, made by `--fetch-toolchain` |
//! | the workspace's own rustc | the target is installed: `rustup target add …` |
//! | `target/cross-toolchain` | a private toolchain, where `--fetch-toolchain` puts it |
//!
//! A private toolchain is a compiler of its own: nothing that it builds mixes with what the workspace's
//! compiler builds, so its builds have a target folder of their own.
//!
//! Rust code without std needs no more than that, because rust-lld links for every machine. Programs with std
//! and C++ code need the cross compilers of Debian (`g++-aarch64-linux-gnu`), and to be run here an
//! emulator (`qemu-user`).

mod fetch;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::{cargo, output_of, root};

pub(crate) use fetch::fetch;

/// Names the folder of a private toolchain.
const FOLDER_VARIABLE: &str = "AICPU_TOOLCHAIN";

/// Outlined atomics ask the C library which processor this is, in a constructor.
const NO_OUTLINED_ATOMICS: &str = "-Ctarget-feature=-outline-atomics";

/// A machine that programs are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Machine {
    /// Linux on x86-64.
    #[value(name = "x86_64-unknown-linux-gnu", alias = "x86_64")]
    X86_64,
    /// Linux on aarch64, which the AICPU is.
    #[value(name = "aarch64-unknown-linux-gnu", alias = "aarch64")]
    Aarch64,
}

impl Machine {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// The machine that this program runs on.
    ///
    /// # Errors
    ///
    /// It is none that the project knows.
    pub(crate) fn host() -> Result<Self> {
        let text = output_of(Command::new(rustc()).arg("-vV"))?;
        let triple = text.lines().find_map(|line| line.strip_prefix("host: "));
        let triple = triple.context("`rustc -vV` names no host")?;
        let known = Self::ALL.into_iter().find(|machine| machine.triple() == triple);
        known.with_context(|| format!("nothing can be built for {triple} here"))
    }

    /// The compiler's name of it.
    pub(crate) const fn triple(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The name of its processor, which folders of built files have.
    pub(crate) const fn processor(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The linker's name of it.
    pub(crate) const fn emulation(self) -> &'static str {
        match self {
            Self::X86_64 => "elf_x86_64",
            Self::Aarch64 => "aarch64linux",
        }
    }

    /// What the compiler is told for code that is linked without a C library.
    pub(crate) const fn freestanding_flags(self) -> &'static [&'static str] {
        match self {
            Self::X86_64 => &[],
            Self::Aarch64 => &[NO_OUTLINED_ATOMICS],
        }
    }
}

/// A compiler with the libraries of a machine.
#[derive(Debug, Clone)]
pub(crate) struct Toolchain {
    machine: Machine,
    is_host: bool,
    /// The private compiler; `None` is the workspace's own.
    private: Option<PathBuf>,
}

impl Toolchain {
    /// Looks for a compiler for a machine; `None` where there is none, which [`how_to_get`] helps with.
    ///
    /// # Errors
    ///
    /// The workspace's compiler does not work, or `AICPU_TOOLCHAIN` names no toolchain for it.
    pub(crate) fn find(machine: Machine) -> Result<Option<Self>> {
        if machine == Machine::host()? {
            return Ok(Some(Self { machine, is_host: true, private: None }));
        }
        let is_host = false;
        if let Some(folder) = std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from) {
            let compiler = compiler_in(&folder);
            if !compiler.is_file() || !has_target(compiler.as_os_str(), machine)? {
                let (folder, triple) = (folder.display(), machine.triple());
                bail!(
                    "{FOLDER_VARIABLE} names {folder}, where no bin/rustc has the libraries of {triple}"
                );
            }
            return Ok(Some(Self { machine, is_host, private: Some(compiler) }));
        }
        if has_target(&rustc(), machine)? {
            return Ok(Some(Self { machine, is_host, private: None }));
        }
        let compiler = compiler_in(&private_folder());
        let has_one = compiler.is_file() && has_target(compiler.as_os_str(), machine)?;
        Ok(has_one.then_some(Self { machine, is_host, private: Some(compiler) }))
    }

    /// The machine that it builds for.
    pub(crate) fn machine(&self) -> Machine {
        self.machine
    }

    /// Where what this builds is, below the folder of `profile`.
    pub(crate) fn built_in(&self, profile: &str) -> PathBuf {
        match self.own_target_folder() {
            None => target_folder().join(profile),
            Some(folder) => folder.join(self.machine.triple()).join(profile),
        }
    }

    /// Cargo, set to build for the machine with this compiler.
    ///
    /// Programs with std are linked by the C compiler for the machine, and run by its emulator.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = cargo(arguments);
        let Some(folder) = self.own_target_folder() else { return command };
        if let Some(compiler) = &self.private {
            command.env("RUSTC", compiler);
        }
        command.args(["--target", self.machine.triple(), "--target-dir"]).arg(folder);
        let variable = |what: &str| {
            let triple = self.machine.triple().replace('-', "_").to_uppercase();
            format!("CARGO_TARGET_{triple}_{what}")
        };
        command.env(variable("LINKER"), c_compiler(self.machine));
        if let Some(emulator) = emulator(self.machine) {
            command.env(variable("RUNNER"), emulator.join(" "));
        }
        command
    }

    /// Has another run of this program use the same private compiler.
    pub(crate) fn pass_to(&self, command: &mut Command) {
        // DIR/bin/rustc, as `compiler_in` has it.
        let folder = self.private.as_deref().and_then(Path::parent).and_then(Path::parent);
        if let Some(folder) = folder {
            command.env(FOLDER_VARIABLE, folder);
        }
    }

    /// The folder of builds that mix with none of the workspace's; `None` for this machine.
    fn own_target_folder(&self) -> Option<PathBuf> {
        (!self.is_host).then(|| target_folder().join("cross"))
    }
}

/// What was asked for cannot be done on this machine; the text says what to install. Programs that call this one
/// tell it by the exit code from what has failed.
#[derive(Debug)]
pub(crate) struct NotHere(pub(crate) String);

impl std::fmt::Display for NotHere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotHere {}

/// What to do where [`Toolchain::find`] finds nothing.
pub(crate) fn how_to_get(machine: Machine) -> String {
    let triple = machine.triple();
    format!(
        "no compiler here has the libraries of {triple}; run `rustup target add {triple}`, or, where \
         there are Debian packages, `cargo xtask build-aicpu --fetch-toolchain`"
    )
}

/// The linker that comes with rustc, or LLVM's from the system; both link for every machine.
///
/// # Errors
///
/// There is neither.
pub(crate) fn linker() -> Result<Command> {
    let sysroot = output_of(Command::new(rustc()).args(["--print", "sysroot"]))?;
    let libraries = Path::new(sysroot.trim()).join("lib/rustlib").join(Machine::host()?.triple());
    let rust_lld = libraries.join("bin/rust-lld");
    if rust_lld.is_file() {
        let mut command = Command::new(rust_lld);
        command.args(["-flavor", "gnu"]);
        return Ok(command);
    }
    if !is_program("ld.lld") {
        bail!("neither rust-lld in the folder of rustc nor ld.lld on the PATH: install lld");
    }
    Ok(Command::new("ld.lld"))
}

/// The C compiler for a machine, which also links programs with std.
pub(crate) fn c_compiler(machine: Machine) -> String {
    format!("{}-linux-gnu-gcc", machine.processor())
}

/// The C++ compiler for a machine.
pub(crate) fn cxx_compiler(machine: Machine) -> String {
    format!("{}-linux-gnu-g++", machine.processor())
}

/// Why programs with std, and code of users, cannot be built for a machine here, and what to do; `None` if they
/// can.
pub(crate) fn why_no_programs(machine: Machine) -> Result<Option<String>> {
    if machine == Machine::host()? {
        return Ok(None);
    }
    let compilers = [c_compiler(machine), cxx_compiler(machine)];
    let missing = compilers.iter().find(|compiler| !is_program(compiler));
    let install = format!("install g++-{}-linux-gnu", machine.processor());
    Ok(missing.map(|compiler| format!("no {compiler}; {install}")))
}

/// The program, with its arguments, that runs programs of a machine here; `None` where there is none, or
/// none is needed.
pub(crate) fn emulator(machine: Machine) -> Option<Vec<String>> {
    let program = format!("qemu-{}", machine.processor());
    let libraries = format!("/usr/{}-linux-gnu", machine.processor());
    is_program(&program).then(|| vec![program, String::from("-L"), libraries])
}

/// Why programs of a machine cannot be run here, and what to do; `None` if they can.
pub(crate) fn why_no_emulator(machine: Machine) -> Result<Option<String>> {
    if machine == Machine::host()? || emulator(machine).is_some() {
        return Ok(None);
    }
    let processor = machine.processor();
    Ok(Some(format!("no qemu-{processor}; install qemu-user")))
}

/// Whether a program is there that can tell its version.
fn is_program(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The compiler that cargo uses.
fn rustc() -> OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"))
}

/// The compiler of a private toolchain.
fn compiler_in(folder: &Path) -> PathBuf {
    folder.join("bin/rustc")
}

/// Where `--fetch-toolchain` puts a toolchain.
fn private_folder() -> PathBuf {
    target_folder().join("cross-toolchain")
}

/// The folder that cargo builds into.
pub(crate) fn target_folder() -> PathBuf {
    let named = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    root().join(named.unwrap_or_else(|| PathBuf::from("target")))
}

/// Whether a compiler has the libraries of a machine.
fn has_target(compiler: &std::ffi::OsStr, machine: Machine) -> Result<bool> {
    let arguments = ["--print", "target-libdir", "--target", machine.triple()];
    let folder = output_of(Command::new(compiler).args(arguments))?;
    let Ok(entries) = fs::read_dir(folder.trim()) else { return Ok(false) };
    Ok(entries.flatten().any(|entry| entry.file_name().as_encoded_bytes().starts_with(b"libcore-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_that_this_program_was_compiled_for_is_the_host_and_needs_nothing() {
        let host = Machine::host().unwrap();
        assert_eq!(host.processor(), std::env::consts::ARCH);
        let toolchain = Toolchain::find(host).unwrap().expect("the workspace's own compiler");
        assert_eq!(toolchain.machine(), host);
        assert!(toolchain.built_in("release").ends_with("release"));
        assert_eq!(why_no_programs(host).unwrap(), None);
        assert_eq!(why_no_emulator(host).unwrap(), None);
    }

    #[test]
    fn builds_for_another_machine_have_a_folder_of_their_own_and_its_linker() {
        let other = Machine::ALL.into_iter().find(|&machine| machine != Machine::host().unwrap());
        let machine = other.unwrap();
        let compiler = Some(PathBuf::from("/a/bin/rustc"));
        let toolchain = Toolchain { machine, is_host: false, private: compiler };
        assert!(toolchain.built_in("x").ends_with(format!("cross/{}/x", machine.triple())));
        let command = toolchain.cargo(&["build"]);
        let set: Vec<_> =
            command.get_envs().filter_map(|(name, value)| Some((name, value?))).collect();
        assert!(set.iter().any(|(name, value)| *name == "RUSTC" && *value == "/a/bin/rustc"));
        let linker = c_compiler(machine);
        assert!(set.iter().any(|(_, value)| **value == *linker), "{set:?}");
    }

    #[test]
    fn what_is_missing_is_named_with_the_command_that_brings_it() {
        let text = how_to_get(Machine::Aarch64);
        assert!(text.contains("rustup target add aarch64-unknown-linux-gnu"), "{text}");
        assert!(text.contains("--fetch-toolchain"), "{text}");
    }
}

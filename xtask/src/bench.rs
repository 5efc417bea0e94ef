//! `cargo xtask bench NAME`: the benches, as a table; each is a program that measures and prints.
//!
//! A bench runs in release, takes `--json FILE` and `--quick`, and fails only if what it measures
//! works wrongly: a figure that misses its target is for people, since machines are noisy.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::process::{cargo, run as run_command};

/// One bench.
struct Bench {
    name: &'static str,
    purpose: &'static str,
    program: Program,
}

/// The program that measures.
enum Program {
    /// A `[[bench]]` of a package.
    Target { package: &'static str, target: &'static str },
    /// The program of the package `benches`, which knows the bench by its name.
    Benches,
}

/// All benches.
const BENCHES: &[Bench] = &[
    Bench {
        name: "loader",
        purpose: "loads of shared objects, against dlopen and others",
        program: Program::Target { package: "host-runner", target: "loader" },
    },
    Bench {
        name: "run",
        purpose: "one warm run of one task: time, allocations, system calls",
        program: Program::Benches,
    },
    Bench {
        name: "tasks",
        purpose: "many tasks in one run, and how their cost grows",
        program: Program::Benches,
    },
    Bench {
        name: "register",
        purpose: "an orchestration of 400 KB and its kernel, loaded on the device",
        program: Program::Benches,
    },
    Bench {
        name: "graph",
        purpose: "graphs that are built on the host: new, known, replayed",
        program: Program::Benches,
    },
    Bench {
        name: "memory",
        purpose: "memory of a worker, idle and busy, and whether it rests",
        program: Program::Benches,
    },
    Bench {
        name: "instructions",
        purpose: "instructions of the hot paths, under valgrind, against limits",
        program: Program::Benches,
    },
    Bench {
        name: "all",
        purpose: "all of these but loader and instructions, in one file",
        program: Program::Benches,
    },
];

/// What a bench is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wishes<'a> {
    /// Where the figures go as well, as JSON.
    pub(crate) json: Option<&'a Path>,
    /// Earlier figures, to print the change.
    pub(crate) compare: Option<&'a Path>,
    /// Whether a few seconds must do.
    pub(crate) is_quick: bool,
}

/// Runs a bench with `rest` passed on to it.
///
/// # Errors
///
/// A name that is no bench, a path that cannot be made absolute, or a bench that fails.
pub(crate) fn run(name: &str, wishes: Wishes<'_>, rest: &[String]) -> Result<()> {
    let Some(bench) = BENCHES.iter().find(|bench| bench.name == name) else {
        let known: Vec<_> = BENCHES.iter().map(|bench| bench.name).collect();
        bail!("there is no bench `{name}`; there are {}", known.join(", "));
    };
    eprintln!("== {}: {}", bench.name, bench.purpose);
    let mut command = match bench.program {
        Program::Target { package, target } => {
            cargo(&["bench", "-p", package, "--bench", target, "--"])
        }
        Program::Benches => cargo(&["run", "--release", "-p", "benches", "--", bench.name]),
    };
    for (flag, file) in [("--json", wishes.json), ("--compare", wishes.compare)] {
        let Some(file) = file else { continue };
        // The bench runs in another folder than the caller.
        let file = std::path::absolute(file)
            .with_context(|| format!("cannot make {} absolute", file.display()))?;
        command.arg(flag).arg(file);
    }
    if wishes.is_quick {
        command.arg("--quick");
    }
    run_command(command.args(rest))
}

/// Runs every bench for a few seconds.
///
/// # Errors
///
/// A bench fails.
pub(crate) fn run_all_quickly() -> Result<()> {
    let wishes = Wishes { is_quick: true, ..Wishes::default() };
    ["loader", "all"].iter().try_for_each(|name| run(name, wishes, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_bench_that_does_not_exist_and_names_those_that_do() {
        let error = run("no_such_bench", Wishes::default(), &[]).unwrap_err().to_string();
        assert!(error.contains("`no_such_bench`") && error.contains("loader"), "{error}");
    }

    #[test]
    fn each_bench_is_a_target_of_its_package() {
        for bench in BENCHES {
            let Program::Target { package, target } = bench.program else { continue };
            let manifest = crate::process::root().join(package).join("Cargo.toml");
            let text = std::fs::read_to_string(&manifest).unwrap();
            let entry = format!("[[bench]]\nname = \"{target}\"\nharness = false\n");
            assert!(text.contains(&entry), "{} in {}", bench.name, manifest.display());
        }
    }
}

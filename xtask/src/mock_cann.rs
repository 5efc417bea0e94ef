//! An installation of the mock of the vendor's libraries, for programs that run on chips.
//!
//! ```text
//!  target/mock-cann/MACHINE ┬ lib64/libascendcl.so, libruntime.so, libascend_hal.so ─▶ the mock
//!                           ├ PROCESSOR ─▶ the AICPU programs
//!                           └ aicore/CHIP/aicore.o: stands for a program that only the vendor's compiler makes
//! ```

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use protocol::ChipName;

use crate::cross::{self, Machine};
use crate::process::{cargo, run};
use crate::{firmware, stand_in};

/// Under which names the mock is looked for.
const LIBRARIES: [&str; 3] = ["libascendcl.so", "libruntime.so", "libascend_hal.so"];

/// An installation, and whom it is for.
#[derive(Debug)]
pub(crate) struct MockCann {
    folder: PathBuf,
    daemon: PathBuf,
    /// `native` or `aarch64`.
    machine: String,
}

impl MockCann {
    /// Builds everything and puts it where it is looked for.
    ///
    /// # Errors
    ///
    /// Something does not build, or this machine lacks what that takes.
    pub(crate) fn set_up(machine: &str) -> Result<Self> {
        let of_chip = match machine {
            "native" => Machine::host()?,
            "aarch64" => Machine::Aarch64,
            other => bail!("--cann {other}: there are native and aarch64"),
        };
        firmware::build_onboard(of_chip)?;
        let daemon = stand_in::build(Some(of_chip))?;
        run(&mut cargo(&["build", "--quiet", "-p", "mock-cann"]))?;
        let mock = cross::target_folder().join("debug/libmock_cann.so");
        let folder = cross::target_folder().join("mock-cann").join(machine);
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot clear {}", folder.display()))?;
        }
        for name in LIBRARIES {
            link(&mock, &folder.join("lib64").join(name))?;
        }
        let processor = of_chip.processor();
        link(&firmware::default_folder().join(processor), &folder.join(processor))?;
        for chip in [ChipName::A2a3, ChipName::A5] {
            // The mock wants an ELF file; what would be in it, the stand-in's cores know.
            link(&mock, &folder.join("aicore").join(chip.name()).join("aicore.o"))?;
        }
        Ok(Self { folder, daemon, machine: machine.to_owned() })
    }

    /// Has a program find it.
    pub(crate) fn pass_to(&self, command: &mut Command) {
        command
            .env("ASCEND_HOME_PATH", &self.folder)
            .env("AICPU_IMAGES", &self.folder)
            .env("MOCK_CANN_MACHINE", &self.machine)
            .env("MOCK_CANN_DAEMON", &self.daemon)
            .env("MOCK_CANN_REPORT", self.report());
    }

    /// Looks whether a rule was broken.
    ///
    /// # Errors
    ///
    /// One was.
    pub(crate) fn check(&self) -> Result<()> {
        match fs::read_to_string(self.report()) {
            Ok(report) => {
                bail!("the vendor's functions were not called as they must be:\n{report}")
            }
            Err(_nothing_was_reported) => Ok(()),
        }
    }

    fn report(&self) -> PathBuf {
        self.folder.join("violations.txt")
    }
}

/// Puts a link to a file or folder where it is looked for.
fn link(to: &Path, at: &Path) -> Result<()> {
    let folder = at.parent().unwrap_or(at);
    let linked = fs::create_dir_all(folder).and_then(|()| symlink(to, at));
    linked.with_context(|| format!("cannot link {} to {}", at.display(), to.display()))
}

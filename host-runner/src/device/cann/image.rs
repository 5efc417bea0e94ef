//! The programs that a device of the vendor runs for us: the AICPU's executor and the cores' loop.
//!
//! They are files, since they are built for other machines than this one.

use std::path::{Path, PathBuf};

use aicpu_executor::loader::Machine;
use protocol::ChipName;

use super::error::CannError;
use crate::device::ImageError;
use crate::device::image;
use crate::device::process::machine_name;
use crate::registry::content::ContentKey;

/// What a device of the vendor is opened with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CannConfig {
    /// Where CANN is installed; `None`: where the system finds its libraries.
    pub home: Option<PathBuf>,
    /// The folder of the AICPU programs, as `cargo xtask build-aicpu` lays it out; `None`: `aicpu`
    /// beside the program.
    pub aicpu_images: Option<PathBuf>,
    /// The machine that the AICPU is. A chip's is an aarch64; stand-ins for one are what they are.
    pub aicpu_machine: Machine,
    /// Which device.
    pub device: u16,
}

/// A program, read from its file.
#[derive(Debug, Clone)]
pub struct ProgramImage {
    /// Where it was.
    pub path: PathBuf,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// What the driver's server calls in the AICPU program.
const ENTRY: &str = "DynTileFwkBackendKernelServer";

impl Default for CannConfig {
    fn default() -> Self {
        Self { home: None, aicpu_images: None, aicpu_machine: Machine::Aarch64, device: 0 }
    }
}

impl CannConfig {
    /// Reads the AICPU program for a chip.
    ///
    /// # Errors
    ///
    /// [`CannError::NoImage`] and [`CannError::BadImage`].
    pub fn aicpu_program(&self, chip: ChipName) -> Result<ProgramImage, CannError> {
        const WHAT: &str = "AICPU program";
        let machine = machine_name(self.aicpu_machine);
        let file: PathBuf = [machine, chip.name(), "onboard", "libaicpu.so"].iter().collect();
        let remedy = format!(
            "build it with `cargo xtask build-aicpu --target {machine}-unknown-linux-gnu --abi onboard \
             --chip {chip}` and have AICPU_IMAGES name the folder that it says"
        );
        let program = self.read(WHAT, chip, &file, remedy)?;
        image::check_for(self.aicpu_machine, &program.bytes, ENTRY)
            .map_err(|error| bad(WHAT, &program.path, &error))?;
        Ok(program)
    }

    /// Reads the program of the cores for a chip.
    ///
    /// # Errors
    ///
    /// As [`aicpu_program`](Self::aicpu_program).
    pub fn core_program(&self, chip: ChipName) -> Result<ProgramImage, CannError> {
        const WHAT: &str = "program of the cores";
        let file: PathBuf = ["aicore", chip.name(), "aicore.o"].iter().collect();
        let remedy = "compile the cores' loop with the vendor's compiler (docs/cann.md says which \
                      loop) and put it beside the AICPU programs"
            .to_owned();
        let program = self.read(WHAT, chip, &file, remedy)?;
        image::check_header(&program.bytes).map_err(|error| bad(WHAT, &program.path, &error))?;
        Ok(program)
    }

    fn read(
        &self,
        what: &'static str,
        chip: ChipName,
        file: &Path,
        remedy: String,
    ) -> Result<ProgramImage, CannError> {
        let mut tried = Vec::new();
        for folder in self.folders() {
            let path = folder.join(file);
            match std::fs::read(&path) {
                Ok(bytes) => return Ok(ProgramImage { path, bytes }),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => tried.push(path),
                Err(error) => {
                    let reason = error.to_string();
                    return Err(CannError::BadImage { what, path, reason });
                }
            }
        }
        Err(CannError::NoImage { what, chip: chip.name(), remedy, tried })
    }

    /// Where programs are looked for.
    fn folders(&self) -> Vec<PathBuf> {
        match &self.aicpu_images {
            Some(folder) => vec![folder.clone()],
            None => {
                let program = std::env::current_exe().ok();
                let folder = program.as_deref().and_then(Path::parent);
                folder.map(|folder| folder.join("aicpu")).into_iter().collect()
            }
        }
    }
}

impl ProgramImage {
    /// What tells it from another one.
    pub fn hash(&self) -> u128 {
        ContentKey::of(&self.bytes).hash
    }
}

fn bad(what: &'static str, path: &Path, error: &ImageError) -> CannError {
    CannError::BadImage { what, path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests;

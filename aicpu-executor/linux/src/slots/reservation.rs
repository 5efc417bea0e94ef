//! Takes the address space of slots once, and decides how images will get into them.
//!
//! It exists apart because it is the only part that asks what this system allows. Each mode is
//! tried with the very call that it depends on later: making a page executable.

use core::ffi::CStr;

use aicpu_executor::loader::{MemoryError, MemoryOperation, Protection};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::anonymous::Anonymous;
use super::config::{SlotConfig, SlotMode};
use super::dual_mapped::DualMapped;
use super::failure::{refused, warn};
use super::region::Region;
use super::slot::{Backing, Slot};
use super::view::Pieces;

/// What the file is called in the list of mappings.
const FILE_NAME: &CStr = c"orchestrations";

/// Reserved memory, cut into slots one by one.
#[derive(Debug)]
pub(super) struct Reservation {
    config: SlotConfig,
    views: Views,
}

/// The address space by mode.
#[derive(Debug)]
enum Views {
    DualMapped { code: Pieces, writer: Pieces },
    Anonymous(Pieces),
}

impl Reservation {
    /// Reserves `count` slots in the first mode that works.
    ///
    /// # Errors
    ///
    /// The error of the last mode that the configuration allows; its length is the address space
    /// that was asked for.
    pub(super) fn new(config: SlotConfig, count: usize) -> Result<Self, MemoryError> {
        if !config.is_valid() {
            return Err(refused(MemoryOperation::Reserve, 0, config.slot_bytes));
        }
        let views = match config.mode {
            SlotMode::DualMapped => dual_mapped(&config, count),
            SlotMode::Anonymous | SlotMode::Staged => anonymous(&config, count),
            SlotMode::Auto => dual_mapped(&config, count).or_else(|error| {
                warn(format_args!("no dual mapping ({error}): private memory for orchestrations"));
                anonymous(&config, count)
            }),
        };
        Ok(Self { config, views: views? })
    }

    /// Cuts off the next slot.
    pub(super) fn next_slot(&mut self) -> Slot {
        let slot_bytes = self.config.slot_bytes;
        let backing = match &mut self.views {
            Views::DualMapped { code, writer } => match (code.next(), writer.next()) {
                (Some(code), Some(writer)) => {
                    Some(Backing::DualMapped(DualMapped::new(code, writer, self.config)))
                }
                _ => None,
            },
            Views::Anonymous(pieces) => {
                pieces.next().map(|view| Backing::Anonymous(Anonymous::new(view, self.config)))
            }
        };
        let error = refused(MemoryOperation::Reserve, 0, slot_bytes);
        Slot::new(backing.unwrap_or(Backing::Unavailable(error)), slot_bytes)
    }
}

/// The error of a call about `bytes` bytes of address space.
fn failed(bytes: usize) -> impl Fn(Errno) -> MemoryError {
    move |error| MemoryError {
        os_error: error.raw_os_error(),
        ..refused(MemoryOperation::Reserve, 0, bytes)
    }
}

/// Two views of one file in memory. No descriptor of it stays open.
fn dual_mapped(config: &SlotConfig, count: usize) -> Result<Views, MemoryError> {
    let bytes = Pieces::region_bytes(count, config.slot_bytes);
    let failed = failed(bytes);
    let file = memory_file(bytes).map_err(&failed)?;
    let region = Region::shared(file.as_fd(), bytes).map_err(&failed)?;
    region.try_rights(&[Protection::READ | Protection::EXECUTE]).map_err(&failed)?;
    let code = Pieces::new(region, count, config.slot_bytes);
    let writer = Region::shared(file.as_fd(), bytes).map_err(&failed)?;
    // Cut at the same offsets of the file.
    let writer = code.cut_alike(writer);
    Ok(Views::DualMapped { code, writer })
}

/// Private memory.
fn anonymous(config: &SlotConfig, count: usize) -> Result<Views, MemoryError> {
    let bytes = Pieces::region_bytes(count, config.slot_bytes);
    let failed = failed(bytes);
    let region = Region::anonymous(bytes).map_err(&failed)?;
    let (write, execute) = (Protection::READ | Protection::WRITE, Protection::EXECUTE);
    region.try_rights(&[write, execute]).map_err(&failed)?;
    Ok(Views::Anonymous(Pieces::new(region, count, config.slot_bytes)))
}

/// A file of `bytes` bytes in memory, without pages yet, whose length nobody can change.
fn memory_file(bytes: usize) -> Result<OwnedFd, Errno> {
    // CAST: usize is 64 bits on the supported targets.
    let length = bytes as u64;
    if getrlimit(Resource::Fsize).current.is_some_and(|limit| limit < length) {
        // The system would end the process with a signal.
        return Err(Errno::FBIG);
    }
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = match memfd_create(FILE_NAME, flags | MemfdFlags::EXEC) {
        // Linux before 6.3 knows no such flag, and every file is executable.
        Err(Errno::INVAL) => memfd_create(FILE_NAME, flags),
        file => file,
    }?;
    ftruncate(&file, length)?;
    // A file that shrinks under its mapping would be a fault at any later access.
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

//! Takes the address space of slots once, and decides how images will get into them.
//!
//! It exists apart because it is the only part that asks what this system allows. Each mode is
//! tried with the very call that it depends on later: making a page executable.

use aicpu_executor::loader::{MemoryError, MemoryOperation, Protection};
use protocol::MAX_REGISTERED_CALLABLE_IDS;
use rustix::fd::AsFd;
use rustix::io::Errno;

use super::anonymous::Anonymous;
use super::code_files::MemoryFiles;
use super::config::{SlotConfig, SlotMode, WriterView};
use super::dual_mapped::DualMapped;
use super::failure::{refused, warn};
use super::mapped::Mapped;
use super::memory_file;
use super::region::Region;
use super::slot::{Backing, Slot};
use super::staged::Staged;
use super::staging_files::LinuxFiles;
use super::view::{Pieces, View};
use super::written::Written;

/// Reserved memory, cut into slots one by one.
#[derive(Debug)]
pub(super) struct Reservation {
    config: SlotConfig,
    views: Views,
    /// Whether the slots belong to callable ids.
    is_arena: bool,
    /// Index of the next slot.
    next: usize,
}

/// The address space by mode.
#[derive(Debug)]
enum Views {
    DualMapped { code: Pieces, writer: Pieces },
    Written { code: Pieces, draft: Pieces },
    Anonymous(Pieces),
    Staged(Pieces),
}

impl Views {
    /// How many slots are left in it.
    const fn count(&self) -> usize {
        let (Self::DualMapped { code, .. }
        | Self::Written { code, .. }
        | Self::Anonymous(code)
        | Self::Staged(code)) = self;
        code.left()
    }
}

impl Reservation {
    /// Reserves slots in the mode that is asked for, or the first that works: as many as the first of
    /// `counts` says for which the system gives the address space.
    ///
    /// # Errors
    ///
    /// The error of the last mode that the configuration allows, for the last of `counts`; its length
    /// is the address space that was asked for.
    pub(super) fn new(config: SlotConfig, counts: &[usize]) -> Result<Self, MemoryError> {
        if !config.is_valid() {
            return Err(refused(MemoryOperation::Reserve, 0, config.slot_bytes));
        }
        let views = match config.mode {
            SlotMode::Auto => first_that_works(&config, counts),
            SlotMode::DualMapped => most(counts, |count| shared(&config, count)),
            SlotMode::Anonymous => {
                most(counts, |count| private(&config, count).map(Views::Anonymous))
            }
            SlotMode::Staged => most(counts, |count| private(&config, count).map(Views::Staged)),
        }?;
        let is_arena = views.count() > 1;
        Ok(Self { config, views, is_arena, next: 0 })
    }

    /// Returns how many slots have not been cut off yet.
    pub(super) const fn count(&self) -> usize {
        self.views.count()
    }

    /// Cuts off the next slot.
    pub(super) fn next_slot(&mut self) -> Slot {
        let (config, id) = (self.config, self.is_arena.then_some(self.next));
        let is_warm = self.next < MAX_REGISTERED_CALLABLE_IDS;
        self.next += 1;
        let backing = match &mut self.views {
            Views::DualMapped { code, writer } => code
                .next()
                .zip(writer.next())
                .map(|(code, writer)| Backing::DualMapped(DualMapped::new(code, writer, config))),
            Views::Written { code, draft } => code.next().zip(draft.next()).map(|(code, draft)| {
                let slot = Written::new(code, draft, config, MemoryFiles);
                Backing::Written(if is_warm { slot } else { slot.without_descriptor() })
            }),
            Views::Anonymous(pieces) => {
                pieces.next().map(|view| Backing::Anonymous(Anonymous::new(view, config)))
            }
            Views::Staged(pieces) => pieces
                .next()
                .map(|view| Backing::Staged(Staged::new(view, id, config.folders, LinuxFiles))),
        };
        // There are as many pieces as were asked for.
        let missing = Backing::Unavailable(refused(MemoryOperation::Reserve, 0, config.slot_bytes));
        Slot::new(backing.unwrap_or(missing), config.slot_bytes)
    }
}

/// Reserves one slot that files are mapped into.
///
/// # Errors
///
/// The system does not give the address space.
pub(super) fn mapped_slot(config: &SlotConfig) -> Result<Slot, MemoryError> {
    let view = mapped_view(config)?;
    Ok(Slot::new(Backing::Mapped(Mapped::new(view)), config.slot_bytes))
}

/// Reserves the address space of one slot that files are mapped into.
///
/// # Errors
///
/// As [`mapped_slot`].
pub(super) fn mapped_view(config: &SlotConfig) -> Result<View, MemoryError> {
    let refusal = refused(MemoryOperation::Reserve, 0, config.slot_bytes);
    if !config.is_valid() {
        return Err(refusal);
    }
    private(config, 1)?.next().ok_or(refusal)
}

/// Reserves address space for the drafts of images that are in a view of [`mapped_view`].
///
/// # Errors
///
/// The system does not give it.
pub(super) fn draft_view(slot_bytes: usize) -> Result<View, MemoryError> {
    let bytes = Pieces::region_bytes(1, slot_bytes);
    let region = Region::drafts(bytes).map_err(failed(bytes))?;
    let refusal = refused(MemoryOperation::Reserve, 0, slot_bytes);
    Pieces::new(region, 1, slot_bytes).next().ok_or(refusal)
}

/// Tries counts in order until one works; the error is that of the last.
fn most<T>(
    counts: &[usize],
    attempt: impl Fn(usize) -> Result<T, MemoryError>,
) -> Result<T, MemoryError> {
    let mut last = Err(refused(MemoryOperation::Reserve, 0, 0));
    for count in counts {
        last = attempt(*count);
        if last.is_ok() {
            break;
        }
    }
    last
}

/// Decides on a mode: the first whose memory can be had and may run code. Fewer slots in a better mode
/// come before more in another.
fn first_that_works(config: &SlotConfig, counts: &[usize]) -> Result<Views, MemoryError> {
    let (write, execute) = (Protection::READ | Protection::WRITE, Protection::EXECUTE);
    let bytes = |pieces: &Pieces| Pieces::region_bytes(pieces.left(), config.slot_bytes);
    let dual = most(counts, |count| match shared(config, count)? {
        Views::DualMapped { code, writer } => match code.try_rights(&[execute]) {
            Ok(()) => Ok(Views::DualMapped { code, writer }),
            Err(error) => Err(failed(bytes(&code))(error)),
        },
        views => Ok(views),
    });
    dual.or_else(|error| {
        let pieces = most(counts, |count| private(config, count))?;
        match pieces.try_rights(&[write, execute]).map_err(failed(bytes(&pieces))) {
            Ok(()) => {
                warn(format_args!("orchestrations get private memory, not two views: {error}"));
                Ok(Views::Anonymous(pieces))
            }
            Err(refusal) if config.folders.is_empty() => Err(refusal),
            Err(refusal) => {
                warn(format_args!("orchestrations are staged in files: {error}; {refusal}"));
                Ok(Views::Staged(pieces))
            }
        }
    })
}

/// The error of a call about `bytes` bytes of address space.
pub(super) fn failed(bytes: usize) -> impl Fn(Errno) -> MemoryError {
    move |error| MemoryError {
        os_error: error.raw_os_error(),
        ..refused(MemoryOperation::Reserve, 0, bytes)
    }
}

/// Memory of files that code runs in, written to in the way that is asked for.
fn shared(config: &SlotConfig, count: usize) -> Result<Views, MemoryError> {
    match config.writer {
        WriterView::Hidden => written(config, count),
        WriterView::Kept => dual_mapped(config, count),
    }
}

/// Address space for files that slots make when they are used, and for drafts. Such a file is tried
/// now, since another mode could do without.
fn written(config: &SlotConfig, count: usize) -> Result<Views, MemoryError> {
    let bytes = Pieces::region_bytes(count, config.slot_bytes);
    let failed = failed(bytes);
    let code = private(config, count)?;
    let draft = code.cut_alike(Region::drafts(bytes).map_err(&failed)?);
    let file = memory_file::sparse(memory_file::SLOTS, config.slot_bytes).map_err(&failed)?;
    let trial = Region::shared(file.as_fd(), config.slot_bytes).map_err(&failed)?;
    trial.try_rights(&[Protection::EXECUTE]).map_err(&failed)?;
    Ok(Views::Written { code, draft })
}

/// Two views of one file in memory. No descriptor of it stays open.
fn dual_mapped(config: &SlotConfig, count: usize) -> Result<Views, MemoryError> {
    let bytes = Pieces::region_bytes(count, config.slot_bytes);
    let failed = failed(bytes);
    let file = memory_file::sparse(memory_file::SLOTS, bytes).map_err(&failed)?;
    let region = Region::shared(file.as_fd(), bytes).map_err(&failed)?;
    let code = Pieces::new(region, count, config.slot_bytes);
    // Cut at the same offsets of the file.
    let writer = code.cut_alike(Region::shared(file.as_fd(), bytes).map_err(&failed)?);
    Ok(Views::DualMapped { code, writer })
}

/// Private memory.
fn private(config: &SlotConfig, count: usize) -> Result<Pieces, MemoryError> {
    let bytes = Pieces::region_bytes(count, config.slot_bytes);
    let region = Region::anonymous(bytes).map_err(failed(bytes))?;
    Ok(Pieces::new(region, count, config.slot_bytes))
}

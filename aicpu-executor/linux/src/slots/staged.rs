//! A slot whose images go through a file that exists only while it is being mapped.
//!
//! For systems that allow executable code from files alone. It exists apart because a file has
//! neighbours: full disks, folders of others, names that are taken, and processes that write to
//! what they should not.
//!
//! ```text
//!  each folder in turn:  open ─▶ create exclusively ─▶ write ─▶ map ─▶ remove ─▶ compare ─▶ placed
//!                          └──────┴─── fails: remove, next folder ┘        └─ differs: error
//! ```
//!
//! The name is gone before any byte of the image is trusted, and the file is reached through its
//! descriptor alone, so that whoever swaps or removes the name changes nothing. Whoever writes to
//! the file itself is found out by the comparison; afterwards nobody can open it any more. Read-only
//! pages stay those of the file: a process of the same user that had opened it in between could
//! still change or truncate them. That is the weakness of this mode, and why it is the last choice.

use core::ffi::CStr;
use core::fmt::Write;
use core::ops::Range;

use aicpu_executor::loader::{
    MemoryError, MemoryOperation, Plan, Protection, Segment, StagingStep,
};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{self, Errno};
use rustix::process::getpid;

use super::failure::{refused, warn};
use super::mapped::Mapped;
use super::rights::Rights;
use super::segment_mapping::MapPages;
use super::staging_files::{LinuxFiles, StagingFiles};
use super::view::{Refusal, View};

/// Interrupted calls that are repeated before they count as failed. A signal a call is rare.
const RETRIES: usize = 100;

/// Bytes of the longest name, its end mark included: two numbers of 20 digits and the text.
const NAME_BYTES: usize = 64;

/// Bytes compared at a time; on the stack.
const CHUNK_BYTES: usize = 4096;

/// The slot, and what it needs to make files.
#[derive(Debug)]
pub(super) struct Staged<F = LinuxFiles> {
    slot: Mapped,
    /// Callable id that the files are named after; `None` outside an arena.
    id: Option<usize>,
    folders: &'static [&'static CStr],
    files: F,
}

/// What failed in a folder: the step, and the system's number or 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct StepError {
    step: StagingStep,
    os_error: i32,
}

impl StepError {
    fn at(step: StagingStep) -> impl Fn(Errno) -> Self {
        move |error| Self { step, os_error: error.raw_os_error() }
    }
}

impl<F: StagingFiles> Staged<F> {
    /// A view of private memory, the callable id, and folders of which the first that works is
    /// taken.
    pub(super) const fn new(
        view: View,
        id: Option<usize>,
        folders: &'static [&'static CStr],
        files: F,
    ) -> Self {
        Self { slot: Mapped::new(view), id, folders, files }
    }

    /// Returns what it makes files with.
    #[cfg(test)]
    pub(super) const fn files(&self) -> &F {
        &self.files
    }

    /// Takes the image through a file; returns its address.
    ///
    /// # Errors
    ///
    /// That of the last folder; those of the others are logged. A file that somebody has changed is
    /// an error at once.
    pub(super) fn place(&mut self, plan: &Plan<'_>) -> Result<u64, MemoryError> {
        let no_folder = MemoryOperation::Staging { step: StagingStep::Open, folder: 0 };
        let os_error = Errno::NOENT.raw_os_error();
        let mut last = MemoryError { os_error, ..refused(no_folder, 0, plan.span()) };
        let name = self.name();
        for (folder, path) in (0..=u8::MAX).zip(self.folders) {
            let StepError { step, os_error } = match self.stage(plan, path, name.as_c_str()) {
                Ok(address) => return Ok(address),
                Err(error) => error,
            };
            // Nothing of a failed try stays in the slot.
            self.slot.release();
            let operation = MemoryOperation::Staging { step, folder };
            last = MemoryError { os_error, ..refused(operation, 0, plan.span()) };
            warn(format_args!("cannot stage in {path:?}: {last}"));
            if step == StagingStep::Compare {
                break;
            }
        }
        Err(last)
    }

    /// The name of the slot's files: nobody else has it at the same time, except another set of
    /// slots of this process, which then removes the name a moment before we do.
    fn name(&self) -> Name {
        let mut text = heapless::String::<NAME_BYTES>::new();
        let pid = getpid().as_raw_pid();
        let written = match self.id {
            Some(id) => write!(text, "libdevice_orch_{pid}_{id}.so\0"),
            None => write!(text, "libdevice_orch_{pid}.so\0"),
        };
        // PANIC: never: the buffer has room for the longest numbers.
        debug_assert!(written.is_ok());
        Name(text)
    }

    /// Takes the image through a file in one folder.
    fn stage(&mut self, plan: &Plan<'_>, path: &CStr, name: &CStr) -> Result<u64, StepError> {
        let folder = self.files.open_folder(path).map_err(StepError::at(StagingStep::Open))?;
        let folder = folder.as_fd();
        let file = self.create(folder, name).map_err(StepError::at(StagingStep::Create))?;
        let file = file.as_fd();
        let placed = self.fill_and_map(plan, file);
        let removed = self.remove(folder, name).map_err(StepError::at(StagingStep::Remove));
        let address = placed?;
        removed?;
        self.compare(plan, file)?;
        Ok(address)
    }

    /// Creates the file. One of ours that is still there, from a process that was killed, goes.
    fn create(&self, folder: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
        match self.files.create(folder, name) {
            Err(Errno::EXIST) if self.files.is_own_file(folder, name)? => {
                self.remove(folder, name)?;
                self.files.create(folder, name)
            }
            result => result,
        }
    }

    /// Removes the name; that it is gone already is as good. Tried twice, because it must not stay.
    fn remove(&self, folder: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
        let removed = self.files.remove(folder, name).or_else(|error| match error {
            Errno::NOENT => Err(error),
            _ => self.files.remove(folder, name),
        });
        match removed {
            Err(Errno::NOENT) => Ok(()),
            result => result,
        }
    }

    /// Writes the part of the image that is loaded, and maps it.
    fn fill_and_map(&mut self, plan: &Plan<'_>, file: BorrowedFd<'_>) -> Result<u64, StepError> {
        let mut rest = loaded_bytes(plan);
        let mut retries = 0;
        while !rest.is_empty() {
            let written = match self.files.write(file, rest) {
                Err(Errno::INTR) if retries < RETRIES => {
                    retries += 1;
                    continue;
                }
                // A file that takes nothing more is full.
                Ok(0) => Err(Errno::NOSPC),
                result => result,
            };
            let written = written.map_err(StepError::at(StagingStep::Write))?;
            rest = rest.get(written..).unwrap_or_default();
        }
        let source = StagedFile { file, files: &self.files };
        let mapped = self.slot.place(plan, Some(&source));
        mapped.map_err(|refusal| StepError::at(StagingStep::Map)(refusal.error))
    }

    /// Compares what was mapped with the image: writable segments in memory, where they are copies
    /// of our own, and the others in the file, where a truncation is no fault.
    fn compare(&mut self, plan: &Plan<'_>, file: BorrowedFd<'_>) -> Result<(), StepError> {
        let changed = StepError { step: StagingStep::Compare, os_error: 0 };
        for segment in plan.segments() {
            let expected = plan.file_bytes(segment);
            let is_equal = if segment.protection.contains(Protection::WRITE) {
                let start = plan.offset_of(segment);
                self.lend(start..start + expected.len()).is_some_and(|bytes| bytes == expected)
            } else {
                self.is_in_file(expected, segment, file)
                    .map_err(StepError::at(StagingStep::Compare))?
            };
            if !is_equal {
                return Err(changed);
            }
        }
        Ok(())
    }

    /// Tells whether the file holds the bytes of a segment.
    fn is_in_file(
        &self,
        expected: &[u8],
        segment: &Segment,
        file: BorrowedFd<'_>,
    ) -> io::Result<bool> {
        let mut chunk = [0; CHUNK_BYTES];
        let (mut rest, mut offset, mut retries) = (expected, segment.offset, 0);
        while !rest.is_empty() {
            let wanted = rest.len().min(CHUNK_BYTES);
            let buffer = chunk.get_mut(..wanted).unwrap_or_default();
            let read = match self.files.read(file, buffer, offset) {
                Err(Errno::INTR) if retries < RETRIES => {
                    retries += 1;
                    continue;
                }
                result => result?,
            };
            let found = chunk.get(..read).unwrap_or_default();
            match rest.split_at_checked(read) {
                // The end of the file is before the end of the segment.
                Some(_) if read == 0 => return Ok(false),
                Some((front, back)) if front == found => rest = back,
                _ => return Ok(false),
            }
            // CAST: at most a chunk.
            offset += read as u64;
        }
        Ok(true)
    }

    /// Lends bytes of the image, between placing and sealing.
    pub(super) fn lend(&mut self, bytes: Range<usize>) -> Option<&mut [u8]> {
        self.slot.lend(bytes)
    }

    /// Gives the pages the rights of the image and publishes its code.
    pub(super) fn seal(&mut self, rights: &Rights) -> Result<(), MemoryError> {
        self.slot.seal(rights)
    }

    /// Takes everything away.
    pub(super) fn release(&mut self) {
        self.slot.release();
    }
}

/// The front of the image, up to the last byte of a segment: what is behind it is never loaded.
fn loaded_bytes<'a>(plan: &Plan<'a>) -> &'a [u8] {
    let end = |segment: &Segment| segment.offset.saturating_add(segment.file_bytes);
    let end = plan.segments().iter().map(end).max().unwrap_or(0);
    // CAST: segments lie in the file, whose length is a usize.
    plan.image().get(..end as usize).unwrap_or_default()
}

/// A name with its end mark.
#[derive(Debug)]
struct Name(heapless::String<NAME_BYTES>);

impl Name {
    fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(self.0.as_bytes()).unwrap_or_default()
    }
}

/// The file as a source of pages.
struct StagedFile<'f, F> {
    file: BorrowedFd<'f>,
    files: &'f F,
}

impl<F: StagingFiles> MapPages for StagedFile<'_, F> {
    fn map(
        &self,
        view: &mut View,
        pages: Range<usize>,
        offset: u64,
        protection: Protection,
    ) -> Result<(), Refusal> {
        self.files.map(view, pages, (self.file, offset), protection)
    }
}

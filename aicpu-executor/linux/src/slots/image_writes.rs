//! Writes an image to its file with as few calls as that takes.
//!
//! It exists apart because it alone knows that a call may take fewer bytes than it was given. Pieces
//! that follow each other in the file are collected and go in one call:
//!
//! ```text
//!  file    │ 0…  │ file bytes │ 0… │ draft                │   no pages   │ 0… │ file bytes │
//!          └───────────── one call ─────────────────────┘                └─── another ────┘
//! ```

use core::ops::Range;

use rustix::fd::BorrowedFd;
use rustix::io::{Errno, IoSlice};

use super::code_files::CodeFiles;
use super::view::Refusal;

/// Interrupted calls that are repeated before they count as failed. A signal a call is rare.
const RETRIES: usize = 100;

/// Pieces of a call: three for each segment an image may have.
const MAX_PIECES: usize = 48;

/// What the pages of a segment hold around its file bytes. Divides every page size.
pub(super) static ZEROS: [u8; 4096] = [0; 4096];

/// Pieces that follow each other, not written yet.
pub(super) struct ImageWrites<'w, F> {
    files: &'w F,
    file: BorrowedFd<'w>,
    /// Place of the first piece in the file.
    start: usize,
    /// Bytes of all pieces.
    bytes: usize,
    pieces: heapless::Vec<&'w [u8], MAX_PIECES>,
}

impl<'w, F: CodeFiles> ImageWrites<'w, F> {
    /// No pieces for a file.
    pub(super) const fn new(files: &'w F, file: BorrowedFd<'w>) -> Self {
        Self { files, file, start: 0, bytes: 0, pieces: heapless::Vec::new() }
    }

    /// Adds bytes at a place in the file; those that do not follow the piece before go in another
    /// call.
    pub(super) fn push(&mut self, offset: usize, piece: &'w [u8]) -> Result<(), Refusal> {
        if piece.is_empty() {
            return Ok(());
        }
        if self.pieces.is_full() || offset != self.start + self.bytes {
            self.flush()?;
            self.start = offset;
        }
        self.bytes += piece.len();
        // Never full: just seen.
        self.pieces.push(piece).map_err(|_| self.refusal(Errno::NOBUFS))
    }

    /// Adds zeros.
    pub(super) fn push_zeros(&mut self, range: Range<usize>) -> Result<(), Refusal> {
        let mut start = range.start;
        while start < range.end {
            let piece = ZEROS.get(..range.end - start).unwrap_or(&ZEROS);
            self.push(start, piece)?;
            start += piece.len();
        }
        Ok(())
    }

    /// Writes what was collected.
    pub(super) fn flush(&mut self) -> Result<(), Refusal> {
        let (mut done, mut retries) = (0, 0);
        while done < self.bytes {
            // CAST: usize is 64 bits on the supported targets.
            let offset = (self.start + done) as u64;
            let written = match self.files.write(self.file, &self.pieces_from(done), offset) {
                Err(Errno::INTR) if retries < RETRIES => {
                    retries += 1;
                    continue;
                }
                // A file that takes nothing more is full.
                Ok(0) => Err(Errno::NOSPC),
                result => result,
            };
            done += written.map_err(|error| self.refusal(error))?;
        }
        self.start += self.bytes;
        self.bytes = 0;
        self.pieces.clear();
        Ok(())
    }

    /// The pieces behind the first `done` bytes.
    fn pieces_from(&self, done: usize) -> heapless::Vec<IoSlice<'w>, MAX_PIECES> {
        let mut done = done;
        let rest = self.pieces.iter().filter_map(|piece| {
            let rest = piece.get(done..).filter(|rest| !rest.is_empty());
            done = done.saturating_sub(piece.len());
            rest.map(IoSlice::new)
        });
        rest.collect()
    }

    /// The refusal of a call.
    const fn refusal(&self, error: Errno) -> Refusal {
        Refusal { offset: self.start, bytes: self.bytes, error }
    }
}

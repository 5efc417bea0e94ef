//! Files in memory on which any call can fail, or take less than it was given.

use core::cell::RefCell;
use core::ops::Range;
use std::vec::Vec;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::{self, Errno, IoSlice};

use super::super::code_files::{CodeFiles, MemoryFiles};
use super::super::view::{Refusal, View};

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The call fails.
    Error(Errno),
    /// A write takes at most so many bytes.
    Short(usize),
}

/// The files of this system, with a fault in some calls.
#[derive(Debug)]
pub(crate) struct FaultyCodeFiles {
    /// Which calls, counted from 0, and what goes wrong in them.
    turns: Range<usize>,
    fault: Fault,
    /// Names of the calls made so far.
    pub(crate) calls: RefCell<Vec<&'static str>>,
}

impl FaultyCodeFiles {
    pub(crate) fn new(turns: Range<usize>, fault: Fault) -> Self {
        Self { turns, fault, calls: RefCell::default() }
    }

    /// Counts a call, and tells what goes wrong in it.
    fn enter(&self, call: &'static str) -> io::Result<Option<Fault>> {
        let turn = self.calls.borrow().len();
        self.calls.borrow_mut().push(call);
        match self.fault {
            _ if !self.turns.contains(&turn) => Ok(None),
            Fault::Error(error) => Err(error),
            short => Ok(Some(short)),
        }
    }
}

impl CodeFiles for FaultyCodeFiles {
    fn create(&self, bytes: usize) -> io::Result<OwnedFd> {
        self.enter("create")?;
        MemoryFiles.create(bytes)
    }

    fn map(&self, view: &mut View, file: BorrowedFd<'_>) -> Result<(), Refusal> {
        let bytes = view.bytes();
        self.enter("map").map_err(|error| Refusal { offset: 0, bytes, error })?;
        MemoryFiles.map(view, file)
    }

    fn write(
        &self,
        file: BorrowedFd<'_>,
        pieces: &[IoSlice<'_>],
        offset: u64,
    ) -> io::Result<usize> {
        let Some(Fault::Short(limit)) = self.enter("write")? else {
            return MemoryFiles.write(file, pieces, offset);
        };
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
        let taken = &bytes[..limit.min(bytes.len())];
        if taken.is_empty() {
            Ok(0)
        } else {
            MemoryFiles.write(file, &[IoSlice::new(taken)], offset)
        }
    }

    fn punch(&self, file: BorrowedFd<'_>, pages: Range<usize>) -> io::Result<()> {
        self.enter("punch")?;
        MemoryFiles.punch(file, pages)
    }
}

//! A file system on which any call can fail, or behind whose back somebody else is at work.

use core::cell::{Cell, RefCell};
use core::ffi::CStr;
use core::ops::Range;
use std::fs::File;
use std::string::{String, ToString};
use std::vec::Vec;

use aicpu_executor::loader::Protection;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{self, Errno};

use super::super::staging_files::{LinuxFiles, StagingFiles};
use super::super::view::{Refusal, View};

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The call fails.
    Error(Errno),
    /// A write takes a single byte, a read gives one.
    Short,
    /// A write takes nothing, a read finds the end.
    Nothing,
    /// Somebody else does this to the file before the call.
    Tamper(fn(&File)),
}

/// The file systems of this machine, with a fault in a call, or in each from there on.
#[derive(Debug, Default)]
pub(crate) struct FaultyFiles {
    /// Which call, counted from 1, and what goes wrong in it; 0 is none.
    turn: usize,
    fault: Option<Fault>,
    /// Whether later calls fail, too.
    lasts: bool,
    /// Names of the calls made so far.
    pub(crate) calls: RefCell<Vec<&'static str>>,
    /// Names of the files created.
    pub(crate) names: RefCell<Vec<String>>,
    /// The last file created.
    file: RefCell<Option<File>>,
    pub(crate) failures: Cell<usize>,
}

impl FaultyFiles {
    pub(crate) fn new(turn: usize, fault: Fault) -> Self {
        Self { turn, fault: Some(fault), ..Self::default() }
    }

    /// The same fault in each later call, too.
    pub(crate) fn lasting(self) -> Self {
        Self { lasts: true, ..self }
    }

    /// Counts a call, and tells what goes wrong in it.
    fn enter(&self, call: &'static str) -> io::Result<Option<Fault>> {
        self.calls.borrow_mut().push(call);
        let turn = self.calls.borrow().len();
        let fault = self.fault.filter(|_| turn == self.turn || self.lasts && turn > self.turn);
        self.failures.set(self.failures.get() + usize::from(fault.is_some()));
        match (fault, &*self.file.borrow()) {
            (Some(Fault::Error(error)), _) => return Err(error),
            (Some(Fault::Tamper(tamper)), Some(file)) => tamper(file),
            _ => {}
        }
        Ok(fault)
    }
}

impl StagingFiles for FaultyFiles {
    fn open_folder(&self, path: &CStr) -> io::Result<OwnedFd> {
        self.enter("open")?;
        LinuxFiles.open_folder(path)
    }

    fn create(&self, folder: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
        self.enter("create")?;
        let file = LinuxFiles.create(folder, name)?;
        self.names.borrow_mut().push(name.to_str().unwrap().to_string());
        *self.file.borrow_mut() = Some(File::from(file.try_clone().unwrap()));
        Ok(file)
    }

    fn is_own_file(&self, folder: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
        self.enter("look")?;
        LinuxFiles.is_own_file(folder, name)
    }

    fn write(&self, file: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
        match self.enter("write")? {
            Some(Fault::Short) => LinuxFiles.write(file, &bytes[..1]),
            Some(Fault::Nothing) => Ok(0),
            _ => LinuxFiles.write(file, bytes),
        }
    }

    fn map(
        &self,
        view: &mut View,
        pages: Range<usize>,
        from: (BorrowedFd<'_>, u64),
        protection: Protection,
    ) -> Result<(), Refusal> {
        let refusal = |error| Refusal { offset: pages.start, bytes: pages.len(), error };
        self.enter("map").map_err(refusal)?;
        LinuxFiles.map(view, pages, from, protection)
    }

    fn remove(&self, folder: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
        self.enter("remove")?;
        LinuxFiles.remove(folder, name)
    }

    fn read(&self, file: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self.enter("read")? {
            Some(Fault::Short) => LinuxFiles.read(file.as_fd(), &mut buffer[..1], offset),
            Some(Fault::Nothing) => Ok(0),
            _ => LinuxFiles.read(file, buffer, offset),
        }
    }
}

//! Files in memory that code may be mapped from, and that nobody can change behind our back.

use core::ffi::CStr;

use rustix::fd::OwnedFd;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::io::{self, Errno, write};
use rustix::process::{Resource, getrlimit};

/// Interrupted writes that are repeated before they count as failed.
const RETRIES: usize = 100;

/// What the memory of slots is called in the list of mappings.
pub(super) const SLOTS: &CStr = c"orchestrations";

/// A file of `bytes` bytes without pages yet, whose length stays.
pub(super) fn sparse(name: &CStr, bytes: usize) -> io::Result<OwnedFd> {
    let file = create(name, bytes)?;
    // CAST: usize is 64 bits on the supported targets.
    ftruncate(&file, bytes as u64)?;
    // A file that shrinks under its mapping would be a fault at any later access.
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

/// A file with these bytes, for good.
pub(super) fn sealed(name: &CStr, bytes: &[u8]) -> io::Result<OwnedFd> {
    let file = create(name, bytes.len())?;
    let (mut rest, mut retries) = (bytes, 0);
    while !rest.is_empty() {
        match write(&file, rest) {
            Err(Errno::INTR) if retries < RETRIES => retries += 1,
            Ok(0) => return Err(Errno::NOSPC),
            written => rest = rest.get(written?..).unwrap_or_default(),
        }
    }
    let length = SealFlags::SHRINK | SealFlags::GROW;
    fcntl_add_seals(&file, length | SealFlags::WRITE | SealFlags::SEAL)?;
    Ok(file)
}

/// An empty file that may become `bytes` bytes long.
fn create(name: &CStr, bytes: usize) -> io::Result<OwnedFd> {
    // CAST: usize is 64 bits on the supported targets.
    if getrlimit(Resource::Fsize).current.is_some_and(|limit| limit < bytes as u64) {
        // The system would end the process with a signal.
        return Err(Errno::FBIG);
    }
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match memfd_create(name, flags | MemfdFlags::EXEC) {
        // Linux before 6.3 knows no such flag, and every file is executable.
        Err(Errno::INVAL) => memfd_create(name, flags),
        file => file,
    }
}

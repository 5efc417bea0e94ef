//! The kernels of a device: images in its memory, opened when they are first called.
//!
//! On a chip, a task names the address of a kernel's code. Here what is at that address is a shared object, which
//! is opened with the system's loader from a file in memory. It is looked up by the address and by its bytes, so that
//! another kernel at the address of one that is gone is another kernel.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use protocol::KERNEL_ENTRY_SYMBOL;
use rustix::fs::{MemfdFlags, memfd_create};

use super::hooks::{self, REGISTER_HOOKS_SYMBOL, RegisterHooks};
use super::lock;
use crate::memory::DeviceMemory;

/// Kernel entry (spec trb §6.4).
pub(super) type KernelEntry = unsafe extern "C" fn(*const u64);

/// Bytes of the header of a shared object for 64-bit machines.
const HEADER_BYTES: usize = 64;

/// Most bytes of a kernel.
const IMAGE_BYTES_MAX: u64 = 64 << 20;

/// An opened kernel. It stays open: some core may have its address.
#[derive(Debug)]
struct Kernel {
    image: Vec<u8>,
    entry: KernelEntry,
    _library: Library,
    /// Open as long as the library is: the loader takes an object under the same path for the same one.
    _file: File,
}

/// All kernels that were called.
#[derive(Debug)]
pub(super) struct Kernels {
    memory: Arc<DeviceMemory>,
    by_address: Mutex<HashMap<u64, Vec<Kernel>>>,
}

impl Kernels {
    pub(super) fn new(memory: Arc<DeviceMemory>) -> Self {
        Self { memory, by_address: Mutex::default() }
    }

    /// The entry of the kernel whose image is at an address.
    ///
    /// # Errors
    ///
    /// What is there is no kernel.
    pub(super) fn entry(&self, address: u64) -> Result<KernelEntry, String> {
        let image = self.image(address)?;
        let mut by_address = lock(&self.by_address);
        let kernels = by_address.entry(address).or_default();
        if let Some(kernel) = kernels.iter().find(|kernel| kernel.image == image) {
            return Ok(kernel.entry);
        }
        let kernel = open(image)?;
        let entry = kernel.entry;
        kernels.push(kernel);
        Ok(entry)
    }

    /// The bytes of the image at an address, whose length its header tells.
    fn image(&self, address: u64) -> Result<Vec<u8>, String> {
        let no_kernel = |why: &dyn std::fmt::Display| format!("no kernel at {address:#x}: {why}");
        let header = self.memory.read(address, HEADER_BYTES).map_err(|error| no_kernel(&error))?;
        let bytes =
            image_bytes(&header).ok_or_else(|| no_kernel(&"no header of a shared object"))?;
        // CAST: bounded above.
        self.memory.read(address, bytes as usize).map_err(|error| no_kernel(&error))
    }
}

/// Length of a shared object with this header: up to the end of its section headers, which linkers write last.
fn image_bytes(header: &[u8]) -> Option<u64> {
    let short = |at: usize| {
        let bytes = header.get(at..)?.first_chunk::<2>()?;
        Some(u64::from(u16::from_le_bytes(*bytes)))
    };
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let table = u64::from_le_bytes(*header.get(0x28..)?.first_chunk::<8>()?);
    let bytes = table.checked_add(short(0x3A)? * short(0x3C)?)?;
    (bytes > HEADER_BYTES as u64 && bytes <= IMAGE_BYTES_MAX).then_some(bytes)
}

/// Opens a kernel.
fn open(image: Vec<u8>) -> Result<Kernel, String> {
    let cannot =
        |what: &str, error: &dyn std::fmt::Display| format!("cannot {what} a kernel: {error}");
    let file =
        memfd_create("kernel", MemfdFlags::CLOEXEC).map_err(|error| cannot("store", &error))?;
    let mut file = File::from(file);
    file.write_all(&image).map_err(|error| cannot("store", &error))?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: a kernel of the test, to be called in this process.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
    let library = library.map_err(|error| cannot("open", &error))?;
    // SAFETY: the function of this name has this signature.
    let entry = unsafe { library.get::<KernelEntry>(KERNEL_ENTRY_SYMBOL.as_bytes()) };
    let entry = *entry.map_err(|error| cannot("enter", &error))?;
    // SAFETY: as above.
    if let Ok(register) = unsafe { library.get::<RegisterHooks>(REGISTER_HOOKS_SYMBOL) } {
        let (sub_block, storage) = hooks::hooks();
        // SAFETY: called with what it takes; the functions live as long as the process.
        unsafe { register(sub_block, storage) };
    }
    Ok(Kernel { image, entry, _library: library, _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_image_is_no_kernel() {
        let memory = Arc::new(DeviceMemory::new(1 << 16).unwrap());
        let kernels = Kernels::new(Arc::clone(&memory));
        let start = memory.address();
        let refused = |address| kernels.entry(address).err().unwrap();
        assert!(refused(0).contains("not device memory"));
        assert!(refused(start).contains("no header"));
        assert!(refused(start + memory.bytes() - 8).contains("not device memory"));
        let mut header = [0_u8; HEADER_BYTES];
        header[..6].copy_from_slice(b"\x7fELF\x02\x01");
        // Section headers far outside.
        header[0x28..0x30].copy_from_slice(&(1_u64 << 20).to_le_bytes());
        memory.write(start, &header).unwrap();
        assert!(refused(start).contains("not device memory"));
        header[0x28..0x30].copy_from_slice(&200_u64.to_le_bytes());
        memory.write(start, &header).unwrap();
        assert!(refused(start).contains("cannot open"));
    }
}

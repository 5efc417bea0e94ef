//! Where a run finds its kernels: the table of the run record, and the records that it names.

use protocol::{CoreCallable, FuncId, MAX_FUNC_IDS};

/// Run-time address of the kernel that a task names.
///
/// # Errors
///
/// What is missing, as the end of a sentence.
#[inline]
pub(crate) fn kernel_address(
    kernels: &[u64; MAX_FUNC_IDS],
    func_id: i32,
) -> Result<u64, &'static str> {
    let record = FuncId::new(i64::from(func_id))
        .ok()
        .and_then(|id| kernels.get(id.index()).copied())
        .unwrap_or_default();
    if record == 0 {
        return Err("the callable has no kernel of that id");
    }
    let header = core::ptr::with_exposed_provenance::<CoreCallable>(record as usize);
    // SAFETY: the host has put the address of a kernel record in device memory there, and
    // keeps it until the run has ended; records may be less aligned than the type.
    let address = unsafe { (&raw const (*header).resolved_addr).read_unaligned() };
    if address == 0 { Err("its kernel has not been loaded") } else { Ok(address) }
}

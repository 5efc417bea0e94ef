//! The header of a region: what a host reads when a run has ended. The rest of the region is the
//! executor's own business (spec trb §3.2).

use protocol::SharedMemoryHeader;

/// What a header says beside the region.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HeaderFacts {
    /// Status number of the orchestrator's side.
    pub(crate) orchestrator_code: i32,
    /// Status number of the schedulers' side.
    pub(crate) scheduler_code: i32,
    /// How many callable ids there are, for a host that asks; 0 for all others.
    pub(crate) callable_ids_word: u64,
}

/// Writes the header of a region that cannot be used, so that a host that looks at the codes in it
/// finds this one and not what happens to be there (spec trb §14.1 item 13).
///
/// Nothing is written at a null or misaligned address.
///
/// # Safety
///
/// `address` is null, or the start of what the host allocated for a region: whatever its window,
/// it begins with a header (spec trb §10). Only the calling thread uses it.
pub(crate) unsafe fn write_refusal(address: u64, code: i32) -> bool {
    let has_header =
        address != 0 && address.is_multiple_of(align_of::<SharedMemoryHeader>() as u64);
    if has_header {
        let facts = HeaderFacts { orchestrator_code: code, ..HeaderFacts::default() };
        // SAFETY: non-null and aligned, and the rest is the contract.
        unsafe { write_header_at(address, 0, facts) };
    }
    has_header
}

/// Writes the header at the start of a region or a workspace of so many bytes.
///
/// # Safety
///
/// There is room for a header at `address`, which is aligned, and only the calling thread uses it.
pub(crate) unsafe fn write_header_at(address: u64, bytes: u64, facts: HeaderFacts) {
    let header = core::ptr::with_exposed_provenance_mut::<SharedMemoryHeader>(address as usize);
    let contents = SharedMemoryHeader {
        total_size: bytes,
        orch_error_code: facts.orchestrator_code.into(),
        sched_error_code: facts.scheduler_code.into(),
        sched_error_thread: (-1).into(),
        callable_ids: facts.callable_ids_word.into(),
        ..SharedMemoryHeader::default()
    };
    // SAFETY: the contract.
    unsafe { header.write(contents) };
}

//! The functions of an image as tools want them: sorted, each place once, each with an end.

use aicpu_executor::loader::{Plan, Protection};

/// A function at its run-time address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ListedFunction<'a> {
    /// Name as the compiler wrote it.
    pub(super) name: &'a [u8],
    /// First address.
    pub(super) address: u64,
    /// Bytes, at least 1; up to the next function if the image does not say.
    pub(super) bytes: u64,
    /// Whether it is visible outside its source file.
    pub(super) is_global: bool,
}

/// Returns all functions of a planned image that is loaded with `bias`, ascending by address.
///
/// Of several names for one address a global one is kept.
pub(super) fn listed<'a>(plan: &Plan<'a>, bias: u64) -> Vec<ListedFunction<'a>> {
    let mut found: Vec<_> = plan.functions().collect();
    // Within an address: global ones first, then the larger, then by name, for equal results.
    found.sort_by_key(|each| (each.vaddr, !each.is_global, u64::MAX - each.size, each.name));
    found.dedup_by_key(|each| each.vaddr);
    let end_of_code = |vaddr: u64| {
        let code = plan
            .segments()
            .iter()
            .filter(|each| each.protection.contains(Protection::EXECUTE) && each.vaddr <= vaddr);
        code.map(|each| each.vaddr.saturating_add(each.file_bytes)).filter(|end| vaddr < *end).max()
    };
    let next_starts = found.iter().skip(1).map(|each| each.vaddr).chain([u64::MAX]);
    let listed = found.iter().zip(next_starts).map(|(each, next)| {
        let end = end_of_code(each.vaddr).unwrap_or(each.vaddr).min(next);
        let bytes = if each.size == 0 { end.saturating_sub(each.vaddr) } else { each.size };
        ListedFunction {
            name: each.name,
            address: bias.wrapping_add(each.vaddr),
            bytes,
            is_global: each.is_global,
        }
    });
    listed.collect()
}

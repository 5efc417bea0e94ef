//! `DT_NEEDED`: which libraries an image expects, and whether the loader stands in for them.
//!
//! Nothing is ever searched or loaded: the resolver offers the symbols of the allowed libraries
//! (hostile class 25).

use super::dynamic::Dynamic;
use super::elf::{DynamicEntry, Tag};
use super::error::PlanError;
use super::name::SymbolName;
use super::string_table::StringTable;

/// The libraries whose symbols the process of an executor has anyway: the C and C++ run time.
pub const DEFAULT_NEEDED: &[&str] = &[
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "libstdc++.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

/// Which needed libraries an image may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeededPolicy {
    /// These only, compared by their whole name.
    Allow(&'static [&'static str]),
    /// Any name without a slash: symbols nobody offers are found out when they are resolved.
    AnyBareName,
}

/// Iterates over the names of the needed libraries, in the order of the dynamic section.
#[derive(Debug, Clone)]
pub struct NeededIter<'a> {
    entries: core::iter::Enumerate<core::slice::Iter<'a, DynamicEntry>>,
    strings: StringTable<'a>,
}

impl<'a> NeededIter<'a> {
    /// Starts at the first entry.
    pub(super) fn new(entries: &'a [DynamicEntry], strings: StringTable<'a>) -> Self {
        Self { entries: entries.iter().enumerate(), strings }
    }

    /// Returns the next name, or why it cannot be read.
    fn advance(&mut self) -> Option<Result<&'a [u8], PlanError>> {
        let (index, entry) =
            self.entries.by_ref().find(|(_, entry)| Tag(entry.tag.get()) == Tag::NEEDED)?;
        Some(self.strings.get(entry.value.get(), "needed library", index as u64))
    }
}

impl<'a> Iterator for NeededIter<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        // Planning has read every name once, so none is lost here.
        self.advance()?.ok()
    }
}

/// Checks the names of all needed libraries.
///
/// # Errors
///
/// A name cannot be read, has a slash, or is not allowed.
pub(super) fn check(
    dynamic: &Dynamic<'_>,
    strings: StringTable<'_>,
    policy: NeededPolicy,
) -> Result<(), PlanError> {
    let mut names = NeededIter::new(dynamic.entries(), strings);
    while let Some(name) = names.advance() {
        let name = name?;
        if name.contains(&b'/') {
            return Err(PlanError::NeededPath { name: SymbolName::new(name) });
        }
        if let NeededPolicy::Allow(allowed) = policy
            && !allowed.iter().any(|each| each.as_bytes() == name)
        {
            return Err(PlanError::NeededNotAllowed { name: SymbolName::new(name) });
        }
    }
    Ok(())
}

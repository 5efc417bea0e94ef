//! Where the code of loaded orchestrations is: for addresses in messages, debuggers and profilers.
//!
//! It exists apart because it looks at what is loaded from outside. The executor announces code to
//! its platform when it comes and when it goes, and lists what is there; it never uses that itself.

use protocol::CallableId;

use crate::loader::Plan;

/// Where the code of one loaded orchestration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadedRange {
    /// The callable it belongs to.
    pub id: CallableId,
    /// Generation that the host gave the id; 0 from a host without generations.
    pub generation: u32,
    /// Address of its first byte.
    pub base: u64,
    /// Bytes from the first to the last page.
    pub span: usize,
    /// What is added to an address as linked.
    pub bias: u64,
}

impl LoadedRange {
    /// Tells whether an address lies in it.
    #[must_use]
    pub const fn contains(&self, address: u64) -> bool {
        // CAST: usize is at most 64 bits.
        address >= self.base && address - self.base < self.span as u64
    }
}

/// Code that was just sealed: none of it has run.
#[derive(Debug, Clone, Copy)]
pub struct LoadedCode<'a> {
    /// Where it is.
    pub range: LoadedRange,
    /// What was loaded. Gone after the call that it is passed to.
    pub plan: &'a Plan<'a>,
}

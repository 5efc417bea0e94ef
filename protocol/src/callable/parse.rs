//! Reads a callable's bytes, of which nothing is trusted.
//!
//! [`ChipCallableView::parse`] checks everything once; the view's accessors then cannot fail.
//! Beyond the reference, which checks nothing (spec callable §7.2), kernels must follow each other
//! without overlap, as every builder lays them out; func ids must be distinct; and nothing may
//! follow the last kernel, so that equal callables have equal bytes.

use super::{CORE_BINARY_OFFSET, ChipCallable, CoreCallable};
use crate::ids::FuncId;
use crate::limits::{
    CALLABLE_ALIGN, CHIP_MAX_TENSOR_ARGS, CORE_MAX_TENSOR_ARGS, DEFAULT_CONFIG_SYMBOL,
    DEFAULT_ENTRY_SYMBOL, MAX_CHILDREN, MAX_FUNC_IDS, SYMBOL_NAME_BYTES,
};
use crate::task_args::ArgDirection;
use crate::wire::{self, WireError};
use core::mem::offset_of;

/// Checked directions of a callable's or kernel's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature<'a> {
    /// Numbers of known directions, at any alignment.
    numbers: &'a [[u8; 4]],
}

impl<'a> Signature<'a> {
    fn parse(header: &'a [u8], count: usize) -> Result<Self, WireError> {
        let (numbers, _) = header.as_chunks();
        // The header starts with the numbers, and the caller's count is at most their number.
        let numbers = numbers.get(..count).unwrap_or(&[]);
        for number in numbers {
            ArgDirection::try_from(i32::from_le_bytes(*number))?;
        }
        Ok(Self { numbers })
    }

    /// Returns the number of arguments.
    pub const fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Returns whether there are no arguments.
    pub const fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Returns the direction of the argument at `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<ArgDirection> {
        let number = self.numbers.get(index)?;
        ArgDirection::try_from(i32::from_le_bytes(*number)).ok()
    }

    /// Returns the directions in order.
    pub fn iter(&self) -> impl Iterator<Item = ArgDirection> + use<'a> {
        let signature = *self;
        (0..signature.len()).filter_map(move |index| signature.get(index))
    }
}

/// A checked kernel inside a callable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreCallableView<'a> {
    /// Directions of its arguments.
    pub signature: Signature<'a>,
    /// Its code.
    pub binary: &'a [u8],
    /// Its entry as the sender states it; 0 in a blob that was just built.
    pub resolved_addr: u64,
    /// All of it: header, padding and code.
    pub blob: &'a [u8],
}

impl<'a> CoreCallableView<'a> {
    /// Reads the kernel at the start of `bytes`, at any alignment.
    ///
    /// What follows the kernel is ignored; [`blob`](Self::blob) ends where it ends.
    ///
    /// # Errors
    ///
    /// [`WireError`] where header or code are cut off, the code is empty, or the signature is too
    /// long or holds an unknown direction.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let header: CoreCallable = wire::read(bytes, 0, "kernel header")?;
        let count = wire::count(header.sig_count, CORE_MAX_TENSOR_ARGS, "kernel signature count")?;
        let binary_bytes = wire::widen(header.binary_size);
        if binary_bytes == 0 {
            return Err(WireError::Empty { what: "kernel code" });
        }
        let binary = wire::slice(bytes, CORE_BINARY_OFFSET, binary_bytes, "kernel code")?;
        let blob = wire::slice(bytes, 0, CORE_BINARY_OFFSET + binary_bytes, "kernel")?;
        let signature = Signature::parse(bytes, count)?;
        Ok(Self { signature, binary, resolved_addr: header.resolved_addr, blob })
    }
}

/// A checked callable.
///
/// # Invariants
///
/// Every kernel listed in the header parses, lies inside the storage, and has a valid func id of
/// its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChipCallableView<'a> {
    blob: &'a [u8],
    signature: Signature<'a>,
    orchestration: &'a [u8],
    entry_symbol: &'a str,
    config_symbol: &'a str,
    child_count: usize,
}

impl<'a> ChipCallableView<'a> {
    /// Checks `blob`, which must hold exactly one callable, at any alignment.
    ///
    /// Costs one pass over the header; contents of images are not looked at.
    ///
    /// # Errors
    ///
    /// [`WireError`] names the first part that is cut off, out of range, misplaced, duplicate or
    /// unknown.
    pub fn parse(blob: &'a [u8]) -> Result<Self, WireError> {
        let header_bytes = size_of::<ChipCallable>();
        let Some((header, storage)) = blob.split_at_checked(header_bytes) else {
            let (need, have) = (header_bytes, blob.len());
            return Err(WireError::Truncated { what: "callable header", need, have });
        };
        let sig_count = wire::read(header, offset_of!(ChipCallable, sig_count), "callable")?;
        let sig_count = wire::count(sig_count, CHIP_MAX_TENSOR_ARGS, "callable signature count")?;
        let child_count = wire::read(header, offset_of!(ChipCallable, child_count), "callable")?;
        let child_count = wire::count(child_count, MAX_CHILDREN, "kernel count")?;
        let binary_size: u32 =
            wire::read(header, offset_of!(ChipCallable, binary_size), "callable")?;
        let orchestration =
            wire::slice(storage, 0, wire::widen(binary_size), "orchestration image")?;
        if orchestration.is_empty() {
            return Err(WireError::Empty { what: "orchestration image" });
        }
        let view = Self {
            blob,
            signature: Signature::parse(header, sig_count)?,
            orchestration,
            entry_symbol: name(header, offset_of!(ChipCallable, func_name), "entry symbol")?,
            config_symbol: name(
                header,
                offset_of!(ChipCallable, config_name),
                "configuration symbol",
            )?,
            child_count,
        };
        view.check_children()?;
        Ok(view)
    }

    /// Checks what no kernel can check alone: order, distinct ids, and the end of the storage.
    fn check_children(&self) -> Result<(), WireError> {
        let mut seen = [0u64; MAX_FUNC_IDS.div_ceil(64)];
        let mut end = self.orchestration.len();
        for index in 0..self.child_count {
            let offset = self.child_offset(index)?;
            if offset < end {
                return Err(WireError::Overlap { what: "kernel", offset, previous_end: end });
            }
            let (func_id, child) = self.parse_child(index)?;
            let (word, bit) = (func_id.index() / 64, 1 << (func_id.index() % 64));
            // The word exists: a func id is below `MAX_FUNC_IDS`.
            if let Some(word) = seen.get_mut(word) {
                if *word & bit != 0 {
                    return Err(WireError::DuplicateFuncId { func_id });
                }
                *word |= bit;
            }
            // No overflow: the child lies inside the storage.
            end = offset + child.blob.len();
        }
        let (used, have) = (size_of::<ChipCallable>() + end, self.blob.len());
        if used == have { Ok(()) } else { Err(WireError::TrailingBytes { used, have }) }
    }

    fn storage(&self) -> &'a [u8] {
        self.blob.get(size_of::<ChipCallable>()..).unwrap_or(&[])
    }

    fn child_offset(&self, index: usize) -> Result<usize, WireError> {
        let at = offset_of!(ChipCallable, child_offsets) + index * size_of::<u32>();
        wire::read(self.blob, at, "kernel offset").map(wire::widen)
    }

    fn parse_child(&self, index: usize) -> Result<(FuncId, CoreCallableView<'a>), WireError> {
        let at = offset_of!(ChipCallable, child_func_ids) + index * size_of::<i32>();
        let func_id: i32 = wire::read(self.blob, at, "kernel func id")?;
        let func_id = FuncId::new(i64::from(func_id))?;
        let offset = self.child_offset(index)?;
        if !offset.is_multiple_of(CALLABLE_ALIGN) {
            return Err(WireError::Misaligned { what: "kernel", offset, align: CALLABLE_ALIGN });
        }
        let storage = self.storage();
        let outside = WireError::OffsetOutOfRange {
            what: "kernel",
            offset,
            bytes: size_of::<CoreCallable>(),
            limit: storage.len(),
        };
        let child = CoreCallableView::parse(storage.get(offset..).ok_or(outside)?)?;
        Ok((func_id, child))
    }

    /// Returns the directions of a run's arguments.
    pub const fn signature(&self) -> Signature<'a> {
        self.signature
    }

    /// Returns the orchestration image; never empty.
    pub const fn orchestration(&self) -> &'a [u8] {
        self.orchestration
    }

    /// Returns the entry symbol of the orchestration; the default where the callable names none.
    pub const fn entry_symbol(&self) -> &'a str {
        if self.entry_symbol.is_empty() { DEFAULT_ENTRY_SYMBOL } else { self.entry_symbol }
    }

    /// Returns whether the callable names its entry. There is no default for an orchestration that runs on
    /// the host (spec hbg A6).
    pub const fn names_entry(&self) -> bool {
        !self.entry_symbol.is_empty()
    }

    /// Returns the configuration symbol; the default where the callable names none.
    pub const fn config_symbol(&self) -> &'a str {
        if self.config_symbol.is_empty() { DEFAULT_CONFIG_SYMBOL } else { self.config_symbol }
    }

    /// Returns the number of kernels.
    pub const fn child_count(&self) -> usize {
        self.child_count
    }

    /// Returns the kernels with their func ids, in the order of the blob.
    pub fn children(&self) -> impl Iterator<Item = (FuncId, CoreCallableView<'a>)> + use<'a> {
        let view = *self;
        // Each of them parsed once already, so that none is left out here.
        (0..view.child_count).filter_map(move |index| view.parse_child(index).ok())
    }

    /// Returns the bytes that were checked.
    pub const fn blob(&self) -> &'a [u8] {
        self.blob
    }
}

/// Reads a NUL-padded name and the length that follows it.
fn name<'a>(header: &'a [u8], at: usize, what: &'static str) -> Result<&'a str, WireError> {
    let field = wire::slice(header, at, SYMBOL_NAME_BYTES, what)?;
    let stated: u32 = wire::read(header, at + SYMBOL_NAME_BYTES, what)?;
    let limit = SYMBOL_NAME_BYTES - 1;
    let len = wire::widen(stated);
    if len > limit {
        return Err(WireError::CountOutOfRange { what, value: i64::from(stated), limit });
    }
    let (text, rest) = field.split_at(len);
    if rest.first() != Some(&0) {
        return Err(WireError::NameNotTerminated { what });
    }
    if let Some(at) = text.iter().position(|&byte| byte == 0) {
        return Err(WireError::NameHoldsNul { what, at });
    }
    core::str::from_utf8(text)
        .map_err(|error| WireError::NameNotUtf8 { what, valid_bytes: error.valid_up_to() })
}

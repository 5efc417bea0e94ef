//! A submission as the orchestration describes it, checked.
//!
//! Everything in an `Arg` is a claim by user code. It is checked where it is, before anything is taken
//! for it: counts and tags within bounds, pointers set and aligned, tensors with a possible shape.
//! Whatever comes after trusts it, and copies each tensor once, into the task's slot.

use core::ffi::CStr;
use core::fmt::Write as _;
use core::mem::offset_of;

use protocol::{
    Arg, ArgTag, Chip, MAX_EXPLICIT_DEPS, MAX_SCALAR_ARGS, MAX_TENSOR_ARGS, OUTPUT_ALIGN,
    StatusCode, TaskId, Tensor, TensorCreateInfo,
};

use super::overlap::{TensorFlaw, check_kind};
use super::{Fatal, Services};
use crate::platform::Platform;

const _: () = {
    let mut number = 0;
    while number < ArgTag::ALL.len() {
        assert!(ArgTag::ALL[number] as usize == number);
        number += 1;
    }
};

/// Alignment that every record of an orchestration has: that of its largest fields.
const RECORD_ALIGN: u64 = 8;

/// A checked `Arg`, still in the orchestration's memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct TaskRequest<'a> {
    arg: &'a Arg,
    tensor_count: usize,
    scalar_count: usize,
    dep_count: usize,
    /// Tensors that the runtime allocates.
    pub(super) output_count: usize,
    /// Bytes of all outputs together.
    pub(super) output_bytes: u64,
}

/// Bytes of each output of a request, in their order.
pub(super) type OutputBytes = [u64; MAX_TENSOR_ARGS];

impl<'a> TaskRequest<'a> {
    /// Checks the argument record at `arg`, and notes what each output takes.
    ///
    /// # Safety
    ///
    /// `arg` is null or points at an `Arg`, whose pointers are null or point at what the tags say. All
    /// stay as they are for `'a`.
    #[inline(always)]
    pub(super) unsafe fn read<C: Chip, P: Platform>(
        services: &Services<'_, C, P>,
        arg: *const Arg,
        outputs: &mut OutputBytes,
    ) -> Result<Self, Fatal> {
        // SAFETY: by the contract.
        let checked = unsafe { Self::check(arg, outputs) };
        // SAFETY: the record was there if its text is named, which is null or a string by the contract.
        checked.map_err(|flaw| unsafe { refuse(services, flaw) })
    }

    /// # Safety
    ///
    /// As for [`read`](Self::read).
    #[inline(always)]
    unsafe fn check(arg: *const Arg, outputs: &mut OutputBytes) -> Result<Self, RequestFlaw> {
        if arg.is_null() || !arg.is_aligned() {
            return Err(RequestFlaw::Record);
        }
        // SAFETY: non-null, aligned, and an `Arg` by the contract.
        let arg = unsafe { &*arg };
        if arg.has_error != 0 {
            return Err(RequestFlaw::Own(arg.error_msg));
        }
        // CAST (all): negative counts become large.
        let (tensors, scalars) = (arg.tensor_count as usize, arg.scalar_count as usize);
        let deps = arg.explicit_deps.count as usize;
        let are_bounded = (tensors <= MAX_TENSOR_ARGS)
            & (scalars <= MAX_SCALAR_ARGS)
            & (deps <= MAX_EXPLICIT_DEPS);
        if !are_bounded {
            return Err(RequestFlaw::Count(BadCount::of(arg)));
        }
        let mut request = Self {
            arg,
            tensor_count: tensors,
            scalar_count: scalars,
            dep_count: deps,
            output_count: 0,
            output_bytes: 0,
        };
        let mut index = 0;
        while let Some((tag, address)) = request.tensor(index) {
            // SAFETY: by the contract.
            let Some(bytes) = (unsafe { bytes_of_tensor(tag, address) }) else {
                // SAFETY: by the contract.
                return Err(RequestFlaw::Tensor(index, unsafe { flaw_of(tag, address) }));
            };
            if tag == ArgTag::Output as i32 {
                // There is a place for each tensor.
                if let Some(place) = outputs.get_mut(request.output_count) {
                    *place = bytes;
                }
                request.output_count += 1;
                let sum = request.output_bytes.checked_add(bytes);
                request.output_bytes = sum.ok_or(RequestFlaw::Outputs)?;
            }
            index += 1;
        }
        Ok(request)
    }

    /// Number of tensors.
    #[inline]
    pub(super) fn tensor_count(&self) -> usize {
        self.tensor_count
    }

    /// Tag and address of a tensor; `None` behind the last one.
    #[inline]
    pub(super) fn tensor(&self, index: usize) -> Option<(i32, u64)> {
        if index >= self.tensor_count {
            return None;
        }
        Some((*self.arg.tags.get(index)?, *self.arg.tensors.get(index)?))
    }

    /// The scalars, of which [`scalar_count`](Self::scalar_count) count.
    #[inline]
    pub(super) fn scalars(&self) -> &'a [u64; MAX_SCALAR_ARGS] {
        &self.arg.scalars
    }

    /// Number of scalars.
    #[inline]
    pub(super) fn scalar_count(&self) -> usize {
        self.scalar_count
    }

    /// The explicit dependencies.
    #[inline]
    pub(super) fn explicit_deps(&self) -> &'a [TaskId] {
        self.arg.explicit_deps.task_ids.get(..self.dep_count).unwrap_or_default()
    }

    /// Blocks as claimed: not checked here, a task without kernel has none.
    pub(super) fn block_num(&self) -> i16 {
        self.arg.launch_spec.block_num
    }

    /// Whether all blocks are to start together.
    pub(super) fn wants_sync_start(&self) -> bool {
        self.arg.launch_spec.require_sync_start != 0
    }
}

/// Reports what is wrong with an argument record.
///
/// # Safety
///
/// If the flaw names a text, that is null or a NUL-terminated string.
#[cold]
unsafe fn refuse<C: Chip, P: Platform>(services: &Services<'_, C, P>, flaw: RequestFlaw) -> Fatal {
    let text = match flaw {
        // SAFETY: by the contract.
        RequestFlaw::Own(address) => unsafe { error_text(address) },
        _ => heapless::String::new(),
    };
    services.fatal(StatusCode::InvalidArgs, format_args!("{flaw}{text}"))
}

/// What is wrong with an argument record.
#[derive(Debug)]
enum RequestFlaw {
    Record,
    /// What the orchestration says itself: address of a text that belongs behind this one.
    Own(u64),
    Count(BadCount),
    Tensor(usize, ArgFlaw),
    Outputs,
}

impl core::fmt::Display for RequestFlaw {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Record => f.write_str("the argument record is null or misaligned"),
            Self::Own(_) => f.write_str("the arguments of a task are invalid: "),
            Self::Count(BadCount { what, count, limit }) => {
                write!(f, "a task has {count} {what}; it may have 0 to {limit}")
            }
            Self::Tensor(index, flaw) => write!(f, "tensor argument {index}: {flaw}"),
            Self::Outputs => f.write_str("the outputs of a task exceed 64 bits of bytes"),
        }
    }
}

/// A count outside its bounds.
#[derive(Debug, Clone, Copy)]
struct BadCount {
    what: &'static str,
    count: i32,
    limit: usize,
}

impl BadCount {
    /// The first one of a record that has one.
    #[cold]
    fn of(arg: &Arg) -> Self {
        let deps = i32::try_from(arg.explicit_deps.count).unwrap_or(i32::MAX);
        let counts = [
            Self { what: "tensors", count: arg.tensor_count, limit: MAX_TENSOR_ARGS },
            Self { what: "scalars", count: arg.scalar_count, limit: MAX_SCALAR_ARGS },
            Self { what: "explicit dependencies", count: deps, limit: MAX_EXPLICIT_DEPS },
        ];
        let is_bad =
            |bad: &Self| usize::try_from(bad.count).map_or(true, |count| count > bad.limit);
        let [.., last] = counts;
        counts.into_iter().find(is_bad).unwrap_or(last)
    }
}

/// What is wrong with one tensor argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ArgFlaw {
    Tag(i32),
    Address(u64),
    Tensor(TensorFlaw),
    Size,
}

impl core::fmt::Display for ArgFlaw {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, "{tag} is no argument type"),
            Self::Address(address) => write!(f, "its address {address:#x} is null or misaligned"),
            Self::Tensor(flaw) => flaw.fmt(f),
            Self::Size => f.write_str("its size is beyond 64 bits of bytes"),
        }
    }
}

/// Whether a number is an argument type.
#[inline(always)]
fn is_tag(tag: i32) -> bool {
    // The tags are the numbers from 0; negative ones become large.
    tag.cast_unsigned() < ArgTag::ALL.len() as u32
}

/// Whether a tensor or a create-info may be at an address.
#[inline(always)]
fn is_record(address: u64) -> bool {
    address != 0 && address.is_multiple_of(RECORD_ALIGN)
}

/// Bytes to allocate for a tensor argument, rounded up to [`OUTPUT_ALIGN`]; 0 for one that is there.
/// `None` for an argument with a flaw.
///
/// # Safety
///
/// `address` is null or points at what `tag` says.
#[inline(always)]
unsafe fn bytes_of_tensor(tag: i32, address: u64) -> Option<u64> {
    if !is_tag(tag) || !is_record(address) {
        return None;
    }
    // SAFETY: non-null, and by the contract.
    let (rank, dtype) = unsafe { kind_at(address) };
    let shift = check_kind(rank, dtype).ok()?;
    if tag != ArgTag::Output as i32 {
        return Some(0);
    }
    let info = core::ptr::with_exposed_provenance::<TensorCreateInfo>(address as usize);
    // SAFETY: non-null, and a create-info by the contract but for its alignment.
    let shape = unsafe { &raw const (*info).raw_shapes };
    // SAFETY: as above; its numbers are aligned.
    let shape = unsafe { &*shape };
    output_bytes(shape.get(..rank as usize)?, shift)
}

/// What is wrong with a tensor argument that [`bytes_of_tensor`] refuses.
///
/// # Safety
///
/// As for that.
#[cold]
unsafe fn flaw_of(tag: i32, address: u64) -> ArgFlaw {
    if !is_tag(tag) {
        return ArgFlaw::Tag(tag);
    }
    if !is_record(address) {
        return ArgFlaw::Address(address);
    }
    // SAFETY: non-null, and by the contract.
    let (rank, dtype) = unsafe { kind_at(address) };
    check_kind(rank, dtype).map_or_else(ArgFlaw::Tensor, |_| ArgFlaw::Size)
}

/// Rank and data type, which tensors and create-infos have in the same place.
///
/// # Safety
///
/// A tensor or a create-info is at `address`, aligned to words.
#[inline(always)]
unsafe fn kind_at(address: u64) -> (u32, u8) {
    let tensor = core::ptr::with_exposed_provenance::<Tensor>(address as usize);
    // SAFETY: by the contract.
    let rank = unsafe { (&raw const (*tensor).ndims).read() };
    // SAFETY: by the contract.
    let dtype = unsafe { (&raw const (*tensor).dtype).read() };
    (rank, dtype)
}

const _: () = {
    assert!(offset_of!(Tensor, ndims) == offset_of!(TensorCreateInfo, ndims));
    assert!(offset_of!(Tensor, dtype) == offset_of!(TensorCreateInfo, dtype));
};

/// Bytes that an output of elements of `1 << shift` bytes takes; `None` if 64 bits do not hold them.
#[inline(always)]
fn output_bytes(extents: &[u32], shift: u8) -> Option<u64> {
    let mut bytes = 1_u64 << shift;
    for extent in extents {
        bytes = match bytes.checked_mul(u64::from(*extent)) {
            Some(bytes) => bytes,
            // Empty, whatever the others multiply to.
            None if extents.contains(&0) => return Some(0),
            None => return None,
        };
    }
    bytes.checked_next_multiple_of(OUTPUT_ALIGN)
}

/// The text an `Arg` carries about its own error.
///
/// # Safety
///
/// `address` is null or points at a NUL-terminated string.
unsafe fn error_text(address: u64) -> heapless::String<128> {
    let mut text = heapless::String::new();
    if address == 0 {
        let _fits = text.push_str("no reason given");
        return text;
    }
    let pointer = core::ptr::with_exposed_provenance(address as usize);
    // SAFETY: by the contract.
    let message = unsafe { CStr::from_ptr(pointer) };
    for chunk in message.to_bytes().utf8_chunks() {
        // A full buffer cuts the text.
        let _cut = text.write_str(chunk.valid());
    }
    text
}

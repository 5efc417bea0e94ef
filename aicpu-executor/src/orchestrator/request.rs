//! A submission as the orchestration describes it, checked.
//!
//! Everything in an `Arg` is a claim by user code. It is checked where it is, before anything is taken
//! for it: counts and tags within bounds, pointers set and aligned, tensors with a possible shape.
//! Whatever comes after trusts it, and copies each tensor once, into the task's slot.

use core::ffi::CStr;
use core::fmt::Write as _;

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

impl<'a> TaskRequest<'a> {
    /// Checks the argument record at `arg`.
    ///
    /// # Safety
    ///
    /// `arg` is null or points at an `Arg`, whose pointers are null or point at what the tags say. All
    /// stay as they are for `'a`.
    #[inline(always)]
    pub(super) unsafe fn read<C: Chip, P: Platform>(
        services: &Services<'_, C, P>,
        arg: *const Arg,
    ) -> Result<Self, Fatal> {
        // SAFETY: by the contract.
        let checked = unsafe { Self::check(arg) };
        // SAFETY: the record was there if its text is named, which is null or a string by the contract.
        checked.map_err(|flaw| unsafe { refuse(services, flaw) })
    }

    /// # Safety
    ///
    /// As for [`read`](Self::read).
    #[inline(always)]
    unsafe fn check(arg: *const Arg) -> Result<Self, RequestFlaw> {
        if arg.is_null() || !arg.is_aligned() {
            return Err(RequestFlaw::Record);
        }
        // SAFETY: non-null, aligned, and an `Arg` by the contract.
        let arg = unsafe { &*arg };
        if arg.has_error != 0 {
            return Err(RequestFlaw::Own(arg.error_msg));
        }
        let deps = i32::try_from(arg.explicit_deps.count).unwrap_or(i32::MAX);
        let mut request = Self {
            arg,
            tensor_count: bounded("tensors", arg.tensor_count, MAX_TENSOR_ARGS)?,
            scalar_count: bounded("scalars", arg.scalar_count, MAX_SCALAR_ARGS)?,
            dep_count: bounded("explicit dependencies", deps, MAX_EXPLICIT_DEPS)?,
            output_count: 0,
            output_bytes: 0,
        };
        for (index, (tag, address)) in request.tensors().enumerate() {
            // SAFETY: by the contract.
            let bytes = unsafe { check_tensor(tag, address) };
            let bytes = bytes.map_err(|flaw| RequestFlaw::Tensor(index, flaw))?;
            if tag == ArgTag::Output as i32 {
                request.output_count += 1;
                let sum = request.output_bytes.checked_add(bytes);
                request.output_bytes = sum.ok_or(RequestFlaw::Outputs)?;
            }
        }
        Ok(request)
    }

    /// Tags and addresses of the tensors.
    #[inline]
    pub(super) fn tensors(&self) -> impl ExactSizeIterator<Item = (i32, u64)> + use<'a> {
        let tags = self.arg.tags.get(..self.tensor_count).unwrap_or_default();
        let addresses = self.arg.tensors.get(..self.tensor_count).unwrap_or_default();
        tags.iter().copied().zip(addresses.iter().copied())
    }

    /// The scalars.
    pub(super) fn scalars(&self) -> &'a [u64] {
        self.arg.scalars.get(..self.scalar_count).unwrap_or_default()
    }

    /// The explicit dependencies.
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

#[inline(always)]
fn bounded(what: &'static str, count: i32, limit: usize) -> Result<usize, RequestFlaw> {
    match usize::try_from(count) {
        Ok(value) if value <= limit => Ok(value),
        _ => Err(RequestFlaw::Count(BadCount { what, count, limit })),
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

/// Checks one tensor argument. Returns the bytes to allocate for an output, rounded up to
/// [`OUTPUT_ALIGN`].
///
/// # Safety
///
/// `address` is null or points at what `tag` says.
#[inline(always)]
unsafe fn check_tensor(tag: i32, address: u64) -> Result<u64, ArgFlaw> {
    // The tags are the numbers from 0.
    if tag < 0 || tag >= ArgTag::ALL.len() as i32 {
        return Err(ArgFlaw::Tag(tag));
    }
    if address == 0 || !address.is_multiple_of(RECORD_ALIGN) {
        return Err(ArgFlaw::Address(address));
    }
    if tag == ArgTag::Output as i32 {
        // SAFETY: not null, and by the contract.
        return output_bytes(&unsafe { read_create_info(address) });
    }
    let tensor = core::ptr::with_exposed_provenance::<Tensor>(address as usize);
    // SAFETY: non-null, and a tensor by the contract but for its alignment.
    let rank = unsafe { (&raw const (*tensor).ndims).read_unaligned() };
    // SAFETY: as above.
    let dtype = unsafe { (&raw const (*tensor).dtype).read() };
    check_kind(rank, dtype).map_err(ArgFlaw::Tensor)?;
    Ok(0)
}

/// Bytes that an output takes.
pub(super) fn output_bytes(info: &TensorCreateInfo) -> Result<u64, ArgFlaw> {
    // First the checks that an existing tensor of that shape gets.
    check_kind(info.ndims, info.dtype).map_err(ArgFlaw::Tensor)?;
    let bytes = info.byte_len().ok();
    bytes.and_then(|bytes| bytes.checked_next_multiple_of(OUTPUT_ALIGN)).ok_or(ArgFlaw::Size)
}

/// Copies a record out of the orchestration's memory.
///
/// The headers align tensors to cache lines, but GCC puts the temporary for a result that nobody
/// takes on the stack as it comes. The reference reads such a tensor, so words are enough.
///
/// # Safety
///
/// `address` points at a `TensorCreateInfo`, which may be aligned to words only.
pub(super) unsafe fn read_create_info(address: u64) -> TensorCreateInfo {
    let pointer = core::ptr::with_exposed_provenance::<TensorCreateInfo>(address as usize);
    // SAFETY: by the contract.
    unsafe { pointer.read_unaligned() }
}

/// The tensor that a create-info describes, placed at `address` (spec trb §1.5, §4.4 step 14).
pub(super) fn created_tensor(
    info: &TensorCreateInfo,
    address: u64,
    bytes: u64,
    owner: TaskId,
) -> Tensor {
    Tensor {
        buffer: protocol::BufferHandle { addr: address, size: bytes },
        owner_task_id: owner,
        start_offset: 0,
        version: info.version,
        ndims: info.ndims,
        dtype: info.dtype,
        is_all_offset_zero: 1,
        is_raw_eq_shapes: 1,
        manual_dep: info.manual_dep,
        shapes: info.raw_shapes,
        raw_shapes: info.raw_shapes,
        offsets: [0; protocol::MAX_TENSOR_DIMS],
        reserved: [0; 24],
    }
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

//! A submission as the orchestration describes it, checked.
//!
//! Everything in an `Arg` is a claim by user code. It is read once into this form: counts and tags
//! within bounds, pointers set and aligned, tensors with a possible shape. Whatever comes after
//! trusts it.

use core::ffi::CStr;
use core::fmt::Write as _;

use protocol::{
    Arg, ArgTag, Chip, MAX_EXPLICIT_DEPS, MAX_SCALAR_ARGS, MAX_TENSOR_ARGS, OUTPUT_ALIGN,
    StatusCode, TaskId, Tensor, TensorCreateInfo,
};

use super::overlap::{Access, TensorFlaw};
use super::{Fatal, Services};
use crate::platform::Platform;

/// Alignment that every record of an orchestration has: that of its largest fields.
const RECORD_ALIGN: u64 = 8;

/// One tensor argument.
#[derive(Debug, Clone, Copy)]
pub(super) enum TensorArg {
    /// The runtime allocates it.
    Create {
        /// What to allocate.
        info: TensorCreateInfo,
        /// Bytes, rounded up to [`OUTPUT_ALIGN`].
        bytes: u64,
    },
    /// It exists.
    Existing {
        /// How the task uses it.
        tag: ArgTag,
        /// The tensor, copied.
        tensor: Tensor,
        /// What it touches.
        access: Access,
    },
}

/// A checked `Arg`.
#[derive(Debug)]
pub(super) struct TaskRequest {
    pub(super) tensors: heapless::Vec<TensorArg, MAX_TENSOR_ARGS>,
    pub(super) scalars: heapless::Vec<u64, MAX_SCALAR_ARGS>,
    pub(super) explicit_deps: heapless::Vec<TaskId, MAX_EXPLICIT_DEPS>,
    /// Blocks as claimed: not checked here, a task without kernel has none.
    pub(super) block_num: i16,
    pub(super) wants_sync_start: bool,
    /// Bytes of all outputs together.
    pub(super) output_bytes: u64,
}

impl TaskRequest {
    /// Reads and checks the argument record at `arg`.
    ///
    /// # Safety
    ///
    /// `arg` is null or points at an `Arg`, whose pointers are null or point at what the tags say.
    pub(super) unsafe fn read<C: Chip, P: Platform>(
        services: &Services<'_, C, P>,
        arg: *const Arg,
    ) -> Result<Self, Fatal> {
        let invalid =
            |text: core::fmt::Arguments<'_>| services.fatal(StatusCode::InvalidArgs, text);
        if arg.is_null() || !arg.is_aligned() {
            return Err(invalid(format_args!("the argument record is null or misaligned")));
        }
        // SAFETY: non-null, aligned, and an `Arg` by the contract.
        let arg = unsafe { &*arg };
        if arg.has_error != 0 {
            // SAFETY: the text is null or a string by the contract.
            let text = unsafe { error_text(arg.error_msg) };
            return Err(invalid(format_args!("the arguments of a task are invalid: {text}")));
        }
        let tensor_count = bounded("tensors", arg.tensor_count, MAX_TENSOR_ARGS)
            .map_err(invalid_count(services))?;
        let scalar_count = bounded("scalars", arg.scalar_count, MAX_SCALAR_ARGS)
            .map_err(invalid_count(services))?;
        let deps = i32::try_from(arg.explicit_deps.count).unwrap_or(i32::MAX);
        let dep_count = bounded("explicit dependencies", deps, MAX_EXPLICIT_DEPS)
            .map_err(invalid_count(services))?;
        let mut request = Self {
            tensors: heapless::Vec::new(),
            scalars: arg.scalars.iter().take(scalar_count).copied().collect(),
            explicit_deps: arg.explicit_deps.task_ids.iter().take(dep_count).copied().collect(),
            block_num: arg.launch_spec.block_num,
            wants_sync_start: arg.launch_spec.require_sync_start != 0,
            output_bytes: 0,
        };
        for (index, (tag, address)) in
            arg.tags.iter().zip(arg.tensors).take(tensor_count).enumerate()
        {
            // SAFETY: by the contract.
            let tensor = unsafe { read_tensor(*tag, address) }
                .map_err(|flaw| invalid(format_args!("tensor argument {index}: {flaw}")))?;
            if let TensorArg::Create { bytes, .. } = tensor {
                request.output_bytes =
                    request.output_bytes.checked_add(bytes).ok_or_else(|| {
                        invalid(format_args!("the outputs of a task exceed 64 bits of bytes"))
                    })?;
            }
            // The count was checked against the vector's capacity.
            let _fits = request.tensors.push(tensor);
        }
        Ok(request)
    }
}

/// A count outside its bounds.
#[derive(Debug, Clone, Copy)]
struct BadCount {
    what: &'static str,
    count: i32,
    limit: usize,
}

fn bounded(what: &'static str, count: i32, limit: usize) -> Result<usize, BadCount> {
    match usize::try_from(count) {
        Ok(value) if value <= limit => Ok(value),
        _ => Err(BadCount { what, count, limit }),
    }
}

fn invalid_count<'a, C: Chip, P: Platform>(
    services: &'a Services<'_, C, P>,
) -> impl Fn(BadCount) -> Fatal + 'a {
    |BadCount { what, count, limit }| {
        services.fatal(
            StatusCode::InvalidArgs,
            format_args!("a task has {count} {what}; it may have 0 to {limit}"),
        )
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

/// Reads one tensor argument.
///
/// # Safety
///
/// `address` is null or points at what `tag` says.
unsafe fn read_tensor(tag: i32, address: u64) -> Result<TensorArg, ArgFlaw> {
    let tag = ArgTag::try_from(tag).map_err(|_| ArgFlaw::Tag(tag))?;
    if tag == ArgTag::Output {
        // SAFETY: by the contract.
        let info: TensorCreateInfo = unsafe { read_record(address) }?;
        // First the checks that an existing tensor of that shape gets.
        Access::of(&created_tensor(&info, 0, 0, TaskId::INVALID)).map_err(ArgFlaw::Tensor)?;
        let bytes = info
            .byte_len()
            .ok()
            .and_then(|bytes| bytes.checked_next_multiple_of(OUTPUT_ALIGN))
            .ok_or(ArgFlaw::Size)?;
        return Ok(TensorArg::Create { info, bytes });
    }
    // SAFETY: by the contract.
    let mut tensor: Tensor = unsafe { read_record(address) }?;
    let access = Access::of(&tensor).map_err(ArgFlaw::Tensor)?;
    tensor.start_offset = access.start_offset();
    Ok(TensorArg::Existing { tag, tensor, access })
}

/// Copies a record out of the orchestration's memory.
///
/// The headers align tensors to cache lines, but GCC puts the temporary for a result that nobody
/// takes on the stack as it comes. The reference reads such a tensor, so words are enough.
///
/// # Safety
///
/// `address` is null or points at a `T` of which any bytes are a valid value.
unsafe fn read_record<T: zerocopy::FromBytes>(address: u64) -> Result<T, ArgFlaw> {
    let pointer = core::ptr::with_exposed_provenance::<T>(address as usize);
    if pointer.is_null() || !address.is_multiple_of(RECORD_ALIGN) {
        return Err(ArgFlaw::Address(address));
    }
    // SAFETY: non-null, and a `T` by the contract but for its alignment.
    Ok(unsafe { pointer.read_unaligned() })
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

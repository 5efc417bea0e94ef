//! What a test submits, put together the way the C++ headers do it.

use std::boxed::Box;
use std::vec::Vec;

use protocol::{
    Arg, ArgTag, BufferHandle, DataType, INVALID_KERNEL_ID, MixedKernels, TaskId,
    TaskOutputTensors, Tensor, TensorCreateInfo,
};
use zerocopy::FromZeros;

use super::Session;

/// One task under construction.
#[expect(clippy::vec_box, reason = "the argument record holds the tensors' addresses")]
pub(crate) struct Submission {
    kernels: MixedKernels,
    arg: Arg,
    tensors: Vec<Box<Tensor>>,
    create_infos: Vec<Box<TensorCreateInfo>>,
}

/// No kernel on any lane.
pub(crate) const NO_KERNELS: MixedKernels = MixedKernels {
    aic_kernel_id: INVALID_KERNEL_ID,
    aiv0_kernel_id: INVALID_KERNEL_ID,
    aiv1_kernel_id: INVALID_KERNEL_ID,
};

impl Submission {
    /// A task with these kernels.
    pub(crate) fn of(kernels: MixedKernels) -> Self {
        let mut arg = Arg::new_zeroed();
        arg.launch_spec.block_num = 1;
        Self { kernels, arg, tensors: Vec::new(), create_infos: Vec::new() }
    }

    /// A vector task.
    pub(crate) fn aiv(func_id: i32) -> Self {
        Self::of(MixedKernels { aiv0_kernel_id: func_id, ..NO_KERNELS })
    }

    /// A cube task.
    pub(crate) fn aic(func_id: i32) -> Self {
        Self::of(MixedKernels { aic_kernel_id: func_id, ..NO_KERNELS })
    }

    fn push(mut self, tag: ArgTag, address: u64) -> Self {
        let index = self.arg.tensor_count as usize;
        self.arg.tags[index] = tag as i32;
        self.arg.tensors[index] = address;
        self.arg.tensor_count += 1;
        self
    }

    /// An existing tensor.
    pub(crate) fn tensor(mut self, tag: ArgTag, tensor: Tensor) -> Self {
        let tensor = Box::new(tensor);
        let address = core::ptr::from_ref(&*tensor).expose_provenance() as u64;
        self.tensors.push(tensor);
        self.push(tag, address)
    }

    /// A tensor for the runtime to allocate.
    pub(crate) fn create(mut self, shape: &[u32], initial: Option<u32>) -> Self {
        let mut info = Box::new(TensorCreateInfo::new_zeroed());
        info.ndims = shape.len() as u32;
        info.dtype = DataType::Int32 as u8;
        (info.is_all_offset_zero, info.is_raw_eq_shapes) = (1, 1);
        info.raw_shapes[..shape.len()].copy_from_slice(shape);
        if let Some(value) = initial {
            (info.has_initial_value, info.initial_value) = (1, u64::from(value));
        }
        let address = core::ptr::from_ref(&*info).expose_provenance() as u64;
        self.create_infos.push(info);
        self.push(ArgTag::Output, address)
    }

    /// A tensor for the runtime to allocate, with this number of dimensions.
    pub(crate) fn create_of_rank(mut self, rank: u32) -> Self {
        self = self.create(&[1], None);
        if let Some(info) = self.create_infos.last_mut() {
            info.ndims = rank;
        }
        self
    }

    /// A scalar.
    pub(crate) fn scalar(mut self, value: u64) -> Self {
        self.arg.scalars[self.arg.scalar_count as usize] = value;
        self.arg.scalar_count += 1;
        self
    }

    /// An explicit dependency.
    pub(crate) fn after(mut self, task: TaskId) -> Self {
        self.arg.explicit_deps.task_ids[self.arg.explicit_deps.count as usize] = task;
        self.arg.explicit_deps.count += 1;
        self
    }

    /// Blocks, and whether they start together.
    pub(crate) fn blocks(mut self, count: i16, sync_start: bool) -> Self {
        self.arg.launch_spec.block_num = count;
        self.arg.launch_spec.require_sync_start = u8::from(sync_start);
        self
    }

    /// Lets a test break the record.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Arg)) -> Self {
        change(&mut self.arg);
        self
    }

    /// What is handed to the orchestrator.
    pub(crate) fn parts(&self) -> (*const MixedKernels, *const Arg) {
        (&raw const self.kernels, &raw const self.arg)
    }

    /// Submits the task.
    pub(crate) fn submit(&self, session: &mut Session<'_, '_>) -> TaskOutputTensors {
        // SAFETY: the record and all it points at live in `self`.
        unsafe {
            session.orchestrator.submit(
                session.services,
                &raw const self.kernels,
                &raw const self.arg,
            )
        }
    }

    /// Allocates the task's outputs without a kernel.
    pub(crate) fn alloc(&self, session: &mut Session<'_, '_>) -> TaskOutputTensors {
        // SAFETY: as in `submit`.
        unsafe { session.orchestrator.alloc_tensors(session.services, &raw const self.arg) }
    }
}

/// A buffer of 32-bit integers as an external tensor.
pub(crate) fn external(buffer: &mut [i32], shape: &[u32]) -> Tensor {
    let mut tensor = Tensor::new_zeroed();
    tensor.buffer = BufferHandle {
        addr: buffer.as_mut_ptr().expose_provenance() as u64,
        size: (buffer.len() * 4) as u64,
    };
    tensor.owner_task_id = TaskId::INVALID;
    tensor.ndims = shape.len() as u32;
    tensor.dtype = DataType::Int32 as u8;
    (tensor.is_all_offset_zero, tensor.is_raw_eq_shapes) = (1, 1);
    tensor.shapes[..shape.len()].copy_from_slice(shape);
    tensor
}

/// A view of a tensor, as `Tensor::view` of the headers makes it.
pub(crate) fn view(parent: &Tensor, shape: &[u32], offset: &[u32]) -> Tensor {
    let mut tensor = *parent;
    tensor.raw_shapes =
        if parent.is_raw_eq_shapes != 0 { parent.shapes } else { parent.raw_shapes };
    tensor.is_raw_eq_shapes = 0;
    let at_zero = offset.iter().all(|offset| *offset == 0);
    tensor.is_all_offset_zero = u8::from(parent.is_all_offset_zero != 0 && at_zero);
    tensor.shapes[..shape.len()].copy_from_slice(shape);
    for (dimension, offset) in offset.iter().enumerate() {
        let before = if parent.is_all_offset_zero != 0 { 0 } else { parent.offsets[dimension] };
        tensor.offsets[dimension] = before + offset;
    }
    tensor
}

/// Output `index` of a submission, copied.
pub(crate) fn output(outputs: &TaskOutputTensors, index: usize) -> Tensor {
    assert!(index < outputs.output_count as usize, "the submission has that output");
    let address = outputs.tensors[index] as usize;
    // SAFETY: outputs are tensors in the payload slot of a task whose scope is open.
    unsafe { core::ptr::with_exposed_provenance::<Tensor>(address).read() }
}

/// Address of every element of a 32-bit tensor, row by row: what a kernel would touch.
pub(crate) fn elements(tensor: &Tensor) -> Vec<*mut i32> {
    let rank = tensor.ndims as usize;
    let raw = if tensor.is_raw_eq_shapes != 0 { tensor.shapes } else { tensor.raw_shapes };
    let base = core::ptr::with_exposed_provenance_mut::<i32>(tensor.buffer.addr as usize)
        .wrapping_add(tensor.start_offset as usize);
    let count: u32 = tensor.shapes[..rank].iter().product();
    (0..count)
        .map(|flat| {
            let (mut rest, mut position, mut stride) = (flat, 0, 1);
            for dimension in (0..rank).rev() {
                position += (rest % tensor.shapes[dimension]) as usize * stride;
                rest /= tensor.shapes[dimension];
                stride *= raw[dimension] as usize;
            }
            base.wrapping_add(position)
        })
        .collect()
}

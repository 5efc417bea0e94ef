//! What an orchestration hands over when it submits a task, and what it gets back.
//!
//! These records live in the orchestration's memory and are only read during the call. Everything
//! in them is a claim by user code: counts, tags and pointers are checked by the executor before
//! use (spec trb §1.5).

use crate::ids::TaskId;
use crate::layout::{FieldLayout, StructLayout, check_layout, layout};
use crate::limits::{LANE_COUNT, MAX_EXPLICIT_DEPS, MAX_SCALAR_ARGS, MAX_TENSOR_ARGS};
use crate::wire_enum::wire_enum;
use core::mem::offset_of;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Kernel id that leaves a lane of a cluster idle (spec trb §1.5).
pub const INVALID_KERNEL_ID: i32 = -1;

wire_enum! {
    /// Which cores one block of a task needs (spec trb §3.3).
    pub enum ResourceShape: u8 = "PTO2ResourceShape", RESOURCE_SHAPE {
        /// One cube core.
        Aic = 0 => "AIC",
        /// One vector core.
        Aiv = 1 => "AIV",
        /// A whole cluster.
        Mix = 2 => "MIX",
    }
}

wire_enum! {
    /// How dependencies are found in a scope (spec trb §1.6).
    pub enum ScopeMode: u8 = "PTO2ScopeMode", SCOPE_MODE {
        /// From the tensors.
        Auto = 0 => "AUTO",
        /// Only from explicit dependencies.
        Manual = 1 => "MANUAL",
    }
}

wire_enum! {
    /// Lane of a cluster, and index of its kernel in a task (spec trb §3.3).
    pub enum Lane: u8 = "PTO2SubtaskSlot", LANE {
        /// The cube core.
        Aic = 0 => "AIC",
        /// The first vector core.
        Aiv0 = 1 => "AIV0",
        /// The second vector core.
        Aiv1 = 2 => "AIV1",
    }
}

bitflags::bitflags! {
    impl ActiveMask: u8 {
        /// The cube core has a kernel.
        const AIC = 1;
        /// The first vector core has a kernel.
        const AIV0 = 2;
        /// The second vector core has a kernel.
        const AIV1 = 4;
        /// All blocks start together.
        const SYNC_START = 8;
    }
}

/// The lanes that a task uses (spec trb §3.3).
#[repr(transparent)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct ActiveMask(u8);

layout! {
    ACTIVE_MASK: ActiveMask = "ActiveMask" on both, size 1, align 1 { 0 as "raw_" @ 0 }
}

impl ActiveMask {
    /// The bits that stand for lanes.
    pub const LANES: Self = Self::AIC.union(Self::AIV0).union(Self::AIV1);

    /// Returns the number of lanes with a kernel, 0 to 3.
    pub const fn lane_count(self) -> u32 {
        self.intersection(Self::LANES).bits().count_ones()
    }

    /// Returns what a block needs, or `None` where no lane has a kernel.
    pub const fn shape(self) -> Option<ResourceShape> {
        match self.lane_count() {
            0 => None,
            1 if self.contains(Self::AIC) => Some(ResourceShape::Aic),
            1 => Some(ResourceShape::Aiv),
            _ => Some(ResourceShape::Mix),
        }
    }
}

/// The kernels of a task, one per lane (spec trb §1.5).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct MixedKernels {
    /// Func id for the cube core, or [`INVALID_KERNEL_ID`].
    pub aic_kernel_id: i32,
    /// Func id for the first vector core, or [`INVALID_KERNEL_ID`].
    pub aiv0_kernel_id: i32,
    /// Func id for the second vector core, or [`INVALID_KERNEL_ID`].
    pub aiv1_kernel_id: i32,
}

layout! {
    MIXED_KERNELS: MixedKernels = "MixedKernels" on both, size 12, align 4 {
        aic_kernel_id @ 0, aiv0_kernel_id @ 4, aiv1_kernel_id @ 8,
    }
}

impl MixedKernels {
    /// Returns the ids in the order of [`Lane`].
    pub const fn lanes(&self) -> [i32; LANE_COUNT] {
        [self.aic_kernel_id, self.aiv0_kernel_id, self.aiv1_kernel_id]
    }
}

/// How a task is spread over cores (spec trb §1.5). a5 calls the count `core_num`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct LaunchSpec {
    /// Blocks, 1 to 32767; each runs the same kernels with its own index.
    pub block_num: i16,
    /// Not 0: all blocks start together.
    pub require_sync_start: u8,
    /// Written as zero.
    pub reserved: u8,
}

layout! {
    LAUNCH_SPEC_A2A3: LaunchSpec = "PTO2LaunchSpec" on a2a3, size 4, align 2 {
        block_num as "block_num_" @ 0, require_sync_start as "require_sync_start_" @ 2,
    } reserved { reserved @ 3 }
}
layout! {
    LAUNCH_SPEC_A5: LaunchSpec = "PTO2LaunchSpec" on a5, size 4, align 2 {
        block_num as "core_num_" @ 0, require_sync_start as "require_sync_start_" @ 2,
    } reserved { reserved @ 3 }
}

/// Dependencies that no tensor shows (spec trb §1.5).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ExplicitDeps {
    /// The first `count` are dependencies.
    pub task_ids: [TaskId; MAX_EXPLICIT_DEPS],
    /// Dependencies in use, at most 16.
    pub count: u32,
    /// Written as zero.
    pub reserved: u32,
}

layout! {
    EXPLICIT_DEPS: ExplicitDeps = "Arg::ExplicitDepStorage" on both, size 136, align 8 {
        task_ids @ 0, count @ 128,
    } reserved { reserved @ 132 }
}

/// The arguments of one task (spec trb §1.5).
///
/// `tensors[i]` points at a `TensorCreateInfo` where `tags[i]` is `ArgTag::Output`, otherwise at a
/// `Tensor`. An orchestration that broke the contract while filling the record left `has_error`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Arg {
    /// `ArgTag` numbers; the first `tensor_count` count.
    pub tags: [i32; MAX_TENSOR_ARGS],
    /// Addresses in the orchestration's memory; the first `tensor_count` count.
    pub tensors: [u64; MAX_TENSOR_ARGS],
    /// Bit patterns, zero-extended; the first `scalar_count` count.
    pub scalars: [u64; MAX_SCALAR_ARGS],
    /// Tensors in use, at most 16.
    pub tensor_count: i32,
    /// Scalars in use, at most 32.
    pub scalar_count: i32,
    /// Not 0: the submission fails with `InvalidArgs`.
    pub has_error: u8,
    /// Written as zero.
    pub reserved0: [u8; 7],
    /// Address of a NUL-terminated text, or 0.
    pub error_msg: u64,
    /// How the task is spread over cores.
    pub launch_spec: LaunchSpec,
    /// Written as zero.
    pub reserved1: u32,
    /// Dependencies that no tensor shows.
    pub explicit_deps: ExplicitDeps,
}

check_layout!(Arg, size 616, align 8 {
    tags @ 0, tensors @ 64, scalars @ 192, tensor_count @ 448, scalar_count @ 452,
    has_error @ 456, reserved0 @ 457, error_msg @ 464, launch_spec @ 472, reserved1 @ 476,
    explicit_deps @ 480,
});

/// Bytes of the part of [`Arg`] that the reference keeps in a base class.
const BASE_BYTES: usize = offset_of!(Arg, has_error);

const fn field<T>(name: &'static str, offset: usize) -> FieldLayout {
    FieldLayout { name, offset, size: size_of::<T>() }
}

/// [`Arg`] as the tables see it: a base class, then members.
pub(crate) const ARG: StructLayout = StructLayout {
    table: "Arg",
    chip: None,
    size: size_of::<Arg>(),
    align: align_of::<Arg>(),
    fields: &[
        FieldLayout { name: "<base>", offset: 0, size: BASE_BYTES },
        field::<u8>("has_error", offset_of!(Arg, has_error)),
        field::<u64>("error_msg", offset_of!(Arg, error_msg)),
        field::<LaunchSpec>("launch_spec", offset_of!(Arg, launch_spec)),
        field::<ExplicitDeps>("explicit_deps_", offset_of!(Arg, explicit_deps)),
    ],
};

/// The base class of [`Arg`].
pub(crate) const ARG_BASE: StructLayout = StructLayout {
    table: "TaskArgsTpl<TensorRef, long unsigned int, 16, 32, TensorArgType>",
    chip: None,
    size: BASE_BYTES,
    align: align_of::<Arg>(),
    fields: &[
        field::<[i32; MAX_TENSOR_ARGS]>("<base>", offset_of!(Arg, tags)),
        field::<[u64; MAX_TENSOR_ARGS]>("tensors_", offset_of!(Arg, tensors)),
        field::<[u64; MAX_SCALAR_ARGS]>("scalars_", offset_of!(Arg, scalars)),
        field::<i32>("tensor_count_", offset_of!(Arg, tensor_count)),
        field::<i32>("scalar_count_", offset_of!(Arg, scalar_count)),
    ],
};

/// One element of [`Arg::tensors`]: a union of two pointers in the reference.
pub(crate) const TENSOR_REF: StructLayout = StructLayout {
    table: "TensorRef",
    chip: None,
    size: size_of::<u64>(),
    align: align_of::<u64>(),
    fields: &[field::<u64>("ptr", 0), field::<u64>("create_info", 0)],
};

/// What a submission returns: the task's id and its allocated outputs (spec trb §1.5).
///
/// The addresses are of `Tensor` records in the task's payload slot, valid within the scope of
/// the submission. All zero with an invalid id after a failure.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct TaskOutputTensors {
    /// The submitted task.
    pub task_id: TaskId,
    /// Outputs in use, at most 16.
    pub output_count: u32,
    /// Written as zero.
    pub reserved: u32,
    /// Addresses of the outputs; the first `output_count` count.
    pub tensors: [u64; MAX_TENSOR_ARGS],
}

layout! {
    TASK_OUTPUT_TENSORS: TaskOutputTensors = "TaskOutputTensors" on both, size 144, align 8 {
        task_id as "task_id_" @ 0, output_count as "output_count_" @ 8, tensors as "tensors_" @ 16,
    } reserved { reserved @ 12 }
}

impl TaskOutputTensors {
    /// What a failed or refused submission returns.
    pub const EMPTY: Self = Self {
        task_id: TaskId::INVALID,
        output_count: 0,
        reserved: 0,
        tensors: [0; MAX_TENSOR_ARGS],
    };
}

/// What the optional configuration function of an orchestration returns (spec trb §1.2).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct OrchestrationConfig {
    /// Fewest tensors and scalars together that the entry needs; no check where not positive.
    pub expected_arg_count: i32,
}

layout! {
    ORCHESTRATION_CONFIG: OrchestrationConfig = "PTO2OrchestrationConfig" on both,
    size 4, align 4 { expected_arg_count @ 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape_follows_from_the_lanes_in_use() {
        #[track_caller]
        fn check(mask: ActiveMask, shape: Option<ResourceShape>) {
            assert_eq!(mask.shape(), shape, "{mask:?}");
            assert_eq!((mask | ActiveMask::SYNC_START).shape(), shape, "{mask:?} + sync start");
        }
        check(ActiveMask::empty(), None);
        check(ActiveMask::AIC, Some(ResourceShape::Aic));
        check(ActiveMask::AIV0, Some(ResourceShape::Aiv));
        check(ActiveMask::AIV1, Some(ResourceShape::Aiv));
        check(ActiveMask::AIC | ActiveMask::AIV1, Some(ResourceShape::Mix));
        check(ActiveMask::AIV0 | ActiveMask::AIV1, Some(ResourceShape::Mix));
        check(ActiveMask::LANES, Some(ResourceShape::Mix));
    }

    #[test]
    fn lane_bit_is_the_lane_number() {
        for &lane in Lane::ALL {
            let bit = ActiveMask::from_bits(1 << lane.raw()).unwrap();
            assert!(ActiveMask::LANES.contains(bit), "{lane:?}");
        }
    }

    #[test]
    fn kernels_are_listed_in_lane_order() {
        let kernels = MixedKernels { aic_kernel_id: 5, aiv0_kernel_id: 6, aiv1_kernel_id: 7 };
        assert_eq!(kernels.lanes()[usize::from(Lane::Aiv0.raw())], 6);
        assert_eq!(kernels.lanes(), [5, 6, 7]);
    }
}

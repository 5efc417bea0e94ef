//! Settings of one run as they travel between processes (spec callable §1.6).
//!
//! The record has no padding, so that its bytes are its fields in order; receivers copy it out,
//! since senders do not align it.

use crate::kernel_args::ProfilingFlags;
use crate::layout::check_layout;
use crate::wire::{self, WireError};
use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Size of the directory name field in bytes, including the NUL.
pub const OUTPUT_PREFIX_BYTES: usize = 1024;

/// Why settings are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CallConfigError {
    /// A diagnostic is on, but there is no directory for its output.
    OutputPrefixMissing {
        /// Its switch.
        enable_l2_swimlane: i32,
        /// Its switch.
        enable_dump_tensor: i32,
        /// Its switch.
        enable_pmu: i32,
    },
    /// The directory name does not fit.
    OutputPrefixTooLong {
        /// Bytes of the name.
        bytes: usize,
        /// Bytes that fit, without the NUL.
        limit: usize,
    },
    /// The directory name holds a NUL.
    OutputPrefixHoldsNul {
        /// Position of the NUL.
        at: usize,
    },
    /// The directory name has no NUL at its end.
    OutputPrefixNotTerminated,
    /// The directory name is not UTF-8.
    OutputPrefixNotUtf8 {
        /// Bytes before the first bad one.
        valid_bytes: usize,
    },
    /// A run needs at least one cluster.
    BlockDim {
        /// The value given.
        value: i32,
    },
    /// A run needs at least one AICPU thread.
    AicpuThreadNum {
        /// The value given.
        value: i32,
    },
}

impl fmt::Display for CallConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OutputPrefixMissing { enable_l2_swimlane, enable_dump_tensor, enable_pmu } => {
                write!(
                    f,
                    "enable_l2_swimlane={enable_l2_swimlane} \
                     enable_dump_tensor={enable_dump_tensor} enable_pmu={enable_pmu} need an \
                     output_prefix: set it, or switch them off"
                )
            }
            Self::OutputPrefixTooLong { bytes, limit } => {
                write!(f, "output_prefix has {bytes} bytes: use at most {limit}")
            }
            Self::OutputPrefixHoldsNul { at } => {
                write!(f, "output_prefix holds a NUL at {at}: remove it")
            }
            Self::OutputPrefixNotTerminated => {
                f.write_str("output_prefix is not NUL-terminated: the record is damaged")
            }
            Self::OutputPrefixNotUtf8 { valid_bytes } => {
                write!(f, "output_prefix is not UTF-8 after {valid_bytes} bytes: rename it")
            }
            Self::BlockDim { value } => write!(f, "block_dim is {value}: use at least 1"),
            Self::AicpuThreadNum { value } => {
                write!(f, "aicpu_thread_num is {value}: use at least 1")
            }
        }
    }
}

impl core::error::Error for CallConfigError {}

/// Settings of one run.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CallConfig {
    /// Clusters.
    pub block_dim: i32,
    /// AICPU threads.
    pub aicpu_thread_num: i32,
    /// Not 0: record when tasks run.
    pub enable_l2_swimlane: i32,
    /// Not 0: dump tensors.
    pub enable_dump_tensor: i32,
    /// Above 0: record the counters of this `PmuEvent` number.
    pub enable_pmu: i32,
    /// NUL-terminated directory for the diagnostics' output.
    pub output_prefix: [u8; OUTPUT_PREFIX_BYTES],
}

check_layout!(CallConfig, size 1044, align 4 {
    block_dim @ 0, aicpu_thread_num @ 4, enable_l2_swimlane @ 8, enable_dump_tensor @ 12,
    enable_pmu @ 16, output_prefix @ 20,
});

impl Default for CallConfig {
    fn default() -> Self {
        Self {
            block_dim: 24,
            aicpu_thread_num: 3,
            enable_l2_swimlane: 0,
            enable_dump_tensor: 0,
            enable_pmu: 0,
            output_prefix: [0; OUTPUT_PREFIX_BYTES],
        }
    }
}

impl CallConfig {
    /// Copies the settings from the start of `bytes`, at any alignment, without judging them.
    ///
    /// # Errors
    ///
    /// [`WireError::Truncated`] for fewer than 1044 bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        wire::read(bytes, 0, "run settings")
    }

    /// Checks what can be checked without knowing the chip.
    ///
    /// # Errors
    ///
    /// [`CallConfigError`] for a diagnostic without an output directory, a directory name that is
    /// no text, or a count below 1.
    pub fn validate(&self) -> Result<(), CallConfigError> {
        let prefix = self.output_prefix()?;
        if !self.profiling().is_empty() && prefix.is_empty() {
            return Err(CallConfigError::OutputPrefixMissing {
                enable_l2_swimlane: self.enable_l2_swimlane,
                enable_dump_tensor: self.enable_dump_tensor,
                enable_pmu: self.enable_pmu,
            });
        }
        if self.block_dim < 1 {
            return Err(CallConfigError::BlockDim { value: self.block_dim });
        }
        if self.aicpu_thread_num < 1 {
            return Err(CallConfigError::AicpuThreadNum { value: self.aicpu_thread_num });
        }
        Ok(())
    }

    /// Returns which diagnostics are on.
    pub fn profiling(&self) -> ProfilingFlags {
        let mut flags = ProfilingFlags::empty();
        flags.set(ProfilingFlags::SWIMLANE, self.enable_l2_swimlane != 0);
        flags.set(ProfilingFlags::DUMP, self.enable_dump_tensor != 0);
        flags.set(ProfilingFlags::PMU, self.enable_pmu > 0);
        flags
    }

    /// Returns the directory for the diagnostics' output; empty where there is none.
    ///
    /// # Errors
    ///
    /// [`CallConfigError`] where the field has no NUL or is not UTF-8.
    pub fn output_prefix(&self) -> Result<&str, CallConfigError> {
        let field = &self.output_prefix;
        let end = field.iter().position(|&byte| byte == 0);
        let text = end
            .and_then(|end| field.get(..end))
            .ok_or(CallConfigError::OutputPrefixNotTerminated)?;
        core::str::from_utf8(text).map_err(|error| CallConfigError::OutputPrefixNotUtf8 {
            valid_bytes: error.valid_up_to(),
        })
    }

    /// Sets the directory for the diagnostics' output.
    ///
    /// # Errors
    ///
    /// [`CallConfigError`] for a name of 1024 bytes or more, or one that holds a NUL; the settings
    /// stay as they were.
    pub fn set_output_prefix(&mut self, prefix: &str) -> Result<(), CallConfigError> {
        let limit = OUTPUT_PREFIX_BYTES - 1;
        let bytes = prefix.len();
        if let Some(at) = prefix.bytes().position(|byte| byte == 0) {
            return Err(CallConfigError::OutputPrefixHoldsNul { at });
        }
        let too_long = CallConfigError::OutputPrefixTooLong { bytes, limit };
        if bytes > limit {
            return Err(too_long);
        }
        let mut field = [0; OUTPUT_PREFIX_BYTES];
        field.get_mut(..bytes).ok_or(too_long)?.copy_from_slice(prefix.as_bytes());
        self.output_prefix = field;
        Ok(())
    }
}

//! Which of the four libraries this is.

use std::fmt;

pub use host_runner::runtime_name::RuntimeName;
pub use host_runner::worker::PlatformName;
use protocol::{A2a3, A5, Chip, ChipName};

/// One of the libraries (spec callable, glossary).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// The device.
    pub platform: PlatformName,
    /// The runtime.
    pub runtime: RuntimeName,
}

impl Variant {
    /// Bytes of the chip's run record, which clients allocate for every run (spec callable §4.1).
    pub const fn run_record_bytes(self) -> usize {
        match self.platform.chip() {
            ChipName::A2a3 => size_of::<<A2a3 as Chip>::Runtime>(),
            ChipName::A5 => size_of::<<A5 as Chip>::Runtime>(),
        }
    }

    /// Alignment of the chip's run record in bytes.
    pub const fn run_record_align(self) -> usize {
        match self.platform.chip() {
            ChipName::A2a3 => align_of::<<A2a3 as Chip>::Runtime>(),
            ChipName::A5 => align_of::<<A5 as Chip>::Runtime>(),
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.platform, self.runtime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_records_have_the_sizes_of_the_reference() {
        let of = |platform| {
            let variant = Variant { platform, runtime: RuntimeName::Trb };
            (variant.run_record_bytes(), variant.run_record_align(), variant.to_string())
        };
        assert_eq!(of(PlatformName::A2a3Sim), (22400, 64, String::from("a2a3sim/trb")));
        assert_eq!(of(PlatformName::A5Sim), (24704, 64, String::from("a5sim/trb")));
    }
}

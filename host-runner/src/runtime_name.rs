//! The names of the runtimes: where the orchestration of a callable runs (spec hbg §0).
//!
//! A callable's bytes do not say for which of them it was built, so whoever registers one does.

use std::fmt;
use std::str::FromStr;

/// The runtimes that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RuntimeName {
    /// tensormap_and_ringbuffer: the orchestration runs on the AICPU, and tasks are scheduled while it
    /// submits more.
    #[default]
    Trb,
    /// host_build_graph: the orchestration runs in the host's process and hands over a finished graph.
    Hbg,
}

impl RuntimeName {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Trb, Self::Hbg];

    /// The short name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trb => "trb",
            Self::Hbg => "hbg",
        }
    }

    /// The name in full, as the reference has it.
    pub const fn full_name(self) -> &'static str {
        match self {
            Self::Trb => "tensormap_and_ringbuffer",
            Self::Hbg => "host_build_graph",
        }
    }
}

impl fmt::Display for RuntimeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RuntimeName {
    type Err = UnknownRuntime;

    /// Either name.
    fn from_str(name: &str) -> Result<Self, UnknownRuntime> {
        let known = Self::ALL.iter().find(|it| it.name() == name || it.full_name() == name);
        known.copied().ok_or_else(|| UnknownRuntime { name: name.to_owned() })
    }
}

/// A name that is not one of a runtime.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no runtime `{name}`; use `trb` (tensormap_and_ringbuffer) or `hbg` (host_build_graph)"
)]
pub struct UnknownRuntime {
    /// As given.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_are_read_and_the_short_one_is_shown() {
        for runtime in RuntimeName::ALL {
            for name in [runtime.name(), runtime.full_name()] {
                assert_eq!(name.parse(), Ok(*runtime));
            }
            assert_eq!(runtime.to_string(), runtime.name());
        }
        let unknown = "TRB".parse::<RuntimeName>().unwrap_err();
        assert!(unknown.to_string().contains("`TRB`"), "{unknown}");
    }
}

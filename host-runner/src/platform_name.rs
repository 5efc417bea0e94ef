//! The names of the platforms, as users give them (spec callable §1.6).
//!
//! Apart from the worker, since manifests name platforms and know no device.

use std::fmt;
use std::str::FromStr;

use protocol::ChipName;

/// The devices that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum PlatformName {
    /// The simulator of the a2a3 chip.
    #[default]
    A2a3Sim,
    /// The simulator of the a5 chip.
    A5Sim,
    /// The simulator of the a2a3 chip, in a process of its own.
    A2a3Proc,
    /// The simulator of the a5 chip, in a process of its own.
    A5Proc,
    /// The a2a3 chip itself, through CANN.
    A2a3,
    /// The a5 chip itself, through CANN.
    A5,
}

impl PlatformName {
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::A2a3Sim, Self::A5Sim, Self::A2a3Proc, Self::A5Proc, Self::A2a3, Self::A5];

    /// Those that are simulated in this process.
    pub const SIMULATORS: &'static [Self] = &[Self::A2a3Sim, Self::A5Sim];

    /// Those that are simulated in a process of their own.
    pub const PROCESSES: &'static [Self] = &[Self::A2a3Proc, Self::A5Proc];

    /// The chips themselves, which need the vendor's libraries.
    pub const CHIPS: &'static [Self] = &[Self::A2a3, Self::A5];

    /// The name that users give.
    pub const fn name(self) -> &'static str {
        match self {
            Self::A2a3Sim => "a2a3sim",
            Self::A5Sim => "a5sim",
            Self::A2a3Proc => "a2a3proc",
            Self::A5Proc => "a5proc",
            Self::A2a3 => "a2a3",
            Self::A5 => "a5",
        }
    }

    /// The chip that the device has, or stands for.
    pub const fn chip(self) -> ChipName {
        match self {
            Self::A2a3Sim | Self::A2a3Proc | Self::A2a3 => ChipName::A2a3,
            Self::A5Sim | Self::A5Proc | Self::A5 => ChipName::A5,
        }
    }
}

impl fmt::Display for PlatformName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PlatformName {
    type Err = UnknownPlatform;

    fn from_str(name: &str) -> Result<Self, UnknownPlatform> {
        let known = Self::ALL.iter().find(|platform| platform.name() == name);
        known.copied().ok_or_else(|| UnknownPlatform { name: name.to_owned() })
    }
}

/// A name that is not one of a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no platform `{name}`; use {}", known())]
pub struct UnknownPlatform {
    /// The name given.
    pub name: String,
}

fn known() -> String {
    names(PlatformName::ALL, " or ")
}

/// The names of platforms, for messages.
pub fn names(platforms: &[PlatformName], separator: &str) -> String {
    platforms.iter().map(|platform| platform.name()).collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_found_by_name_and_others_say_what_there_is() {
        assert_eq!("a2a3sim".parse(), Ok(PlatformName::A2a3Sim));
        assert_eq!("a5sim".parse(), Ok(PlatformName::A5Sim));
        assert_eq!("a5proc".parse(), Ok(PlatformName::A5Proc));
        assert_eq!("a2a3".parse(), Ok(PlatformName::A2a3));
        for (kind, platforms) in [
            ("sim", PlatformName::SIMULATORS),
            ("proc", PlatformName::PROCESSES),
            ("", PlatformName::CHIPS),
        ] {
            for platform in platforms {
                assert_eq!(platform.name(), format!("{}{kind}", platform.chip()));
                assert!(PlatformName::ALL.contains(platform));
            }
        }
        for name in ["a2a4", "a5cann", "A2A3SIM", ""] {
            let error = name.parse::<PlatformName>().unwrap_err();
            assert_eq!(error.name, name);
            assert!(error.to_string().contains("use a2a3sim or a5sim or a2a3proc"), "{error}");
            assert!(error.to_string().ends_with(" or a2a3 or a5"), "{error}");
        }
    }
}

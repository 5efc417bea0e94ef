//! A call into an orchestration that has not returned, as watchers see it.

use core::fmt;

use protocol::CallableId;

use super::named_code::NamedCode;
use crate::loader::ImageLabel;

/// A function of an orchestration that the executor calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignFunction {
    /// A constructor, in calling order.
    Constructor {
        /// Counted from 1.
        number: u16,
        /// How many there are.
        count: u16,
    },
    /// The config function.
    Config,
    /// Taking the runtime object.
    Bind,
    /// The entry.
    Entry,
    /// Giving the runtime object back.
    Unbind,
    /// A destructor, in calling order.
    Destructor {
        /// Counted from 1.
        number: u16,
        /// How many there are.
        count: u16,
    },
}

impl ForeignFunction {
    /// As a number of 40 bits, not 0, for a [`CallRecord`](super::call_record::CallRecord).
    pub(super) fn pack(self) -> u64 {
        let (kind, number, count) = match self {
            Self::Constructor { number, count } => (1, number, count),
            Self::Config => (2, 0, 0),
            Self::Bind => (3, 0, 0),
            Self::Entry => (4, 0, 0),
            Self::Unbind => (5, 0, 0),
            Self::Destructor { number, count } => (6, number, count),
        };
        kind | u64::from(number) << 8 | u64::from(count) << 24
    }

    /// `None` for the number of no function.
    pub(super) fn unpack(word: u64) -> Option<Self> {
        let [kind, n0, n1, c0, c1, ..] = word.to_le_bytes();
        let (number, count) = (u16::from_le_bytes([n0, n1]), u16::from_le_bytes([c0, c1]));
        match kind {
            1 => Some(Self::Constructor { number, count }),
            2 => Some(Self::Config),
            3 => Some(Self::Bind),
            4 => Some(Self::Entry),
            5 => Some(Self::Unbind),
            6 => Some(Self::Destructor { number, count }),
            _ => None,
        }
    }
}

impl fmt::Display for ForeignFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constructor { number, count } => write!(f, "constructor {number} of {count}"),
            Self::Config => f.write_str("the config function"),
            Self::Bind => f.write_str("the function that takes the runtime"),
            Self::Entry => f.write_str("the entry"),
            Self::Unbind => f.write_str("the function that gives the runtime back"),
            Self::Destructor { number, count } => write!(f, "destructor {number} of {count}"),
        }
    }
}

/// A call into an orchestration that has not returned yet.
///
/// Prints as "constructor 2 of 3 of callable 5 liba.so (build-id 1a2b…) at 0x1139"; the address is
/// that of the file, as debuggers and `addr2line` want it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningCall {
    /// Whose code it is.
    pub callable: CallableId,
    /// Which function.
    pub function: ForeignFunction,
    /// Address of the function as linked, if the image is still known.
    pub address: Option<u64>,
    /// What messages call the image, if it is still known.
    pub label: Option<ImageLabel>,
    /// How long it has been running, in microseconds.
    pub running_us: u64,
}

impl fmt::Display for RunningCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = NamedCode { id: self.callable, label: self.label };
        write!(f, "{} of {code}", self.function)?;
        match self.address {
            Some(address) => write!(f, " at {address:#x}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loader::{BuildId, SymbolName};
    use std::string::ToString;

    #[test]
    fn a_function_is_found_by_its_number_and_no_function_has_0() {
        let all = [
            ForeignFunction::Constructor { number: 1, count: 1 },
            ForeignFunction::Constructor { number: u16::MAX, count: u16::MAX },
            ForeignFunction::Config,
            ForeignFunction::Bind,
            ForeignFunction::Entry,
            ForeignFunction::Unbind,
            ForeignFunction::Destructor { number: 2, count: 300 },
        ];
        for function in all {
            assert_eq!(ForeignFunction::unpack(function.pack()), Some(function));
            assert!(function.pack() < 1 << 40, "{function}");
        }
        assert_eq!(ForeignFunction::unpack(0), None);
        assert_eq!(ForeignFunction::unpack(7), None);
    }

    #[test]
    fn a_running_call_says_whose_code_it_is_and_where() {
        let mut call = RunningCall {
            callable: CallableId::new(5).unwrap(),
            function: ForeignFunction::Constructor { number: 2, count: 3 },
            address: Some(0x1139),
            label: Some(ImageLabel {
                soname: SymbolName::new(b"liba.so"),
                build_id: BuildId::new(&[0x1a, 0x0b]),
            }),
            running_us: 1,
        };
        let expected = "constructor 2 of 3 of callable 5 liba.so (build-id 1a0b) at 0x1139";
        assert_eq!(call.to_string(), expected);
        (call.address, call.label, call.function) = (None, None, ForeignFunction::Entry);
        assert_eq!(call.to_string(), "the entry of callable 5");
    }
}

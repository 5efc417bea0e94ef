//! One condition: what it must look like, whether it holds, and what is done when it does.
//!
//! The addresses are a kernel's word. What cannot be right is refused; that the rest is memory, the
//! kernel vouches for, as it does for what it writes itself.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use protocol::{Chip, CompletionType, DeferredCompletionEntry, SdmaEventRecord, StatusCode};

use crate::platform::Platform;

/// A condition that has been checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    address: u64,
    expected: u32,
    kind: CompletionType,
}

/// How a condition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sight {
    /// The counter, or the event record's flag.
    pub(crate) value: u32,
    /// Whether that is enough.
    pub(crate) holds: bool,
}

/// What is wrong with a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Its address is 0.
    NoAddress,
    /// Its address is no multiple of the alignment of what should be there.
    Misaligned { address: u64, alignment: u64 },
    /// No completion type has this number.
    UnknownType(i32),
    /// The chip, which this is the name of, has no event records.
    NoEventRecords(&'static str),
    /// The event record names a channel at an impossible address.
    Channel(u64),
}

impl Condition {
    /// Checks what a kernel has written.
    ///
    /// # Errors
    ///
    /// The first [`Flaw`], in the order of the variants after the type.
    pub(crate) fn check<C: Chip>(entry: &DeferredCompletionEntry) -> Result<Self, Flaw> {
        let kind = CompletionType::try_from(entry.completion_type)
            .map_err(|_| Flaw::UnknownType(entry.completion_type))?;
        let alignment = match kind {
            CompletionType::Counter => align_of::<AtomicU32>(),
            CompletionType::SdmaEventRecord if C::HAS_SDMA_EVENT_RECORDS => {
                align_of::<SdmaEventRecord>()
            }
            CompletionType::SdmaEventRecord => return Err(Flaw::NoEventRecords(C::NAME)),
        } as u64;
        let address = entry.addr.raw();
        if address == 0 {
            return Err(Flaw::NoAddress);
        }
        if !address.is_multiple_of(alignment) {
            return Err(Flaw::Misaligned { address, alignment });
        }
        Ok(Self { address, expected: entry.expected_value, kind })
    }

    /// Looks whether the condition holds; changes nothing.
    pub(crate) fn look<C: Chip, P: Platform>(&self, platform: &P) -> Sight {
        if !C::COUNTERS_ARE_COHERENT {
            let bytes = match self.kind {
                CompletionType::Counter => size_of::<u32>(),
                CompletionType::SdmaEventRecord => size_of::<SdmaEventRecord>(),
            };
            platform.invalidate_cache(self.address, bytes);
        }
        // CAST: both targets have 64-bit addresses. Counter and flag are the first four bytes.
        let word = core::ptr::with_exposed_provenance_mut::<u32>(self.address as usize);
        // SAFETY: aligned (`check`), and live memory by the kernel's word; it is written from
        // elsewhere while we look, which an atomic access allows.
        let word = unsafe { AtomicU32::from_ptr(word) };
        // ORDERING: Acquire: pairs with the release of whoever raised it, so that tasks that come
        // after this one find what was announced.
        let value = word.load(Ordering::Acquire);
        let holds = match self.kind {
            CompletionType::Counter => value >= self.expected,
            CompletionType::SdmaEventRecord => value != 0,
        };
        Sight { value, holds }
    }

    /// Does what is due when the condition holds: an event record is given back to its queue, by
    /// zeroing flag and tail and by telling the channel how far the queue was read (spec trb
    /// §5.8). A record without a channel is only zeroed.
    ///
    /// # Errors
    ///
    /// [`Flaw::Channel`].
    pub(crate) fn retire<P: Platform>(&self, platform: &P) -> Result<(), Flaw> {
        if self.kind == CompletionType::Counter {
            return Ok(());
        }
        // CAST: as in `look`.
        let record =
            core::ptr::with_exposed_provenance_mut::<SdmaEventRecord>(self.address as usize);
        // SAFETY: (both) an event record by the kernel's word, aligned (`check`); the engine has
        // set the flag, so it is done with it.
        let (tail, channel) = unsafe {
            (
                (&raw const (*record).sq_tail).read_volatile(),
                (&raw const (*record).channel_info).read_volatile(),
            )
        };
        if !channel.is_multiple_of(align_of::<u64>() as u64) {
            return Err(Flaw::Channel(channel));
        }
        // SAFETY: as above: flag and tail, the first eight bytes.
        unsafe { record.cast::<u64>().write_volatile(0) };
        platform.clean_cache(self.address, size_of::<u64>());
        if channel != 0 {
            let tail = u64::from(tail);
            // CAST: as above.
            let place = core::ptr::with_exposed_provenance_mut::<u64>(channel as usize);
            // SAFETY: aligned, and the channel's word by the word of engine and kernel.
            unsafe { place.write_volatile(tail << 32 | tail) };
            platform.clean_cache(channel, size_of::<u64>());
        }
        Ok(())
    }

    /// What is waited for, with the value it had last.
    pub(crate) fn describe(self, value: u32) -> impl fmt::Display {
        struct Described(Condition, u32);

        impl fmt::Display for Described {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Self(Condition { address, expected, kind }, value) = self;
                match kind {
                    CompletionType::Counter => write!(
                        f,
                        "the counter at {address:#x} is {value} and must reach {expected}"
                    ),
                    CompletionType::SdmaEventRecord => {
                        write!(f, "the SDMA event record at {address:#x} has flag {value}")
                    }
                }
            }
        }

        Described(self, value)
    }
}

impl Flaw {
    /// The code of the fault.
    pub(crate) fn status(self) -> StatusCode {
        StatusCode::AsyncCompletionInvalid
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress => f.write_str("its address is 0"),
            Self::Misaligned { address, alignment } => {
                write!(f, "its address {address:#x} is no multiple of {alignment}")
            }
            Self::UnknownType(number) => {
                write!(f, "type {number}; there are 0 (COUNTER) and 1 (SDMA_EVENT_RECORD)")
            }
            Self::NoEventRecords(chip) => {
                write!(f, "an SDMA_EVENT_RECORD; {chip} has COUNTER conditions only")
            }
            Self::Channel(address) => {
                write!(f, "its event record names a channel at {address:#x}, no multiple of 8")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{A2a3, A5, DeviceAddr};

    use super::*;
    use crate::testing::TestPlatform;

    fn entry(address: u64, completion_type: i32) -> DeferredCompletionEntry {
        DeferredCompletionEntry {
            addr: DeviceAddr::new(address),
            expected_value: 1,
            completion_type,
            ..DeferredCompletionEntry::default()
        }
    }

    #[test]
    fn event_records_are_for_the_chip_that_has_them() {
        let record = entry(0x1000, CompletionType::SdmaEventRecord as i32);
        assert!(Condition::check::<A2a3>(&record).is_ok());
        let flaw = Condition::check::<A5>(&record).unwrap_err();
        assert_eq!(flaw, Flaw::NoEventRecords("a5"));
        assert_eq!(flaw.status(), StatusCode::AsyncCompletionInvalid);
        assert!(std::format!("{flaw}").contains("a5 has COUNTER conditions only"));
    }

    #[test]
    fn cache_lines_are_dropped_where_counters_are_not_coherent() {
        let platform = TestPlatform::without_cores();
        let counter = AtomicU32::new(1);
        let address = counter.as_ptr().expose_provenance() as u64;
        let condition = Condition::check::<A5>(&entry(address, 0)).unwrap();
        let holds = Sight { value: 1, holds: true };
        assert_eq!(condition.look::<A5, _>(&platform), holds);
        assert_eq!(platform.invalidations(), 0);
        assert_eq!(condition.look::<A2a3, _>(&platform), holds);
        assert_eq!(platform.invalidations(), 1);
    }
}

//! The two register words through which an AICPU thread and a core talk.
//!
//! One word per direction, so that each value must say everything (spec trb §6.2-6.3):
//!
//! | word            | written by | read by | values                                     |
//! |-----------------|------------|---------|--------------------------------------------|
//! | `DispatchWord`  | AICPU      | core    | idle, exit, or the id of the task to run   |
//! | `ConditionWord` | core       | AICPU   | idle, exited, took task id, ended task id  |
//!
//! Register offsets differ per chip and are constants of [`Chip`](crate::chip::Chip).

use core::fmt;

/// Value that opens the fast path of a core, where the chip has one (spec trb §6.1).
pub const FAST_PATH_OPEN: u32 = 0xE;
/// Value that closes it.
pub const FAST_PATH_CLOSE: u32 = 0xF;

/// Bit that turns the id a core took into the id it ended.
const FIN_BIT: u32 = 0x8000_0000;

/// A register word that follows no rule of the protocol: a core that was reset or is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnknownWord(pub u32);

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "register word {:#010x} means nothing: reset the core", self.0)
    }
}

impl core::error::Error for UnknownWord {}

/// Number under which a core is told to run one task; counts up per core.
///
/// # Invariants
///
/// The number is at most [`LAST`](Self::LAST), so it never reads as a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DispatchId(u32);

impl DispatchId {
    /// The first id that is given to a core. Not 0: that is what a cleared register reads as.
    pub const FIRST: Self = Self(1);
    /// The last one; the numbers above are signals.
    pub const LAST: Self = Self(0x7FFF_FFEF);

    /// Checks a number; `None` above [`LAST`](Self::LAST).
    pub const fn new(raw: u32) -> Option<Self> {
        if raw <= Self::LAST.0 { Some(Self(raw)) } else { None }
    }

    /// Returns the number.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// Returns the id for the next dispatch to the same core.
    ///
    /// The parity always flips, because it selects the payload buffer and the previous one may
    /// still be in use. After [`LAST`](Self::LAST), which is odd, comes 2: 0 stays unused.
    #[must_use]
    pub const fn next(self) -> Self {
        if self.0 == Self::LAST.0 { Self(2) } else { Self(self.0 + 1) }
    }

    /// Returns which of the core's two payload buffers belongs to this id: 0 or 1.
    pub const fn buffer(self) -> usize {
        // CAST: one bit.
        (self.0 & 1) as usize
    }
}

/// What the AICPU tells a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Dispatch {
    /// Nothing to do.
    Idle,
    /// Leave the core loop.
    Exit,
    /// Run the payload of this id.
    Task(DispatchId),
}

/// The raw word of the dispatch register (`DATA_MAIN_BASE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DispatchWord(u32);

impl DispatchWord {
    /// Encodes [`Dispatch::Idle`].
    pub const IDLE: Self = Self(0x7FFF_FFFD);
    /// Encodes [`Dispatch::Exit`].
    pub const EXIT: Self = Self(0x7FFF_FFF0);

    /// Takes the word as read from the register.
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// Returns the word to write to the register.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// Returns the word that says `dispatch`.
    pub const fn encode(dispatch: Dispatch) -> Self {
        match dispatch {
            Dispatch::Idle => Self::IDLE,
            Dispatch::Exit => Self::EXIT,
            Dispatch::Task(id) => Self(id.0),
        }
    }

    /// Returns what the word says.
    ///
    /// # Errors
    ///
    /// [`UnknownWord`] for the reserved numbers above [`DispatchId::LAST`].
    pub const fn decode(self) -> Result<Dispatch, UnknownWord> {
        if self.0 == Self::IDLE.0 {
            return Ok(Dispatch::Idle);
        }
        if self.0 == Self::EXIT.0 {
            return Ok(Dispatch::Exit);
        }
        match DispatchId::new(self.0) {
            Some(id) => Ok(Dispatch::Task(id)),
            None => Err(UnknownWord(self.0)),
        }
    }
}

/// What a core tells the AICPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Condition {
    /// Ready for its first task.
    Idle,
    /// Left the core loop.
    Exited,
    /// Took the task; its payload buffer is in use.
    Ack(DispatchId),
    /// Ended the task; its outputs are visible.
    Fin(DispatchId),
}

/// The raw word of the condition register (`COND`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ConditionWord(u32);

impl ConditionWord {
    /// Encodes [`Condition::Idle`].
    pub const IDLE: Self = Self(0xFFFF_FFFF);
    /// Encodes [`Condition::Exited`].
    pub const EXITED: Self = Self(0xFFFF_FFFE);

    /// Takes the word as read from the register.
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// Returns the word to write to the register.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// Returns the word by which a core says that it took `id`.
    pub const fn ack(id: DispatchId) -> Self {
        Self(id.0)
    }

    /// Returns the word by which a core says that it ended `id`.
    pub const fn fin(id: DispatchId) -> Self {
        Self(id.0 | FIN_BIT)
    }

    /// Returns what the word says.
    ///
    /// # Errors
    ///
    /// [`UnknownWord`] for the reserved numbers.
    pub const fn decode(self) -> Result<Condition, UnknownWord> {
        if self.0 == Self::IDLE.0 {
            return Ok(Condition::Idle);
        }
        if self.0 == Self::EXITED.0 {
            return Ok(Condition::Exited);
        }
        match (DispatchId::new(self.0 & !FIN_BIT), self.0 & FIN_BIT != 0) {
            (Some(id), false) => Ok(Condition::Ack(id)),
            (Some(id), true) => Ok(Condition::Fin(id)),
            (None, _) => Err(UnknownWord(self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dispatch_words_mean_what_the_protocol_says() {
        #[track_caller]
        fn check(raw: u32, meaning: Result<Dispatch, UnknownWord>) {
            assert_eq!(DispatchWord::from_raw(raw).decode(), meaning, "{raw:#x}");
            if let Ok(dispatch) = meaning {
                assert_eq!(DispatchWord::encode(dispatch).raw(), raw, "{dispatch:?}");
            }
        }
        let task = |raw| Ok(Dispatch::Task(DispatchId::new(raw).unwrap()));
        check(0, task(0));
        check(1, task(1));
        check(0x7FFF_FFEF, task(0x7FFF_FFEF));
        check(0x7FFF_FFF0, Ok(Dispatch::Exit));
        check(0x7FFF_FFF1, Err(UnknownWord(0x7FFF_FFF1)));
        check(0x7FFF_FFFD, Ok(Dispatch::Idle));
        check(0x7FFF_FFFE, Err(UnknownWord(0x7FFF_FFFE)));
        check(0x8000_0001, Err(UnknownWord(0x8000_0001)));
    }

    #[test]
    fn condition_words_mean_what_the_protocol_says() {
        #[track_caller]
        fn check(raw: u32, meaning: Result<Condition, UnknownWord>) {
            assert_eq!(ConditionWord::from_raw(raw).decode(), meaning, "{raw:#x}");
        }
        let id = |raw| DispatchId::new(raw).unwrap();
        check(1, Ok(Condition::Ack(id(1))));
        check(0x8000_0001, Ok(Condition::Fin(id(1))));
        check(0x7FFF_FFEF, Ok(Condition::Ack(id(0x7FFF_FFEF))));
        check(0xFFFF_FFEF, Ok(Condition::Fin(id(0x7FFF_FFEF))));
        check(0xFFFF_FFF0, Err(UnknownWord(0xFFFF_FFF0)));
        check(0x7FFF_FFF0, Err(UnknownWord(0x7FFF_FFF0)));
        check(0xFFFF_FFFE, Ok(Condition::Exited));
        check(0xFFFF_FFFF, Ok(Condition::Idle));
    }

    #[test]
    fn core_answers_with_the_id_and_then_with_its_high_bit_set() {
        let id = DispatchId::new(0x1234).unwrap();
        assert_eq!(ConditionWord::ack(id).raw(), 0x1234);
        assert_eq!(ConditionWord::fin(id).raw(), 0x8000_1234);
    }

    #[test]
    fn next_id_always_uses_the_other_buffer_and_never_is_zero() {
        for start in [1, 2, 0x7FFF_FFEC] {
            let mut id = DispatchId::new(start).unwrap();
            for _ in 0..10 {
                let next = id.next();
                assert_ne!(next.buffer(), id.buffer(), "{id:?}");
                assert_ne!(next.raw(), 0);
                assert!(DispatchId::new(next.raw()).is_some(), "{next:?}");
                id = next;
            }
        }
        assert_eq!(DispatchId::LAST.next().raw(), 2);
        assert_eq!(DispatchId::FIRST.next().raw(), 2);
    }

    #[test]
    fn ids_above_the_last_are_rejected() {
        assert_eq!(DispatchId::new(0x7FFF_FFEF), Some(DispatchId::LAST));
        assert_eq!(DispatchId::new(0x7FFF_FFF0), None);
        assert_eq!(DispatchId::new(u32::MAX), None);
    }
}

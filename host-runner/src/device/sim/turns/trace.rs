//! What a run with turns went through, in one number.

/// Where the turn may change hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Point {
    /// An AICPU thread has come into the run.
    Enter,
    /// It is about to read a register.
    ReadRegister,
    /// It is about to write one.
    WriteRegister,
    /// It has told a core that its record changed.
    Notify,
    /// It polls, and has found nothing.
    Relax,
    /// It is between two steps that somebody might take for one.
    Interleave,
    /// It is about to leave the run.
    Leave,
    /// A core makes a transition: bring-up, acknowledgement, end of a task, exit.
    Transition,
    /// A core calls a kernel.
    KernelCalled,
    /// The kernel has returned.
    KernelReturned,
}

impl Point {
    /// What coming here says about the run: true for a poll in vain, false where something has
    /// happened, `None` for neither.
    pub(super) fn is_idle(self) -> Option<bool> {
        match self {
            Self::Relax => Some(true),
            Self::ReadRegister | Self::Interleave => None,
            _ => Some(false),
        }
    }
}

/// The interleaving of a run, as far as one can compare it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interleaving {
    /// Points that the run went through.
    pub points: u64,
    /// Hash of the sequence of (actor, point).
    pub hash: u64,
    /// Whether the seed alone decided: nobody had to go on without a turn.
    pub is_replayable: bool,
}

/// Collects an [`Interleaving`].
#[derive(Debug)]
pub(super) struct Trace(Interleaving);

impl Default for Trace {
    fn default() -> Self {
        // The offset basis of FNV-1a.
        Self(Interleaving { points: 0, hash: 0xCBF2_9CE4_8422_2325, is_replayable: true })
    }
}

impl Trace {
    pub(super) fn add(&mut self, actor: usize, point: Point) {
        self.0.points += 1;
        // CAST: an actor is below 128.
        for byte in [actor as u8, point as u8] {
            self.0.hash = (self.0.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }

    /// The machine decides from here on as well.
    pub(super) fn lose(&mut self) {
        self.0.is_replayable = false;
    }

    pub(super) fn result(&self) -> Interleaving {
        self.0
    }
}

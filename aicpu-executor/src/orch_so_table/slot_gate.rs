//! Who is inside the code of a slot, and what may be done with it: one word per slot.
//!
//! ```text
//!            begin_load           publish          begin_unload, retire: nobody inside
//!   Empty ─────────────▶ Loading ─────────▶ Live ─────────────────────────────────┐
//!     ▲                   │   │              │ ▲ │ enter, leave                   │
//!     │                   │   │              │ └─┘                                ▼
//!     │                   │   └──────────────┴──── begin_unload: deferred ──────▶ Going
//!     │                   │ give_up                                               ▲ │ │
//!     │                   └───────────────────────────────────────────────────────┘ │ │
//!     │ finish                                                                      │ │
//!     └─────────────────────────────────────────────────────────────────────────────┘ │
//!   Loading ── quarantine ──▶ Quarantined ◀───────────────── quarantine ──────────────┘
//!                                  └── finish, by the last one out ──▶ Empty
//! ```
//!
//! | bits | field | meaning |
//! |---|---|---|
//! | 0 … 7 | state | as above |
//! | 8 … 31 | inside | threads that may be in the code: runs, the loader, the one that unloads |
//! | 32 … 63 | generation | which use of the id the code is of; 0 where the slot is empty |
//!
//! The word says everything, so each operation is one exchange, and no two of them can disagree.
//! What a thread is allowed to do afterwards is a token: [`Filling`] and [`Emptying`] are exclusive,
//! [`Inside`] is shared. A token that is dropped keeps its thread counted, so that code is never
//! taken away by mistake; the slot then stays occupied.
//!
//! **Quarantine** is for code that does not return: nobody enters it, reuses its memory or takes it
//! away. Only the thread that was lost in it may end that, by coming out after all.
//!
//! **Generations do not alias.** A generation is compared as a whole, and the host gives no id the
//! same one twice: it retires an id whose generations are used up (`Registry`). 0 is the generation
//! of hosts that have none, which then check nothing.

use crate::sync::{AtomicU64, Ordering};

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;

/// Most threads inside: what the field of the word can count. A device has less than ten.
const INSIDE_MAX: u32 = (1 << 24) - 1;

/// What a slot is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// Nothing is loaded.
    Empty = 0,
    /// Code is being put in place and constructed.
    Loading = 1,
    /// Code that can be entered.
    Live = 2,
    /// Nobody enters any more; the last one out takes the code away.
    Going = 3,
    /// A thread is lost in the code.
    Quarantined = 4,
}

/// The word of a slot, unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Occupancy {
    pub(crate) state: State,
    pub(crate) inside: u32,
    pub(crate) generation: u32,
}

impl Occupancy {
    const EMPTY: Self = Self { state: State::Empty, inside: 0, generation: 0 };

    fn pack(self) -> u64 {
        // CAST: the number of a variant.
        self.state as u64 | u64::from(self.inside) << 8 | u64::from(self.generation) << 32
    }

    fn unpack(word: u64) -> Self {
        let [state, i0, i1, i2, g0, g1, g2, g3] = word.to_le_bytes();
        let state = match state {
            0 => State::Empty,
            1 => State::Loading,
            2 => State::Live,
            3 => State::Going,
            _ => State::Quarantined,
        };
        Self {
            state,
            inside: u32::from_le_bytes([i0, i1, i2, 0]),
            generation: u32::from_le_bytes([g0, g1, g2, g3]),
        }
    }

    fn with(self, state: State, inside: u32) -> Self {
        Self { state, inside, ..self }
    }

    /// Why nobody gets in who asks for `wanted`; `None` if they may.
    fn refuses(self, wanted: Option<u32>) -> Option<Refused> {
        let Self { state, inside, generation } = self;
        match (state, wanted) {
            (State::Empty, _) => Some(Refused::Empty),
            (_, Some(wanted)) if wanted != generation => {
                Some(Refused::Stale { loaded: generation, wanted })
            }
            (State::Loading, _) => Some(Refused::Loading),
            (State::Going, _) => Some(Refused::Going { inside }),
            (State::Quarantined, _) => Some(Refused::Quarantined),
            (State::Live, _) => None,
        }
    }
}

/// Why a slot does not do what it is asked for. It stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Nothing is loaded.
    Empty,
    /// The code is of another generation.
    Stale {
        /// The one that is loaded.
        loaded: u32,
        /// The one that was asked for.
        wanted: u32,
    },
    /// The code is not complete yet.
    Loading,
    /// The code is about to be taken away.
    Going {
        /// Threads that are still in it.
        inside: u32,
    },
    /// A thread is lost in the code.
    Quarantined,
    /// The code is in use, so nothing can take its place.
    InUse {
        /// Threads that are in it.
        inside: u32,
    },
}

/// What became of a wish to unload.
#[derive(Debug)]
pub(crate) enum Unload<'g> {
    /// The caller does it.
    Now(Emptying<'g>),
    /// The last one out does it, here or by an earlier wish.
    Deferred,
    /// There is nothing to unload: unloaded before, or never loaded.
    NothingLoaded,
    /// The code is of another generation, and stays.
    Stale {
        /// The one that is loaded.
        loaded: u32,
    },
    /// A thread is lost in the code; if it comes out, it unloads.
    Quarantined,
}

/// The word of one slot.
#[derive(Debug, Default)]
pub(crate) struct SlotGate(AtomicU64);

/// The right to put code into the slot; whoever has it counts as inside.
#[derive(Debug)]
#[must_use = "the slot stays occupied until the code is published or given up"]
pub(crate) struct Filling<'g>(&'g SlotGate);

/// The right to run code of the slot. It is not taken away meanwhile.
#[derive(Debug)]
#[must_use = "the code cannot be unloaded until this leaves"]
pub(crate) struct Inside<'g>(&'g SlotGate);

/// The duty to take the code away; whoever has it is the only one inside.
#[derive(Debug)]
#[must_use = "the slot stays occupied until the code is gone"]
pub(crate) struct Emptying<'g>(&'g SlotGate);

impl SlotGate {
    /// An empty slot.
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// What the slot is in now, for reports and checks; it may be over when the caller looks.
    pub(crate) fn look(&self) -> Occupancy {
        // ORDERING: Relaxed: nothing is accessed on the strength of it.
        Occupancy::unpack(self.0.load(Ordering::Relaxed))
    }

    /// Takes an empty slot for code of this generation.
    ///
    /// # Errors
    ///
    /// What is in it.
    pub(crate) fn begin_load(&self, generation: u32) -> Result<Filling<'_>, Refused> {
        self.change(|slot| {
            let full = Refused::InUse { inside: slot.inside };
            match slot.refuses(None) {
                Some(Refused::Empty) => {
                    Ok((Occupancy { state: State::Loading, inside: 1, generation }, ()))
                }
                other => Err(other.unwrap_or(full)),
            }
        })
        .map(|()| Filling(self))
    }

    /// Enters the code, of generation `wanted` if the caller knows one.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(crate) fn enter(&self, wanted: Option<u32>) -> Result<Inside<'_>, Refused> {
        self.change(|slot| match slot.refuses(wanted) {
            Some(refused) => Err(refused),
            None if slot.inside == INSIDE_MAX => Err(Refused::InUse { inside: slot.inside }),
            None => Ok((slot.with(State::Live, slot.inside + 1), ())),
        })
        .map(|()| Inside(self))
    }

    /// Has code unloaded, of generation `wanted` if the caller knows one: now if nobody is inside,
    /// otherwise by the last one out, and nobody enters any more.
    pub(crate) fn begin_unload(&self, wanted: Option<u32>) -> Unload<'_> {
        let changed = self.change(|slot| match (slot.refuses(wanted), slot.inside) {
            (None, 0) => Ok((slot.with(State::Going, 1), true)),
            // While it is being loaded, the loader is the one inside.
            (None | Some(Refused::Loading), inside) => Ok((slot.with(State::Going, inside), false)),
            (Some(refused), _) => Err(refused),
        });
        match changed {
            Ok(true) => Unload::Now(Emptying(self)),
            Err(Refused::Empty) => Unload::NothingLoaded,
            Err(Refused::Stale { loaded, .. }) => Unload::Stale { loaded },
            Err(Refused::Quarantined) => Unload::Quarantined,
            Ok(false) | Err(Refused::Going { .. } | Refused::Loading | Refused::InUse { .. }) => {
                Unload::Deferred
            }
        }
    }

    /// Makes room for other code: the caller unloads what is there, `None` if nothing is.
    ///
    /// # Errors
    ///
    /// Why there is no room now; unlike [`begin_unload`](Self::begin_unload), this leaves code
    /// alone that is in use.
    pub(crate) fn retire(&self) -> Result<Option<Emptying<'_>>, Refused> {
        let changed = self.change(|slot| match (slot.refuses(None), slot.inside) {
            (None, 0) => Ok((slot.with(State::Going, 1), ())),
            (None, inside) => Err(Refused::InUse { inside }),
            (Some(refused), _) => Err(refused),
        });
        match changed {
            Ok(()) => Ok(Some(Emptying(self))),
            Err(Refused::Empty) => Ok(None),
            Err(refused) => Err(refused),
        }
    }

    /// Gives up on a constructor or destructor that does not return; false if none is running any
    /// more, and then nothing changes.
    pub(crate) fn quarantine(&self) -> bool {
        self.change(|slot| match slot.state {
            State::Loading | State::Going => Ok((slot.with(State::Quarantined, slot.inside), ())),
            State::Empty | State::Live | State::Quarantined => Err(()),
        })
        .is_ok()
    }

    /// Exchanges the word for what `decide` makes of it, unless that is an error.
    fn change<T, E>(
        &self,
        decide: impl Fn(Occupancy) -> Result<(Occupancy, T), E>,
    ) -> Result<T, E> {
        // ORDERING: Relaxed: the value is only the guess for the exchange below; where it leads to
        // a refusal, the caller accesses nothing.
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            let (next, value) = decide(Occupancy::unpack(now))?;
            // ORDERING: AcqRel: changes of the word form one chain, each with everything behind it
            // that its predecessors did before. So who enters sees the code that was published
            // (Release of `publish`), who takes it away has all that was done in it behind
            // (Release of every `leave`), and who loads next finds the memory given back (Release
            // of `finish`). Relaxed on failure: only a better guess.
            match self.0.compare_exchange_weak(
                now,
                next.pack(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(value),
                Err(seen) => now = seen,
            }
        }
    }

    /// A change that is always possible.
    fn alter<T>(&self, decide: impl Fn(Occupancy) -> (Occupancy, T)) -> T {
        let Ok(value) = self.change(|slot| Ok::<_, core::convert::Infallible>(decide(slot)));
        value
    }
}

impl<'g> Filling<'g> {
    /// Whether somebody has given up on the constructors meanwhile: no more of them should run.
    pub(crate) fn is_quarantined(&self) -> bool {
        self.0.look().state == State::Quarantined
    }

    /// Lets others enter, and stays inside.
    ///
    /// If unloading was asked for meanwhile, nobody else gets in, and the caller unloads when it
    /// leaves.
    ///
    /// # Errors
    ///
    /// The slot was quarantined meanwhile: the caller, which has come out after all, takes the code
    /// away.
    pub(crate) fn publish(self) -> Result<Inside<'g>, Emptying<'g>> {
        let gate = self.0;
        let is_quarantined = gate.alter(|slot| match slot.state {
            State::Loading => (slot.with(State::Live, slot.inside), false),
            State::Quarantined => (slot, true),
            State::Empty | State::Live | State::Going => (slot, false),
        });
        if is_quarantined { Err(Emptying(gate)) } else { Ok(Inside(gate)) }
    }

    /// Takes back what was put in.
    pub(crate) fn give_up(self) -> Emptying<'g> {
        self.0.alter(|slot| match slot.state {
            State::Loading => (slot.with(State::Going, slot.inside), ()),
            State::Empty | State::Live | State::Going | State::Quarantined => (slot, ()),
        });
        Emptying(self.0)
    }
}

impl<'g> Inside<'g> {
    /// Leaves the code. The last one out takes it away if that was asked for.
    pub(crate) fn leave(self) -> Option<Emptying<'g>> {
        let is_duty = self.0.alter(|slot| match (slot.state, slot.inside) {
            // Stays counted, so that a quarantine knows of it.
            (State::Going | State::Quarantined, 1) => (slot, true),
            (state, inside) => (slot.with(state, inside.saturating_sub(1)), false),
        });
        is_duty.then_some(Emptying(self.0))
    }
}

impl Emptying<'_> {
    /// The code is gone, and its memory given back.
    pub(crate) fn finish(self) {
        self.0.alter(|_gone| (Occupancy::EMPTY, ()));
    }
}

//! Taking turns: the threads of a simulated device, one at a time, in an order that a seed picks.
//!
//! Those that take turns are the *actors*: the AICPU threads of a run, and every core that has
//! something to do. One of them has the turn. Wherever two steps must not be assumed to happen at
//! once (a [`Point`]), the one that has it lets the `policy` pick who goes on. So the seed
//! decides everything that depends on time: who arrives first, when a core sees its doorbell, how long it takes to
//! acknowledge, to run and to report the end, and what happens between two instructions of the executor.
//!
//! ```text
//!   AICPU thread: ── work ──┤point├──────── waits for its turn ────────┤ work ──▶
//!                              │ policy                        ▲
//!                              ├─▶ a core: one transition, made by the thread that picked
//!                              ├─▶ a core's kernel: on a pool thread, with the turn ──┤
//!                              └─▶ another AICPU thread ─────────────────────────────┘
//! ```
//!
//! **Code that blocks.** A kernel may wait for another core, and foreign code may hang; with the
//! turn held nobody could help it. So whoever keeps the turn for longer than `KERNEL_PATIENCE` or
//! `AICPU_PATIENCE` goes *outside*: the others go on without it, and it asks for a turn when it comes to its
//! next point. A kernel that asks for the storage of its pipes goes outside at once, and so does, for
//! the rest of the run, every kernel that had to go outside before. From then on the interleaving depends on the machine too:
//! the seed still explores, but does not promise the same run again
//! ([`Interleaving::is_replayable`]).
//!
//! **Time** under a seed is virtual (`virtual_clock`), so no deadline fires because threads wait for their turn.
//!
//! Waking: `State` is under a mutex, every AICPU actor has a condition variable of its own, and the turn only
//! changes hands under the mutex.

use std::cell::Cell;
use std::panic::Location;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

mod cores;
mod entered;
mod policy;
mod state;
mod trace;
mod virtual_clock;

pub use cores::{AfterKernel, Cores};
pub use entered::Entered;
pub use trace::{Interleaving, Point};

use policy::{Policy, members};
use state::{AICPU_LIMIT, KERNEL_PATIENCE, State, bit, bit_range, patience};
use trace::Trace;
use virtual_clock::VirtualClock;

/// What an AICPU thread sleeps in a wait that only somebody without a turn can end.
const NAP: Duration = Duration::from_micros(20);
/// What that counts as where there is no such kernel on this device: the run has stalled, or waits
/// for another device, which must have the time to answer.
const IDLE_NAP_COUNTS: Duration = Duration::from_millis(1);

thread_local! {
    /// The actor that this thread is, if it is an AICPU thread in a run with turns.
    static ME: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The turns of one device.
#[derive(Debug)]
pub struct Turns {
    seed: u64,
    state: Mutex<State>,
    wake: [Condvar; AICPU_LIMIT],
    clock: VirtualClock,
}

impl Turns {
    /// Turns in the order of `seed`.
    pub fn new(seed: u64) -> Self {
        let state = State::new(seed);
        Self {
            seed,
            state: Mutex::new(state),
            wake: Default::default(),
            clock: VirtualClock::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is valid at every step; a panic elsewhere does not change that.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nanoseconds of the device's clock.
    pub fn nanoseconds(&self) -> u64 {
        self.clock.now()
    }

    /// What the last run went through.
    pub fn interleaving(&self) -> Interleaving {
        self.lock().trace.result()
    }

    /// A run of `count` AICPU threads begins; none of them goes on before all have entered.
    ///
    /// Every run of a device has an order of its own: the seed and the number of runs before it.
    pub fn begin(&self, count: usize) {
        let mut state = self.lock();
        let seed = self.seed ^ state.runs.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        state.runs += 1;
        (state.count, state.arrived, state.left) = (count.min(AICPU_LIMIT), 0, 0);
        (state.current, state.runnable, state.outside) = (None, 0, 0);
        state.blocking.clear();
        state.policy = Policy::new(seed);
        state.trace = Trace::default();
        self.clock.begin();
    }

    /// Makes the calling thread an actor of the run until the guard is dropped.
    pub fn enter<'t, K: Cores>(&'t self, cores: &'t K) -> Entered<'t, K> {
        let mut state = self.lock();
        let me = state.arrived;
        state.arrived += 1;
        ME.set(Some(me));
        state.runnable |= bit(me);
        if state.arrived == state.count {
            state.take(me);
        }
        let all_here = state.arrived == state.count;
        self.go_on(state, cores, me, Point::Enter, all_here);
        Entered::new(self, cores)
    }

    /// An interleaving point of the calling thread. False for a thread that takes no turns.
    #[cold]
    pub fn point(&self, cores: &impl Cores, point: Point) -> bool {
        let Some(me) = ME.get() else { return false };
        self.pass_point(cores, me, point, point as usize);
        true
    }

    /// An interleaving point of the executor. Where it is in the code tells how often a thread comes there.
    #[cold]
    pub fn point_at(&self, cores: &impl Cores, place: &'static Location<'static>) {
        if let Some(me) = ME.get() {
            self.pass_point(cores, me, Point::Interleave, core::ptr::from_ref(place).addr());
        }
    }

    fn pass_point(&self, cores: &impl Cores, me: usize, point: Point, place: usize) {
        let mut state = self.lock();
        let waits_for_others = state.outside != 0 || self.clock.stands_still();
        if point == Point::Relax && waits_for_others && !state.has_runnable_core() {
            // Only somebody else can help: a kernel outside, or another device.
            let is_outside = state.outside != 0;
            drop(state);
            let start = Instant::now();
            std::thread::sleep(NAP);
            self.clock.pass(if is_outside { start.elapsed() } else { IDLE_NAP_COUNTS });
            state = self.lock();
        }
        let has_turn = state.come_back(me);
        if has_turn {
            let idle = if state.outside == 0 { point.is_idle() } else { Some(false) };
            self.clock.tick(idle);
            if self.clock.waits() {
                // The others have come as far as they get.
                state.policy.feed();
            }
        }
        if has_turn && point != Point::Relax {
            state.policy.visit(me, place);
        }
        self.go_on(state, cores, me, point, has_turn);
    }

    /// A core has something to do. False if no run takes turns: the pool steps it then.
    pub fn ready(&self, core: usize) -> bool {
        let mut state = self.lock();
        if state.count == 0 {
            return false;
        }
        state.runnable |= bit(AICPU_LIMIT + core);
        true
    }

    /// Whether a core that came out of the pool's queue was put there by [`Cores::start_kernel`].
    pub fn wants_kernel(&self, core: usize) -> bool {
        let (state, actor) = (self.lock(), AICPU_LIMIT + core);
        state.count != 0 && (state.current == Some(actor) || state.outside & bit(actor) != 0)
    }

    /// The kernel of a core has returned; its end is still to be reported.
    pub fn kernel_returned(&self, cores: &impl Cores, core: usize) -> AfterKernel {
        let (mut state, me) = (self.lock(), AICPU_LIMIT + core);
        if state.count == 0 {
            return AfterKernel::Free;
        }
        state.runnable |= bit(me);
        if !state.come_back(me) {
            return AfterKernel::Done;
        }
        self.clock.tick(Some(false));
        state.trace.add(me, Point::KernelReturned);
        loop {
            let next = state.choose(Some(me), Point::KernelReturned);
            match next {
                Some(next) if next < AICPU_LIMIT => {
                    self.hand_over(&mut state, next);
                    return AfterKernel::Done;
                }
                Some(next) => match self.move_core(&mut state, cores, next) {
                    Moved::NeedsThread => {
                        state.take(next);
                        return AfterKernel::Run(next - AICPU_LIMIT);
                    }
                    Moved::Made => {}
                },
                None => {
                    state.current = None;
                    return AfterKernel::Done;
                }
            }
        }
    }

    /// The kernel on this core is about to wait for others: they go on without it.
    pub fn step_outside(&self, core: usize, function: u64) {
        let (mut state, me) = (self.lock(), AICPU_LIMIT + core);
        if state.count != 0 && state.current == Some(me) {
            state.put_outside(me);
            state.note_blocking(function);
            // Whoever wakes first: from here on the machine decides too.
            self.wake.iter().for_each(Condvar::notify_one);
        }
    }

    /// Picks who goes on, and returns when that is the caller. `has_turn`: the caller may pick.
    fn go_on(
        &self,
        mut state: MutexGuard<'_, State>,
        cores: &impl Cores,
        me: usize,
        point: Point,
        mut has_turn: bool,
    ) {
        loop {
            while has_turn {
                state.trace.add(me, point);
                match state.choose(Some(me), point) {
                    Some(next) if next == me => return state.take(me),
                    Some(next) if next < AICPU_LIMIT => {
                        self.hand_over(&mut state, next);
                        has_turn = false;
                    }
                    Some(next) => has_turn = self.start_or_step(&mut state, cores, next),
                    // The caller itself is runnable.
                    None => return state.take(me),
                }
            }
            state = self.wait(state, cores, me);
            if state.current == Some(me) {
                return;
            }
            has_turn = true;
        }
    }

    /// Moves a core; false if it has taken the turn to a thread of the pool.
    fn start_or_step(&self, state: &mut State, cores: &impl Cores, actor: usize) -> bool {
        match self.move_core(state, cores, actor) {
            Moved::Made => true,
            Moved::NeedsThread => {
                state.take(actor);
                let running = state.outside.count_ones() as usize + 1;
                cores.start_kernel(actor - AICPU_LIMIT, running);
                false
            }
        }
    }

    /// One transition of a core, unless it is a kernel that keeps the turn.
    fn move_core(&self, state: &mut State, cores: &impl Cores, actor: usize) -> Moved {
        let core = actor - AICPU_LIMIT;
        state.runnable &= !bit(actor);
        match cores.next_kernel(core) {
            Some(entry) if state.blocking.contains(&entry) => {
                state.put_outside(actor);
                let running = state.outside.count_ones() as usize;
                cores.start_kernel(core, running);
            }
            Some(_) => {
                state.trace.add(actor, Point::KernelCalled);
                return Moved::NeedsThread;
            }
            None => {
                state.trace.add(actor, Point::Transition);
                if cores.move_on(core) {
                    state.runnable |= bit(actor);
                }
                self.clock.tick(Some(false));
            }
        }
        Moved::Made
    }

    fn hand_over(&self, state: &mut State, next: usize) {
        state.take(next);
        if let Some(wake) = self.wake.get(next) {
            wake.notify_one();
        }
    }

    /// Waits for the turn. Comes back with it, or with nobody having it: the caller picks then.
    fn wait<'s>(
        &self,
        mut state: MutexGuard<'s, State>,
        cores: &impl Cores,
        me: usize,
    ) -> MutexGuard<'s, State> {
        loop {
            match state.current {
                Some(current) if current == me => return state,
                None if state.arrived == state.count => return state,
                Some(current) if state.since.elapsed() > patience(current) => {
                    if current >= AICPU_LIMIT
                        && let Some(entry) = cores.running_kernel(current - AICPU_LIMIT)
                    {
                        state.note_blocking(entry);
                    }
                    state.put_outside(current);
                    return state;
                }
                _ => {}
            }
            let woken = match self.wake.get(me) {
                Some(wake) => wake.wait_timeout(state, KERNEL_PATIENCE),
                None => return state,
            };
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The calling thread leaves the run; the last one ends the turns.
    fn leave(&self, cores: &impl Cores) {
        // With the turn, so that when a thread leaves is a matter of the seed too.
        self.point(cores, Point::Leave);
        let Some(me) = ME.take() else { return };
        let mut state = self.lock();
        state.left += 1;
        state.runnable &= !bit(me);
        state.outside &= !bit(me);
        // A thread that had no processor for long is outside by now, and another has the turn.
        let had_turn = state.current == Some(me);
        if had_turn {
            state.current = None;
        }
        if state.left == state.count {
            state.current = None;
            state.count = 0;
            self.clock.end();
            let waiting = std::mem::take(&mut state.runnable);
            for actor in members(waiting) {
                cores.set_free(actor - AICPU_LIMIT);
            }
            return;
        }
        if !had_turn {
            return;
        }
        // Any waiting AICPU thread may pick; which one must not depend on the machine.
        let next = members(state.runnable & bit_range(AICPU_LIMIT)).next();
        match next {
            Some(next) => self.hand_over_choice(&mut state, cores, next),
            None => self.wake.iter().for_each(Condvar::notify_one),
        }
    }

    /// Picks who goes on in place of a thread that has left; `stand_in` is an AICPU thread that may.
    fn hand_over_choice(&self, state: &mut State, cores: &impl Cores, stand_in: usize) {
        loop {
            match state.choose(None, Point::Leave) {
                Some(next) if next < AICPU_LIMIT => return self.hand_over(state, next),
                Some(next) => {
                    if !self.start_or_step(state, cores, next) {
                        return;
                    }
                }
                None => return self.hand_over(state, stand_in),
            }
        }
    }
}

/// What came of picking a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moved {
    /// It has made its transition, or runs outside.
    Made,
    /// It wants to call a kernel, with the turn.
    NeedsThread,
}

#[cfg(test)]
mod tests;

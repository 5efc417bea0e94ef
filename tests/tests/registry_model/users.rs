//! Several users of one worker at once. Which of them is first nobody knows, so there is no model:
//! each knows what must hold for its own callables and for those that all share, and at the end
//! everything adds up.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use host_runner::arguments::{Arguments, OwnedArguments};
use host_runner::device::DeviceUsage;
use host_runner::worker::{CallableHandle, RunCompletion, Worker};
use protocol::{CallableId, StatusCode};
use tests::workers::SENTINEL;

use crate::answers::{came_of_registering, end, end_of_unregistering};
use crate::bench::{config, open};
use crate::calls::{Deed, End, Registered};
use crate::programs::{Flaw, IMAGES, Program};

/// Users at once.
const USERS: u64 = 4;
/// What each of them does.
const STEPS: usize = 150;
/// Callables that one of them has at once, at most.
const OWN_MAX: usize = 4;
/// Callables that all of them run.
const SHARED: usize = 2;
/// Ids that they fight for.
const WANTED_IDS: u64 = 12;
/// Runs of one callable that one of them has in flight, at most; the worker has room for all.
const SUBMITTED_MAX: usize = 2;
/// Cells of an output.
const CELLS: usize = 8;
/// Parts of each program: an orchestration and two kernels.
const PARTS: u64 = 3;

/// Random numbers: SplitMix64, which a seed decides.
struct Dice(u64);

impl Dice {
    /// A number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (word ^ (word >> 31)) % limit
    }

    fn program(&mut self) -> Program {
        let [image, entry] = [self.below(IMAGES), 1 + self.below(2)];
        Program { image, entry, downwards: self.below(2) == 0 }
    }

    /// The number of one of so many.
    fn pick(&mut self, count: usize) -> Option<usize> {
        (count > 0).then(|| self.below(count as u64) as usize)
    }
}

/// What somebody has seen succeed and fail.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    registrations: u64,
    /// First runs of a registration.
    run_once: u64,
    runs: u64,
    failed_runs: u64,
    cancelled: u64,
    stale: u64,
}

/// A callable of one user.
struct Own {
    program: Program,
    handle: CallableHandle,
    /// Runs that its orchestration saw; only its owner runs it.
    runs: u64,
    submitted: VecDeque<RunCompletion>,
}

/// A callable that all users run and that any of them may exchange.
#[derive(Clone)]
struct Common {
    program: Program,
    handle: CallableHandle,
    has_run: Arc<AtomicBool>,
}

struct User<'w> {
    worker: &'w Worker,
    shared: &'w [Mutex<Common>; SHARED],
    /// The shared ones as this user knows them.
    known: [Common; SHARED],
    dice: Dice,
    own: Vec<Own>,
    /// Numbers of the last runs that were seen of shared callables.
    last_seen: Vec<(CallableHandle, u64)>,
    tally: Tally,
}

fn owned(deed: Deed) -> OwnedArguments {
    let mut arguments = OwnedArguments::new();
    arguments.push_output::<u64>(&[CELLS as u32]).unwrap();
    for scalar in [deed as u64, 0, 0] {
        arguments.push_scalar(scalar).unwrap();
    }
    arguments
}

impl User<'_> {
    fn step(&mut self) {
        match self.dice.below(20) {
            0..3 => self.register(),
            3 => self.register_flawed(),
            4 => self.register_as(),
            5..9 => self.run_own(),
            9..12 => {
                if let Some(number) = self.pick() {
                    self.submit(number);
                }
            }
            12 => self.cancel(),
            13 => self.wait(),
            14..16 => self.let_go(),
            16..19 => self.run_shared(),
            _ => self.exchange_shared(),
        }
    }

    fn keep(&mut self, program: Program, handle: CallableHandle) {
        self.tally.registrations += 1;
        self.own.push(Own { program, handle, runs: 0, submitted: VecDeque::new() });
    }

    fn register(&mut self) {
        let program = self.dice.program();
        if self.own.len() < OWN_MAX {
            let handle = self.worker.register(program.callable()).unwrap();
            self.keep(program, handle);
        }
    }

    fn register_as(&mut self) {
        let (program, id) = (self.dice.program(), self.dice.below(WANTED_IDS));
        if self.own.len() == OWN_MAX {
            return;
        }
        let result =
            self.worker.register_as(CallableId::new(id as i64).unwrap(), program.callable());
        match (came_of_registering(&result), result) {
            (Registered::As { id: found, .. }, Ok(handle)) => {
                assert_eq!(found as u64, id);
                self.keep(program, handle);
            }
            (refused, _) => assert_eq!(refused, Registered::InUse),
        }
    }

    fn register_flawed(&mut self) {
        let flaw = Flaw::ALL[self.dice.pick(Flaw::ALL.len()).unwrap()];
        let result = self.worker.register(&flaw.callable());
        assert_eq!(came_of_registering(&result), flaw.registered(), "{flaw:?}");
    }

    /// A callable of one's own.
    fn pick(&mut self) -> Option<usize> {
        self.dice.pick(self.own.len())
    }

    /// Runs and waits; the runs that were submitted before come first.
    fn run(
        worker: &Worker,
        handle: &CallableHandle,
        deed: Deed,
        threads: u64,
    ) -> (End, [u64; CELLS]) {
        let mut cells = [SENTINEL; CELLS];
        let mut arguments = Arguments::new();
        arguments.push_output(&mut cells, &[CELLS as u32]).unwrap();
        for scalar in [deed as u64, 0, 0] {
            arguments.push_scalar(scalar).unwrap();
        }
        let found = end(worker.run(handle, &mut arguments, &config(deed, 1 + threads as u32)));
        if found != End::Done {
            assert_eq!(cells, [SENTINEL; CELLS], "a failed run writes nothing");
        }
        (found, cells)
    }

    fn run_own(&mut self) {
        let (picked, deed, threads) = (self.pick(), self.dice.below(6), self.dice.below(4));
        let Some(number) = picked else { return };
        while !self.own[number].submitted.is_empty() {
            self.wait_for_first(number);
        }
        let own = &mut self.own[number];
        own.runs += 1;
        self.tally.run_once += u64::from(own.runs == 1);
        let deed = if deed == 0 { Deed::ReportsFatal } else { Deed::Works };
        let (found, cells) = Self::run(self.worker, &own.handle, deed, threads);
        if deed == Deed::Works {
            assert_eq!((found, &cells[..]), (End::Done, &*own.program.output(own.runs, CELLS)));
            self.tally.runs += 1;
        } else {
            assert_eq!(found, End::Fault(StatusCode::ExplicitFatal));
            self.tally.failed_runs += 1;
        }
    }

    fn submit(&mut self, number: usize) {
        let own = &mut self.own[number];
        if own.submitted.len() < SUBMITTED_MAX {
            let config = config(Deed::Works, 2);
            let submitted = self.worker.submit(&own.handle, owned(Deed::Works), &config);
            own.submitted.push_back(submitted.map_err(|refused| refused.why).unwrap());
        }
    }

    /// Submits a run and cancels it, if it has not begun.
    fn cancel(&mut self) {
        let Some(number) = self.pick() else { return };
        self.submit(number);
        let submitted = &mut self.own[number].submitted;
        if let Some(last) = submitted.pop_back_if(|last| last.cancel()) {
            assert!(last.cancel());
            assert_eq!(end(last.wait()), End::Cancelled);
            self.tally.failed_runs += 1;
            self.tally.cancelled += 1;
        }
    }

    fn wait(&mut self) {
        if let Some(number) = self.pick() {
            self.wait_for_first(number);
        }
    }

    fn wait_for_first(&mut self, number: usize) {
        let own = &mut self.own[number];
        let Some(first) = own.submitted.pop_front() else { return };
        let output = first.wait().unwrap();
        own.runs += 1;
        assert_eq!(output.arguments.elements(0), Some(own.program.output(own.runs, CELLS)));
        self.tally.runs += 1;
        self.tally.run_once += u64::from(own.runs == 1);
    }

    /// Takes a callable away, in one of the ways.
    fn let_go(&mut self) {
        let (picked, way) = (self.pick(), self.dice.below(3));
        let Some(number) = picked else { return };
        let handle = self.own[number].handle.clone();
        let worker = self.worker;
        match way {
            // Its runs have ended when this has.
            0 => worker.unregister(&handle).unwrap(),
            1 => {
                let completion = worker.begin_unregister(&handle).unwrap();
                self.refuses(&handle);
                completion.wait().unwrap();
            }
            _ => {
                drop(handle);
                while !self.own[number].submitted.is_empty() {
                    self.wait_for_first(number);
                }
                drop(self.own.swap_remove(number));
                return;
            }
        }
        assert!(self.own[number].submitted.iter().all(RunCompletion::is_done), "runs come before");
        assert_eq!(worker.runs_in_flight(&handle), 0);
        self.refuses(&handle);
        while !self.own[number].submitted.is_empty() {
            self.wait_for_first(number);
        }
        self.own.swap_remove(number);
    }

    /// The handle is stale for everything.
    fn refuses(&self, handle: &CallableHandle) {
        assert_eq!(Self::run(self.worker, handle, Deed::Works, 1).0, End::Stale);
        assert_eq!(end_of_unregistering(self.worker.begin_unregister(handle)), End::Stale);
        assert!(self.worker.submit(handle, owned(Deed::Works), &config(Deed::Works, 1)).is_err());
    }

    fn run_shared(&mut self) {
        let (number, threads) = (self.dice.pick(SHARED).unwrap(), self.dice.below(4));
        // Mostly what it was when this user last looked.
        if self.dice.below(4) == 0
            || self.known[number].handle.is_stale() && self.dice.below(2) == 0
        {
            self.known[number] = self.shared[number].lock().unwrap().clone();
        }
        let Common { program, handle, has_run } = self.known[number].clone();
        let (found, cells) = Self::run(self.worker, &handle, Deed::Works, threads);
        if found == End::Stale {
            assert!(handle.is_stale());
            self.tally.stale += 1;
            return;
        }
        assert_eq!(found, End::Done);
        self.tally.runs += 1;
        self.tally.run_once += u64::from(!has_run.swap(true, Ordering::Relaxed));
        let run = (cells[0] - program.first_cell(0)) / 1000;
        assert_eq!(cells[..], program.output(run, CELLS));
        // Others run it in between, but no run comes twice.
        let known = self.last_seen.iter_mut().find(|(known, _)| *known == handle);
        match known {
            Some((_, last)) => {
                assert!(*last < run);
                *last = run;
            }
            None => self.last_seen.push((handle, run)),
        }
    }

    /// Registers another shared callable and takes away the one that was there.
    fn exchange_shared(&mut self) {
        let (picked, program) = (self.dice.pick(SHARED), self.dice.program());
        let (handle, has_run) = (self.worker.register(program.callable()).unwrap(), Arc::default());
        self.tally.registrations += 1;
        let new = Common { program, handle, has_run };
        let old = std::mem::replace(&mut *self.shared[picked.unwrap()].lock().unwrap(), new);
        self.worker.unregister(&old.handle).unwrap();
    }

    /// Gives everything back.
    fn finish(mut self) -> Tally {
        for number in 0..self.own.len() {
            while !self.own[number].submitted.is_empty() {
                self.wait_for_first(number);
            }
        }
        self.tally
    }
}

fn seeded(seed: u64) {
    let worker = open();
    let shared = std::array::from_fn(|number| {
        let program = Program { image: number as u64, entry: 1, downwards: number == 0 };
        let handle = worker.register(program.callable()).unwrap();
        Mutex::new(Common { program, handle, has_run: Arc::default() })
    });
    let start = Barrier::new(USERS as usize);
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let users: Vec<_> = (0..USERS)
            .map(|number| {
                let (worker, shared, start) = (&worker, &shared, &start);
                scope.spawn(move || {
                    let (dice, tally) = (Dice(seed * USERS + number), Tally::default());
                    let (own, last_seen) = (Vec::new(), Vec::new());
                    let known = shared.each_ref().map(|common| common.lock().unwrap().clone());
                    let mut user = User { worker, shared, known, dice, own, last_seen, tally };
                    start.wait();
                    (0..STEPS).for_each(|_| user.step());
                    user.finish()
                })
            })
            .collect();
        users.into_iter().map(|user| user.join().unwrap()).collect()
    });
    for common in shared {
        let common = common.into_inner().unwrap();
        worker.unregister(&common.handle).unwrap();
    }
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
    let counters = worker.counters();
    let registrations = sum(|it| it.registrations) + SHARED as u64;
    assert_eq!(counters.registrations, registrations);
    assert_eq!((counters.unregistrations, counters.loads), (registrations, registrations));
    assert_eq!(counters.runs, sum(|it| it.runs));
    assert_eq!(counters.failed_runs, sum(|it| it.failed_runs));
    assert_eq!(counters.aicpu_dlopen_count, sum(|it| it.run_once));
    // Each part of what was registered was there before or was uploaded.
    let program = Program { image: 0, entry: 1, downwards: false };
    let sizes = program.parts().map(|(_, bytes)| bytes as u64);
    let uploads = PARTS * registrations - counters.hits;
    let [least, most] = [*sizes.iter().min().unwrap(), *sizes.iter().max().unwrap()];
    assert!((uploads * least..=uploads * most).contains(&counters.bytes_uploaded), "{counters:?}");

    assert_eq!(worker.usage(), DeviceUsage::default());
    let report = worker.memory_report();
    assert_eq!(report.bytes, report.arena_reserved_bytes, "{report:?}");
    assert_eq!((report.queue.runs, report.queue.bytes), (0, 0));
    assert!(sum(|it| it.stale) > 0 && sum(|it| it.cancelled) > 0, "{tallies:?}");
}

#[test]
fn several_users_at_once_get_what_is_theirs_and_leave_nothing() {
    (0..2).for_each(seeded);
}

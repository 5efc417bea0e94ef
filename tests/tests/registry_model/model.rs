//! What a worker is, without its device, its code and its threads: ids, handles, runs in a line, and
//! sizes.

use std::collections::{BTreeMap, VecDeque};

use host_runner::device::DeviceUsage;
use host_runner::worker::Counters;

use crate::calls::{Call, Deed, End, Output, Registered};
use crate::programs::{Part, Program};

/// Bytes of a cell.
const CELL: usize = 8;

/// How a run ends, and what its output holds after success.
pub(crate) type Ended = (End, Vec<u64>);

/// Which run, in the order of the calls.
pub(crate) type Ticket = u64;

/// A use of an id.
#[derive(Debug)]
struct Registration {
    program: Program,
    /// By which it was registered.
    handle: usize,
    /// Whether it takes no more runs, and goes with the last one.
    is_retired: bool,
    /// Runs that were accepted and have not ended.
    leases: u64,
    has_run: bool,
    /// Whether it is on the device: not since a device was lost, until it runs again.
    is_placed: bool,
    /// What it is on the device. All of it goes with the device.
    state: State,
}

#[derive(Debug, Default)]
struct State {
    /// Runs that its orchestration saw since it was loaded.
    runs: u64,
    /// Bytes of the buffers of its tensors.
    buffers: [usize; 2],
    /// Whether it will hang when it is unloaded.
    lingers: bool,
}

/// A run that was accepted and has not ended.
#[derive(Debug)]
struct Run {
    ticket: Ticket,
    id: usize,
    call: Call,
    /// Devices that were lost before it was accepted: what it names there is gone with the next.
    losses: u64,
    /// How it will end, once it has begun.
    ended: Option<Ended>,
}

/// A worker.
#[derive(Debug)]
pub(crate) struct Model {
    ids: usize,
    registered: BTreeMap<usize, Registration>,
    /// Which use of each id the last one was.
    generations: BTreeMap<usize, u32>,
    /// For each handle in the order of registration: the id, as long as it is registered.
    handles: Vec<Option<usize>>,
    /// How callables were given back, by handle.
    given_back: BTreeMap<usize, End>,
    line: VecDeque<Run>,
    tickets: Ticket,
    /// How runs have ended that nobody has asked about.
    ended: BTreeMap<Ticket, Ended>,
    /// What is in the memory that the user allocated.
    allocations: Vec<Vec<u8>>,
    losses: u64,
    counters: Counters,
}

impl Model {
    /// A worker with so many ids.
    pub(crate) fn new(ids: usize) -> Self {
        Self {
            ids,
            registered: BTreeMap::new(),
            generations: BTreeMap::new(),
            handles: Vec::new(),
            given_back: BTreeMap::new(),
            line: VecDeque::new(),
            tickets: 0,
            ended: BTreeMap::new(),
            allocations: Vec::new(),
            losses: 0,
            counters: Counters::default(),
        }
    }

    /// Registers a program, under the smallest free id unless another is wanted.
    pub(crate) fn register(&mut self, wanted: Option<usize>, program: Program) -> Registered {
        let (id, generation) = match self.reserve(wanted) {
            Ok(reserved) => reserved,
            Err(refused) => return refused,
        };
        let (handle, state) = (self.handles.len(), State::default());
        let new = Registration {
            program,
            handle,
            is_retired: false,
            leases: 0,
            has_run: false,
            is_placed: false,
            state,
        };
        self.registered.insert(id, new);
        self.handles.push(Some(id));
        self.place(id);
        self.counters.registrations += 1;
        Registered::As { id, generation }
    }

    /// Registers what cannot be registered, for this reason.
    pub(crate) fn refuse(&mut self, reason: Registered) -> Registered {
        self.reserve(None).map_or_else(|refused| refused, |_taken_back| reason)
    }

    fn reserve(&mut self, wanted: Option<usize>) -> Result<(usize, u32), Registered> {
        let is_free = |id: &usize| !self.registered.contains_key(id);
        let id = match wanted {
            Some(id) if id >= self.ids => return Err(Registered::OutOfRange),
            Some(id) if !is_free(&id) => return Err(Registered::InUse),
            Some(id) => id,
            None => (0..self.ids).find(is_free).ok_or(Registered::Full)?,
        };
        let generation = self.generations.entry(id).or_default();
        *generation += 1;
        Ok((id, *generation))
    }

    /// Puts a callable on the device.
    fn place(&mut self, id: usize) {
        let there = self.parts();
        let placed = self.registered.get_mut(&id).expect("it is registered");
        for (part, bytes) in placed.program.parts() {
            match there.contains_key(part) {
                true => self.counters.hits += 1,
                false => self.counters.bytes_uploaded += *bytes as u64,
            }
        }
        placed.is_placed = true;
        self.counters.loads += 1;
    }

    /// Takes the callable of a handle away: at once, or with its last run.
    pub(crate) fn unregister(&mut self, handle: usize) -> End {
        let Some(id) = self.handles[handle].take() else { return End::Stale };
        let registration = self.registered.get_mut(&id).expect("it is registered");
        registration.is_retired = true;
        if registration.leases == 0 {
            self.give_back(id);
        }
        End::Done
    }

    /// How the callable of a handle was given back; `None` while runs keep it, or it is registered.
    pub(crate) fn given_back(&self, handle: usize) -> Option<&End> {
        self.given_back.get(&handle)
    }

    fn give_back(&mut self, id: usize) {
        let gone = self.registered.remove(&id).expect("it is registered");
        self.counters.unregistrations += 1;
        let hangs = gone.is_placed && gone.state.lingers;
        if hangs {
            self.lose_device();
        }
        self.given_back.insert(gone.handle, if hangs { End::Lost } else { End::Done });
    }

    /// Accepts a run of the callable of a handle.
    pub(crate) fn submit(&mut self, handle: usize, call: Call) -> Result<Ticket, End> {
        let id = self.handles[handle].ok_or(End::Stale)?;
        self.registered.get_mut(&id).expect("it is registered").leases += 1;
        self.tickets += 1;
        let (ticket, losses) = (self.tickets, self.losses);
        self.line.push_back(Run { ticket, id, call, losses, ended: None });
        Ok(ticket)
    }

    /// Begins the first run of the line, unless it has begun. A device that is lost in it is lost now.
    pub(crate) fn begin(&mut self) {
        let Some(Run { id, call, losses, ended: None, .. }) = self.line.front() else { return };
        let (id, call, losses) = (*id, *call, *losses);
        let ended = self.carry_out(id, call, losses);
        self.line.front_mut().expect("it was there").ended = Some(ended);
    }

    fn carry_out(&mut self, id: usize, call: Call, losses: u64) -> Ended {
        if !self.registered[&id].is_placed {
            self.place(id);
        }
        let registration = self.registered.get_mut(&id).expect("a run keeps it registered");
        let is_first = !std::mem::replace(&mut registration.has_run, true);
        self.counters.aicpu_dlopen_count += u64::from(is_first);
        let [cells, input] = call.cells;
        let host_cells = match call.output {
            Output::Host => cells,
            Output::Device(_) if self.losses != losses => return (End::OutOfRange, Vec::new()),
            Output::Device(number) if self.allocations[number].len() < cells * CELL => {
                return (End::OutOfRange, Vec::new());
            }
            Output::Device(_) => 0,
        };
        let State { runs, buffers, lingers } = &mut registration.state;
        for (buffer, cells) in buffers.iter_mut().zip([host_cells, input]) {
            *buffer = (*buffer).max(cells * CELL);
        }
        *runs += 1;
        *lingers |= call.deed == Deed::Lingers;
        let left = registration.program.output(*runs, cells);
        if call.deed == Deed::Hangs {
            self.lose_device();
        }
        let end = call.deed.end();
        let left = if end == End::Done { left } else { Vec::new() };
        (end, left)
    }

    /// Ends all runs up to this one.
    pub(crate) fn end(&mut self, last: Ticket) {
        while self.line.front().is_some_and(|run| run.ticket <= last) {
            self.begin();
            let run = self.line.pop_front().expect("it is there");
            let ended = run.ended.expect("it has begun");
            match (&ended.0, run.call.output) {
                (End::Done, Output::Device(number)) if self.losses == run.losses => {
                    let bytes: Vec<u8> = ended.1.iter().flat_map(|it| it.to_le_bytes()).collect();
                    self.allocations[number][..bytes.len()].copy_from_slice(&bytes);
                }
                _ => {}
            }
            match ended.0 {
                End::Done => self.counters.runs += 1,
                _ => self.counters.failed_runs += 1,
            }
            self.ended.insert(run.ticket, ended);
            self.leave(run.id);
        }
    }

    /// Cancels a run, unless it has begun.
    pub(crate) fn cancel(&mut self, ticket: Ticket) -> bool {
        let is_it = |run: &Run| run.ticket == ticket && run.ended.is_none();
        let Some(at) = self.line.iter().position(is_it) else {
            return self.ended.get(&ticket).is_some_and(|(end, _)| *end == End::Cancelled);
        };
        let run = self.line.remove(at).expect("it was found");
        self.counters.failed_runs += 1;
        self.ended.insert(ticket, (End::Cancelled, Vec::new()));
        self.leave(run.id);
        true
    }

    fn leave(&mut self, id: usize) {
        let registration = self.registered.get_mut(&id).expect("a run keeps it registered");
        registration.leases -= 1;
        if registration.is_retired && registration.leases == 0 {
            self.give_back(id);
        }
    }

    /// Carries out a run that the caller waits for, after all that were accepted before.
    pub(crate) fn run(&mut self, handle: usize, call: Call) -> Ended {
        match self.submit(handle, call) {
            Ok(ticket) => {
                self.end(ticket);
                self.take_end(ticket)
            }
            Err(refused) => (refused, Vec::new()),
        }
    }

    /// Ends all runs of a handle's callable, and with them those before.
    pub(crate) fn end_all_of(&mut self, handle: usize) {
        let Some(id) = self.handles[handle] else { return };
        if let Some(last) = self.line.iter().rfind(|run| run.id == id) {
            self.end(last.ticket);
        }
    }

    /// How a run has ended, once.
    pub(crate) fn take_end(&mut self, ticket: Ticket) -> Ended {
        self.ended.remove(&ticket).expect("it has ended, and nobody has asked")
    }

    /// A run with settings beyond the device.
    pub(crate) fn refuse_settings(&mut self, handle: usize) -> End {
        if self.handles[handle].is_none() {
            return End::Stale;
        }
        self.counters.failed_runs += 1;
        End::Settings
    }

    /// All that was on the device is gone; what is registered stays.
    fn lose_device(&mut self) {
        self.losses += 1;
        self.allocations.clear();
        for registration in self.registered.values_mut() {
            (registration.is_placed, registration.state) = (false, State::default());
        }
    }

    /// Nothing hangs when it is unloaded from now on.
    pub(crate) fn calm(&mut self) {
        self.registered.values_mut().for_each(|it| it.state.lingers = false);
    }
}

/// What can be asked of the model.
impl Model {
    /// Number of devices that were lost.
    pub(crate) fn losses(&self) -> u64 {
        self.losses
    }

    /// Whether a handle's callable is registered.
    pub(crate) fn is_registered(&self, handle: usize) -> bool {
        self.handles[handle].is_some()
    }

    /// Runs of a handle's callable that were accepted and have not ended.
    pub(crate) fn leases(&self, handle: usize) -> u64 {
        self.registered.values().find(|it| it.handle == handle).map_or(0, |it| it.leases)
    }

    /// Whether a run has ended.
    pub(crate) fn has_ended(&self, ticket: Ticket) -> bool {
        self.ended.contains_key(&ticket)
    }

    /// Whether some unloading may hang.
    pub(crate) fn may_linger(&self) -> bool {
        self.line.iter().any(|run| run.call.deed == Deed::Lingers)
            || self.registered.values().any(|it| it.state.lingers)
    }

    /// Runs in the line, and the bytes that they hold.
    pub(crate) fn in_flight(&self) -> (usize, u64) {
        (self.line.len(), self.line.iter().map(|run| run.call.bytes).sum())
    }

    /// What the user allocated.
    pub(crate) fn allocations(&mut self) -> &mut Vec<Vec<u8>> {
        &mut self.allocations
    }

    /// As [`allocations`](Self::allocations), to look at.
    pub(crate) fn allocated(&self) -> &[Vec<u8>] {
        &self.allocations
    }

    /// What the worker has done.
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// Each distinct image and kernel on the device, with its size.
    pub(crate) fn parts(&self) -> BTreeMap<Part, usize> {
        self.placed().flat_map(|it| *it.program.parts()).collect()
    }

    /// Ids of what is on the device, whether it is registered still, and the buffers of its tensors.
    pub(crate) fn buffers(&self) -> BTreeMap<usize, (bool, Vec<usize>)> {
        let placed = self.registered.iter().filter(|(_, it)| it.is_placed);
        let buffers = |it: &Registration| {
            it.state.buffers.into_iter().filter(|bytes| *bytes > 0).collect::<Vec<_>>()
        };
        placed.map(|(id, it)| (*id, (!it.is_retired, buffers(it)))).collect()
    }

    fn placed(&self) -> impl Iterator<Item = &Registration> {
        self.registered.values().filter(|it| it.is_placed)
    }

    /// What must be in use on the device: each distinct image and kernel once, the buffers of the
    /// tensors, and what the user allocated.
    pub(crate) fn usage(&self) -> DeviceUsage {
        let parts = self.parts();
        let kernels = parts.keys().filter(|part| !matches!(part, Part::Image(_))).count();
        let mut sizes: Vec<usize> = parts.into_values().collect();
        sizes.extend(self.buffers().into_values().flat_map(|(_, buffers)| buffers));
        sizes.extend(self.allocations.iter().map(Vec::len));
        DeviceUsage { allocations: sizes.len(), bytes: sizes.iter().sum(), kernels }
    }
}

//! The program of a device: holds a simulated device, and does what the host asks.
//!
//! ```text
//!  lane 0 ─▶ a thread: runs        ┐
//!  lane 1 ─▶ a thread: the rest    ├─▶ SimDevice: memory in the memory file, run record in the control file
//!  …                               ┘
//! ```
//!
//! Each lane has a thread, so a run is in flight while others load or allocate, as with a device in the host's own
//! process. A crash is noted by `crash_handler`; where code of the user does not return, the simulator says so, and
//! the host ends the process.

use std::os::fd::{OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use std::{io, thread};

use protocol::callable::parse::CoreCallableView;
use protocol::{A2a3, A5, CallableId, Chip, ChipName, DeviceAddr, SYMBOL_NAME_BYTES};

use super::crash_handler;
use super::lane::{End, Lane};
use super::layout::{Control, ControlFile, LANES, LAYOUT};
use super::message::{Answer, Reply, Request, Settings, Staged, WireLoad, callable_id};
use super::record_lane::RecordLane;
use super::refusal::Refusal;
use super::run_message::{self, Ended};
use crate::device::sim::SimDevice;
use crate::device::sim::memory::SharedArena;
use crate::device::sim::record_place::RecordPlace;
use crate::device::{Device, DeviceError, OrchestrationLoad, shared_file::SharedFile};
use crate::log::{self, Record};

/// How long a thread looks for the next request after it has answered one.
const LOOK: Duration = Duration::from_micros(20);
/// The same for runs.
const LOOK_FOR_RUN: Duration = Duration::from_micros(200);
/// How long a thread sleeps before it looks again by itself.
const SLEEP: Duration = Duration::from_secs(3600);

/// Why the program cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// The system refuses something.
    #[error("cannot use what the host gave: {what}")]
    System {
        /// What.
        what: &'static str,
        /// Its reason.
        #[source]
        source: io::Error,
    },
    /// The host is of another build.
    #[error("the program and its host are of different builds; build both anew")]
    OtherBuild,
}

/// Where log records go, and a lock for who puts them there.
static SPOKEN: OnceLock<(&RecordLane, Mutex<()>)> = OnceLock::new();

/// Passes a record of the log on to the host.
fn speak(record: Record) {
    if let (Some((lane, lock)), Ok(bytes)) = (SPOKEN.get(), serde_json::to_vec(&record)) {
        let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        lane.put(&bytes);
    }
}

/// Passes on from now on what the host wants to have.
fn follow_threshold() {
    if let Some(threshold) = SPOKEN.get().and_then(|(lane, _)| lane.threshold()) {
        log::set_threshold(threshold);
    }
}

/// Serves a host that has opened these descriptors for the program, until it wants no more.
///
/// # Errors
///
/// [`ProgramError`], where they are none, too.
pub fn serve(chip: ChipName, control: RawFd, memory: RawFd) -> Result<(), ProgramError> {
    let map = |file: RawFd, what| {
        let shared = owned(file).and_then(SharedFile::map);
        shared.map_err(|source| ProgramError::System { what, source })
    };
    let control =
        ControlFile::new(map(control, "control file")?).ok_or(ProgramError::OtherBuild)?;
    // Used until the process ends, by a signal handler for one.
    let control: &'static ControlFile = Box::leak(Box::new(control));
    let head = control.control();
    // CAST: a few megabytes.
    let is_same = head.layout.load(Ordering::Acquire) == LAYOUT
        && head.bytes.load(Ordering::Acquire) == size_of::<Control>() as u32;
    if !is_same {
        return Err(ProgramError::OtherBuild);
    }
    crash_handler::install(&head.crash)
        .map_err(|source| ProgramError::System { what: "signal handlers", source })?;
    // The first call counts, and this is it.
    let _first = SPOKEN.set((&head.records, Mutex::default()));
    log::divert(speak);
    let arena = Arc::new(SharedArena::new(map(memory, "memory file")?));
    match chip {
        ChipName::A2a3 => Served::<A2a3>::start(control, arena),
        ChipName::A5 => Served::<A5>::start(control, arena),
    }
}

/// A descriptor of its own for a file that was passed by number.
fn owned(file: RawFd) -> io::Result<OwnedFd> {
    std::fs::File::options()
        .read(true)
        .write(true)
        .open(format!("/proc/self/fd/{file}"))
        .map(Into::into)
}

/// What the threads of the lanes share.
struct Served<C: Chip> {
    control: &'static ControlFile,
    arena: Arc<SharedArena>,
    /// `None` once it is closed.
    device: RwLock<Option<SimDevice<C>>>,
}

impl<C: Chip> Served<C> {
    /// Opens the device, and serves lane 0 on this thread and the others on threads of their own.
    fn start(control: &'static ControlFile, arena: Arc<SharedArena>) -> Result<(), ProgramError> {
        let record = control.record::<C>().ok_or(ProgramError::OtherBuild)?;
        let served = Arc::new(Self { control, arena, device: RwLock::default() });
        let first = &control.control().lanes[0];
        await_request(first, LOOK);
        let reply = match serde_json::from_slice(&first.bytes()) {
            Ok(Request::Open(settings)) => served.open(&settings, record),
            _ => Err(Refusal::Other { reason: "it was asked something before `Open`".to_owned() }),
        };
        let is_open = reply.is_ok();
        answer(first, &reply);
        if !is_open {
            return Ok(());
        }
        for index in 1..LANES {
            let served = Arc::clone(&served);
            thread::Builder::new()
                .name(format!("lane-{index}"))
                .spawn(move || served.serve_lane(index))
                .map_err(|source| ProgramError::System { what: "threads", source })?;
        }
        served.serve_runs()
    }

    fn open(&self, settings: &Settings, record: NonNull<C::Runtime>) -> Reply {
        // SAFETY: in the control file, which stays mapped for good; the host writes to it before it asks for a run.
        let record = unsafe { RecordPlace::shared(record) };
        let arena = Some(Arc::clone(&self.arena));
        let device = SimDevice::<C>::open_within(settings.interleaving_seed, arena, record)?
            .with_unload_limit(settings.unload_limit)
            .with_cores_used(settings.cores_used)
            .with_private_code(settings.is_emulated);
        let facts = device.facts();
        *self.device.write().unwrap_or_else(PoisonError::into_inner) = Some(device);
        Ok(Answer::Opened {
            // CAST: usize is 64 bits on the supported targets.
            memory: self.arena.start().as_ptr().expose_provenance() as u64,
            clusters_max: facts.clusters_max,
            aicpu_threads_max: facts.aicpu_threads_max,
            callable_ids: facts.callable_ids,
        })
    }

    /// Carries out runs, and whatever else is asked on their lane, for ever.
    fn serve_runs(&self) -> ! {
        let lane = &self.control.control().lanes[0];
        loop {
            await_request(lane, LOOK_FOR_RUN);
            let ended = match run_message::launch_of(&lane.words()) {
                Some(launch) => self.with_device(|device| {
                    // The host has filled the record.
                    Ok(device.run(&launch, &mut |_body| {})?)
                }),
                None => Err(Refusal::Other { reason: "a launch that makes no sense".to_owned() }),
            };
            match ended {
                Ok(outcome) => {
                    let fault = outcome.fault.as_deref();
                    run_message::put_outcome(lane, &Ended::of(&outcome), fault);
                }
                Err(refusal) => run_message::put_refusal(lane, &refusal),
            }
            lane.hand_over(End::Program);
        }
    }

    /// Does what is asked on a lane, for ever.
    fn serve_lane(&self, index: usize) -> ! {
        let lane = &self.control.control().lanes[index];
        loop {
            await_request(lane, LOOK);
            let request = serde_json::from_slice::<Request>(&lane.bytes());
            let is_close = matches!(request, Ok(Request::Close));
            let reply = match request {
                Ok(request) => self.do_it(request),
                Err(error) => Err(Refusal::Other { reason: error.to_string() }),
            };
            answer(lane, &reply);
            if is_close {
                std::process::exit(0);
            }
        }
    }

    fn with_device<T>(
        &self,
        act: impl FnOnce(&SimDevice<C>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let device = self.device.read().unwrap_or_else(PoisonError::into_inner);
        act(device.as_ref().ok_or(Refusal::Gone)?)
    }

    fn do_it(&self, request: Request) -> Reply {
        match request {
            Request::Stage { bytes } => match self.arena.take(bytes) {
                Some(start) => {
                    // CAST: usize is 64 bits on the supported targets.
                    Ok(Answer::Address(start.as_ptr().expose_provenance() as u64))
                }
                None => Err(crate::device::MemoryError::Exhausted { bytes }.into()),
            },
            Request::Check { staged, entry } => {
                let image = Given::take(&self.arena, staged)?;
                self.with_device(|device| {
                    device.check_orchestration(image.bytes(), &entry)?;
                    Ok(Answer::Done)
                })
            }
            Request::LoadKernel { staged } => {
                let blob = Given::take(&self.arena, staged)?;
                let kernel = CoreCallableView::parse(blob.bytes())
                    .map_err(|error| Refusal::KernelLoader { reason: error.to_string() })?;
                self.with_device(|device| {
                    let uploaded = device.load_kernel(&kernel)?;
                    let (address, was_there) = (uploaded.address.raw(), uploaded.was_there);
                    Ok(Answer::Uploaded { address, was_there })
                })
            }
            Request::Close => {
                let device = self.device.write().unwrap_or_else(PoisonError::into_inner).take();
                drop(device);
                Ok(Answer::Done)
            }
            Request::Open(_) => Err(Refusal::Other { reason: "it is open already".to_owned() }),
            request => self.with_device(|device| of_device(device, request)),
        }
    }
}

/// What the device does by itself.
fn of_device(device: &dyn Device, request: Request) -> Reply {
    match request {
        Request::Allocate { bytes, holder } => {
            let holder = holder.holder().ok_or_else(no_id)?;
            Ok(Answer::Address(device.allocate(bytes, holder)?.raw()))
        }
        Request::Free { address } => {
            device.free(DeviceAddr::new(address))?;
            Ok(Answer::Done)
        }
        Request::RestartHighWater { holder } => {
            device.restart_high_water(holder.holder().ok_or_else(no_id)?);
            Ok(Answer::Done)
        }
        Request::Touch { address, bytes } => {
            // What is there is copied onto itself: the device forgets what it has made of it.
            let mut there = vec![0; bytes];
            device.copy_out(&mut there, DeviceAddr::new(address))?;
            device.copy_in(DeviceAddr::new(address), &there)?;
            Ok(Answer::Done)
        }
        Request::UnloadKernel { record } => {
            device.unload_kernel(DeviceAddr::new(record))?;
            Ok(Answer::Done)
        }
        Request::LoadOrchestration(load) => load_orchestration(device, &load),
        Request::UnloadOrchestration { id, generation } => {
            device.unload_orchestration(callable_id(id).ok_or_else(no_id)?, generation)?;
            Ok(Answer::Done)
        }
        Request::LoadedCode => {
            Ok(Answer::Ranges(device.loaded_code().iter().map(Into::into).collect()))
        }
        Request::ThrowTrace => Ok(Answer::Addresses(device.throw_trace())),
        Request::Usage => Ok(device.usage().into()),
        Request::MemoryReport => Ok(Answer::Report((&device.memory_report()).into())),
        Request::Interleaving => Ok(device.interleaving().into()),
        request => Err(Refusal::Other { reason: format!("it cannot do {request:?}") }),
    }
}

fn load_orchestration(device: &dyn Device, load: &WireLoad) -> Reply {
    let id = callable_id(load.id).ok_or_else(no_id)?;
    let symbol = |name: &[u8]| {
        let mut symbol = [0; SYMBOL_NAME_BYTES];
        for (to, from) in symbol[..SYMBOL_NAME_BYTES - 1].iter_mut().zip(name) {
            *to = *from;
        }
        symbol
    };
    device.load_orchestration(&OrchestrationLoad {
        id,
        generation: load.generation,
        address: DeviceAddr::new(load.address),
        bytes: load.bytes,
        entry_symbol: &symbol(&load.entry_symbol),
        config_symbol: &symbol(&load.config_symbol),
        digest_prefix: load.digest_prefix,
    })?;
    let is_it = |id: CallableId, generation| (id.raw(), generation) == (load.id, load.generation);
    let loaded = device.loaded_code().into_iter().find(|it| is_it(it.id, it.generation));
    Ok(Answer::Loaded(loaded.as_ref().map(Into::into)))
}

fn no_id() -> Refusal {
    Refusal::Other { reason: "an id that is none".to_owned() }
}

/// Bytes that the host has staged; given back when they are dropped.
struct Given<'a> {
    arena: &'a SharedArena,
    start: NonNull<u8>,
    bytes: usize,
}

impl<'a> Given<'a> {
    fn take(arena: &'a SharedArena, staged: Staged) -> Result<Self, Refusal> {
        let Staged { address, bytes } = staged;
        // CAST: usize is 64 bits on the supported targets.
        let start = core::ptr::with_exposed_provenance_mut(address as usize);
        let start = NonNull::new(start).ok_or(Refusal::Gone)?;
        Ok(Self { arena, start, bytes })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the host names what it got by `Stage`, and leaves it alone now; all bytes of a file are initialised.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.bytes) }
    }
}

impl Drop for Given<'_> {
    fn drop(&mut self) {
        // SAFETY: taken for so many bytes, and given back once, here.
        unsafe { self.arena.give(self.start, self.bytes) };
    }
}

/// Waits until the host asks.
fn await_request(lane: &Lane, look: Duration) {
    if !lane.look(End::Program, look) {
        while !lane.is_turn_of(End::Program) {
            lane.sleep(End::Program, SLEEP);
        }
    }
    follow_threshold();
}

/// Answers.
fn answer(lane: &Lane, reply: &Reply) {
    let is_put = serde_json::to_vec(reply).is_ok_and(|bytes| lane.put_bytes(&bytes));
    if !is_put {
        let too_large: Reply =
            Err(Refusal::Other { reason: "an answer that is too large".to_owned() });
        // Small and without anything that cannot be written.
        let _put = serde_json::to_vec(&too_large).is_ok_and(|bytes| lane.put_bytes(&bytes));
    }
    lane.hand_over(End::Program);
}

impl From<ProgramError> for DeviceError {
    fn from(error: ProgramError) -> Self {
        Self::Program { reason: error.to_string() }
    }
}

//! A device in a process of its own: the simulator, where nothing that code of the user does reaches the host.
//!
//! ```text
//!  host: ProcessDevice ── lanes in shared memory ──▶ program: SimDevice
//!           │  copies          (futex wake-ups)          │ executor, cores, kernels, orchestrations
//!           └──▶ device memory: one file, mapped by both ◀┘
//! ```
//!
//! A crash there is a [`DeviceLost`] with signal, place and back-trace here, and the worker takes another device. So
//! is a program that was ended from outside, or does not answer. Where code does not return, the simulator says so,
//! as it does in the host's process, but here the program is ended and nothing of it stays.
//!
//! | file | what |
//! |---|---|
//! | `opening` | the program is started, and opens the device |
//! | `child` | the program: started, watched, ended |
//! | `settings` | which program, for which machine |
//! | `layout`, `lane` | the shared memory: a request at a time in each lane, and its answer |
//! | `record_lane`, `hearing` | the log of the program |
//! | `message`, `refusal`, `run_message` | what is said there |
//! | `host_memory` | device memory as the host has it |
//! | `calls`, `unanswered` | asking, and what it means when there is no answer |
//! | `images`, `crash_report` | what is loaded, and what of it crashed |
//! | `program`, `crash_handler`, `crash_record` | the other side |
//!
//! # Locks
//!
//! A lane is held from its request to its answer, and nothing else is meanwhile. The tables of memory and images are
//! locked to look something up, an allocation while bytes are copied.

use std::mem::offset_of;
use std::sync::{Arc, OnceLock};

use aicpu_executor::loaded_code::LoadedRange;
use protocol::callable::parse::CoreCallableView;
use protocol::{CallableId, Chip, CoreCallable, DeviceAddr, KERNEL_ENTRY_SYMBOL, RuntimeBody};

use super::{
    Device, DeviceError, DeviceFacts, DeviceLost, DeviceMemoryReport, DeviceUsage, Holder,
    Interleaving, KernelError, Launch, MemoryError, OrchestrationError, OrchestrationLoad,
    PinnedMemory, RunOutcome, SharedMemory, Side, Uploaded, image, orchestration_check,
};

mod calls;
mod child;
mod crash_handler;
mod crash_record;
mod crash_report;
mod hearing;
mod host_memory;
mod images;
mod lane;
mod layout;
mod message;
mod opening;
pub mod program;
mod record_lane;
mod refusal;
mod run_message;
mod settings;
mod unanswered;

pub use settings::{DeviceSettings, PROGRAM_NAME, ProcessSettings, machine_name};

use calls::Calls;
use crash_report::{RunFacts, Wreck};
use host_memory::HostMemory;
use images::Images;
use message::{Answer, Request, Staged, WireLoad};
use unanswered::{During, Unanswered};

/// A simulated chip in a process of its own.
pub struct ProcessDevice<C: Chip> {
    calls: Calls<C>,
    memory: HostMemory,
    facts: DeviceFacts,
    images: Images,
    settings: ProcessSettings,
    /// What has ended the program, read once: whoever is told first, all are told the same.
    wreck: OnceLock<Option<Wreck>>,
}

impl<C: Chip> ProcessDevice<C> {
    /// Number of the process that the device is in, while there is one.
    pub fn process_id(&self) -> Option<u32> {
        self.calls.process_id()
    }

    /// Puts bytes where the program finds them for the next request.
    fn stage(&self, bytes: &[u8]) -> Result<Staged, MemoryError> {
        match self.ask(&Request::Stage { bytes: bytes.len() }) {
            Ok(Answer::Address(address)) => {
                self.memory.stage(address, bytes)?;
                Ok(Staged { address, bytes: bytes.len() })
            }
            Ok(_other) => Err(MemoryError::Gone),
            Err(unanswered) => Err(unanswered.into_memory()),
        }
    }

    /// What the program has left behind, once it has ended. When that has been read, memory is given up.
    fn wreck(&self) -> Option<&Wreck> {
        if !self.calls.is_over() {
            return None;
        }
        let read = || {
            let func_id = |record| self.calls.func_id_of(record);
            let run = RunFacts { callable: self.calls.active_callable(), func_id: &func_id };
            let crashed = self.calls.crashed();
            let wreck = crashed
                .map(|crashed| crash_report::read(&crashed, &self.images, &self.memory, &run));
            // Nobody reaches it any more.
            self.memory.clear();
            wreck
        };
        self.wreck.get_or_init(read).as_ref()
    }

    /// What an error means that the program has ended by.
    fn lost(&self, unanswered: Unanswered) -> Unanswered {
        unanswered.explained(self.wreck())
    }

    /// The allocation that a range is inside.
    fn find(
        &self,
        address: DeviceAddr,
        bytes: usize,
    ) -> Result<(Arc<host_memory::Live>, usize), MemoryError> {
        if self.calls.is_over() {
            return Err(MemoryError::Gone);
        }
        self.memory.find(address, bytes)
    }

    /// Keeps what a crash report needs of a kernel that was loaded.
    fn note_kernel(&self, record: DeviceAddr, binary: &[u8]) {
        // CAST: an offset in a record.
        let at = record.checked_add(offset_of!(CoreCallable, resolved_addr) as u64);
        if let Some(entry) = at.and_then(|at| self.memory.word(at.raw())) {
            self.images.add_kernel(record, binary, entry);
        }
    }

    fn ask(&self, request: &Request) -> Result<Answer, Unanswered> {
        self.calls.ask(request).map_err(|unanswered| self.lost(unanswered))
    }

    /// Asks where nothing is said of errors.
    fn ask_or<T>(&self, request: &Request, read: impl FnOnce(Answer) -> Option<T>) -> Option<T> {
        self.calls.ask(request).ok().and_then(read)
    }
}

impl<C: Chip> Device for ProcessDevice<C> {
    fn facts(&self) -> DeviceFacts {
        self.facts
    }

    fn has_ended(&self) -> bool {
        let is_over = self.calls.is_over();
        if is_over {
            // Whoever still has something on it keeps no memory by that.
            self.wreck();
        }
        is_over
    }

    fn usage(&self) -> DeviceUsage {
        let read = |answer| match answer {
            Answer::Usage { allocations, bytes, kernels } => {
                Some(DeviceUsage { allocations, bytes, kernels })
            }
            _ => None,
        };
        self.ask_or(&Request::Usage, read).unwrap_or_default()
    }

    fn memory_report(&self) -> DeviceMemoryReport {
        let read = |answer| match answer {
            Answer::Report(report) => Some((&report).into()),
            _ => None,
        };
        self.ask_or(&Request::MemoryReport, read).unwrap_or_default()
    }

    fn allocate(&self, bytes: usize, holder: Holder) -> Result<DeviceAddr, MemoryError> {
        let request = Request::Allocate { bytes, holder: holder.into() };
        match self.ask(&request).map_err(Unanswered::into_memory)? {
            Answer::Address(address) => {
                self.memory.add(address, bytes, holder)?;
                Ok(DeviceAddr::new(address))
            }
            _ => Err(MemoryError::Gone),
        }
    }

    fn restart_high_water(&self, holder: Holder) {
        self.ask_or(&Request::RestartHighWater { holder: holder.into() }, |_done| Some(()));
    }

    fn free(&self, address: DeviceAddr) -> Result<(), MemoryError> {
        if self.calls.is_over() {
            return Err(MemoryError::Gone);
        }
        self.memory.remove(address)?;
        let freed = self.ask(&Request::Free { address: address.raw() });
        freed.map(drop).map_err(Unanswered::into_memory)
    }

    fn copy_in(&self, to: DeviceAddr, from: &[u8]) -> Result<(), MemoryError> {
        let (live, offset) = self.find(to, from.len())?;
        if live.holder() == Holder::Orchestration {
            // The program may have made something of what is there.
            let touch = Request::Touch { address: to.raw(), bytes: from.len() };
            self.ask(&touch).map_err(Unanswered::into_memory)?;
        }
        live.copy_in(offset, from)
    }

    fn upload_image(&self, image: &[u8]) -> Result<DeviceAddr, MemoryError> {
        let address = self.allocate(image.len(), Holder::Orchestration)?;
        // Nothing was made of it yet.
        let (live, offset) = self.find(address, image.len())?;
        live.copy_in(offset, image)?;
        Ok(address)
    }

    fn check_user_range(&self, address: DeviceAddr, bytes: usize) -> Result<(), MemoryError> {
        let (live, _) = self.find(address, bytes)?;
        match live.holder() {
            Holder::User => Ok(()),
            _ => Err(MemoryError::OutOfRange { address, bytes }),
        }
    }

    fn copy_out(&self, to: &mut [u8], from: DeviceAddr) -> Result<(), MemoryError> {
        let (live, offset) = self.find(from, to.len())?;
        live.copy_out(offset, to)
    }

    fn memory_epoch(&self) -> Option<u64> {
        Some(self.memory.epoch())
    }

    fn pin(&self, address: DeviceAddr) -> Option<Arc<dyn PinnedMemory>> {
        let live = self.memory.pin(address)?;
        Some(live)
    }

    fn attach(&self, memory: Arc<SharedMemory>, _side: Side) {
        // `reaches_this_process` has said so before.
        tracing::error!(address = %memory.address(), "memory of the host is out of reach of the device");
    }

    fn detach(&self, _address: DeviceAddr) {}

    fn reaches_this_process(&self) -> bool {
        false
    }

    fn check_orchestration(&self, bytes: &[u8], entry: &str) -> Result<(), OrchestrationError> {
        orchestration_check::check_for(self.settings.machine, bytes, entry)?;
        let staged = self.stage(bytes).map_err(|error| match error {
            MemoryError::Gone => OrchestrationError::Gone,
            error => OrchestrationError::Refused { reason: error.to_string() },
        })?;
        let checked = self.ask(&Request::Check { staged, entry: entry.to_owned() });
        checked.map(drop).map_err(Unanswered::into_orchestration)
    }

    fn load_kernel(&self, kernel: &CoreCallableView<'_>) -> Result<Uploaded, KernelError> {
        image::check_for(self.settings.machine, kernel.binary, KERNEL_ENTRY_SYMBOL)?;
        let staged = self.stage(kernel.blob)?;
        let loaded = self.calls.ask_during(&Request::LoadKernel { staged }, During::Kernel);
        match loaded.map_err(|it| self.lost(it).into_kernel())? {
            Answer::Uploaded { address, was_there } => {
                let address = DeviceAddr::new(address);
                self.note_kernel(address, kernel.binary);
                Ok(Uploaded { address, was_there })
            }
            _ => Err(KernelError::Gone),
        }
    }

    fn unload_kernel(&self, record: DeviceAddr) -> Result<(), KernelError> {
        let request = Request::UnloadKernel { record: record.raw() };
        let unloaded = self.calls.ask_during(&request, During::Kernel);
        let unloaded = unloaded.map_err(|it| self.lost(it).into_kernel());
        // A crash of its destructors has been explained by now.
        self.images.remove_kernel(record);
        unloaded.map(drop)
    }

    fn load_orchestration(&self, load: &OrchestrationLoad<'_>) -> Result<(), DeviceError> {
        let symbol =
            |name: &[u8]| name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        let request = Request::LoadOrchestration(WireLoad {
            id: load.id.raw(),
            generation: load.generation,
            address: load.address.raw(),
            bytes: load.bytes,
            entry_symbol: symbol(load.entry_symbol),
            config_symbol: symbol(load.config_symbol),
            digest_prefix: load.digest_prefix,
        });
        let loaded = self.calls.ask_during(&request, During::Load(load.id));
        if let Answer::Loaded(Some(range)) = loaded.map_err(|it| self.lost(it).into_device())?
            && let Some(range) = range.range()
        {
            self.images.add_orchestration(range, load.address);
        }
        Ok(())
    }

    fn unload_orchestration(&self, id: CallableId, generation: u32) -> Result<(), DeviceLost> {
        let request = Request::UnloadOrchestration { id: id.raw(), generation };
        let unloaded = self.calls.ask_during(&request, During::Load(id));
        let unloaded = unloaded.map_err(|it| self.lost(it).into_device());
        // A crash of its destructors has been explained by now.
        self.images.remove_orchestration(id, generation);
        match unloaded {
            Err(DeviceError::Lost(lost)) => Err(lost),
            // Of a device that is gone nothing is left.
            _ => Ok(()),
        }
    }

    fn loaded_code(&self) -> Vec<LoadedRange> {
        let read = |answer| match answer {
            Answer::Ranges(ranges) => {
                Some(ranges.iter().filter_map(message::WireRange::range).collect())
            }
            _ => None,
        };
        self.ask_or(&Request::LoadedCode, read).unwrap_or_default()
    }

    fn throw_trace(&self) -> Vec<u64> {
        let read = |answer| match answer {
            Answer::Addresses(addresses) => Some(addresses),
            _ => None,
        };
        self.ask_or(&Request::ThrowTrace, read).unwrap_or_default()
    }

    fn interleaving(&self) -> Option<Interleaving> {
        let read = |answer| match answer {
            Answer::Interleaving(Some((points, hash, is_replayable))) => {
                Some(Interleaving { points, hash, is_replayable })
            }
            _ => None,
        };
        self.ask_or(&Request::Interleaving, read)
    }

    fn run(
        &self,
        launch: &Launch,
        fill: &mut dyn FnMut(&mut RuntimeBody),
    ) -> Result<RunOutcome, DeviceError> {
        self.calls.run(launch, fill).map_err(|unanswered| self.lost(unanswered).into_device())
    }
}

impl<C: Chip> std::fmt::Debug for ProcessDevice<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessDevice")
            .field("process", &self.process_id())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

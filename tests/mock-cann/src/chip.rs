//! The chip behind the books: device memory, and the stand-in daemon with the AICPU program and the cores.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use protocol::{A2a3, A5, Chip as ChipOf, ChipName, DeviceArgs, KernelArgsA2a3, KernelArgsA5};
use rustix::fs::{FallocateFlags, fallocate};
use stand_in::{
    Answer, CoreLaunch, Daemon, DaemonError, DeviceMemory, Machine, Pending, Request, Scope,
};
use tempfile::NamedTempFile;
use zerocopy::FromBytes;

use crate::books::{AICPU_FAILED, Allocations, CORE_FAILED, LATE, OK, is_inside};
use crate::launching::Started;

/// Bytes of device memory; only what is written takes memory of this machine.
const MEMORY_BYTES: u64 = 16 << 30;
/// What comes first in it: registers of the cores.
const REGISTER_BYTES: u64 = 256 << 20;
/// Then copies of launch records, in turn.
const RECORD_BYTES: u64 = 1 << 20;
/// Room for one of them.
const RECORD_ROOM: u64 = 4096;
/// Alignment of allocations, and least distance between them.
const ALIGN: u64 = 64;
/// What fresh memory holds, as far as it is filled: nobody may take it for zeroes.
static STALE: [u8; 1 << 14] = [0xA5; 1 << 14];

/// How long the daemon may take for what has no limit of its own: it may have to be translated first.
const LIMIT: Duration = Duration::from_secs(60);

/// The name that a launch must give for the shared object.
const SERVER: &[u8] = b"libaicpu_extend_kernels.so";

/// Something under way on a stream.
#[derive(Debug)]
pub enum Work {
    /// A kernel of the AICPU, or the cores.
    Daemon(Pending),
    /// Nothing that ever ends.
    Endless,
}

/// A launch of the AICPU, as its arguments say.
#[derive(Debug)]
pub struct AicpuLaunch<'a> {
    /// Launch record, and names.
    pub args: &'a [u8],
    /// Where the name of the shared object is.
    pub so_name: u32,
    /// Where the kernel's name is.
    pub kernel_name: u32,
    /// Threads.
    pub threads: u32,
}

/// The chip.
#[derive(Debug)]
pub struct Chip {
    machine: Machine,
    program: Option<PathBuf>,
    memory: DeviceMemory,
    daemon: Option<Daemon>,
    /// The AICPU program that the server has loaded; of a process, there is one.
    image: Option<Vec<u8>>,
    /// Its file, as long as the daemon has it open.
    file: Option<NamedTempFile>,
    /// Number of the next copy of a launch record.
    next_record: u64,
    /// Which chip it is, as the launch record tells, and where it says that registers are.
    seen: Option<(ChipName, u64)>,
}

impl Chip {
    /// A chip that is off.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn new() -> Result<Self, String> {
        let machine = match std::env::var("MOCK_CANN_MACHINE").as_deref() {
            Ok("aarch64") => Machine::Emulated,
            Ok("native") | Err(_) => Machine::Native,
            Ok(other) => return Err(format!("MOCK_CANN_MACHINE={other} is no machine")),
        };
        let memory = DeviceMemory::new(MEMORY_BYTES).map_err(|error| error.to_string())?;
        let program = std::env::var_os("MOCK_CANN_DAEMON").map(PathBuf::from);
        Ok(Self {
            machine,
            program,
            memory,
            daemon: None,
            image: None,
            file: None,
            next_record: 0,
            seen: None,
        })
    }

    /// Where the registers begin.
    pub fn registers(&self) -> u64 {
        self.memory.address()
    }

    /// Finds room for an allocation among those that there are.
    pub fn find_room(&self, taken: &Allocations, bytes: u64) -> Option<u64> {
        let mut start = self.memory.address() + REGISTER_BYTES + RECORD_BYTES;
        for (address, size) in taken {
            if address.checked_sub(start)? >= bytes.checked_add(ALIGN)? {
                break;
            }
            start = (address + size + ALIGN).next_multiple_of(ALIGN);
        }
        let end = start.checked_add(bytes)?;
        (end <= self.memory.address() + self.memory.bytes()).then_some(start)
    }

    /// Fills fresh memory with what nobody has written.
    pub fn spoil(&self, address: u64, bytes: u64) {
        let count = usize::try_from(bytes).unwrap_or(usize::MAX).min(STALE.len());
        // Allocated just now.
        let _is_inside = self.memory.write(address, &STALE[..count]);
    }

    /// Takes the memory of an allocation away from this machine.
    pub fn give_back(&self, address: u64, bytes: u64) {
        let offset = address - self.memory.address();
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // Otherwise it stays until the end.
        let _is_back = fallocate(self.memory.file(), flags, offset, bytes);
    }

    /// Copies to the device.
    pub fn copy_in(&self, to: u64, from: &[u8]) {
        let _is_inside = self.memory.write(to, from);
    }

    /// Copies from the device.
    pub fn copy_out(&self, to: &mut [u8], from: u64) {
        if let Ok(bytes) = self.memory.read(from, to.len()) {
            to.copy_from_slice(&bytes);
        }
    }

    /// Kills the daemon, as a crash of the chip's server would.
    pub fn kill(&self) {
        if let Some(daemon) = &self.daemon {
            daemon.kill();
        }
    }

    /// Ends everything on the chip.
    pub fn power_off(&mut self) {
        self.daemon = None;
        self.file = None;
        self.seen = None;
    }

    /// Starts a kernel of the server. The first one has the image loaded.
    ///
    /// # Errors
    ///
    /// A rule that the launch breaks.
    pub fn launch_aicpu(
        &mut self,
        launch: &AicpuLaunch<'_>,
        memory: &Allocations,
    ) -> Result<Result<Started, i32>, String> {
        let name = |offset: u32| {
            let rest = launch.args.get(offset as usize..).unwrap_or_default();
            let end = rest.iter().position(|byte| *byte == 0);
            end.map(|end| &rest[..end]).ok_or("a name without an end")
        };
        if name(launch.so_name)? != SERVER {
            return Err(format!("a launch for {}", String::from_utf8_lossy(name(launch.so_name)?)));
        }
        let entry = match name(launch.kernel_name)? {
            b"DynTileFwkKernelServerInit" => "DynTileFwkBackendKernelServerInit",
            b"DynTileFwkKernelServer" => "DynTileFwkBackendKernelServer",
            other => return Err(format!("no kernel {}", String::from_utf8_lossy(other))),
        };
        let record = record_of(launch)?;
        let uses = record.uses(memory)?;
        self.seen = Some((record.chip, record.registers));
        if self.daemon.is_none() {
            if entry != "DynTileFwkBackendKernelServerInit" {
                return Err(format!("{entry} was launched before the server has loaded an image"));
            }
            if let Err(error) = self.load_image(record.device_args, memory)? {
                eprintln!("mock-cann: {error}");
                return Ok(Err(AICPU_FAILED));
            }
        }
        let Some(daemon) = &self.daemon else { return Ok(Err(AICPU_FAILED)) };
        let slots = RECORD_BYTES / RECORD_ROOM;
        let argument =
            self.memory.address() + REGISTER_BYTES + self.next_record % slots * RECORD_ROOM;
        self.next_record += 1;
        self.copy_in(argument, launch.args);
        let threads = launch.threads;
        let request = Request::Call { entry: entry.to_owned(), argument, threads };
        let started = daemon.begin(request).map_err(|_gone| AICPU_FAILED);
        Ok(started.map(|pending| Started { work: Work::Daemon(pending), uses }))
    }

    /// What the server does at the first launch of a process.
    fn load_image(
        &mut self,
        device_args: u64,
        memory: &Allocations,
    ) -> Result<Result<(), DaemonError>, String> {
        let mut bytes = [0; size_of::<DeviceArgs>()];
        self.copy_out(&mut bytes, device_args);
        let args = DeviceArgs::read_from_bytes(&bytes).map_err(|_| "no DeviceArgs")?;
        live(memory, "an image", args.so_bin.raw(), args.so_len)?;
        let length = usize::try_from(args.so_len).map_err(|error| error.to_string())?;
        let image =
            self.memory.read(args.so_bin.raw(), length).map_err(|error| error.to_string())?;
        if self.image.as_ref().is_some_and(|loaded| *loaded != image) {
            return Err("a second AICPU program in one process".to_owned());
        }
        let written = NamedTempFile::with_suffix(".so")
            .and_then(|mut file| file.write_all(&image).map(|()| file));
        let file = written.map_err(|error| error.to_string())?;
        let start = || -> Result<Daemon, DaemonError> {
            let daemon = match &self.program {
                Some(program) => Daemon::start_program(self.machine, program, &self.memory),
                None => Daemon::start(self.machine, &self.memory),
            }?;
            daemon.open(file.path(), Scope::Global, LIMIT)?;
            daemon.call("StaticTileFwkBackendKernelServer", 0, 1, LIMIT)?;
            Ok(daemon)
        };
        Ok(match start() {
            Ok(daemon) => {
                (self.daemon, self.file, self.image) = (Some(daemon), Some(file), Some(image));
                Ok(())
            }
            Err(error) => Err(error),
        })
    }

    /// Starts the cores' program, whose argument is what the chip's program gets.
    ///
    /// # Errors
    ///
    /// A rule that the launch breaks.
    pub fn launch_cores(
        &mut self,
        clusters: u32,
        argument: u64,
        memory: &Allocations,
    ) -> Result<Result<Started, i32>, String> {
        let (chip, registers) = self.seen.ok_or("the cores were started before the AICPU")?;
        let (runtime, mut uses) = match chip {
            ChipName::A2a3 => {
                let mut record = [0; size_of::<KernelArgsA2a3>()];
                live(memory, "a launch record", argument, record.len() as u64)?;
                self.copy_out(&mut record, argument);
                let record = KernelArgsA2a3::read_from_bytes(&record).map_err(|_| "no record")?;
                (record.runtime_args.raw(), vec![argument])
            }
            ChipName::A5 => (argument, Vec::new()),
        };
        live(memory, "a run record", runtime, runtime_bytes(chip))?;
        uses.push(runtime);
        let launch = CoreLaunch { chip: chip.into(), clusters, runtime, registers };
        let Some(daemon) = &self.daemon else { return Ok(Err(CORE_FAILED)) };
        let started = daemon.begin(Request::RunCores(launch)).map_err(|_gone| CORE_FAILED);
        Ok(started.map(|pending| Started { work: Work::Daemon(pending), uses }))
    }
}

/// What a launch record of the AICPU names.
struct Record {
    chip: ChipName,
    device_args: u64,
    registers: u64,
    /// The run record; 0: none.
    runtime: u64,
}

impl Record {
    /// Addresses of all that it names, which must be there.
    fn uses(&self, memory: &Allocations) -> Result<Vec<u64>, String> {
        live(memory, "DeviceArgs", self.device_args, size_of::<DeviceArgs>() as u64)?;
        live(memory, "a table of registers", self.registers, size_of::<u64>() as u64)?;
        let mut uses = vec![self.device_args, self.registers];
        if self.runtime != 0 {
            live(memory, "a run record", self.runtime, runtime_bytes(self.chip))?;
            uses.push(self.runtime);
        }
        Ok(uses)
    }
}

/// Bytes of a run record.
fn runtime_bytes(chip: ChipName) -> u64 {
    let bytes = match chip {
        ChipName::A2a3 => size_of::<<A2a3 as ChipOf>::Runtime>(),
        ChipName::A5 => size_of::<<A5 as ChipOf>::Runtime>(),
    };
    bytes as u64
}

/// Whether what a launch names is inside one allocation: a rule is broken if it is not.
fn live(memory: &Allocations, what: &str, address: u64, bytes: u64) -> Result<(), String> {
    if is_inside(memory, address, bytes) {
        Ok(())
    } else {
        Err(format!("{what} of {bytes} bytes at {address:#x} is not allocated"))
    }
}

/// The launch record of a launch.
fn record_of(launch: &AicpuLaunch<'_>) -> Result<Record, String> {
    let record = launch.args.get(..launch.kernel_name as usize).unwrap_or_default();
    if let Ok(record) = KernelArgsA2a3::read_from_bytes(record) {
        return Ok(Record {
            chip: ChipName::A2a3,
            device_args: record.device_args.raw(),
            registers: record.regs.raw(),
            runtime: record.runtime_args.raw(),
        });
    }
    match KernelArgsA5::read_from_bytes(record) {
        Ok(record) => Ok(Record {
            chip: ChipName::A5,
            device_args: record.device_args.raw(),
            registers: record.regs.raw(),
            runtime: record.runtime_args.raw(),
        }),
        Err(_) => Err(format!("a launch record of {} bytes", record.len())),
    }
}

/// Waits for all that is under way, up to a point in time; a number, and whether all has ended.
pub fn wait(work: Vec<Work>, until: Instant) -> (i32, bool) {
    let mut result = OK;
    for each in work {
        let left = until.saturating_duration_since(Instant::now());
        let Work::Daemon(pending) = each else {
            std::thread::sleep(left);
            return (LATE, false);
        };
        let code = match pending.wait(left) {
            Ok(Answer::Returned { statuses }) if statuses.iter().all(|status| *status == 0) => OK,
            Ok(Answer::CoresLeft { faults, .. }) if faults.is_empty() => OK,
            Ok(Answer::CoresLeft { faults, .. }) => {
                eprintln!("mock-cann: {faults:?}");
                CORE_FAILED
            }
            Ok(_) => AICPU_FAILED,
            Err(DaemonError::Late { .. }) => return (LATE, false),
            Err(error) => {
                eprintln!("mock-cann: {error}");
                AICPU_FAILED
            }
        };
        result = if result == OK { code } else { result };
    }
    (result, true)
}

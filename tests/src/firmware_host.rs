//! A host of the AICPU image, by hand: what a run on a chip takes, and nothing else.
//!
//! It writes the records that the specification names into the memory of a stand-in for the chip, and has that call
//! the image's entry points, so that tests can get each step wrong in a way of their own. What a real host
//! does is the business of `host-runner`.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use host_runner::compile::{CodeKind, CompileJob, Compiler, Reuse, Toolchain, ToolchainConfig};
use host_runner::device::sim::engine::SimExecutor;
use protocol::{
    A2a3, A5, CORE_BINARY_OFFSET, Chip, ChipName, ChipStorageTaskArgs, ContinuousTensor,
    CoreCallable, CoreType, DataType, DeviceAddr, DispatchWord, FAST_PATH_CLOSE, KernelArgsA2a3,
    KernelArgsA5, RecordOperation, RuntimeBody, RuntimeRecord,
};
use stand_in::{
    Answer, CoreLaunch, Daemon, DaemonError, DeviceMemory, Machine, NotHere, Pending, Request,
    Scope,
};
use zerocopy::{FromZeros, IntoBytes};

use crate::sources::repository;

/// A limit that nothing reaches that works, under an emulator either.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Entry points of an image for the server on a chip.
pub const STATIC_ENTRY: &str = "StaticTileFwkBackendKernelServer";
/// See [`STATIC_ENTRY`].
pub const INIT_ENTRY: &str = "DynTileFwkBackendKernelServerInit";
/// See [`STATIC_ENTRY`].
pub const RUN_ENTRY: &str = "DynTileFwkBackendKernelServer";

/// Entry of an image for a simulator host.
pub const SIM_ENTRY: &str = "aicpu_execute";

/// Bytes of device memory.
const MEMORY_BYTES: u64 = 64 << 20;

/// Rings of the runs: small ones, since emulated memory is slow to fill.
const TASK_WINDOW: u64 = 64;
const HEAP_BYTES: u64 = 1 << 16;

/// Alignment of what is in device memory.
const ALIGN: u64 = 4096;

/// A chip with its image loaded.
#[derive(Debug)]
pub struct FirmwareHost {
    chip: ChipName,
    machine: Machine,
    /// Before the memory: it is gone when that is unmapped.
    daemon: Daemon,
    memory: DeviceMemory,
    /// Where the next thing goes.
    next: u64,
    /// Address of the array of register block addresses.
    registers: u64,
    /// Rings and outputs of all runs.
    region: u64,
    heap: u64,
    run_number: u32,
}

/// How a launch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launched {
    /// What each thread returned.
    pub statuses: Vec<i32>,
    /// Tasks that the cores were given.
    pub tasks: u64,
    /// Cores that were never sent away by the AICPU.
    pub stopped: u32,
}

/// What a run is of.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// The callable, and which use of its id.
    pub id: i32,
    /// See [`id`](Self::id).
    pub generation: u32,
    /// Clusters.
    pub clusters: u32,
    /// Places of AICPU threads.
    pub places: i32,
    /// Threads that are launched.
    pub launched: u32,
}

impl FirmwareHost {
    /// Loads the image for a chip and a kind of host (`onboard`, `sim`) on a machine.
    ///
    /// # Errors
    ///
    /// [`NotHere`].
    pub fn start(machine: Machine, chip: ChipName, abi: &str) -> Result<Self, NotHere> {
        let image = machine.image(chip.into(), abi)?;
        let memory = DeviceMemory::new(MEMORY_BYTES).expect("device memory");
        let daemon = match Daemon::start(machine, &memory) {
            Ok(daemon) => daemon,
            Err(DaemonError::NotHere(missing)) => return Err(missing),
            Err(error) => panic!("{error}"),
        };
        let scope = if abi == "sim" { Scope::Local } else { Scope::Global };
        daemon.open(&image, scope, LIMIT).expect("the image opens");
        let next = memory.address();
        let (registers, region, heap, run_number) = (0, 0, 0, 0);
        let mut host =
            Self { chip, machine, daemon, memory, next, registers, region, heap, run_number };
        match chip {
            ChipName::A2a3 => host.set_up::<A2a3>(),
            ChipName::A5 => host.set_up::<A5>(),
        }
        Ok(host)
    }

    /// Lays out registers and rings.
    fn set_up<C: Chip>(&mut self) {
        let block = C::SIM_REGISTER_BYTES as u64;
        let blocks = self.allocate(block * C::MAX_CORES as u64);
        let table: Vec<u64> = (0..C::MAX_CORES as u64).map(|core| blocks + core * block).collect();
        self.registers = self.put(table.as_bytes());
        let region = SimExecutor::<C>::region_bytes(TASK_WINDOW, 0).expect("a valid window");
        self.region = self.allocate(region);
        self.heap = self.allocate(4 * HEAP_BYTES);
    }

    /// The daemon.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// Room in device memory, all zero.
    pub fn allocate(&mut self, bytes: u64) -> u64 {
        let address = self.next;
        self.next = (address + bytes).next_multiple_of(ALIGN);
        assert!(self.next <= self.memory.address() + MEMORY_BYTES, "device memory is full");
        address
    }

    /// Puts bytes into device memory.
    pub fn put(&mut self, bytes: &[u8]) -> u64 {
        let address = self.allocate(bytes.len() as u64);
        self.memory.write(address, bytes).expect("allocated");
        address
    }

    /// Numbers in device memory.
    pub fn numbers(&self, address: u64, count: usize) -> Vec<u64> {
        let bytes = self.memory.read(address, 8 * count).expect("device memory");
        let (words, _) = bytes.as_chunks::<8>();
        words.iter().map(|word| u64::from_le_bytes(*word)).collect()
    }

    /// Puts `data/kernels/<name>.cpp` into device memory, as a kernel of the chip, and returns its record.
    pub fn put_kernel(&mut self, name: &str) -> u64 {
        let kind = CodeKind::Kernel(CoreType::Aiv);
        let binary = image(self.machine, self.chip, kind, &format!("kernels/{name}.cpp"));
        let mut record = CoreCallable::new_zeroed();
        record.binary_size = u32::try_from(binary.len()).expect("a small kernel");
        let address = self.allocate((CORE_BINARY_OFFSET + binary.len()) as u64);
        let code = address + CORE_BINARY_OFFSET as u64;
        record.resolved_addr = code;
        self.memory.write(address, record.as_bytes()).expect("allocated");
        self.memory.write(code, &binary).expect("allocated");
        address
    }

    /// The image of `data/orchestrations/<name>.cpp`, in device memory: address and length.
    pub fn put_orchestration(&mut self, name: &str) -> (u64, u64) {
        let source = format!("orchestrations/{name}.cpp");
        let image = image(self.machine, self.chip, CodeKind::Orchestration, &source);
        (self.put(&image), image.len() as u64)
    }

    /// Loads an orchestration for an id, by a record of its own on one thread. Returns the status.
    pub fn load(&mut self, run: Run, image: (u64, u64), entry: &str) -> i32 {
        let record = self.record(&|body| {
            name_image(body, image, entry);
            body.active_callable_id = run.id;
            body.sche_cpu_num = 1;
            body.extension.operation = RecordOperation::Load.raw();
            body.extension.callable_generation = run.generation;
            body.extension = body.extension.sealed();
        });
        let args = self.launch_record(record);
        self.call(RUN_ENTRY, args, 1)[0]
    }

    /// The record of a run as our host writes it; `fill` has the last word before it is sealed.
    pub fn run_record(
        &mut self,
        run: Run,
        arguments: ChipStorageTaskArgs,
        kernels: &[u64],
        fill: &dyn Fn(&mut RuntimeBody),
    ) -> u64 {
        self.run_number += 1;
        let (number, region, heap) = (self.run_number, self.region, self.heap);
        self.record(&|body| {
            // CAST: a chip has at most a few dozen clusters.
            body.worker_count = run.clusters as i32 * 3;
            body.sche_cpu_num = run.places;
            body.task_window_size = TASK_WINDOW;
            body.heap_size = HEAP_BYTES;
            body.gm_sm_ptr = DeviceAddr::new(region);
            body.gm_heap_ptr = DeviceAddr::new(heap);
            body.orch_args = arguments;
            body.active_callable_id = run.id;
            body.func_id_to_addr[..kernels.len()].copy_from_slice(kernels);
            body.extension.callable_generation = run.generation;
            body.extension.region_generation = 1;
            body.extension.run_number = number;
            body.extension.stall_timeout_us = 20_000_000;
            body.extension = body.extension.sealed();
            fill(body);
        })
    }

    /// Puts a run record into device memory.
    fn record(&mut self, fill: &dyn Fn(&mut RuntimeBody)) -> u64 {
        match self.chip {
            ChipName::A2a3 => self.record_of::<A2a3>(fill),
            ChipName::A5 => self.record_of::<A5>(fill),
        }
    }

    fn record_of<C: Chip>(&mut self, fill: &dyn Fn(&mut RuntimeBody)) -> u64 {
        let mut record = Box::new(C::Runtime::new_zeroed());
        *record.body_mut() = RuntimeBody::default();
        fill(record.body_mut());
        self.put(record.as_mut_bytes())
    }

    /// Puts a launch record into device memory.
    pub fn launch_record(&mut self, runtime: u64) -> u64 {
        let [runtime_args, regs] = [runtime, self.registers].map(DeviceAddr::new);
        let (log_level, log_info_v) = (3, 9);
        match self.chip {
            ChipName::A2a3 => {
                let args = KernelArgsA2a3 {
                    runtime_args,
                    regs,
                    log_level,
                    log_info_v,
                    ..Default::default()
                };
                self.put(args.as_bytes())
            }
            ChipName::A5 => {
                let args = KernelArgsA5 {
                    runtime_args,
                    regs,
                    log_level,
                    log_info_v,
                    ..Default::default()
                };
                self.put(args.as_bytes())
            }
        }
    }

    /// Address of the array of register block addresses.
    pub fn registers(&self) -> u64 {
        self.registers
    }

    /// Calls an entry point on so many threads.
    pub fn call(&self, entry: &str, argument: u64, threads: u32) -> Vec<i32> {
        self.daemon.call(entry, argument, threads, LIMIT).expect("the daemon answers")
    }

    /// Starts the cores of a run.
    pub fn begin_cores(&self, runtime: u64, clusters: u32) -> Pending {
        let (chip, registers) = (self.chip.into(), self.registers);
        let launch = CoreLaunch { chip, clusters, runtime, registers };
        self.daemon.begin(Request::RunCores(launch)).expect("the daemon is there")
    }

    /// Launches a run as a host does: the cores, the first entry, and the run's entry on all its threads.
    pub fn launch(&mut self, run: Run, record: u64) -> Launched {
        let args = self.launch_record(record);
        assert_eq!(self.call(INIT_ENTRY, args, 1), [0]);
        self.launch_entry(run, record, RUN_ENTRY, args)
    }

    /// Has cores and threads carry out a run.
    pub fn launch_entry(&self, run: Run, record: u64, entry: &str, argument: u64) -> Launched {
        let cores = self.begin_cores(record, run.clusters);
        let statuses = self.call(entry, argument, run.launched);
        if statuses.iter().any(|&status| status != 0) {
            // Those of a run that was refused were never called.
            self.daemon.ask(Request::StopCores, LIMIT).expect("the daemon answers");
        }
        match cores.wait(LIMIT).expect("the cores leave") {
            Answer::CoresLeft { tasks, faults, stopped } => {
                assert_eq!(faults, [""; 0], "no core may fail");
                if stopped == 0 {
                    match self.chip {
                        ChipName::A2a3 => self.assert_closed::<A2a3>(run.clusters),
                        ChipName::A5 => self.assert_closed::<A5>(run.clusters),
                    }
                }
                Launched { statuses, tasks, stopped }
            }
            other => panic!("{other:?}"),
        }
    }

    /// Looks whether the AICPU has left the cores' registers as it is to: idle, and closed where that can be.
    fn assert_closed<C: Chip>(&self, clusters: u32) {
        let word = |address: u64| {
            let bytes = self.memory.read(address, size_of::<u32>()).expect("a register");
            u32::from_le_bytes(bytes.try_into().expect("four bytes"))
        };
        for block in self.numbers(self.registers, 3 * clusters as usize) {
            assert_eq!(word(block + C::DATA_MAIN_BASE as u64), DispatchWord::IDLE.raw());
            if let Some(fast_path) = C::FAST_PATH_ENABLE {
                assert_eq!(word(block + fast_path as u64), FAST_PATH_CLOSE);
            }
        }
    }
}

/// Names an orchestration in a record that loads it.
pub fn name_image(body: &mut RuntimeBody, (address, bytes): (u64, u64), entry: &str) {
    body.register_new_callable_id = 1;
    body.dev_orch_so_addr = DeviceAddr::new(address);
    body.dev_orch_so_size = bytes;
    body.device_orch_func_name[..entry.len()].copy_from_slice(entry.as_bytes());
    let config = "aicpu_orchestration_config";
    body.device_orch_config_name[..config.len()].copy_from_slice(config.as_bytes());
}

/// Arguments of a run: tensors of 64-bit numbers in device memory, by address and length, and scalars.
pub fn arguments(tensors: &[(u64, usize)], scalars: &[u64]) -> ChipStorageTaskArgs {
    let mut arguments = ChipStorageTaskArgs::new();
    for &(data, length) in tensors {
        let mut shapes = [0; 5];
        shapes[0] = u32::try_from(length).expect("a short tensor");
        let dtype = DataType::Uint64 as u8;
        let tensor = ContinuousTensor {
            data,
            shapes,
            ndims: 1,
            dtype,
            child_memory: 1,
            ..Default::default()
        };
        arguments.push_tensor(tensor).expect("few tensors");
    }
    for &scalar in scalars {
        arguments.push_scalar(scalar).expect("few scalars");
    }
    arguments
}

/// The image of a source in `data/` for a machine and a chip, from the cache or the compiler.
///
/// # Panics
///
/// There is no compiler, or it refuses the source.
pub fn image(machine: Machine, chip: ChipName, kind: CodeKind, source: &str) -> Vec<u8> {
    static NATIVE: LazyLock<Compiler> = LazyLock::new(|| {
        Compiler::newest_on(&std::env::var_os("PATH").unwrap_or_default()).expect("a compiler")
    });
    let compiler = match machine.cxx() {
        None => NATIVE.clone(),
        Some(command) => Compiler::named(command).expect("the compiler for the other machine"),
    };
    let program = std::env::current_exe().expect("the path of the test program");
    // The program is in <target>/<profile>/deps.
    let target = program.ancestors().nth(3).expect("test programs are in the target folder");
    let toolchain = Toolchain::new(ToolchainConfig {
        compiler,
        sdk: Some(repository().join("sdk")),
        cache_dir: target.join("test-callables"),
        reuse: Reuse::Cached,
        isa_root: None,
    });
    let toolchain = toolchain.expect("a toolchain").for_chip(chip);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(source);
    let job = CompileJob { source, kind, include_dirs: Vec::new() };
    let images = toolchain.build(&[job], &|_, _| {}).expect("the source compiles");
    images.into_iter().next().expect("an image for the job").bytes
}

//! From the numbers that a crash has left behind to what a person needs: whose code it was, and through which of its
//! functions the calls went.
//!
//! Images are read from device memory, which the host still maps. Code that has gone wrong may have written there,
//! so they are copied, and whatever reads them trusts nothing.

use protocol::{CallableId, DeviceAddr, FuncId};

use super::crash_record::{Crashed, Registers};
use super::host_memory::HostMemory;
use super::images::{Images, Owner, function_at};
use super::unanswered::During;
use crate::device::{Crash, CrashFrame, CrashedIn};
use crate::foreign_code::guarded_call::demangled;

/// How far from the stack pointer an address is that means the end of the stack.
const NEAR_STACK: u64 = 1 << 20;
/// `SI_USER`, `SI_TKILL`: sent by a process, so that there is no address. `SI_KERNEL`: the processor does not tell the
/// address, as x86-64 where it is not canonical, and the system gives 0 for it.
const WITHOUT_ADDRESS: [i32; 3] = [0, -6, 0x80];

/// What threads are called that do nothing else: those of a run, the one that loads orchestrations, and those that load
/// kernels.
const THREADS: [(&str, Place); 3] =
    [("sim-aicpu", Place::Run), ("sim-loader", Place::Loader), ("user-code", Place::KernelLoader)];

/// What the thread that has crashed was there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Run,
    Loader,
    KernelLoader,
    /// It was started by code of the user, or is another one of the device.
    Unknown,
}

/// What the host knows of a run.
pub(super) struct RunFacts<'a> {
    /// The callable that it is, or was, of.
    pub(super) callable: Option<CallableId>,
    /// The func id of a kernel's record.
    pub(super) func_id: &'a dyn Fn(DeviceAddr) -> Option<FuncId>,
}

/// A crash, as far as it is the same for all who have waited for an answer.
#[derive(Debug)]
pub(super) struct Wreck {
    core: Option<u32>,
    thread: String,
    /// Of the calls in code of the user, whose that is.
    owners: Vec<Owner>,
    /// The kernel among them, in the callable that was run.
    func_id: Option<FuncId>,
    /// The callable that was run.
    callable: Option<CallableId>,
    crash: Crash,
}

/// Reads what a crash has left behind.
pub(super) fn read(
    crashed: &Crashed,
    images: &Images,
    memory: &HostMemory,
    run: &RunFacts<'_>,
) -> Wreck {
    let registers = &crashed.registers;
    let frames = calls(crashed);
    let owners: Vec<_> =
        frames.iter().map(|(address, of_code)| (*address, images.owner(*of_code))).collect();
    let is_about_address = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE]
        .contains(&registers.signal)
        && !WITHOUT_ADDRESS.contains(&registers.code);
    let distance = registers.address.abs_diff(registers.stack);
    let named = registers.thread.split(|byte| *byte == 0).next().unwrap_or_default();
    let thread = String::from_utf8_lossy(named).into_owned();
    let known: Vec<Owner> = owners.iter().filter_map(|(_, owner)| owner.clone()).collect();
    let kernel = known.iter().find_map(|owner| match owner {
        Owner::Kernel { record, .. } => Some(*record),
        Owner::Orchestration { .. } => None,
    });
    let frame = |(address, owner)| frame(address, owner, memory, run);
    let crash = Crash {
        signal: registers.signal,
        address: is_about_address.then_some(registers.address),
        is_stack_overflow: is_about_address
            && registers.signal == libc::SIGSEGV
            && distance < NEAR_STACK,
        inside: CrashedIn::Other { thread: thread.clone() },
        frames: owners.into_iter().map(frame).collect(),
    };
    let func_id = kernel.and_then(run.func_id);
    Wreck { core: registers.core, thread, owners: known, func_id, callable: run.callable, crash }
}

impl Wreck {
    /// The crash, for who has waited for an answer meanwhile.
    pub(super) fn crash(&self, during: During) -> Crash {
        Crash { inside: self.inside(during), ..self.crash.clone() }
    }

    /// Whether what was asked for may have crashed. A run ends with the program in any case; a load may be innocent.
    pub(super) fn may_be_of(&self, during: During) -> bool {
        match during {
            During::Run | During::Other => true,
            During::Kernel => self.inside(during) == CrashedIn::LoadingKernel,
            During::Load(callable) => self.inside(during) == CrashedIn::Loading { callable },
        }
    }

    /// Whose code it was: by the core that the thread stood for, else by what the thread is there for and by the calls,
    /// else by what was being done.
    fn inside(&self, during: During) -> CrashedIn {
        if let Some(core) = self.core {
            return CrashedIn::Kernel { core, func_id: self.func_id };
        }
        let place = self.place();
        let unknown = || CrashedIn::Other { thread: self.thread.clone() };
        match (place, self.owners.first(), during) {
            (Place::Run, Some(Owner::Orchestration { callable, .. }), _) => {
                CrashedIn::Orchestration { callable: *callable }
            }
            // Nobody else's code runs on them.
            (Place::Run, None, _) => {
                self.callable.map_or_else(unknown, |callable| CrashedIn::Orchestration { callable })
            }
            (_, Some(Owner::Orchestration { callable, .. }), _) => {
                CrashedIn::Loading { callable: *callable }
            }
            (_, Some(Owner::Kernel { .. }), _) | (Place::KernelLoader, None, _) => {
                CrashedIn::LoadingKernel
            }
            // Its image is not known before it is loaded.
            (_, None, During::Load(callable)) => CrashedIn::Loading { callable },
            (Place::Unknown, None, During::Kernel) => CrashedIn::LoadingKernel,
            (_, None, _) => unknown(),
        }
    }

    fn place(&self) -> Place {
        let known = THREADS.iter().find(|(name, _)| self.thread.starts_with(name));
        known.map_or(Place::Unknown, |(_, place)| *place)
    }
}

/// Addresses of the calls, each with one that is inside the instruction.
fn calls(crashed: &Crashed) -> Vec<(u64, u64)> {
    let Registers { instruction, caller, .. } = crashed.registers;
    let mut calls: Vec<(u64, u64)> = match &crashed.frames[..] {
        [] => vec![(instruction, instruction)],
        // A call returns behind itself, maybe to the function behind the one that made it.
        [first, rest @ ..] => std::iter::once((*first, *first))
            .chain(rest.iter().map(|address| (*address, address.wrapping_sub(1))))
            .collect(),
    };
    // Who has called an address that is no code is known by what it would have returned to.
    if calls.len() == 1 && caller != 0 {
        calls.push((caller, caller.wrapping_sub(1)));
    }
    calls
}

/// What is said of a call.
fn frame(
    address: u64,
    owner: Option<Owner>,
    memory: &HostMemory,
    run: &RunFacts<'_>,
) -> CrashFrame {
    let Some(owner) = owner else {
        return CrashFrame { address, image: None, symbol: None, offset: address };
    };
    let (named, vaddr, place) = match owner {
        Owner::Orchestration { callable, image, vaddr } => {
            let bytes = memory.pin(image).map(|live| live.to_vec()).unwrap_or_default();
            (format!("callable {callable}"), vaddr, function_at(&bytes, vaddr))
        }
        Owner::Kernel { record, image, vaddr } => {
            let id = (run.func_id)(record);
            let named = id.map_or_else(|| "a kernel".to_owned(), |id| format!("func_id {id}"));
            (named, vaddr, function_at(&image, vaddr))
        }
    };
    let (symbol, offset) = place.map_or((None, vaddr), |(name, offset)| {
        // Behind a dot the compiler says which part or copy of a function it is.
        (Some(demangled(name.split('.').next().unwrap_or_default())), offset)
    });
    CrashFrame { address, image: Some(named), symbol, offset }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aicpu_executor::loaded_code::LoadedRange;

    use super::*;
    use crate::device::shared_file::SharedFile;
    use crate::device::sim::test_objects::cxx_bytes;

    const KERNEL: &str = "extern \"C\" void kernel_entry(long *) {}";
    const BIAS: u64 = 0x7000_0000;

    fn crash(registers: Registers, frames: &[u64], during: During) -> Crash {
        wreck(registers, frames).crash(during)
    }

    fn wreck(registers: Registers, frames: &[u64]) -> Wreck {
        let images = Images::default();
        let image = cxx_bytes("crashed_kernel", KERNEL);
        let elf = goblin::elf::Elf::parse(&image).unwrap();
        let entry = elf.dynsyms.iter().find(|each| each.is_function()).unwrap().st_value;
        images.add_kernel(DeviceAddr::new(64), &image, BIAS + entry);
        let callable = CallableId::new(3).unwrap();
        let range =
            LoadedRange { id: callable, generation: 1, base: 0x1000, span: 0x1000, bias: 0x1000 };
        images.add_orchestration(range, DeviceAddr::new(128));
        let memory = HostMemory::new(Arc::new(SharedFile::new("test", 4096).unwrap()), 0);
        let func_id =
            |record: DeviceAddr| (record.raw() == 64).then(|| FuncId::new(7).ok()).flatten();
        let facts = RunFacts { callable: Some(callable), func_id: &func_id };
        let frames = frames.iter().map(|at| if *at == u64::MAX { BIAS + entry + 1 } else { *at });
        let crashed = Crashed { registers, frames: frames.collect() };
        read(&crashed, &images, &memory, &facts)
    }

    fn thread(name: &[u8]) -> [u8; 16] {
        let mut thread = [0; 16];
        thread[..name.len()].copy_from_slice(name);
        thread
    }

    #[test]
    fn a_kernel_is_named_by_its_func_id_and_its_function() {
        let registers =
            Registers { signal: libc::SIGABRT, code: -6, core: Some(5), ..Registers::default() };
        let crash = crash(registers, &[0x10, u64::MAX], During::Run);
        let func_id = FuncId::new(7).ok();
        assert_eq!(crash.inside, CrashedIn::Kernel { core: 5, func_id });
        assert_eq!((crash.address, crash.frames.len()), (None, 2));
        assert_eq!(crash.frames[1].symbol.as_deref(), Some("kernel_entry"));
        assert_eq!(crash.frames[1].image.as_deref(), Some("func_id 7"));
    }

    #[test]
    fn a_call_of_null_is_put_down_to_its_caller() {
        let registers = Registers {
            signal: libc::SIGSEGV,
            code: 1,
            caller: 0x1800,
            stack: 1 << 40,
            thread: thread(b"sim-aicpu-0"),
            ..Registers::default()
        };
        let of_run = crash(registers, &[], During::Run);
        let callable = CallableId::new(3).unwrap();
        assert_eq!(of_run.inside, CrashedIn::Orchestration { callable });
        assert_eq!((of_run.address, of_run.is_stack_overflow), (Some(0), false));
        assert_eq!(of_run.frames[1].image.as_deref(), Some("callable 3"));
        let loader = Registers { thread: thread(b"sim-loader-0"), caller: 0, ..registers };
        let other = CallableId::new(9).unwrap();
        let of_load = crash(loader, &[], During::Load(other));
        assert_eq!(of_load.inside, CrashedIn::Loading { callable: other });
        let near = Registers { address: (1 << 40) - 4096, ..registers };
        assert!(crash(near, &[], During::Run).is_stack_overflow);
    }

    #[test]
    fn an_address_that_the_processor_does_not_tell_is_not_taken_to_be_null() {
        for (code, address) in [(1, Some(0)), (0x80, None), (0, None), (-6, None)] {
            let registers = Registers { signal: libc::SIGSEGV, code, ..Registers::default() };
            let crash = crash(registers, &[], During::Run);
            assert_eq!(crash.address, address, "{code}");
            assert_eq!(crash.is_stack_overflow, address.is_some(), "the stack pointer is 0");
        }
    }

    #[test]
    fn a_load_is_not_taken_for_what_has_crashed_somewhere_else() {
        let on = |name: &[u8], caller| Registers {
            signal: libc::SIGSEGV,
            thread: thread(name),
            caller,
            ..Registers::default()
        };
        let [three, nine] = [3, 9].map(|id| During::Load(CallableId::new(id).unwrap()));
        let core = Registers { core: Some(2), ..on(b"sim-core-2", 0) };
        for (registers, guilty) in [
            // In a run, by its thread or by the core that it stands for.
            (on(b"sim-aicpu-1", 0), [false; 3]),
            (core, [false; 3]),
            // In code that is loaded, while that is unloaded.
            (on(b"sim-loader-0", 0x1800), [false, true, false]),
            // In code that is being loaded: either of those that are waited for.
            (on(b"sim-loader-0", 0), [false, true, true]),
            (on(b"user-code", 0), [true, false, false]),
            // On a thread that code of the user has started.
            (on(b"its own", 0), [true; 3]),
        ] {
            let wreck = wreck(registers, &[]);
            let told = [During::Kernel, three, nine].map(|during| wreck.may_be_of(during));
            assert_eq!(told, guilty, "{wreck:?}");
            assert!(wreck.may_be_of(During::Run));
        }
    }

    #[test]
    fn what_belongs_to_nobody_is_named_by_its_thread() {
        let registers = Registers { thread: thread(b"lane-3"), ..Registers::default() };
        let crash = crash(registers, &[5], During::Other);
        assert_eq!(crash.inside, CrashedIn::Other { thread: "lane-3".to_owned() });
    }
}

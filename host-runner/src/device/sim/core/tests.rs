//! The core's state machine against an AICPU peer written by hand.

use std::sync::Mutex;
use std::sync::atomic::Ordering;

use protocol::{A2a3, A5, Chip, Condition, DispatchWord, RuntimeRecord};
use zerocopy::FromZeros;

use super::*;
use crate::device::sim::registers::Registers;

/// Keeps the faults that a core reports.
#[derive(Default)]
struct Faults(Mutex<Vec<CoreFault>>);

impl FaultReceiver for Faults {
    fn core_fault(&self, fault: CoreFault) {
        self.0.lock().unwrap().push(fault);
    }
}

/// One core with everything around it, and the AICPU's half of the protocol.
struct Bench<C: Chip> {
    runtime: Box<C::Runtime>,
    payloads: Box<[DispatchPayload; 2]>,
    registers: Registers,
    event: Event,
    faults: Faults,
    brief: BriefKernels,
    core: SimCore,
}

/// Index of the core under test: a vector core, second of its cluster.
const CORE: usize = 5;
const CLUSTERS: usize = 2;

impl<C: Chip> Bench<C> {
    fn new() -> Self {
        let bench = Self {
            runtime: Box::new(C::Runtime::new_zeroed()),
            payloads: Box::new(<[DispatchPayload; 2]>::new_zeroed()),
            registers: Registers::new(CORE + 1),
            event: Event::default(),
            faults: Faults::default(),
            brief: BriefKernels::default(),
            core: SimCore::new(CORE),
        };
        let assignment = Assignment {
            handshake: &raw const bench.runtime.workers()[CORE] as *const dyn HandshakeRecord,
            identity: identity(CORE, CLUSTERS).unwrap(),
        };
        // SAFETY: the record lives as long as the core, in the same bench.
        unsafe { bench.core.begin(assignment) };
        bench
    }

    fn handshake(&self) -> &C::Handshake {
        &self.runtime.workers()[CORE]
    }

    fn step(&self) -> Step {
        self.step_to(Reach::ThroughKernels)
    }

    fn step_to(&self, reach: Reach) -> Step {
        let registers = self.registers.core(CORE).unwrap();
        let (event, faults, brief) = (&self.event, &self.faults, &self.brief);
        let around = Surroundings { registers, event, faults, brief };
        // SAFETY: the bench is alone with its core.
        unsafe { self.core.step(around, reach) }
    }

    fn write(&self, word: DispatchWord) {
        let block = self.registers.block_address(CORE).unwrap();
        self.registers.write::<C>(block, C::DATA_MAIN_BASE, word.raw()).unwrap();
    }

    fn condition(&self) -> Condition {
        let block = self.registers.block_address(CORE).unwrap();
        let word = self.registers.read::<C>(block, C::COND).unwrap();
        ConditionWord::from_raw(word).decode().unwrap()
    }

    fn bring_up(&self) {
        let pair = (&raw const *self.payloads).expose_provenance() as u64;
        self.handshake().task().store(pair, Ordering::Relaxed);
        self.handshake().aicpu_ready().store(1, Ordering::Release);
        self.step();
        self.write(DispatchWord::IDLE);
        self.handshake().aicpu_regs_ready().store(1, Ordering::Release);
        self.step();
    }

    /// Dispatches `function(slot, marker)` under `id`.
    fn dispatch(&mut self, id: u32, function: u64, args: [u64; 2]) {
        let id = DispatchId::new(id).unwrap();
        let payload = &mut self.payloads[id.buffer()];
        payload.function_bin_addr = function;
        payload.args[..2].copy_from_slice(&args);
        self.write(DispatchWord::encode(Dispatch::Task(id)));
    }
}

/// Kernel: writes its second argument to where the first one points.
unsafe extern "C-unwind" fn store_marker(args: *const u64) {
    // SAFETY: the tests pass two arguments, the first the address of a live word.
    unsafe { *core::ptr::with_exposed_provenance_mut::<u64>(*args as usize) = *args.add(1) };
}

fn store_marker_address() -> u64 {
    let kernel: KernelEntry = store_marker;
    (kernel as *const ()).expose_provenance() as u64
}

fn handshake_goes_in_order<C: Chip>() {
    let bench = Bench::<C>::new();
    assert_eq!(bench.step(), Step::Waits);
    assert_eq!(bench.handshake().aicore_regs_ready().load(Ordering::Acquire), 0);

    bench.handshake().aicpu_ready().store(1, Ordering::Release);
    bench.step();
    assert_eq!(bench.handshake().aicore_regs_ready().load(Ordering::Acquire), 1);
    assert_eq!(bench.handshake().physical_core_id().load(Ordering::Relaxed), 5);
    assert_eq!(bench.handshake().aicore_done().load(Ordering::Acquire), 0);

    bench.write(DispatchWord::IDLE);
    bench.handshake().aicpu_regs_ready().store(1, Ordering::Release);
    bench.step();
    assert_eq!(bench.handshake().aicore_done().load(Ordering::Acquire), 6);
    assert_eq!(bench.handshake().core_type().load(Ordering::Relaxed), 1);
    assert_eq!(bench.condition(), Condition::Idle);
}

#[test]
fn handshake_goes_in_order_on_either_chip() {
    handshake_goes_in_order::<A2a3>();
    handshake_goes_in_order::<A5>();
}

#[test]
fn each_task_runs_once_with_the_payload_of_its_parity() {
    let mut bench = Bench::<A2a3>::new();
    bench.bring_up();
    let mut slot = 0_u64;
    let address = (&raw mut slot).expose_provenance() as u64;
    for (id, marker) in [(1, 11), (2, 22), (3, 33)] {
        bench.dispatch(id, store_marker_address(), [address, marker]);
        assert_eq!(bench.step(), Step::Waits);
        assert_eq!(bench.condition(), Condition::Fin(DispatchId::new(id).unwrap()));
        // SAFETY: the kernel has returned.
        assert_eq!(unsafe { (&raw const slot).read_volatile() }, marker);
    }
    // The same id again is not a new task.
    bench.payloads[1].args[1] = 99;
    bench.step();
    // SAFETY: as above.
    assert_eq!(unsafe { (&raw const slot).read_volatile() }, 33);
}

#[test]
fn a_thread_that_may_not_call_kernels_leaves_the_task_untouched() {
    let mut bench = Bench::<A2a3>::new();
    bench.bring_up();
    bench.dispatch(1, 0, [0, 0]);
    assert_eq!(bench.step_to(Reach::UpToKernel), Step::HasTask);
    assert_eq!(bench.condition(), Condition::Idle);
    bench.step();
    assert_eq!(bench.condition(), Condition::Fin(DispatchId::FIRST));
}

#[test]
fn exit_is_answered_once_and_nothing_runs_afterwards() {
    let mut bench = Bench::<A2a3>::new();
    bench.bring_up();
    bench.write(DispatchWord::EXIT);
    bench.step();
    assert_eq!(bench.condition(), Condition::Exited);
    bench.dispatch(1, store_marker_address(), [0, 0]);
    assert_eq!(bench.step(), Step::Waits);
    assert_eq!(bench.condition(), Condition::Exited);
}

#[test]
fn words_without_meaning_are_waited_out() {
    let bench = Bench::<A2a3>::new();
    bench.bring_up();
    bench.write(DispatchWord::from_raw(0x7FFF_FFFE));
    assert_eq!(bench.step(), Step::Waits);
    assert_eq!(bench.condition(), Condition::Idle);
}

#[test]
fn a_task_without_payload_buffers_is_a_fault_and_still_ends() {
    let bench = Bench::<A2a3>::new();
    bench.bring_up();
    bench.handshake().task().store(0, Ordering::Relaxed);
    bench.write(DispatchWord::encode(Dispatch::Task(DispatchId::FIRST)));
    bench.step();
    assert_eq!(bench.condition(), Condition::Fin(DispatchId::FIRST));
    assert_eq!(*bench.faults.0.lock().unwrap(), [CoreFault::NoPayload { core: CORE }]);
}

#[test]
fn a_kernel_that_throws_is_a_fault_and_still_ends() {
    let source = r#"
        #include <stdexcept>
        extern "C" void kernel_entry(long *) { throw std::out_of_range("tile 9"); }"#;
    let object = crate::device::sim::test_objects::cxx("thrower", source, &[]);
    // SAFETY: the source above defines it with this signature.
    let kernel = unsafe { object.symbol::<KernelEntry>("kernel_entry") };
    let function = (kernel as *const ()).expose_provenance() as u64;
    let mut bench = Bench::<A2a3>::new();
    bench.bring_up();
    bench.dispatch(1, function, [0, 0]);
    bench.step();
    assert_eq!(bench.condition(), Condition::Fin(DispatchId::FIRST));
    let text = "std::out_of_range: tile 9".to_owned();
    let fault = CoreFault::KernelThrew { core: CORE, function, text };
    assert_eq!(*bench.faults.0.lock().unwrap(), [fault]);
    assert_eq!(bench.core.busy(), None);
}

#[test]
fn cube_cores_come_first_and_vector_cores_in_pairs() {
    let place = |index| identity(index, 2).map(|core| (core.kind, core.cluster, core.sub_block));
    assert_eq!(place(1), Some((CoreType::Aic, 1, 0)));
    assert_eq!(place(2), Some((CoreType::Aiv, 0, 0)));
    assert_eq!(place(5), Some((CoreType::Aiv, 1, 1)));
    assert_eq!(place(6), None);
    assert_eq!(cores_of_cluster(1, 2), [1, 4, 5]);
}

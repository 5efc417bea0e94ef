//! The pool with many cores, driven through registers as an AICPU thread would.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use protocol::{A2a3, Condition, ConditionWord, DispatchId, DispatchPayload, DispatchWord};
use protocol::{HandshakeRecord, RuntimeRecord};
use zerocopy::FromZeros;

use super::*;

/// A pool that was brought up for a run, with payload buffers for every core.
struct Bench {
    pool: Arc<CorePool<A2a3>>,
    runtime: Box<<A2a3 as Chip>::Runtime>,
    payloads: Box<[DispatchPayload]>,
}

impl Bench {
    fn new(clusters: usize) -> Self {
        let pool = CorePool::<A2a3>::start(None).unwrap();
        let runtime = Box::new(<A2a3 as Chip>::Runtime::new_zeroed());
        let payload = DispatchPayload::new_zeroed();
        let payloads = vec![payload; 6 * clusters].into_boxed_slice();
        // SAFETY: `drop` waits for the end of the run before the record goes away.
        unsafe { pool.begin_run(&runtime, clusters) };
        for (core, pair) in payloads.chunks(2).enumerate() {
            let handshake = &runtime.workers()[core];
            let address = pair.as_ptr().expose_provenance() as u64;
            handshake.task().store(address, Ordering::Relaxed);
            handshake.aicpu_ready().store(1, Ordering::Release);
            pool.notify(core);
            handshake.aicpu_regs_ready().store(1, Ordering::Release);
            pool.notify(core);
            assert_eq!(handshake.aicore_done().load(Ordering::Acquire) as usize, core + 1);
        }
        Self { pool, runtime, payloads }
    }

    fn write(&self, core: usize, word: DispatchWord) {
        let registers = self.pool.registers();
        let block = registers.block_address(core).unwrap();
        let doorbell = registers.write::<A2a3>(block, A2a3::DATA_MAIN_BASE, word.raw()).unwrap();
        self.pool.ring(doorbell.unwrap());
    }

    fn dispatch(&mut self, core: usize, id: DispatchId, kernel: Kernel, argument: u64) {
        let payload = &mut self.payloads[2 * core + id.buffer()];
        payload.function_bin_addr = (kernel as *const ()).expose_provenance() as u64;
        payload.args[0] = argument;
        self.write(core, DispatchWord::encode(Dispatch::Task(id)));
    }

    fn has_ended(&self, core: usize, id: DispatchId) -> bool {
        let registers = self.pool.registers();
        let block = registers.block_address(core).unwrap();
        let word = registers.read::<A2a3>(block, A2a3::COND).unwrap();
        ConditionWord::from_raw(word).decode() == Ok(Condition::Fin(id))
    }

    #[track_caller]
    fn wait_for(&self, core: usize, id: DispatchId) {
        let start = Instant::now();
        while !self.has_ended(core, id) {
            assert!(start.elapsed() < Duration::from_secs(20), "core {core} never ends {id:?}");
            self.pool.relieve();
            self.pool.event.wait(Duration::from_millis(1));
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for core in 0..self.payloads.len() / 2 {
            self.write(core, DispatchWord::EXIT);
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        assert_eq!(self.pool.end_run(deadline), Ok(()));
        assert_eq!(self.runtime.workers()[0].aicore_done().load(Ordering::Relaxed), 1);
        self.pool.stop();
    }
}

type Kernel = unsafe extern "C-unwind" fn(*const u64);

fn counter_behind<'a>(args: *const u64) -> &'a AtomicU64 {
    // SAFETY: the tests pass the address of a counter that outlives the run.
    unsafe { &*core::ptr::with_exposed_provenance::<AtomicU64>(*args as usize) }
}

unsafe extern "C-unwind" fn count(args: *const u64) {
    counter_behind(args).fetch_add(1, Ordering::SeqCst);
}

/// Blocks until three kernels have arrived.
unsafe extern "C-unwind" fn meet_three(args: *const u64) {
    let arrived = counter_behind(args);
    arrived.fetch_add(1, Ordering::SeqCst);
    while arrived.load(Ordering::SeqCst) < 3 {
        std::thread::yield_now();
    }
}

unsafe extern "C-unwind" fn wait_for_release(args: *const u64) {
    while counter_behind(args).load(Ordering::SeqCst) == 0 {
        std::thread::sleep(Duration::from_micros(100));
    }
}

#[test]
fn no_doorbell_is_lost_over_many_tasks_on_all_cores() {
    let mut bench = Bench::new(24);
    let counter = AtomicU64::new(0);
    let address = (&raw const counter).expose_provenance() as u64;
    let mut id = DispatchId::FIRST;
    for _ in 0..50 {
        for core in 0..72 {
            bench.dispatch(core, id, count, address);
        }
        for core in 0..72 {
            bench.wait_for(core, id);
        }
        id = id.next();
    }
    assert_eq!(counter.load(Ordering::SeqCst), 50 * 72);
    assert_eq!(bench.pool.longest_kernel(), None);
}

#[test]
fn the_three_cores_of_a_cluster_can_wait_for_one_another() {
    let mut bench = Bench::new(1);
    let arrived = AtomicU64::new(0);
    let address = (&raw const arrived).expose_provenance() as u64;
    for core in 0..3 {
        bench.dispatch(core, DispatchId::FIRST, meet_three, address);
    }
    for core in 0..3 {
        bench.wait_for(core, DispatchId::FIRST);
    }
}

#[test]
fn kernels_that_block_on_queued_peers_get_more_threads() {
    let mut bench = Bench::new(8);
    let arrived: Vec<AtomicU64> = (0..8).map(|_| AtomicU64::new(0)).collect();
    let address = |cluster: usize| (&raw const arrived[cluster]).expose_provenance() as u64;
    // All cube cores first: they take every thread and block on vector cores that are queued.
    for cluster in 0..8 {
        bench.dispatch(cluster, DispatchId::FIRST, meet_three, address(cluster));
    }
    for vector in 8..24 {
        bench.dispatch(vector, DispatchId::FIRST, meet_three, address((vector - 8) / 2));
    }
    for core in 0..24 {
        bench.wait_for(core, DispatchId::FIRST);
    }
    assert!(bench.pool.thread_count() <= 72);
}

/// Blocks until a kernel has arrived for each core of the chip.
unsafe extern "C-unwind" fn meet_all(args: *const u64) {
    let arrived = counter_behind(args);
    arrived.fetch_add(1, Ordering::SeqCst);
    while arrived.load(Ordering::SeqCst) < 72 {
        std::thread::sleep(Duration::from_micros(100));
    }
}

#[test]
fn kernels_on_all_cores_can_wait_for_one_another() {
    let mut bench = Bench::new(24);
    let arrived = AtomicU64::new(0);
    let address = (&raw const arrived).expose_provenance() as u64;
    for core in 0..72 {
        bench.dispatch(core, DispatchId::FIRST, meet_all, address);
    }
    for core in 0..72 {
        bench.wait_for(core, DispatchId::FIRST);
    }
    assert!(bench.pool.thread_count() <= 72);
}

#[test]
fn the_end_of_a_run_names_a_kernel_that_does_not_return() {
    let mut bench = Bench::new(1);
    let release = AtomicU64::new(0);
    let address = (&raw const release).expose_provenance() as u64;
    bench.dispatch(2, DispatchId::FIRST, wait_for_release, address);
    let busy = bench.pool.end_run(Instant::now() + Duration::from_millis(50)).unwrap_err();
    let kernel: Kernel = wait_for_release;
    assert_eq!((busy.core, busy.function), (2, (kernel as *const ()).addr() as u64));
    release.store(1, Ordering::SeqCst);
    bench.wait_for(2, DispatchId::FIRST);
}

#[test]
fn a_core_that_is_told_to_exit_inside_a_kernel_hears_of_it_afterwards() {
    let mut bench = Bench::new(1);
    let release = AtomicU64::new(0);
    let address = (&raw const release).expose_provenance() as u64;
    let has_exited = |bench: &Bench, core| {
        bench.pool.registers().core(core).unwrap().condition() == ConditionWord::EXITED
    };
    bench.dispatch(2, DispatchId::FIRST, wait_for_release, address);
    bench.write(1, DispatchWord::EXIT);
    assert!(has_exited(&bench, 1) && bench.pool.unheard.is_empty(), "an idle one hears at once");
    bench.write(2, DispatchWord::EXIT);
    bench.pool.hear();
    assert!(!bench.pool.unheard.is_empty(), "not as long as it is in hand");
    assert!(!has_exited(&bench, 2));
    release.store(1, Ordering::SeqCst);
    let start = Instant::now();
    while !has_exited(&bench, 2) || !bench.pool.unheard.is_empty() {
        assert!(start.elapsed() < Duration::from_secs(20), "it never hears of it");
        bench.pool.hear();
        std::thread::yield_now();
    }
}

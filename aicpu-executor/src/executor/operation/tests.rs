//! Loads and unloadings outside a run, on a machine that calls no code: what a function of the image
//! does is what a test says, from inside it. A second thread is played by the first one, which comes
//! back in the middle of a function.

use core::sync::atomic::Ordering;
use std::boxed::Box;
use std::string::ToString;
use std::sync::{Arc, Mutex as StdMutex};
use std::vec::Vec;

use protocol::{
    A2a3, CallableId, Chip, CoreType, DeviceAddr, HandshakeRecord, RecordOperation, RuntimeBody,
    RuntimeRecord, SharedMemoryHeader, StatusCode,
};
use zerocopy::FromZeros;

use crate::Executor;
use crate::fault::Fault;
use crate::loader::Machine;
use crate::orch_so_table::tests::image_builder::{TEXT, TestImage};
use crate::orch_so_table::tests::recorder::{CALLABLE_SLOTS, Event, Recorder, bring_along, id};
use crate::platform::ExceptionText;

mod outcomes;

type Runtime = <A2a3 as Chip>::Runtime;
type Action = Box<dyn FnOnce() -> Result<i32, ExceptionText> + Send>;

const ENTRY: Event = Event::Entry(TEXT);
/// `DT_INIT`.
const FIRST_CONSTRUCTOR: Event = Event::Constructor(TEXT + 80);

/// A device without cores of its own: they answer before they are asked, and get nothing to do.
struct Device {
    executor: Arc<Executor<A2a3, Recorder<'static>>>,
    /// What the next call of a function does beyond returning.
    at: Arc<StdMutex<Option<(Event, Action)>>>,
    image: Vec<u8>,
    region: Vec<u64>,
}

fn other() -> CallableId {
    CallableId::new(6).unwrap()
}

impl Device {
    fn new() -> Self {
        let at: Arc<StdMutex<Option<(Event, Action)>>> = Arc::default();
        let script = Arc::clone(&at);
        let platform = Recorder::with_behaviour(move |event| {
            let mut script = script.lock().unwrap();
            let Some((_, action)) = script.take_if(|(wanted, _)| *wanted == event) else {
                return Ok(0);
            };
            drop(script);
            action()
        });
        let mut place = Arc::new_zeroed();
        let memory = Arc::get_mut(&mut place).unwrap();
        // SAFETY: the box is zeroed memory for one executor.
        unsafe { Executor::init_in_place(memory.as_mut_ptr(), platform) };
        // SAFETY: it has been initialised.
        let executor = unsafe { place.assume_init() };
        let bytes = Executor::<A2a3, Recorder<'static>>::region_bytes(4, 4).unwrap();
        let region = std::vec![0; bytes as usize / 8 + 8];
        Self { executor, at, image: TestImage::new(Machine::native()).bytes, region }
    }

    /// Has the next call of `event` do something.
    fn at(
        &self,
        event: Event,
        action: impl FnOnce() -> Result<i32, ExceptionText> + Send + 'static,
    ) {
        *self.at.lock().unwrap() = Some((event, Box::new(action)));
    }

    /// A record about a callable, with the image.
    fn record(
        &self,
        callable: CallableId,
        generation: u32,
        operation: RecordOperation,
    ) -> RuntimeBody {
        let mut body = RuntimeBody { sche_cpu_num: 1, ..RuntimeBody::default() };
        bring_along(&mut body, &self.image, b"entry");
        body.active_callable_id = callable.raw();
        body.extension.operation = operation.raw();
        body.extension.callable_generation = generation;
        body.extension = body.extension.sealed();
        body
    }

    #[expect(clippy::result_large_err, reason = "as `Executor::load`")]
    fn load(&self, callable: CallableId, generation: u32) -> Result<(), Fault> {
        self.executor.load(&self.record(callable, generation, RecordOperation::Load))
    }

    fn execute(&self, body: &RuntimeBody) -> i32 {
        let mut runtime = Box::new(Runtime::new_zeroed());
        *runtime.body_mut() = *body;
        self.executor.execute(&runtime)
    }

    /// A run of what is loaded.
    fn run(&self, callable: CallableId, generation: u32) -> i32 {
        self.run_record(callable, generation, |_| {})
    }

    fn run_record(
        &self,
        callable: CallableId,
        generation: u32,
        change: impl FnOnce(&mut RuntimeBody),
    ) -> i32 {
        let mut runtime = Box::new(Runtime::new_zeroed());
        let body = runtime.body_mut();
        *body = self.record(callable, generation, RecordOperation::Run);
        change(body);
        (body.dev_orch_so_addr, body.dev_orch_so_size) = (DeviceAddr::new(0), 0);
        body.worker_count = 3;
        (body.task_window_size, body.dep_pool_size, body.heap_size) = (4, 4, 1024);
        body.gm_sm_ptr = DeviceAddr::new(self.region());
        // Never touched: the run has no task.
        body.gm_heap_ptr = DeviceAddr::new(1 << 40);
        let types = [CoreType::Aic, CoreType::Aiv, CoreType::Aiv];
        for (core, core_type) in runtime.workers().iter().zip(types) {
            // ORDERING: Relaxed (all): this is the only thread.
            core.core_type().store(core_type.raw(), Ordering::Relaxed);
            core.aicore_regs_ready().store(1, Ordering::Relaxed);
            core.aicore_done().store(1, Ordering::Relaxed);
        }
        self.executor.execute(&runtime)
    }

    /// Where the shared region starts.
    fn region(&self) -> u64 {
        (self.region.as_ptr().expose_provenance() as u64).next_multiple_of(64)
    }

    /// How many ids the header of the region says there are, and the word that says it.
    fn callable_ids(&self) -> (usize, u64) {
        let header =
            core::ptr::with_exposed_provenance::<SharedMemoryHeader>(self.region() as usize);
        // SAFETY: the last run has written it there, and has ended.
        let header = unsafe { &*header };
        // ORDERING: Relaxed: this is the only thread.
        (header.callable_ids(), header.callable_ids.load(Ordering::Relaxed))
    }

    fn events(&self) -> Vec<Event> {
        self.executor.platform().take_events()
    }
}

/// Code and text of a load that failed.
#[track_caller]
fn assert_fault(ended: Result<(), Fault>, code: StatusCode, part: &str) {
    let fault = ended.expect_err("a fault");
    assert_eq!(fault.code, code.code(), "{fault:?}");
    assert!(fault.text.contains(part), "{part:?} is missing in: {}", fault.text);
}

#[test]
fn what_was_loaded_outside_a_run_is_run_by_id() {
    let device = Device::new();
    device.load(id(), 3).unwrap();
    assert!(device.events().contains(&FIRST_CONSTRUCTOR));
    for _ in 0..2 {
        assert_eq!(device.run(id(), 3), 0, "{:?}", device.executor.take_fault());
        assert_eq!(device.events(), [Event::Config(TEXT + 16), ENTRY]);
        let executor = &device.executor;
        assert_eq!((executor.take_fault(), executor.counts().loaded), (None, false));
    }
    assert_eq!(device.run(id(), 2), -StatusCode::StaleCallable.code());
    // The same by records, as a host in another process has it.
    assert_eq!(device.execute(&device.record(id(), 4, RecordOperation::Load)), 0);
    assert_eq!(device.run(id(), 4), 0);
    let unload = |generation| device.record(id(), generation, RecordOperation::Unload);
    assert_eq!(device.execute(&unload(3)), -StatusCode::StaleCallable.code());
    device.events();
    for expected in [Some(&Event::Released), None] {
        assert_eq!(device.execute(&unload(4)), 0);
        assert_eq!(device.events().last(), expected);
    }
    assert_eq!(device.run(id(), 4), -StatusCode::CallableNotLoaded.code());
}

#[test]
fn a_load_that_fails_leaves_an_empty_slot_and_the_next_one_works() {
    let mut device = Device::new();
    device.at(FIRST_CONSTRUCTOR, || Err(ExceptionText::try_from("no tiles").unwrap()));
    assert_fault(device.load(id(), 1), StatusCode::EntryException, "threw no tiles");
    assert_eq!(device.events().last(), Some(&Event::Released));
    assert_eq!(device.run(id(), 1), -StatusCode::CallableNotLoaded.code());
    assert_eq!(device.executor.unload(id(), None), crate::UnloadOutcome::NothingLoaded);

    let whole = core::mem::take(&mut device.image);
    assert_fault(device.load(id(), 1), StatusCode::LoadFailed, "no shared object");
    device.image = whole[..100].to_vec();
    let record = device.record(id(), 1, RecordOperation::Load);
    assert_eq!(device.execute(&record), -StatusCode::LoadFailed.code());
    device.image = whole;
    assert_eq!(device.execute(&device.record(id(), 2, RecordOperation::Load)), 0);
    assert_eq!(device.run(id(), 2), 0);
}

#[test]
fn a_load_during_a_run_of_another_callable_is_none_of_the_runs_business() {
    let device = Arc::new(Device::new());
    device.load(id(), 1).unwrap();
    let within = Arc::clone(&device);
    device.at(ENTRY, move || {
        within.load(other(), 1).unwrap();
        let truncated = &within.image[..100];
        let mut record = within.record(other(), 2, RecordOperation::Load);
        bring_along(&mut record, truncated, b"entry");
        let failed = StatusCode::LoadFailed;
        assert_fault(within.executor.load(&record), failed, "callable 6");
        assert_eq!(within.execute(&record), -failed.code());
        // The slot of the run is in use, and stays as it is.
        assert_fault(within.load(id(), 2), StatusCode::CallableBusy, "is in use");
        let record = within.record(id(), 2, RecordOperation::Load);
        assert_eq!(within.execute(&record), -StatusCode::CallableBusy.code());
        Ok(0)
    });
    assert_eq!(device.run(id(), 1), 0);
    assert!(device.at.lock().unwrap().is_none(), "the entry was called");
    assert_eq!(device.executor.take_fault(), None);
    assert_eq!([device.run(other(), 1), device.run(id(), 1)], [0, 0]);
}

#[test]
fn an_unloading_during_a_run_by_record_is_deferred_to_its_end() {
    let device = Arc::new(Device::new());
    device.load(id(), 1).unwrap();
    let within = Arc::clone(&device);
    device.at(ENTRY, move || {
        within.events();
        let record = within.record(id(), 1, RecordOperation::Unload);
        assert_eq!([within.execute(&record), within.execute(&record)], [0, 0]);
        assert_eq!(within.events(), []);
        Ok(0)
    });
    assert_eq!(device.run(id(), 1), 0);
    assert_eq!(device.events().last(), Some(&Event::Released));
    assert_eq!(device.run(id(), 1), -StatusCode::CallableNotLoaded.code());
}

#[test]
fn a_fault_of_a_run_stays_through_loads_that_fail_and_loads_work_despite_it() {
    let device = Arc::new(Device::new());
    device.load(id(), 1).unwrap();
    let within = Arc::clone(&device);
    device.at(ENTRY, move || {
        within.executor.report_fault(77, format_args!("of the run"));
        within.load(other(), 1).unwrap();
        let failed = StatusCode::CallableIdInvalid.code();
        let mut record = within.record(other(), 2, RecordOperation::Load);
        record.active_callable_id = -1;
        assert_eq!(within.executor.load(&record).unwrap_err().code, failed);
        Ok(0)
    });
    assert_eq!(device.run(id(), 1), -77);
    device.load(other(), 2).unwrap();
    let fault = device.executor.take_fault().expect("the fault of the run");
    assert_eq!((fault.code, &*fault.text), (77, "of the run"));
}

#[test]
fn one_slot_takes_one_load_at_a_time_and_slots_do_not_wait_for_each_other() {
    let device = Arc::new(Device::new());
    let within = Arc::clone(&device);
    device.at(FIRST_CONSTRUCTOR, move || {
        assert_fault(within.load(id(), 2), StatusCode::CallableBusy, "just being loaded");
        within.load(other(), 1).unwrap();
        assert_eq!(within.run(other(), 1), 0);
        assert_eq!(within.run(id(), 1), -StatusCode::CallableBusy.code());
        Ok(0)
    });
    device.load(id(), 1).unwrap();
    assert_eq!([device.run(id(), 1), device.run(other(), 1)], [0, 0]);
}

/// A constructor that a host gives up on, while a run of another callable has a stall of its own:
/// the run is not blamed for the constructor, and does not give up on it.
#[test]
fn a_constructor_that_hangs_in_a_load_is_named_and_given_up_on_and_no_run_hears_of_it() {
    let device = Arc::new(Device::new());
    device.load(other(), 1).unwrap();
    let within = Arc::clone(&device);
    device.at(FIRST_CONSTRUCTOR, move || {
        let executor = Arc::clone(&within.executor);
        within.at(ENTRY, move || {
            let named = |call: Option<crate::RunningCall>| call.map(|call| call.callable);
            assert_eq!(named(executor.running_call_of_run()), Some(other()));
            assert_eq!(named(executor.running_call_of(id())), Some(id()));
            executor.report_time_limit(5);
            Ok(0)
        });
        assert_eq!(within.run(other(), 1), -StatusCode::SchedulerTimeout.code());
        let text = within.executor.take_fault().expect("a fault").text;
        assert!(!text.contains("constructor"), "{text}");
        assert_eq!(within.executor.running_call_of_run(), None);

        let call = within.executor.running_call_of(id()).expect("a constructor is running");
        assert!(call.to_string().starts_with("constructor 1 of 3 of callable 5"), "{call}");
        assert!(within.executor.quarantine(id()));
        let closed = StatusCode::CallableQuarantined;
        assert_fault(within.load(id(), 2), closed, "has not returned");
        let record = within.record(id(), 1, RecordOperation::Unload);
        assert_eq!(within.execute(&record), -closed.code());
        assert_eq!(within.run(other(), 1), 0);
        Ok(0)
    });
    assert_fault(device.load(id(), 1), StatusCode::ConstructorTimeout, "took too long");
    // It has come back after all.
    device.load(id(), 2).unwrap();
    assert_eq!(device.run(id(), 2), 0);
}

#[test]
fn an_operation_that_is_not_known_is_a_fault_and_one_for_several_threads_too() {
    let device = Device::new();
    let mut record = device.record(id(), 1, RecordOperation::Load);
    record.extension.operation = 4;
    record.extension = record.extension.sealed();
    assert_eq!(device.execute(&record), -StatusCode::OperationUnknown.code());
    for count in [-1, 0, 2, 4] {
        for operation in [RecordOperation::Load, RecordOperation::Unload] {
            let record = RuntimeBody { sche_cpu_num: count, ..device.record(id(), 1, operation) };
            assert_eq!(device.execute(&record), -StatusCode::ThreadCountInvalid.code());
        }
    }
    assert_eq!(device.events(), []);
    assert_eq!(device.executor.take_fault(), None);
    // Without a seal the number means nothing: the reference's record is a run.
    record.extension.checksum ^= 1;
    assert_eq!(device.execute(&record), -StatusCode::RegionTooSmall.code());
}

/// Ids end where the platform's memory does, and at the protocol's 64 for a host that is not ours; the
/// header of the region says so to one that is.
#[test]
fn ids_beyond_64_are_for_hosts_that_know_of_them_and_as_many_as_there_is_memory_for() {
    let device = Device::new();
    let invalid = -StatusCode::CallableIdInvalid.code();
    let last = CallableId::new(CALLABLE_SLOTS as i64 - 1).unwrap();
    let beyond = CallableId::new(CALLABLE_SLOTS as i64).unwrap();
    assert_eq!(device.executor.callable_capacity(), CALLABLE_SLOTS);
    device.load(last, 1).unwrap();
    assert_eq!(device.run(last, 1), 0);
    assert_eq!(device.callable_ids().0, CALLABLE_SLOTS);

    assert_fault(device.load(beyond, 1), StatusCode::CallableIdInvalid, "use 0 to 127");
    assert_eq!(device.execute(&device.record(beyond, 1, RecordOperation::Load)), invalid);
    assert_eq!(device.execute(&device.record(beyond, 1, RecordOperation::Unload)), invalid);
    assert_eq!(device.run(beyond, 1), invalid);
    assert_eq!(device.callable_ids().0, CALLABLE_SLOTS, "also after a run with a fault");

    let reference = |body: &mut RuntimeBody| body.extension = Default::default();
    assert_eq!(device.run_record(last, 1, reference), invalid);
    let text = device.executor.take_fault().expect("a fault").text;
    assert!(text.contains("use 0 to 63"), "{text}");
    assert_eq!(device.callable_ids(), (64, 0));
    let mut record = device.record(CallableId::new(64).unwrap(), 1, RecordOperation::Load);
    reference(&mut record);
    assert_fault(device.executor.load(&record), StatusCode::CallableIdInvalid, "use 0 to 63");
    assert_eq!(device.executor.unload(last, Some(1)), crate::UnloadOutcome::Unloaded);
    assert_eq!(device.executor.unload(beyond, None), crate::UnloadOutcome::NothingLoaded);
}

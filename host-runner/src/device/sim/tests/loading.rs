//! Loading apart from runs: by id, refused, endless, and all of it while a run is in flight.

use std::sync::atomic::AtomicU32;

use aicpu_executor::ForeignFunction;
use aicpu_executor::loader::{Machine, PlanLimits, plan};

use super::placed::{Placed, int_at};
use super::*;
use crate::device::LostCause;
use crate::test_callables::{orchestration_with, store_kernel};

/// Two words that a test shares with code of the device; they stay for ever, as code that is lost
/// may look at them.
#[derive(Debug, Default)]
#[repr(C)]
struct Latch {
    entered: AtomicU32,
    released: AtomicU32,
}

impl Latch {
    fn new() -> &'static Self {
        Box::leak(Box::default())
    }

    fn address(&'static self) -> u64 {
        std::ptr::from_ref(self).expose_provenance() as u64
    }

    fn wait(&self) {
        while self.entered.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
    }

    fn release(&self) {
        self.released.store(1, Ordering::SeqCst);
    }
}

const WAIT: &str = "static timespec pause{0, 1000000}; \
    static void wait(uint64_t at) { auto *latch = reinterpret_cast<volatile uint32_t *>(at); \
    latch[0] = 1; while (!latch[1]) nanosleep(&pause, nullptr); }";

/// Stores its second scalar, plus `offset`, where its first says.
fn storing(offset: u32) -> crate::callable::Callable {
    callable(
        orchestration("store(0, args.scalars[0], args.scalars[1]);"),
        vec![store_kernel(0, offset)],
    )
}

/// The same once the latch at its third scalar is released.
fn held() -> crate::callable::Callable {
    let body = "wait(args.scalars[2]); store(0, args.scalars[0], args.scalars[1]);";
    callable(orchestration_with(WAIT, body), vec![store_kernel(0, 0)])
}

/// Waits for a latch in a constructor.
fn slow_constructor(latch: &'static Latch) -> crate::callable::Callable {
    let address = latch.address();
    let globals = format!("{WAIT}\nstatic int built = (wait({address}), 1);");
    callable(orchestration_with(&globals, "(void)built;"), vec![])
}

fn cell(device: &SimDevice<A2a3>) -> DeviceAddr {
    device.allocate(4, Holder::User).unwrap()
}

/// Does `meanwhile` while a run is held, and returns what came of the run with the number that it
/// was to store, 7.
fn during_a_run<T>(
    device: &SimDevice<A2a3>,
    meanwhile: impl FnOnce() -> T,
) -> (T, Result<RunOutcome, DeviceError>, i32) {
    let (placed, latch, output) = (Placed::new(device, 0, &held()), Latch::new(), cell(device));
    placed.load(device).unwrap();
    std::thread::scope(|scope| {
        let placed = &placed;
        let scalars = [output.raw(), 7, latch.address()];
        let run = scope.spawn(move || placed.run(device, &scalars, &launch()));
        latch.wait();
        let result = meanwhile();
        latch.release();
        let outcome = run.join().unwrap();
        (result, outcome, int_at(device, output))
    })
}

/// Names of the functions of a trace.
fn functions(image: &[u8], thrown: &crate::device::ThrowTrace) -> Vec<String> {
    let plan = plan(image, Machine::native(), &PlanLimits::default()).unwrap();
    let places = thrown.addresses.iter().filter_map(|&returns_to| {
        // The call is before the address that it returns to.
        plan.symbolise(returns_to - 1 - thrown.range.bias)
    });
    places.map(|place| String::from_utf8_lossy(place.function.name).into_owned()).collect()
}

fn load_fault(result: Result<(), DeviceError>) -> crate::device::LoadFault {
    match result {
        Err(DeviceError::Load(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_loaded_apart_is_run_by_its_id_alone() {
    let device = SimDevice::<A2a3>::open().unwrap();
    let empty = device.usage();
    let output = cell(&device);
    let last = device.facts().callable_ids as i64 - 1;
    assert_eq!(last, 1023, "beyond the ids of a reference host");
    let placed = [Placed::new(&device, 0, &storing(1)), Placed::new(&device, last, &storing(2))];
    let outcome = placed[1].run(&device, &[output.raw(), 40], &launch()).unwrap();
    let fault = outcome.fault.expect("nothing is loaded yet");
    assert_eq!(StatusCode::from_code(fault.code), Some(StatusCode::CallableNotLoaded));
    for each in &placed {
        each.load(&device).unwrap();
    }
    for (each, expected) in placed.iter().zip([41, 42]).cycle().take(4) {
        let outcome = each.run(&device, &[output.raw(), 40], &launch()).unwrap();
        assert_eq!((outcome.fault, outcome.loaded), (None, false));
        assert_eq!(int_at(&device, output), expected);
    }
    let [first, second] = placed;
    first.give_back(&device);
    assert_eq!(device.loaded_code().len(), 1);
    second.give_back(&device);
    device.free(output).unwrap();
    assert_eq!((device.usage(), device.loaded_code()), (empty, vec![]));
}

#[test]
fn a_load_that_fails_says_why_and_leaves_nothing() {
    let device = SimDevice::<A2a3>::open().unwrap();
    let check = |callable: &crate::callable::Callable, code: StatusCode, part: &str| {
        let placed = Placed::new(&device, 3, callable);
        let fault = load_fault(placed.load(&device));
        assert_eq!((fault.code, fault.status, fault.id), (Some(code), -code.code(), placed.id));
        assert!(fault.to_string().contains(part) && fault.text.contains(part), "{fault}");
        assert_eq!(device.loaded_code(), []);
        placed.give_back(&device);
    };
    let throwing = "static int fail() { throw std::runtime_error(\"no table\"); }\n\
                    static int built = fail();";
    let throwing = callable(orchestration_with(throwing, "(void)built;"), vec![]);
    check(&throwing, StatusCode::EntryException, "std::runtime_error: no table");
    check(&callable(b"no image".to_vec(), vec![]), StatusCode::LoadFailed, "ELF");
    let other = crate::callable::Callable::builder(orchestration("")).entry("other").build();
    check(&other.unwrap(), StatusCode::EntryMissing, "other");

    let mut placed = Placed::new(&device, 3, &storing(0));
    placed.image = DeviceAddr::new(8);
    let refused = placed.load(&device);
    assert!(matches!(refused, Err(DeviceError::Memory(MemoryError::OutOfRange { .. }))));
}

#[test]
fn memory_kernels_and_callables_come_and_go_during_a_run() {
    let device = SimDevice::<A2a3>::open().unwrap();
    let (during, outcome, output) = during_a_run(&device, || {
        let before = device.usage();
        let address = device.allocate(100, Holder::User).unwrap();
        device.copy_in(address, &[3; 100]).unwrap();
        let mut back = [0; 100];
        device.copy_out(&mut back, address).unwrap();
        device.free(address).unwrap();
        let other = Placed::new(&device, 1, &storing(9));
        other.load(&device).unwrap();
        let report = device.memory_report();
        let loaded = device.loaded_code().len();
        other.give_back(&device);
        assert_eq!((device.usage(), back), (before, [3; 100]));
        (report.of(Holder::Kernel).unwrap().allocations, loaded)
    });
    assert_eq!(during, (2, 2), "what the run uses, and what came meanwhile");
    assert_eq!((outcome.unwrap().fault, output), (None, 7));
}

#[test]
fn a_load_of_what_runs_is_refused_and_the_run_goes_on() {
    let device = SimDevice::<A2a3>::open().unwrap();
    let again = Placed::new(&device, 0, &storing(0));
    let (refused, outcome, output) = during_a_run(&device, || again.load(&device));
    assert_eq!(load_fault(refused).code, Some(StatusCode::CallableBusy));
    assert_eq!((outcome.unwrap().fault, output), (None, 7));
}

#[test]
fn a_second_run_waits_for_the_first() {
    let device = SimDevice::<A2a3>::open().unwrap();
    let (second, output) = (Placed::new(&device, 1, &storing(0)), cell(&device));
    second.load(&device).unwrap();
    let waiting = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let (thread, outcome, _) = during_a_run(&device, || {
            let thread = scope.spawn(|| {
                waiting.store(1, Ordering::SeqCst);
                second.run(&device, &[output.raw(), 8], &launch())
            });
            while waiting.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(30));
            assert_eq!(int_at(&device, output), 0);
            thread
        });
        assert_eq!(outcome.unwrap().fault, None);
        assert_eq!(thread.join().unwrap().unwrap().fault, None);
    });
    assert_eq!(int_at(&device, output), 8);
}

#[test]
fn a_constructor_that_hangs_costs_the_device_and_the_run_in_flight_ends_well() {
    let limit = Duration::from_millis(500);
    let device = SimDevice::<A2a3>::open().unwrap().with_unload_limit(limit);
    let latch = Latch::new();
    let endless = Placed::new(&device, 2, &slow_constructor(latch));
    let (lost, outcome, output) = during_a_run(&device, || endless.load(&device));
    let Err(DeviceError::Lost(DeviceLost { cause: LostCause::Function(call), .. })) = &lost else {
        panic!("{lost:?}")
    };
    assert_eq!(call.callable, endless.id, "not the call that has been running for longest");
    assert!(matches!(call.function, ForeignFunction::Constructor { .. }), "{call}");
    assert_eq!((outcome.unwrap().fault, output), (None, 7), "with its output");

    assert!(matches!(device.run(&launch(), &mut |_| {}), Err(DeviceError::Gone)));
    assert!(matches!(endless.load(&device), Err(DeviceError::Gone)));
    assert_eq!(device.allocate(1, Holder::User), Err(MemoryError::Gone));
    let blob = storing(0).blob().to_vec();
    let view = protocol::callable::parse::ChipCallableView::parse(&blob).unwrap();
    let (_, kernel) = view.children().next().unwrap();
    assert!(matches!(device.load_kernel(&kernel), Err(KernelError::Gone)));
    assert_eq!(device.free(endless.image), Ok(()), "what is there can be given back");
    latch.release();
}

#[test]
fn a_run_that_loses_the_device_ends_a_load_with_an_error() {
    let device = SimDevice::<A2a3>::open().unwrap();
    let (never, latch) = (Latch::new(), Latch::new());
    let (endless, output) = (Placed::new(&device, 0, &held()), cell(&device));
    endless.load(&device).unwrap();
    let slow = Placed::new(&device, 1, &slow_constructor(latch));
    let short = Duration::from_millis(100);
    let launch = Launch { timeout: short, grace: short, ..launch() };
    let (lost, loaded) = std::thread::scope(|scope| {
        let load = scope.spawn(|| slow.load(&device));
        latch.wait();
        let lost = endless.run(&device, &[output.raw(), 7, never.address()], &launch);
        latch.release();
        (lost, load.join().unwrap())
    });
    let Err(DeviceError::Lost(lost)) = lost else { panic!("{lost:?}") };
    assert_eq!(lost.cause, LostCause::Orchestration, "and not the constructor beside it");
    assert!(matches!(loaded, Err(DeviceError::Gone)), "{loaded:?}");
    never.release();
}

#[test]
fn the_trace_of_a_run_is_not_that_of_a_load_beside_it() {
    let device = SimDevice::<A2a3>::open().unwrap();
    let throws = "throw std::runtime_error(\"bad tile\");";
    let run = Placed::new(&device, 0, &callable(orchestration(throws), vec![]));
    run.load(&device).unwrap();
    let globals = "__attribute__((noinline)) int fail() { throw std::runtime_error(\"no table\"); }\n\
                   static int built = fail();";
    let load_callable = callable(orchestration_with(globals, "(void)built;"), vec![]);
    let load = Placed::new(&device, 1, &load_callable);
    let outcome = run.run(&device, &[], &launch()).unwrap();
    assert!(outcome.fault.unwrap().text.contains("bad tile"));
    let thrown = load_fault(load.load(&device)).thrown.unwrap();
    assert_eq!(thrown.range.id, load.id);
    let image = protocol::callable::parse::ChipCallableView::parse(load_callable.blob()).unwrap();
    let names = functions(image.orchestration(), &thrown);
    assert!(names.iter().any(|name| name.contains("fail")), "{names:?}");
    let code = device.loaded_code();
    let trace = device.throw_trace();
    assert!(trace.iter().any(|&address| code[0].contains(address)), "{trace:x?}");
    load_fault(load.load(&device));
    assert_eq!(device.throw_trace(), [0_u64; 0], "the run's was taken");
}

#[test]
fn bytes_that_were_written_over_an_image_are_what_is_loaded_next() {
    let device = SimDevice::<A2a3>::open().unwrap();
    let filler = |number: u32| {
        let globals = format!(
            "extern \"C\" {{ extern const unsigned char filler[60000]; \
             const unsigned char filler[60000] = {{ {number} }}; }}"
        );
        let body = "store(0, args.scalars[0], filler[args.scalars[1]]);";
        callable(orchestration_with(&globals, body), vec![store_kernel(0, 0)])
    };
    let (placed, output) = (Placed::new(&device, 0, &filler(3)), cell(&device));
    for number in [3, 4, 4, 4, 5] {
        let other = filler(number);
        let view = protocol::callable::parse::ChipCallableView::parse(other.blob()).unwrap();
        if number != 4 {
            device.copy_in(placed.image, view.orchestration()).unwrap();
        }
        for _ in 0..3 {
            placed.load(&device).unwrap();
            placed.run(&device, &[output.raw(), 0], &launch()).unwrap();
            let expected = if number == 4 { 3 } else { number };
            assert_eq!(u32::try_from(int_at(&device, output)), Ok(expected));
        }
    }
    placed.give_back(&device);
}

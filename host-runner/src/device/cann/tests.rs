//! The device on functions that keep a record: order, ownership, what is left after each failure.

use std::io::{Read as _, Seek as _};

use protocol::{A2a3, CallableId, SYMBOL_NAME_BYTES};

use super::fake::{self, FUNCTIONS};
use super::*;
use crate::device::{LostCause, RingConfig, Work};

/// A number that nobody returns.
const ANY: i32 = 4242;
/// "Not done in time".
const LATE: i32 = 107_020;
/// "The AICPU program failed".
const AICPU_FAILED: i32 = 507_018;

fn open(config: &CannConfig) -> Result<CannDevice<A2a3>, DeviceError> {
    CannDevice::<A2a3>::open_with(FUNCTIONS, config)
}

fn launch() -> Launch {
    let rings = RingConfig { task_window: 4, heap_bytes: 1024, dep_pool: 4 };
    Launch {
        clusters: 2,
        aicpu_threads: 3,
        work: Work::Orchestration(rings),
        stall_timeout: Duration::from_secs(1),
        timeout: Duration::from_secs(2),
        grace: Duration::from_secs(1),
    }
}

fn run(device: &CannDevice<A2a3>) -> Result<RunOutcome, DeviceError> {
    device.run(&launch(), &mut |body| body.active_callable_id = 0)
}

/// Allocations and streams that are left.
fn left() -> (usize, usize) {
    fake::with(|fake| (fake.memory.len(), fake.streams.len()))
}

fn load(device: &CannDevice<A2a3>, image: DeviceAddr) -> Result<(), DeviceError> {
    let name = [0; SYMBOL_NAME_BYTES];
    device.load_orchestration(&OrchestrationLoad {
        id: CallableId::new(1).unwrap(),
        generation: 1,
        address: image,
        bytes: 3,
        entry_symbol: &name,
        config_symbol: &name,
        digest_prefix: 0,
    })
}

#[test]
fn what_is_opened_first_is_closed_last() {
    let _turn = fake::in_turn();
    let (_folder, config) = fake::images("a2a3");
    drop(open(&config).unwrap());
    let calls = fake::with(|fake| fake.calls.clone());
    assert_eq!(calls[..2], ["aclInit", "aclrtSetDevice"]);
    let launches = calls.iter().filter(|call| **call == "rtAicpuKernelLaunchExWithArgs").count();
    assert_eq!(launches, 1, "the image is loaded once: {calls:?}");
    assert_eq!(calls[calls.len() - 2..], ["aclrtResetDevice", "aclFinalize"]);
    assert_eq!(left(), (0, 0));
}

#[test]
fn a_device_whose_log_nobody_can_read_says_so_once_and_what_to_do() {
    let _turn = fake::in_turn();
    // There is no unstripped twin in it.
    let (_folder, config) = fake::images("a2a3");
    let log = Arc::new(tempfile::tempfile().unwrap());
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(Arc::clone(&log)).finish();
    tracing::subscriber::with_default(subscriber, || {
        let device = open(&config).unwrap();
        run(&device).unwrap();
        run(&device).unwrap();
    });
    let mut text = String::new();
    (&*log).rewind().unwrap();
    (&*log).read_to_string(&mut text).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("AICPU logs")).collect();
    let [line] = lines.as_slice() else { panic!("{text}") };
    for part in ["WARN", "libaicpu.unstripped.so", "cargo xtask build-aicpu"] {
        assert!(line.contains(part), "{part:?} is not in: {line}");
    }
}

#[test]
fn a_second_device_is_refused_until_the_first_is_closed() {
    let _turn = fake::in_turn();
    let (_folder, config) = fake::images("a2a3");
    let first = open(&config).unwrap();
    let refused = open(&config).map(drop);
    assert!(matches!(refused, Err(DeviceError::Cann(CannError::InUse))), "{refused:?}");
    drop(first);
    drop(open(&config).unwrap());
}

#[test]
fn a_run_ends_as_the_executor_says_and_the_device_goes_on() {
    let _turn = fake::in_turn();
    let (_folder, config) = fake::images("a2a3");
    let device = open(&config).unwrap();
    let outcome = run(&device).unwrap();
    assert_eq!((outcome.fault, outcome.tasks), (None, 6), "six threads are launched");
    // The kernel fails too where the run does; the streams are made anew.
    fake::with(|fake| (fake.says, fake.ends) = (Some(9), AICPU_FAILED));
    let fault = run(&device).unwrap().fault.unwrap();
    assert_eq!((fault.code, fault.text.as_str()), (9, "as told"));
    assert_eq!(left().1, 2);
    fake::with(|fake| (fake.says, fake.ends) = (Some(0), 0));
    assert_eq!(run(&device).unwrap().fault, None);
}

#[test]
fn a_device_that_says_nothing_or_not_in_time_is_reset_and_another_one_opens() {
    let _turn = fake::in_turn();
    let (_folder, config) = fake::images("a2a3");
    for (says, ends) in [(None, 0), (None, 507_015), (None, LATE), (Some(0), LATE), (Some(0), ANY)]
    {
        fake::with(|fake| (fake.says, fake.ends) = (Some(0), 0));
        let device = open(&config).unwrap();
        let address = device.allocate(64, Holder::User).unwrap();
        fake::with(|fake| (fake.says, fake.ends) = (says, ends));
        let lost = run(&device);
        assert!(matches!(lost, Err(DeviceError::Lost(_))), "{says:?}, {ends}: {lost:?}");
        assert_eq!(left(), (0, 0));
        assert_eq!(device.copy_in(address, &[1]), Err(MemoryError::Gone));
        assert!(matches!(run(&device), Err(DeviceError::Gone)));
        // The lost one is still there.
        fake::with(|fake| (fake.says, fake.ends) = (Some(0), 0));
        let other = open(&config).unwrap();
        drop(device);
        assert!(run(&other).is_ok());
    }
}

/// What a run is lost to whose executor says this, and whose streams of the AICPU and of the cores end so.
fn loss(says: Option<i32>, ends: i32, cores_end: i32) -> DeviceLost {
    let (_folder, config) = fake::images("a2a3");
    let device = open(&config).unwrap();
    fake::with(|fake| {
        (fake.says, fake.ends, fake.cores_end) = (says, ends, cores_end);
        fake.calls.clear();
    });
    let Err(DeviceError::Lost(lost)) = run(&device) else { panic!("not lost") };
    let count = |name| fake::with(|fake| fake.calls.iter().filter(|call| **call == name).count());
    assert_eq!(["rtStreamDestroy", "aclrtResetDeviceForce"].map(count), [0, 1]);
    fake::with(|fake| (fake.says, fake.ends, fake.cores_end) = (Some(0), 0, 0));
    lost
}

#[test]
fn cores_that_fail_are_the_cause_of_what_the_executor_reports() {
    let _turn = fake::in_turn();
    for ends in [AICPU_FAILED, LATE] {
        let lost = loss(Some(100), ends, 507_015);
        let LostCause::Call(error) = &lost.cause else { panic!("{lost}") };
        assert_eq!((error.code, error.doing), (507_015, "a run on the cores"));
        assert_eq!(lost.fault.as_ref().map(|fault| fault.code), Some(100));
    }
}

#[test]
fn cores_that_do_not_leave_lose_the_device_whatever_the_executor_reports() {
    let _turn = fake::in_turn();
    let lost = loss(Some(100), AICPU_FAILED, LATE);
    let LostCause::NotEnded { what: "a run on the cores", .. } = &lost.cause else {
        panic!("{lost}")
    };
    assert!(lost.to_string().contains("as told"), "{lost}");
}

#[test]
fn what_the_executor_has_said_of_a_run_that_hangs_is_read_before_the_reset() {
    let _turn = fake::in_turn();
    let lost = loss(Some(9), LATE, LATE);
    assert!(matches!(lost.cause, LostCause::NotEnded { what: "a run on the AICPU", .. }));
    assert_eq!(lost.fault.map(|fault| fault.code), Some(9));
    assert_eq!(loss(None, LATE, LATE).fault, None);
}

#[test]
fn what_an_earlier_run_has_left_is_not_what_came_of_this_one() {
    let _turn = fake::in_turn();
    let (_folder, config) = fake::images("a2a3");
    for (says, ends) in [(None, 0), (None, AICPU_FAILED)] {
        let device = open(&config).unwrap();
        fake::with(|fake| (fake.says, fake.ends) = (Some(9), AICPU_FAILED));
        assert!(run(&device).unwrap().fault.is_some());
        fake::with(|fake| (fake.says, fake.ends) = (says, ends));
        let lost = run(&device);
        let Err(DeviceError::Lost(DeviceLost { fault: None, .. })) = lost else {
            panic!("{lost:?}")
        };
        fake::with(|fake| (fake.says, fake.ends) = (Some(0), 0));
    }
}

#[test]
fn a_load_is_acknowledged_refused_with_its_reason_or_loses_the_device() {
    let _turn = fake::in_turn();
    let (_folder, config) = fake::images("a2a3");
    let device = open(&config).unwrap();
    let image = device.upload_image(b"abc").unwrap();
    load(&device, image).unwrap();
    fake::with(|fake| (fake.says, fake.ends) = (Some(200), AICPU_FAILED));
    let refused = load(&device, image);
    let Err(DeviceError::Load(fault)) = refused else { panic!("{refused:?}") };
    assert_eq!((fault.status, fault.text.as_str()), (-200, "as told"));
    fake::with(|fake| (fake.says, fake.ends) = (Some(0), 0));
    let elsewhere = DeviceAddr::new(image.raw() + 1);
    assert!(matches!(load(&device, elsewhere), Err(DeviceError::Memory(_))));
    load(&device, image).unwrap();
    fake::with(|fake| fake.ends = LATE);
    assert!(matches!(load(&device, image), Err(DeviceError::Lost(_))));
}

#[test]
fn a_load_has_its_own_limit_and_not_that_of_the_run_before() {
    let _turn = fake::in_turn();
    let (_folder, config) = fake::images("a2a3");
    let device = open(&config).unwrap().with_unload_limit(Duration::from_secs(7));
    let image = device.upload_image(b"abc").unwrap();
    let limit = || fake::with(|fake| fake.op_limit_us);
    run(&device).unwrap();
    assert_eq!(limit(), 2_000_000);
    load(&device, image).unwrap();
    assert_eq!(limit(), 7_000_000);
    run(&device).unwrap();
    assert_eq!(limit(), 2_000_000);
}

/// Opens a device, uses it once, closes it; says what failed.
fn a_life(config: &CannConfig) -> Result<(), DeviceError> {
    let device = open(config)?;
    let address = device.allocate(100, Holder::User)?;
    device.copy_in(address, &[7; 100])?;
    let image = device.upload_image(b"abc")?;
    load(&device, image)?;
    run(&device)?;
    let mut back = [0; 100];
    device.copy_out(&mut back, address)?;
    assert_eq!(back, [7; 100]);
    device.free(address)?;
    Ok(())
}

#[test]
fn whichever_call_fails_nothing_is_left_and_the_next_life_is_whole() {
    let _turn = fake::in_turn();
    let (_folder, config) = fake::images("a2a3");
    a_life(&config).unwrap();
    let calls = fake::with(|fake| std::mem::take(&mut fake.calls));
    assert!(calls.len() > 30, "{calls:?}");
    for number in 1..=calls.len() {
        let name = calls[number - 1];
        fake::with(|fake| {
            fake.calls.clear();
            fake.fail = (number, ANY);
        });
        let end = a_life(&config);
        let is_optional = matches!(name, "halGetDeviceInfoByBuff" | "aclrtSetOpExecuteTimeOutV2");
        let is_closing =
            matches!(name, "aclrtResetDevice" | "aclFinalize" | "rtStreamDestroy" | "rtFree");
        assert!(end.is_err() || is_optional || is_closing, "{number}: {name}");
        if let Err(error) = end {
            assert!(error.to_string().contains(name), "{number}: {error}");
        }
        // What cannot be given back is gone with the device; here it is what one call was about.
        let (memory, streams) = left();
        let lost = usize::from(is_closing);
        assert!(memory <= lost && streams <= lost, "{number}: {name} left {memory}, {streams}");
        fake::with(|fake| *fake = fake::Fake { says: Some(0), ..fake::Fake::default() });
        a_life(&config).unwrap();
    }
}

#[test]
fn cores_that_are_not_there_have_no_registers() {
    let _turn = fake::in_turn();
    let api = Api::new(FUNCTIONS);
    let blocks = A2a3::register_blocks(&api, 0).unwrap();
    assert_eq!(blocks.len(), 75);
    assert_eq!(blocks[..3], [0x4000_0000, 0x4010_0000, 0x4020_0000]);
    assert_eq!((blocks[3], &blocks[6..9]), (0x4080_0000, &[0, 0, 0][..]));
    // CAST: 24 physical cores further.
    assert_eq!(blocks[74], 0x4000_0000 + 24 * (8 << 20) + (2 << 20));
}

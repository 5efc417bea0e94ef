//! What a kernel may leave behind: conditions that hold already, event records, and what is refused.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use protocol::{CompletionType, DeferredCompletionEntry, DeviceAddr, SdmaEventRecord, StatusCode};

use super::{Context, DEFER_WRONGLY, KERNELS, NOTHING, RAISE, scalar_arg};
use crate::testing::submission::Submission;
use crate::testing::{Machine, Outcome};

/// Scalars: address, expected value, completion type, error code, count. Leaves that.
pub(super) extern "C" fn defer_wrongly(args: *const u64) {
    let context = Context::of(args);
    context.defer(DeferredCompletionEntry {
        addr: DeviceAddr::new(scalar_arg(args, 0)),
        expected_value: scalar_arg(args, 1) as u32,
        completion_type: scalar_arg(args, 2) as i32,
        ..DeferredCompletionEntry::default()
    });
    if scalar_arg(args, 3) != 0 {
        context.fail(scalar_arg(args, 3) as i32);
    }
    if scalar_arg(args, 4) != 0 {
        // SAFETY: the ingress of this dispatch.
        unsafe { context.count().write(scalar_arg(args, 4) as u32) };
    }
}

/// One task of `defer_wrongly` on the only cube core.
fn defer_once(scalars: [u64; 5]) -> Outcome {
    Machine { clusters: 1, ..Machine::default() }.run(&KERNELS, |session| {
        Submission::aiv(NOTHING).submit(session);
        let task = Submission::aic(DEFER_WRONGLY);
        scalars.into_iter().fold(task, Submission::scalar).submit(session);
    })
}

const COUNTER: u64 = CompletionType::Counter as u64;
const SDMA: u64 = CompletionType::SdmaEventRecord as u64;

#[test]
fn what_a_kernel_leaves_is_refused_by_name_if_it_makes_no_sense() {
    let counter = AtomicU32::new(0);
    let good = counter.as_ptr().expose_provenance() as u64;
    let invalid = StatusCode::AsyncCompletionInvalid.code();
    let where_it_is = ["func_id 7", "task 1 of ring 0", "block 0", "core 0"];
    for (scalars, code, text) in [
        ([0, 1, COUNTER, 0, 0], invalid, "condition 0 (of 1"),
        ([0, 1, COUNTER, 0, 0], invalid, "its address is 0"),
        ([0, 1, SDMA, 0, 0], invalid, "its address is 0"),
        ([good + 2, 1, COUNTER, 0, 0], invalid, "no multiple of 4"),
        ([(good & !7) + 4, 1, SDMA, 0, 0], invalid, "no multiple of 8"),
        ([good, 1, 2, 0, 0], invalid, "type 2;"),
        ([good, 1, u32::MAX.into(), 0, 0], invalid, "type -1;"),
        // The kernel's own error comes first, whatever else there is.
        ([0, 1, 9, 102, 99], 102, "error 102 (ASYNC_WAIT_OVERFLOW), after 99 conditions"),
        ([good, 0, COUNTER, 4711, 0], 4711, "error 4711 (its own), after 1 conditions"),
        ([good, 0, COUNTER, 0, 65], StatusCode::AsyncRegistrationFailed.code(), "65 conditions"),
        ([0, 0, COUNTER, 0, u32::MAX.into()], StatusCode::AsyncRegistrationFailed.code(), "has 64"),
    ] {
        let fault = defer_once(scalars).fault.expect("a fault");
        assert_eq!(fault.code, code, "{scalars:x?}: {}", fault.text);
        for part in where_it_is.iter().chain(&[text]) {
            assert!(fault.text.contains(part), "{part:?} is missing in: {}", fault.text);
        }
    }
}

#[test]
fn a_condition_that_holds_already_completes_the_task_at_once() {
    let counter = AtomicU32::new(7);
    let address = counter.as_ptr().expose_provenance() as u64;
    for expected in [0, 6, 7] {
        assert_eq!(defer_once([address, expected, COUNTER, 0, 0]).code(), 0);
    }
}

/// An event record is given back to its queue, once; what runs on the core afterwards finds a clear
/// ingress. A condition that was left there would never hold.
#[test]
fn an_event_record_is_zeroed_and_its_channel_told_how_far_the_queue_was_read() {
    for (is_set_before, has_channel) in [(true, true), (false, true), (true, false), (false, false)]
    {
        let channel = AtomicU64::new(0);
        let mut record = SdmaEventRecord {
            flag: AtomicU32::new(u32::from(is_set_before)),
            sq_tail: 0x12,
            channel_info: if has_channel { channel.as_ptr().expose_provenance() as u64 } else { 0 },
        };
        let address = (&raw mut record).expose_provenance() as u64;
        let machine = Machine { clusters: 1, ..Machine::default() };
        let outcome = machine.run(&KERNELS, |session| {
            let waiting = Submission::aic(DEFER_WRONGLY).scalar(address).scalar(99).scalar(SDMA);
            let deferred = waiting.scalar(0).scalar(0).submit(session).task_id;
            // The flag is the record's first word.
            Submission::aiv(RAISE).scalar(address).scalar(0).scalar(1).submit(session);
            for _ in 0..4 {
                Submission::aic(NOTHING).after(deferred).submit(session);
            }
        });
        assert_eq!(outcome.code(), 0, "{:?}", outcome.fault);
        let told = if has_channel { 0x12_0000_0012 } else { 0 };
        assert_eq!(channel.load(Ordering::Relaxed), told);
        // SAFETY: nobody else uses the record any more.
        let record = unsafe { (&raw const record).read_volatile() };
        // With a flag that was set before, the task that raises it may come after.
        let flag = record.flag.into_inner();
        assert!(flag == 0 || is_set_before, "{flag}");
        assert_eq!((record.sq_tail, record.channel_info != 0), (0, has_channel));
    }
}

#[test]
fn an_event_record_with_an_impossible_channel_is_refused() {
    for is_set_before in [true, false] {
        let mut record = SdmaEventRecord {
            flag: AtomicU32::new(u32::from(is_set_before)),
            sq_tail: 1,
            channel_info: 0x1001,
        };
        let address = (&raw mut record).expose_provenance() as u64;
        let outcome = Machine::default().run(&KERNELS, |session| {
            let task = Submission::aic(DEFER_WRONGLY).scalar(address).scalar(0).scalar(SDMA);
            task.scalar(0).scalar(0).submit(session);
            Submission::aiv(RAISE).scalar(address).scalar(0).scalar(1).submit(session);
        });
        let fault = outcome.fault.expect("a fault");
        assert_eq!(fault.code, StatusCode::AsyncCompletionInvalid.code());
        assert!(fault.text.contains("a channel at 0x1001"), "{}", fault.text);
    }
}

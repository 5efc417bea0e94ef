//! Threads are attached once each, and a lost device gives nothing back.

use super::super::fake::{self, FUNCTIONS};
use super::*;

fn open() -> Arc<Session> {
    Session::open(Api::new(FUNCTIONS), 0, Claim::take().unwrap()).unwrap()
}

fn calls(name: &str) -> usize {
    fake::with(|fake| fake.calls.iter().filter(|call| **call == name).count())
}

#[test]
fn each_thread_is_attached_before_its_first_call_and_only_then() {
    let _turn = fake::in_turn();
    let session = open();
    for _ in 0..3 {
        session.api().unwrap();
    }
    assert_eq!(calls("aclrtSetDevice"), 1);
    let of_another_thread = std::thread::scope(|scope| {
        let attach = || {
            session.api().unwrap();
            session.api().unwrap();
            calls("aclrtSetDevice")
        };
        scope.spawn(attach).join().unwrap()
    });
    assert_eq!(of_another_thread, 1);
    drop(session);
    let other = open();
    other.api().unwrap();
    assert_eq!(calls("aclrtSetDevice"), 2, "once for each session");
}

#[test]
fn a_lost_device_is_reset_once_and_takes_its_streams_with_it() {
    let _turn = fake::in_turn();
    let session = open();
    let stream = Stream::create(&session, "testing").unwrap();
    session.lose();
    session.lose();
    assert!(Claim::take().is_ok(), "the next one may open");
    drop((stream, session));
    let names = ["aclrtResetDeviceForce", "aclrtResetDevice", "rtStreamDestroy", "aclFinalize"];
    assert_eq!(names.map(calls), [1, 0, 0, 1]);
}

#[test]
fn an_interface_that_somebody_else_has_initialised_stays_so_however_the_device_ends() {
    let _turn = fake::in_turn();
    fake::with(|fake| fake.is_of_others = true);
    drop(open());
    open().lose();
    fake::with(|fake| fake.fail = (fake.calls.len() + 2, 507_033));
    let refused = Session::open(Api::new(FUNCTIONS), 0, Claim::take().unwrap()).map(drop);
    assert!(matches!(refused, Err(CannError::Call(_))), "{refused:?}");
    assert_eq!([calls("aclInit"), calls("aclFinalize")], [3, 0]);
}

#[test]
fn a_call_that_does_not_return_holds_a_reset_up_for_a_while_only() {
    let _turn = fake::in_turn();
    let session = open();
    let (has_begun, wait_for_call) = std::sync::mpsc::channel();
    let (end, wait_for_end) = std::sync::mpsc::channel();
    let under_way = Arc::clone(&session);
    let hung = std::thread::spawn(move || {
        under_way.with_device(|_| {
            has_begun.send(()).unwrap();
            wait_for_end.recv().unwrap();
            Ok(())
        })
    });
    wait_for_call.recv().unwrap();
    let of_another_thread = Arc::clone(&session);
    let other = std::thread::spawn(move || {
        while !of_another_thread.is_lost() {
            std::thread::yield_now();
        }
        (of_another_thread.with_device(|_| Ok(())), Claim::take().map(drop))
    });
    let start = Instant::now();
    session.lose();
    let heard = other.join().unwrap();
    assert_eq!(heard, (Err(MemoryError::Gone), Ok(())), "who hears of it may open the next one");
    assert!((LAST_CALLS_LIMIT..LAST_CALLS_LIMIT * 10).contains(&start.elapsed()));
    assert_eq!(calls("aclrtResetDeviceForce"), 1);
    end.send(()).unwrap();
    assert_eq!(hung.join().unwrap(), Ok(()));
}

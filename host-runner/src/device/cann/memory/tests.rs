//! Bounds, what is whose, and what a refused call leaves.

use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::time::Duration;

use super::super::api::Api;
use super::super::fake::{self, FUNCTIONS};
use super::super::session::Claim;
use super::*;

fn memory() -> DeviceMemory {
    DeviceMemory::new(Session::open(Api::new(FUNCTIONS), 0, Claim::take().unwrap()).unwrap())
}

#[test]
fn bytes_are_zero_come_back_and_are_given_back() {
    let _turn = fake::in_turn();
    let memory = memory();
    let address = memory.allocate(100, Holder::User).unwrap();
    let mut back = [1; 100];
    memory.copy_out(&mut back, address).unwrap();
    assert_eq!((back, address.is_aligned_to(64)), ([0; 100], true));
    let middle = address.checked_add(90).unwrap();
    memory.copy_in(middle, &[7; 10]).unwrap();
    memory.copy_out(&mut back, address).unwrap();
    assert_eq!((back[89], back[90], back[99]), (0, 7, 7));
    assert_eq!(
        memory.copy_in(middle, &[7; 11]),
        Err(MemoryError::OutOfRange { address: middle, bytes: 11 })
    );
    assert_eq!(memory.holder_of(middle, 10), Ok(Holder::User));
    assert_eq!(memory.usage(), (1, 100));
    assert_eq!(memory.free(middle), Err(MemoryError::UnknownAddress { address: middle }));
    memory.free(address).unwrap();
    assert_eq!(memory.free(address), Err(MemoryError::UnknownAddress { address }));
    assert_eq!((memory.usage(), memory.report().bytes), ((0, 0), 0));
}

#[test]
fn memory_that_is_not_freed_stays_live_until_it_is() {
    let _turn = fake::in_turn();
    let memory = memory();
    let address = memory.allocate(8, Holder::User).unwrap();
    fake::with(|fake| fake.fail = (fake.calls.len() + 1, 507_899));
    let refused = memory.free(address);
    let Err(MemoryError::Call(error)) = &refused else { panic!("{refused:?}") };
    assert_eq!((error.call, error.code), ("rtFree", 507_899));
    memory.copy_in(address, &[1; 8]).unwrap();
    memory.free(address).unwrap();
    assert_eq!(fake::with(|fake| fake.memory.len()), 0);
}

#[test]
fn no_memory_left_is_told_from_other_failures() {
    let _turn = fake::in_turn();
    let memory = memory();
    fake::with(|fake| fake.fail = (fake.calls.len() + 1, 207_001));
    assert_eq!(memory.allocate(8, Holder::User), Err(MemoryError::Exhausted { bytes: 8 }));
    fake::with(|fake| fake.fail = (fake.calls.len() + 1, 107_000));
    let refused = memory.allocate(8, Holder::User);
    assert!(matches!(refused, Err(MemoryError::Call(_))), "{refused:?}");
    assert_eq!(
        memory.allocate(usize::MAX, Holder::User),
        Err(MemoryError::Exhausted { bytes: usize::MAX })
    );
}

#[test]
fn a_device_is_reset_when_no_copy_is_under_way_and_a_copy_that_fails_then_says_that_it_is_gone() {
    let _turn = fake::in_turn();
    let memory = memory();
    let address = memory.allocate(8, Holder::User).unwrap();
    let (has_begun, wait_for_copy) = mpsc::channel();
    let is_over = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        let copy = scope.spawn(|| {
            let (session, is_over) = (Arc::clone(&memory.session), Arc::clone(&is_over));
            let during = move || {
                has_begun.send(()).unwrap();
                while !session.is_lost() {
                    std::thread::yield_now();
                }
                // Longer than a reset that waits for nobody.
                std::thread::sleep(Duration::from_millis(50));
                is_over.store(true, Ordering::Relaxed);
                507_899
            };
            fake::with(|fake| fake.during_copy = Some(Box::new(during)));
            memory.copy_in(address, &[1; 8])
        });
        wait_for_copy.recv().unwrap();
        memory.session.lose();
        assert!(is_over.load(Ordering::Relaxed), "reset under a copy");
        assert_eq!(copy.join().unwrap(), Err(MemoryError::Gone));
    });
    assert_eq!(memory.copy_in(address, &[1; 8]), Err(MemoryError::Gone));
}

#[test]
fn arenas_of_the_same_sizes_are_kept_and_others_replace_them() {
    let _turn = fake::in_turn();
    let memory = memory();
    let mut arenas = DeviceArenas::new(Arc::clone(&memory.session), Arc::clone(memory.ledger()));
    let first = arenas.prepare(1000, 256).unwrap();
    assert_eq!(arenas.prepare(1000, 256), Ok(first));
    assert_eq!(memory.report().arena_reserved_bytes, 1000 + 4 * 256);
    let other = arenas.prepare(1000, 512).unwrap();
    assert_ne!(other.generation, first.generation);
    assert_eq!(fake::with(|fake| fake.memory.len()), 2);
}

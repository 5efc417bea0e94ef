//! Bounds, what is whose, and what is left after a loss.

use super::*;

#[test]
fn bytes_come_back_and_freeing_gives_everything_back() {
    let memory = DeviceMemory::default();
    let address = memory.allocate(100, Holder::User).unwrap();
    assert!(address.is_aligned_to(64));
    let mut back = [1; 100];
    memory.copy_out(&mut back, address).unwrap();
    assert_eq!(back, [0; 100]);
    memory.copy_in(address.checked_add(90).unwrap(), &[7; 10]).unwrap();
    memory.copy_out(&mut back, address).unwrap();
    assert_eq!((back[89], back[90], back[99]), (0, 7, 7));
    assert_eq!(memory.usage(), (1, 100));
    memory.free(address).unwrap();
    assert_eq!(memory.usage(), (0, 0));
}

#[test]
fn copies_that_leave_an_allocation_are_refused() {
    let memory = DeviceMemory::default();
    let address = memory.allocate(64, Holder::User).unwrap();
    let check = |memory: &DeviceMemory, at: u64, bytes: usize| {
        let expected = MemoryError::OutOfRange { address: DeviceAddr::new(at), bytes };
        assert_eq!(memory.copy_in(DeviceAddr::new(at), &vec![0; bytes]), Err(expected));
    };
    let past = MemoryError::OutOfRange { address, bytes: 65 };
    assert_eq!(memory.place(address, 64).map(|_| ()), Ok(()));
    assert_eq!(memory.place(address, 65).map(|_| ()), Err(past));
    check(&memory, address.raw(), 65);
    check(&memory, address.raw() + 64, 1);
    check(&memory, address.raw() - 1, 1);
    check(&memory, 0, 1);
    check(&memory, u64::MAX, 8);
}

#[test]
fn freeing_twice_or_in_the_middle_is_an_error_that_changes_nothing() {
    let memory = DeviceMemory::default();
    let address = memory.allocate(64, Holder::User).unwrap();
    let middle = address.checked_add(8).unwrap();
    assert_eq!(memory.free(middle), Err(MemoryError::UnknownAddress { address: middle }));
    assert_eq!(memory.usage().0, 1);
    memory.free(address).unwrap();
    assert_eq!(memory.free(address), Err(MemoryError::UnknownAddress { address }));
}

#[test]
fn sizes_that_no_machine_has_are_refused() {
    let memory = DeviceMemory::default();
    for bytes in [usize::MAX, isize::MAX as usize] {
        assert_eq!(memory.allocate(bytes, Holder::User), Err(MemoryError::Exhausted { bytes }));
    }
    let first = memory.allocate(0, Holder::User).unwrap();
    assert_ne!(first, memory.allocate(0, Holder::User).unwrap());
}

#[test]
fn closed_memory_can_be_given_back_and_lost_memory_cannot_be_reached() {
    let memory = DeviceMemory::default();
    let [first, second] = [1, 2].map(|_| memory.allocate(4, Holder::User).unwrap());
    memory.close();
    assert_eq!(memory.allocate(4, Holder::User), Err(MemoryError::Gone));
    memory.attach(SharedMemory::allocate(4).unwrap(), Side::Own);
    memory.copy_in(first, &[7; 4]).unwrap();
    let mut back = [0; 4];
    memory.copy_out(&mut back, first).unwrap();
    assert_eq!((back, memory.free(first), memory.usage()), ([7; 4], Ok(()), (1, 4)));
    memory.lose();
    memory.close();
    assert_eq!(memory.copy_in(second, &[0]), Err(MemoryError::Gone));
    assert_eq!(memory.copy_out(&mut back, second), Err(MemoryError::Gone));
    assert_eq!(memory.free(second), Err(MemoryError::Gone));
    assert_eq!((memory.usage(), memory.report()), ((0, 0), DeviceMemoryReport::default()));
}

#[test]
fn memory_that_was_looked_up_stays_until_its_user_is_done() {
    let memory = DeviceMemory::default();
    let address = memory.allocate(64, Holder::User).unwrap();
    let Found::Own { allocation, .. } = memory.place(address, 64).unwrap().0 else {
        panic!("nothing is attached")
    };
    memory.free(address).unwrap();
    assert_eq!((memory.usage(), Arc::strong_count(&allocation)), ((0, 0), 1));
    assert_eq!(memory.free(address), Err(MemoryError::UnknownAddress { address }));
}

#[test]
fn pinned_memory_is_copied_to_within_its_bounds_and_outlives_its_address() {
    let memory = DeviceMemory::default();
    let address = memory.allocate(8, Holder::User).unwrap();
    assert!(memory.pin(DeviceAddr::new(address.raw() + 1)).is_none());
    let pinned = memory.pin(address).unwrap();
    pinned.copy_in(6, &[3, 4]).unwrap();
    let mut back = [0; 8];
    memory.copy_out(&mut back, address).unwrap();
    assert_eq!(back, [0, 0, 0, 0, 0, 0, 3, 4]);
    let past = MemoryError::OutOfRange { address: address.checked_add(7).unwrap(), bytes: 2 };
    assert_eq!(pinned.copy_in(7, &[0; 2]).unwrap_err(), past);
    assert_eq!(pinned.copy_out(7, &mut [0; 2]).unwrap_err(), past);
    assert!(pinned.copy_in(usize::MAX, &[0; 2]).is_err());
    memory.free(address).unwrap();
    pinned.copy_out(6, &mut back[..2]).unwrap();
    assert_eq!(back[..2], [3, 4]);
    let other = memory.allocate(8, Holder::User).unwrap();
    memory.lose();
    assert!(memory.pin(other).is_none());
}

#[test]
fn an_epoch_ends_when_something_goes_and_not_when_something_comes() {
    let memory = DeviceMemory::default();
    let mut last = memory.epoch();
    let mut has_ended = || memory.epoch() != std::mem::replace(&mut last, memory.epoch());
    let address = memory.allocate(8, Holder::User).unwrap();
    let attached = SharedMemory::allocate(4).unwrap();
    let window = attached.address();
    memory.attach(attached, Side::Own);
    memory.copy_in(address, &[1]).unwrap();
    assert!(!has_ended());
    memory.free(address).unwrap();
    assert!(has_ended());
    memory.free(address).unwrap_err();
    assert!(!has_ended());
    memory.detach(window);
    assert!(has_ended());
    memory.close();
    assert!(!has_ended());
    memory.lose();
    assert!(has_ended());
}

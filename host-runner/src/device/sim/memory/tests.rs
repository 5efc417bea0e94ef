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

//! What runs get, against a model that knows nothing of chunks, and what the device is asked for.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::Index;
use protocol::A2a3;

use super::*;
use crate::device::failing::FailingDevice;
use crate::device::sim::SimDevice;

const MIB: usize = 1 << 20;

fn device() -> FailingDevice<SimDevice<A2a3>> {
    FailingDevice::new(SimDevice::open().unwrap())
}

fn memory() -> RunMemory {
    RunMemory::new(CallableId::new(1).unwrap())
}

/// Bytes and number of allocations of the callable on the device.
fn held(device: &FailingDevice<SimDevice<A2a3>>) -> (usize, usize) {
    let holder = Holder::Tensors(CallableId::new(1).unwrap());
    let usage = device.memory_report().of(holder);
    usage.map_or((0, 0), |usage| (usage.bytes, usage.allocations))
}

/// A step of a run.
#[derive(Debug, Clone)]
enum Step {
    Allocate(usize),
    /// Of what is live, this one.
    Free(Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = prop_oneof![0_usize..2000, 100_000_usize..600_000, 2 * MIB..3 * MIB];
    let step = prop_oneof![
        3 => bytes.prop_map(Step::Allocate),
        1 => any::<Index>().prop_map(Step::Free),
    ];
    vec(step, 0..20)
}

/// Carries out a run and returns the addresses that it got. Checks each against all that are live.
fn run(memory: &mut RunMemory, device: &dyn Device, steps: &[Step]) -> Vec<u64> {
    memory.begin_run();
    let mut live: Vec<(u64, usize)> = Vec::new();
    let mut got = Vec::new();
    for step in steps {
        match step {
            Step::Allocate(bytes) => {
                let start = memory.allocate(device, *bytes).unwrap().raw();
                assert_eq!(start % 512, 0);
                let end = start + *bytes.max(&1) as u64;
                for &(other, bytes) in &live {
                    let apart = end <= other || other + bytes.max(1) as u64 <= start;
                    assert!(apart, "{start:#x} is in what is at {other:#x}");
                }
                if *bytes > 0 {
                    device.copy_in(DeviceAddr::new(start), &[7]).unwrap();
                    device.copy_in(DeviceAddr::new(end - 1), &[7]).unwrap();
                }
                live.push((start, *bytes));
                got.push(start);
            }
            Step::Free(_) if live.is_empty() => {}
            Step::Free(index) => {
                let (start, _) = live.swap_remove(index.index(live.len()));
                memory.free(DeviceAddr::new(start)).unwrap();
            }
        }
    }
    assert_eq!(memory.live(), live.len());
    for &(start, bytes) in &live {
        assert!(memory.contains(DeviceAddr::new(start), bytes));
        assert!(!memory.contains(DeviceAddr::new(start), bytes + 1));
    }
    got
}

/// The device of all cases of a property.
type OneDevice = LazyLock<FailingDevice<SimDevice<A2a3>>>;

proptest! {
    #[test]
    fn the_same_calls_get_the_same_addresses_in_every_run(first in steps(), other in steps()) {
        static DEVICE: OneDevice = OneDevice::new(device);
        let (device, mut memory) = (&*DEVICE, memory());
        let addresses = run(&mut memory, device, &first);
        prop_assert_eq!(&run(&mut memory, device, &first), &addresses);
        run(&mut memory, device, &other);
        // Chunks may have gone to the device meanwhile, for larger ones.
        let again = run(&mut memory, device, &first);
        let before = held(device);
        prop_assert_eq!(&run(&mut memory, device, &first), &again);
        prop_assert_eq!(held(device), before);
        memory.give_back(device).unwrap();
        prop_assert_eq!(held(device), (0, 0));
        prop_assert!(memory.held_bytes() == 0);
    }

    #[test]
    fn runs_that_alternate_stop_asking_the_device(first in steps(), second in steps()) {
        static DEVICE: OneDevice = OneDevice::new(device);
        let (device, mut memory) = (&*DEVICE, memory());
        for _ in 0..4 {
            run(&mut memory, device, &first);
            run(&mut memory, device, &second);
        }
        let before = held(device);
        let addresses = (run(&mut memory, device, &first), run(&mut memory, device, &second));
        prop_assert_eq!(held(device), before);
        let again = (run(&mut memory, device, &first), run(&mut memory, device, &second));
        prop_assert_eq!(addresses, again);
        memory.give_back(device).unwrap();
    }
}

#[test]
fn chunks_double_from_a_mebibyte_and_what_is_larger_gets_its_own() {
    let (device, mut memory) = (device(), memory());
    let mut sizes = Vec::new();
    for _ in 0..10 {
        memory.allocate(&device, 700 << 10).unwrap();
        sizes.push(memory.held_bytes() >> 20);
    }
    // One of 1 MiB has room for one of them, one of 2 MiB for two, one of 4 MiB for five, one of 8.
    assert_eq!(sizes, [1, 3, 3, 7, 7, 7, 7, 7, 15, 15]);
    let large = memory.allocate(&device, 100 * MIB).unwrap();
    assert_eq!(memory.held_bytes() >> 20, 115);
    assert!(memory.contains(large, 100 * MIB));
    assert_eq!(held(&device).1, 5);
    memory.give_back(&device).unwrap();
}

#[test]
fn no_bytes_have_an_address_of_their_own() {
    let (device, mut memory) = (device(), memory());
    let [first, second, third] = [0, 0, 1].map(|bytes| memory.allocate(&device, bytes).unwrap());
    assert!(!first.is_null() && first != second && second != third);
    assert!(memory.contains(first, 0) && !memory.contains(first, 1));
    memory.free(first).unwrap();
    assert_eq!(memory.allocate(&device, 0).unwrap(), first);
    memory.give_back(&device).unwrap();
}

#[test]
fn what_is_freed_is_used_again_and_joined_with_what_is_free_beside_it() {
    let (device, mut memory) = (device(), memory());
    let parts = [0; 4].map(|_| memory.allocate(&device, 1000).unwrap());
    let next = memory.allocate(&device, 1).unwrap();
    for index in [0, 2, 1] {
        memory.free(parts[index]).unwrap();
    }
    // The first three are one range now; the fourth is still there.
    assert_eq!(memory.allocate(&device, 3 * 1024).unwrap(), parts[0]);
    assert_eq!(memory.allocate(&device, 1).unwrap().raw(), next.raw() + 512);
    memory.give_back(&device).unwrap();
}

#[test]
fn only_what_is_live_in_this_run_can_be_freed_and_once() {
    let (device, mut memory) = (device(), memory());
    let address = memory.allocate(&device, 1024).unwrap();
    let inside = DeviceAddr::new(address.raw() + 512);
    let unknown = |address| Err(MemoryError::UnknownAddress { address });
    assert_eq!(memory.free(inside), unknown(inside));
    memory.free(address).unwrap();
    assert_eq!(memory.free(address), unknown(address));
    let address = memory.allocate(&device, 1024).unwrap();
    memory.begin_run();
    assert_eq!(memory.free(address), unknown(address));
    assert!(!memory.contains(address, 1));
    let user = device.allocate(8, Holder::User).unwrap();
    assert_eq!(memory.free(user), unknown(user));
    assert!(!memory.contains(user, 8));
    memory.give_back(&device).unwrap();
    device.free(user).unwrap();
}

#[test]
fn ranges_end_where_what_was_asked_for_ends() {
    let (device, mut memory) = (device(), memory());
    let address = memory.allocate(&device, 100).unwrap();
    let at = |offset| DeviceAddr::new(address.raw() + offset);
    assert!(
        memory.contains(at(0), 100) && memory.contains(at(99), 1) && memory.contains(at(100), 0)
    );
    for (start, bytes) in [(at(0), 101), (at(1), 100), (at(100), 1), (at(1), usize::MAX)] {
        assert!(!memory.contains(start, bytes), "{start} {bytes}");
    }
    assert!(!memory.contains(DeviceAddr::new(u64::MAX), 1));
    assert!(!memory.contains(DeviceAddr::default(), 0));
    memory.give_back(&device).unwrap();
}

#[test]
fn a_device_without_room_for_a_chunk_is_asked_for_what_is_needed() {
    let (device, mut memory) = (device(), memory());
    device.fail_at(1);
    memory.allocate(&device, 600).unwrap();
    assert_eq!((device.calls(), memory.held_bytes()), (2, 1024));
    // The next request has a chunk of its own size, too, where there is no more.
    device.fail_at(1);
    memory.allocate(&device, 5000).unwrap();
    assert_eq!(memory.held_bytes(), 1024 + 5120);
    memory.give_back(&device).unwrap();
    assert_eq!(held(&device), (0, 0));
}

#[test]
fn a_request_that_the_device_cannot_meet_is_named_and_others_go_on() {
    let (device, mut memory) = (device(), memory());
    let first = memory.allocate(&device, 10).unwrap();
    for bytes in [usize::MAX, usize::MAX - 511, isize::MAX as usize, 1 << 60] {
        let refused = memory.allocate(&device, bytes);
        assert_eq!(refused, Err(MemoryError::Exhausted { bytes }));
    }
    device.fail_at(1);
    let refused = memory.allocate(&device, 3 * MIB);
    assert_eq!(refused, Err(MemoryError::Exhausted { bytes: 3 * MIB }));
    assert_eq!(memory.allocate(&device, 10).unwrap().raw(), first.raw() + 512);
    memory.give_back(&device).unwrap();
    assert_eq!(held(&device), (0, 0));
}

#[test]
fn tensors_that_grow_from_run_to_run_do_not_leave_their_old_memory_behind() {
    let (device, mut memory) = (device(), memory());
    for step in 0..50 {
        memory.begin_run();
        memory.allocate(&device, 100).unwrap();
        memory.allocate(&device, (10 + step) * MIB).unwrap();
    }
    // The first chunk, and that of the last run.
    assert_eq!((memory.held_bytes() >> 20, held(&device).1), (1 + 59, 2));
    memory.give_back(&device).unwrap();
}

#[test]
fn what_another_has_freed_is_told_and_the_rest_is_given_back() {
    let (device, mut memory) = (device(), memory());
    memory.allocate(&device, MIB).unwrap();
    memory.allocate(&device, MIB).unwrap();
    let taken = memory.chunks[0].allocation;
    device.free(taken).unwrap();
    let told = memory.give_back(&device);
    assert_eq!(told, Err(MemoryError::UnknownAddress { address: taken }));
    assert_eq!(held(&device), (0, 0));
    memory.give_back(&device).unwrap();
}

#[test]
fn what_a_run_had_is_known_to_be_there_until_its_chunk_is_given_back() {
    let device = device();
    let mut memory = memory();
    let first = memory.allocate(&device, MIB).unwrap();
    let second = memory.allocate(&device, 2 * MIB).unwrap();
    let chunks = memory.open_chunks();
    assert_eq!(chunks.len(), 2);
    let end = second.checked_add(2 * MIB as u64 - 1).unwrap();
    assert!(memory.is_in_chunk(first, MIB) && memory.is_in_chunk(end, 1));
    assert!(!memory.is_in_chunk(end, 2) && !memory.is_in_chunk(end, usize::MAX));
    // Freed, it still is memory of the run; before and behind a chunk is nobody's.
    memory.free(second).unwrap();
    assert!(memory.is_in_chunk(second, 1));
    assert!(!memory.is_in_chunk(DeviceAddr::new(first.raw() - 1), 1));
    // A run that uses less, and one that uses more behind it.
    memory.begin_run();
    assert_eq!((memory.open_chunks(), memory.is_in_chunk(first, 1)), (Vec::new(), false));
    memory.allocate(&device, 1).unwrap();
    assert!(memory.has_chunks(&chunks) && memory.open_chunks() == chunks[..1]);
    memory.allocate(&device, 2 * MIB).unwrap();
    memory.allocate(&device, 5 * MIB).unwrap();
    assert!(memory.has_chunks(&chunks));
    // One for which the second chunk is too small.
    memory.begin_run();
    memory.allocate(&device, 1).unwrap();
    memory.allocate(&device, 6 * MIB).unwrap();
    assert!(!memory.has_chunks(&chunks) && memory.has_chunks(&chunks[..1]));
    // A chunk that comes after it is another one, wherever it is.
    memory.give_back(&device).unwrap();
    memory.allocate(&device, MIB).unwrap();
    assert!(!memory.has_chunks(&chunks[..1]) && memory.has_chunks(&[]));
    memory.give_back(&device).unwrap();
}

/// A chunk of each run that is not opened yet when a run asks for more than there is.
fn one_open_of_two(device: &dyn Device, memory: &mut RunMemory) -> u64 {
    memory.begin_run();
    memory.allocate(device, MIB).unwrap();
    memory.held_bytes()
}

#[test]
fn a_request_that_cannot_be_met_costs_the_memory_of_other_requests_once_at_most() {
    let (device, mut memory) = (device(), memory());
    let run = |memory: &mut RunMemory| {
        memory.begin_run();
        let first = memory.allocate(&device, MIB).unwrap();
        for bytes in [1 << 50, 1 << 51] {
            let refused = memory.allocate(&device, bytes);
            assert_eq!(refused, Err(MemoryError::Exhausted { bytes }));
        }
        (first, memory.allocate(&device, 2 * MIB).unwrap())
    };
    let first = run(&mut memory);
    let chunks = memory.open_chunks();
    for _ in 0..5 {
        assert_eq!(run(&mut memory), first);
        assert!(memory.has_chunks(&chunks), "what the run used is still there");
    }
    assert_eq!(memory.held_bytes() >> 20, 3);
    memory.give_back(&device).unwrap();
    assert_eq!(held(&device), (0, 0));
}

#[test]
fn memory_that_a_run_does_not_use_is_given_up_where_the_device_has_no_other() {
    let (device, mut memory) = (device(), memory());
    memory.allocate(&device, MIB).unwrap();
    memory.allocate(&device, 2 * MIB).unwrap();
    assert_eq!(one_open_of_two(&device, &mut memory) >> 20, 3);
    // Refused, and then there is room.
    device.fail_at(1);
    memory.allocate(&device, 5 * MIB).unwrap();
    assert_eq!((device.calls(), memory.held_bytes() >> 20), (2, 1 + 5));
    memory.give_back(&device).unwrap();
}

#[test]
fn what_was_refused_is_asked_for_again_when_others_have_given_memory_back() {
    let (device, mut memory) = (device(), memory());
    let others = device.allocate(MIB, Holder::User).unwrap();
    memory.allocate(&device, MIB).unwrap();
    // With nothing to give back, so that it is known to be too much.
    device.fail_at(1);
    memory.allocate(&device, 5 * MIB).unwrap_err();
    memory.allocate(&device, 2 * MIB).unwrap();
    assert_eq!(one_open_of_two(&device, &mut memory) >> 20, 3);
    device.fail_at(1);
    memory.allocate(&device, 5 * MIB).unwrap_err();
    assert_eq!(memory.held_bytes() >> 20, 3, "as much is in use as before");
    // Less may be there.
    device.fail_at(1);
    memory.allocate(&device, 4 * MIB).unwrap();
    assert_eq!(memory.held_bytes() >> 20, 1 + 4);
    assert_eq!(one_open_of_two(&device, &mut memory) >> 20, 5);
    device.free(others).unwrap();
    device.fail_at(1);
    memory.allocate(&device, 6 * MIB).unwrap();
    assert_eq!(memory.held_bytes() >> 20, 1 + 6);
    memory.give_back(&device).unwrap();
}

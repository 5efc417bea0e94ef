//! What the memory report says of a device on which everything is in use.

use super::placed::Placed;
use super::*;
use crate::device::HolderUsage;
use crate::test_callables::store_kernel;

#[track_caller]
fn assert_holds<C: Chip>(device: &SimDevice<C>, holder: Holder, allocations: usize, bytes: usize) {
    let usage = device.memory_report().of(holder).unwrap();
    assert_eq!((usage.allocations, usage.bytes), (allocations, bytes), "{holder:?}");
    assert!(usage.high_water_bytes >= bytes, "{usage:?}");
}

#[test]
fn the_report_knows_who_holds_what_and_its_sums_are_right() {
    let device = SimDevice::<A2a3>::open().unwrap();
    let callable = callable(orchestration(""), vec![store_kernel(0, 0)]);
    let view = protocol::callable::parse::ChipCallableView::parse(callable.blob()).unwrap();
    let placed = Placed::new(&device, 4, &callable);
    placed.load(&device).unwrap();
    let user = device.allocate(1000, Holder::User).unwrap();
    let more = device.allocate(500, Holder::User).unwrap();
    device.free(more).unwrap();
    let tensor = device.allocate(24, Holder::Tensors(placed.id)).unwrap();
    let window = SharedMemory::allocate(300).unwrap();
    let peer = SharedMemory::allocate(700).unwrap();
    device.attach(Arc::clone(&window), Side::Own);
    device.attach(Arc::clone(&peer), Side::Peer);
    assert_eq!(placed.run(&device, &[], &launch()).unwrap().fault, None);

    assert_holds(&device, Holder::User, 1, 1000);
    assert_holds(&device, Holder::Tensors(placed.id), 1, 24);
    assert_holds(&device, Holder::Window, 1, 300);
    assert_holds(&device, Holder::Orchestration, 1, view.orchestration().len());
    let kernel = view.children().next().unwrap().1.blob.len();
    assert_holds(&device, Holder::Kernel, 1, kernel);
    assert_holds(&device, Holder::Code, 1, device.loaded_code()[0].span);
    let RingConfig { task_window, heap_bytes, dep_pool } = RINGS;
    let region = engine::SimExecutor::<A2a3>::region_bytes(task_window, dep_pool).unwrap();
    let arenas = usize::try_from(region + 4 * heap_bytes).unwrap();
    assert_holds(&device, Holder::RunArena, 2, arenas);

    let report = device.memory_report();
    assert_eq!(report.of(Holder::User).unwrap().high_water_bytes, 1500);
    assert_eq!(report.arena_reserved_bytes, arenas);
    assert_eq!(report.bytes, report.holders.iter().map(|usage| usage.bytes).sum::<usize>());
    let usage = device.usage();
    let outside = arenas + device.loaded_code()[0].span;
    assert_eq!(usage.bytes, report.bytes - outside, "usage leaves out what no call allocates");
    assert!(report.high_water_bytes >= report.bytes.max(arenas));

    device.free(tensor).unwrap();
    device.free(user).unwrap();
    device.detach(window.address());
    device.detach(peer.address());
    placed.give_back(&device);
    let held: Vec<HolderUsage> = device.memory_report().holders;
    let held: Vec<_> = held.into_iter().filter(|usage| usage.bytes > 0).collect();
    assert!(matches!(held[..], [HolderUsage { holder: Holder::RunArena, .. }]), "{held:?}");
    let most = device.memory_report().high_water_bytes;
    assert_eq!(most, report.high_water_bytes, "it never falls");
}

#[test]
fn other_ring_sizes_replace_the_arenas_in_the_books() {
    let device = SimDevice::<A2a3>::open().unwrap();
    let reserved = |heap_bytes| {
        let rings = RingConfig { heap_bytes, ..RINGS };
        device
            .run(
                &Launch { work: crate::device::Work::Orchestration(rings), ..launch() },
                &mut |_| {},
            )
            .unwrap();
        assert_eq!(device.memory_report().of(Holder::RunArena).unwrap().allocations, 2);
        device.memory_report().arena_reserved_bytes
    };
    let small = reserved(1 << 16);
    assert_eq!(reserved(1 << 20), small + 4 * ((1 << 20) - (1 << 16)));
    assert_eq!(reserved(1 << 16), small);
}

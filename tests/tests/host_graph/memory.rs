//! Memory of a run: what its orchestration may copy to, record and give back, and that the same calls
//! get the same addresses in every run.

use host_runner::device::{DeviceUsage, MemoryError};
use host_runner::host_orchestration::CallFault;
use host_runner::run::RunError;
use protocol::DeviceAddr;
use tests::script::{At, CELLS, Script, player_for};
use tests::workers::SENTINEL;

use super::setting::{BYTES, COUNT, HOST, Stand, after_diamond, config, diamond};

/// The calls of a right graph, and 64 bytes more, as memory 5.
fn with_memory() -> Script {
    diamond(3).malloc(5, BYTES)
}

const MEMORY: At = At::Memory(5, 0);

/// Why a script is refused, which must be for its last call.
#[track_caller]
fn fault(stand: &Stand, call: &str, script: &Script) -> CallFault {
    let refused = stand.refused_call(script);
    assert_eq!(refused.call, call, "{refused}");
    refused.cause
}

/// Ranges of the device that a run may not use, as address and bytes.
fn foreign_ranges() -> Vec<(At, u64)> {
    vec![
        (MEMORY, BYTES + 1),
        (At::Memory(5, 1), BYTES),
        (At::Memory(5, BYTES), 1),
        (At::Memory(5, u64::MAX), 1),
        (At::Memory(5, 1 << 40), 8),
        (MEMORY, i64::MAX as u64),
        (At::Word(8), 8),
        (At::Word(u64::MAX - 7), 8),
        // Memory of the host, though the simulator could write to it.
        (HOST, 8),
    ]
}

#[test]
fn a_copy_stays_inside_one_allocation_of_the_run() {
    let stand = Stand::open();
    for (to, bytes) in foreign_ranges() {
        let from = At::Tensor(0, 0);
        let cause = fault(&stand, "copy_to_device", &with_memory().copy(to, from, bytes));
        assert!(matches!(cause, CallFault::DeviceRange { .. }), "{to:?}, {bytes}: {cause}");
    }
}

#[test]
fn an_output_lies_inside_one_allocation_of_the_run() {
    let stand = Stand::open();
    for (from, bytes) in foreign_ranges() {
        let to = At::Tensor(CELLS, 8);
        let cause = fault(&stand, "record_tensor_pair", &with_memory().record(to, from, bytes));
        assert!(matches!(cause, CallFault::DeviceRange { .. }), "{from:?}, {bytes}: {cause}");
    }
}

#[test]
fn null_is_no_memory_and_no_range_goes_beyond_the_end_of_memory() {
    let stand = Stand::open();
    let null = At::Word(0);
    for (device, host) in [(null, HOST), (MEMORY, null), (null, null)] {
        let cause = fault(&stand, "copy_to_device", &with_memory().copy(device, host, 8));
        assert!(matches!(cause, CallFault::Null { bytes: 8, .. }), "{cause}");
        let cause = fault(&stand, "record_tensor_pair", &with_memory().record(host, device, 8));
        assert!(matches!(cause, CallFault::Null { bytes: 8, .. }), "{cause}");
    }
    for (host, bytes) in [(At::Word(u64::MAX - 3), 8), (HOST, u64::MAX), (HOST, 1 << 63)] {
        let cause = fault(&stand, "copy_to_device", &with_memory().copy(MEMORY, host, bytes));
        assert!(matches!(cause, CallFault::HostRange { .. }), "{cause}");
        let cause = fault(&stand, "record_tensor_pair", &with_memory().record(host, MEMORY, bytes));
        assert!(matches!(cause, CallFault::HostRange { .. }), "{cause}");
    }
    // Of no bytes, addresses mean nothing.
    let script = diamond(3).copy(null, null, 0).record(null, null, 0).record(HOST, At::Word(8), 0);
    let mut cells = [1; COUNT as usize];
    stand.play(&script, &mut cells).result.unwrap();
    assert_eq!(cells[..], after_diamond(&[1; COUNT as usize], 3));
}

#[test]
fn what_was_given_back_is_not_used_any_more() {
    let stand = Stand::open();
    let freed = || with_memory().free(MEMORY);
    let cause = fault(&stand, "copy_to_device", &freed().copy(MEMORY, HOST, 8));
    assert!(matches!(cause, CallFault::DeviceRange { .. }), "{cause}");
    let cause = fault(&stand, "record_tensor_pair", &freed().record(HOST, MEMORY, 8));
    assert!(matches!(cause, CallFault::DeviceRange { .. }), "{cause}");
    // Recorded first, given back then.
    let script = with_memory().record(HOST, MEMORY, 8).free(MEMORY);
    let cause = fault(&stand, "device_free", &script);
    assert!(matches!(cause, CallFault::OutputFreed { index: 1, bytes: 8, .. }), "{cause}");
    // As well where the next allocation gets the same memory, which would be copied back in its place.
    let cause = fault(&stand, "device_free", &script.malloc(6, BYTES).copy(MEMORY, HOST, 8));
    assert!(matches!(cause, CallFault::OutputFreed { index: 1, bytes: 8, .. }), "{cause}");
}

#[test]
fn only_what_was_allocated_is_given_back_and_only_once() {
    let stand = Stand::open();
    let wrong = [MEMORY, At::Memory(0, 8), At::Memory(5, 512), At::Word(64), HOST];
    for at in wrong {
        let cause = fault(&stand, "device_free", &with_memory().free(MEMORY).free(at));
        let is_unknown = matches!(cause, CallFault::Memory(MemoryError::UnknownAddress { .. }));
        assert!(is_unknown, "{at:?}: {cause}");
    }
    // Memory of the user is not the orchestration's to free.
    let users = stand.worker.allocate(64).unwrap();
    let cause = fault(&stand, "device_free", &with_memory().free(At::Word(users.raw())));
    assert_eq!(cause, CallFault::Memory(MemoryError::UnknownAddress { address: users }));
    stand.worker.free(users).unwrap();
    // Null is nobody's.
    let played = stand.play(&diamond(3).free(At::Word(0)), &mut [0; COUNT as usize]);
    played.result.unwrap();
}

#[test]
fn memory_of_the_user_may_be_copied_to_and_recorded() {
    let stand = Stand::open();
    let users = stand.worker.allocate(64).unwrap();
    let at = |offset| At::Word(users.raw() + offset);
    let script = Script::new().copy(at(8), At::Tensor(CELLS, 0), 16).record(HOST, at(0), 32);
    let mut cells = [7, 8, SENTINEL, SENTINEL];
    stand.worker.copy_in(users, &[0; 64]).unwrap();
    stand.play(&script, &mut cells).result.unwrap();
    assert_eq!(cells, [0, 7, 8, 0]);
    for bytes in [57, u64::from(u32::MAX)] {
        let call = stand.refused_call(&script.clone().record(HOST, at(8), bytes));
        assert!(matches!(call.cause, CallFault::DeviceRange { .. }), "{call}");
    }
    stand.worker.free(users).unwrap();
    let call = stand.refused_call(&script);
    assert!(matches!(call.cause, CallFault::DeviceRange { .. }), "{call}");
}

#[test]
fn memory_of_another_callable_is_nobody_elses() {
    let stand = Stand::open();
    // On the same device, and on another one.
    let elsewhere = Stand::open();
    let beside = stand.worker.register(&player_for(stand.worker.platform().chip())).unwrap();
    for (worker, handle) in [(&stand.worker, &beside), (&elsewhere.worker, &elsewhere.handle)] {
        let played = with_memory().run(worker, handle, &config(), &mut [0; COUNT as usize]);
        let foreign = played.answers.last().unwrap().unwrap();
        let foreign = DeviceAddr::new(foreign.cast_unsigned());
        let at = At::Word(foreign.raw());
        let cause = fault(&stand, "copy_to_device", &with_memory().copy(at, HOST, 8));
        assert_eq!(cause, CallFault::DeviceRange { address: foreign, bytes: 8 });
        let cause = fault(&stand, "record_tensor_pair", &with_memory().record(HOST, at, 8));
        assert_eq!(cause, CallFault::DeviceRange { address: foreign, bytes: 8 });
        let cause = fault(&stand, "device_free", &with_memory().free(at));
        assert_eq!(cause, CallFault::Memory(MemoryError::UnknownAddress { address: foreign }));
    }
}

#[test]
fn the_most_memory_of_a_callable_is_its_own_not_that_of_who_had_the_id_before() {
    let stand = Stand::open();
    let most = |stand: &Stand| {
        let id = Some(stand.handle.id().raw());
        let holders = stand.worker.memory_report().holders;
        let of = |holder| holders.iter().find(|it| it.callable_id == id && it.holder == holder);
        ["tensors", "graphs"].map(|holder| of(holder).map_or(0, |it| it.high_water_bytes))
    };
    let many = (0..500).fold(diamond(3), |script, _| {
        script.mix(At::Memory(0, 0), At::Memory(0, 0), At::Memory(1, 0), 0, 1).edge(1, 2)
    });
    let large = many.malloc(7, 40 << 20);
    stand.play(&large, &mut [0; COUNT as usize]).result.unwrap();
    let [tensors, graphs] = most(&stand);
    assert!(tensors > 40 << 20 && graphs > 20_000, "{tensors} {graphs}");
    stand.worker.unregister(&stand.handle).unwrap();
    let id = stand.handle.id();
    let stand = Stand::of(stand.worker);
    assert_eq!(stand.handle.id(), id);
    stand.assert_works(1);
    let [tensors, graphs] = most(&stand);
    assert!(tensors < 3 << 20 && graphs < 10_000, "{tensors} {graphs}");
}

#[test]
fn a_tensor_that_is_only_read_takes_no_output() {
    let stand = Stand::open();
    for (offset, bytes) in [(0, 8), (8, 1), (3, 24)] {
        let script = with_memory().record(At::Tensor(0, offset), MEMORY, bytes);
        let error = stand.refused(&script);
        assert!(matches!(error, RunError::ReadOnlyOutput { index: 0 }), "{error:?}");
    }
}

#[test]
fn host_memory_is_not_taken_for_device_memory() {
    let stand = Stand::open();
    for offset in [0, 8] {
        let host = At::Memory(5, offset);
        let cause = fault(&stand, "record_tensor_pair", &with_memory().record(host, MEMORY, 16));
        assert!(matches!(cause, CallFault::Overlap { .. }), "{cause}");
        let cause = fault(&stand, "copy_to_device", &with_memory().copy(MEMORY, host, 16));
        assert!(matches!(cause, CallFault::Overlap { .. }), "{cause}");
    }
}

#[test]
fn the_same_calls_get_the_same_addresses_in_every_run() {
    let stand = Stand::open();
    // Among them memory of a chunk of its own, and memory that is given back and taken again.
    let sizes = [1, 0, 511, 513, 100_000, 3 << 20, 1 << 20, 700_000, 64];
    let all = sizes
        .into_iter()
        .zip(0..)
        .fold(Script::new(), |script, (bytes, which)| script.malloc(which, bytes));
    let script = all.clone().free(At::Memory(4, 0)).malloc(10, 90_000).malloc(11, 5_000_000);
    let addresses = || {
        let played = stand.play(&script, &mut [0]);
        played.result.unwrap();
        played.answers
    };
    let first = addresses();
    assert!(first.iter().zip(0..).all(|(at, call)| call == 9 || at.unwrap() % 512 == 0));
    let usage = stand.worker.usage();
    for run in 0..20 {
        match run % 4 {
            1 => stand.refused_call(&all.clone().free(At::Word(8))).to_string(),
            2 => format!("{:?}", stand.assert_works(run)),
            3 => format!("{:?}", stand.refused(&all.clone().throws(0))),
            _ => String::new(),
        };
        assert_eq!(addresses(), first, "run {run}");
    }
    // Beside the graph that is right, it is as much as after the first run.
    stand.assert_works(1);
    let at_end = stand.worker.usage();
    assert!(at_end.bytes - usage.bytes < 64 << 10, "{usage:?} {at_end:?}");
}

#[test]
fn everything_that_runs_allocated_is_given_back_with_the_callable() {
    let stand = Stand::open();
    for megabytes in [1, 40, 3] {
        let script = diamond(3).malloc(7, megabytes << 20).malloc(8, megabytes << 20);
        stand.play(&script, &mut [0; COUNT as usize]).result.unwrap();
    }
    assert!(stand.worker.usage().bytes > 2 << 20);
    stand.worker.unregister(&stand.handle).unwrap();
    assert_eq!(stand.worker.usage(), DeviceUsage::default());
}

//! What a replay finds where runs have failed, memory has moved, or the device is another one.

use host_runner::arguments::{Arguments, TensorArgument, TensorData};
use host_runner::worker::{ReplayError, RunError, Worker};
use protocol::{DataType, DeviceAddr};
use tests::script::{At, Script, player_for};
use tests::spied_device::open_worker;
use tests::workers::{SENTINEL, open};

use super::setting::{Chain, config, register, uploaded};

const MIB: u64 = 1 << 20;

#[test]
fn a_replay_that_fails_leaves_outputs_and_the_next_one_works() {
    let worker = open();
    let handle = register(&worker, "chain");
    let mut chain = Chain::of(0..16);
    let recording = chain.assert_record(&worker, &handle, 1);
    for _ in 0..3 {
        let refused = Chain::of(0xBAD..0xBBD).replay(&recording);
        let is_fault = matches!(&refused, Err(ReplayError::Run(RunError::Fault(_))));
        assert!(is_fault, "{refused:?}");
        let report = chain.assert_replay(&recording, 1);
        assert!(!report.graph.unwrap().is_replay, "uploaded anew");
        assert_eq!(uploaded(&chain.assert_replay(&recording, 1)), (0, true));
    }
    let counters = worker.counters();
    assert_eq!((counters.runs, counters.failed_runs), (7, 3));
}

#[test]
fn runs_that_use_the_same_memory_between_replays_do_no_harm() {
    let worker = open();
    let handle = register(&worker, "chain");
    let mut chain = Chain::of(0..64);
    let recording = chain.assert_record(&worker, &handle, 1);
    for calls in 2..8 {
        // They use the chunk of the recorded run otherwise, and others behind it.
        let mut other = Chain { unused: calls * MIB / 2, ..Chain::of(calls..1000) };
        other.assert_run(&worker, &handle, calls);
        chain.assert_replay(&recording, 1);
    }
}

#[test]
fn where_the_memory_was_given_back_the_orchestration_is_called_again() {
    let (worker, opened) = open_worker();
    let handle = register(&worker, "chain");
    // Two chunks, of which the second is too small for the run that follows, and goes.
    let mut chain = Chain { unused: 2 * MIB, ..Chain::of(0..64) };
    let recording = chain.assert_record(&worker, &handle, 1);
    chain.assert_replay(&recording, 1);
    Chain { unused: 9 * MIB, ..Chain::of(0..64) }.assert_run(&worker, &handle, 2);
    // Something of the user's may be there now.
    let users: Vec<DeviceAddr> =
        (0..4).map(|_| worker.allocate(2 * MIB as usize).unwrap()).collect();
    for address in &users {
        worker.copy_in(*address, &[0xAB; 4096]).unwrap();
    }
    chain.assert_replay(&recording, 3);
    for _ in 0..3 {
        assert_eq!(uploaded(&chain.assert_replay(&recording, 3)), (0, true));
    }
    for address in &users {
        let mut found = [0; 4096];
        worker.copy_out(&mut found, *address).unwrap();
        assert_eq!(found, [0xAB; 4096]);
    }
    assert_eq!(opened.lock().unwrap().len(), 1);
    // With contents for which the orchestration builds another graph, it cannot be as recorded.
    Chain { unused: 29 * MIB, ..Chain::of(0..64) }.assert_run(&worker, &handle, 4);
    let refused = Chain { unused: 2 * MIB, ..Chain::of(1001..1065) }.replay(&recording);
    assert!(matches!(refused, Err(ReplayError::Graph(_))), "{refused:?}");
    chain.assert_replay(&recording, 6);
}

#[test]
fn on_a_fresh_device_the_orchestration_is_called_again_once() {
    let (worker, opened) = open_worker();
    let handle = register(&worker, "chain");
    let mut chain = Chain::of(0..64);
    let recording = chain.assert_record(&worker, &handle, 1);
    for calls in 2..5 {
        opened.lock().unwrap().last().unwrap().lose();
        let report = chain.assert_replay(&recording, calls);
        assert!(!report.graph.unwrap().is_replay);
        assert_eq!(uploaded(&chain.assert_replay(&recording, calls)), (0, true));
        assert_eq!(opened.lock().unwrap().len() as u64, calls);
    }
    // Contents for which the orchestration builds another graph are refused there.
    opened.lock().unwrap().last().unwrap().lose();
    let refused = Chain::of(1001..1065).replay(&recording);
    assert!(matches!(refused, Err(ReplayError::Graph(_))), "{refused:?}");
    chain.assert_replay(&recording, 6);
    assert_eq!(worker.counters().failed_runs, 1);
}

/// Runs something with the arguments of `adds_to_device`; what the output holds then.
fn with_state(
    state: DeviceAddr,
    input: &[u64; 4],
    run: impl FnOnce(&mut Arguments<'_>),
) -> [u64; 4] {
    let mut output = [SENTINEL; 4];
    let mut arguments = Arguments::new();
    let data = TensorData::Device(state);
    let tensor = TensorArgument { data, dtype: DataType::Uint64, shape: vec![4] };
    arguments.push_tensor(tensor).unwrap();
    arguments.push_input(input, &[4]).unwrap();
    arguments.push_output(&mut output, &[4]).unwrap();
    run(&mut arguments);
    drop(arguments);
    output
}

#[test]
fn device_tensors_are_where_they_were_and_what_they_hold_goes_on() {
    let (worker, opened) = open_worker();
    let handle = register(&worker, "adds_to_device");
    let (state, other) = (worker.allocate(32).unwrap(), worker.allocate(32).unwrap());
    let write = |cells: [u64; 4]| {
        worker.copy_in(state, &cells.map(u64::to_le_bytes).concat()).unwrap();
    };
    write([1, 2, 3, 4]);
    let mut recording = None;
    let output = with_state(state, &[10; 4], |arguments| {
        recording = Some(worker.record(&handle, arguments, &config()).unwrap().0);
    });
    assert_eq!(output, [14, 17, 20, 23]);
    let recording = recording.unwrap();
    let replay = |state, input: &[u64; 4]| {
        let mut ended = None;
        let output = with_state(state, input, |arguments| {
            ended = Some(recording.replay(arguments, &config()));
        });
        (ended.unwrap(), output)
    };
    let (ended, output) = replay(state, &[100; 4]);
    ended.unwrap();
    assert_eq!(output, [143, 152, 161, 170]);
    let (refused, output) = replay(other, &[100; 4]);
    match refused {
        Err(ReplayError::DeviceTensor { index: 0, recorded, given }) => {
            assert_eq!((recorded, given), (state, other));
        }
        refused => panic!("{refused:?}"),
    }
    assert_eq!(output, [SENTINEL; 4]);
    // Freed, it is nobody's.
    worker.free(state).unwrap();
    let (refused, output) = replay(state, &[1; 4]);
    let is_refused = matches!(refused, Err(ReplayError::Run(RunError::Memory(_))));
    assert!(is_refused && output == [SENTINEL; 4], "{refused:?}");
    // On another device, it is not there either.
    opened.lock().unwrap()[0].lose();
    let (refused, _) = replay(state, &[1; 4]);
    let is_refused = matches!(refused, Err(ReplayError::Run(RunError::Memory(_))));
    assert!(is_refused, "{refused:?}");
}

#[test]
fn memory_of_the_users_that_is_no_tensor_is_checked_before_each_replay() {
    let (worker, opened) = open_worker();
    let handle = register(&worker, "through_address");
    let at = worker.allocate(32).unwrap();
    let mut output = [SENTINEL; 4];
    let mut pass = |input: [u64; 4], run: &mut dyn FnMut(&mut Arguments<'_>)| {
        output = [SENTINEL; 4];
        let mut arguments = Arguments::new();
        arguments.push_input(&input, &[4]).unwrap();
        arguments.push_output(&mut output, &[4]).unwrap();
        arguments.push_scalar(at.raw()).unwrap();
        run(&mut arguments);
        drop(arguments);
        output
    };
    let mut recording = None;
    let output = pass([1; 4], &mut |arguments| {
        recording = Some(worker.record(&handle, arguments, &config()).unwrap().0);
    });
    assert_eq!(output, [1; 4]);
    let recording = recording.unwrap();
    let output = pass([2; 4], &mut |arguments| {
        recording.replay(arguments, &config()).unwrap();
    });
    assert_eq!(output, [2; 4]);
    worker.free(at).unwrap();
    let device = opened.lock().unwrap()[0].clone();
    device.take_traffic();
    let output = pass([3; 4], &mut |arguments| {
        let refused = recording.replay(arguments, &config());
        let is_refused = matches!(refused, Err(ReplayError::Run(RunError::Memory(_))));
        assert!(is_refused, "{refused:?}");
    });
    assert_eq!(output, [SENTINEL; 4]);
    assert_eq!(
        device.take_traffic(),
        (0, 0),
        "nothing was copied to where somebody else may be now"
    );
}

/// Calls of a graph that copies its cells to memory of the user at an address that only the contents of a
/// tensor say, and makes 4 x + 5 of them.
fn through_contents(at: DeviceAddr) -> Script {
    let (at, cells) = (At::Word(at.raw()), At::Tensor(1, 0));
    Script::new().copy(at, cells, 32).mix(at, at, at, 5, 4).record(cells, at, 32)
}

/// Memory of the user at the address of memory that was just freed, if the system gives it out again.
fn allocate_at(worker: &Worker, freed: DeviceAddr) -> DeviceAddr {
    let tries: Vec<_> = (0..64).map(|_| worker.allocate(32).unwrap()).collect();
    tries.iter().copied().find(|at| *at == freed).unwrap_or(tries[0])
}

#[test]
fn memory_of_the_user_that_no_argument_names_is_asked_for_anew_once_the_user_has_freed_any() {
    let worker = open();
    let handle = worker.register(&player_for(worker.platform().chip())).unwrap();
    let freed = worker.allocate(32).unwrap();
    let pass = |at, run: &mut dyn FnMut(&mut Arguments<'_>)| {
        let (words, mut cells) = (through_contents(at).encoded(), [1u64, 2, 3, 4]);
        let length = [u32::try_from(words.len()).unwrap()];
        let mut arguments = Arguments::new();
        arguments.push_input(&words, &length).unwrap();
        arguments.push_inout(&mut cells, &[4]).unwrap();
        arguments.push_scalar(0).unwrap();
        run(&mut arguments);
        drop(arguments);
        assert_eq!(cells, [9, 13, 17, 21]);
    };
    let mut recording = None;
    pass(freed, &mut |arguments| {
        recording = Some(worker.record(&handle, arguments, &config()).unwrap().0);
    });
    let recording = recording.unwrap();
    let replay = |at| {
        pass(at, &mut |arguments| {
            recording.replay(arguments, &config()).unwrap();
        });
    };
    replay(freed);
    worker.free(freed).unwrap();
    let (others, own) = (allocate_at(&worker, freed), worker.allocate(32).unwrap());
    worker.copy_in(others, &[0xAB; 32]).unwrap();
    // The contents say another address: the orchestration is called, and works there.
    replay(own);
    let mut found = [0; 32];
    worker.copy_out(&mut found, others).unwrap();
    assert_eq!(found, [0xAB; 32]);
    worker.copy_out(&mut found, own).unwrap();
    assert_eq!(found[..8], 9u64.to_le_bytes());
    // As long as nothing is freed, it is not called again.
    let before = worker.counters().graph_bytes_uploaded;
    replay(own);
    assert_eq!(worker.counters().graph_bytes_uploaded, before);
}

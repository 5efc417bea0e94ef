//! Tensors of host graphs: the entry gets the client's own memory, and what it records is all that is
//! written (spec hbg A4, callable §3.6).

use protocol::{ArgDirection, ContinuousTensor, DataType};
use tests::c_library::{Client, tensor};
use tests::script::{At, Script};

use crate::host_graphs::{PLAYER, mixed, play, script_record, with_player};

/// Tensors of a script by position, and memory of its run.
const FIRST: At = At::Tensor(1, 0);
const SECOND: At = At::Tensor(2, 0);
const MEMORY: At = At::Memory(0, 0);

fn cells(cells: &mut [u64]) -> ContinuousTensor {
    tensor(DataType::Uint64, cells)
}

fn run(client: &Client<'_>, script: &Script, tensors: &[ContinuousTensor]) -> i32 {
    client.run(PLAYER, &script_record(&mut script.encoded(), tensors))
}

/// The address of a tensor is the client's own: a script that knows it gets what is there.
#[test]
fn the_entry_gets_the_clients_addresses_and_writes_what_it_records_and_nothing_else() {
    with_player(|client| {
        let (mut input, mut output) = ([1, 2, 3, 4], [7, 7, 7, 7]);
        let at = At::Word(output.as_mut_ptr().expose_provenance() as u64);
        // Two cells of the output, by the address that the client knows it has.
        let script = Script::new()
            .malloc(0, 32)
            .copy(MEMORY, FIRST, 32)
            .mix(MEMORY, MEMORY, MEMORY, 1, 4)
            .record(at, At::Memory(0, 16), 16);
        assert_eq!(run(client, &script, &[cells(&mut input), cells(&mut output)]), 0);
        assert_eq!((input, output), ([1, 2, 3, 4], [13, 17, 7, 7]), "{}", client.last_error());
    });
}

#[test]
fn outputs_of_one_place_are_written_in_the_order_in_which_they_were_recorded() {
    with_player(|client| {
        let second = At::Memory(1, 0);
        let both = Script::new()
            .malloc(0, 32)
            .malloc(1, 32)
            .copy(MEMORY, FIRST, 32)
            .mix(MEMORY, MEMORY, second, 0, 4);
        for (last, expected) in [(MEMORY, [1, 2, 3, 4]), (second, [4, 8, 12, 16])] {
            let other = if last == MEMORY { second } else { MEMORY };
            let script = both.clone().record(FIRST, other, 32).record(FIRST, last, 32);
            let mut own = [1, 2, 3, 4];
            assert_eq!((play(client, &script, &mut own), own), (0, expected));
        }
    });
}

/// As with the reference, an input that is the output too does not get in its way, wherever it comes.
#[test]
fn a_client_may_compute_in_place() {
    with_player(|client| {
        for (input, output) in [(FIRST, SECOND), (SECOND, FIRST)] {
            let mut own = [1, 2, 3, 4, 5];
            let tensors = [cells(&mut own[..4]), cells(&mut own)];
            let script = Script::new()
                .malloc(0, 32)
                .copy(MEMORY, input, 32)
                .record(output, MEMORY, 32)
                .mix(MEMORY, MEMORY, MEMORY, 5, 4);
            assert_eq!(run(client, &script, &tensors), 0, "{}", client.last_error());
            assert_eq!(own, [9, 13, 17, 21, 5]);
            // Waited for, it is the same.
            let mut words = script.encoded();
            let record = script_record(&mut words, &tensors);
            assert_eq!(client.submit(PLAYER, &record).wait(u64::MAX), 0);
            assert_eq!(own, [41, 57, 73, 89, 5]);
            // A failed run leaves it.
            assert_eq!(run(client, &script.returns(2), &tensors), 2);
            assert_eq!(own, [41, 57, 73, 89, 5]);
        }
    });
}

#[test]
fn device_tensors_are_passed_on_as_they_are_and_have_to_be_the_clients() {
    with_player(|client| {
        let (memory, mut own) = (client.allocate(32), [1u64, 2, 3, 4]);
        assert_eq!(client.copy("copy_to_device_ctx", memory, own.as_ptr().cast(), 32), 0);
        let device = ContinuousTensor {
            data: memory.expose_provenance() as u64,
            child_memory: 1,
            ..cells(&mut own)
        };
        // In place on the device; and out of it, as an output of the run.
        let script = Script::new().mix(FIRST, FIRST, FIRST, 5, 4).record(SECOND, FIRST, 32);
        let mut output = [0; 4];
        assert_eq!(
            run(client, &script, &[device, cells(&mut output)]),
            0,
            "{}",
            client.last_error()
        );
        assert_eq!(output, [9, 13, 17, 21]);
        assert_eq!(client.copy("copy_from_device_ctx", own.as_mut_ptr().cast(), memory, 32), 0);
        assert_eq!(own, output);
        // It is no host memory that an output could go to.
        let onto = Script::new().malloc(0, 32).record(FIRST, FIRST, 32);
        assert_eq!(run(client, &onto, &[device]), -1);
        for (data, count) in [(device.data + 8, 4), (device.data, 5), (64, 1), (0, 4)] {
            let wrong = ContinuousTensor { data, shapes: [count, 0, 0, 0, 0], ..device };
            assert_eq!(run(client, &script, &[wrong, cells(&mut output)]), -1, "{data:#x} {count}");
        }
        client.free(memory);
        assert_eq!(run(client, &script, &[device, cells(&mut output)]), -1);
        assert_eq!(output, [9, 13, 17, 21]);
    });
}

#[test]
fn memory_that_cannot_be_written_is_an_input_and_an_output_in_it_is_refused() {
    static CONSTANT: [u64; 4] = [1, 2, 3, 4];
    with_player(|client| {
        let mut output = [0; 4];
        let constant = ContinuousTensor {
            data: CONSTANT.as_ptr().expose_provenance() as u64,
            ..cells(&mut output)
        };
        let read =
            Script::new().malloc(0, 32).copy(MEMORY, FIRST, 32).mix(MEMORY, MEMORY, MEMORY, 5, 4);
        let script = read.clone().record(SECOND, MEMORY, 32);
        assert_eq!(run(client, &script, &[constant, cells(&mut output)]), 0);
        assert_eq!(output, [9, 13, 17, 21], "{}", client.last_error());
        assert_eq!(run(client, &read.record(FIRST, MEMORY, 8), &[constant]), -1);
        let text = client.last_error();
        assert!(text.contains("tensor 1") && text.contains("written"), "{text}");
        // What cannot even be read is refused before the entry is called.
        let nowhere = ContinuousTensor { data: 0x10, ..constant };
        assert_eq!(run(client, &script, &[nowhere, cells(&mut output)]), -1);
        assert!(client.last_error().contains("tensor 1"), "{}", client.last_error());
    });
}

/// The signature of a callable: the number of arguments, and their directions.
fn declare(blob: &[u8], signature: &[ArgDirection]) -> Vec<u8> {
    let mut blob = blob.to_vec();
    for (index, direction) in signature.iter().enumerate() {
        blob[4 * index..4 * index + 4].copy_from_slice(&direction.raw().to_le_bytes());
    }
    blob[256..260].copy_from_slice(&(signature.len() as u32).to_le_bytes());
    blob
}

#[test]
fn what_is_declared_counts_where_the_client_says_so() {
    use ArgDirection::{In, Out};

    with_player(|client| {
        let chip = if client.variant().starts_with("a5") {
            protocol::ChipName::A5
        } else {
            protocol::ChipName::A2a3
        };
        let player = tests::script::player_for(chip);
        assert_eq!(client.prepare(4, &declare(player.blob(), &[In, In, Out])), 0);
        let run = |script: &Script, tensors: &[ContinuousTensor]| {
            client.run(4, &script_record(&mut script.encoded(), tensors))
        };
        let mut own = [1, 2, 3, 4];
        let tensors = [cells(&mut own)];
        // All may be outputs at first.
        assert_eq!((run(&mixed(), &tensors), own), (0, [9, 13, 17, 21]));
        assert_eq!(client.set_copy_rule(1), 0);
        assert_eq!((run(&mixed(), &tensors), own), (-1, [9, 13, 17, 21]));
        assert!(client.last_error().contains("declare"), "{}", client.last_error());
        // An output that is not recorded as a whole keeps the rest.
        let mut output = [7; 4];
        let part = Script::new()
            .malloc(0, 32)
            .copy(MEMORY, FIRST, 32)
            .mix(MEMORY, MEMORY, MEMORY, 0, 4)
            .record(At::Tensor(2, 8), MEMORY, 8);
        assert_eq!(run(&part, &[tensors[0], cells(&mut output)]), 0, "{}", client.last_error());
        assert_eq!(output, [7, 36, 7, 7]);
    });
}

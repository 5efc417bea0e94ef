//! Which memory is lent, copied and written back, and which arguments are refused.

use protocol::ContinuousTensor;

use super::*;

const F32: u8 = DataType::Float32 as u8;

fn tensor(data: *const f32, count: u32) -> ContinuousTensor {
    let data = data.expose_provenance() as u64;
    ContinuousTensor {
        data,
        shapes: [count, 0, 0, 0, 0],
        ndims: 1,
        dtype: F32,
        ..Default::default()
    }
}

fn record(tensors: &[ContinuousTensor]) -> ChipStorageTaskArgs {
    let mut record = ChipStorageTaskArgs::new();
    for tensor in tensors {
        record.push_tensor(*tensor).unwrap();
    }
    record
}

/// Adds 1 to every float that the run may write, and says how the tensors are passed.
fn add_one(arguments: &mut Arguments<'_>) -> String {
    let mut kinds = String::new();
    for index in 0..arguments.tensors().len() {
        kinds.push(match arguments.tensors()[index] {
            TensorData::In(_) => 'r',
            TensorData::Out(_) => 'f',
            TensorData::InOut(_) => 'c',
            TensorData::Device(_) => 'd',
            TensorData::Declared(_) => '?',
        });
        if let Some(bytes) = arguments.writable(index) {
            for cell in bytes.chunks_exact_mut(4) {
                let value = f32::from_le_bytes(cell.try_into().unwrap());
                cell.copy_from_slice(&(value + 1.0).to_le_bytes());
            }
        }
    }
    kinds
}

fn check(
    record: &ChipStorageTaskArgs,
    declared: &[ArgDirection],
) -> Result<ClientArguments, Failure> {
    checked(record, declared, CopyRule::BothWays, RuntimeName::Trb)
}

fn checked(
    record: &ChipStorageTaskArgs,
    declared: &[ArgDirection],
    rule: CopyRule,
    runtime: RuntimeName,
) -> Result<ClientArguments, Failure> {
    let mut arguments = ClientArguments::new();
    arguments.check(record, declared, rule, runtime)?;
    Ok(arguments)
}

fn kinds(record: &ChipStorageTaskArgs, declared: &[ArgDirection], rule: CopyRule) -> String {
    let arguments = checked(record, declared, rule, RuntimeName::Trb);
    let mut arguments = arguments.unwrap();
    // SAFETY: the memory is the test's own.
    unsafe { arguments.lend(|arguments| Ok(add_one(arguments))).unwrap() }
}

fn refused(tensor: ContinuousTensor) -> String {
    let record = record(&[tensor]);
    match check(&record, &[]) {
        Err(failure) => failure.text,
        Ok(mut arguments) => {
            // SAFETY: the memory is the test's own.
            unsafe { arguments.lend(|_| Ok(())).unwrap_err().text }
        }
    }
}

#[test]
fn everything_goes_both_ways_unless_the_client_asks_for_what_is_declared() {
    let (mut a, mut b, mut c) = ([1.0f32; 4], [2.0f32; 4], [3.0f32; 4]);
    let record =
        record(&[tensor(a.as_mut_ptr(), 4), tensor(b.as_mut_ptr(), 4), tensor(c.as_mut_ptr(), 4)]);
    let declared = [ArgDirection::In, ArgDirection::Out];
    assert_eq!(kinds(&record, &declared, CopyRule::BothWays), "ccc");
    assert_eq!((a, b, c), ([2.0; 4], [3.0; 4], [4.0; 4]));
    assert_eq!(kinds(&record, &declared, CopyRule::Declared), "rfc");
    assert_eq!((a, b, c), ([2.0; 4], [4.0; 4], [5.0; 4]));
}

#[test]
fn memory_that_two_tensors_share_is_copied_and_the_last_one_wins() {
    let mut cells = [0.0f32, 1.0, 2.0, 3.0, 4.0, 5.0];
    let start = cells.as_mut_ptr();
    // The first two overlap in cells 2 and 3, the third is apart.
    let record = record(&[
        tensor(start, 4),
        tensor(start.wrapping_add(2), 3),
        tensor(start.wrapping_add(5), 1),
    ]);
    assert_eq!(kinds(&record, &[], CopyRule::BothWays), "ccc");
    assert_eq!(cells, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    // Two that are only read may share.
    let declared = [ArgDirection::In, ArgDirection::In, ArgDirection::InOut];
    assert_eq!(kinds(&record, &declared, CopyRule::Declared), "rrc");
    assert_eq!(cells, [1.0, 2.0, 3.0, 4.0, 5.0, 7.0]);
    // A failed run writes nothing, shared or not.
    let mut arguments = check(&record, &[]).unwrap();
    // SAFETY: the memory is the test's own.
    let end: Result<(), Failure> = unsafe {
        arguments.lend(|arguments| {
            arguments.writable(0).unwrap().fill(0xFF);
            Err(Failure::refused("no"))
        })
    };
    assert!(end.is_err());
    assert_eq!(cells, [1.0, 2.0, 3.0, 4.0, 5.0, 7.0]);
}

#[test]
fn what_cannot_be_written_has_to_be_declared_as_read() {
    static WEIGHTS: [f32; 4] = [1.0; 4];
    let record = record(&[tensor(WEIGHTS.as_ptr(), 4)]);
    let check = |declared: &[_]| check(&record, declared);
    let text = check(&[]).unwrap_err().text;
    assert!(text.contains("tensor 0") && text.contains("writable"), "{text}");
    assert!(check(&[ArgDirection::Out]).is_err() && check(&[ArgDirection::InOut]).is_err());
    assert_eq!(kinds(&record, &[ArgDirection::In], CopyRule::BothWays), "r");
}

#[test]
fn shapes_types_and_addresses_that_make_no_sense_are_refused() {
    let cell = [0.0f32];
    let good = tensor(cell.as_ptr(), 1);
    assert!(refused(ContinuousTensor { ndims: 6, ..good }).contains("6 dimensions"));
    assert!(refused(ContinuousTensor { dtype: 11, ..good }).contains("11"));
    let huge = ContinuousTensor { shapes: [u32::MAX; 5], ndims: 5, ..good };
    assert!(refused(huge).contains("64 bits"));
    assert!(refused(ContinuousTensor { data: 0, ..good }).contains("NULL"));
    assert!(refused(ContinuousTensor { data: 8, ..good }).contains("memory"));
    assert!(refused(ContinuousTensor { shapes: [1 << 30, 0, 0, 0, 0], ..good }).contains("memory"));
    assert!(refused(ContinuousTensor { shapes: [0; 5], ..good }).contains("shape"));
    assert!(refused(ContinuousTensor { data: 0, child_memory: 1, ..good }).contains("null device"));
    let is_refused = |tensor_count, scalar_count| {
        let record =
            ChipStorageTaskArgs { tensor_count, scalar_count, ..ChipStorageTaskArgs::new() };
        check(&record, &[]).is_err()
    };
    for count in [-1, 65, i32::MIN, i32::MAX] {
        assert!(is_refused(count, 0), "{count}");
    }
    for count in [-1, 129, i32::MIN, i32::MAX] {
        assert!(is_refused(0, count), "{count}");
    }
}

#[test]
fn no_dimensions_are_one_element_and_device_tensors_pass_through() {
    let mut cell = [1.0f32];
    let scalar = ContinuousTensor { ndims: 0, ..tensor(cell.as_mut_ptr(), 9) };
    let device = ContinuousTensor { data: 64, child_memory: 7, ..tensor(std::ptr::null(), 4) };
    assert_eq!(kinds(&record(&[scalar, device]), &[], CopyRule::BothWays), "cd");
    assert_eq!(cell, [2.0]);
}

/// Runs an orchestration of hbg on the tensors: it gets the bytes of all of them, and says how they are
/// passed.
fn on_host(
    record: &ChipStorageTaskArgs,
    declared: &[ArgDirection],
    rule: CopyRule,
    entry: impl FnOnce(&mut Arguments<'_>),
) -> String {
    let checked = checked(record, declared, rule, RuntimeName::Hbg);
    let mut kinds = String::new();
    // SAFETY: the memory is the test's own.
    let end: Result<(), Failure> = unsafe {
        checked.unwrap().lend(|arguments| {
            entry(arguments);
            let kind = |tensor: &TensorData<'_>| match tensor {
                TensorData::In(_) => 'r',
                TensorData::Out(_) => 'f',
                TensorData::InOut(_) => 'c',
                TensorData::Device(_) | TensorData::Declared(_) => '?',
            };
            kinds = arguments.tensors().iter().map(kind).collect();
            Ok(())
        })
    };
    end.unwrap();
    kinds
}

/// Where the bytes of a tensor are that may be written.
fn address(arguments: &mut Arguments<'_>, index: usize) -> usize {
    arguments.writable(index).unwrap().as_ptr().addr()
}

fn write(arguments: &mut Arguments<'_>, index: usize, values: &[f32]) {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    arguments.writable(index).unwrap()[..bytes.len()].copy_from_slice(&bytes);
}

#[test]
fn an_orchestration_on_the_host_gets_the_clients_own_addresses() {
    let (mut a, mut f) = ([1.0f32; 4], [2.0f32; 4]);
    let own = [a.as_ptr().addr(), f.as_ptr().addr()];
    let record = record(&[tensor(a.as_mut_ptr(), 4), tensor(f.as_mut_ptr(), 4)]);
    let declared = [ArgDirection::In, ArgDirection::Out];
    let kinds = on_host(&record, &declared, CopyRule::BothWays, |arguments| {
        assert_eq!([0, 1].map(|index| address(arguments, index)), own);
    });
    assert_eq!(kinds, "cc");
    let kinds = on_host(&record, &declared, CopyRule::Declared, |arguments| {
        assert_eq!(address(arguments, 1), own[1]);
        assert!(arguments.writable(0).is_none());
        write(arguments, 1, &[9.0]);
    });
    assert_eq!(kinds, "rf");
    // What is declared as an output and not written stays.
    assert_eq!((a, f), ([1.0; 4], [9.0, 2.0, 2.0, 2.0]));
}

/// A client that computes in place: an input that comes after the output must not undo it.
#[test]
fn of_tensors_that_share_memory_only_what_the_host_graph_changed_comes_back() {
    let mut cells = [0.0f32, 1.0, 2.0, 3.0, 4.0, 5.0];
    let start = cells.as_mut_ptr();
    let record = record(&[
        tensor(start, 4),
        tensor(start, 4),
        tensor(start.wrapping_add(2), 4),
        tensor(start.wrapping_add(4), 1),
    ]);
    let entry = |arguments: &mut Arguments<'_>| {
        let addresses = [0, 1, 2, 3].map(|index| address(arguments, index));
        assert!(!addresses.contains(&start.addr()), "no two may be the same bytes");
        write(arguments, 0, &[10.0, 11.0]);
        write(arguments, 2, &[12.0, 3.0, 14.0]);
    };
    assert_eq!(on_host(&record, &[], CopyRule::BothWays, entry), "cccc");
    assert_eq!(cells, [10.0, 11.0, 12.0, 3.0, 14.0, 5.0]);
}

#[test]
fn what_a_submitted_host_graph_changed_comes_back_past_inputs_that_share_it() {
    let mut cells = [1.0f32, 2.0, 3.0, 4.0];
    let record = record(&[tensor(cells.as_mut_ptr(), 2), tensor(cells.as_mut_ptr(), 4)]);
    for (runtime, expected) in
        [(RuntimeName::Hbg, [7.0, 2.0, 3.0, 4.0]), (RuntimeName::Trb, [1.0, 2.0, 3.0, 4.0])]
    {
        cells = [1.0, 2.0, 3.0, 4.0];
        let checked = checked(&record, &[], CopyRule::BothWays, runtime);
        let mut arguments = checked.unwrap();
        // SAFETY: (both) the memory is the test's own.
        let mut owned = unsafe { arguments.take_copies() }.unwrap();
        let written = [7.0f32, 2.0].map(f32::to_le_bytes).concat();
        owned.set_tensor(0, OwnedData::InOut(written)).unwrap();
        // SAFETY: as above.
        unsafe { arguments.take_back(&owned) }.unwrap();
        assert_eq!(cells, expected, "{runtime}: the last one wins, or the one that was written");
    }
}

#[test]
fn memory_that_cannot_be_written_is_an_input_of_a_host_graph_without_being_declared() {
    static WEIGHTS: [f32; 4] = [1.0; 4];
    let record = record(&[tensor(WEIGHTS.as_ptr(), 4)]);
    let entry = |arguments: &mut Arguments<'_>| {
        let TensorData::In(bytes) = arguments.tensors()[0] else { panic!("{arguments:?}") };
        assert_eq!(bytes.as_ptr().addr(), WEIGHTS.as_ptr().addr());
    };
    for declared in [&[][..], &[ArgDirection::In], &[ArgDirection::InOut], &[ArgDirection::Out]] {
        assert_eq!(on_host(&record, declared, CopyRule::BothWays, entry), "r");
    }
    for declared in [&[][..], &[ArgDirection::In], &[ArgDirection::InOut]] {
        assert_eq!(on_host(&record, declared, CopyRule::Declared, entry), "r");
    }
    let out = &[ArgDirection::Out];
    let refused = checked(&record, out, CopyRule::Declared, RuntimeName::Hbg);
    assert!(refused.unwrap_err().text.contains("writable"));
    // Memory that is not there is refused whatever is declared.
    let nowhere = ContinuousTensor { data: 8, ..tensor(WEIGHTS.as_ptr(), 4) };
    let nowhere = super::tests::record(&[nowhere]);
    let refused = checked(&nowhere, &[], CopyRule::BothWays, RuntimeName::Hbg);
    assert!(refused.unwrap_err().text.contains("readable"));
}

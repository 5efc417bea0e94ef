//! Adding arguments: shapes, sizes, limits, bits.

use super::*;

#[test]
fn typed_tensors_keep_their_bytes_type_and_shape() {
    let input = [1i16, -2];
    let mut output = [0.0f32; 6];
    let mut both = [7u8];
    let mut arguments = Arguments::new();
    arguments.push_input(&input, &[2]).unwrap();
    arguments.push_output(&mut output, &[2, 3]).unwrap();
    arguments.push_inout(&mut both, &[1]).unwrap();
    let [first, second, third] = arguments.tensors() else { panic!() };
    assert!(matches!(first, TensorData::In([1, 0, 0xFE, 0xFF])));
    assert!(matches!(&second, TensorData::Out(bytes) if bytes.len() == 24));
    assert!(matches!(&third, TensorData::InOut([7])));
    let [first, second, third] = arguments.record().tensors().unwrap() else { panic!() };
    assert_eq!((first.dtype, first.ndims, first.shapes[0]), (DataType::Int16 as u8, 1, 2));
    assert_eq!((second.dtype, second.ndims), (DataType::Float32 as u8, 2));
    assert_eq!((&second.shapes[..2], third.shapes[0]), (&[2, 3][..], 1));
}

#[test]
fn emptied_arguments_are_as_new_in_the_same_memory() {
    let (input, mut output) = ([9u8; 4], [0u32; 2]);
    let mut arguments = Arguments::new();
    arguments.push_input(&input, &[4]).unwrap();
    arguments.push_output(&mut output, &[2]).unwrap();
    arguments.push_scalar(7).unwrap();
    let memory = (arguments.tensors.as_ptr().addr(), (&raw const *arguments.record).addr());
    let mut again = arguments.emptied();
    assert_eq!((again.tensors().len(), again.record()), (0, Arguments::new().record()));
    let other = [1u8];
    again.push_input(&other, &[1]).unwrap();
    let same = (again.tensors.as_ptr().addr(), (&raw const *again.record).addr());
    assert_eq!((memory, output), (same, [0; 2]));
}

#[test]
fn what_a_run_writes_arrives_in_the_callers_memory() {
    let (input, mut output, mut both) = ([9u8], [0u32; 2], [7i8]);
    let mut arguments = Arguments::new();
    arguments.push_input(&input, &[1]).unwrap();
    arguments.push_output(&mut output, &[2]).unwrap();
    arguments.push_inout(&mut both, &[1]).unwrap();
    assert_eq!(arguments.writable(0), None);
    arguments.writable(1).unwrap().copy_from_slice(&[1, 0, 0, 0, 2, 0, 0, 0]);
    arguments.writable(2).unwrap()[0] += 1;
    assert_eq!(arguments.writable(3), None);
    assert_eq!((output, both), ([1, 2], [8]));
}

#[test]
fn scalars_are_zero_extended_bits() {
    let mut arguments = Arguments::new();
    arguments.push_scalar_value(-1i32).unwrap();
    arguments.push_scalar_value(1.5f32).unwrap();
    arguments.push_scalar_value(i64::MIN).unwrap();
    arguments.push_scalar(42).unwrap();
    assert_eq!(arguments.scalars(), [0xFFFF_FFFF, 0x3FC0_0000, 1 << 63, 42]);
}

#[test]
fn tensors_come_first() {
    let mut arguments = Arguments::new();
    arguments.push_input(&[1u8], &[1]).unwrap();
    arguments.push_scalar(1).unwrap();
    let error = arguments.push_input(&[1u8], &[1]).unwrap_err();
    assert_eq!(error, ArgumentsError::TensorAfterScalar { index: 1 });
}

#[test]
fn the_limits_are_64_tensors_and_128_scalars() {
    let mut arguments = Arguments::new();
    for _ in 0..64 {
        arguments.push_input(&[1u8], &[1]).unwrap();
    }
    let error = arguments.push_input(&[1u8], &[1]).unwrap_err();
    assert_eq!(error, ArgumentsError::TooMany { what: "tensor", limit: 64 });
    for _ in 0..128 {
        arguments.push_scalar(0).unwrap();
    }
    let error = arguments.push_scalar(0).unwrap_err();
    assert_eq!(error, ArgumentsError::TooMany { what: "scalar", limit: 128 });
}

#[test]
fn shape_and_buffer_must_agree() {
    let elements = [0u16; 8];
    let check = |shape: &[u32]| Arguments::new().push_input(&elements, shape);
    assert_eq!(check(&[2, 2, 1, 1, 2]), Ok(()));
    for shape in [&[][..], &[8, 0], &[1, 1, 1, 1, 1, 8]] {
        let expected = ArgumentsError::Shape { index: 0, shape: shape.to_vec() };
        assert_eq!(check(shape), Err(expected));
    }
    for (shape, need) in [(&[7][..], 14), (&[9], 18), (&[u32::MAX; 5], u64::MAX)] {
        let shape_owned = shape.to_vec();
        let expected = ArgumentsError::Length { index: 0, shape: shape_owned, need, have: 16 };
        assert_eq!(check(shape), Err(expected));
    }
}

#[test]
fn device_tensors_need_an_address_and_no_buffer() {
    let device = |address: u64| TensorArgument {
        data: TensorData::Device(DeviceAddr::new(address)),
        dtype: DataType::Float32,
        shape: vec![1024],
    };
    let mut arguments = Arguments::new();
    assert_eq!(arguments.push_tensor(device(0x1000)), Ok(()));
    let error = arguments.push_tensor(device(0)).unwrap_err();
    assert_eq!(error, ArgumentsError::NullDevice { index: 1 });
}

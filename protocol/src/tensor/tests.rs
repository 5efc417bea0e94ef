//! Element types and size arithmetic of tensors.

use super::*;

fn tensor(shape: &[u32], dtype: u8) -> ContinuousTensor {
    let mut shapes = [7; MAX_TENSOR_DIMS];
    shapes[..shape.len()].copy_from_slice(shape);
    let ndims = u32::try_from(shape.len()).unwrap();
    ContinuousTensor { shapes, ndims, dtype, ..Default::default() }
}

#[test]
fn element_sizes_are_those_of_the_specification() {
    let sizes = [4, 2, 4, 2, 1, 1, 2, 8, 8, 2, 4];
    assert_eq!(DataType::ALL.len(), sizes.len());
    for (number, size) in sizes.into_iter().enumerate() {
        let dtype = DataType::try_from(u8::try_from(number).unwrap()).unwrap();
        assert_eq!(dtype.element_bytes(), size, "{dtype:?}");
    }
}

#[test]
fn number_past_the_last_element_type_is_kept_in_the_error() {
    let error = DataType::try_from(11).unwrap_err();
    assert_eq!(error, UnknownValue { what: "DataType", value: 11 });
    assert!(DataType::try_from(255).is_err());
}

#[test]
fn element_type_is_found_by_name_in_either_case() {
    assert_eq!(DataType::from_name("float32"), Some(DataType::Float32));
    assert_eq!(DataType::from_name("BFLOAT16"), Some(DataType::Bfloat16));
    assert_eq!(DataType::from_name("float"), None);
    assert_eq!(DataType::from_name(""), None);
}

#[test]
fn size_is_the_product_of_the_shape_and_the_element() {
    #[track_caller]
    fn check(shape: &[u32], dtype: DataType, bytes: Result<u64, TensorError>) {
        assert_eq!(tensor(shape, dtype.raw()).byte_len(), bytes, "{shape:?} {dtype:?}");
    }
    check(&[128, 128], DataType::Float32, Ok(65536));
    check(&[], DataType::Int64, Ok(8));
    check(&[3, 0, 5], DataType::Int64, Ok(0));
    check(&[2, 3, 4, 5, 6], DataType::Int8, Ok(720));
    let max = u32::MAX;
    check(&[max, max], DataType::Uint8, Ok(18_446_744_065_119_617_025));
    check(&[max, max], DataType::Uint16, Err(TensorError::TooLarge));
    check(&[max; 5], DataType::Uint8, Err(TensorError::TooLarge));
    check(&[max, max, max, 0], DataType::Uint64, Ok(0));
}

#[test]
fn rejects_more_dimensions_than_the_record_holds() {
    for ndims in [6, u32::MAX] {
        let tensor = ContinuousTensor { ndims, ..Default::default() };
        assert_eq!(tensor.byte_len(), Err(TensorError::TooManyDims { ndims }));
    }
}

#[test]
fn rejects_unknown_element_type() {
    let error = tensor(&[1], 11).byte_len().unwrap_err();
    assert!(matches!(error, TensorError::UnknownDataType(UnknownValue { value: 11, .. })));
}

#[test]
fn tensor_and_create_info_share_their_middle_bytes() {
    // The executor copies bytes 32..64 from one to the other.
    use core::mem::offset_of;
    assert_eq!(offset_of!(Tensor, version), offset_of!(TensorCreateInfo, version));
    assert_eq!(offset_of!(Tensor, ndims), offset_of!(TensorCreateInfo, ndims));
    assert_eq!(offset_of!(Tensor, dtype), offset_of!(TensorCreateInfo, dtype));
    assert_eq!(offset_of!(Tensor, manual_dep), offset_of!(TensorCreateInfo, manual_dep));
    assert_eq!(offset_of!(Tensor, shapes), offset_of!(TensorCreateInfo, raw_shapes));
}

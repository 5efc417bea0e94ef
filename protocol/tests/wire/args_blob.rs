//! Arguments between processes: what valid ones yield, and the error of each way to be invalid.

use crate::sample::{args_blob, put, tensor};
use protocol::{ArgsBlobView, ArgsError, TensorError, UnknownValue, WireError};

#[track_caller]
fn check(blob: &[u8], expected: WireError) {
    assert_eq!(ArgsBlobView::parse(blob), Err(expected));
    assert!(!expected.to_string().is_empty());
}

#[test]
fn valid_arguments_yield_tensors_then_scalars() {
    let blob =
        args_blob(&[tensor(0x1000, &[2, 3], 0, 0), tensor(0x2000, &[8], 8, 1)], &[42, u64::MAX, 0]);
    let view = ArgsBlobView::parse(&blob).unwrap();
    assert_eq!((view.tensor_count(), view.scalar_count()), (2, 3));
    assert_eq!(view.byte_len(), 8 + 80 + 24);
    assert_eq!(view.scalars().collect::<Vec<_>>(), [42, u64::MAX, 0]);
    let tensors: Vec<_> = view.tensors().collect();
    assert_eq!((tensors[0].data, tensors[0].byte_len()), (0x1000, Ok(24)));
    assert_eq!((tensors[1].data, tensors[1].byte_len()), (0x2000, Ok(64)));
    assert_eq!((tensors[0].is_child_memory(), tensors[1].is_child_memory()), (false, true));
}

#[test]
fn area_may_be_larger_and_at_any_alignment() {
    let blob = args_blob(&[tensor(7, &[1], 4, 0)], &[9]);
    for shift in 0..8 {
        let mut area = vec![0xEE; shift];
        area.extend_from_slice(&blob);
        area.extend_from_slice(&[0xEE; 100]);
        let view = ArgsBlobView::parse(&area[shift..]).unwrap();
        assert_eq!(view.byte_len(), blob.len());
        assert_eq!(view.scalars().collect::<Vec<_>>(), [9]);
    }
}

#[test]
fn device_memory_flag_survives_the_way_into_the_run_record() {
    let blob = args_blob(&[tensor(0x2000, &[8], 8, 1)], &[5]);
    let args = ArgsBlobView::parse(&blob).unwrap().to_chip_storage().unwrap();
    assert!(args.tensors().unwrap()[0].is_child_memory());
    assert_eq!(args.scalars().unwrap(), [5]);
}

#[test]
fn more_than_a_run_takes_is_refused_by_the_run_record_only() {
    let tensors = vec![tensor(1, &[1], 0, 0); 65];
    let blob = args_blob(&tensors, &[]);
    let full = ArgsError::Full { what: "tensor", limit: 64 };
    assert_eq!(ArgsBlobView::parse(&blob).unwrap().to_chip_storage(), Err(full));
    let blob = args_blob(&tensors[..64], &[1; 128]);
    assert!(ArgsBlobView::parse(&blob).unwrap().to_chip_storage().is_ok());
    let blob = args_blob(&[], &[1; 129]);
    let full = ArgsError::Full { what: "scalar", limit: 128 };
    assert_eq!(ArgsBlobView::parse(&blob).unwrap().to_chip_storage(), Err(full));
}

#[test]
fn every_cut_is_refused() {
    let blob = args_blob(&[tensor(1, &[1], 0, 0)], &[2, 3]);
    for len in 0..blob.len() {
        assert!(ArgsBlobView::parse(&blob[..len]).is_err(), "{len} of {}", blob.len());
    }
    check(&[0; 3], WireError::Truncated { what: "argument counts", need: 4, have: 3 });
    check(&[0; 7], WireError::Truncated { what: "argument counts", need: 8, have: 7 });
    check(&blob[..63], WireError::Truncated { what: "arguments", need: 64, have: 63 });
}

#[test]
fn negative_counts_are_refused() {
    for (at, what) in [(0, "tensor count"), (4, "scalar count")] {
        for value in [-1, i32::MIN] {
            let mut blob = args_blob(&[tensor(1, &[1], 0, 0)], &[2]);
            put(&mut blob, at, value.to_le_bytes());
            let limit = 0x7FFF_FFFF;
            check(&blob, WireError::CountOutOfRange { what, value: i64::from(value), limit });
        }
    }
}

#[test]
fn largest_counts_need_more_than_there_is() {
    let mut blob = args_blob(&[], &[]);
    put(&mut blob, 0, i32::MAX.to_le_bytes());
    put(&mut blob, 4, i32::MAX.to_le_bytes());
    let need = 8 + 48 * 0x7FFF_FFFF;
    check(&blob, WireError::Truncated { what: "arguments", need, have: 8 });
}

#[test]
fn s7_tensors_that_make_no_sense_are_refused() {
    #[track_caller]
    fn check_second(second: Vec<u8>, error: TensorError) {
        let blob = args_blob(&[tensor(1, &[1], 0, 0), second], &[]);
        check(&blob, WireError::Tensor { index: 1, error });
    }
    let unknown = UnknownValue { what: "DataType", value: 11 };
    check_second(tensor(1, &[1], 11, 0), TensorError::UnknownDataType(unknown));
    let mut six = tensor(1, &[1], 0, 0);
    put(&mut six, 28, 6u32.to_le_bytes());
    check_second(six, TensorError::TooManyDims { ndims: 6 });
    check_second(tensor(1, &[u32::MAX; 5], 0, 0), TensorError::TooLarge);
}

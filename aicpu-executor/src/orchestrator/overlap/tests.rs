//! Overlaps against sets of bytes.

use zerocopy::FromZeros;

use super::*;

fn view(raw: &[u32], shape: &[u32], offset: &[u32]) -> Tensor {
    let fill = |values: &[u32]| {
        let mut all = [0; MAX_TENSOR_DIMS];
        all[..values.len()].copy_from_slice(values);
        all
    };
    let mut tensor = Tensor::new_zeroed();
    tensor.buffer.addr = 0x1000;
    tensor.ndims = u32::try_from(shape.len()).unwrap();
    tensor.dtype = DataType::Int32 as u8;
    (tensor.shapes, tensor.raw_shapes, tensor.offsets) = (fill(shape), fill(raw), fill(offset));
    tensor
}

fn overlap(new: &Tensor, old: &Tensor) -> Overlap {
    let old = Access::of(old).unwrap();
    Access::of(new).unwrap().overlap_with(old.bytes, || Some(old.geometry()))
}

/// Byte sets by enumeration: the independent answer.
fn bytes_of(tensor: &Tensor) -> std::collections::BTreeSet<u64> {
    let access = Access::of(tensor).unwrap().geometry();
    let rank = access.rank as usize;
    let count: u32 = access.shape[..rank].iter().product();
    let mut bytes = std::collections::BTreeSet::new();
    for flat in 0..count {
        let (mut rest, mut position, mut stride) = (flat, 0_u64, 1_u64);
        for dimension in (0..rank).rev() {
            let index = rest % access.shape[dimension] + access.offset[dimension];
            rest /= access.shape[dimension];
            position += u64::from(index) * stride;
            stride *= u64::from(access.raw_shape[dimension]);
        }
        bytes.extend(position * 4..position * 4 + 4);
    }
    bytes
}

#[test]
fn agrees_with_byte_sets_on_all_small_rectangles_of_a_matrix() {
    let mut views = std::vec::Vec::new();
    for (top, left) in [(0, 0), (0, 1), (1, 0), (2, 2), (3, 1)] {
        for (rows, columns) in [(1, 1), (1, 4), (2, 2), (3, 1), (4, 4)] {
            if top + rows <= 4 && left + columns <= 4 {
                views.push(view(&[4, 4], &[rows, columns], &[top, left]));
            }
        }
    }
    for new in &views {
        for old in &views {
            let (new_bytes, old_bytes) = (bytes_of(new), bytes_of(old));
            let expected = if new_bytes.is_disjoint(&old_bytes) {
                Overlap::None
            } else if old_bytes.is_subset(&new_bytes) {
                Overlap::Covered
            } else {
                Overlap::Partial
            };
            assert_eq!(overlap(new, old), expected, "{new:?} over {old:?}");
        }
    }
}

#[test]
fn a_run_is_a_view_whose_bytes_have_no_gap() {
    for (top, rows) in (0..3).flat_map(|top| (1..=3 - top).map(move |rows| (top, rows))) {
        for (left, columns) in (0..4).flat_map(|left| (1..=4).map(move |wide| (left, wide))) {
            for (plane, planes) in [(0, 1), (1, 1), (0, 2)] {
                let tensor = view(&[2, 3, 4], &[planes, rows, columns], &[plane, top, left]);
                let bytes = Access::of(&tensor).unwrap().bytes;
                let set = bytes_of(&tensor);
                assert_eq!(set.first(), Some(&bytes.begin));
                assert_eq!(set.last(), Some(&(bytes.end - 1)));
                let has_no_gap = set.len() as u64 == bytes.end - bytes.begin;
                assert!(has_no_gap || !bytes.is_run, "{tensor:?}");
                assert!(!has_no_gap || bytes.is_run || left + columns > 4, "{tensor:?}");
            }
        }
    }
}

#[test]
fn never_misses_a_common_byte_between_views_of_different_rank() {
    let flat: std::vec::Vec<_> = (0..4).map(|part| view(&[16], &[4], &[part * 4])).collect();
    for row in 0..4 {
        let matrix = view(&[4, 4], &[1, 4], &[row, 0]);
        for (part, flat) in flat.iter().enumerate() {
            let same = part == row as usize;
            let expected = if same { Overlap::Covered } else { Overlap::None };
            assert_eq!(overlap(&matrix, flat), expected);
            assert_eq!(overlap(flat, &matrix), expected);
        }
    }
    let column = view(&[4, 4], &[4, 1], &[0, 2]);
    assert_eq!(overlap(&column, &flat[1]), Overlap::Partial);
    assert_eq!(overlap(&flat[1], &column), Overlap::Partial);
}

#[test]
fn a_view_that_is_wider_than_its_row_overlaps_what_it_reaches_in_the_next() {
    // Two rows of 8; the view begins in the first and has 4 of its 8 elements in the second.
    let wide = view(&[2, 8], &[1, 8], &[0, 4]);
    for (row, column, expected) in
        [(0, 0, Overlap::None), (0, 4, Overlap::Covered), (1, 0, Overlap::Covered)]
    {
        let part = view(&[2, 8], &[1, 4], &[row, column]);
        assert_eq!(overlap(&wide, &part), expected, "{row}, {column}");
        let back = overlap(&part, &wide);
        assert_eq!(back == Overlap::None, expected == Overlap::None, "{row}, {column}");
    }
    assert_eq!(overlap(&wide, &view(&[2, 8], &[1, 4], &[1, 4])), Overlap::None);
}

#[test]
fn an_empty_view_overlaps_nothing_and_a_newer_version_always_depends() {
    let whole = view(&[4, 4], &[4, 4], &[0, 0]);
    assert_eq!(overlap(&view(&[4, 4], &[0, 4], &[0, 0]), &whole), Overlap::None);
    let mut newer = view(&[4, 4], &[1, 1], &[0, 0]);
    newer.version = 1;
    assert_eq!(overlap(&newer, &view(&[4, 4], &[1, 1], &[3, 3])), Overlap::Partial);
}

#[test]
fn a_range_beyond_64_bits_counts_as_the_whole_buffer() {
    let huge = view(&[u32::MAX; 5], &[u32::MAX; 5], &[0; 5]);
    let bytes = Access::of(&huge).unwrap().bytes;
    assert_eq!((bytes.begin, bytes.end), (0, u64::MAX));
}

#[test]
fn flat_offsets_follow_the_raw_shape_and_the_view_offset() {
    let tensor = view(&[4, 8], &[2, 3], &[1, 2]);
    let access = Access::of(&tensor).unwrap();
    assert_eq!(start_offset(&tensor), 10);
    assert_eq!(access.geometry().flat_offset(&[1, 2]), 2 * 8 + 4);
    assert_eq!(access.geometry().flat_offset(&[]), 0);
}

//! Which bytes of a buffer an access touches, and how two accesses relate.
//!
//! The rule of the reference (spec trb §4.5) compares views dimension by dimension and trusts that
//! all views of a buffer have one rank and one raw shape. Here that comparison is used where it
//! holds; otherwise byte ranges decide, which may order more than needed but never less
//! (spec trb §14.1, item 12).

use protocol::{DataType, MAX_TENSOR_DIMS, Tensor};

/// How a new access relates to an earlier write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overlap {
    /// No byte in common.
    None,
    /// Some byte may be in common.
    Partial,
    /// Every byte of the earlier write is in the new access.
    Covered,
}

/// A view of a buffer with all its defaults filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    /// Address of the buffer, not of the view.
    pub(crate) address: u64,
    /// First byte touched, from the start of the buffer.
    pub(crate) begin: u64,
    /// Behind the last byte touched; equal to `begin` for an empty view.
    pub(crate) end: u64,
    /// The tensor's version.
    pub(crate) version: i32,
    /// Dimensions in use.
    pub(crate) rank: u32,
    /// Bytes of an element.
    pub(crate) element_bytes: u32,
    /// Elements of the view, by dimension.
    pub(crate) shape: [u32; MAX_TENSOR_DIMS],
    /// Elements of the buffer, by dimension.
    pub(crate) raw_shape: [u32; MAX_TENSOR_DIMS],
    /// First element of the view, by dimension.
    pub(crate) offset: [u32; MAX_TENSOR_DIMS],
}

/// A tensor that cannot be a view of anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TensorFlaw {
    /// More dimensions than a tensor can have.
    Rank(u32),
    /// No such data type.
    DataType(u8),
}

impl core::fmt::Display for TensorFlaw {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Rank(rank) => {
                write!(f, "it has {rank} dimensions; at most {MAX_TENSOR_DIMS} are possible")
            }
            Self::DataType(number) => write!(f, "{number} is no data type"),
        }
    }
}

impl Access {
    /// What `tensor` touches.
    pub(crate) fn of(tensor: &Tensor) -> Result<Self, TensorFlaw> {
        let rank = tensor.ndims;
        if rank as usize > MAX_TENSOR_DIMS {
            return Err(TensorFlaw::Rank(rank));
        }
        let dtype =
            DataType::try_from(tensor.dtype).map_err(|_| TensorFlaw::DataType(tensor.dtype))?;
        let mut access = Self {
            address: tensor.buffer.addr,
            begin: 0,
            end: 0,
            version: tensor.version,
            rank,
            // CAST: at most 8.
            element_bytes: dtype.element_bytes() as u32,
            shape: tensor.shapes,
            raw_shape: if tensor.is_raw_eq_shapes != 0 { tensor.shapes } else { tensor.raw_shapes },
            offset: if tensor.is_all_offset_zero != 0 {
                [0; MAX_TENSOR_DIMS]
            } else {
                tensor.offsets
            },
        };
        (access.begin, access.end) = access.byte_range();
        Ok(access)
    }

    /// Flat element offset of the view's first element (row-major over the raw shape).
    pub(crate) fn start_offset(&self) -> u64 {
        self.begin / u64::from(self.element_bytes.max(1))
    }

    /// Flat element offset of `indices` within the buffer; 0 for no indices (spec trb §1.5).
    pub(crate) fn flat_offset(&self, indices: &[u32]) -> u64 {
        let mut flat = 0_u64;
        for ((index, offset), raw) in indices.iter().zip(self.offset).zip(self.raw_shape) {
            let position = u64::from(*index) + u64::from(offset);
            flat = flat.wrapping_mul(u64::from(raw)).wrapping_add(position);
        }
        flat
    }

    /// The dimensions in use, as (shape, raw shape, offset).
    fn dimensions(&self) -> impl DoubleEndedIterator<Item = (u64, u64, u64)> + '_ {
        (0..MAX_TENSOR_DIMS.min(self.rank as usize)).map(|dimension| {
            let at = |values: &[u32; MAX_TENSOR_DIMS]| {
                u64::from(values.get(dimension).copied().unwrap_or_default())
            };
            (at(&self.shape), at(&self.raw_shape), at(&self.offset))
        })
    }

    /// First and past-the-last byte. A range that does not fit in 64 bits becomes everything.
    fn byte_range(&self) -> (u64, u64) {
        let element = u128::from(self.element_bytes);
        let (mut stride, mut first, mut last) = (1_u128, 0_u128, 0_u128);
        for (shape, raw, offset) in self.dimensions().rev() {
            if shape == 0 {
                return (0, 0);
            }
            let at = u128::from(offset).saturating_mul(stride);
            let span = u128::from(shape - 1).saturating_mul(stride);
            first = first.saturating_add(at);
            last = last.saturating_add(at).saturating_add(span);
            stride = stride.saturating_mul(u128::from(raw));
        }
        let begin = u64::try_from(first.saturating_mul(element));
        let end = u64::try_from(last.saturating_add(1).saturating_mul(element));
        match (begin, end) {
            (Ok(begin), Ok(end)) => (begin, end),
            _ => (0, u64::MAX),
        }
    }

    /// Whether the view is one run of bytes.
    fn is_contiguous(&self) -> bool {
        self.dimensions().skip(1).all(|(shape, raw, _)| shape == raw)
    }

    /// Whether both views index the buffer in the same way, and each element of either in one way
    /// only: a view that is wider than its row goes on in the next one.
    fn has_geometry_of(&self, other: &Self) -> bool {
        let is_within = |(shape, raw, offset): (u64, u64, u64)| offset + shape <= raw;
        self.rank == other.rank
            && self.element_bytes == other.element_bytes
            && self.dimensions().zip(other.dimensions()).enumerate().all(
                |(index, (mine, theirs))| {
                    mine.1 == theirs.1 && (index == 0 || (is_within(mine) && is_within(theirs)))
                },
            )
    }

    /// How this access relates to an earlier write of the same buffer.
    pub(crate) fn overlap_with(&self, earlier: &Self) -> Overlap {
        if self.begin == self.end || earlier.begin == earlier.end {
            return Overlap::None;
        }
        if self.version > earlier.version {
            return Overlap::Partial;
        }
        if self.end <= earlier.begin || earlier.end <= self.begin {
            return Overlap::None;
        }
        if !self.has_geometry_of(earlier) {
            let contains = self.begin <= earlier.begin && earlier.end <= self.end;
            let covered = contains && self.is_contiguous();
            return if covered { Overlap::Covered } else { Overlap::Partial };
        }
        let mut covered = true;
        for ((shape, _, offset), (old_shape, _, old_offset)) in
            self.dimensions().zip(earlier.dimensions())
        {
            let (end, old_end) = (offset + shape, old_offset + old_shape);
            if end <= old_offset || old_end <= offset {
                return Overlap::None;
            }
            covered &= offset <= old_offset && old_end <= end;
        }
        if covered { Overlap::Covered } else { Overlap::Partial }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(raw: &[u32], shape: &[u32], offset: &[u32]) -> Access {
        let fill = |values: &[u32]| {
            let mut all = [0; MAX_TENSOR_DIMS];
            all[..values.len()].copy_from_slice(values);
            all
        };
        let mut access = Access {
            address: 0x1000,
            begin: 0,
            end: 0,
            version: 0,
            rank: u32::try_from(shape.len()).unwrap(),
            element_bytes: 4,
            shape: fill(shape),
            raw_shape: fill(raw),
            offset: fill(offset),
        };
        (access.begin, access.end) = access.byte_range();
        access
    }

    /// Byte sets by enumeration: the independent answer.
    fn bytes_of(access: &Access) -> std::collections::BTreeSet<u64> {
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
                assert_eq!(new.overlap_with(old), expected, "{new:?} over {old:?}");
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
                assert_eq!(matrix.overlap_with(flat), expected);
                assert_eq!(flat.overlap_with(&matrix), expected);
            }
        }
        let column = view(&[4, 4], &[4, 1], &[0, 2]);
        assert_eq!(column.overlap_with(&flat[1]), Overlap::Partial);
        assert_eq!(flat[1].overlap_with(&column), Overlap::Partial);
    }

    #[test]
    fn a_view_that_is_wider_than_its_row_overlaps_what_it_reaches_in_the_next() {
        // Two rows of 8; the view begins in the first and has 4 of its 8 elements in the second.
        let wide = view(&[2, 8], &[1, 8], &[0, 4]);
        for (row, column, expected) in
            [(0, 0, Overlap::None), (0, 4, Overlap::Covered), (1, 0, Overlap::Covered)]
        {
            let part = view(&[2, 8], &[1, 4], &[row, column]);
            assert_eq!(wide.overlap_with(&part), expected, "{row}, {column}");
            let back = part.overlap_with(&wide);
            assert_eq!(back == Overlap::None, expected == Overlap::None, "{row}, {column}");
        }
        assert_eq!(wide.overlap_with(&view(&[2, 8], &[1, 4], &[1, 4])), Overlap::None);
    }

    #[test]
    fn an_empty_view_overlaps_nothing_and_a_newer_version_always_depends() {
        let whole = view(&[4, 4], &[4, 4], &[0, 0]);
        assert_eq!(view(&[4, 4], &[0, 4], &[0, 0]).overlap_with(&whole), Overlap::None);
        let mut newer = view(&[4, 4], &[1, 1], &[0, 0]);
        newer.version = 1;
        assert_eq!(newer.overlap_with(&view(&[4, 4], &[1, 1], &[3, 3])), Overlap::Partial);
    }

    #[test]
    fn a_range_beyond_64_bits_counts_as_the_whole_buffer() {
        let huge = view(&[u32::MAX; 5], &[u32::MAX; 5], &[0; 5]);
        assert_eq!((huge.begin, huge.end), (0, u64::MAX));
    }

    #[test]
    fn flat_offsets_follow_the_raw_shape_and_the_view_offset() {
        let access = view(&[4, 8], &[2, 3], &[1, 2]);
        assert_eq!(access.start_offset(), 10);
        assert_eq!(access.flat_offset(&[1, 2]), 2 * 8 + 4);
        assert_eq!(access.flat_offset(&[]), 0);
    }
}

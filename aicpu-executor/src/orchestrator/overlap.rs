//! Which bytes of a buffer an access touches, and how two accesses relate.
//!
//! The rule of the reference (spec trb §4.5) compares views dimension by dimension and trusts that
//! all views of a buffer have one rank and one raw shape. Here that comparison is used where it
//! holds; otherwise byte ranges decide, which may order more than needed but never less
//! (spec trb §14.1, item 12).

use protocol::{DataType, MAX_TENSOR_DIMS, Tensor};

#[cfg(test)]
mod tests;

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

/// What a task touches of a buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access<'t> {
    /// Address of the buffer, not of the view.
    pub(crate) address: u64,
    /// The bytes.
    pub(crate) bytes: Bytes,
    /// Whether the tensor is not a view: a run from the start of the buffer.
    pub(crate) is_whole: bool,
    tensor: &'t Tensor,
}

/// Which bytes of a buffer a view spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes {
    /// First byte touched, from the start of the buffer.
    pub(crate) begin: u64,
    /// Behind the last byte touched; equal to `begin` for an empty view.
    pub(crate) end: u64,
    /// The tensor's version.
    pub(crate) version: i32,
    /// Whether all bytes in between are touched, each once.
    pub(crate) is_run: bool,
}

/// The shape of a view, with all its defaults filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
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

/// Bytes of an element, as a power of two, by number of the data type.
const ELEMENT_SHIFTS: [u8; DataType::ALL.len()] = {
    let mut shifts = [0; DataType::ALL.len()];
    let mut index = 0;
    while index < shifts.len() {
        let bytes = DataType::ALL[index].element_bytes();
        assert!(bytes.is_power_of_two() && DataType::ALL[index] as usize == index);
        // CAST: at most 3.
        shifts[index] = bytes.trailing_zeros() as u8;
        index += 1;
    }
    shifts
};

/// Bytes of an element as a power of two, of a tensor that is one.
///
/// # Errors
///
/// [`TensorFlaw`] for too many dimensions or an unknown data type.
#[inline]
pub(crate) fn check_kind(rank: u32, dtype: u8) -> Result<u8, TensorFlaw> {
    if rank as usize > MAX_TENSOR_DIMS {
        return Err(TensorFlaw::Rank(rank));
    }
    ELEMENT_SHIFTS.get(usize::from(dtype)).copied().ok_or(TensorFlaw::DataType(dtype))
}

impl<'t> Access<'t> {
    /// What `tensor` touches.
    ///
    /// # Errors
    ///
    /// As [`check_kind`].
    #[inline(always)]
    pub(crate) fn of(tensor: &'t Tensor) -> Result<Self, TensorFlaw> {
        if tensor.ndims == 1 {
            return Self::of_row(tensor);
        }
        let shift = check_kind(tensor.ndims, tensor.dtype)?;
        let (address, version) = (tensor.buffer.addr, tensor.version);
        let is_whole = tensor.is_all_offset_zero != 0 && tensor.is_raw_eq_shapes != 0;
        let bytes = if is_whole { whole_bytes(tensor, shift) } else { None };
        let is_whole = bytes.is_some();
        let bytes = match bytes {
            Some(end) => Bytes { begin: 0, end, version, is_run: true },
            None => view_bytes(tensor, shift),
        };
        Ok(Self { address, bytes, is_whole, tensor })
    }

    /// The same for a tensor of one dimension.
    ///
    /// # Errors
    ///
    /// As [`check_kind`].
    #[inline(always)]
    pub(crate) fn of_row(tensor: &'t Tensor) -> Result<Self, TensorFlaw> {
        let shift = check_kind(1, tensor.dtype)?;
        let is_whole = tensor.is_all_offset_zero != 0 && tensor.is_raw_eq_shapes != 0;
        Ok(Self { address: tensor.buffer.addr, bytes: row_bytes(tensor, shift), is_whole, tensor })
    }

    /// The tensor.
    #[inline]
    pub(crate) fn tensor(&self) -> &'t Tensor {
        self.tensor
    }

    /// The shape of the view.
    pub(crate) fn geometry(&self) -> Geometry {
        geometry(self.tensor, self.element_shift())
    }

    fn element_shift(&self) -> u8 {
        ELEMENT_SHIFTS.get(usize::from(self.tensor.dtype)).copied().unwrap_or_default()
    }

    /// How this access relates to an earlier write of the same buffer; `geometry` is that of the
    /// write, `None` for one of a whole tensor.
    #[inline]
    pub(crate) fn overlap_with(
        &self,
        earlier: Bytes,
        geometry: impl FnOnce() -> Option<Geometry>,
    ) -> Overlap {
        let new = self.bytes;
        if new.begin == new.end || earlier.begin == earlier.end {
            return Overlap::None;
        }
        if new.version > earlier.version {
            return Overlap::Partial;
        }
        if new.end <= earlier.begin || earlier.end <= new.begin {
            return Overlap::None;
        }
        if new.is_run && new.begin <= earlier.begin && earlier.end <= new.end {
            return Overlap::Covered;
        }
        if new.is_run && earlier.is_run {
            return Overlap::Partial;
        }
        // With gaps on one side only, some order more than needed is cheaper than the truth.
        geometry().map_or(Overlap::Partial, |earlier| self.geometry().overlap_with(&earlier))
    }
}

/// Bytes of a tensor that is the whole of its buffer; `None` if 64 bits do not hold them.
fn whole_bytes(tensor: &Tensor, shift: u8) -> Option<u64> {
    let mut bytes = 1_u64 << shift;
    for extent in tensor.shapes.iter().take(tensor.ndims as usize) {
        bytes = bytes.checked_mul(u64::from(*extent))?;
    }
    Some(bytes)
}

/// Flat element offset of a tensor's first element (row-major over the raw shape).
#[inline]
pub(crate) fn start_offset(tensor: &Tensor) -> u64 {
    match tensor.ndims {
        1 if tensor.is_all_offset_zero == 0 => u64::from(tensor.offsets[0]),
        _ => start_offset_of_many(tensor),
    }
}

/// The same for any number of dimensions.
fn start_offset_of_many(tensor: &Tensor) -> u64 {
    let (raw_shapes, offsets) = raw_and_offsets(tensor);
    let dimensions = raw_shapes.iter().zip(offsets).take(tensor.ndims as usize);
    // A tensor for which this wraps is refused nowhere, and lies nowhere.
    dimensions.fold(0, |flat: u64, (raw, offset)| {
        flat.wrapping_mul(u64::from(*raw)).wrapping_add(u64::from(*offset))
    })
}

/// Bytes of a view of one dimension.
#[inline]
fn row_bytes(tensor: &Tensor, shift: u8) -> Bytes {
    let offset = if tensor.is_all_offset_zero == 0 { u64::from(tensor.offsets[0]) } else { 0 };
    let (shape, version) = (u64::from(tensor.shapes[0]), tensor.version);
    if shape == 0 {
        return Bytes { begin: 0, end: 0, version, is_run: true };
    }
    // No overflow: 33 bits, of elements of at most 8 bytes.
    Bytes { begin: offset << shift, end: (offset + shape) << shift, version, is_run: true }
}

/// Bytes of a view. A range that does not fit in 64 bits becomes everything.
fn view_bytes(tensor: &Tensor, shift: u8) -> Bytes {
    let (raw_shapes, offsets) = raw_and_offsets(tensor);
    let rank = MAX_TENSOR_DIMS.min(tensor.ndims as usize);
    let shapes = tensor.shapes.get(..rank).unwrap_or_default();
    let raw_shapes = raw_shapes.get(..rank).unwrap_or_default();
    let offsets = offsets.get(..rank).unwrap_or_default();
    let mut view = Span::of_element(1 << shift);
    let (mut fits, mut is_empty) = (true, false);
    let inner = raw_shapes.iter().rev().zip(offsets.iter().rev());
    for (shape, (raw, offset)) in shapes.iter().rev().zip(inner) {
        is_empty |= *shape == 0;
        fits = fits && view.go_out(u64::from(*shape), u64::from(*raw), u64::from(*offset));
    }
    let version = tensor.version;
    if is_empty {
        return Bytes { begin: 0, end: 0, version, is_run: true };
    }
    match view.last.checked_add(view.element).filter(|_| fits) {
        Some(end) => Bytes { begin: view.first, end, version, is_run: view.is_run },
        None => Bytes { begin: 0, end: u64::MAX, version, is_run: false },
    }
}

/// What a view spans, from its last dimension outwards.
struct Span {
    element: u64,
    /// Bytes of the dimensions so far; `None` if 64 bits do not hold them.
    stride: Option<u64>,
    /// First byte of the first element, and of the last one.
    first: u64,
    last: u64,
    /// Whether it is one run of bytes: whole rows up to some dimension, a part of that one, and one
    /// index of those further out.
    is_run: bool,
    is_part: bool,
}

impl Span {
    fn of_element(bytes: u64) -> Self {
        let stride = Some(bytes);
        Self { element: bytes, stride, first: 0, last: 0, is_run: true, is_part: false }
    }

    /// Adds the next dimension, which is not empty. Returns `false` if 64 bits do not hold the result.
    #[inline]
    fn go_out(&mut self, shape: u64, raw: u64, offset: u64) -> bool {
        self.is_run &= !self.is_part || shape == 1;
        self.is_part |= shape != raw;
        if offset > 0 || shape > 1 {
            let Some(stride) = self.stride else { return false };
            let at = stride.checked_mul(offset);
            // The shapes and offsets have 32 bits.
            let end = stride.checked_mul(offset + shape.saturating_sub(1));
            let (Some(at), Some(end)) = (at, end) else { return false };
            let (first, last) = (self.first.checked_add(at), self.last.checked_add(end));
            let (Some(first), Some(last)) = (first, last) else { return false };
            (self.first, self.last) = (first, last);
        }
        self.stride = self.stride.and_then(|stride| stride.checked_mul(raw));
        true
    }
}

/// Shape of the buffer of a tensor, and where in it the tensor begins.
fn raw_and_offsets(tensor: &Tensor) -> (&[u32; MAX_TENSOR_DIMS], &[u32; MAX_TENSOR_DIMS]) {
    let raw = if tensor.is_raw_eq_shapes != 0 { &tensor.shapes } else { &tensor.raw_shapes };
    let is_at_zero = tensor.is_all_offset_zero != 0;
    (raw, if is_at_zero { &[0; MAX_TENSOR_DIMS] } else { &tensor.offsets })
}

/// The shape of a tensor whose elements have `1 << shift` bytes.
fn geometry(tensor: &Tensor, shift: u8) -> Geometry {
    let (raw, offset) = raw_and_offsets(tensor);
    let (raw_shape, offset) = (*raw, *offset);
    Geometry {
        rank: tensor.ndims,
        element_bytes: 1 << shift,
        shape: tensor.shapes,
        raw_shape,
        offset,
    }
}

impl Geometry {
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
        let rank = MAX_TENSOR_DIMS.min(self.rank as usize);
        let (shapes, raws) = (self.shape.iter().take(rank), self.raw_shape.iter().take(rank));
        shapes
            .zip(raws)
            .zip(self.offset.iter().take(rank))
            .map(|((shape, raw), offset)| (u64::from(*shape), u64::from(*raw), u64::from(*offset)))
    }

    /// Whether both views index the buffer in the same way, and each element of either in one way
    /// only: a view that is wider than its row goes on in the next one.
    fn is_like(&self, other: &Self) -> bool {
        let is_within = |(shape, raw, offset): (u64, u64, u64)| offset + shape <= raw;
        self.rank == other.rank
            && self.element_bytes == other.element_bytes
            && self.dimensions().zip(other.dimensions()).enumerate().all(
                |(index, (mine, theirs))| {
                    mine.1 == theirs.1 && (index == 0 || (is_within(mine) && is_within(theirs)))
                },
            )
    }

    /// How this view relates to an earlier one, of which it has some byte between its ends.
    fn overlap_with(&self, earlier: &Self) -> Overlap {
        if !self.is_like(earlier) {
            return Overlap::Partial;
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

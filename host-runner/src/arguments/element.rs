//! The Rust types whose slices can be tensors.
//!
//! The trait is sealed: its byte views are safe because each implementing type has no padding and
//! accepts every bit pattern, which zerocopy proves, and its `DataType` is the matching one.

use protocol::DataType;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::float16::{BFloat16, Float16};

mod sealed {
    /// Keeps other crates from adding types.
    pub trait Sealed {}
}

/// A type of tensor elements and of scalars.
pub trait Element: Copy + FromBytes + IntoBytes + Immutable + sealed::Sealed {
    /// The element type on the wire.
    const DTYPE: DataType;
}

/// Implements [`Element`] and checks the size against the wire type.
macro_rules! element {
    ($($type:ty => $dtype:ident),+ $(,)?) => { $(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const DTYPE: DataType = DataType::$dtype;
        }
        const _: () = assert!(size_of::<$type>() as u64 == DataType::$dtype.element_bytes());
    )+ };
}

element! {
    f32 => Float32,
    Float16 => Float16,
    BFloat16 => Bfloat16,
    i8 => Int8,
    i16 => Int16,
    i32 => Int32,
    i64 => Int64,
    u8 => Uint8,
    u16 => Uint16,
    u32 => Uint32,
    u64 => Uint64,
}

#[cfg(target_endian = "big")]
compile_error!("tensors are little-endian, and slices are passed as they are");

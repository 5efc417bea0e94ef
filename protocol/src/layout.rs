//! The macro that pins a shared record to the numbers both sides were built with.
//!
//! A shared record is an ordinary `#[repr(C)]` struct followed at once by `layout!`, which
//! stops the build where size, alignment or an offset drifts, and where a field is forgotten. It
//! also yields a [`StructLayout`] under the names of the published layout tables; [`LAYOUTS`]
//! collects them, and `tests/tests/layout.rs` compares the list with the tables field by field.
//! `check_layout!` does the first half for records of our own, which no table lists.

use crate::chip::ChipName;

mod list;

pub use list::{ENUMS, LAYOUTS};

/// One field of a shared record, under its name in the layout tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldLayout {
    /// Name in the tables.
    pub name: &'static str,
    /// Bytes from the start of the record.
    pub offset: usize,
    /// Bytes.
    pub size: usize,
}

impl FieldLayout {
    /// Returns the same field of a record that is embedded `base` bytes into another.
    pub(crate) const fn shifted(self, base: usize) -> Self {
        Self { name: self.name, offset: self.offset + base, size: self.size }
    }
}

/// One shared record, under its name in the layout tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StructLayout {
    /// Name in the tables.
    pub table: &'static str,
    /// The chip whose table has it; `None` where both tables have the same record.
    pub chip: Option<ChipName>,
    /// Bytes, including tail padding.
    pub size: usize,
    /// Alignment in bytes.
    pub align: usize,
    /// Fields in order of offset. Padding that the tables do not name is left out.
    pub fields: &'static [FieldLayout],
}

/// One enumeration of the layout tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnumLayout {
    /// Name in the tables.
    pub table: &'static str,
    /// Bytes.
    pub size: usize,
    /// Names in the tables, with values.
    pub values: &'static [(&'static str, i64)],
}

/// Returns the size of the field that `project` points at.
///
/// A pointer, not a reference, so that it serves fields of any alignment. Never called.
pub(crate) const fn field_size<S, F>(_project: fn(&S) -> *const F) -> usize {
    size_of::<F>()
}

/// Pins size, alignment and every field offset of a `#[repr(C)]` struct.
///
/// Naming all fields is enforced: the pattern below has no `..`, so a field that was added to the
/// struct and forgotten here stops the build (the cure is to list it, not to add `..`).
macro_rules! check_layout {
    ($ty:ident, size $size:literal, align $align:literal {
        $($field:tt @ $offset:literal),+ $(,)?
    }) => {
        const _: () = {
            assert!(size_of::<$ty>() == $size, concat!(stringify!($ty), ": size drift"));
            assert!(align_of::<$ty>() == $align, concat!(stringify!($ty), ": alignment drift"));
            $(assert!(
                core::mem::offset_of!($ty, $field) == $offset,
                concat!(stringify!($ty), "::", stringify!($field), ": offset drift"),
            );)+
            fn _all_fields_listed(value: &$ty) {
                let $ty { $($field: _),+ } = value;
            }
        };
    };
}

/// Pins a struct as `check_layout!` does, and names it and its fields as the tables do.
///
/// `NAME: Type = "table name" on both|a2a3|a5, size N, align N { field @ offset, … }`; a field
/// whose table name differs is `field as "name" @ offset`; padding without a table name goes to
/// the `reserved { … }` list; one table entry for several fields is `first..=last`, with the others
/// in the `reserved` list too. `NAME` is the resulting [`StructLayout`], to be added to
/// [`LAYOUTS`] (the compiler reports it as unused until then).
macro_rules! layout {
    ($name:ident: $ty:ident = $table:literal on $chip:ident, size $size:literal, align $align:literal {
        $($field:tt $(..= $last:tt)? $(as $field_table:literal)? @ $offset:literal),+ $(,)?
    } $(reserved { $($pad:tt @ $pad_offset:literal),+ $(,)? })?) => {
        $crate::layout::check_layout!($ty, size $size, align $align {
            $($field @ $offset,)+ $($($pad @ $pad_offset,)+)?
        });

        pub(crate) const $name: $crate::layout::StructLayout = $crate::layout::StructLayout {
            table: $table,
            chip: $crate::layout::layout!(@chip $chip),
            size: size_of::<$ty>(),
            align: align_of::<$ty>(),
            fields: &[$($crate::layout::FieldLayout {
                name: $crate::layout::layout!(@name $field $($field_table)?),
                offset: core::mem::offset_of!($ty, $field),
                size: $crate::layout::layout!(@size $ty, $field $($last)?),
            }),+],
        };
    };
    (@chip both) => { None };
    (@chip a2a3) => { Some($crate::chip::ChipName::A2a3) };
    (@chip a5) => { Some($crate::chip::ChipName::A5) };
    (@size $ty:ident, $field:tt) => {
        $crate::layout::field_size::<$ty, _>(|value| &raw const value.$field)
    };
    (@size $ty:ident, $field:tt $last:tt) => {
        core::mem::offset_of!($ty, $last) - core::mem::offset_of!($ty, $field)
            + $crate::layout::layout!(@size $ty, $last)
    };
    (@name $field:tt) => { stringify!($field) };
    (@name $field:tt $table:literal) => { $table };
}

pub(crate) use {check_layout, layout};

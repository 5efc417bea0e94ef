//! The macro that declares an enumeration whose numbers cross a boundary.
//!
//! A number from the other side is never trusted to be a variant: shared records hold the plain
//! integer, and `TryFrom` turns it into the enum or keeps the number in [`UnknownValue`].

/// A number that names no variant of an enumeration: a damaged record, or a newer peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnknownValue {
    /// The enumeration.
    pub what: &'static str,
    /// The number found.
    pub value: i64,
}

impl core::fmt::Display for UnknownValue {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { what, value } = self;
        write!(f, "{value} is no {what}: the record is damaged or from a newer version")
    }
}

impl core::error::Error for UnknownValue {}

/// Declares an enumeration with explicit numbers, its checked conversion and its table entry.
///
/// `enum Type: integer = "table name", NAME { Variant = number => "table name of the variant" }`.
/// `NAME` is the resulting `EnumLayout`, to be added to `ENUMS`. Enumerations that no table lists
/// leave out the part from `=` to `NAME`.
macro_rules! wire_enum {
    ($(#[$meta:meta])* pub enum $ty:ident: $repr:ident $(= $table:literal, $layout:ident)? {
        $($(#[$variant_meta:meta])* $variant:ident = $value:literal => $name:literal,)+
    }) => {
        $(#[$meta])*
        #[repr($repr)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub enum $ty {
            $($(#[$variant_meta])* $variant = $value,)+
        }

        impl $ty {
            /// Every variant, in order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Names and numbers of all variants.
            pub const VALUES: &'static [(&'static str, i64)] = &[$(($name, $value)),+];

            /// Returns the number that stands for this variant in shared records.
            pub const fn raw(self) -> $repr {
                self as $repr
            }

            /// Returns the upper-case name that the reference uses.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl TryFrom<$repr> for $ty {
            type Error = $crate::wire_enum::UnknownValue;

            fn try_from(value: $repr) -> Result<Self, Self::Error> {
                match value {
                    $($value => Ok(Self::$variant),)+
                    _ => Err($crate::wire_enum::UnknownValue {
                        what: stringify!($ty),
                        value: i64::from(value),
                    }),
                }
            }
        }

        $(pub(crate) const $layout: $crate::layout::EnumLayout = $crate::layout::EnumLayout {
            table: $table,
            size: size_of::<$ty>(),
            values: $ty::VALUES,
        };)?
    };
}

pub(crate) use wire_enum;

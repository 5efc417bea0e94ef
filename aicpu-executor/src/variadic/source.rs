//! Where the formatter takes its arguments from.
//!
//! The formatter is safe code and knows nothing of calling conventions; reading a `va_list` is
//! neither. This trait is the seam between them, and lets tests feed the formatter from plain
//! values, including too few of them.

/// A string argument as the formatter sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StringArgument<'a> {
    /// The pointer was null.
    Null,
    /// The bytes before the NUL, cut at the limit that was asked for.
    Bytes(&'a [u8]),
}

/// Supplies the arguments of a variadic call in order.
///
/// Every method returns `None` when the source knows that there are no more arguments; a C
/// `va_list` never knows.
pub trait ArgumentSource {
    /// The next argument of an integer or pointer class, in its 8-byte slot. Narrower integers
    /// leave the upper bits of the slot undefined, so the caller truncates.
    fn next_u64(&mut self) -> Option<u64>;

    /// The next `double` (a `float` has been promoted by the caller).
    fn next_f64(&mut self) -> Option<f64>;

    /// The next `long double`, rounded to a `double`.
    fn next_long_double(&mut self) -> Option<f64>;

    /// The next C string, of which at most `limit` bytes are looked at.
    fn next_string(&mut self, limit: usize) -> Option<StringArgument<'_>>;
}

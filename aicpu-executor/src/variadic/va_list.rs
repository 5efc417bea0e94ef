//! The C `va_list` of the machine this is built for, and arguments read through it.
//!
//! Both layouts are compiled everywhere, because they are plain pointer walks that any machine
//! can test; [`VaList`] names the one that the trampolines of this target fill. [`VaArguments`]
//! turns it into an [`ArgumentSource`] for the formatter.

mod aapcs64;
mod long_double;
mod system_v;

pub use aapcs64::Aapcs64VaList;
pub use system_v::SystemVVaList;

use super::source::{ArgumentSource, StringArgument};
use core::ffi::c_char;

/// The `va_list` of this target: System V AMD64 psABI §3.5.7.
#[cfg(target_arch = "x86_64")]
pub type VaList<'a> = SystemVVaList<'a>;

/// The `va_list` of this target: AAPCS64, "The va_list type".
#[cfg(target_arch = "aarch64")]
pub type VaList<'a> = Aapcs64VaList<'a>;

#[cfg(not(all(
    any(target_arch = "x86_64", target_arch = "aarch64"),
    target_pointer_width = "64",
    target_endian = "little",
    not(any(windows, target_vendor = "apple")),
)))]
compile_error!("variadic entries are written for the System V x86-64 ABI and for AAPCS64 only");

/// The arguments of one variadic call, read as the format string that came with them asks.
#[derive(Debug)]
pub struct VaArguments<'list, 'call> {
    list: &'list mut VaList<'call>,
}

impl<'list, 'call> VaArguments<'list, 'call> {
    /// Arguments yet unread in `list`.
    ///
    /// # Safety
    ///
    /// Whatever is asked of the result must be what the caller passed, in number, order and type;
    /// strings that are asked for are null or readable up to their NUL or the limit and stay
    /// unchanged while the result lives. Giving it only to
    /// [`format`](fn@super::format::format), with the format string of the same C call, is enough
    /// if that call was a correct `printf`-like one.
    pub const unsafe fn new(list: &'list mut VaList<'call>) -> Self {
        Self { list }
    }
}

impl ArgumentSource for VaArguments<'_, '_> {
    fn next_u64(&mut self) -> Option<u64> {
        // SAFETY: the constructor's contract says that the next argument is of this class.
        Some(unsafe { self.list.next_u64() })
    }

    fn next_f64(&mut self) -> Option<f64> {
        // SAFETY: the constructor's contract says that the next argument is a double.
        Some(unsafe { self.list.next_f64() })
    }

    fn next_long_double(&mut self) -> Option<f64> {
        // SAFETY: the constructor's contract says that the next argument is a long double.
        Some(unsafe { self.list.next_long_double() })
    }

    fn next_string(&mut self, limit: usize) -> Option<StringArgument<'_>> {
        // SAFETY: the constructor's contract says that the next argument is a pointer…
        let text = unsafe { self.list.next_ptr() }.cast::<c_char>();
        if text.is_null() {
            return Some(StringArgument::Null);
        }
        // SAFETY: …to a string that is readable up to its NUL or the limit, and unchanged while
        // the result borrows this source.
        Some(StringArgument::Bytes(unsafe { bounded_string(text, limit) }))
    }
}

/// The bytes of `text` before its NUL, at most `limit` of them; nothing past either is read.
///
/// # Safety
///
/// `text` points to bytes that are readable up to a NUL or for `limit` bytes, and that stay
/// unchanged during `'a`.
unsafe fn bounded_string<'a>(text: *const c_char, limit: usize) -> &'a [u8] {
    let first = text.cast::<u8>();
    let mut len = 0;
    // SAFETY: no NUL among the first `len` bytes and `len < limit`, so this byte is readable.
    while len < limit && unsafe { first.add(len).read() } != 0 {
        len += 1;
    }
    // SAFETY: the loop has read these bytes, and they stay unchanged during 'a by contract.
    unsafe { core::slice::from_raw_parts(first, len) }
}

#[cfg(test)]
mod tests {
    use super::bounded_string;

    #[test]
    fn reads_a_string_up_to_its_nul() {
        // SAFETY: a NUL-terminated literal.
        assert_eq!(unsafe { bounded_string(c"abc".as_ptr(), usize::MAX) }, b"abc");
    }

    #[test]
    fn reads_an_unterminated_string_up_to_the_limit() {
        let bytes = *b"abcd";
        // SAFETY: three of the four bytes are asked for.
        assert_eq!(unsafe { bounded_string(bytes.as_ptr().cast(), 3) }, b"abc");
        // SAFETY: nothing is asked for.
        assert_eq!(unsafe { bounded_string(bytes.as_ptr().cast(), 0) }, b"");
    }
}

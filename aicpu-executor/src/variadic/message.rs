//! The bounded text that formatting produces.
//!
//! Apart from the formatter because two things are decided here once: how a text that does not
//! fit is cut (where `vsnprintf` cuts it, but never inside a character), and that the result is
//! UTF-8 whatever bytes the C side sent. Bytes go into an `Output`, a view of the fixed buffer;
//! [`Message`] owns the buffer and hands the text on.

use core::fmt;

/// A formatted text of at most `N` bytes, always valid UTF-8.
#[derive(Clone, PartialEq, Eq)]
pub struct Message<const N: usize> {
    bytes: [u8; N],
    len: usize,
    truncated: bool,
}

impl<const N: usize> Message<N> {
    /// The empty message.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; N], len: 0, truncated: false }
    }

    /// The message that `write` produces.
    pub(super) fn written_by(write: impl FnOnce(&mut Output<'_>)) -> Self {
        let mut message = Self::new();
        let mut output = Output { buffer: &mut message.bytes, len: 0, truncated: false };
        write(&mut output);
        (message.len, message.truncated) = output.seal();
        message
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // `seal` has made the bytes valid, so the empty fallback is never taken.
        self.bytes.get(..self.len).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or("")
    }

    /// Whether the text was longer than `N` bytes and has been cut.
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        self.truncated
    }
}

impl<const N: usize> Default for Message<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Debug for Message<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("text", &self.as_str())
            .field("truncated", &self.truncated)
            .finish()
    }
}

impl<const N: usize> fmt::Display for Message<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A bounded byte sink over somebody's buffer. What does not fit is dropped and remembered.
#[derive(Debug)]
pub(super) struct Output<'a> {
    buffer: &'a mut [u8],
    len: usize,
    truncated: bool,
}

impl Output<'_> {
    /// Bytes that still fit.
    pub(super) fn remaining(&self) -> usize {
        self.buffer.len().saturating_sub(self.len)
    }

    /// Appends as much of `bytes` as fits.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let fits = bytes.len().min(self.remaining());
        let end = self.len.saturating_add(fits);
        if let (Some(room), Some(part)) = (self.buffer.get_mut(self.len..end), bytes.get(..fits)) {
            room.copy_from_slice(part);
            self.len = end;
        }
        self.truncated |= fits < bytes.len();
    }

    /// Appends `count` times `byte`, in time bounded by the buffer however large `count` is.
    pub(super) fn pad(&mut self, byte: u8, count: usize) {
        let fits = count.min(self.remaining());
        let end = self.len.saturating_add(fits);
        if let Some(room) = self.buffer.get_mut(self.len..end) {
            room.fill(byte);
            self.len = end;
        }
        self.truncated |= fits < count;
    }

    /// Makes the text valid UTF-8: a character cut at the end of the buffer goes, any other stray
    /// byte becomes `?`. Returns the length and whether the text was cut.
    fn seal(self) -> (usize, bool) {
        let Output { buffer, mut len, truncated } = self;
        let mut checked = 0;
        while let Some(text) = buffer.get_mut(checked..len) {
            let Err(error) = core::str::from_utf8(text) else { break };
            let bad = error.valid_up_to();
            if truncated && error.error_len().is_none() {
                len = checked.saturating_add(bad);
                break;
            }
            // An unfinished character at the end of a complete text is stray bytes as well.
            let stray = error.error_len().unwrap_or(text.len().saturating_sub(bad));
            if let Some(bytes) = text.get_mut(bad..bad.saturating_add(stray)) {
                bytes.fill(b'?');
            }
            checked = checked.saturating_add(bad).saturating_add(stray);
        }
        (len, truncated)
    }
}

#[cfg(test)]
mod tests {
    use super::Message;

    fn message<const N: usize>(parts: &[&[u8]]) -> Message<N> {
        Message::written_by(|output| parts.iter().for_each(|part| output.push(part)))
    }

    #[test]
    fn keeps_a_text_that_just_fits_whole() {
        let text = message::<5>(&[b"ab", b"cde"]);
        assert_eq!((text.as_str(), text.is_truncated()), ("abcde", false));
    }

    #[test]
    fn cuts_before_a_character_that_does_not_fit() {
        let text = message::<4>(&["abc\u{20ac}".as_bytes()]);
        assert_eq!((text.as_str(), text.is_truncated()), ("abc", true));
    }

    #[test]
    fn replaces_stray_bytes_but_keeps_characters() {
        let text = message::<16>(&[b"a\xffb", "\u{fc}".as_bytes(), b"\xe2\x82"]);
        assert_eq!((text.as_str(), text.is_truncated()), ("a?b\u{fc}??", false));
    }

    #[test]
    fn stray_bytes_before_the_cut_do_not_shorten_the_text() {
        let text = message::<4>(&[b"\xff\xffab\xe2\x82\xac"]);
        assert_eq!((text.as_str(), text.is_truncated()), ("??ab", true));
    }

    #[test]
    fn padding_far_past_the_end_is_cut_at_the_buffer() {
        let text = Message::<3>::written_by(|output| output.pad(b'x', usize::MAX));
        assert_eq!((text.as_str(), text.is_truncated()), ("xxx", true));
    }

    #[test]
    fn zero_capacity_holds_nothing() {
        let text = message::<0>(&[b"a"]);
        assert_eq!((text.as_str(), text.is_truncated()), ("", true));
    }
}

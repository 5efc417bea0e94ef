//! What came of a record that our host has sent, where that host is in another process.
//!
//! A reference host learns a number from the header of the shared region, and nothing at all of a
//! record that only loads. Our host names a place of its own for the rest, in a field that the
//! reference uses on the host alone: [`RuntimeBody::pending_orch_so_data`]. An executor looks at it only
//! where the extension of the record is valid, and 0 is nowhere.
//!
//! [`RuntimeBody::pending_orch_so_data`]: crate::RuntimeBody::pending_orch_so_data

use crate::layout::check_layout;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes of the text of a fault that are kept.
pub const OUTCOME_TEXT_BYTES: usize = 1152;

/// What came of a run, a load or an unloading. Written by the last thread of it, read by the host
/// afterwards.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct OutcomeRecord {
    /// The `run_number` of the record that it is about. The host counts that up, and so knows an outcome
    /// from the one before.
    pub number: u32,
    /// Positive status code of the first fault, 0 without one.
    pub code: i32,
    /// Tasks that the orchestration submitted.
    pub tasks: u64,
    /// 1: the run loaded the orchestration.
    pub loaded: u32,
    /// Bytes of `text` in use.
    pub text_bytes: u32,
    /// What happened, in UTF-8.
    pub text: [u8; OUTCOME_TEXT_BYTES],
    /// Written as zero.
    pub reserved: [u8; 40],
}

check_layout!(OutcomeRecord, size 1216, align 64 {
    number @ 0, code @ 4, tasks @ 8, loaded @ 16, text_bytes @ 20, text @ 24, reserved @ 1176,
});

impl Default for OutcomeRecord {
    fn default() -> Self {
        Self {
            number: 0,
            code: 0,
            tasks: 0,
            loaded: 0,
            text_bytes: 0,
            text: [0; OUTCOME_TEXT_BYTES],
            reserved: [0; 40],
        }
    }
}

impl OutcomeRecord {
    /// Returns the same with a fault; a text that is too long is cut at a character.
    #[must_use]
    pub fn with_fault(mut self, code: i32, text: &str) -> Self {
        let kept = text.floor_char_boundary(OUTCOME_TEXT_BYTES);
        let (kept, _cut) = text.split_at_checked(kept).unwrap_or((text, ""));
        for (place, byte) in self.text.iter_mut().zip(kept.bytes()) {
            *place = byte;
        }
        self.code = code;
        // CAST: at most `OUTCOME_TEXT_BYTES`.
        self.text_bytes = kept.len() as u32;
        self
    }

    /// Returns the text of the fault, as far as it makes sense.
    pub fn text(&self) -> &str {
        let bytes = usize::try_from(self.text_bytes).unwrap_or(usize::MAX);
        let text = self.text.get(..bytes).unwrap_or(&self.text);
        match core::str::from_utf8(text) {
            Ok(text) => text,
            Err(error) => {
                let valid = text.get(..error.valid_up_to()).unwrap_or_default();
                core::str::from_utf8(valid).unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back_and_a_long_one_is_cut_at_a_character() {
        let record = OutcomeRecord::default().with_fault(9, "caf\u{e9}");
        assert_eq!((record.code, record.text()), (9, "caf\u{e9}"));
        let long = std::format!("{}\u{e9}", "x".repeat(OUTCOME_TEXT_BYTES - 1));
        let record = OutcomeRecord::default().with_fault(1, &long);
        assert_eq!(record.text(), "x".repeat(OUTCOME_TEXT_BYTES - 1));
    }

    #[test]
    fn a_damaged_text_is_shown_as_far_as_it_goes() {
        let mut record = OutcomeRecord::default().with_fault(9, "abc");
        record.text[1] = 0xFF;
        assert_eq!(record.text(), "a");
        record.text_bytes = u32::MAX;
        assert_eq!(record.text(), "a");
    }
}

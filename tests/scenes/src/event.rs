//! What a child tells its parent: one JSON object a line, on its standard output.

use serde::{Deserialize, Serialize};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A run begins. If nothing follows, this is where the child ended.
    At {
        /// Case and setting, for people.
        setting: String,
    },
    /// The run was right.
    Ran {
        /// Tasks of it.
        tasks: u64,
    },
    /// The run was wrong. Nothing else is run, except under other seeds.
    Failed {
        /// What is wrong, and in which setting.
        message: String,
        /// The seed under which it is.
        seed: Option<u64>,
    },
    /// Everything has run, or something has failed.
    End {
        /// The most memory that the child ever had resident, in bytes.
        peak_bytes: u64,
        /// Bytes of the tensors of the largest case.
        tensor_bytes: u64,
    },
}

impl Event {
    /// Reads a line; `None` where it is no event.
    #[must_use]
    pub fn of_line(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// The line, without its end.
    #[must_use]
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_event_that_wrote_it() {
        let message = "out[1] is 2,\nexpected \"3\"".to_owned();
        let event = Event::Failed { message, seed: Some(7) };
        let line = event.line();
        assert!(!line.contains('\n'), "{line}");
        assert_eq!(Event::of_line(&line), Some(event));
        assert_eq!(Event::of_line("hello from a kernel"), None);
    }
}

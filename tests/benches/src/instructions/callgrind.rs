//! Reads what callgrind writes: the instructions of functions with those of what they call.

use std::collections::HashMap;

/// Instructions of all calls of the functions that `is_wanted`, with those of what they call; `None` if no call
/// was seen. Of two such functions, neither calls the other.
///
/// Only calls that have returned are in a file with all that they took, so what is asked for must not be under way
/// where a file begins or ends.
///
/// ```text
/// fn=(3) name        the function that follows; the name stands there once only
/// 16 400             a line, and the instructions of its own
/// cfn=(4) other      what it calls
/// calls=1 0          the next line is the callee's, with what that calls
/// 16 20000
/// ```
pub(super) fn cost_of_calls(text: &str, is_wanted: impl Fn(&str) -> bool) -> Option<u64> {
    let mut wanted: HashMap<&str, bool> = HashMap::new();
    let mut is_counted = false;
    let mut total = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(function) = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn=")) {
            let (id, name) = function.split_once(' ').unwrap_or((function, ""));
            if !name.is_empty() {
                wanted.insert(id, is_wanted(name));
            }
            is_counted = wanted.get(id).copied().unwrap_or_default();
        } else if line.starts_with("calls=") {
            let cost = lines.next().and_then(|line| line.split(' ').nth(1)?.parse::<u64>().ok());
            if is_counted {
                *total.get_or_insert(0) += cost.unwrap_or_default();
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_calls_with_what_they_call() {
        let text = "version: 1\npositions: line\nevents: Ir\n\nob=(1) program\nfl=(1) a.rs\n\
                    fn=(1) work\n16 400\ncfn=(2) sim::parking::spin\ncalls=1 50\n16 20000\n+3 7\n\n\
                    fn=(2)\n50 20000\n\nfn=(3) more\n* 5\ncfn=(1)\ncalls=1 16\n* 407\n\
                    cfn=(2)\ncalls=1 16\n* 11\n\ntotals: 20412\n";
        let cost = |name| cost_of_calls(text, |function| function.ends_with(name));
        assert_eq!((cost("work"), cost("spin")), (Some(407), Some(20011)));
        assert_eq!((cost("more"), cost("less")), (None, None));
    }
}

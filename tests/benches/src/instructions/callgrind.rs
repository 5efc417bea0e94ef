//! Reads what callgrind writes: the instructions of each function, its callees apart.

use std::collections::HashMap;

/// Parts of the names of functions that wait: how often they look depends on the clock.
const WAITING: [&str; 8] =
    ["spin", "park", "futex", "relax", "yield", "clock_gettime", "std::time::", "sys::time"];

/// Instructions of all functions but those that wait.
///
/// ```text
/// fn=(3) name        the function that follows; the name stands there once only
/// 16 400             a line, and the instructions of its own
/// calls=1 0          the next line is the callee's
/// 16 20000
/// ```
pub(super) fn cost(text: &str) -> u64 {
    let mut waiting: HashMap<&str, bool> = HashMap::new();
    let mut is_waiting = false;
    let mut total = 0;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(function) = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn=")) {
            let (id, name) = function.split_once(' ').unwrap_or((function, ""));
            if !name.is_empty() {
                waiting.insert(id, WAITING.iter().any(|part| name.contains(part)));
            }
            if line.starts_with("fn=") {
                is_waiting = waiting.get(id).copied().unwrap_or_default();
            }
        } else if line.starts_with("calls=") {
            lines.next();
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let own = line.split(' ').nth(1).and_then(|own| own.parse::<u64>().ok());
            total += if is_waiting { 0 } else { own.unwrap_or_default() };
        }
    }
    total
}

/// Instructions of all calls of a function, with those of what it calls.
pub(super) fn cost_of_calls(text: &str, function: &str) -> u64 {
    let mut ids = HashMap::new();
    let mut callee = "";
    let mut total = 0;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(named) = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn=")) {
            let (id, name) = named.split_once(' ').unwrap_or((named, ""));
            if !name.is_empty() {
                ids.insert(id, name);
            }
            callee = ids.get(id).copied().unwrap_or_default();
        } else if line.starts_with("calls=") {
            let cost = lines.next().and_then(|line| line.split(' ').nth(1)?.parse::<u64>().ok());
            total += if callee == function { cost.unwrap_or_default() } else { 0 };
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_what_functions_do_themselves_but_not_their_waiting() {
        let text = "version: 1\npositions: line\nevents: Ir\n\nob=(1) program\nfl=(1) a.rs\n\
                    fn=(1) work\n16 400\ncfn=(2) sim::parking::spin\ncalls=1 50\n16 20000\n+3 7\n\n\
                    fn=(2)\n50 20000\n\nfn=(3) more\n* 5\ncfn=(1)\ncalls=1 16\n* 407\n\ntotals: 20412\n";
        assert_eq!(cost(text), 412);
        assert_eq!(cost(""), 0);
        assert_eq!(cost_of_calls(text, "work"), 407);
        assert_eq!(cost_of_calls(text, "more"), 0);
    }
}

//! Where in an orchestration an exception was thrown: its functions, for the text of the fault.
//!
//! The device notes addresses while the exception passes, and the registered image has the names.
//! The reference logs a stack trace where an assertion fails (spec trb §1.4); here every exception
//! gets one, and it is part of the error.

use protocol::StatusCode;

use super::CodeLocation;
use crate::foreign_code::guarded_call::demangled;
use crate::registry::{OpenDevice, Registry};
use crate::run::RunError;

/// Functions that are named.
const FUNCTIONS_MAX: usize = 4;
/// What failed assertions call; it says nothing about where they failed.
const ASSERTION_HELPER: &str = "simpler::assertion_failed";

/// Adds to the fault of an exception that left an orchestration through which of its functions it
/// came, the innermost first. Functions that the compiler has inlined are not among them.
pub(super) fn name(error: &mut RunError, on: &OpenDevice, registry: &Registry) {
    let RunError::Fault(fault) = error else { return };
    if fault.code != Some(StatusCode::EntryException) {
        return;
    }
    let trace = on.device().throw_trace();
    let loaded = on.device().loaded_code();
    let place = |returns_to: u64| {
        // The call is before the address that it returns to, maybe at the function's end.
        let address = returns_to.checked_sub(1)?;
        let range = loaded.iter().find(|range| range.contains(address))?;
        let callable = registry.find_loaded(range.id, range.generation)?;
        CodeLocation::find(range, callable.name(), callable.image(), address).symbol
    };
    let names = trace.into_iter().filter_map(place).map(|symbol| {
        // Behind a dot the compiler says which part or copy of a function it is.
        demangled(symbol.split('.').next().unwrap_or_default())
    });
    let names: Vec<String> =
        names.filter(|name| !name.starts_with(ASSERTION_HELPER)).take(FUNCTIONS_MAX).collect();
    if !names.is_empty() {
        fault.text.push_str(", thrown in ");
        fault.text.push_str(&names.join(", called by "));
    }
}

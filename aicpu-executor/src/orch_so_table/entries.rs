//! The functions of an orchestration that a run calls: found by name in the plan, and turned into
//! callable pointers once the image has its place.

use core::ffi::{CStr, c_void};
use core::mem::transmute;

use protocol::{
    BIND_SYMBOL, ChipStorageTaskArgs, DEFAULT_CONFIG_SYMBOL, DEFAULT_ENTRY_SYMBOL, RuntimeBody,
    SYMBOL_NAME_BYTES,
};

use crate::loader::{Export, LoadedImage, Plan};
use crate::platform::{BindRuntimeEntry, OrchestrationConfigEntry, OrchestrationEntry};

/// The functions of a loaded orchestration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OrchestrationEntries {
    /// Builds the graph.
    pub(crate) entry: OrchestrationEntry,
    /// Says how many arguments it wants.
    pub(crate) config: Option<OrchestrationConfigEntry>,
    /// Takes the runtime object.
    pub(crate) bind: Option<BindRuntimeEntry>,
}

/// An entry that has a runtime object while it runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BoundEntry {
    /// Takes the object, and gives it back.
    pub(crate) bind: BindRuntimeEntry,
    /// The object.
    pub(crate) runtime: *mut c_void,
    pub(crate) entry: OrchestrationEntry,
    pub(crate) args: *const ChipStorageTaskArgs,
}

/// Where the functions are, as linked.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryVaddrs {
    entry: Export,
    config: Option<Export>,
    bind: Option<Export>,
}

impl EntryVaddrs {
    /// Finds the functions that the run names; the text of an error ends "the orchestration …".
    pub(super) fn find(
        plan: &Plan<'_>,
        runtime: &RuntimeBody,
    ) -> Result<Self, heapless::String<192>> {
        let entry = symbol_name(&runtime.device_orch_func_name, DEFAULT_ENTRY_SYMBOL);
        let config = symbol_name(&runtime.device_orch_config_name, DEFAULT_CONFIG_SYMBOL);
        let found = plan.exported_function(entry).map_err(|error| {
            crate::fault::bounded_text(format_args!(
                "cannot be entered at `{}`: {error}",
                core::str::from_utf8(entry).unwrap_or("?")
            ))
        })?;
        Ok(Self {
            entry: found,
            config: plan.exported_function(config).ok(),
            bind: plan.exported_function(BIND_SYMBOL.as_bytes()).ok(),
        })
    }

    /// The functions at their run-time addresses.
    ///
    /// # Safety
    ///
    /// `image` was committed from the same plan, and its functions have the signatures that go
    /// with their names.
    pub(super) unsafe fn entries(&self, image: &LoadedImage) -> OrchestrationEntries {
        let code = |export: &Export| {
            core::ptr::with_exposed_provenance::<c_void>(image.address_of(export) as usize)
        };
        OrchestrationEntries {
            // SAFETY: a function of the image with that signature, by the contract.
            entry: unsafe { transmute::<*const c_void, OrchestrationEntry>(code(&self.entry)) },
            config: self.config.as_ref().map(|export| {
                // SAFETY: as above.
                unsafe { transmute::<*const c_void, OrchestrationConfigEntry>(code(export)) }
            }),
            bind: self.bind.as_ref().map(|export| {
                // SAFETY: as above.
                unsafe { transmute::<*const c_void, BindRuntimeEntry>(code(export)) }
            }),
        }
    }
}

/// A name of the run record, or the default where it is empty.
fn symbol_name<'a>(name: &'a [u8; SYMBOL_NAME_BYTES], default: &'a str) -> &'a [u8] {
    let given = CStr::from_bytes_until_nul(name).map_or(&name[..], CStr::to_bytes);
    if given.is_empty() { default.as_bytes() } else { given }
}

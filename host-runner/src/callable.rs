//! A callable on the host: orchestration and kernels packed into one blob, with their names.
//!
//! ```text
//! images ──CallableBuilder──▶ Callable ──register──▶ device
//! bytes  ──from_blob────────▶    │
//!                                └─ blob(): a ChipCallable, spec callable §1.8
//! ```
//!
//! The blob is what crosses the boundary, and all the device ever sees. Core types and kernel names
//! are not in it (the orchestration says at each submit where a kernel runs); they stay here for
//! messages.

use protocol::callable::parse::ChipCallableView;
use protocol::{CoreType, FuncId, WireError};

mod build;

use crate::registry::content::SharedBytes;
use crate::runtime_name::RuntimeName;

pub use self::build::{CallableBuilder, CallableError, KernelImage};

/// A callable that is ready to be registered.
///
/// # Invariants
///
/// The blob passes protocol's parser.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Callable {
    name: String,
    /// Whoever registers it shares the bytes, and what they hash to.
    blob: SharedBytes,
    kernels: Vec<KernelName>,
    runtime: RuntimeName,
}

/// What messages say about one kernel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KernelName {
    /// The number by which the orchestration names it.
    pub func_id: FuncId,
    /// The type of core it is built for.
    pub core_type: CoreType,
    /// Its name.
    pub name: String,
}

impl Callable {
    /// Starts a callable with this orchestration image, an ELF shared object.
    #[must_use]
    pub fn builder(orchestration_so: Vec<u8>) -> CallableBuilder {
        CallableBuilder::new(orchestration_so)
    }

    /// Takes a blob that was built elsewhere. It is named after its entry symbol, and its kernels
    /// have no names.
    ///
    /// # Errors
    ///
    /// [`WireError`] with the part of the blob that is wrong.
    pub fn from_blob(blob: Vec<u8>) -> Result<Self, WireError> {
        let name = ChipCallableView::parse(&blob)?.entry_symbol().to_owned();
        let blob = SharedBytes::of(blob);
        Ok(Self { name, blob, kernels: Vec::new(), runtime: RuntimeName::default() })
    }

    /// Takes a blob that a builder made of parts with these names.
    pub(crate) fn built(
        name: String,
        kernels: Vec<KernelName>,
        blob: Vec<u8>,
    ) -> Result<Self, WireError> {
        Ok(Self { name, kernels, ..Self::from_blob(blob)? })
    }

    /// The same for another runtime than trb: the bytes do not say which they were built for.
    #[must_use]
    pub fn for_runtime(self, runtime: RuntimeName) -> Self {
        Self { runtime, ..self }
    }

    /// The runtime that it is for.
    #[must_use]
    pub fn runtime(&self) -> RuntimeName {
        self.runtime
    }

    /// The name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The wire bytes (spec callable §1.8). They pass `ChipCallableView::parse`.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The wire bytes, to be kept.
    pub(crate) fn shared_blob(&self) -> &SharedBytes {
        &self.blob
    }

    /// Names of the kernels that the builder was given, in its order; none for a foreign blob.
    #[must_use]
    pub fn kernels(&self) -> &[KernelName] {
        &self.kernels
    }
}

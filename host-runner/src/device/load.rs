//! Having a device load an orchestration, apart from any run.

use std::fmt;

use aicpu_executor::Fault;
use aicpu_executor::loaded_code::LoadedRange;
use protocol::{CallableId, DeviceAddr, RuntimeBody, SYMBOL_NAME_BYTES, StatusCode};

/// Which orchestration a device is to load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrchestrationLoad<'a> {
    /// The id under which runs will name it.
    pub id: CallableId,
    /// Which use of the id.
    pub generation: u32,
    /// Where its image is in device memory; it is read during the load only.
    pub address: DeviceAddr,
    /// Bytes of the image.
    pub bytes: u64,
    /// Name of its entry, with a NUL behind it.
    pub entry_symbol: &'a [u8; SYMBOL_NAME_BYTES],
    /// Name of its config function, with a NUL behind it.
    pub config_symbol: &'a [u8; SYMBOL_NAME_BYTES],
    /// First eight bytes of the hash of the callable, for logs and traces.
    pub digest_prefix: u64,
}

impl OrchestrationLoad<'_> {
    /// The record of a run that would load it, without a run.
    pub(crate) fn body(&self) -> RuntimeBody {
        let mut body = RuntimeBody {
            active_callable_id: self.id.raw(),
            register_new_callable_id: 1,
            dev_orch_so_addr: self.address,
            dev_orch_so_size: self.bytes,
            device_orch_func_name: *self.entry_symbol,
            device_orch_config_name: *self.config_symbol,
            ..RuntimeBody::default()
        };
        body.extension.callable_generation = self.generation;
        body.extension.digest_prefix = self.digest_prefix;
        body.extension = body.extension.sealed();
        body
    }
}

/// A load that the executor ended with a status. Nothing of the orchestration stays loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadFault {
    /// The callable.
    pub id: CallableId,
    /// What the status means; `None` for a number that is none of the protocol's.
    pub code: Option<StatusCode>,
    /// The status as users of the reference see it: negative.
    pub status: i32,
    /// What happened, where, and the numbers that matter.
    pub text: String,
    /// Where a constructor threw, if that is what happened and the device can tell.
    pub thrown: Option<ThrowTrace>,
}

/// Through which calls in code that is gone an exception came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThrowTrace {
    /// Where the code was.
    pub range: LoadedRange,
    /// Return addresses of calls in it, the innermost first.
    pub addresses: Vec<u64>,
}

impl LoadFault {
    /// The fault that the executor reports of a load.
    pub fn new(id: CallableId, Fault { code, text }: &Fault, thrown: Option<ThrowTrace>) -> Self {
        let text = text.as_str().to_owned();
        Self { id, code: StatusCode::from_code(*code), status: -code, text, thrown }
    }
}

impl fmt::Display for LoadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the device did not load callable {}: status {}", self.id, self.status)?;
        if let Some(code) = self.code {
            write!(f, " ({})", code.name())?;
        }
        write!(f, ": {}", self.text)?;
        match self.code {
            Some(code) => write!(f, "; {}; {}", code.meaning(), code.remedy()),
            None => Ok(()),
        }
    }
}

impl std::error::Error for LoadFault {}

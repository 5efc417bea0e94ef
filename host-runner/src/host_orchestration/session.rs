//! One call of an entry: what the orchestration's calls do, and what comes of them.

use std::any::Any;
use std::collections::BTreeMap;

use protocol::{ChipStorageTaskArgs, DeviceAddr, GRAPH_TASK_ARGS};

use super::built::{
    Built, Copies, CopySource, Output, OutputTarget, RecordedCopy, Recording, find_argument,
    touched_argument,
};
use super::{BuildError, BuildMode, CallError, CallFault, RunMemory};
use crate::device::{Device, MemoryError};
use crate::graph::{GraphBuilder, GraphError};

/// The state of one call of an entry.
pub(super) struct Session<'s> {
    device: &'s dyn Device,
    memory: &'s mut RunMemory,
    pub(super) builder: &'s mut GraphBuilder,
    arguments: &'s ChipStorageTaskArgs,
    outputs: Vec<Output>,
    /// The first output in each allocation of the run that has one, by the allocation's start. Those are
    /// not freed any more: what is there then could be something else.
    first_outputs: BTreeMap<DeviceAddr, usize>,
    copies: Copies,
    recording: Option<Recording>,
    /// The first wrong call. Nothing is done after it.
    pub(super) wrong: Option<CallError>,
    /// The last call that could not be granted without being wrong.
    mentioned: Option<Box<CallError>>,
    /// A panic of the host's own, which goes on when the orchestration has returned.
    pub(super) panic: Option<Box<dyn Any + Send>>,
}

/// Host memory that an orchestration names. Nothing has been read from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct HostRange {
    address: usize,
    bytes: usize,
}

impl HostRange {
    /// A range, which is not empty.
    fn new(address: usize, bytes: usize) -> Result<Self, CallFault> {
        if address == 0 {
            return Err(CallFault::Null { what: "the host pointer", bytes });
        }
        // No object is larger than this, and none wraps.
        if isize::try_from(bytes).is_err() || address.checked_add(bytes).is_none() {
            return Err(CallFault::HostRange { address, bytes });
        }
        Ok(Self { address, bytes })
    }

    fn overlaps(self, device: DeviceAddr) -> bool {
        // CAST: (all) usize is 64 bits on the supported targets.
        let (host, device, bytes) = (self.address as u64, device.raw(), self.bytes as u64);
        host.abs_diff(device) < bytes
    }
}

impl<'s> Session<'s> {
    /// Nothing built yet: memory and graph start over.
    pub(super) fn new(
        device: &'s dyn Device,
        memory: &'s mut RunMemory,
        builder: &'s mut GraphBuilder,
        arguments: &'s ChipStorageTaskArgs,
        mode: BuildMode,
    ) -> Self {
        memory.begin_run();
        builder.clear();
        Self {
            device,
            memory,
            builder,
            arguments,
            outputs: Vec::new(),
            first_outputs: BTreeMap::new(),
            copies: Copies::default(),
            recording: (mode == BuildMode::Record).then(Recording::default),
            wrong: None,
            mentioned: None,
            panic: None,
        }
    }

    /// Adds a task with at most [`GRAPH_TASK_ARGS`] arguments, which may be anywhere.
    pub(super) fn add_task(
        &mut self,
        args: &[[u8; size_of::<u64>()]],
        func_id: i32,
        core_type: i32,
    ) -> Result<i32, CallFault> {
        let args = args.iter().map(|word| u64::from_ne_bytes(*word));
        // CAST: a graph has at most 2^31 - 1 tasks.
        Ok(self.builder.add_task_of(args, func_id, core_type)? as i32)
    }

    /// Why a task cannot have this number of arguments.
    pub(super) fn argument_count(&self, have: i32) -> CallFault {
        // CAST: a graph has at most 2^31 - 1 tasks.
        let task = self.builder.task_count() as u32;
        let (have, limit) = (have.into(), GRAPH_TASK_ARGS);
        GraphError::ArgumentCount { task, have, limit }.into()
    }

    /// Allocates memory of the run; null where the device has none.
    pub(super) fn allocate(&mut self, bytes: usize) -> Result<DeviceAddr, CallFault> {
        match self.memory.allocate(self.device, bytes) {
            Err(error @ MemoryError::Exhausted { .. }) => {
                self.mention("device_malloc", error.into());
                Ok(DeviceAddr::default())
            }
            other => Ok(other?),
        }
    }

    /// Gives memory of the run back, which no output is in. Null is nobody's, and nothing happens.
    pub(super) fn free(&mut self, address: DeviceAddr) -> Result<(), CallFault> {
        if address.is_null() {
            return Ok(());
        }
        if let Some(&index) = self.first_outputs.get(&address) {
            let Output { device: address, bytes, .. } = self.outputs[index];
            return Err(CallFault::OutputFreed { index, address, bytes });
        }
        Ok(self.memory.free(address)?)
    }

    /// Copies host memory to the device. Of no bytes, the pointers mean nothing.
    ///
    /// # Safety
    ///
    /// The host memory can be read, and nobody writes it meanwhile.
    pub(super) unsafe fn copy_in(
        &mut self,
        to: DeviceAddr,
        host: usize,
        bytes: usize,
    ) -> Result<(), CallFault> {
        if bytes == 0 {
            return Ok(());
        }
        self.check_pair(to, host, bytes)?;
        let pointer = std::ptr::with_exposed_provenance::<u8>(host);
        // SAFETY: the caller's promise; not null, and not beyond the end of memory.
        let from = unsafe { std::slice::from_raw_parts(pointer, bytes) };
        self.device.copy_in(to, from)?;
        self.copies.count += 1;
        // CAST: usize is 64 bits on the supported targets.
        self.copies.bytes += bytes as u64;
        if let Some(recording) = &mut self.recording {
            let source = match find_argument(self.arguments, host, bytes) {
                Some((tensor, offset)) => CopySource::Argument { tensor, offset },
                None => match touched_argument(self.arguments, host, bytes) {
                    Some(tensor) => CopySource::Partly { tensor },
                    None => CopySource::Bytes(from.into()),
                },
            };
            recording.copies.push(RecordedCopy { device: to, bytes, source });
        }
        Ok(())
    }

    /// Notes an output. Of no bytes, the pointers mean nothing.
    pub(super) fn record_output(
        &mut self,
        host: usize,
        device: DeviceAddr,
        bytes: usize,
    ) -> Result<(), CallFault> {
        if bytes == 0 {
            return Ok(());
        }
        self.check_pair(device, host, bytes)?;
        if let Some(start) = self.memory.allocation_of(device, bytes) {
            self.first_outputs.entry(start).or_insert(self.outputs.len());
        }
        self.outputs.push(Output { host, device, bytes });
        if let Some(recording) = &mut self.recording {
            recording.targets.push(match find_argument(self.arguments, host, bytes) {
                Some((tensor, offset)) => OutputTarget::Argument { tensor, offset },
                None => OutputTarget::Elsewhere,
            });
        }
        Ok(())
    }

    /// Checks the two sides of a copy, which is not empty.
    fn check_pair(&self, device: DeviceAddr, host: usize, bytes: usize) -> Result<(), CallFault> {
        if device.is_null() {
            return Err(CallFault::Null { what: "the device pointer", bytes });
        }
        let host = HostRange::new(host, bytes)?;
        self.check_device(device, bytes)?;
        if host.overlaps(device) {
            return Err(CallFault::Overlap { host: host.address, device });
        }
        Ok(())
    }

    /// Checks that the run may use device memory.
    fn check_device(&self, address: DeviceAddr, bytes: usize) -> Result<(), CallFault> {
        if self.memory.contains(address, bytes) {
            return Ok(());
        }
        self.device.check_user_range(address, bytes).map_err(|error| match error {
            MemoryError::OutOfRange { .. } => CallFault::DeviceRange { address, bytes },
            other => other.into(),
        })
    }

    /// Notes a call that is not granted, and of which the orchestration has been told.
    pub(super) fn mention(&mut self, call: &'static str, cause: CallFault) {
        self.mentioned = Some(Box::new(CallError { call, cause }));
    }

    /// What came of it, with what the entry returned or threw.
    pub(super) fn finish(mut self, returned: Result<i32, String>) -> Result<Built, BuildError> {
        if let Some(wrong) = self.wrong {
            return Err(wrong.into());
        }
        let mentioned = self.mentioned.take();
        match returned {
            Ok(0) => {}
            Ok(status) => return Err(BuildError::Returned { status, mentioned }),
            Err(text) => return Err(BuildError::Exception { text, mentioned }),
        }
        // Memory of the user may have been freed by the user.
        for (index, &Output { device: address, bytes, .. }) in self.outputs.iter().enumerate() {
            let cause = match self.check_device(address, bytes) {
                Ok(()) => continue,
                Err(CallFault::DeviceRange { .. }) => {
                    CallFault::OutputFreed { index, address, bytes }
                }
                Err(other) => other,
            };
            return Err(CallError { call: "record_tensor_pair", cause }.into());
        }
        Ok(Built { outputs: self.outputs, copies: self.copies, recording: self.recording })
    }
}

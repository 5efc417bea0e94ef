//! `alloc_tensors`: output memory without a kernel (spec trb §4.7).

use protocol::{Arg, Chip, StatusCode, TaskOutputTensors};

use super::request::{TaskRequest, TensorArg};
use super::{Fatal, Orchestrator, Services, payload};
use crate::platform::Platform;

impl Orchestrator {
    /// Allocates the tensors of an argument record that has nothing but create-infos.
    ///
    /// # Safety
    ///
    /// As for [`TaskRequest::read`].
    pub(crate) unsafe fn alloc_tensors<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        arg: *const Arg,
    ) -> TaskOutputTensors {
        // SAFETY: by the contract.
        unsafe { self.try_alloc(services, arg) }.unwrap_or(TaskOutputTensors::EMPTY)
    }

    /// # Safety
    ///
    /// As for [`alloc_tensors`](Self::alloc_tensors).
    unsafe fn try_alloc<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        arg: *const Arg,
    ) -> Result<TaskOutputTensors, Fatal> {
        services.check()?;
        // SAFETY: by the contract.
        let request = unsafe { TaskRequest::read(services, arg) }?;
        let only_outputs =
            request.tensors.iter().all(|tensor| matches!(tensor, TensorArg::Create { .. }));
        if !only_outputs || !request.scalars.is_empty() {
            return Err(services.fatal(
                StatusCode::InvalidArgs,
                format_args!("alloc_tensors only accepts output TensorCreateInfo args"),
            ));
        }
        if request.tensors.is_empty() {
            return Err(services.fatal(
                StatusCode::InvalidArgs,
                format_args!("alloc_tensors requires at least one TensorCreateInfo"),
            ));
        }
        let (taken, mut note, _) = self.begin_task(services, &request)?;
        taken.slot.open_completed();
        let result = payload::write(services.platform, &request, &taken);
        self.scopes.adopt(taken.handle, &mut note);
        // SAFETY: this is the orchestrator's thread.
        unsafe { taken.slot.set_note(note) };
        services.platform.interleave();
        services.scheduler.count_completed(1);
        Ok(result)
    }
}

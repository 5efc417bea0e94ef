//! `alloc_tensors`: output memory without a kernel (spec trb §4.7).

use protocol::{Arg, Chip, StatusCode, TaskId, TaskOutputTensors};

use super::request::TaskRequest;
use super::{Fatal, Orchestrator, Services};
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
        match unsafe { self.try_alloc(services, arg) } {
            Ok(id) => self.result(id),
            // What has gone wrong is in the fault latch.
            Err(Fatal) => TaskOutputTensors::EMPTY,
        }
    }

    /// # Safety
    ///
    /// As for [`alloc_tensors`](Self::alloc_tensors).
    unsafe fn try_alloc<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        arg: *const Arg,
    ) -> Result<TaskId, Fatal> {
        services.check()?;
        // SAFETY: by the contract.
        let request = unsafe { TaskRequest::read(services, arg, &mut self.output_bytes) }?;
        let tensors = request.tensor_count();
        if request.output_count != tensors || request.scalar_count() != 0 {
            return Err(services.fatal(
                StatusCode::InvalidArgs,
                format_args!("alloc_tensors only accepts output TensorCreateInfo args"),
            ));
        }
        if tensors == 0 {
            return Err(services.fatal(
                StatusCode::InvalidArgs,
                format_args!("alloc_tensors requires at least one TensorCreateInfo"),
            ));
        }
        let taken = self.begin_task(services, &request)?;
        taken.slot.open_completed();
        self.take_arguments(services, &request, &taken)?;
        self.scopes.adopt(taken.id, &mut self.rings);
        services.platform.interleave();
        services.scheduler.count_completed(1);
        Ok(taken.id)
    }
}

//! `alloc_tensors`: output memory without a kernel (spec trb §4.7).

use protocol::{Arg, Chip, StatusCode, TaskOutputTensors};

use super::request::TaskRequest;
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
        let mut result = TaskOutputTensors::EMPTY;
        // SAFETY: by the contract. What has gone wrong is in the fault latch.
        let _latched = unsafe { self.try_alloc(services, arg, &mut result) };
        result
    }

    /// # Safety
    ///
    /// As for [`alloc_tensors`](Self::alloc_tensors).
    unsafe fn try_alloc<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        arg: *const Arg,
        result: &mut TaskOutputTensors,
    ) -> Result<(), Fatal> {
        services.check()?;
        // SAFETY: by the contract.
        let request = unsafe { TaskRequest::read(services, arg) }?;
        let tensors = request.tensors().len();
        if request.output_count != tensors || !request.scalars().is_empty() {
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
        let (taken, note, _) = self.begin_task(services, &request)?;
        taken.slot.open_completed();
        payload::write(services.platform, &request, &taken, result);
        self.scopes.adopt(taken.id, &mut self.rings);
        // SAFETY: this is the orchestrator's thread.
        unsafe { taken.slot.set_note(note) };
        services.platform.interleave();
        services.scheduler.count_completed(1);
        Ok(())
    }
}

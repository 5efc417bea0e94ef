//! Reading and writing single elements from the orchestration (spec trb §1.6).
//!
//! A read waits for the tensor's creator and for every registered writer of what it touches; a
//! write waits, in addition, until nobody uses what those tasks have produced.

use protocol::{Chip, DataType, MAX_TENSOR_DIMS, StatusCode, Tensor};

use super::overlap::Access;
use super::{Fatal, Orchestrator, Services};
use crate::log::log_at;
use crate::platform::Platform;
use crate::region::TaskSlot;
use crate::wait::WaitEnd;

/// What an element access waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// The producers are complete.
    Completed,
    /// They are, and no other task holds on to them.
    Unused,
}

/// Where an element is.
#[derive(Debug, Clone, Copy)]
struct Element {
    address: u64,
    bytes: usize,
}

impl Orchestrator {
    /// Reads the element at `indices`; 0 after a fault.
    pub(crate) fn get_tensor_data<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        tensor: &Tensor,
        indices: &[u32],
    ) -> u64 {
        let element = self.element(services, tensor, indices, Until::Completed);
        let Ok(Some(element)) = element else { return 0 };
        services.platform.invalidate_cache(element.address, element.bytes);
        let mut value = [0; 8];
        let source = core::ptr::with_exposed_provenance::<u8>(element.address as usize);
        // SAFETY: the element lies within the tensor's buffer, which the orchestration vouches
        // for, and its writers are complete; `bytes` is at most 8.
        unsafe { source.copy_to_nonoverlapping(value.as_mut_ptr(), element.bytes.min(8)) };
        u64::from_le_bytes(value)
    }

    /// Writes `value` to the element at `indices`; nothing after a fault.
    pub(crate) fn set_tensor_data<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        tensor: &Tensor,
        indices: &[u32],
        value: u64,
    ) {
        let element = self.element(services, tensor, indices, Until::Unused);
        let Ok(Some(element)) = element else { return };
        let target = core::ptr::with_exposed_provenance_mut::<u8>(element.address as usize);
        // SAFETY: as for the read; nobody else uses the memory now.
        unsafe {
            target.copy_from_nonoverlapping(value.to_le_bytes().as_ptr(), element.bytes.min(8));
        }
        services.platform.clean_cache(element.address, element.bytes);
    }

    /// Finds the element and waits until it may be used. `None` for a tensor without memory.
    fn element<C: Chip, P: Platform>(
        &mut self,
        services: &mut Services<'_, C, P>,
        tensor: &Tensor,
        indices: &[u32],
        until: Until,
    ) -> Result<Option<Element>, Fatal> {
        services.check()?;
        if tensor.buffer.addr == 0 {
            log_at!(Error, "an element of a tensor without memory was asked for");
            return Ok(None);
        }
        let (access, element) = locate(services, tensor, indices)?;
        if let Ok(Some((_, creator))) = self.rings.find(&self.region, tensor.owner_task_id) {
            self.await_task(services, creator, until)?;
        }
        if tensor.manual_dep == 0 {
            let region = self.region;
            // Waiting inside the walk is fine: nothing is retired meanwhile, so no chain changes.
            self.map.visit_overlaps(&region, &access, |found| {
                let slot = region.slot(found.producer);
                slot.map_or(Ok(()), |slot| self.await_task(services, slot, until))
            })?;
        }
        Ok(Some(element))
    }

    /// Waits for one producer.
    fn await_task<C: Chip, P: Platform>(
        &self,
        services: &mut Services<'_, C, P>,
        slot: &TaskSlot,
        until: Until,
    ) -> Result<(), Fatal> {
        let end = services.work_until(&self.region, || {
            let unused = || slot.reference_count() == 0;
            (slot.is_completed() && (until == Until::Completed || unused())).then_some(())
        });
        match end {
            Ok(()) => Ok(()),
            Err(WaitEnd::Aborted) => Err(Fatal),
            Err(WaitEnd::TimedOut) => Err(services.fatal(
                StatusCode::TensorWaitTimeout,
                format_args!(
                    "an element access waited for {}, and no task made progress for {} ms{}",
                    match until {
                        Until::Completed => "the task that writes it",
                        Until::Unused => "the tasks that use it",
                    },
                    services.stall_us / 1000,
                    services.scheduler.waits_for()
                ),
            )),
        }
    }
}

/// Checks an element access.
fn locate<'t, C: Chip, P: Platform>(
    services: &Services<'_, C, P>,
    tensor: &'t Tensor,
    indices: &[u32],
) -> Result<(Access<'t>, Element), Fatal> {
    let invalid = |text: core::fmt::Arguments<'_>| services.fatal(StatusCode::InvalidArgs, text);
    let access =
        Access::of(tensor).map_err(|flaw| invalid(format_args!("element access: {flaw}")))?;
    if indices.len() > MAX_TENSOR_DIMS || indices.len() > tensor.ndims as usize {
        return Err(invalid(format_args!(
            "element access with {} indices into a tensor of {} dimensions",
            indices.len(),
            tensor.ndims
        )));
    }
    let bytes = DataType::try_from(tensor.dtype).map_or(1, DataType::element_bytes);
    let offset = access.geometry().flat_offset(indices).checked_mul(bytes);
    let end = offset.and_then(|offset| offset.checked_add(bytes));
    let (Some(offset), Some(true)) = (offset, end.map(|end| end <= tensor.buffer.size)) else {
        return Err(invalid(format_args!(
            "element access {indices:?} lies outside the tensor's buffer of {} bytes",
            tensor.buffer.size
        )));
    };
    let address = tensor.buffer.addr.checked_add(offset).ok_or_else(|| {
        invalid(format_args!("element access {indices:?} lies beyond the address space"))
    })?;
    Ok((access, Element { address, bytes: bytes as usize }))
}

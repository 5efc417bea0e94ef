//! Loading and unloading orchestrations, on a thread that may be lost.
//!
//! Constructors and destructors are code of the user and may never return. So an AICPU thread of
//! their own runs them, and whoever gave the order watches it:
//!
//! ```text
//!  begin ─▶ limit ─┬▶ back: done, or a fault of the load
//!                  └▶ stuck: the slot is closed, the device is lost, the cause named
//! ```
//!
//! A run that is in flight meanwhile has nothing to do with it. It goes on to its end, its outputs
//! can be read, and only then the loss shows: nothing new starts on the device.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Instant;

use aicpu_executor::platform::Platform as _;
use protocol::{CallableId, Chip};

use super::aicpu_threads::Part;
use super::memory::Place;
use super::order::{Order, Pointer};
use super::{Parts, SimDevice};
use crate::device::{
    DeviceError, DeviceLost, Holder, LoadFault, LostCause, MemoryError, OrchestrationLoad,
};
use crate::foreign_code::relay::{Relay, Unfinished};

impl<C: Chip> SimDevice<C> {
    /// Has the loader's thread load an orchestration.
    pub(super) fn load(&self, load: &OrchestrationLoad<'_>) -> Result<(), DeviceError> {
        let address = load.address;
        let bytes = usize::try_from(load.bytes)
            .map_err(|_| MemoryError::OutOfRange { address, bytes: usize::MAX })?;
        let Parts { engine, memory, .. } = &*self.parts;
        let loader = self.loader();
        if self.is_lost() {
            return Err(DeviceError::Gone);
        }
        // Both stay until the thread is back: the image even if somebody frees it.
        let (image, body) = (memory.place(address, bytes)?, Box::new(load.body()));
        memory.ledger().restart(Holder::Tensors(load.id));
        // SAFETY: the body stays where it is until the thread is back, or for ever.
        let order = Order::Load(unsafe { Pointer::new(&raw const *body) });
        self.lend_instance(load, &image);
        if let Err(lost) = self.carry_out(&loader, order, Some(load.id)) {
            std::mem::forget((image, body));
            return Err(lost.into());
        }
        // An image that was refused was not placed.
        self.take_instance_back(load.id);
        match engine.take_load_fault() {
            Some((fault, thrown)) => Err(LoadFault::new(load.id, &fault, thrown).into()),
            // A run has lost it meanwhile.
            None if self.is_lost() => Err(DeviceError::Gone),
            None => Ok(()),
        }
    }

    /// Has the loader's thread unload; of a lost device nothing is.
    pub(super) fn unload(&self, order: Order<C>) -> Result<(), DeviceLost> {
        let loader = self.loader();
        if self.is_lost() {
            return Ok(());
        }
        let id = match order {
            Order::Unload { id, .. } => Some(id),
            _ => None,
        };
        self.carry_out(&loader, order, id)?;
        id.into_iter().for_each(|id| self.take_instance_back(id));
        Ok(())
    }

    /// Lends the slot of an id an instance of the image that it loads next, if there can be one.
    fn lend_instance(&self, load: &OrchestrationLoad<'_>, image: &Place) {
        let Parts { engine, images, .. } = &*self.parts;
        let platform = engine.executor().platform();
        // CAST: it was looked up with so many bytes.
        // SAFETY: nobody writes to an image that is in device memory (`Device::upload_image`).
        let bytes = unsafe { image.own_bytes(load.bytes as usize) };
        // An instance is memory that others have, too.
        let Some(bytes) = bytes.filter(|_| !platform.has_private_code()) else { return };
        let mut slot = platform.code_memory(load.id).lock();
        // SAFETY: `load` has the image until it takes the instance back, or for good; `free` has it
        // forgotten before other bytes are there.
        unsafe { images.lend(load.id, load.address, bytes, &mut slot) };
    }

    /// Takes back what the slot of an id was lent, if it does not use it.
    fn take_instance_back(&self, id: CallableId) {
        let Parts { engine, images, .. } = &*self.parts;
        images.take_back(id, &mut engine.executor().platform().code_memory(id).lock());
    }

    /// The thread that loads and unloads; waits for its last order.
    fn loader(&self) -> MutexGuard<'_, Relay> {
        // The thread is as it was, whatever happened to somebody who watched it.
        self.parts.loader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the thread carry out an order, which calls code of `id`, or of any callable. The device is
    /// lost where it does not come back, and marked so.
    fn carry_out(
        &self,
        loader: &Relay,
        order: Order<C>,
        id: Option<CallableId>,
    ) -> Result<(), DeviceLost> {
        let executor = self.parts.engine.executor();
        let engine = Arc::clone(&self.parts.engine);
        let pending = loader.begin(move || engine.carry_out(order, Part::Member { index: 0 }));
        let ended = pending.wait(Instant::now() + self.unload_limit);
        let cause = match ended {
            Ok(_status) => return Ok(()),
            Err(Unfinished::Panicked) => LostCause::Executor,
            Err(Unfinished::Late) => {
                let call = match id {
                    Some(id) => executor.running_call_of(id),
                    None => executor.running_call(),
                };
                match call.filter(|call| executor.quarantine(call.callable)) {
                    Some(call) => LostCause::Function(Box::new(call)),
                    // It has returned at the last moment: the rest is no code of the user.
                    None => match pending.wait(Instant::now() + self.unload_limit) {
                        Ok(_status) => return Ok(()),
                        Err(unfinished) => {
                            tracing::error!(
                                ?unfinished,
                                "loading hangs outside the code of the user"
                            );
                            LostCause::Executor
                        }
                    },
                }
            }
        };
        self.close();
        Err(DeviceLost { cause, fault: None })
    }
}

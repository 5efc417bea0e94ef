//! A device for tests: another one, of which one chosen call fails, or all from it on.
//!
//! A transaction is tested by letting its first call fail, then its second, and so on until it
//! succeeds: each time, nothing may be left.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aicpu_executor::loaded_code::LoadedRange;
use protocol::callable::parse::CoreCallableView;
use protocol::{CallableId, DeviceAddr, RuntimeBody, StatusCode};

use super::{
    Device, DeviceError, DeviceFacts, DeviceLost, DeviceMemoryReport, DeviceUsage, Holder,
    ImageError, Interleaving, KernelError, Launch, LoadFault, MemoryError, OrchestrationError,
    OrchestrationLoad, RunOutcome, SharedMemory, Side, Uploaded,
};
use crate::code_listing::CodeLister;

/// A device that fails once, or from a call on.
///
/// What counts is what takes something from the device or looks at it: `allocate`, `copy_in`,
/// `check_user_range`, `copy_out`, `check_orchestration`, `load_kernel`, `load_orchestration`. Giving back
/// and running always pass through.
#[derive(Debug)]
pub(crate) struct FailingDevice<D> {
    inner: D,
    failures: Arc<Failures>,
}

/// What is to fail, and what has been called; of one device, or of several that follow one another.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// Counted calls so far.
    calls: AtomicUsize,
    /// Number of the call that fails, from 1; 0 is none.
    fails_at: AtomicUsize,
    /// Number of the last call that fails with it.
    fails_to: AtomicUsize,
    /// The record of the last run, as the host has filled it.
    record: Mutex<Option<Box<RuntimeBody>>>,
}

impl Failures {
    /// Counts from 0 again, and lets the `number`-th counted call from now on fail; 0 lets none.
    pub(crate) fn fail_at(&self, number: usize) {
        self.fail_between(number, number);
    }

    /// The same with all calls after it.
    pub(crate) fn fail_from(&self, number: usize) {
        self.fail_between(number, usize::MAX);
    }

    fn fail_between(&self, first: usize, last: usize) {
        self.calls.store(0, Ordering::SeqCst);
        self.fails_at.store(first, Ordering::SeqCst);
        self.fails_to.store(last, Ordering::SeqCst);
    }

    /// Counted calls since [`fail_at`](Self::fail_at), the failed one included.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// The record of the last run, as the host has filled it.
    pub(crate) fn take_record(&self) -> Option<Box<RuntimeBody>> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<D: Device> FailingDevice<D> {
    /// Passes everything on to `inner`.
    pub(crate) fn new(inner: D) -> Self {
        Self::with(inner, Arc::default())
    }

    /// The same, with failures that a test keeps a hold of.
    pub(crate) fn with(inner: D, failures: Arc<Failures>) -> Self {
        Self { inner, failures }
    }

    /// As [`Failures::fail_at`].
    pub(crate) fn fail_at(&self, number: usize) {
        self.failures.fail_at(number);
    }

    /// As [`Failures::calls`].
    pub(crate) fn calls(&self) -> usize {
        self.failures.calls()
    }

    /// The device that does the work.
    pub(crate) fn inner(&self) -> &D {
        &self.inner
    }

    /// Counts a call, and makes it if it is not the one that fails.
    fn counted<T, E>(
        &self,
        failure: impl FnOnce() -> E,
        call: impl FnOnce(&D) -> Result<T, E>,
    ) -> Result<T, E> {
        let number = self.failures.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let Failures { fails_at, fails_to, .. } = &*self.failures;
        let (first, last) = (fails_at.load(Ordering::SeqCst), fails_to.load(Ordering::SeqCst));
        if (first..=last).contains(&number) {
            return Err(failure());
        }
        call(&self.inner)
    }
}

impl<D: Device> Device for FailingDevice<D> {
    fn facts(&self) -> DeviceFacts {
        self.inner.facts()
    }

    fn has_ended(&self) -> bool {
        self.inner.has_ended()
    }

    fn usage(&self) -> DeviceUsage {
        self.inner.usage()
    }

    fn memory_report(&self) -> DeviceMemoryReport {
        self.inner.memory_report()
    }

    fn allocate(&self, bytes: usize, holder: Holder) -> Result<DeviceAddr, MemoryError> {
        let failure = || MemoryError::Exhausted { bytes };
        self.counted(failure, |device| device.allocate(bytes, holder))
    }

    fn restart_high_water(&self, holder: Holder) {
        self.inner.restart_high_water(holder);
    }

    fn free(&self, address: DeviceAddr) -> Result<(), MemoryError> {
        self.inner.free(address)
    }

    fn copy_in(&self, to: DeviceAddr, from: &[u8]) -> Result<(), MemoryError> {
        let failure = || MemoryError::OutOfRange { address: to, bytes: from.len() };
        self.counted(failure, |device| device.copy_in(to, from))
    }

    fn check_user_range(&self, address: DeviceAddr, bytes: usize) -> Result<(), MemoryError> {
        let failure = || MemoryError::OutOfRange { address, bytes };
        self.counted(failure, |device| device.check_user_range(address, bytes))
    }

    fn copy_out(&self, to: &mut [u8], from: DeviceAddr) -> Result<(), MemoryError> {
        let bytes = to.len();
        let failure = || MemoryError::OutOfRange { address: from, bytes };
        self.counted(failure, |device| device.copy_out(to, from))
    }

    fn attach(&self, memory: Arc<SharedMemory>, side: Side) {
        self.inner.attach(memory, side);
    }

    fn detach(&self, address: DeviceAddr) {
        self.inner.detach(address);
    }

    fn check_orchestration(&self, image: &[u8], entry: &str) -> Result<(), OrchestrationError> {
        let failure = || OrchestrationError::Unresolved { names: vec!["injected".to_owned()] };
        self.counted(failure, |device| device.check_orchestration(image, entry))
    }

    fn load_kernel(&self, kernel: &CoreCallableView<'_>) -> Result<Uploaded, KernelError> {
        let failure = || ImageError::MissingSymbol { symbol: "injected".to_owned() }.into();
        self.counted(failure, |device| device.load_kernel(kernel))
    }

    fn unload_kernel(&self, record: DeviceAddr) -> Result<(), KernelError> {
        self.inner.unload_kernel(record)
    }

    fn load_orchestration(&self, load: &OrchestrationLoad<'_>) -> Result<(), DeviceError> {
        let code = StatusCode::LoadFailed;
        let text = "injected".to_owned();
        let fault =
            LoadFault { id: load.id, code: Some(code), status: -code.code(), text, thrown: None };
        self.counted(|| fault.into(), |device| device.load_orchestration(load))
    }

    fn unload_orchestration(&self, id: CallableId, generation: u32) -> Result<(), DeviceLost> {
        self.inner.unload_orchestration(id, generation)
    }

    fn loaded_code(&self) -> Vec<LoadedRange> {
        self.inner.loaded_code()
    }

    fn list_code(&self, lister: Arc<CodeLister>) {
        self.inner.list_code(lister);
    }

    fn throw_trace(&self) -> Vec<u64> {
        self.inner.throw_trace()
    }

    fn interleaving(&self) -> Option<Interleaving> {
        self.inner.interleaving()
    }

    fn run(
        &self,
        launch: &Launch,
        fill: &mut dyn FnMut(&mut RuntimeBody),
    ) -> Result<RunOutcome, DeviceError> {
        self.inner.run(launch, &mut |body| {
            fill(body);
            let mut record = self.failures.record.lock().unwrap_or_else(PoisonError::into_inner);
            *record = Some(Box::new(*body));
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::sim::SimDevice;
    use protocol::A2a3;

    #[test]
    fn the_chosen_call_fails_and_all_others_pass_through() {
        let device = FailingDevice::new(SimDevice::<A2a3>::open().unwrap());
        let address = device.allocate(8, Holder::User).unwrap();
        device.fail_at(2);
        device.copy_in(address, &[1; 8]).unwrap();
        let refused = device.allocate(16, Holder::User);
        assert_eq!(refused, Err(MemoryError::Exhausted { bytes: 16 }));
        let mut back = [0; 8];
        device.copy_out(&mut back, address).unwrap();
        assert_eq!((back, device.calls()), ([1; 8], 3));
        assert_eq!(device.inner().usage().allocations, 1);
        device.free(address).unwrap();
        assert_eq!(device.calls(), 3, "giving back does not count");
    }
}

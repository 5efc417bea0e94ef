//! A device that tells what a worker asks of it, and that a test can spoil.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aicpu_executor::loaded_code::LoadedRange;
use host_runner::device::sim::SimDevice;
use host_runner::device::{
    Device, DeviceError, DeviceFacts, DeviceLost, DeviceMemoryReport, DeviceUsage, Holder,
    KernelError, Launch, LostCause, MemoryError, OrchestrationError, OrchestrationLoad, RunOutcome,
    SharedMemory, Side, Uploaded,
};
use host_runner::worker::{Worker, WorkerConfig};
use protocol::callable::parse::CoreCallableView;
use protocol::{A2a3, CallableId, DeviceAddr, RuntimeBody};

/// The simulated device that does the work, and what a test sees of it.
#[derive(Debug)]
pub struct Spied {
    device: SimDevice<A2a3>,
    bytes_in: AtomicUsize,
    bytes_out: AtomicUsize,
    is_gone: AtomicBool,
    hangs_unloading: AtomicBool,
    given: Mutex<Vec<(Holder, DeviceAddr)>>,
}

/// The worker's end.
#[derive(Debug, Clone)]
pub struct SpiedDevice(Arc<Spied>);

/// The devices that a worker has opened, in order.
pub type Opened = Arc<Mutex<Vec<SpiedDevice>>>;

/// A worker whose devices can be watched and spoiled.
pub fn open_worker() -> (Worker, Opened) {
    let opened = Opened::default();
    let its = Arc::clone(&opened);
    let open = move || -> Result<Box<dyn Device>, DeviceError> {
        let device = SpiedDevice::open()?;
        its.lock().unwrap_or_else(PoisonError::into_inner).push(device.clone());
        Ok(Box::new(device))
    };
    (Worker::open_on(WorkerConfig::default(), open).expect("the simulator opens"), opened)
}

impl SpiedDevice {
    /// Opens a simulated device.
    ///
    /// # Errors
    ///
    /// Why it cannot be opened.
    pub fn open() -> Result<Self, DeviceError> {
        let device = SimDevice::<A2a3>::open()?;
        Ok(Self(Arc::new(Spied {
            device,
            bytes_in: AtomicUsize::new(0),
            bytes_out: AtomicUsize::new(0),
            is_gone: AtomicBool::new(false),
            hangs_unloading: AtomicBool::new(false),
            given: Mutex::default(),
        })))
    }

    /// Bytes that were copied to the device and from it since the last call.
    pub fn take_traffic(&self) -> (usize, usize) {
        let take = |counter: &AtomicUsize| counter.swap(0, Ordering::SeqCst);
        (take(&self.0.bytes_in), take(&self.0.bytes_out))
    }

    /// Addresses that it has given out so far, freed ones included, and for whom.
    pub fn given(&self) -> Vec<(Holder, DeviceAddr)> {
        self.0.given.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, holder: Holder, address: DeviceAddr) -> DeviceAddr {
        let mut given = self.0.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.push((holder, address));
        address
    }

    /// From now on it is lost, to something else than the call that finds out.
    pub fn lose(&self) {
        self.0.is_gone.store(true, Ordering::SeqCst);
    }

    /// The next unloading ends as if a destructor did not return, and the device is lost by it.
    pub fn hang_unloading(&self) {
        self.0.hangs_unloading.store(true, Ordering::SeqCst);
    }

    /// Has the executor forget an orchestration that the worker believes to be loaded.
    ///
    /// # Errors
    ///
    /// As [`Device::unload_orchestration`].
    pub fn unload_unseen(&self, id: CallableId, generation: u32) -> Result<(), DeviceLost> {
        self.0.device.unload_orchestration(id, generation)
    }

    fn reachable(&self) -> Result<&SimDevice<A2a3>, MemoryError> {
        if self.0.is_gone.load(Ordering::SeqCst) {
            return Err(MemoryError::Gone);
        }
        Ok(&self.0.device)
    }
}

impl Device for SpiedDevice {
    fn facts(&self) -> DeviceFacts {
        self.0.device.facts()
    }

    fn has_ended(&self) -> bool {
        self.0.device.has_ended()
    }

    fn usage(&self) -> DeviceUsage {
        self.0.device.usage()
    }

    fn memory_report(&self) -> DeviceMemoryReport {
        self.0.device.memory_report()
    }

    fn allocate(&self, bytes: usize, holder: Holder) -> Result<DeviceAddr, MemoryError> {
        Ok(self.note(holder, self.reachable()?.allocate(bytes, holder)?))
    }

    fn restart_high_water(&self, holder: Holder) {
        self.0.device.restart_high_water(holder);
    }

    fn free(&self, address: DeviceAddr) -> Result<(), MemoryError> {
        self.reachable()?.free(address)
    }

    fn copy_in(&self, to: DeviceAddr, from: &[u8]) -> Result<(), MemoryError> {
        self.0.bytes_in.fetch_add(from.len(), Ordering::SeqCst);
        self.reachable()?.copy_in(to, from)
    }

    fn check_user_range(&self, address: DeviceAddr, bytes: usize) -> Result<(), MemoryError> {
        self.reachable()?.check_user_range(address, bytes)
    }

    fn copy_out(&self, to: &mut [u8], from: DeviceAddr) -> Result<(), MemoryError> {
        self.0.bytes_out.fetch_add(to.len(), Ordering::SeqCst);
        self.reachable()?.copy_out(to, from)
    }

    fn attach(&self, memory: Arc<SharedMemory>, side: Side) {
        self.0.device.attach(memory, side);
    }

    fn detach(&self, address: DeviceAddr) {
        self.0.device.detach(address);
    }

    fn check_orchestration(&self, image: &[u8], entry: &str) -> Result<(), OrchestrationError> {
        self.0.device.check_orchestration(image, entry)
    }

    fn load_kernel(&self, kernel: &CoreCallableView<'_>) -> Result<Uploaded, KernelError> {
        let uploaded = self.reachable()?.load_kernel(kernel)?;
        self.note(Holder::Kernel, uploaded.address);
        Ok(uploaded)
    }

    fn unload_kernel(&self, record: DeviceAddr) -> Result<(), KernelError> {
        self.reachable()?.unload_kernel(record)
    }

    fn load_orchestration(&self, load: &OrchestrationLoad<'_>) -> Result<(), DeviceError> {
        self.reachable()?.load_orchestration(load)
    }

    fn unload_orchestration(&self, id: CallableId, generation: u32) -> Result<(), DeviceLost> {
        if self.0.hangs_unloading.load(Ordering::SeqCst) {
            self.lose();
            return Err(DeviceLost { cause: LostCause::Executor, fault: None });
        }
        self.0.device.unload_orchestration(id, generation)
    }

    fn loaded_code(&self) -> Vec<LoadedRange> {
        self.0.device.loaded_code()
    }

    fn run(
        &self,
        launch: &Launch,
        fill: &mut dyn FnMut(&mut RuntimeBody),
    ) -> Result<RunOutcome, DeviceError> {
        self.reachable()?.run(launch, fill)
    }
}

//! A platform that calls no code: it writes down what the table does, and answers as a test says.

use std::boxed::Box;
use std::sync::{Mutex as StdMutex, PoisonError};
use std::vec::Vec;

use protocol::{CallableId, ConditionWord, DeviceAddr, RuntimeBody, StatusCode};
use spin::Mutex;

use super::image_builder::{BUILD_ID, SPAN, TestImage};
use crate::fault::FaultLatch;
use crate::loaded_code::{LoadedCode, LoadedRange};
use crate::loader::{
    CodeMemory, Import, Machine, MemoryError, MemoryOperation, Plan, SymbolResolver, copy_segments,
};
use crate::orch_so_table::{Lease, OrchSoTable, UnloadOutcome};
use crate::platform::{ExceptionText, ForeignCall, Platform, RegisterBlock, UnwindTables};

/// Where images seem to be.
pub(super) const BASE: u64 = 0x7000_0000;

/// How many callables the platform has memory for.
pub(crate) const CALLABLE_SLOTS: usize = 128;

/// What was done, in order. Functions are given by their address as linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Placed,
    Sealed,
    Released,
    UnwindRegistered,
    UnwindDeregistered,
    /// Shown to debuggers, of this generation.
    Announced(u32),
    /// No longer shown.
    Withdrawn(u32),
    Constructor(u64),
    Config(u64),
    Entry(u64),
    Destructor(u64),
}

/// The memory of one slot.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    bytes: Option<Vec<u8>>,
    /// The next placement is refused.
    pub(super) is_full: bool,
    events: Vec<Event>,
}

impl CodeMemory for Memory {
    fn page_bytes(&self) -> usize {
        4096
    }

    fn place(&mut self, plan: &Plan<'_>) -> Result<u64, MemoryError> {
        if self.is_full || self.bytes.is_some() {
            let operation = MemoryOperation::Reserve;
            return Err(MemoryError { operation, offset: 0, length: plan.span(), os_error: 12 });
        }
        let bytes = self.bytes.insert(std::vec![0; SPAN]);
        copy_segments(plan, bytes)?;
        self.events.push(Event::Placed);
        Ok(BASE)
    }

    fn writable(&mut self, offset: usize, bytes: usize) -> Result<&mut [u8], MemoryError> {
        let range = offset..offset + bytes;
        Ok(self.bytes.as_mut().and_then(|all| all.get_mut(range)).expect("a placed image"))
    }

    fn seal(&mut self, _: &Plan<'_>) -> Result<(), MemoryError> {
        self.events.push(Event::Sealed);
        Ok(())
    }

    fn release(&mut self) {
        if self.bytes.take().is_some() {
            self.events.push(Event::Released);
        }
    }
}

/// What a function of the image does.
type Behaviour<'t> = Box<dyn Fn(Event) -> Result<i32, ExceptionText> + Send + Sync + 't>;

/// The platform.
pub(crate) struct Recorder<'t> {
    pub(super) memory: Mutex<Memory>,
    /// Memory of all other callables.
    others: Mutex<Memory>,
    events: StdMutex<Vec<Event>>,
    behaviour: Behaviour<'t>,
    /// What the cache does when a range of addresses is invalidated.
    cache: Option<Cache<'t>>,
}

/// What happens when a range, by address and bytes, is invalidated in the cache.
type Cache<'t> = Box<dyn Fn(u64, usize) + Send + Sync + 't>;

impl core::fmt::Debug for Recorder<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl<'t> Recorder<'t> {
    /// All functions return.
    pub(super) fn new() -> Self {
        Self::with_behaviour(|_| Ok(0))
    }

    pub(crate) fn with_behaviour(
        behaviour: impl Fn(Event) -> Result<i32, ExceptionText> + Send + Sync + 't,
    ) -> Self {
        Self {
            memory: Mutex::default(),
            others: Mutex::default(),
            events: StdMutex::default(),
            behaviour: Box::new(behaviour),
            cache: None,
        }
    }

    /// All functions return, and memory has a cache that may be stale.
    pub(super) fn with_cache(cache: impl Fn(u64, usize) + Send + Sync + 't) -> Self {
        Self { cache: Some(Box::new(cache)), ..Self::new() }
    }

    /// What was done since the last call of this.
    pub(crate) fn take_events(&self) -> Vec<Event> {
        self.collect();
        core::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Moves what happened to the memory behind what was called before. Fails where the platform is
    /// called under the lock.
    fn collect(&self) {
        let mut memory = self.memory.try_lock().expect("no lock is held here");
        let happened = core::mem::take(&mut memory.events);
        self.events.lock().unwrap_or_else(PoisonError::into_inner).extend(happened);
    }

    fn record(&self, event: Event) {
        self.collect();
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

impl SymbolResolver for Recorder<'_> {
    fn resolve(&self, import: &Import<'_>) -> Option<u64> {
        (import.name == b"imported").then_some(0x1234)
    }
}

impl Platform for Recorder<'_> {
    type CodeMemory = Memory;

    fn ticks(&self) -> u64 {
        5_000
    }
    fn ticks_per_second(&self) -> u64 {
        1_000_000
    }
    fn register_block(&self, core: u32) -> Option<RegisterBlock> {
        Some(RegisterBlock(u64::from(core) + 1))
    }
    fn read_register(&self, _: RegisterBlock, _: usize) -> u32 {
        // Cores that are never given anything leave at once.
        ConditionWord::EXITED.raw()
    }
    fn write_register(&self, _: RegisterBlock, _: usize, _: u32) {}
    fn notify_core(&self, _: usize) {}
    fn relax(&self, _: u32) {}
    fn invalidate_cache(&self, address: u64, bytes: usize) {
        if let Some(cache) = &self.cache {
            cache(address, bytes);
        }
    }
    fn clean_cache(&self, _: u64, _: usize) {}
    fn code_memory(&self, callable: CallableId) -> &Mutex<Memory> {
        if callable == id() { &self.memory } else { &self.others }
    }
    fn callable_slots(&self) -> usize {
        CALLABLE_SLOTS
    }
    fn symbols(&self) -> &dyn SymbolResolver {
        self
    }
    fn register_unwind(&self, _: UnwindTables) {
        self.record(Event::UnwindRegistered);
    }
    fn deregister_unwind(&self, _: UnwindTables) {
        self.record(Event::UnwindDeregistered);
    }

    fn code_loaded(&self, code: &LoadedCode<'_>) {
        assert_eq!(code.range, LoadedRange { id: code.range.id, ..range(code.range.generation) });
        assert_eq!(code.plan.build_id(), Some(&BUILD_ID[..]));
        self.record(Event::Announced(code.range.generation));
    }
    fn code_unloading(&self, gone: &LoadedRange) {
        assert_eq!(*gone, LoadedRange { id: gone.id, ..range(gone.generation) });
        self.record(Event::Withdrawn(gone.generation));
    }

    unsafe fn call_foreign(&self, call: ForeignCall) -> Result<i32, ExceptionText> {
        let linked = |code: usize| code as u64 - BASE;
        let event = match call {
            ForeignCall::Initialiser(function) => Event::Constructor(linked(function as usize)),
            ForeignCall::Config(function, _) => Event::Config(linked(function as usize)),
            ForeignCall::Entry(function, _) => Event::Entry(linked(function as usize)),
            ForeignCall::Finaliser(function) => Event::Destructor(linked(function as usize)),
            ForeignCall::Bind(..) => unreachable!("the image takes no runtime"),
        };
        self.record(event);
        (self.behaviour)(event)
    }
}

/// A device's table, and what runs need: bytes of an image and a fault latch.
pub(super) struct Bench {
    pub(super) table: Box<OrchSoTable>,
    pub(super) faults: FaultLatch,
    pub(super) image: Vec<u8>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let mut place = Box::<OrchSoTable>::new_uninit();
        // SAFETY: a box of that size.
        unsafe { OrchSoTable::init_in_place(place.as_mut_ptr()) };
        // SAFETY: it has been initialised.
        let table = unsafe { place.assume_init() };
        Self { table, faults: FaultLatch::new(), image: TestImage::new(Machine::native()).bytes }
    }

    /// A run that brings the image.
    pub(super) fn load<'t, 'p>(
        &'t self,
        platform: &'t Recorder<'p>,
        generation: u32,
    ) -> Result<Lease<'t, Recorder<'p>>, i32> {
        self.load_bytes(platform, generation, &self.image)
    }

    /// A run that brings these bytes.
    pub(super) fn load_bytes<'t, 'p>(
        &'t self,
        platform: &'t Recorder<'p>,
        generation: u32,
        image: &[u8],
    ) -> Result<Lease<'t, Recorder<'p>>, i32> {
        self.load_entry(platform, generation, image, b"entry")
    }

    /// The same with an entry of another name.
    pub(super) fn load_entry<'t, 'p>(
        &'t self,
        platform: &'t Recorder<'p>,
        generation: u32,
        image: &[u8],
        entry: &[u8],
    ) -> Result<Lease<'t, Recorder<'p>>, i32> {
        let mut body = RuntimeBody::default();
        bring_along(&mut body, image, entry);
        // SAFETY: the bytes are there for the whole call.
        unsafe { self.table.load(platform, &self.faults, id(), &body, generation) }
    }

    /// A run of a generation that was loaded before.
    pub(super) fn enter<'t, 'p>(
        &'t self,
        platform: &'t Recorder<'p>,
        generation: Option<u32>,
    ) -> Result<Lease<'t, Recorder<'p>>, i32> {
        self.table.loaded(platform, &self.faults, id(), generation)
    }

    pub(super) fn unload(&self, platform: &Recorder<'_>, generation: Option<u32>) -> UnloadOutcome {
        self.table.unload(platform, id(), generation)
    }

    /// Asserts that a run ended with this status and a text with all these parts.
    #[track_caller]
    pub(super) fn assert_fault<T>(&self, ended: Result<T, i32>, code: StatusCode, parts: &[&str]) {
        assert_eq!(ended.err(), Some(code.code()));
        let fault = self.faults.take().expect("a fault");
        assert_eq!(fault.code, code.code(), "{fault:?}");
        for part in parts {
            assert!(fault.text.contains(part), "{part:?} is missing in: {}", fault.text);
        }
    }
}

/// Makes a record bring an image that has an entry of this name.
pub(crate) fn bring_along(body: &mut RuntimeBody, image: &[u8], entry: &[u8]) {
    body.dev_orch_so_addr = DeviceAddr::new(image.as_ptr().expose_provenance() as u64);
    body.dev_orch_so_size = image.len() as u64;
    body.device_orch_func_name[..entry.len()].copy_from_slice(entry);
    body.device_orch_config_name[..6].copy_from_slice(b"config");
}

/// The callable of the tests.
pub(crate) fn id() -> CallableId {
    CallableId::new(5).expect("an id")
}

/// Where the code of the callable of the tests seems to be.
pub(super) fn range(generation: u32) -> LoadedRange {
    LoadedRange { id: id(), generation, base: BASE, span: SPAN, bias: BASE }
}

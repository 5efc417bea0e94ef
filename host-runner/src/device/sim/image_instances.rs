//! Orchestrations that several ids have with equal bytes: their text is in memory once.
//!
//! The first load of an image copies it into the slot of its id. From the second on, ids are lent instances
//! of a sealed copy, made once: a load then maps text and copies data, and where an instance is left from a
//! load before, copies data alone. That is what makes registering equal bytes a matter of microseconds; each
//! id has data of its own all the same, and its constructors run.
//!
//! ```text
//!  first load of an image    slot ◀── copied
//!  second                    sealed copy ─▶ instance ─▶ slot
//!  unloaded                  slot ─▶ instance ─▶ idle, for whoever loads the image next
//!  image freed               sealed copy and idle instances go with it
//! ```
//!
//! Whatever the system refuses here, the load copies as the first one did.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aicpu_linux::{ImageInstance, SealedImage, Slot, SlotConfig};
use protocol::{CallableId, DeviceAddr};

/// Bytes from which on an image is shared: smaller ones are copied about as fast.
const SHARED_BYTES_MIN: usize = 32 << 10;
/// Instances of an image that are kept while nobody uses them: address space, and pages of data.
const IDLE_MAX: usize = 4;

/// An image in device memory that was loaded.
#[derive(Debug)]
struct Loaded {
    bytes: usize,
    /// `None` after the first load.
    sealed: Option<SealedImage>,
    idle: Vec<ImageInstance>,
}

#[derive(Debug, Default)]
struct Table {
    /// By address in device memory.
    images: BTreeMap<u64, Loaded>,
    /// Which image the instance is of that an id was lent.
    lent: HashMap<CallableId, u64>,
}

/// The images of a device that are loaded, and their instances.
#[derive(Debug, Default)]
pub struct ImageInstances {
    table: Mutex<Table>,
    /// Whether there has been anything in it.
    is_used: AtomicBool,
}

impl ImageInstances {
    /// Lends a slot an instance of the image that it loads next, if that was loaded before.
    ///
    /// # Safety
    ///
    /// `image` is the whole image at `address`, which stays as it is until the load is over and the instance
    /// was [taken back](Self::take_back), and is [forgotten](Self::forget) before other bytes are there.
    pub unsafe fn lend(&self, id: CallableId, address: DeviceAddr, image: &[u8], slot: &mut Slot) {
        if image.len() < SHARED_BYTES_MIN {
            return;
        }
        let mut table = self.table();
        let Table { images, lent } = &mut *table;
        let loaded = images.get_mut(&address.raw()).filter(|it| it.bytes == image.len());
        let Some(loaded) = loaded else {
            let bytes = image.len();
            images.insert(address.raw(), Loaded { bytes, sealed: None, idle: Vec::new() });
            // ORDERING: Relaxed: whoever writes to memory that is loaded from waits for the load.
            self.is_used.store(true, Ordering::Relaxed);
            return;
        };
        let Some(instance) = loaded.idle.pop().or_else(|| loaded.make(image)) else { return };
        lent.insert(id, address.raw());
        // SAFETY: by the contract; the sealed image was made of these bytes, which nobody has changed.
        unsafe { slot.offer(instance) };
    }

    /// Takes back what an id was lent and does not use, or not any more.
    pub fn take_back(&self, id: CallableId, slot: &mut Slot) {
        let mut table = self.table();
        let Table { images, lent } = &mut *table;
        let Some(address) = lent.get(&id) else { return };
        let Some(instance) = slot.take_returned() else { return };
        if let Some(loaded) = images.get_mut(address)
            && loaded.idle.len() < IDLE_MAX
        {
            loaded.idle.push(instance);
        }
        lent.remove(&id);
    }

    /// Gives up the instances of images in a range of memory, which is freed or written to.
    pub fn forget(&self, address: DeviceAddr, bytes: usize) {
        // ORDERING: Relaxed: see `lend`.
        if !self.is_used.load(Ordering::Relaxed) {
            return;
        }
        let mut table = self.table();
        // CAST: usize is at most 64 bits.
        let (start, end) = (address.raw(), address.raw().saturating_add(bytes.max(1) as u64));
        loop {
            // Images do not overlap: the last one that starts before the end is the last to reach into it.
            let last = table.images.range(..end).next_back();
            let overlaps = last.is_some_and(|(at, image)| at + image.bytes as u64 > start);
            let Some(at) = last.map(|(at, _)| *at).filter(|_| overlaps) else { return };
            table.images.remove(&at);
            table.lent.retain(|_, of| *of != at);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // The table is valid at every step that could panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loaded {
    /// Makes another instance, and before the first one the sealed copy.
    fn make(&mut self, image: &[u8]) -> Option<ImageInstance> {
        let refused = |error| tracing::debug!(%error, "an image is copied, not shared");
        if self.sealed.is_none() {
            self.sealed = SealedImage::new(image).map_err(refused).ok();
        }
        self.sealed.as_ref()?.instance(image, SlotConfig::DEFAULT).map_err(refused).ok()
    }
}

//! An orchestration that says what becomes of it, and waits where a test wants it to.

use std::sync::atomic::{AtomicU32, Ordering};

use host_runner::callable::{Callable, KernelImage};
use host_runner::runtime_name::RuntimeName;
use protocol::ChipName;

use crate::sources;

/// What `life.cpp` counts and obeys, in its layout. It stays for ever, as lost code may look at it
/// at any time.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Steps {
    /// Constructors that began.
    pub constructed: AtomicU32,
    /// Entries that began.
    pub entered: AtomicU32,
    /// Destructors that began.
    pub destroyed: AtomicU32,
    /// Whether constructors wait.
    pub hold_constructor: AtomicU32,
    /// Whether entries wait.
    pub hold_entry: AtomicU32,
    /// Whether destructors wait.
    pub hold_destructor: AtomicU32,
    /// Config functions that began.
    pub configured: AtomicU32,
    /// Whether config functions wait.
    pub hold_config: AtomicU32,
}

/// One callable of a test. Dropping it lets everything go on that waits, so that a test that fails
/// leaves no thread behind.
#[derive(Debug)]
pub struct Life(&'static Steps);

impl Drop for Life {
    fn drop(&mut self) {
        let Steps { hold_constructor, hold_entry, hold_destructor, hold_config, .. } = self.0;
        for hold in [hold_constructor, hold_entry, hold_destructor, hold_config] {
            go_on(hold);
        }
    }
}

/// Has the code wait at this step, until [`go_on`].
pub fn wait_here(hold: &AtomicU32) {
    hold.store(1, Ordering::SeqCst);
}

/// Lets code that waits, or that comes to this step later, go on.
pub fn go_on(hold: &AtomicU32) {
    hold.store(0, Ordering::SeqCst);
}

impl Life {
    /// One that waits nowhere.
    #[expect(clippy::new_without_default, reason = "each one is memory for good")]
    pub fn new() -> Self {
        Self(Box::leak(Box::default()))
    }

    /// What it counts and obeys.
    pub fn steps(&self) -> &'static Steps {
        self.0
    }

    /// The callable, with the address of the steps written into its image. Argument: what it fills
    /// with 7.
    pub fn callable(&self) -> Callable {
        self.callable_for(ChipName::A2a3)
    }

    /// The same, compiled for a chip.
    pub fn callable_for(&self, chip: ChipName) -> Callable {
        let image = self.placed_in(sources::orchestration_for(chip, "life"));
        let builder = Callable::builder(image).name("life").entry("lives");
        sources::packed(builder, sources::cell_kernels_for(chip))
    }

    /// One whose orchestration runs on the host, and builds a graph without tasks. It takes no arguments.
    pub fn on_host(&self, chip: ChipName) -> Callable {
        self.on_host_with(chip, Vec::new())
    }

    /// The same with kernels, of which it uses none.
    pub fn on_host_with(&self, chip: ChipName, kernels: Vec<KernelImage>) -> Callable {
        let image = self.placed_in(sources::host_orchestration_for(chip, "life"));
        let builder = Callable::builder(image).name("life").entry("lives");
        sources::packed(builder.runtime(RuntimeName::Hbg), kernels)
    }

    /// An image of a source that has a place for the address of the steps.
    fn placed_in(&self, image: Vec<u8>) -> Vec<u8> {
        let address = std::ptr::from_ref(self.0).expose_provenance() as u64;
        sources::with_word_behind(image, 0x4C1F_E0FA_0C0D_E0FA, address)
    }

    /// Constructors, entries and destructors so far.
    pub fn counts(&self) -> [u32; 3] {
        let Steps { constructed, entered, destroyed, .. } = self.0;
        [constructed, entered, destroyed].map(|count| count.load(Ordering::SeqCst))
    }

    /// Waits until the entry has begun for the `number`-th time, which must not take long.
    pub fn wait_for_entry(&self, number: u32) {
        let start = std::time::Instant::now();
        while self.counts()[1] < number {
            assert!(start.elapsed().as_secs() < 20, "the entry was not called");
            std::thread::yield_now();
        }
    }
}

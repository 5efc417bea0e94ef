//! The one executor of the process: some 3 MB of static memory, of which a run without deferred
//! tasks touches 200 KB; set up at first use.
//!
//! It is resident: orchestrations that one run loads stay for the next (spec callable §0).

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

use aicpu_executor::Executor;
use spin::Once;

use crate::platform::LinuxPlatform;
use crate::this_chip::ThisChip;

/// The executor on that chip and this platform.
pub(crate) type ThisExecutor = Executor<ThisChip, LinuxPlatform>;

/// Memory for the executor, and whether there is one in it.
struct Resident {
    is_set_up: Once<()>,
    place: UnsafeCell<MaybeUninit<ThisExecutor>>,
}

// SAFETY: `place` is written inside `call_once` only, and shared references are handed out after
// it; the executor itself is `Sync`.
unsafe impl Sync for Resident where ThisExecutor: Sync {}

static RESIDENT: Resident =
    Resident { is_set_up: Once::new(), place: UnsafeCell::new(MaybeUninit::zeroed()) };

/// Returns the executor, and sets it up if this is the first call of the process.
pub(crate) fn executor() -> &'static ThisExecutor {
    let place = RESIDENT.place.get().cast::<ThisExecutor>();
    RESIDENT.is_set_up.call_once(|| {
        // SAFETY: the static is aligned, large enough and zero, and nobody else is here: `call_once`.
        unsafe { ThisExecutor::init_in_place(place, LinuxPlatform::new()) };
    });
    // SAFETY: initialised above, and never written as a whole again.
    unsafe { &*place }
}

//! What a kernel may ask the simulated core that it runs on.
//!
//! A kernel compiled with the simulator's intrinsics may export `pto_sim_register_hooks`; it is
//! then given two functions: its number within the cluster, and storage that the three cores of
//! its cluster share for push and pop between them. Who asks is known by the thread: a core sets
//! its identity around every kernel call. Source: spec trb §7.6.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use protocol::CoreType;

/// Which core of a run this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreIdentity {
    /// Cube or vector.
    pub kind: CoreType,
    /// Its index among all cores of the run.
    pub index: usize,
    /// Its cluster, from 0.
    pub cluster: usize,
    /// Number of a vector core within its cluster, 0 or 1; 0 for a cube core.
    pub sub_block: usize,
}

/// One piece of shared storage; 64-byte lines, so that any type of the kernels is aligned.
type Storage = Box<[Line]>;

/// A cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// The shared storage of all clusters of a device.
#[derive(Debug, Default)]
pub struct PipeStorage {
    pieces: Mutex<HashMap<(usize, u64, usize), Piece>>,
    /// Whether a kernel has asked for a piece since they were cleared.
    in_use: AtomicBool,
}

/// A piece.
#[derive(Debug)]
struct Piece {
    storage: Storage,
    /// Whether a kernel has asked for it since it was cleared.
    in_use: bool,
}

impl PipeStorage {
    /// Zeroes the pieces that kernels have used, as before a run. No kernel may be running.
    pub fn clear(&self) {
        // ORDERING: Relaxed (both): the run before has ended, and the one that starts is published
        // afterwards. Most runs use no pieces, and then this is one load.
        if !self.in_use.load(Ordering::Relaxed) {
            return;
        }
        self.in_use.store(false, Ordering::Relaxed);
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in pieces.values_mut().filter(|piece| piece.in_use) {
            piece.in_use = false;
            piece.storage.fill(Line([0; 64]));
        }
    }

    /// The storage of a cluster under a key; made and zeroed on first use.
    ///
    /// The address stays valid as long as the device. Kernels that agree on a key agree on the
    /// size, because the key contains what it is computed from.
    fn piece(&self, cluster: usize, key: u64, bytes: usize) -> *mut c_void {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        let piece = pieces.entry((cluster, key, bytes)).or_insert_with(|| {
            let storage = vec![Line([0; 64]); bytes.div_ceil(64).max(1)].into_boxed_slice();
            Piece { storage, in_use: false }
        });
        piece.in_use = true;
        // ORDERING: Relaxed: see `clear`.
        self.in_use.store(true, Ordering::Relaxed);
        piece.storage.as_mut_ptr().cast()
    }
}

/// Whom the thread tells that the kernel on a core is about to wait for its peers.
pub type BeforeWait = Box<dyn Fn(CoreIdentity)>;

/// The device that a thread belongs to.
struct Attached {
    storage: Arc<PipeStorage>,
    before_wait: BeforeWait,
}

thread_local! {
    /// The device whose pool this thread belongs to.
    static DEVICE: RefCell<Option<Attached>> = const { RefCell::new(None) };
    /// The core that it runs now. A plain cell, since it is written around every kernel.
    static CORE: Cell<Option<CoreIdentity>> = const { Cell::new(None) };
}

/// Tells which device's storage the kernels on this thread share, and who wants to know when they
/// ask for it: with it, they wait for one another.
pub fn attach(storage: Arc<PipeStorage>, before_wait: BeforeWait) {
    DEVICE.set(Some(Attached { storage, before_wait }));
}

/// Runs `kernel` as the core `identity`.
#[inline]
pub fn with_identity<R>(identity: CoreIdentity, kernel: impl FnOnce() -> R) -> R {
    CORE.set(Some(identity));
    let result = kernel();
    CORE.set(None);
    result
}

/// The core whose kernel this thread is in. May be called in a signal handler.
pub fn current() -> Option<CoreIdentity> {
    CORE.get()
}

/// Type of a kernel's `pto_sim_register_hooks`: takes the two functions below.
pub type RegisterHooks = unsafe extern "C-unwind" fn(*const c_void, *const c_void);

/// Name of the function by which a kernel takes the hooks.
pub const REGISTER_HOOKS_SYMBOL: &str = "pto_sim_register_hooks";

/// The two functions, in the order in which a kernel takes them.
pub fn hooks() -> (*const c_void, *const c_void) {
    let sub_block: extern "C" fn() -> u32 = sub_block_id;
    let storage: extern "C" fn(u64, usize) -> *mut c_void = pipe_shared_state;
    (sub_block as *const c_void, storage as *const c_void)
}

/// `uint32_t get_subblock_id()`.
extern "C" fn sub_block_id() -> u32 {
    // CAST: 0 or 1.
    CORE.get().map_or(0, |identity| identity.sub_block as u32)
}

/// `void *get_pipe_shared_state(uint64_t pipe_key, size_t size)`; null outside a kernel.
extern "C" fn pipe_shared_state(key: u64, bytes: usize) -> *mut c_void {
    DEVICE.with_borrow(|device| match (device, CORE.get()) {
        (Some(Attached { storage, before_wait }), Some(identity)) => {
            before_wait(identity);
            storage.piece(identity.cluster, key, bytes)
        }
        _ => core::ptr::null_mut(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(cluster: usize, sub_block: usize) -> CoreIdentity {
        CoreIdentity { kind: CoreType::Aiv, index: 0, cluster, sub_block }
    }

    #[test]
    fn a_kernel_learns_its_number_and_shares_storage_within_its_cluster_only() {
        attach(Arc::default(), Box::new(|_| {}));
        let first = with_identity(at(0, 0), || (sub_block_id(), pipe_shared_state(7, 100)));
        let peer = with_identity(at(0, 1), || (sub_block_id(), pipe_shared_state(7, 100)));
        let other = with_identity(at(1, 0), || pipe_shared_state(7, 100));
        assert_eq!((first.0, peer.0), (0, 1));
        assert_eq!(first.1, peer.1);
        assert_ne!(first.1, other);
        assert_eq!(first.1.addr() % 64, 0);
    }

    #[test]
    fn outside_a_kernel_there_is_no_storage() {
        attach(Arc::default(), Box::new(|_| {}));
        assert!(pipe_shared_state(1, 8).is_null());
        assert_eq!(sub_block_id(), 0);
    }

    #[test]
    fn storage_is_zero_again_for_the_next_run_and_keeps_its_address() {
        let pipes = PipeStorage::default();
        let piece = pipes.piece(0, 1, 8).cast::<u8>();
        // SAFETY: a live piece of at least 8 bytes.
        unsafe { piece.write(9) };
        pipes.clear();
        assert_eq!(pipes.piece(0, 1, 8).cast(), piece);
        // SAFETY: as above.
        assert_eq!(unsafe { piece.read() }, 0);
    }
}

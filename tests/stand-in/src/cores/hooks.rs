//! What a kernel may ask the core that it runs on: which one of its cluster it is, and storage that the cores
//! of a cluster share (spec trb §7.6).

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{LazyLock, Mutex};

use super::core_program::Identity;
use super::lock;

/// Name of the function by which a kernel takes the hooks, if it wants them.
pub(super) const REGISTER_HOOKS_SYMBOL: &[u8] = b"pto_sim_register_hooks";

/// Its type: it takes the two functions below.
pub(super) type RegisterHooks = unsafe extern "C" fn(*const c_void, *const c_void);

/// A piece of shared storage, in lines, so that any type of the kernels is aligned.
type Storage = Box<[Line]>;

/// A cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Storage by cluster, key and size.
type StorageOfClusters = HashMap<(usize, u64, usize), Storage>;

/// The storage of all clusters.
static STORAGE: LazyLock<Mutex<StorageOfClusters>> = LazyLock::new(Mutex::default);

thread_local! {
    /// The core whose kernel this thread runs.
    static CORE: Cell<Option<Identity>> = const { Cell::new(None) };
}

/// Runs a kernel as that of a core.
pub(super) fn as_core(identity: Identity, kernel: impl FnOnce()) {
    CORE.set(Some(identity));
    kernel();
    CORE.set(None);
}

/// The two functions, as a kernel takes them.
pub(super) fn hooks() -> (*const c_void, *const c_void) {
    let sub_block: extern "C" fn() -> u32 = sub_block_id;
    let storage: extern "C" fn(u64, usize) -> *mut c_void = pipe_shared_state;
    (sub_block as *const c_void, storage as *const c_void)
}

/// Number of the calling core within its cluster.
extern "C" fn sub_block_id() -> u32 {
    CORE.get().map_or(0, |identity| identity.sub_block)
}

/// Storage of the calling core's cluster under a key, zero at first. It stays as long as the process.
extern "C" fn pipe_shared_state(key: u64, bytes: usize) -> *mut c_void {
    let cluster = CORE.get().map_or(0, |identity| identity.cluster);
    let mut storage = lock(&STORAGE);
    let piece = storage
        .entry((cluster, key, bytes))
        .or_insert_with(|| vec![Line([0; 64]); bytes.div_ceil(64).max(1)].into_boxed_slice());
    piece.as_mut_ptr().cast()
}

/// Makes all storage zero, as before a run. No kernel may be running.
pub(super) fn clear_storage() {
    for piece in lock(&STORAGE).values_mut() {
        piece.fill(Line([0; 64]));
    }
}

#[cfg(test)]
mod tests {
    use protocol::CoreType;

    use super::*;

    #[test]
    fn cores_of_a_cluster_share_storage_by_key_and_others_have_their_own() {
        let identity =
            |cluster, sub_block| Identity { index: 0, kind: CoreType::Aiv, cluster, sub_block };
        let mut seen = Vec::new();
        for (cluster, sub_block, key) in [(0, 0, 5), (0, 1, 5), (1, 0, 5), (0, 0, 6)] {
            as_core(identity(cluster, sub_block), || {
                assert_eq!(sub_block_id(), sub_block);
                seen.push(pipe_shared_state(key, 100).addr());
            });
        }
        assert_eq!(seen[0], seen[1]);
        assert!(seen[2] != seen[0] && seen[3] != seen[0] && seen[3] != seen[2]);
        assert!(seen.iter().all(|address| address.is_multiple_of(64)));
    }
}

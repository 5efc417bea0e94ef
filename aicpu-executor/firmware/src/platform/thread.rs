//! Who the calling thread is, without asking the kernel.

/// A number that no other thread of the process has, and that is not 0: the thread pointer, which the C library
/// of whoever started the thread has set.
#[cfg(target_arch = "aarch64")]
pub(crate) fn key() -> u64 {
    let key: u64;
    // SAFETY: the register is readable at EL0.
    unsafe {
        core::arch::asm!("mrs {key}, tpidr_el0", key = out(reg) key, options(nostack, nomem, preserves_flags));
    }
    key
}

/// A number that no other thread of the process has, and that is not 0: the thread pointer, which is also the
/// first word that it points at (the ABI of thread-local memory).
#[cfg(target_arch = "x86_64")]
pub(crate) fn key() -> u64 {
    let key: u64;
    // SAFETY: every thread that a C library has started has its control block there.
    unsafe {
        core::arch::asm!("mov {key}, fs:[0]", key = out(reg) key, options(nostack, readonly, preserves_flags));
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_has_a_key_of_its_own_and_keeps_it() {
        let own = key();
        let barrier = std::sync::Barrier::new(3);
        let others: std::vec::Vec<_> = std::thread::scope(|scope| {
            let ask = || {
                barrier.wait();
                let key = key();
                barrier.wait();
                key
            };
            let threads: std::vec::Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(key(), own);
        let mut all = [own, others[0], others[1], others[2]];
        all.sort_unstable();
        assert!(all[0] != 0 && all.windows(2).all(|pair| pair[0] != pair[1]), "{all:x?}");
    }
}

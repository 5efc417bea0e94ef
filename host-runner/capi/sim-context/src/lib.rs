//! `libcpu_sim_context.so`: which simulated device the calling thread uses.
//!
//! Existing clients load a library of this name before the simulator's host libraries, once and for all
//! of the process, and ask nothing of it (spec callable §2.2). The reference keeps the device of a thread
//! in it, and storage that the cores of a cluster share (spec callable §3.3, hbg A10); that storage is
//! part of the device here. The reference's names are not part of any specification, so these
//! functions have names of our own; our host libraries find them with `dlsym`.

use std::cell::Cell;
use std::ffi::c_int;

thread_local! {
    /// The device of this thread; -1 is none.
    static DEVICE: Cell<c_int> = const { Cell::new(-1) };
}

/// Notes that the calling thread uses a device; anything negative is none.
#[unsafe(no_mangle)]
pub extern "C" fn simpler_rs_sim_context_v1_bind(device_id: c_int) {
    DEVICE.set(device_id.max(-1));
}

/// The device that the calling thread was bound to last; -1 for none.
#[unsafe(no_mangle)]
pub extern "C" fn simpler_rs_sim_context_v1_device() -> c_int {
    DEVICE.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_has_a_device_of_its_own() {
        assert_eq!(simpler_rs_sim_context_v1_device(), -1);
        simpler_rs_sim_context_v1_bind(7);
        let other = std::thread::spawn(|| {
            let before = simpler_rs_sim_context_v1_device();
            simpler_rs_sim_context_v1_bind(0);
            (before, simpler_rs_sim_context_v1_device())
        });
        assert_eq!(other.join().unwrap(), (-1, 0));
        assert_eq!(simpler_rs_sim_context_v1_device(), 7);
        simpler_rs_sim_context_v1_bind(c_int::MIN);
        assert_eq!(simpler_rs_sim_context_v1_device(), -1);
    }
}

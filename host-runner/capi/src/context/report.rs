//! What a context holds and has done, for people and monitors.

use std::sync::PoisonError;

use serde_json::json;

use super::{Context, lock};

/// What a context has done since its device was opened.
///
/// The order of the fields is part of the interface; new ones come last.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, zerocopy::IntoBytes, zerocopy::Immutable)]
pub struct Counters {
    /// Callables registered.
    pub registrations: u64,
    /// Orchestrations that the AICPU has loaded.
    pub loads: u64,
    /// Runs that succeeded.
    pub runs: u64,
    /// Devices given up because code on them did not return.
    pub lost_devices: u64,
}

impl Context {
    /// What was done, as far as it can be counted; all zero without a device.
    pub(crate) fn counters(&self) -> Counters {
        let attached = self.attached.read().unwrap_or_else(PoisonError::into_inner);
        let Some(attached) = &*attached else { return Counters::default() };
        let counters = attached.worker.counters();
        Counters {
            registrations: counters.registrations,
            loads: counters.loads,
            runs: counters.runs,
            lost_devices: attached.worker.losses(),
        }
    }

    /// What is held on the device, as JSON.
    pub(crate) fn memory_report(&self) -> String {
        let attached = self.attached.read().unwrap_or_else(PoisonError::into_inner);
        let variant = self.variant.to_string();
        let Some(attached) = &*attached else {
            return json!({ "version": 1, "variant": variant, "device": null }).to_string();
        };
        let usage = attached.worker.usage();
        let allocations = lock(&attached.allocations);
        json!({
            "version": 1,
            "variant": variant,
            "device": attached.device_id,
            "callables": lock(&attached.callables).len(),
            "total": {
                "allocations": usage.allocations,
                "bytes": usage.bytes,
                "kernels": usage.kernels,
            },
            "user": {
                "allocations": allocations.len(),
                "bytes": allocations.values().sum::<usize>(),
            },
        })
        .to_string()
    }
}

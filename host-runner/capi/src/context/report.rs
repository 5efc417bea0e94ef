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
    /// Callables unregistered.
    pub unregistrations: u64,
    /// Bytes of kernels and orchestrations that were copied to the device.
    pub bytes_uploaded: u64,
    /// Kernels and orchestrations that the device had already, byte for byte.
    pub hits: u64,
    /// Runs that were accepted and did not succeed.
    pub failed_runs: u64,
    /// Graphs of the host that were uploaded whole.
    pub graph_uploads: u64,
    /// Runs of graphs that the device had, but for changed argument words.
    pub graph_replays: u64,
    /// Bytes of graphs and changed argument words that were copied to the device.
    pub graph_bytes_uploaded: u64,
    /// Orchestrations that were opened on the host.
    pub host_loads: u64,
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
            unregistrations: counters.unregistrations,
            bytes_uploaded: counters.bytes_uploaded,
            hits: counters.hits,
            failed_runs: counters.failed_runs,
            graph_uploads: counters.graph_uploads,
            graph_replays: counters.graph_replays,
            graph_bytes_uploaded: counters.graph_bytes_uploaded,
            host_loads: counters.host_dlopen_count,
        }
    }

    /// What is held on the device, as JSON.
    pub(crate) fn memory_report(&self) -> String {
        let attached = self.attached.read().unwrap_or_else(PoisonError::into_inner);
        let variant = self.variant.to_string();
        let Some(attached) = &*attached else {
            return json!({ "version": 1, "variant": variant, "device": null }).to_string();
        };
        let held = attached.worker.memory_report();
        json!({
            "version": 1,
            "variant": variant,
            "device": attached.device_id,
            "callables": lock(&attached.callables).len(),
            "memory": held,
        })
        .to_string()
    }
}

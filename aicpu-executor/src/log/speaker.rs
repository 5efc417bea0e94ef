//! Who speaks: what a record of the log says beside its text.

use protocol::{CallableId, DeviceAddr, NO_AICPU_THREAD, RuntimeBody, RuntimeExtension};

/// A thread in a run, a load or an unload, as the log names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speaker {
    /// Index of the thread in its run; none outside of runs.
    pub aicpu_thread: Option<u8>,
    /// The callable of the record, if it names one that there may be.
    pub callable: Option<CallableId>,
    /// Where the host wants to have the log and the outcome; null for nowhere.
    pub area: DeviceAddr,
}

impl Speaker {
    /// The `index`-th thread in a run.
    pub(crate) fn in_run(
        body: &RuntimeBody,
        extension: Option<&RuntimeExtension>,
        index: usize,
    ) -> Self {
        // One that is too high for a number is a helper beyond all that a chip has.
        let aicpu_thread = u8::try_from(index).ok().filter(|index| *index != NO_AICPU_THREAD);
        Self { aicpu_thread, ..Self::outside_of_runs(body, extension) }
    }

    /// The thread that loads or unloads.
    pub(crate) fn outside_of_runs(
        body: &RuntimeBody,
        extension: Option<&RuntimeExtension>,
    ) -> Self {
        Self {
            aicpu_thread: None,
            callable: CallableId::new(i64::from(body.active_callable_id)).ok(),
            area: extension
                .filter(|extension| extension.run_number != 0)
                .map_or(DeviceAddr::NULL, |extension| extension.log_area),
        }
    }
}

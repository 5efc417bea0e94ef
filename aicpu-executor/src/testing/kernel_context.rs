//! A kernel's contexts, as the C++ headers use them to defer its completion.

use protocol::{
    DeferredCompletionEntry, DeviceAddr, LOCAL_CONTEXT_ARG, LocalContext, MAX_DEFERRED_CONDITIONS,
};

/// A kernel's contexts and ingress.
pub(crate) struct Context(pub(crate) LocalContext);

impl Context {
    /// What a kernel with these arguments was given.
    pub(crate) fn of(args: *const u64) -> Self {
        // SAFETY: a kernel gets that many arguments.
        let local = unsafe { args.add(LOCAL_CONTEXT_ARG).read() } as usize;
        // SAFETY: the executor points it at the core's context.
        Self(unsafe { core::ptr::with_exposed_provenance::<LocalContext>(local).read() })
    }

    /// How many conditions it has left.
    pub(crate) fn count(&self) -> *mut u32 {
        core::ptr::with_exposed_provenance_mut(self.0.async_ctx.completion_count.raw() as usize)
    }

    /// What `defer_condition` of the headers does.
    pub(crate) fn defer(&self, entry: DeferredCompletionEntry) {
        let context = &self.0.async_ctx;
        assert!(context.task_token.is_valid());
        assert_eq!(context.completion_capacity as usize, MAX_DEFERRED_CONDITIONS);
        let entries = core::ptr::with_exposed_provenance_mut::<DeferredCompletionEntry>(
            context.completion_entries.raw() as usize,
        );
        // SAFETY: the ingress of this dispatch; the test stays below its capacity.
        unsafe {
            let count = self.count().read();
            entries.add(count as usize).write(entry);
            self.count().write(count + 1);
        }
    }

    /// The same for a counter that has to reach a value.
    pub(crate) fn defer_counter(&self, address: u64, expected: u32) {
        self.defer(DeferredCompletionEntry {
            addr: DeviceAddr::new(address),
            expected_value: expected,
            ..DeferredCompletionEntry::default()
        });
    }

    /// What `defer_error` does.
    pub(crate) fn fail(&self, code: i32) {
        let place = self.0.async_ctx.completion_error_code.raw() as usize;
        // SAFETY: as in `defer`.
        unsafe { core::ptr::with_exposed_provenance_mut::<i32>(place).write(code) };
    }
}

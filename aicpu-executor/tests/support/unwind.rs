//! Registers the unwind tables of a loaded image with libgcc, as a Linux platform does.

use std::ffi::c_void;

use aicpu_executor::loader::LoadedImage;

#[link(name = "gcc_s")]
unsafe extern "C" {
    fn __register_frame(begin: *const c_void);
    fn __deregister_frame(begin: *const c_void);
}

/// Registered unwind tables; dropping takes them back.
pub struct UnwindTables {
    begin: *const c_void,
}

impl UnwindTables {
    /// Registers the tables of an image, if it has any that end as libgcc needs.
    pub fn register(image: &LoadedImage) -> Option<Self> {
        let tables = image.eh_frame()?;
        tables.frame_bytes?;
        let begin = std::ptr::with_exposed_provenance(tables.frame as usize);
        // SAFETY: planning found the end mark; the image stays until this value is dropped.
        unsafe { __register_frame(begin) };
        Some(Self { begin })
    }
}

impl Drop for UnwindTables {
    fn drop(&mut self) {
        // SAFETY: registered by `register`, once.
        unsafe { __deregister_frame(self.begin) };
    }
}

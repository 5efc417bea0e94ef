//! A loaded, bound and sealed image: plain addresses, and the step that runs its constructors.
//!
//! It does not own the memory: whoever owns the slot releases it after the last call.

use core::ffi::{c_char, c_int};

use super::label::ImageLabel;
use super::plan::Plan;
use super::symbol::Export;

/// Entries an initialiser or finaliser array may have; g++ writes one per source file with
/// static objects, and the start files one more.
pub(super) const MAX_FUNCTIONS: usize = 128;

/// Functions in calling order, as offsets from the first byte of the image: the entries of an
/// array and one function of its own.
///
/// Offsets, because a list of addresses would double what is moved around with an image.
pub(super) type FunctionList = heapless::Vec<u32, { MAX_FUNCTIONS + 1 }>;

/// An initialiser as the dynamic loaders of Linux call it: argument count, arguments, environment.
type Initialiser = unsafe extern "C-unwind" fn(c_int, *const *const c_char, *const *const c_char);

/// A finaliser.
type Finaliser = unsafe extern "C-unwind" fn();

/// A sealed image in memory.
///
/// # Invariants
///
/// All functions listed are code of the image, which was sealed executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedImage {
    base: u64,
    span: usize,
    bias: u64,
    init: FunctionList,
    fini: FunctionList,
    eh_frame: Option<LoadedEhFrame>,
    label: ImageLabel,
}

/// Where the unwind tables of a loaded image are; see [`EhFrame`](super::EhFrame).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadedEhFrame {
    /// Address of `.eh_frame_hdr`.
    pub header: u64,
    /// Bytes of `.eh_frame_hdr`.
    pub header_bytes: u64,
    /// Address of `.eh_frame`.
    pub frame: u64,
    /// Bytes of `.eh_frame` with its end mark, if it may be registered.
    pub frame_bytes: Option<u64>,
}

/// Makes a pointer of an address in code memory, whose provenance the memory has exposed.
fn code_pointer(address: u64) -> *const () {
    // CAST: both machines have 64-bit addresses.
    core::ptr::with_exposed_provenance(address as usize)
}

impl LoadedImage {
    /// Describes an image that was just sealed.
    pub(super) fn new(
        plan: &Plan<'_>,
        base: u64,
        bias: u64,
        init: FunctionList,
        fini: FunctionList,
    ) -> Self {
        let eh_frame = plan.eh_frame().map(|tables| LoadedEhFrame {
            header: bias.wrapping_add(tables.header_vaddr),
            header_bytes: tables.header_bytes,
            frame: bias.wrapping_add(tables.frame_vaddr),
            frame_bytes: tables.frame_bytes,
        });
        let label = ImageLabel::of_plan(plan);
        Self { base, span: plan.span(), bias, init, fini, eh_frame, label }
    }

    /// Returns what messages call the image.
    #[must_use]
    pub const fn label(&self) -> &ImageLabel {
        &self.label
    }

    /// Returns the address of the first byte.
    #[must_use]
    pub const fn base(&self) -> u64 {
        self.base
    }

    /// Returns the bytes from the first to the last page.
    #[must_use]
    pub const fn span(&self) -> usize {
        self.span
    }

    /// Returns what is added to an address as linked.
    #[must_use]
    pub const fn bias(&self) -> u64 {
        self.bias
    }

    /// Tells whether an address lies in the image.
    #[must_use]
    pub const fn contains(&self, address: u64) -> bool {
        address >= self.base && address - self.base < self.span as u64
    }

    /// Returns the address of an export of the plan this image was committed from.
    #[must_use]
    pub const fn address_of(&self, export: &Export) -> u64 {
        self.bias.wrapping_add(export.vaddr)
    }

    /// Returns a pointer to an export of the plan this image was committed from.
    ///
    /// Making a pointer is harmless; using it needs the image to be there, initialised and, for
    /// a call, the right signature.
    #[must_use]
    pub fn pointer_to(&self, export: &Export) -> *const () {
        code_pointer(self.address_of(export))
    }

    /// Returns where the unwind tables are.
    #[must_use]
    pub const fn eh_frame(&self) -> Option<LoadedEhFrame> {
        self.eh_frame
    }

    /// Returns the addresses of the initialisers in calling order.
    ///
    /// Each is to be called as `f(0, argv, envp)` with both lists empty, as
    /// [`run_init`](Self::run_init) does; a platform that wants to time or guard each constructor
    /// calls them itself.
    #[must_use]
    pub fn init_functions(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        self.init.iter().map(|offset| self.base + u64::from(*offset))
    }

    /// Returns the addresses of the finalisers in calling order; each is called without arguments.
    #[must_use]
    pub fn fini_functions(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        self.fini.iter().map(|offset| self.base + u64::from(*offset))
    }

    /// Runs the initialisers.
    ///
    /// An exception that a constructor throws leaves through this function; the image then counts
    /// as not initialised and its finalisers must not run.
    ///
    /// # Safety
    ///
    /// The memory still holds this image, which is for this machine; its unwind tables are
    /// registered if its code may throw; and its code is trusted to be called: whatever it does is
    /// the caller's responsibility. Called once, before any other function of the image.
    pub unsafe fn run_init(&self) {
        let empty: [*const c_char; 1] = [core::ptr::null()];
        for address in self.init_functions() {
            let code = code_pointer(address);
            // SAFETY: the address is code of the sealed image (invariant of the type), which the
            // caller says is still there; function and data pointers have the same form.
            let function = unsafe { core::mem::transmute::<*const (), Initialiser>(code) };
            // SAFETY: the caller vouches for the code; the lists are empty and NULL-terminated.
            unsafe { function(0, empty.as_ptr(), empty.as_ptr()) };
        }
    }

    /// Runs the finalisers.
    ///
    /// # Safety
    ///
    /// As for [`run_init`](Self::run_init), which has returned. Called once; no function of the
    /// image is running or will be called afterwards.
    pub unsafe fn run_fini(&self) {
        for address in self.fini_functions() {
            let code = code_pointer(address);
            // SAFETY: as in `run_init`.
            let function = unsafe { core::mem::transmute::<*const (), Finaliser>(code) };
            // SAFETY: the caller vouches for the code.
            unsafe { function() };
        }
    }
}

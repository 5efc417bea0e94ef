//! The vendor's functions as calls that return what they mean.
//!
//! Device addresses are numbers here and never dereferenced; the runtime checks them itself, and
//! `memory` has looked them up before. What is passed by pointer lives on the stack of the call or in
//! a slice that the caller lends.

use std::ffi::{CStr, c_void};
use std::ptr::{null, null_mut};
use std::time::Duration;

use super::error::CallError;
use super::ffi::{self, AicpuLaunch, Code, CoreImage, CoreLaunch, LaunchConfig, RawStream};
use super::libraries::Functions;

/// The vendor's functions.
#[derive(Debug, Clone, Copy)]
pub struct Api {
    functions: Functions,
}

/// A registered program of the cores.
#[derive(Debug, Clone, Copy)]
pub struct CoreProgram(*mut c_void);

// SAFETY: a handle that the runtime takes from any thread; it is not dereferenced here.
unsafe impl Send for CoreProgram {}

/// A stream; who owns it destroys it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamHandle(RawStream);

// SAFETY: a handle that the runtime takes from any thread; it is not dereferenced here.
unsafe impl Send for StreamHandle {}
// SAFETY: as above.
unsafe impl Sync for StreamHandle {}

/// What is launched on the AICPU: bytes of a launch record with the names behind it.
#[derive(Debug, Clone, Copy)]
pub struct AicpuCall<'a> {
    /// Operator name, which the runtime wants.
    pub operator: &'static CStr,
    /// Record and names.
    pub args: &'a [u8],
    /// Where the kernel's name is in them.
    pub kernel_name_offset: u32,
    /// Where the name of the shared object is in them.
    pub so_name_offset: u32,
    /// AICPU threads to start.
    pub threads: u32,
}

impl Api {
    /// Calls these functions.
    pub fn new(functions: Functions) -> Self {
        Self { functions }
    }

    /// Initialises the application interface; once more does no harm. Returns whether this call has done it: who
    /// has found it initialised must leave it so, since somebody else of the process uses it.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn init(&self) -> Result<bool, CallError> {
        // SAFETY: null asks for the default settings.
        let code = unsafe { (self.functions.acl_init)(null()) };
        match checked("aclInit", "starting", code) {
            Err(error) if error.is_done_before() => Ok(false),
            end => end.map(|()| true),
        }
    }

    /// Takes back [`init`](Self::init).
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn finalize(&self) -> Result<(), CallError> {
        // SAFETY: takes nothing.
        checked("aclFinalize", "closing", unsafe { (self.functions.acl_finalize)() })
    }

    /// Has the calling thread use a device.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn set_device(&self, device: i32) -> Result<(), CallError> {
        // SAFETY: takes a number.
        let code = unsafe { (self.functions.set_device)(device) };
        checked("aclrtSetDevice", "attaching a thread to the device", code)
    }

    /// Gives a device up whose work is done.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn reset_device(&self, device: i32) -> Result<(), CallError> {
        // SAFETY: takes a number.
        checked("aclrtResetDevice", "closing", unsafe { (self.functions.reset_device)(device) })
    }

    /// Gives a device up whose work may never end, and with it everything that the process has there.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn reset_device_force(&self, device: i32) -> Result<(), CallError> {
        // SAFETY: takes a number.
        let code = unsafe { (self.functions.reset_device_force)(device) };
        checked("aclrtResetDeviceForce", "resetting a lost device", code)
    }

    /// Sets how long a kernel may keep a core.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn set_op_timeout(&self, timeout: Duration) -> Result<(), CallError> {
        let wanted = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
        let mut actual = 0;
        // SAFETY: the answer goes to the local above.
        let code = unsafe { (self.functions.set_op_timeout)(wanted, &raw mut actual) };
        checked("aclrtSetOpExecuteTimeOutV2", "setting the time limit of kernels", code)
    }

    /// Waits for a stream.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn synchronize(
        &self,
        stream: StreamHandle,
        limit: Duration,
        doing: &'static str,
    ) -> Result<(), CallError> {
        let limit = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX).max(1);
        // SAFETY: a stream that its owner has not destroyed.
        let code = unsafe { (self.functions.synchronize)(stream.0, limit) };
        checked("aclrtSynchronizeStreamWithTimeout", doing, code)
    }

    /// Makes a stream.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn create_stream(&self, doing: &'static str) -> Result<StreamHandle, CallError> {
        let mut stream = null_mut();
        // SAFETY: the answer goes to the local above.
        let code = unsafe { (self.functions.create_stream)(&raw mut stream, 0) };
        checked("rtStreamCreate", doing, code).map(|()| StreamHandle(stream))
    }

    /// Destroys a stream.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn destroy_stream(&self, stream: StreamHandle) -> Result<(), CallError> {
        // SAFETY: its owner gives it up.
        let code = unsafe { (self.functions.destroy_stream)(stream.0) };
        checked("rtStreamDestroy", "closing a stream", code)
    }

    /// Allocates device memory.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn malloc(&self, bytes: u64) -> Result<u64, CallError> {
        let mut address = null_mut();
        let (kind, module) = (ffi::MEMORY_HBM, ffi::MODULE_OF_USER);
        // SAFETY: the answer goes to the local above.
        let code = unsafe { (self.functions.malloc)(&raw mut address, bytes, kind, module) };
        // CAST: usize is 64 bits on the supported targets.
        checked("rtMalloc", "allocating device memory", code).map(|()| address.addr() as u64)
    }

    /// Frees device memory.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn free(&self, address: u64) -> Result<(), CallError> {
        // SAFETY: an address of the device, which its owner gives up.
        let code = unsafe { (self.functions.free)(device_pointer(address)) };
        checked("rtFree", "freeing device memory", code)
    }

    /// Copies to the device.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn copy_in(&self, to: u64, from: &[u8]) -> Result<(), CallError> {
        // CAST: usize is 64 bits on the supported targets.
        let (bytes, start) = (from.len() as u64, from.as_ptr().cast());
        let (to, way) = (device_pointer(to), ffi::COPY_TO_DEVICE);
        // SAFETY: `from` is readable for so many bytes; the other address is the device's.
        let code = unsafe { (self.functions.memcpy)(to, bytes, start, bytes, way) };
        checked("rtMemcpy", "copying to the device", code)
    }

    /// Copies from the device.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn copy_out(&self, to: &mut [u8], from: u64) -> Result<(), CallError> {
        // CAST: usize is 64 bits on the supported targets.
        let (bytes, start) = (to.len() as u64, to.as_mut_ptr().cast());
        let (from, way) = (device_pointer(from), ffi::COPY_FROM_DEVICE);
        // SAFETY: `to` is writable for so many bytes; the other address is the device's.
        let code = unsafe { (self.functions.memcpy)(start, bytes, from, bytes, way) };
        checked("rtMemcpy", "copying from the device", code)
    }

    /// Starts a kernel on the AICPU.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn launch_aicpu(
        &self,
        call: &AicpuCall<'_>,
        stream: StreamHandle,
        doing: &'static str,
    ) -> Result<(), CallError> {
        let launch = AicpuLaunch {
            args: call.args.as_ptr().cast(),
            host_inputs: null(),
            kernel_offsets: null(),
            args_bytes: u32::try_from(call.args.len()).unwrap_or(u32::MAX),
            host_input_count: 0,
            kernel_offset_count: 0,
            so_name_offset: call.so_name_offset,
            kernel_name_offset: call.kernel_name_offset,
            is_on_device: 0,
            reserved: [0; 7],
        };
        // SAFETY: the runtime copies the arguments before it returns; the stream is its owner's.
        let code = unsafe {
            (self.functions.launch_aicpu)(
                ffi::KERNEL_TYPE_AICPU_KFC,
                call.operator.as_ptr(),
                call.threads,
                &raw const launch,
                null_mut(),
                stream.0,
                0,
            )
        };
        checked("rtAicpuKernelLaunchExWithArgs", doing, code)
    }

    /// Registers the program of the cores, for good: there is no way to take it back.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn register_cores(&self, image: &[u8]) -> Result<CoreProgram, CallError> {
        let image = CoreImage {
            kind: ffi::ELF_IMAGE,
            version: 0,
            data: image.as_ptr().cast(),
            // CAST: usize is 64 bits on the supported targets.
            bytes: image.len() as u64,
        };
        let mut handle = null_mut();
        // SAFETY: the image is readable for so many bytes, and the answer goes to the local above.
        let code = unsafe { (self.functions.register_image)(&raw const image, &raw mut handle) };
        let doing = "registering the program of the cores";
        checked("rtRegisterAllKernel", doing, code).map(|()| CoreProgram(handle))
    }

    /// Starts the program of the cores on `blocks` clusters, with one word for an argument.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn launch_cores(
        &self,
        program: CoreProgram,
        blocks: u32,
        argument: u64,
        stream: StreamHandle,
    ) -> Result<(), CallError> {
        let launch = CoreLaunch {
            args: (&raw const argument).cast(),
            host_inputs: null(),
            args_bytes: size_of::<u64>() as u32,
            tiling_offset: 0,
            tiling_data_offset: 0,
            host_input_count: 0,
            has_tiling: 0,
            is_on_device: 0,
            reserved: [0; 8],
        };
        let config = LaunchConfig { schedule: ffi::SCHEDULE_BATCH, ..LaunchConfig::default() };
        // SAFETY: the runtime copies the argument before it returns; handle and stream are their owner's.
        let code = unsafe {
            (self.functions.launch_cores)(
                program.0,
                0,
                blocks,
                &raw const launch,
                null_mut(),
                stream.0,
                &raw const config,
            )
        };
        checked("rtKernelLaunchWithHandleV2", "starting the cores", code)
    }

    /// The functions themselves, for what only one chip has.
    pub fn functions(&self) -> &Functions {
        &self.functions
    }
}

/// What a returned number says.
///
/// # Errors
///
/// [`CallError`].
pub fn checked(call: &'static str, doing: &'static str, code: Code) -> Result<(), CallError> {
    if code == 0 { Ok(()) } else { Err(CallError { call, code, doing }) }
}

/// An address of the device, as the functions take it.
fn device_pointer(address: u64) -> *mut c_void {
    // CAST: usize is 64 bits on the supported targets. Never dereferenced in this process.
    std::ptr::without_provenance_mut(address as usize)
}

//! The vendor's libraries, found when a device is opened and not before: a machine without them has
//! everything else.
//!
//! ```text
//!  names ─▶ folders ─▶ dlopen ─▶ every function that the chip needs ─▶ Functions
//!             └─ what is missing, where it was looked for, and what to do about it
//! ```
//!
//! A library that is open stays so as long as the process: it has threads of its own.

use std::ffi::c_void;
use std::fmt;
use std::path::{Path, PathBuf};

use libloading::os::unix::Library;
use protocol::ChipName;

use super::ffi::function;
use crate::foreign_code::anonymous_library::reason_of;

/// A library of the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VendorLibrary {
    /// The application interface.
    Acl,
    /// The runtime under it, which has what it lacks.
    Runtime,
    /// The driver's interface.
    Hal,
}

impl VendorLibrary {
    /// Its file name.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Acl => "libascendcl.so",
            Self::Runtime => "libruntime.so",
            Self::Hal => "libascend_hal.so",
        }
    }

    /// Where it is as a rule, below the folder of the installation. `[U]`
    const fn folders(self) -> &'static [&'static str] {
        match self {
            Self::Acl | Self::Runtime => &["lib64", "runtime/lib64"],
            Self::Hal => &["lib64", "../driver/lib64/driver", "../../driver/lib64/driver"],
        }
    }

    /// What it comes with.
    const fn package(self) -> &'static str {
        match self {
            Self::Acl | Self::Runtime => "the CANN toolkit or its runtime package",
            Self::Hal => "the Ascend driver",
        }
    }
}

impl fmt::Display for VendorLibrary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file_name())
    }
}

/// Why the vendor's functions cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// A library does not open in any place.
    #[error(
        "cannot open {library}, which comes with {}; install that and have ASCEND_HOME_PATH or \
         LD_LIBRARY_PATH name its folder (its set_env.sh does), or use a simulator such as \
         a2a3sim. Tried: {}",
        library.package(),
        tried.join("; ")
    )]
    NotFound {
        /// Which.
        library: VendorLibrary,
        /// Each place, with what the system's loader says.
        tried: Vec<String>,
    },
    /// A library has not all functions that are needed.
    #[error(
        "{} has no function `{symbol}`, which a device of the chip {chip} needs; install a version of \
         {} that has it", path.display(), library.package()
    )]
    NoSymbol {
        /// Which library.
        library: VendorLibrary,
        /// Where it is.
        path: PathBuf,
        /// The first one that it lacks.
        symbol: &'static str,
        /// What for.
        chip: ChipName,
    },
}

/// Declares the functions, each with its library, its name there and the chips that need it.
macro_rules! functions {
    ($($field:ident: $library:ident $symbol:literal as $signature:ident $(for $chip:ident)?;)+) => {
        /// The vendor's functions. One that the chip does not need is not there.
        #[derive(Debug, Clone, Copy)]
        pub struct Functions {
            $(
                #[doc = concat!("`", $symbol, "`.")]
                pub $field: functions!(@field $signature $($chip)?),
            )+
        }

        impl Functions {
            /// Name and library of each.
            pub const NAMES: &'static [(&'static str, VendorLibrary)] =
                &[$(($symbol, VendorLibrary::$library)),+];

            /// Looks all of them up that `chip` needs.
            ///
            /// # Safety
            ///
            /// What `look_up` finds under a name has the parameters of that function.
            unsafe fn find<E>(
                chip: ChipName,
                mut look_up: impl FnMut(VendorLibrary, &'static str) -> Result<*mut c_void, E>,
            ) -> Result<Self, E> {
                $(
                    let address = functions!(@look chip, look_up, $library $symbol $($chip)?);
                    let $field = functions!(@cast address, $signature $($chip)?);
                )+
                Ok(Self { $($field),+ })
            }
        }
    };
    (@field $signature:ident) => { function::$signature };
    (@field $signature:ident $chip:ident) => { Option<function::$signature> };
    (@look $of:ident, $look_up:ident, $library:ident $symbol:literal) => {
        $look_up(VendorLibrary::$library, $symbol)?
    };
    (@look $of:ident, $look_up:ident, $library:ident $symbol:literal $chip:ident) => {
        match $of {
            ChipName::$chip => Some($look_up(VendorLibrary::$library, $symbol)?),
            _ => None,
        }
    };
    (@cast $address:ident, $signature:ident) => {
        // SAFETY: the caller's promise.
        unsafe { core::mem::transmute::<*mut c_void, function::$signature>($address) }
    };
    (@cast $address:ident, $signature:ident $chip:ident) => {
        $address.map(|address| {
            // SAFETY: the caller's promise.
            unsafe { core::mem::transmute::<*mut c_void, function::$signature>(address) }
        })
    };
}

functions! {
    acl_init: Acl "aclInit" as Path;
    acl_finalize: Acl "aclFinalize" as NoParameter;
    set_device: Acl "aclrtSetDevice" as Device;
    reset_device: Acl "aclrtResetDevice" as Device;
    reset_device_force: Acl "aclrtResetDeviceForce" as Device;
    set_op_timeout: Acl "aclrtSetOpExecuteTimeOutV2" as SetTimeout;
    synchronize: Acl "aclrtSynchronizeStreamWithTimeout" as Synchronize;
    create_stream: Runtime "rtStreamCreate" as CreateStream;
    destroy_stream: Runtime "rtStreamDestroy" as Stream;
    malloc: Runtime "rtMalloc" as Malloc;
    free: Runtime "rtFree" as Free;
    memcpy: Runtime "rtMemcpy" as Memcpy;
    launch_aicpu: Runtime "rtAicpuKernelLaunchExWithArgs" as LaunchAicpu;
    register_image: Runtime "rtRegisterAllKernel" as RegisterImage;
    launch_cores: Runtime "rtKernelLaunchWithHandleV2" as LaunchCores;
    control_address: Runtime "rtGetC2cCtrlAddr" as ControlAddress for A2a3;
    mem_ctl: Hal "halMemCtl" as MemCtl for A2a3;
    device_info: Hal "halGetDeviceInfoByBuff" as DeviceInfo for A2a3;
    resource_map: Hal "halResMap" as ResourceMap for A5;
}

impl Functions {
    /// Opens the libraries, below `home` first if that is given, and then where the system looks.
    ///
    /// # Errors
    ///
    /// [`LibraryError`].
    pub fn open(home: Option<&Path>, chip: ChipName) -> Result<Self, LibraryError> {
        let mut open: Vec<(VendorLibrary, PathBuf, Library)> = Vec::new();
        let look_up = |library: VendorLibrary, symbol: &'static str| {
            let known = open.iter().position(|(which, ..)| *which == library);
            let index = match known {
                Some(index) => index,
                None => {
                    let (path, opened) = open_library(library, home)?;
                    open.push((library, path, opened));
                    open.len() - 1
                }
            };
            let (_, path, opened) = &open[index];
            // SAFETY: only the address is looked at here.
            let found = unsafe { opened.get::<*mut c_void>(symbol.as_bytes()) };
            let missing = || LibraryError::NoSymbol { library, path: path.clone(), symbol, chip };
            let address = found.map_err(|_absent| missing())?.into_raw();
            if address.is_null() { Err(missing()) } else { Ok(address) }
        };
        // SAFETY: the vendor's functions have the parameters that `ffi` declares, as far as that is
        // known (`[U]` there).
        let functions = unsafe { Self::find(chip, look_up) };
        // Also where something is missing: a library of the vendor that was open does not go.
        open.into_iter().for_each(|(.., library)| std::mem::forget(library));
        functions
    }
}

/// Opens a library, and says where it was.
fn open_library(
    library: VendorLibrary,
    home: Option<&Path>,
) -> Result<(PathBuf, Library), LibraryError> {
    let name = library.file_name();
    let below = |home: &Path| library.folders().iter().map(|it| home.join(it).join(name)).collect();
    let mut places: Vec<PathBuf> = home.map(below).unwrap_or_default();
    places.push(PathBuf::from(name));
    let mut tried = Vec::new();
    for place in places {
        // SAFETY: the user asks for a device of the vendor, whose libraries have constructors.
        match unsafe { Library::open(Some(&place), libc::RTLD_NOW | libc::RTLD_LOCAL) } {
            Ok(opened) => return Ok((place, opened)),
            Err(error) => tried.push(format!("{} ({})", place.display(), reason_of(&error))),
        }
    }
    Err(LibraryError::NotFound { library, tried })
}

#[cfg(test)]
mod tests;

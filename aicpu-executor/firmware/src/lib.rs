//! What turns `aicpu-executor` into a program of its own: the shared object that runs on the AICPU.
//!
//! The executor is a library, the same in the simulator and here. This package adds what a
//! program needs and a library must not bring: a panic handler, the C entry points of boundary C,
//! the platform, a log transport, and the few C functions that compilers call. It links neither
//! std nor an allocator nor a C library, and `cargo xtask ci firmware` proves that on the linked file.
//!
//! ```text
//!  server on the chip ── launch record ──► entry::onboard ─┬─► resident ──► Executor<ThisChip, LinuxPlatform>
//!  simulator host ────── run record ─────► entry::sim ─────┘       log_transport ◄── aicpu_executor::log
//! ```
//!
//! It is no default member of the workspace, because its panic handler clashes with std's.
//! Its unit tests link std, so under `cfg(test)` everything that would clash is left out.

#![no_std]
// The loops of `c_functions` must not be compiled into calls of the functions they implement.
#![no_builtins]
#![cfg_attr(test, allow(dead_code, reason = "the entry points are left out of a test build"))]

#[cfg(test)]
extern crate std;

mod admission;
mod c_functions;
#[cfg(not(test))]
mod entry;
#[cfg(not(test))]
mod image;
#[cfg(not(test))]
mod log_transport;
#[cfg(not(test))]
mod panic;
mod platform;
#[cfg(not(test))]
mod resident;
mod this_chip;

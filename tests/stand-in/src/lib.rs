//! What stands in for the chip in tests: its AICPU's server, its memory and its cores.
//!
//! On a chip, a server process of the driver loads the AICPU image and calls it; here a process of the tests
//! does, on this machine or, built for aarch64, under an emulator. It is told what to do in messages, and has
//! its device memory at the same addresses as whoever started it, so that addresses mean the same on both
//! sides.
//!
//! ```text
//!  test, or a library that      messages (a socket)        stand-in-daemon ── dlopen ──▶ libaicpu.so
//!  stands in for the driver's ─────────────────────────▶     │  threads ── entry(argument) ──▶
//!       │                                                    │  cores ── registers, handshakes ─┐
//!       └── DeviceMemory ◀── one file, one address ──▶ ──────┴── kernels ◀─────────────────────┘
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`daemon`] | starts the process, asks it, and notices how it ends |
//! | [`machine`] | for which machine it and the images are, and where the built files are |
//! | [`memory`] | device memory |
//! | [`message`] | what is said |
//! | [`cores`] | simulated cores that look at registers in memory, as those of a chip |
//! | [`server`] | the process itself |
//!
//! Test code: what a host may trust in is not decided here, and what is slow on a chip is slow here.

pub mod cores;
pub mod daemon;
pub mod machine;
pub mod memory;
pub mod message;
pub mod server;

pub use daemon::{Daemon, DaemonError, Ended, Pending};
pub use machine::{Machine, NotHere};
pub use memory::DeviceMemory;
pub use message::{Answer, Chip, CoreLaunch, Request, Scope};

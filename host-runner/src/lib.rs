//! Builds, registers and runs callables, on the simulator or a device.
//!
//! ```text
//! callable.toml ─manifest─▶ sources ─compile─▶ images ─callable─▶ blob ─worker─▶ device
//!             └─case_data─▶ bytes ──arguments──────────────────────────┘   │
//!                           compare ◀───────── outputs ◀───────────────────┘
//! ```
//!
//! | module        | what it knows                                        |
//! |---------------|------------------------------------------------------|
//! | [`manifest`]  | `callable.toml`: what to build, run and expect       |
//! | [`case_data`] | the bytes of inputs and expected outputs             |
//! | [`npy`]       | NumPy's array files                                  |
//! | [`compile`]   | C++ sources to images, cached by content             |
//! | [`callable`]  | images to the blob that is registered                |
//! | [`build`]     | from a manifest to a callable, with the two above    |
//! | [`arguments`] | the caller's memory as arguments of a run            |
//! | [`code_listing`] | loaded code as gdb and perf want to see it       |
//! | [`compare`]   | outputs against expectations                         |
//! | [`number`], [`float16`] | single elements of any type                |
//! | [`worker`]    | the API: register a callable once, run it by handle  |
//! | [`registry`]  | what is registered, and where it is on the device    |
//! | [`image_cache`] | built callables and planned images, for the next process |
//! | [`run`]       | one run: settings, staging of tensors, outcome       |
//! | [`completion`] | the result of a run that was submitted, to wait for |
//! | [`graph`]     | graphs of tasks that the host builds                 |
//! | [`host_orchestration`] | orchestrations that run in this process     |
//! | [`foreign_code`] | opens, calls and closes shared objects of the user |
//! | [`inspect`]   | what the loader would do with a shared object        |
//! | [`device`]    | a device behind a trait; the simulator               |
//! | [`log`]       | what executor and orchestrations say, as events      |
//!
//! The library never prints, never ends the process and reads no environment variables; the
//! command `host-runner` does.

#![deny(unsafe_code)]

#[cfg(not(loom))]
pub mod arguments;
mod brief_wait;
#[cfg(not(loom))]
pub mod build;
#[cfg(not(loom))]
pub mod callable;
#[cfg(not(loom))]
pub mod case_data;
#[cfg(all(test, not(loom)))]
#[path = "../../tests/src/child.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests across crates")]
mod child;
#[cfg(not(loom))]
pub mod code_listing;
#[cfg(not(loom))]
pub mod comm;
#[cfg(not(loom))]
pub mod compare;
#[cfg(not(loom))]
pub mod compile;
pub mod completion;
#[cfg(not(loom))]
pub mod device;
#[cfg(not(loom))]
pub mod float16;
#[cfg(not(loom))]
#[expect(unsafe_code, reason = "code of the user is opened, called and closed")]
pub mod foreign_code;
#[cfg(not(loom))]
pub mod graph;
#[cfg(not(loom))]
#[expect(unsafe_code, reason = "orchestrations call through a table of C functions")]
pub mod host_orchestration;
#[cfg(not(loom))]
pub mod image_cache;
#[cfg(not(loom))]
pub mod inspect;
#[cfg(not(loom))]
pub mod log;
#[cfg(not(loom))]
pub mod manifest;
#[cfg(not(loom))]
pub mod npy;
#[cfg(not(loom))]
pub mod number;
#[cfg(not(loom))]
pub mod platform_name;
#[cfg(not(loom))]
pub mod registry;
#[cfg(not(loom))]
pub mod run;
#[cfg_attr(loom, allow(dead_code, reason = "models use a part of it"))]
mod run_queue;
#[cfg(not(loom))]
pub mod runtime_name;
#[cfg(not(loom))]
pub mod source_file;
#[cfg(all(test, not(loom)))]
mod test_callables;
#[cfg(not(loom))]
pub mod worker;

// Under loom only what has a model is built: these, the completion and the queue of runs.
#[cfg(loom)]
#[path = "device/sim/attendance.rs"]
pub mod attendance;
#[cfg(loom)]
#[path = "device/sim/inline_queue.rs"]
pub mod inline_queue;
#[cfg(loom)]
#[path = "registry/lease_gate.rs"]
pub mod lease_gate;
#[cfg(loom)]
#[path = "device/sim/run_state.rs"]
pub mod run_state;

/// The library example of the README, compiled with the documentation's examples.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

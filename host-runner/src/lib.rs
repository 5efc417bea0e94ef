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
//! | [`compare`]   | outputs against expectations                         |
//! | [`number`], [`float16`] | single elements of any type                |
//! | [`worker`]    | the API: register a callable once, run it by handle  |
//! | [`registry`]  | what is registered, and where it is on the device    |
//! | [`run`]       | one run: settings, staging of tensors, outcome       |
//! | [`device`]    | a device behind a trait; the simulator               |
//! | [`log`]       | what executor and orchestrations say, as events      |
//!
//! The library never prints, never ends the process and reads no environment variables; the
//! command `host-runner` does.

#![deny(unsafe_code)]

pub mod arguments;
pub mod build;
pub mod callable;
pub mod case_data;
pub mod compare;
pub mod compile;
pub mod device;
pub mod float16;
pub mod log;
pub mod manifest;
pub mod npy;
pub mod number;
pub mod registry;
pub mod run;
#[cfg(test)]
mod test_callables;
pub mod worker;

/// The library example of the README, compiled with the documentation's examples.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

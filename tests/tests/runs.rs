//! Runs that are called, submitted and bound: whose turn it is, what comes back, and what happens
//! where one fails, is cancelled, or loses its worker.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

#[path = "runs/binding.rs"]
mod binding;
#[path = "runs/calling_back.rs"]
mod calling_back;
#[path = "runs/cancelling.rs"]
mod cancelling;
#[path = "runs/device_memory.rs"]
mod device_memory;
#[path = "runs/directions.rs"]
mod directions;
#[path = "runs/failing.rs"]
mod failing;
#[path = "runs/order.rs"]
mod order;
#[path = "runs/room.rs"]
mod room;
#[path = "runs/setting.rs"]
mod setting;
#[path = "runs/spoiled_device.rs"]
mod spoiled_device;
#[path = "runs/submitting.rs"]
mod submitting;

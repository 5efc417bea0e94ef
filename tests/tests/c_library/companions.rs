//! The libraries that clients open around it: log and context of the simulator.

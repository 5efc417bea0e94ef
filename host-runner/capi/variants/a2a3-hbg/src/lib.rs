//! `libhost_runtime.so` for the simulator of a2a3, runtime hbg; all of it is in `host-runtime`.

host_runtime::library!(A2a3Sim, Hbg);

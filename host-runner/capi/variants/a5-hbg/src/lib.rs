//! `libhost_runtime.so` for the simulator of a5, runtime hbg; all of it is in `host-runtime`.

host_runtime::library!(A5Sim, Hbg);

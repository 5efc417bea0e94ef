// Waits until the core's stores to global memory are done, before the kernel returns.
//
// The scheduler starts consumers when a kernel returns, and a core's data pipes run on after that
// unless told otherwise. Source: spec trb §8.1.
#pragma once

#include <pto/pto-inst.hpp>

#include "simpler/qualifiers.h"

// From the pipe that stores (MTE3 on a vector core, FIX on a cube core) to the scalar unit. Plain
// C++ has no pipes: without the instruction headers nothing needs to happen.
static __aicore__ inline void pipe_sync() {
#if !defined(SIMPLER_PTO_STUB)
#if defined(__DAV_VEC__)
    set_flag(PIPE_MTE3, PIPE_S, EVENT_ID7);
    wait_flag(PIPE_MTE3, PIPE_S, EVENT_ID7);
#elif defined(__DAV_CUBE__)
    set_flag(PIPE_FIX, PIPE_S, EVENT_ID7);
    wait_flag(PIPE_FIX, PIPE_S, EVENT_ID7);
#endif
#endif
}

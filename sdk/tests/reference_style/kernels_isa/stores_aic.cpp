// Needs instructions the stub does not have: builds only if the stub has stepped aside.
#include <cstdint>
#include <pto/pto-inst.hpp>

#include "pipe_sync.h"
#include "tensor.h"

#ifdef SIMPLER_PTO_STUB
#error "the stub is in the way of the instruction headers"
#endif

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    (void)args;
    set_flag(PIPE_MTE3, PIPE_S, EVENT_ID0);
    pipe_sync();
}

// Making memory visible between a core and the scheduler.
//
// Cores on hardware do not share a coherent cache with the AICPU, so a kernel writes lines back
// and drops stale ones by hand. On the simulator memory is coherent and a fence is enough.
// Needs the instruction headers, therefore apart from intrinsic.h. Source: spec trb §7.7, §8.3.
#pragma once

#include <pto/pto-inst.hpp>

#include <cstdint>

#include "simpler/qualifiers.h"

namespace simpler {
constexpr uint64_t CACHE_LINE_BYTES = 64;

// Both directions: dirty lines of the range go to memory, the next load comes from there.
static __aicore__ inline void synchronise_lines(const volatile __gm__ void *start, uint64_t bytes) {
#if defined(__CPU_SIM) || defined(PTO_CPUSTUB_HPP)
    (void)start;
    (void)bytes;
    __sync_synchronize();
#else
    const uint64_t first = reinterpret_cast<uint64_t>(start) / CACHE_LINE_BYTES;
    const uint64_t last = (reinterpret_cast<uint64_t>(start) + bytes - 1) / CACHE_LINE_BYTES;
    for (uint64_t line = first; bytes != 0 && line <= last; ++line) {
        dcci(reinterpret_cast<__gm__ void *>(line * CACHE_LINE_BYTES), SINGLE_CACHE_LINE,
             CACHELINE_OUT);
    }
    dsb(DSB_ALL);
#endif
}
}  // namespace simpler

// What a rank knows about its peers. Source: spec trb §3.1.
#pragma once

#include <cstdint>

#include "simpler/layout.h"

constexpr uint32_t SIMPLER_MAX_RANKS = 64;

// Written by the host when the communicator is made; kernels and orchestrations only read it.
// Addresses are device addresses of this rank's mapping of the peers' windows.
struct CommContext {
    uint64_t workSpace;
    uint64_t workSpaceSize;  // bytes
    uint32_t rankId;
    uint32_t rankNum;
    uint64_t winSize;  // bytes of one window
    uint64_t windowsIn[SIMPLER_MAX_RANKS];
    uint64_t windowsOut[SIMPLER_MAX_RANKS];
};

SIMPLER_ASSERT_RECORD(CommContext, 1056, 8);
SIMPLER_ASSERT_FIELD(CommContext, workSpace, 0, 8);
SIMPLER_ASSERT_FIELD(CommContext, workSpaceSize, 8, 8);
SIMPLER_ASSERT_FIELD(CommContext, rankId, 16, 4);
SIMPLER_ASSERT_FIELD(CommContext, rankNum, 20, 4);
SIMPLER_ASSERT_FIELD(CommContext, winSize, 24, 8);
SIMPLER_ASSERT_FIELD(CommContext, windowsIn, 32, 512);
SIMPLER_ASSERT_FIELD(CommContext, windowsOut, 544, 512);

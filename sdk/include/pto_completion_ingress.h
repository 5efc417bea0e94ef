// Conditions a kernel leaves behind: the task completes when they hold.
//
// The kernel writes them into its ingress buffer, the scheduler reads them after the kernel's
// FIN and polls. Source: spec trb §3.1, §5.8, §8.3.
#pragma once

#include <cstdint>

#include "simpler/layout.h"

// Who fulfils a condition.
enum class PTO2AsyncEngine : uint32_t { SDMA = 0, ROCE = 1, URMA = 2, CCU = 3 };

// What is tested at the condition's address.
enum class PTO2CompletionType : int32_t {
    COUNTER = 0,            // a u32 has reached the expected value
    SDMA_EVENT_RECORD = 1,  // a PTO2SdmaEventRecord has its flag set
};

// Conditions of one task.
constexpr uint32_t SIMPLER_MAX_COMPLETIONS = 64;

struct PTO2DeferredCompletionEntry {
    uint64_t addr;
    uint32_t expected_value;
    uint32_t engine;          // PTO2AsyncEngine
    int32_t completion_type;  // PTO2CompletionType
    uint32_t _pad;
};

SIMPLER_ASSERT_RECORD(PTO2DeferredCompletionEntry, 24, 8);
SIMPLER_ASSERT_FIELD(PTO2DeferredCompletionEntry, addr, 0, 8);
SIMPLER_ASSERT_FIELD(PTO2DeferredCompletionEntry, expected_value, 8, 4);
SIMPLER_ASSERT_FIELD(PTO2DeferredCompletionEntry, engine, 12, 4);
SIMPLER_ASSERT_FIELD(PTO2DeferredCompletionEntry, completion_type, 16, 4);
SIMPLER_ASSERT_FIELD(PTO2DeferredCompletionEntry, _pad, 20, 4);

// One for each dispatch. The kernel is the only writer until FIN.
struct alignas(64) PTO2DeferredCompletionIngressBuffer {
    uint32_t count;
    int32_t error_code;  // pto_runtime_status.h; not 0 ends the run
    PTO2DeferredCompletionEntry entries[SIMPLER_MAX_COMPLETIONS];
};

SIMPLER_ASSERT_RECORD(PTO2DeferredCompletionIngressBuffer, 1600, 64);
SIMPLER_ASSERT_FIELD(PTO2DeferredCompletionIngressBuffer, count, 0, 4);
SIMPLER_ASSERT_FIELD(PTO2DeferredCompletionIngressBuffer, error_code, 4, 4);
SIMPLER_ASSERT_FIELD(PTO2DeferredCompletionIngressBuffer, entries, 8, 1536);

// Written by the SDMA engine.
struct PTO2SdmaEventRecord {
    uint32_t flag;
    uint32_t sq_tail;
    uint64_t channel_info;
};

SIMPLER_ASSERT_RECORD(PTO2SdmaEventRecord, 16, 8);
SIMPLER_ASSERT_FIELD(PTO2SdmaEventRecord, flag, 0, 4);
SIMPLER_ASSERT_FIELD(PTO2SdmaEventRecord, sq_tail, 4, 4);
SIMPLER_ASSERT_FIELD(PTO2SdmaEventRecord, channel_info, 8, 8);

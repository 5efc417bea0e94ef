// Codes a run can end with; the run's status is the negated code. Source: spec trb §12.
#pragma once

#include <cstdint>

// Found while the graph was being built.
constexpr int32_t PTO2_ERROR_NONE = 0;
constexpr int32_t PTO2_ERROR_SCOPE_DEADLOCK = 1;
constexpr int32_t PTO2_ERROR_HEAP_RING_DEADLOCK = 2;
constexpr int32_t PTO2_ERROR_FLOW_CONTROL_DEADLOCK = 3;
constexpr int32_t PTO2_ERROR_DEP_POOL_OVERFLOW = 4;
constexpr int32_t PTO2_ERROR_INVALID_ARGS = 5;
constexpr int32_t PTO2_ERROR_DEPENDENCY_OVERFLOW = 6;
constexpr int32_t PTO2_ERROR_REQUIRE_SYNC_START_INVALID = 7;
constexpr int32_t PTO2_ERROR_TENSOR_WAIT_TIMEOUT = 8;
constexpr int32_t PTO2_ERROR_EXPLICIT_ORCH_FATAL = 9;

// Found while tasks were being scheduled. Kernels write 101..103 themselves (spec trb §8.3).
constexpr int32_t PTO2_ERROR_SCHEDULER_TIMEOUT = 100;
constexpr int32_t PTO2_ERROR_ASYNC_COMPLETION_INVALID = 101;
constexpr int32_t PTO2_ERROR_ASYNC_WAIT_OVERFLOW = 102;
constexpr int32_t PTO2_ERROR_ASYNC_REGISTRATION_FAILED = 103;

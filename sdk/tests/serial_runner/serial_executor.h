// Runs each task at the moment it is submitted, on the calling thread.
//
// Order of submission satisfies every dependency, so this shows whether headers, orchestration and
// kernels agree with the binary interface, without any scheduler. Memory that a kernel must not
// rely on is filled with nonsense first.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "intrinsic.h"
#include "pto_orchestration_api.h"

using KernelEntry = void (*)(int64_t *args);

// The prefix the orchestration knows comes first.
struct SerialExecutor {
    PTO2Runtime prefix;
    std::map<int32_t, KernelEntry> aic_kernels, aiv_kernels;
    int32_t fatal_code = 0;
    int tasks = 0;
    int kernel_calls = 0;
    int open_scopes = 0;
    // Tensors of a task stay where they are: outputs are handed out by address.
    std::deque<std::vector<Tensor>> payloads;
    std::deque<std::unique_ptr<uint64_t[]>> memory;

    SerialExecutor();
    static SerialExecutor &of(PTO2Runtime *rt) { return *reinterpret_cast<SerialExecutor *>(rt); }
    TaskOutputTensors prepare(const Arg &args);
    void run(const MixedKernels &kernels, const Arg &args);
    void call(const std::map<int32_t, KernelEntry> &list, int32_t func_id, uint64_t *words);
    void fail(int32_t code, const char *text);
};

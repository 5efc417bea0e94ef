// Takes down the graph that an orchestration of hbg builds, then runs it without a device.
//
// Each task runs when all tasks that it waits for have run. One task is left for the moment when no
// other is ready: whatever should wait for it and has no edge that says so runs before it. Device
// memory is ordinary memory, filled with nonsense, and what is wrong with a call is an exception.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "orchestration_api.h"

using KernelEntry = void (*)(int64_t *args);

// The prefix the orchestration knows comes first.
struct HostGraph {
    OrchestrationRuntime prefix;

    struct Task {
        int func_id;
        CoreType core_type;
        std::vector<uint64_t> args;
        std::vector<TensorInfo> tensors;
        std::vector<int> successors;
        int predecessors = 0;
    };

    struct Output {
        void *host;
        const void *device;
        size_t bytes;
    };

    std::map<std::pair<CoreType, int>, KernelEntry> kernels;
    std::vector<Task> tasks;
    std::vector<Output> outputs;
    std::map<const void *, size_t> memory;  // address and bytes of what is allocated
    std::vector<std::unique_ptr<char[]>> owned;
    size_t copied = 0;       // bytes that went to the device
    size_t budget = 1 << 28;  // bytes that it has
    std::string problem;     // of the first wrong call

    HostGraph();
    static HostGraph &of(OrchestrationRuntime *rt) { return *reinterpret_cast<HostGraph *>(rt); }
    void fail(const std::string &text);
    // Whether all these bytes are in one allocation.
    bool holds(const void *address, size_t bytes) const;
    // Runs all tasks, `late` as late as can be, then copies the outputs. Throws std::runtime_error if
    // the graph is wrong.
    void run(size_t late);
};

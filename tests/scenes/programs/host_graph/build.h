// What orchestrations that run on the host have in common: device memory for their arguments, and
// tasks whose arguments are written one after another.
#pragma once

#include "orchestration_api.h"

// Device memory of the graph that is being built. Where there is none, the build ends with an
// exception, so that no caller has to look.
struct GraphMemory {
    OrchestrationRuntime *rt;

    // Memory for what one task leaves for another.
    uint64_t scratch(uint64_t bytes) const {
        void *memory = device_malloc(rt, bytes);
        if (memory == nullptr) {
            throw std::runtime_error("no device memory for " + std::to_string(bytes) + " bytes");
        }
        return reinterpret_cast<uint64_t>(memory);
    }

    // Memory that holds these bytes.
    uint64_t copy_of(const void *bytes, uint64_t count) const {
        const uint64_t memory = scratch(count);
        if (copy_to_device(rt, reinterpret_cast<void *>(memory), bytes, count) != 0) {
            throw std::runtime_error("cannot copy " + std::to_string(count) + " bytes");
        }
        return memory;
    }

    // What a tensor holds; a device tensor is where it is.
    uint64_t input(const ContinuousTensor &tensor) const {
        if (tensor.is_child_memory()) return tensor.data;
        return copy_of(tensor.data_as<void>(), tensor.nbytes());
    }

    // Memory that becomes what the tensor holds.
    uint64_t output(const ContinuousTensor &tensor) const {
        if (tensor.is_child_memory()) return tensor.data;
        const uint64_t memory = scratch(tensor.nbytes());
        give_back(tensor, memory);
        return memory;
    }

    // Both.
    uint64_t inout(const ContinuousTensor &tensor) const {
        const uint64_t memory = input(tensor);
        if (!tensor.is_child_memory()) give_back(tensor, memory);
        return memory;
    }

    void give_back(const ContinuousTensor &tensor, uint64_t memory) const {
        record_tensor_pair(rt, tensor.data_as<void>(), reinterpret_cast<void *>(memory),
                           tensor.nbytes());
    }
};

// Adds a task. Each word is an address or the bits of a scalar.
template <typename... Words>
static inline int task(OrchestrationRuntime *rt, int func_id, CoreType core, Words... words) {
    uint64_t args[] = {to_u64(words)...};
    return add_task(rt, args, static_cast<int>(sizeof...(words)), func_id, core);
}

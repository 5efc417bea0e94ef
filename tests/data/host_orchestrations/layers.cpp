// Large graphs that a few numbers describe. Every task is `gather`: its cell becomes salt, own number
// and the sum of the cells of the tasks that it waits for.
#include "orchestration_api.h"

#define FUNC_GATHER 0

namespace {

// The cells on the device, which become the caller's.
struct Cells {
    OrchestrationRuntime *rt;
    uint64_t on_device;

    Cells(OrchestrationRuntime *rt, const ContinuousTensor &cells) : rt(rt) {
        void *memory = device_malloc(rt, cells.nbytes());
        if (memory == nullptr) throw std::runtime_error("no device memory for the cells");
        copy_to_device(rt, memory, cells.data_as<void>(), cells.nbytes());
        record_tensor_pair(rt, cells.data_as<void>(), memory, cells.nbytes());
        on_device = reinterpret_cast<uint64_t>(memory);
    }

    // Waits for `count` tasks from `first` on.
    int task(uint64_t first, uint64_t count, uint64_t salt) const {
        const int own = get_task_count(rt);
        uint64_t args[] = {on_device, static_cast<uint64_t>(own), first, count, salt};
        const CoreType core = own % 3 == 1 ? CoreType::AIC : CoreType::AIV;
        if (add_task(rt, args, 5, FUNC_GATHER, core) != own) throw std::runtime_error("no task");
        for (uint64_t i = 0; i < count; ++i) add_successor(rt, static_cast<int>(first + i), own);
        return own;
    }
};
}  // namespace

extern "C" {

// One task, `width` tasks, one task, and so on: `layers` times.
// Arguments: cells: uint64 [1 + layers * (width + 1)]; width, layers, salt, tasks that get the salt.
// Returns 1, with half of the graph built, where there are other cells.
int fork_join(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const Cells cells(rt, args.tensor(0));
    const uint64_t width = args.scalar(0), layers = args.scalar(1), salted = args.scalar(3);
    const uint64_t count = args.tensor(0).nbytes() / sizeof(uint64_t);
    const auto salt = [&] {
        return static_cast<uint64_t>(get_task_count(rt)) < salted ? args.scalar(2) : 0;
    };
    uint64_t fork = static_cast<uint64_t>(cells.task(0, 0, salt()));
    for (uint64_t layer = 0; layer < layers; ++layer) {
        if (fork + width + 2 > count) return 1;
        for (uint64_t i = 0; i < width; ++i) cells.task(fork, 1, salt());
        fork = static_cast<uint64_t>(cells.task(fork + 1, width, salt()));
    }
    return 0;
}

}  // extern "C"

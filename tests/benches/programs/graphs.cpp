// Graphs that a few numbers describe. Every task is `gather`: its cell becomes the constant, its own
// number and the sum of the cells of the tasks that it waits for.
// Arguments: cells: uint64 [at least as many as tasks]; constant, tasks.
#include "orchestration_api.h"

#define FUNC_GATHER 0

namespace {

// The cells on the device, which become the caller's.
struct Cells {
    OrchestrationRuntime *rt;
    uint64_t constant;
    uint64_t on_device;

    Cells(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args)
        : rt(rt), constant(args.scalar(0)) {
        const ContinuousTensor &cells = args.tensor(0);
        void *memory = device_malloc(rt, cells.nbytes());
        if (memory == nullptr) throw std::runtime_error("no device memory for the cells");
        record_tensor_pair(rt, cells.data_as<void>(), memory, cells.nbytes());
        on_device = reinterpret_cast<uint64_t>(memory);
    }

    // Task `own`, which waits for `count` tasks from `first` on.
    void task(uint64_t own, uint64_t first, uint64_t count) const {
        uint64_t args[] = {on_device, own, first, count, constant};
        add_task(rt, args, 5, FUNC_GATHER, CoreType::AIV);
        for (uint64_t i = 0; i < count; ++i) {
            add_successor(rt, static_cast<int>(first + i), static_cast<int>(own));
        }
    }
};
}  // namespace

extern "C" {

int independent(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const Cells cells(rt, args);
    for (uint64_t own = 0; own < args.scalar(1); ++own) cells.task(own, 0, 0);
    return 0;
}

int chain(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const Cells cells(rt, args);
    for (uint64_t own = 0; own < args.scalar(1); ++own) {
        cells.task(own, own - (own > 0), own > 0);
    }
    return 0;
}

// One task, eight that need it, one that needs them, and again, ten tasks a time.
int fork_join(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const Cells cells(rt, args);
    for (uint64_t own = 0; own < args.scalar(1); ++own) {
        const uint64_t place = own % 10, fork = own - place;
        if (place == 0) cells.task(own, own - (own > 0), own > 0);
        if (place > 0 && place < 9) cells.task(own, fork, 1);
        if (place == 9) cells.task(own, fork + 1, 8);
    }
    return 0;
}

}  // extern "C"

// What code of a process may do and code on the device may not: objects with constructors, storage of
// a thread, exceptions, several entries in one image.
#include "orchestration_api.h"

#include <memory>
#include <mutex>

namespace {

struct Statistics {
    Statistics() { names.push_back("built when the image is opened"); }
    std::vector<std::string> names;
    std::mutex mutex;
};

Statistics statistics;
thread_local int depth = 0;

class OutOfMemory : public std::runtime_error {
public:
    explicit OutOfMemory(size_t bytes) : runtime_error(std::to_string(bytes) + " bytes wanted") {}
};

template <typename Deleter>
using Owned = std::unique_ptr<void, Deleter>;

}  // namespace

extern "C" int chain(OrchestrationRuntime *rt, const ChipStorageTaskArgs &orch_args) {
    const std::lock_guard<std::mutex> guard(statistics.mutex);
    const auto release = [rt](void *memory) { device_free(rt, memory); };
    Owned<decltype(release)> scratch(device_malloc(rt, 64), release);
    if (!scratch) throw OutOfMemory(64);
    int before = -1;
    for (uint64_t i = 0; i < orch_args.scalar(0); ++i) {
        uint64_t args[] = {i};
        const int task = add_task(rt, args, 1, 0, CoreType::AIV);
        if (before >= 0) add_successor(rt, before, task);
        before = task;
    }
    statistics.names.emplace_back("chain");
    return 0;
}

extern "C" int nothing(OrchestrationRuntime *rt, const ChipStorageTaskArgs &) {
    ++depth;
    static const int first_count = get_task_count(rt);
    return first_count == 0 ? 0 : depth;
}

extern "C" int refuses(OrchestrationRuntime *, const ChipStorageTaskArgs &orch_args) {
    return static_cast<int>(orch_args.scalar(0));
}

// Scalars of every kind, as words of tasks and as arguments of the orchestration.
#include "host_graph/build.h"

#define FUNC_SHOW 0
#define FUNC_SCALE 1

extern "C" {

// Tasks that show up to 14 words each: first one of each type, then all scalars of the run.
// Arguments: seen: uint64 [14 + scalars]; scalars.
int show_words(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const GraphMemory memory{rt};
    const uint64_t out = memory.output(args.tensor(0));
    task(rt, FUNC_SHOW, CoreType::AIV, out, uint64_t{14}, 1.5f, -2.25f, 2.5, int8_t{-1},
         uint8_t{200}, int16_t{-300}, uint16_t{60000}, int32_t{-7}, uint32_t{4000000000},
         int64_t{-7}, uint64_t{0x0123456789ABCDEF}, true, false, CoreType::AIV);
    for (int first = 0; first < args.scalar_count(); first += 14) {
        const int count = std::min(14, args.scalar_count() - first);
        uint64_t words[16] = {out + static_cast<uint64_t>(14 + first) * sizeof(uint64_t),
                              static_cast<uint64_t>(count)};
        std::copy_n(args.scalars() + first, count, words + 2);
        if (add_task(rt, words, 2 + count, FUNC_SHOW, CoreType::AIV) < 0) return -1;
        // The task has its own copy.
        std::fill_n(words, 16, uint64_t{0});
    }
    return 0;
}

// out[i] = factor * in[i] + addend + offset. Arguments: in, out: float32; factor: float32, addend:
// float64, offset: int32.
int scale(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const GraphMemory memory{rt};
    const uint64_t in = memory.input(args.tensor(0));
    const uint64_t out = memory.output(args.tensor(1));
    const uint64_t count = args.tensor(1).nbytes() / sizeof(float);
    task(rt, FUNC_SCALE, CoreType::AIV, in, out, count, args.scalar(0), args.scalar(1),
         args.scalar(2));
    return 0;
}

// A graph without tasks, which copies what it gets all the same. Arguments: in, out: uint64.
int pass_on(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const uint64_t in = GraphMemory{rt}.input(args.tensor(0));
    record_tensor_pair(rt, args.tensor(1).data_as<void>(), reinterpret_cast<void *>(in),
                       args.tensor(1).nbytes());
    return get_task_count(rt);
}

// A graph without anything.
int nothing(OrchestrationRuntime *, const ChipStorageTaskArgs &) { return 0; }

}  // extern "C"

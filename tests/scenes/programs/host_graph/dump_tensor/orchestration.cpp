// f = a + b + 1 in two tasks that say what their tensors look like, each by another call.
// Arguments: a, b, f: float32; whether wrong descriptions are given as well.
#include "host_graph/build.h"

#define FUNC_ADD 0
#define FUNC_ADD_SCALAR_INPLACE 1

namespace {

// Descriptions that are refused, each for one reason; nothing else comes of it. Returns how many of
// them were not.
int give_wrong_ones(OrchestrationRuntime *rt, int known) {
    TensorInfo infos[17] = {};
    int taken = 0;
    taken += set_tensor_info_to_task(rt, known, infos, 17) == 0;
    taken += set_tensor_info_to_task(rt, known, nullptr, 1) == 0;
    taken += set_tensor_info_to_task(rt, known, infos, -1) == 0;
    taken += set_tensor_info_to_task(rt, known + 1, infos, 1) == 0;
    taken += set_tensor_info_to_task(rt, -1, infos, 1) == 0;
    // None says nothing, whatever the array is.
    taken += set_tensor_info_to_task(rt, known, nullptr, 0) != 0;
    return taken;
}
}  // namespace

extern "C" int build_dump_tensor_graph(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const GraphMemory memory{rt};
    const uint64_t count = args.tensor(2).nbytes() / sizeof(float);
    const uint64_t a = memory.input(args.tensor(0));
    const uint64_t b = memory.input(args.tensor(1));
    const uint64_t f = memory.output(args.tensor(2));

    const TensorInfo sums[] = {make_tensor_info(args.tensor(0)), make_tensor_info(args.tensor(1)),
                               make_tensor_info(args.tensor(2))};
    uint64_t words[] = {a, b, f, count};
    const int sum =
        add_task_with_tensor_info(rt, words, 4, FUNC_ADD, CoreType::AIV, sums, 3);

    // The second half of f, as a view of it: what is said changes no result.
    const uint32_t whole[1] = {static_cast<uint32_t>(count)};
    const uint32_t half[1] = {static_cast<uint32_t>(count / 2)};
    const TensorInfo view = make_tensor_info(DataType::FLOAT32, 1, half, whole, half);
    const int one_more = task(rt, FUNC_ADD_SCALAR_INPLACE, CoreType::AIV, f, 1.0f, count);
    if (set_tensor_info_to_task(rt, one_more, &view, 1) != 0) return -1;
    // Said again: the last word counts.
    if (set_tensor_info_to_task(rt, one_more, &sums[2], 1) != 0) return -2;
    add_successor(rt, sum, one_more);
    if (args.scalar(0) != 0 && give_wrong_ones(rt, one_more) != 0) return -3;
    return 0;
}

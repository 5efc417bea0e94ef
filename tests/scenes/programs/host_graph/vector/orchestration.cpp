// f = (a + b + 1)(a + b + 2): a diamond of four tasks. Arguments: a, b, f: float32.
#include "host_graph/build.h"

#define FUNC_ADD 0
#define FUNC_ADD_SCALAR 1
#define FUNC_MUL 2

extern "C" int build_example_graph(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    if (args.tensor_count() != 3) return -1;
    const GraphMemory memory{rt};
    const uint64_t bytes = args.tensor(2).nbytes();
    const uint64_t count = bytes / sizeof(float);
    const uint64_t a = memory.input(args.tensor(0));
    const uint64_t b = memory.input(args.tensor(1));
    const uint64_t f = memory.output(args.tensor(2));
    const uint64_t sum = memory.scratch(bytes);
    const uint64_t left = memory.scratch(bytes);
    const uint64_t right = memory.scratch(bytes);

    const int added = task(rt, FUNC_ADD, CoreType::AIV, a, b, sum, count);
    const int one_more = task(rt, FUNC_ADD_SCALAR, CoreType::AIV, sum, left, 1.0f, count);
    const int two_more = task(rt, FUNC_ADD_SCALAR, CoreType::AIV, sum, right, 2.0f, count);
    const int product = task(rt, FUNC_MUL, CoreType::AIV, left, right, f, count);
    add_successor(rt, added, one_more);
    add_successor(rt, added, two_more);
    add_successor(rt, one_more, product);
    add_successor(rt, two_more, product);
    print_runtime(rt);
    return get_task_count(rt) == 4 ? 0 : -2;
}

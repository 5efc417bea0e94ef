// out = exp(t x u + t x v) with t = sqrt(log(a)): vector, cube and vector tasks for each group of
// rows. Arguments: a: float16 [rows, inner]; u, v: float16 [inner, columns]; out: float32
// [rows, columns]; rows to a group.
#include "host_graph/build.h"

#define FUNC_LOG_SQRT 0
#define FUNC_MATMUL 1
#define FUNC_ADD_EXP 2

extern "C" int build_matmul_graph(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const GraphMemory memory{rt};
    const uint64_t rows = args.tensor(0).shapes[0];
    const uint64_t inner = args.tensor(0).shapes[1];
    const uint64_t columns = args.tensor(3).shapes[1];
    const uint64_t group = args.scalar(0);
    const uint64_t a = memory.input(args.tensor(0));
    const uint64_t u = memory.input(args.tensor(1));
    const uint64_t v = memory.input(args.tensor(2));
    const uint64_t out = memory.output(args.tensor(3));

    for (uint64_t first = 0; first < rows; first += group) {
        const uint64_t count = std::min(group, rows - first);
        const uint64_t elements = count * inner;
        const uint64_t sums = count * columns;
        const uint64_t t = memory.scratch(elements * sizeof(uint16_t));
        const uint64_t left = memory.scratch(sums * sizeof(float));
        const uint64_t right = memory.scratch(sums * sizeof(float));
        const uint64_t own_a = a + first * inner * sizeof(uint16_t);
        const uint64_t own_out = out + first * columns * sizeof(float);

        const int roots = task(rt, FUNC_LOG_SQRT, CoreType::AIV, own_a, t, elements);
        const int by_u = task(rt, FUNC_MATMUL, CoreType::AIC, t, u, left, count, inner, columns);
        const int by_v = task(rt, FUNC_MATMUL, CoreType::AIC, t, v, right, count, inner, columns);
        const int ends = task(rt, FUNC_ADD_EXP, CoreType::AIV, left, right, own_out, sums);
        add_successor(rt, roots, by_u);
        add_successor(rt, roots, by_v);
        add_successor(rt, by_u, ends);
        add_successor(rt, by_v, ends);
    }
    return 0;
}

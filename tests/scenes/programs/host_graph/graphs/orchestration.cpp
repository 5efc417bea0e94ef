// A graph that its input describes: any number of tasks, any edges, in any order. Each task has a
// cell, which it makes of those of the tasks that it waits for; one that did not wait makes something
// else of it, since the cells hold something else before.
//
// Arguments: edges: uint32 [edges, 2], from and to; cells: uint64 [tasks]; tasks, edges, salt. A
// tensor has an element at least, so the numbers are given apart.
#include "host_graph/build.h"

#define FUNC_FOLLOW_CUBE 0
#define FUNC_FOLLOW_VECTOR 1

extern "C" int build_any_graph(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const GraphMemory memory{rt};
    const uint32_t *edges = args.tensor(0).data_as<uint32_t>();
    const uint64_t tasks = args.scalar(0);
    const uint64_t edge_count = args.scalar(1);
    const uint64_t salt = args.scalar(2);
    const uint64_t cells = memory.inout(args.tensor(1));

    // Whom each task waits for, all lists in one.
    std::vector<uint32_t> ends(tasks + 1, 0);
    for (uint64_t e = 0; e < edge_count; ++e) ++ends[edges[2 * e + 1] + 1];
    for (uint64_t t = 0; t < tasks; ++t) ends[t + 1] += ends[t];
    std::vector<uint32_t> next(ends.begin(), ends.end());
    std::vector<uint32_t> lists(edge_count + 1);
    for (uint64_t e = 0; e < edge_count; ++e) lists[next[edges[2 * e + 1]]++] = edges[2 * e];
    const uint64_t list = memory.copy_of(lists.data(), lists.size() * sizeof(uint32_t));

    for (uint64_t t = 0; t < tasks; ++t) {
        const bool on_cube = t % 3 == 1;
        const int id = task(rt, on_cube ? FUNC_FOLLOW_CUBE : FUNC_FOLLOW_VECTOR,
                            on_cube ? CoreType::AIC : CoreType::AIV, cells, t,
                            list + ends[t] * sizeof(uint32_t), ends[t + 1] - ends[t], salt);
        if (id != static_cast<int>(t)) return -1;
    }
    for (uint64_t e = 0; e < edge_count; ++e) {
        add_successor(rt, static_cast<int>(edges[2 * e]), static_cast<int>(edges[2 * e + 1]));
    }
    return 0;
}

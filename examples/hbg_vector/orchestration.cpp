// f = (a + b + 1)(a + b + 2), as four vector tasks:
//
//                ┌─▶ d = c + 1 ─┐
//     c = a + b ─┤              ├─▶ f = d * e
//                └─▶ e = c + 2 ─┘
//
// Runs on the host. The edges are all there is to order tasks: nothing looks at what they touch.
#include "orchestration_api.h"

#define FUNC_ADD 0
#define FUNC_ADD_SCALAR 1
#define FUNC_MUL 2

// What the entry returns if something is wrong; the run then fails with that number.
#define NO_DEVICE_MEMORY 1
#define WRONG_ARGUMENTS 2

// A task argument that is an address.
static uint64_t word(const void *address) { return reinterpret_cast<uint64_t>(address); }

extern "C" int build_diamond(OrchestrationRuntime *rt, const ChipStorageTaskArgs &orch_args) {
    if (orch_args.tensor_count() != 3) return WRONG_ARGUMENTS;
    const ContinuousTensor &a = orch_args.tensor(0);
    const ContinuousTensor &b = orch_args.tensor(1);
    const ContinuousTensor &f = orch_args.tensor(2);
    const size_t bytes = a.nbytes();
    if (b.nbytes() != bytes || f.nbytes() != bytes) return WRONG_ARGUMENTS;
    const uint64_t count = bytes / sizeof(float);

    // Memory of this run: it is gone when the run is over.
    void *memory[6];
    for (void *&each : memory) {
        each = device_malloc(rt, bytes);
        if (each == nullptr) return NO_DEVICE_MEMORY;
    }
    auto [dev_a, dev_b, c, d, e, dev_f] = memory;
    copy_to_device(rt, dev_a, a.data_as<void>(), bytes);
    copy_to_device(rt, dev_b, b.data_as<void>(), bytes);
    record_tensor_pair(rt, f.data_as<void>(), dev_f, bytes);

    uint64_t sum[] = {word(dev_a), word(dev_b), word(c), count};
    const int c_task = add_task(rt, sum, 4, FUNC_ADD, CoreType::AIV);
    uint64_t plus_one[] = {word(c), word(d), to_u64(1.0f), count};
    const int d_task = add_task(rt, plus_one, 4, FUNC_ADD_SCALAR, CoreType::AIV);
    uint64_t plus_two[] = {word(c), word(e), to_u64(2.0f), count};
    const int e_task = add_task(rt, plus_two, 4, FUNC_ADD_SCALAR, CoreType::AIV);
    uint64_t product[] = {word(d), word(e), word(dev_f), count};
    const int f_task = add_task(rt, product, 4, FUNC_MUL, CoreType::AIV);

    add_successor(rt, c_task, d_task);
    add_successor(rt, c_task, e_task);
    add_successor(rt, d_task, f_task);
    add_successor(rt, e_task, f_task);
    return 0;
}

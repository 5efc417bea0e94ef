// The graphs of the reference's system tests of prepared callables (spec callable §6.3), written
// against the calls alone. Arguments: a, b, f: float32.
#include "orchestration_api.h"

#define FUNC_ADD 0
#define FUNC_ADD_SCALAR 1
#define FUNC_MUL 2

namespace {

uint64_t word(const void *pointer) { return reinterpret_cast<uint64_t>(pointer); }

// The three tensors on the device.
struct Vectors {
    void *a, *b, *f;
    size_t bytes;
    uint64_t count;

    bool prepare(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
        bytes = args.tensor(2).nbytes();
        count = bytes / sizeof(float);
        a = device_malloc(rt, bytes);
        b = device_malloc(rt, bytes);
        f = device_malloc(rt, bytes);
        if (a == nullptr || b == nullptr || f == nullptr) return false;
        record_tensor_pair(rt, args.tensor(2).data_as<void>(), f, bytes);
        return copy_to_device(rt, a, args.tensor(0).data_as<void>(), bytes) == 0 &&
               copy_to_device(rt, b, args.tensor(1).data_as<void>(), bytes) == 0;
    }
};
}  // namespace

extern "C" {

// f = (a + b + 1)(a + b + 2).
int build_example_graph(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    Vectors on;
    if (!on.prepare(rt, args)) return -1;
    void *sum = device_malloc(rt, on.bytes);
    void *left = device_malloc(rt, on.bytes);
    void *right = device_malloc(rt, on.bytes);
    if (sum == nullptr || left == nullptr || right == nullptr) return -1;
    uint64_t of_sum[] = {word(on.a), word(on.b), word(sum), on.count};
    uint64_t of_left[] = {word(sum), word(left), to_u64(1.0f), on.count};
    uint64_t of_right[] = {word(sum), word(right), to_u64(2.0f), on.count};
    uint64_t of_f[] = {word(left), word(right), word(on.f), on.count};
    const int t0 = add_task(rt, of_sum, 4, FUNC_ADD, CoreType::AIV);
    const int t1 = add_task(rt, of_left, 4, FUNC_ADD_SCALAR, CoreType::AIV);
    const int t2 = add_task(rt, of_right, 4, FUNC_ADD_SCALAR, CoreType::AIV);
    const int t3 = add_task(rt, of_f, 4, FUNC_MUL, CoreType::AIV);
    add_successor(rt, t0, t1);
    add_successor(rt, t0, t2);
    add_successor(rt, t1, t3);
    add_successor(rt, t2, t3);
    return 0;
}

// f = a + b + 1, the second step in place, with descriptions of the tensors.
int build_dump_tensor_graph(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    Vectors on;
    if (!on.prepare(rt, args)) return -1;
    const TensorInfo infos[] = {make_tensor_info(args.tensor(0)), make_tensor_info(args.tensor(1)),
                                make_tensor_info(args.tensor(2))};
    uint64_t of_sum[] = {word(on.a), word(on.b), word(on.f), on.count};
    uint64_t of_f[] = {word(on.f), word(on.f), to_u64(1.0f), on.count};
    const int sum = add_task_with_tensor_info(rt, of_sum, 4, FUNC_ADD, CoreType::AIV, infos, 3);
    const int f = add_task(rt, of_f, 4, FUNC_ADD_SCALAR, CoreType::AIV);
    if (set_tensor_info_to_task(rt, f, &infos[2], 1) != 0) return -1;
    add_successor(rt, sum, f);
    return 0;
}

}  // extern "C"

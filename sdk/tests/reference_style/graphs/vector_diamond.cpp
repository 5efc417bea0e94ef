// Four tasks in a diamond, with memory that is written out call by call.
#include "orchestration_api.h"

#include <cstddef>
#include <cstdint>
#include <iostream>

extern "C" {

int build_vector_diamond(OrchestrationRuntime *runtime, const ChipStorageTaskArgs &orch_args) {
    void *host_a = orch_args.tensor(0).data_as<void>();
    void *host_b = orch_args.tensor(1).data_as<void>();
    void *host_f = orch_args.tensor(2).data_as<void>();
    size_t size_a = orch_args.tensor(0).nbytes();
    size_t size_b = orch_args.tensor(1).nbytes();
    size_t size_f = orch_args.tensor(2).nbytes();
    int size = static_cast<int>(orch_args.tensor(0).shapes[0]);
    std::cout << "vector diamond: " << size << " rows, " << size_a << " bytes\n";

    void *dev_a = device_malloc(runtime, size_a);
    if (!dev_a) {
        std::cerr << "no memory for a\n";
        return -1;
    }
    copy_to_device(runtime, dev_a, host_a, size_a);
    void *dev_b = device_malloc(runtime, size_b);
    if (!dev_b) {
        device_free(runtime, dev_a);
        return -1;
    }
    copy_to_device(runtime, dev_b, host_b, size_b);
    void *dev_f = device_malloc(runtime, size_f);
    void *dev_c = device_malloc(runtime, size_f);
    void *dev_d = device_malloc(runtime, size_f);
    void *dev_e = device_malloc(runtime, size_f);
    if (!dev_f || !dev_c || !dev_d || !dev_e) return -1;
    record_tensor_pair(runtime, host_f, dev_f, size_f);

    // The bits of a float in the low half of a word.
    union {
        float f32;
        uint64_t u64;
    } scalar;

    uint64_t args_c[4];
    args_c[0] = reinterpret_cast<uint64_t>(dev_a);
    args_c[1] = reinterpret_cast<uint64_t>(dev_b);
    args_c[2] = reinterpret_cast<uint64_t>(dev_c);
    args_c[3] = size;
    int task_c = add_task(runtime, args_c, 4, 0, CoreType::AIV);

    uint64_t args_d[4] = {reinterpret_cast<uint64_t>(dev_c), 0, reinterpret_cast<uint64_t>(dev_d),
                          static_cast<uint64_t>(size)};
    scalar.u64 = 0;
    scalar.f32 = 1.0f;
    args_d[1] = scalar.u64;
    int task_d = add_task(runtime, args_d, 4, 1, CoreType::AIV);

    uint64_t args_e[4] = {reinterpret_cast<uint64_t>(dev_c), 0, reinterpret_cast<uint64_t>(dev_e),
                          static_cast<uint64_t>(size)};
    scalar.u64 = 0;
    scalar.f32 = 2.0f;
    args_e[1] = scalar.u64;
    int task_e = add_task(runtime, args_e, 4, 1, CoreType::AIV);

    uint64_t args_f[4] = {reinterpret_cast<uint64_t>(dev_d), reinterpret_cast<uint64_t>(dev_e),
                          reinterpret_cast<uint64_t>(dev_f), static_cast<uint64_t>(size)};
    int task_f = add_task(runtime, args_f, 4, 2, CoreType::AIV);

    add_successor(runtime, task_c, task_d);
    add_successor(runtime, task_c, task_e);
    add_successor(runtime, task_d, task_f);
    add_successor(runtime, task_e, task_f);

    std::cout << get_task_count(runtime) << " tasks\n";
    print_runtime(runtime);
    return 0;
}

}  // extern "C"

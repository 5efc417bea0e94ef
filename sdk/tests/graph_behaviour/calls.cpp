// What reaches the table, in which place, and what comes back (spec hbg §A4, spec callable §1.9).
//
// The table is nine addresses in a row, not the header's struct: so the order is checked, too.
#include <cstring>
#include <string>

#include "checks.h"
#include "orchestration_api.h"

namespace {

// The last call.
struct {
    std::string op;
    const void *runtime, *first, *second;
    uint64_t number;
    int a, b, c;
} last;

int calls = 0;
int answer = 0;
int info_answer = 0;

void note(const char *op, const void *rt) {
    last = {};
    last.op = op;
    last.runtime = rt;
    ++calls;
}

int task(OrchestrationRuntime *rt, uint64_t *args, int count, int func_id, CoreType core) {
    note("add_task", rt);
    last.first = args;
    last.a = count, last.b = func_id, last.c = static_cast<int>(core);
    return answer;
}

int infos(OrchestrationRuntime *rt, int id, const TensorInfo *tensors, int count) {
    note("set_tensor_info_to_task", rt);
    last.first = tensors;
    last.a = id, last.b = count;
    return info_answer;
}

void edge(OrchestrationRuntime *rt, int from, int to) {
    note("add_successor", rt);
    last.a = from, last.b = to;
}

void pair(OrchestrationRuntime *rt, void *host, void *device, size_t bytes) {
    note("record_tensor_pair", rt);
    last.first = host, last.second = device, last.number = bytes;
}

int count(OrchestrationRuntime *rt) {
    note("get_task_count", rt);
    return answer;
}

void print(OrchestrationRuntime *rt) { note("print_runtime", rt); }

void *allocate(OrchestrationRuntime *rt, size_t bytes) {
    note("device_malloc", rt);
    last.number = bytes;
    return reinterpret_cast<void *>(0x7000);
}

void release(OrchestrationRuntime *rt, void *address) {
    note("device_free", rt);
    last.first = address;
}

int copy(OrchestrationRuntime *rt, void *device, const void *host, size_t bytes) {
    note("copy_to_device", rt);
    last.first = device, last.second = host, last.number = bytes;
    return answer;
}

template <typename Function>
const void *address(Function *function) {
    return reinterpret_cast<const void *>(function);
}

// A runtime whose first word is the table; what follows is its own business.
struct Runtime {
    const void *const *table;
    uint64_t more[4];
};

const void *const table[9] = {
    address(task),     address(infos),   address(edge), address(pair), address(count),
    address(print),    address(allocate), address(release), address(copy),
};

Runtime runtime = {table, {}};

OrchestrationRuntime *bound() { return reinterpret_cast<OrchestrationRuntime *>(&runtime); }

// Whether the last call is this one, on the runtime that it was made on.
bool was(const char *op) { return last.op == op && last.runtime == &runtime; }

}  // namespace

void check_calls() {
    OrchestrationRuntime *rt = bound();
    char host = 0, device = 0;
    uint64_t args[2] = {1, 2};

    answer = 41;
    CHECK(add_task(rt, args, 2, 1023, CoreType::AIV) == 41 && was("add_task"));
    CHECK(last.first == args && last.a == 2 && last.b == 1023 && last.c == 1);
    CHECK(add_task(rt, nullptr, 0, 0, CoreType::AIC) == 41);
    CHECK(last.first == nullptr && last.a == 0 && last.b == 0 && last.c == 0);
    answer = -1;
    CHECK(add_task(rt, args, 17, -3, CoreType::AIC) == -1);
    CHECK(last.a == 17 && last.b == -3);

    add_successor(rt, 4, 5);
    CHECK(was("add_successor") && last.a == 4 && last.b == 5);
    record_tensor_pair(rt, &host, &device, uint64_t{1} << 40);
    CHECK(was("record_tensor_pair") && last.first == &host && last.second == &device);
    CHECK(last.number == uint64_t{1} << 40);
    answer = 131072;
    CHECK(get_task_count(rt) == 131072 && was("get_task_count"));
    print_runtime(rt);
    CHECK(was("print_runtime"));
    CHECK(device_malloc(rt, 4096) == reinterpret_cast<void *>(0x7000) && was("device_malloc"));
    CHECK(last.number == 4096);
    device_free(rt, &device);
    CHECK(was("device_free") && last.first == &device);
    answer = 0;
    const char source = 1;
    CHECK(copy_to_device(rt, &device, &source, 1) == 0 && was("copy_to_device"));
    CHECK(last.first == &device && last.second == &source && last.number == 1);
    answer = -1;
    CHECK(copy_to_device(rt, &device, &source, 2) == -1);
    CHECK(calls == 11);
}

void check_tasks_with_tensor_info() {
    OrchestrationRuntime *rt = bound();
    uint64_t args[1] = {7};
    const uint32_t shape[1] = {8};
    const TensorInfo list[2] = {make_tensor_info(DataType::INT8, 1, shape),
                                make_tensor_info(DataType::INT8, 1, shape)};
    calls = 0;
    answer = 12, info_answer = 0;
    CHECK(set_tensor_info_to_task(rt, 3, list, 2) == 0 && was("set_tensor_info_to_task"));
    CHECK(last.a == 3 && last.first == list && last.b == 2);
    CHECK(add_task_with_tensor_info(rt, args, 1, 5, CoreType::AIV, list, 2) == 12);
    CHECK(calls == 3 && was("set_tensor_info_to_task") && last.a == 12 && last.first == list);
    CHECK(add_task_with_tensor_info(rt, args, 1, 5, CoreType::AIV, nullptr, 0) == 12);
    CHECK(last.first == nullptr && last.b == 0);

    info_answer = -1;
    CHECK(add_task_with_tensor_info(rt, args, 1, 5, CoreType::AIV, list, 17) == -1);
    CHECK(set_tensor_info_to_task(rt, -1, list, 1) == -1);
    // A task that is not there has no tensors either.
    calls = 0, answer = -1, info_answer = 0;
    CHECK(add_task_with_tensor_info(rt, args, 1, 5, CoreType::AIC, list, 1) == -1);
    CHECK(calls == 1 && was("add_task") && last.a == 1 && last.b == 5 && last.c == 0);
}

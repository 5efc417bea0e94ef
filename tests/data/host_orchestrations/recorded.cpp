// Graphs whose runs are recorded and done again. Tensors are of uint64.
#include "orchestration_api.h"

// How often an entry of this library was called, this call included.
static uint64_t calls = 0;

static uint64_t word(const void *address) { return reinterpret_cast<uint64_t>(address); }

// out = 3 * left + right + constant.
static int mix(OrchestrationRuntime *rt, const void *left, const void *right, const void *out,
               uint64_t constant, uint64_t count) {
    uint64_t args[] = {word(left), word(right), word(out), constant, count};
    return add_task(rt, args, 5, 0, CoreType::AIV);
}

// state = 3 * in + calls + constant, then scalar 1 times state = 3 * state + in + constant; the state is
// the output. Allocates scalar 2 bytes that nothing uses. As many tasks more as the first element of the
// input is above 1000.
extern "C" int chain(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    ++calls;
    const ContinuousTensor &in = args.tensor(0);
    const ContinuousTensor &out = args.tensor(1);
    const uint64_t constant = args.scalar(0);
    const size_t bytes = in.nbytes();
    const uint64_t count = bytes / 8;
    void *dev_in = device_malloc(rt, bytes);
    void *unused = device_malloc(rt, args.scalar(2));
    void *table = device_malloc(rt, bytes);
    void *state = device_malloc(rt, bytes);
    if (!dev_in || !unused || !table || !state) return 1;
    const std::vector<uint64_t> own(count, calls);
    copy_to_device(rt, dev_in, in.data_as<void>(), bytes);
    copy_to_device(rt, table, own.data(), bytes);
    int last = mix(rt, dev_in, table, state, constant, count);
    const uint64_t first = in.data_as<uint64_t>()[0];
    const uint64_t more = first > 1000 && first < 1010 ? first - 1000 : 0;
    for (uint64_t step = 0; step < args.scalar(1) + more; ++step) {
        const int task = mix(rt, state, dev_in, state, constant, count);
        add_successor(rt, last, task);
        last = task;
    }
    record_tensor_pair(rt, out.data_as<void>(), state, bytes);
    return 0;
}

// Copies the input in two halves, the second first, to the device, and the second half of that to the
// first half of the output. There is no task.
extern "C" int halves(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    ++calls;
    const ContinuousTensor &in = args.tensor(0);
    const size_t half = in.nbytes() / 2;
    char *device = static_cast<char *>(device_malloc(rt, 2 * half));
    if (!device) return 1;
    copy_to_device(rt, device, in.data_as<char>() + half, half);
    copy_to_device(rt, device + half, in.data_as<char>(), half);
    record_tensor_pair(rt, args.tensor(1).data_as<char>(), device + half, half);
    return 0;
}

// Device tensor 0 = 3 * itself + tensor 1 + calls; the output is tensor 2.
extern "C" int adds_to_device(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    ++calls;
    const ContinuousTensor &in = args.tensor(1);
    void *state = args.tensor(0).data_as<void>();
    void *dev_in = device_malloc(rt, in.nbytes());
    if (!dev_in) return 1;
    copy_to_device(rt, dev_in, in.data_as<void>(), in.nbytes());
    mix(rt, state, dev_in, state, calls, in.nbytes() / 8);
    record_tensor_pair(rt, args.tensor(2).data_as<void>(), state, in.nbytes());
    return 0;
}

// Copies the input to the user's device memory at scalar 0, and back to the output.
extern "C" int through_address(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    ++calls;
    const ContinuousTensor &in = args.tensor(0);
    void *at = reinterpret_cast<void *>(args.scalar(0));
    copy_to_device(rt, at, in.data_as<void>(), in.nbytes());
    record_tensor_pair(rt, args.tensor(1).data_as<void>(), at, in.nbytes());
    return 0;
}

// Copies as many bytes from the start of tensor 0 as scalar 0 says, and writes 8 of them to the output at
// as many bytes as scalar 1 says. A scalar 2 above 0: not to there, but to memory of its own.
extern "C" int reaches(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    static uint64_t own;
    void *device = device_malloc(rt, 4096);
    if (!device) return 1;
    copy_to_device(rt, device, args.tensor(0).data_as<void>(), args.scalar(0));
    char *out = args.tensor(1).data_as<char>() + args.scalar(1);
    record_tensor_pair(rt, args.scalar(2) > 0 ? static_cast<void *>(&own) : out, device, 8);
    return 0;
}

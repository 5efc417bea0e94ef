// Single elements read and written while the graph is built, each kind of wait once.
// Arguments: a, b, result, seen: float32 [128]; check: float32 [9]; held, peeked:
// float32 [1].
#include "pto_orchestration_api.h"

#define FUNC_ADD 0
#define FUNC_PEEK 1

namespace {
constexpr uint64_t SLOW = 2000;  // microseconds that producers take

float read(const Tensor &tensor, uint32_t index) {
    const uint32_t at[1] = {index};
    return get_tensor_data<float>(tensor, 1, at);
}

void write(const Tensor &tensor, uint32_t index, float value) {
    const uint32_t at[1] = {index};
    set_tensor_data(tensor, 1, at, value);
}

// The new tensor left + right.
TaskOutputTensors sum(const Tensor &left, const Tensor &right, uint32_t count) {
    const uint32_t shape[1] = {count};
    TensorCreateInfo info(shape, 1, DataType::FLOAT32);
    Arg args;
    args.add_input(left, right);
    args.add_output(info);
    args.add_scalar(SLOW);
    return rt_submit_aiv_task(FUNC_ADD, args);
}
}  // namespace

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Tensor a = from_tensor_arg(orch_args.tensor(0));
    Tensor b = from_tensor_arg(orch_args.tensor(1));
    Tensor result = from_tensor_arg(orch_args.tensor(2));
    Tensor seen = from_tensor_arg(orch_args.tensor(3));
    Tensor check = from_tensor_arg(orch_args.tensor(4));
    Tensor held = from_tensor_arg(orch_args.tensor(5));
    Tensor peeked = from_tensor_arg(orch_args.tensor(6));
    const uint32_t length = a.shapes[0];

    // The creator of a tensor is waited for.
    TaskOutputTensors made = sum(a, b, length);
    const Tensor &c = made.get_ref(0);
    write(check, 0, read(c, 0));
    write(check, 1, read(c, 100));

    // An initial value is there at once, in every element.
    const uint32_t shape[1] = {length};
    TensorCreateInfo filled(shape, 1, DataType::FLOAT32);
    filled.set_initial_value(77.0f);
    TaskOutputTensors allocated = alloc_tensors(filled);
    const Tensor &initial = allocated.get_ref(0);
    write(check, 2, read(initial, 0));
    write(check, 3, read(initial, length - 1));
    TaskOutputTensors shifted = sum(initial, c, length);
    write(check, 4, read(shifted.get_ref(0), 0));

    // There and back.
    const uint32_t one[1] = {1};
    TensorCreateInfo single(one, 1, DataType::FLOAT32);
    TaskOutputTensors room = alloc_tensors(single);
    write(room.get_ref(0), 0, 42.0f);
    write(check, 5, read(room.get_ref(0), 0));

    // What the orchestration wrote is what a kernel reads: 10 + 2.
    write(room.get_ref(0), 0, 10.0f);
    TaskOutputTensors raw = sum(room.get_ref(0), c, length);
    write(check, 6, read(raw.get_ref(0), 0));

    // A write waits for the writer before it, and for the reader: `seen` gets what was there.
    Arg reader;
    reader.add_input(c, c);
    reader.add_output(seen);
    reader.add_scalar(SLOW);
    rt_submit_aiv_task(FUNC_ADD, reader);
    write(c, 0, 88.0f);
    write(check, 7, read(c, 0));

    // Memory of the caller: a reader that is to be waited for has it as output.
    Arg holds;
    holds.add_output(held, peeked);
    holds.add_scalar(SLOW);
    rt_submit_aiv_task(FUNC_PEEK, holds);
    write(held, 0, 55.0f);
    write(check, 8, read(held, 0));

    Arg adds;
    adds.add_input(a, b);
    adds.add_output(result);
    adds.add_scalar(SLOW);
    rt_submit_aiv_task(FUNC_ADD, adds);
}

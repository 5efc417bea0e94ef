// Many tasks that do next to nothing, so that what is measured is the runtime. Tensors are of uint64;
// tasks are submitted in scopes, as programs of many tasks do.
#include "pto_orchestration_api.h"

#define FUNC_STEP 0
#define FUNC_COMBINE 1
#define FUNC_APPEND 2
#define FUNC_JOIN 3
#define FUNC_MARK 4

namespace {
// Tasks of a scope: two hundred scopes in the window of a ring.
constexpr uint64_t SCOPE_TASKS = 80;

Tensor cell(const Tensor &whole, uint64_t index) {
    const uint32_t one[1] = {1};
    const uint32_t at[1] = {static_cast<uint32_t>(index)};
    return whole.view(one, at);
}

TensorCreateInfo new_cell() {
    const uint32_t one[1] = {1};
    return TensorCreateInfo(one, 1, DataType::UINT64);
}

// out = 3 * in + constant, in memory that exists.
void step(const Tensor &in, const Tensor &out, uint64_t constant) {
    Arg args;
    args.add_input(in);
    args.add_output(out);
    args.add_scalar(constant);
    rt_submit_aiv_task(FUNC_STEP, args);
}

// The same in new memory.
Tensor step_new(const Tensor &in, uint64_t constant) {
    TensorCreateInfo info = new_cell();
    Arg args;
    args.add_input(in);
    args.add_output(info);
    args.add_scalar(constant);
    TaskOutputTensors outs = rt_submit_aiv_task(FUNC_STEP, args);
    return outs.get_ref(0);
}
}  // namespace

extern "C" {

// One task. Arguments: in, out; constant.
void one(const ChipStorageTaskArgs &orch_args) {
    Tensor in = from_tensor_arg(orch_args.tensor(0));
    Tensor out = from_tensor_arg(orch_args.tensor(1));
    step(in, out, orch_args.scalar(0));
}

// Tasks none of which depends on another, of four tensors each: two cells are read, one is written,
// and one is new. Arguments: left, right, out; constant, tasks.
void independent(const ChipStorageTaskArgs &orch_args) {
    Tensor left = from_tensor_arg(orch_args.tensor(0));
    Tensor right = from_tensor_arg(orch_args.tensor(1));
    Tensor out = from_tensor_arg(orch_args.tensor(2));
    const uint64_t tasks = orch_args.scalar(1);
    for (uint64_t first = 0; first < tasks; first += SCOPE_TASKS) {
        PTO2_SCOPE() {
            for (uint64_t i = first; i < std::min(first + SCOPE_TASKS, tasks); ++i) {
                Tensor a = cell(left, i), b = cell(right, i), sum = cell(out, i);
                TensorCreateInfo info = new_cell();
                Arg args;
                args.add_input(a, b);
                args.add_output(sum);
                args.add_output(info);
                args.add_scalar(orch_args.scalar(0));
                rt_submit_aiv_task(FUNC_COMBINE, args);
            }
        }
    }
}

// The same with cells that exist only: the fourth is in a tensor of its own.
// Arguments: left, right, out, other out; constant, tasks.
void independent_existing(const ChipStorageTaskArgs &orch_args) {
    Tensor left = from_tensor_arg(orch_args.tensor(0));
    Tensor right = from_tensor_arg(orch_args.tensor(1));
    Tensor out = from_tensor_arg(orch_args.tensor(2));
    Tensor other = from_tensor_arg(orch_args.tensor(3));
    const uint64_t tasks = orch_args.scalar(1);
    for (uint64_t first = 0; first < tasks; first += SCOPE_TASKS) {
        PTO2_SCOPE() {
            for (uint64_t i = first; i < std::min(first + SCOPE_TASKS, tasks); ++i) {
                Tensor a = cell(left, i), b = cell(right, i);
                Tensor sum = cell(out, i), copy = cell(other, i);
                Arg args;
                args.add_input(a, b);
                args.add_output(sum, copy);
                args.add_scalar(orch_args.scalar(0));
                rt_submit_aiv_task(FUNC_COMBINE, args);
            }
        }
    }
}

// Tasks each of which needs the one before. Arguments: in, state; constant, tasks.
void chain(const ChipStorageTaskArgs &orch_args) {
    Tensor in = from_tensor_arg(orch_args.tensor(0));
    Tensor state = from_tensor_arg(orch_args.tensor(1));
    const uint64_t tasks = orch_args.scalar(1);
    for (uint64_t first = 0; first < tasks; first += SCOPE_TASKS) {
        PTO2_SCOPE() {
            for (uint64_t i = first; i < std::min(first + SCOPE_TASKS, tasks); ++i) {
                Arg args;
                args.add_inout(state);
                args.add_input(in);
                args.add_scalar(orch_args.scalar(0));
                rt_submit_aiv_task(FUNC_APPEND, args);
            }
        }
    }
}

// One task, eight that need it, one that needs them, and again, ten tasks a time.
// Arguments: state; constant, tasks.
void fork_join(const ChipStorageTaskArgs &orch_args) {
    Tensor state = from_tensor_arg(orch_args.tensor(0));
    const uint64_t tasks = orch_args.scalar(1);
    for (uint64_t first = 0; first < tasks; first += SCOPE_TASKS) {
        PTO2_SCOPE() {
            for (uint64_t i = first; i < std::min(first + SCOPE_TASKS, tasks); i += 10) {
                Tensor source = step_new(state, orch_args.scalar(0));
                Tensor branches[8] = {
                    step_new(source, 0), step_new(source, 1), step_new(source, 2),
                    step_new(source, 3), step_new(source, 4), step_new(source, 5),
                    step_new(source, 6), step_new(source, 7),
                };
                Arg args;
                args.add_inout(state);
                for (Tensor &branch : branches) args.add_input(branch);
                rt_submit_aiv_task(FUNC_JOIN, args);
            }
        }
    }
}

// One task of many blocks. Arguments: out; constant, blocks.
void blocks(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    Arg args;
    args.add_output(out);
    args.add_scalar(orch_args.scalar(0));
    args.launch_spec.set_core_num(static_cast<int16_t>(orch_args.scalar(1)));
    rt_submit_aiv_task(FUNC_MARK, args);
}

}  // extern "C"

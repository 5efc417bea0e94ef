// Graphs of plain tasks; each entry is the orchestration of a test.
#include <new>

#include "cells.h"

extern "C" {

PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 0};
}

PTO2OrchestrationConfig expects_three(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{.expected_arg_count = 3};
}

// As many tasks as there are cells, none of which depends on another.
// Arguments: out.
void independent(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    for (uint32_t i = 0; i < out.shapes[0]; ++i) {
        Tensor cell = part(out, i, 1);
        fill(cell, 7 * uint64_t{i} + 1);
    }
}

// `length` tasks, each of which needs the one before.
// Arguments: in, state; length.
void chain(const ChipStorageTaskArgs &orch_args) {
    Tensor in = from_tensor_arg(orch_args.tensor(0));
    Tensor state = from_tensor_arg(orch_args.tensor(1));
    for (uint64_t i = 0; i < orch_args.scalar(0); ++i) append(in, state, i);
}

// One task, eight that use it, and a tree of three levels that brings them together.
// Arguments: in, out; first.
void fork_join(const ChipStorageTaskArgs &orch_args) {
    Tensor in = from_tensor_arg(orch_args.tensor(0));
    Tensor out = from_tensor_arg(orch_args.tensor(1));
    Tensor source = fill_new(in.shapes[0], orch_args.scalar(0), LINGER);
    std::vector<Tensor> branches;
    for (uint64_t i = 0; i < 8; ++i) {
        Tensor branch = add_new(source, in);
        append(source, branch, i, LINGER);
        branches.push_back(branch);
    }
    while (branches.size() > 2) {
        std::vector<Tensor> joined;
        for (size_t i = 0; i + 1 < branches.size(); i += 2) {
            joined.push_back(add_new(branches[i], branches[i + 1]));
        }
        branches = joined;
    }
    add(branches[0], branches[1], out);
}

// One task that needs a hundred others.
// Arguments: out.
void fan_in(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    const uint32_t count = 100;
    TensorCreateInfo info = cells(count);
    TaskOutputTensors room = alloc_tensors(info);
    const Tensor &all = room.get_ref(0);
    for (uint32_t i = 0; i < count; ++i) {
        Tensor cell = part(all, i, 1);
        fill(cell, 1000 + uint64_t{i} * i, i % 10 == 0 ? LINGER : 0);
    }
    Arg args;
    args.add_input(all);
    args.add_output(out);
    rt_submit_aiv_task(FUNC_WEIGH, args);
}

// Scopes three deep in two loops: values of the outer scopes are used in the innermost one, long
// after the slots of the inner ones were used again.
// Arguments: state; turns of the outer loop, turns of the inner loop.
void nested_scopes(const ChipStorageTaskArgs &orch_args) {
    Tensor state = from_tensor_arg(orch_args.tensor(0));
    Tensor base = fill_new(state.shapes[0], 5, LINGER);
    for (uint64_t i = 0; i < orch_args.scalar(0); ++i) {
        PTO2_SCOPE() {
            Tensor outer = fill_new(state.shapes[0], 100 * i);
            for (uint64_t j = 0; j < orch_args.scalar(1); ++j) {
                PTO2_SCOPE() {
                    Tensor sum = add_new(base, outer);
                    append(sum, state, j);
                }
            }
        }
    }
}

// Values whose users are in an outer scope and in inner ones after it, so that those of the inner scopes
// can be gone, and their memory in use again, before the first user is told that the value is there.
// Arguments: state; turns of the outer loop, turns of the inner loop.
void inner_first(const ChipStorageTaskArgs &orch_args) {
    Tensor state = from_tensor_arg(orch_args.tensor(0));
    for (uint64_t i = 0; i < orch_args.scalar(0); ++i) {
        PTO2_SCOPE() {
            // A chain, so that its users are there before it.
            Tensor first = fill_new(state.shapes[0], i);
            Tensor second = add_new(first, first);
            Tensor value = add_new(second, second);
            PTO2_SCOPE() {
                append(value, state, i);
                PTO2_SCOPE() { add_new(value, value); }
                for (uint64_t j = 0; j < orch_args.scalar(1); ++j) {
                    PTO2_SCOPE() {
                        Tensor other = fill_new(1, j);
                        add_new(other, other);
                    }
                }
            }
        }
    }
}

// As many tasks in one scope as asked for, each with one output of `cells` cells.
// Arguments: out; tasks, cells.
void crowded_scope(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    fill(out, 1);
    for (uint64_t i = 0; i < orch_args.scalar(0); ++i) {
        TensorCreateInfo info = cells(static_cast<uint32_t>(orch_args.scalar(1)));
        Arg args;
        args.add_output(info);
        args.add_scalar(i, uint64_t{0});
        rt_submit_aiv_task(FUNC_FILL, args);
    }
}

// No task at all.
void empty(const ChipStorageTaskArgs &) {}

// Scopes without tasks.
void empty_scopes(const ChipStorageTaskArgs &) {
    for (int i = 0; i < 100; ++i) {
        PTO2_SCOPE() {
            PTO2_SCOPE(PTO2ScopeMode::MANUAL) {}
        }
    }
}

// A chain whose order only add_dep gives, with slow and quick tasks in turn.
// Arguments: in, state; length.
void manual_chain(const ChipStorageTaskArgs &orch_args) {
    Tensor in = from_tensor_arg(orch_args.tensor(0));
    Tensor state = from_tensor_arg(orch_args.tensor(1));
    PTO2_SCOPE(PTO2ScopeMode::MANUAL) {
        PTO2TaskId before = PTO2TaskId::invalid();
        for (uint64_t i = 0; i < orch_args.scalar(0); ++i) {
            Arg args;
            args.add_input(in);
            args.add_inout(state);
            args.add_scalar(i, i % 2 == 0 ? LINGER / 5 : 0);
            if (before.is_valid()) args.add_dep(before);
            before = rt_submit_aiv_task(FUNC_APPEND, args).task_id();
        }
    }
}

// Two slow tasks that the third one only knows by their ids, in an automatic scope.
// Arguments: out (3 cells).
void added_dependencies(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    Tensor whole = from_tensor_arg(orch_args.tensor(0), true);
    Tensor first = part(out, 0, 1);
    Tensor second = part(out, 1, 1);
    PTO2TaskId ids[2] = {fill(first, 10, 2 * LINGER), fill(second, 20, 2 * LINGER)};
    uint32_t one = 1, zero = 0, next = 1, last = 2;
    Tensor left = whole.view(&one, &zero, true);
    Tensor right = whole.view(&one, &next, true);
    Tensor sum = whole.view(&one, &last, true);
    Arg args;
    args.add_input(left, right);
    args.add_output(sum);
    args.add_dep(ids[0], ids[1]);
    rt_submit_aiv_task(FUNC_ADD, args);
}

// Single elements read and written between tasks.
// Arguments: in, check.
void elements(const ChipStorageTaskArgs &orch_args) {
    Tensor in = from_tensor_arg(orch_args.tensor(0));
    Tensor check = from_tensor_arg(orch_args.tensor(1));
    uint32_t next = 0;
    auto note = [&](uint64_t value) { set_tensor_data(check, 1, &next, value), ++next; };
    const uint32_t two[1] = {2};
    const uint32_t three[1] = {3};

    note(get_tensor_data(in, 1, two));  // what the caller passed
    Tensor made = fill_new(4, 50, 2 * LINGER);
    note(get_tensor_data(made, 1, three));  // what a task has made
    set_tensor_data<uint64_t>(made, 1, two, 7);
    note(get_tensor_data(made, 1, two));  // what was written
    Tensor sum = add_new(made, made);
    note(get_tensor_data(sum, 1, two));  // what a task made of it

    TensorCreateInfo filled = cells(4);
    filled.set_initial_value<uint64_t>(77);
    TaskOutputTensors room = alloc_tensors(filled);
    note(get_tensor_data(room.get_ref(0), 1, three));  // the initial value
    append(room.get_ref(0), sum, 0, 2 * LINGER);      // reads `room`
    set_tensor_data<uint64_t>(room.get_ref(0), 1, two, 1);
    note(get_tensor_data(sum, 1, two));  // 3 * 14 + 77: the reader had its turn before the write

    Tensor view = part(sum, 2, 2);
    const uint32_t zero[1] = {0};
    note(get_tensor_data(view, 1, zero));  // the same through a view

    const uint32_t grid[2] = {2, 3};
    TensorCreateInfo info(grid, 2, DataType::INT16);
    info.set_initial_value<int16_t>(-2);
    TaskOutputTensors table = alloc_tensors(info);
    const uint32_t corner[2] = {1, 2};
    set_tensor_data<int16_t>(table.get_ref(0), 2, corner, 300);
    const uint32_t before[2] = {1, 1};
    note(static_cast<uint64_t>(get_tensor_data<int16_t>(table.get_ref(0), 2, corner)));
    note(static_cast<uint64_t>(get_tensor_data<int16_t>(table.get_ref(0), 2, before)));
}

// Tensors and create-infos that are aligned to 16 bytes only, where GCC puts results that nobody
// takes.
// Arguments: in, out.
void shifted_records(const ChipStorageTaskArgs &orch_args) {
    alignas(64) unsigned char room[3][256];
    const Tensor &in = *new (room[0] + 16) Tensor(from_tensor_arg(orch_args.tensor(0)));
    const Tensor &out = *new (room[1] + 48) Tensor(from_tensor_arg(orch_args.tensor(1)));
    const auto &info = *new (room[2] + 32) TensorCreateInfo(cells(in.shapes[0]));
    Arg args;
    args.add_input(in, in);
    args.add_output(info);
    TaskOutputTensors doubled = rt_submit_aiv_task(FUNC_ADD, args);
    add(doubled.get_ref(0), in, out);
    const uint32_t first[1] = {0};
    set_tensor_data<uint64_t>(out, 1, first, 1 + get_tensor_data(out, 1, first));
}

// Room for accumulators, three tensors at once, used by tasks of inner scopes.
// Arguments: out.
void accumulators(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    TensorCreateInfo info = cells(out.shapes[0]);
    info.set_initial_value<uint64_t>(1);
    TaskOutputTensors room = alloc_tensors(info, info, info);
    for (uint64_t i = 0; i < 20; ++i) {
        PTO2_SCOPE() {
            Tensor step = fill_new(out.shapes[0], i);
            for (uint32_t j = 0; j < 3; ++j) append(step, room.get_ref(j), j);
        }
    }
    Tensor sum = add_new(room.get_ref(0), room.get_ref(1));
    add(sum, room.get_ref(2), out);
}

// A run that ends itself: every later call does nothing (spec trb §9.7). The calls with address 1
// would end the process otherwise.
// Arguments: out; address of a count of calls that did something.
void explicit_fatal(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    fill(out, 3);
    const uint32_t one[1] = {1};
    TensorCreateInfo info(one, 1, DataType::INT32);
    (void)alloc_tensors(info);
    rt_report_fatal(PTO2_ERROR_EXPLICIT_ORCH_FATAL, "tile %d of %s is odd", 7, "the left");
    rt_report_fatal(PTO2_ERROR_INVALID_ARGS, "a later fatal changes nothing");

    Arg nothing;
    (void)alloc_tensors(nothing);
    Tensor wild = make_tensor_external(reinterpret_cast<void *>(0x1), one, 1, DataType::INT32);
    const uint32_t at[1] = {0};
    auto *effects = reinterpret_cast<uint64_t *>(orch_args.scalar(0));
    if (get_tensor_data<int32_t>(wild, 1, at) != 0) ++*effects;
    set_tensor_data<int32_t>(wild, 1, at, 5);
    rt_scope_begin(PTO2ScopeMode::MANUAL);
    rt_scope_end();
    rt_scope_end();
    PTO2_SCOPE() { fill(out, 4); }
    if (rt_submit_aiv_task(FUNC_FILL, nothing).task_id().is_valid()) ++*effects;
    if (!alloc_tensors(info).empty()) ++*effects;
    if (!rt_is_fatal()) ++*effects;
}

}  // extern "C"

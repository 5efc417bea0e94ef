// Scopes and rings: many more tasks than slots, and references that cross scopes.
#include "cells/cells.h"

namespace {
// Below each scope a task of its own, whose output is used after the scopes further in have ended.
void descend(const Tensor &out, uint64_t depth, uint64_t most) {
    PTO2_SCOPE() {
        TaskOutputTensors own = fill_new(1, depth);
        append(own.get_ref(0), out, 2 * depth);
        if (depth < most) {
            descend(out, depth + 1, most);
            // Siblings at the bottom, so that the last ring has scopes beside one another.
            if (depth + 3 > most) descend(out, depth + 1, most);
        }
        append(own.get_ref(0), out, 2 * depth + 1);
    }
}
}  // namespace

extern "C" {

// Two nested loops, a scope each, with tasks at both depths.
// Arguments: out: uint64; outer turns, inner turns.
void nested(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    for (uint64_t i = 0; i < orch_args.scalar(0); ++i) {
        PTO2_SCOPE() {
            TaskOutputTensors outer = fill_new(1, 100 * i);
            for (uint64_t j = 0; j < orch_args.scalar(1); ++j) {
                PTO2_SCOPE() {
                    TaskOutputTensors inner = fill_new(1, j);
                    append(inner.get_ref(0), out, i);
                }
                PTO2_SCOPE() { append(outer.get_ref(0), out, j); }
            }
        }
    }
}

// A task of an inner scope is done and its slot used again many times before tasks of the outer
// scope read what it left in memory of the caller, and name it as their producer.
// Arguments: kept: uint64 [2], out: uint64 [1]; tasks in between.
void consumed(const ChipStorageTaskArgs &orch_args) {
    Tensor kept = from_tensor_arg(orch_args.tensor(0));
    Tensor out = from_tensor_arg(orch_args.tensor(1));
    PTO2TaskId old = PTO2TaskId::invalid();
    PTO2_SCOPE() { old = fill(kept, 41); }
    for (uint64_t i = 0; i < orch_args.scalar(0); ++i) {
        PTO2_SCOPE() {
            TaskOutputTensors other = fill_new(1, i);
            append(other.get_ref(0), out, 0);
        }
    }
    TaskOutputTensors one = fill_new(1, 1);
    Arg args;
    args.add_input(kept);
    args.add_inout(out);
    args.add_scalar(uint64_t{7}, uint64_t{0});
    args.add_dep(old, one.task_id());
    rt_submit_aiv_task(FUNC_APPEND, args);
}

// Scopes deeper than there are rings.
// Arguments: out: uint64; depth.
void deep(const ChipStorageTaskArgs &orch_args) {
    Tensor out = from_tensor_arg(orch_args.tensor(0));
    descend(out, 1, orch_args.scalar(0));
}

// Chains in MANUAL scopes: only explicit dependencies order their tasks. Four chains are built in
// turns; in a MANUAL scope inside, the last of them goes on, and a task joins all.
// Arguments: in: uint64 [1], cells: uint64 [4], out: uint64 [1]; steps.
void manual(const ChipStorageTaskArgs &orch_args) {
    Tensor in = from_tensor_arg(orch_args.tensor(0));
    Tensor cells = from_tensor_arg(orch_args.tensor(1));
    Tensor out = from_tensor_arg(orch_args.tensor(2));
    Tensor own[4] = {cells_of(cells, 0, 1), cells_of(cells, 1, 1), cells_of(cells, 2, 1),
                     cells_of(cells, 3, 1)};
    PTO2TaskId last[4];
    for (PTO2TaskId &id : last) id = PTO2TaskId::invalid();
    const auto step = [&](uint32_t chain, uint64_t i) {
        Arg args;
        args.add_input(in);
        args.add_inout(own[chain]);
        args.add_scalar(i, i % 16 == 0 ? uint64_t{200} : uint64_t{0});
        if (last[chain].is_valid()) args.add_dep(last[chain]);
        TaskOutputTensors outs = rt_submit_aiv_task(FUNC_APPEND, args);
        last[chain] = outs.task_id();
    };
    PTO2_SCOPE(PTO2ScopeMode::MANUAL) {
        for (uint64_t i = 0; i < orch_args.scalar(0); ++i) {
            for (uint32_t chain = 0; chain < 4; ++chain) step(chain, i);
        }
        PTO2_SCOPE(PTO2ScopeMode::MANUAL) {
            for (uint64_t i = 0; i < orch_args.scalar(0); ++i) step(3, i);
            Arg join;
            join.add_input(cells);
            for (const PTO2TaskId id : last) join.add_dep(id);
            weigh_into(join, out);
        }
    }
}

// Nothing at all. Arguments: any.
void empty(const ChipStorageTaskArgs &) {}

// Scopes without tasks. Arguments: any.
void empty_scopes(const ChipStorageTaskArgs &) {
    for (int i = 0; i < 100; ++i) {
        PTO2_SCOPE() {
            PTO2_SCOPE() {}
            PTO2_SCOPE(PTO2ScopeMode::MANUAL) {}
        }
    }
}

}  // extern "C"

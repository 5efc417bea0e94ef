// Scopes: how long the outputs of tasks live, and how their dependencies are found.
//
// A task's memory is kept until the scope it was submitted in has ended and the tasks that depend on
// it are done. In a MANUAL scope nothing but add_dep makes a dependency, so a task needs one on every
// task whose outputs it uses, that of alloc_tensors included, even where the order is given already.
// All ways to write a scope end in the two functions below. Source: spec trb §1.4, §1.6.
#pragma once

#include "simpler/runtime_ops.h"
#include "simpler/submit.h"

// Hidden: copies that are not inlined stay out of the dynamic symbol table.
#pragma GCC visibility push(hidden)

inline void rt_scope_begin(PTO2ScopeMode mode = PTO2ScopeMode::AUTO) {
    if (PTO2Runtime *rt = simpler::live_runtime()) {
        rt->pending_scope_mode = mode;
        rt->ops->scope_begin(rt);
    }
}

inline void rt_scope_end() {
    if (PTO2Runtime *rt = simpler::live_runtime()) rt->ops->scope_end(rt);
}

#pragma GCC visibility pop

// A scope that lasts as long as the object. After a fatal error its end does nothing.
class PTO2ScopeGuard {
public:
    explicit PTO2ScopeGuard(PTO2ScopeMode mode = PTO2ScopeMode::AUTO) { rt_scope_begin(mode); }
    ~PTO2ScopeGuard() { rt_scope_end(); }
    PTO2ScopeGuard(const PTO2ScopeGuard &) = delete;
    PTO2ScopeGuard &operator=(const PTO2ScopeGuard &) = delete;
};

#define SIMPLER_JOIN_(left, right) left##right
#define SIMPLER_JOIN(left, right) SIMPLER_JOIN_(left, right)
#define SIMPLER_UNIQUE(name) SIMPLER_JOIN(name, __COUNTER__)

// PTO2_SCOPE() { … } or PTO2_SCOPE(PTO2ScopeMode::MANUAL) { … }
#define PTO2_SCOPE(...) \
    if ([[maybe_unused]] PTO2ScopeGuard SIMPLER_UNIQUE(simpler_scope_){__VA_ARGS__}; true)

// A scope from here to the end of the block; takes a mode like PTO2_SCOPE.
#define PTO2_SCOPE_GUARD(...) \
    [[maybe_unused]] PTO2ScopeGuard SIMPLER_UNIQUE(simpler_scope_) { __VA_ARGS__ }

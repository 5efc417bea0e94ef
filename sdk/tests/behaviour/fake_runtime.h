// A runtime that records what the wrappers ask of it.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <string>
#include <vector>

#include "pto_orchestration_api.h"

// One call that reached the table.
struct Call {
    std::string op;
    MixedKernels kernels;
    std::string text;    // formatted message
    std::string func;    // caller, for log and fatal calls
    int64_t number = 0;  // code, verbosity, scope mode, or bits
};

// The prefix the wrappers know, then the record. Bound while it lives.
struct FakeRuntime {
    PTO2Runtime prefix;
    bool fatal = false;
    uint64_t element = 0;              // answer of get_tensor_data
    const Tensor *outputs[2] = {};     // answer of submit_task and alloc_tensors
    std::vector<Call> calls;

    explicit FakeRuntime();
    ~FakeRuntime() { framework_bind_runtime(nullptr); }
    FakeRuntime(const FakeRuntime &) = delete;

    static FakeRuntime &of(PTO2Runtime *rt) { return *reinterpret_cast<FakeRuntime *>(rt); }
    const Call &last() const { return calls.back(); }
};

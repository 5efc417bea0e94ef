// Argument lists: what is stored, and each mistake that is recorded (spec trb §1.5).
#include <memory>
#include <stdexcept>

#include "check.h"
#include "fake_runtime.h"

namespace {
const uint32_t SHAPE[1] = {4};

Tensor tensor_at(uintptr_t addr) {
    return make_tensor_external(reinterpret_cast<void *>(addr), SHAPE, 1);
}
}  // namespace

void check_argument_lists() {
    Tensor a = tensor_at(0x100), b = tensor_at(0x200);
    const Tensor c = tensor_at(0x300);
    TensorCreateInfo fresh(SHAPE, 1);
    Arg args;
    CHECK(args.launch_spec.block_num() == 1 && !args.launch_spec.require_sync_start());
    args.add_input(a, c);
    args.add_output(fresh);
    args.add_output(a);
    args.add_inout(b);
    args.add_no_dep(c);
    const TensorArgType tags[] = {TensorArgType::INPUT,           TensorArgType::INPUT,
                                  TensorArgType::OUTPUT,          TensorArgType::OUTPUT_EXISTING,
                                  TensorArgType::INOUT,           TensorArgType::NO_DEP};
    const void *slots[] = {&a, &c, &fresh, &a, &b, &c};
    CHECK(args.tensor_count() == 6);
    for (int32_t i = 0; i < 6; ++i) {
        CHECK(args.tag(i) == tags[i] && args.tensor(i).ptr == slots[i]);
    }

    const uint64_t wide[2] = {11, 12};
    const int32_t narrow[2] = {-1, 2};
    args.add_scalar(1.0f, int8_t{-1}, true, DataType::INT8);
    args.add_scalars(wide, 2);
    args.add_scalars_i32(narrow, 2);
    const uint64_t bits[] = {0x3f800000, 0xff, 1, 4, 11, 12, 0xffffffff, 2};
    CHECK(args.scalar_count() == 8);
    for (int32_t i = 0; i < 8; ++i) {
        CHECK(args.scalar(i) == bits[i] && args.scalars()[i] == bits[i]);
    }
    Arg copy;
    copy.copy_scalars_from(args, 5, 3);
    CHECK(copy.scalar_count() == 3 && copy.scalar(0) == 12 && copy.scalar(2) == 2);
    CHECK(!copy.has_error && copy.error_msg == nullptr);

    args.add_dep(PTO2TaskId::make(3, 7), PTO2TaskId::make(0, 9));
    CHECK(args.explicit_dep_count() == 2 && args.explicit_dep(0).raw == 0x300000007);
    CHECK(args.explicit_deps_data()[1].raw == 9);
    CHECK(!args.has_error);

    args.launch_spec.set_block_num(24);
    args.launch_spec.set_require_sync_start(true);
    args.set_error("first");
    args.set_error("second");
    CHECK(args.has_error && std::string(args.error_msg) == "first");
    args.clear();
    CHECK(args.tensor_count() == 0 && args.scalar_count() == 0 && args.has_error);
#ifdef SIMPLER_CHIP_A5
    CHECK(args.explicit_dep_count() == 0);
#else
    CHECK(args.explicit_dep_count() == 2);
#endif
    args.reset();
    CHECK(!args.has_error && args.error_msg == nullptr && args.explicit_dep_count() == 0);
    CHECK(args.launch_spec.core_num() == 24 && args.launch_spec.require_sync_start());
    args.launch_spec.set_core_num(5);
    CHECK(args.launch_spec.block_num() == 5);
}

static void check_error(const Arg &args, const char *part) {
    CHECK(args.has_error && std::string(args.error_msg).find(part) != std::string::npos);
}

static void check_chip_arguments() {
    auto args = std::make_unique<ChipStorageTaskArgs>();
    ContinuousTensor tensor = {0x1000, {2, 3, 4, 9, 9}, 3, DataType::INT16, 0};
    CHECK(tensor.nbytes() == 48 && !tensor.is_child_memory());
    CHECK(tensor.data_as<char>() == reinterpret_cast<char *>(0x1000));
    tensor.ndims = 0;
    CHECK(tensor.nbytes() == 2);
    for (int32_t i = 0; i < 64; ++i) args->add_tensor(tensor);
    bool thrown = false;
    try { args->add_tensor(tensor); } catch (const std::out_of_range &) { thrown = true; }
    CHECK(thrown && args->tensor_count() == 64);
    for (uint64_t i = 0; i < 128; ++i) args->add_scalar(i);
    CHECK(args->scalar_count() == 128 && args->scalar(127) == 127);
    thrown = false;
    try { args->add_scalar(0); } catch (const std::out_of_range &) { thrown = true; }
    CHECK(thrown && args->scalar_count() == 128);
    args->clear();
    CHECK(args->tensor_count() == 0 && args->scalar_count() == 0);
    args->add_scalar(1);
    thrown = false;
    try { args->add_tensor(tensor); } catch (const std::logic_error &) { thrown = true; }
    CHECK(thrown && args->tensor_count() == 0);
}

void check_argument_errors() {
    Tensor a = tensor_at(0x100);
    TensorCreateInfo fresh(SHAPE, 1);
    const uint64_t wide[33] = {};
    const int32_t narrow[33] = {};

    Arg late;
    late.add_scalar(1);
    late.add_input(a);
    check_error(late, "after a scalar");
    CHECK(late.tensor_count() == 0);
    late.add_scalars(wide, 33);
    check_error(late, "after a scalar");

    Arg tensors;
    for (int i = 0; i < 16; ++i) tensors.add_inout(a);
    CHECK(!tensors.has_error);
    tensors.add_output(fresh);
    check_error(tensors, "16 tensor");
    CHECK(tensors.tensor_count() == 16);

    Arg scalars;
    scalars.add_scalars(wide, 32);
    CHECK(!scalars.has_error && scalars.scalar_count() == 32);
    scalars.add_scalar(1);
    check_error(scalars, "32 scalar");
    CHECK(scalars.scalar_count() == 32);
    Arg block;
    block.add_scalars(wide, 33);
    check_error(block, "32 scalar");
    Arg block32;
    block32.add_scalars_i32(narrow, 33);
    check_error(block32, "32 scalar");
    Arg negative;
    negative.add_scalars(wide, -1);
    check_error(negative, "negative");

    Arg deps;
    for (uint32_t i = 0; i < 16; ++i) deps.add_dep(PTO2TaskId::make(0, i));
    CHECK(!deps.has_error);
    deps.add_dep(PTO2TaskId::make(0, 16));
    check_error(deps, "16 explicit");
    CHECK(deps.explicit_dep_count() == 16);

    const int32_t ranges[][2] = {{31, 2}, {-1, 1}, {0, -1}, {33, 0}, {0, 33}, {0x7fffffff, 1}};
    for (const auto &range : ranges) {
        Arg copy;
        copy.copy_scalars_from(scalars, range[0], range[1]);
        check_error(copy, "copy_scalars_from");
        CHECK(copy.scalar_count() == 0);
    }

    // An error found while the list is built stops the allocation before it is asked for.
    FakeRuntime fake;
    const TensorCreateInfo many[17] = {};
    CHECK(alloc_tensors(many, 17).empty());
    CHECK(fake.calls.size() == 1 && fake.last().op == "report_fatal" && fake.last().number == 5);
    CHECK(fake.last().text == "more than 16 tensor arguments");
    CHECK(fake.last().func == "alloc_tensors");
    check_chip_arguments();
}

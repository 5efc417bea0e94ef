// The argument list of one task.
//
// An orchestration adds tensors, then scalars, then submits; the runtime reads the record by its
// layout. Mistakes are recorded, not thrown: the first one is kept and makes the submit call fail
// with PTO2_ERROR_INVALID_ARGS. Source: spec trb §1.5.
#pragma once

#include <cstdint>
#include <type_traits>

#include "pto_task_id.h"
#include "simpler/kernels.h"
#include "simpler/layout.h"
#include "simpler/limits.h"
#include "simpler/scalar_bits.h"
#include "tensor.h"
#include "tensor_arg.h"

// What a tensor slot points at: `create_info` for TensorArgType::OUTPUT, else `ptr`.
union TensorRef {
    const Tensor *ptr;
    const TensorCreateInfo *create_info;
};

SIMPLER_ASSERT_RECORD(TensorRef, 8, 8);

// Keeps addresses of tensors and create-infos: they must be alive when the task is submitted.
struct Arg {
    struct ExplicitDepStorage {
        PTO2TaskId task_ids[PTO2_MAX_EXPLICIT_DEPS];
        uint32_t count;
    };

    // Public for the layout checks below and read by the runtime; use the methods. Slots from the
    // counts on are not initialised: the list is built for each task, so clearing would cost.
    TensorArgType tags_[MAX_TENSOR_ARGS];
    TensorRef tensors_[MAX_TENSOR_ARGS];
    uint64_t scalars_[MAX_SCALAR_ARGS];
    int32_t tensor_count_;
    int32_t scalar_count_;
    bool has_error;
    const char *error_msg;
    PTO2LaunchSpec launch_spec;
    ExplicitDepStorage explicit_deps_;

    Arg() : tensor_count_(0), scalar_count_(0), has_error(false), error_msg(nullptr) {
        explicit_deps_.count = 0;
    }

    // Reads.
    template <typename... Ts>
    void add_input(Ts &&...tensors) {
        add_tensors<Ts...>(TensorArgType::INPUT, tensors...);
    }

    // Reads and writes; later users wait for it.
    template <typename... Ts>
    void add_inout(Ts &&...tensors) {
        add_tensors<Ts...>(TensorArgType::INOUT, tensors...);
    }

    // Uses without any order but after the creator.
    template <typename... Ts>
    void add_no_dep(Ts &&...tensors) {
        add_tensors<Ts...>(TensorArgType::NO_DEP, tensors...);
    }

    // Writes: into memory the runtime allocates (TensorCreateInfo), or memory that exists (Tensor).
    template <typename... Ts>
    void add_output(Ts &&...outputs) {
        constexpr bool all_new = (is_exactly<TensorCreateInfo, Ts>() && ...);
        constexpr bool all_existing = (is_exactly<Tensor, Ts>() && ...);
        static_assert(all_new || all_existing,
                      "add_output takes either TensorCreateInfo or Tensor objects, not a mixture");
        static_assert((std::is_lvalue_reference<Ts>::value && ...),
                      "task arguments must be named objects: only their addresses are kept");
        if constexpr (all_new) {
            (push(TensorArgType::OUTPUT, reference(outputs)), ...);
        } else if constexpr (all_existing) {
            (push(TensorArgType::OUTPUT_EXISTING, reference(outputs)), ...);
        }
    }

    // Numbers and enums of up to 8 bytes, as bit patterns.
    template <typename... Ts>
    void add_scalar(Ts... values) {
        static_assert(((std::is_arithmetic<Ts>::value || std::is_enum<Ts>::value) && ...),
                      "add_scalar takes numbers and enums");
        if (scalar_room(sizeof...(Ts))) ((scalars_[scalar_count_++] = to_u64(values)), ...);
    }

    void add_scalars(const uint64_t *values, int32_t count) {
        if (!scalar_room(count)) return;
        for (int32_t i = 0; i < count; ++i) scalars_[scalar_count_++] = values[i];
    }

    // Each value's 32 bits, zero-extended.
    void add_scalars_i32(const int32_t *values, int32_t count) {
        if (!scalar_room(count)) return;
        for (int32_t i = 0; i < count; ++i) scalars_[scalar_count_++] = to_u64(values[i]);
    }

    void copy_scalars_from(const Arg &source, int32_t offset, int32_t count) {
        if (offset < 0 || count < 0 || offset > source.scalar_count_ - count) {
            set_error("copy_scalars_from: the range leaves the source's scalars");
            return;
        }
        add_scalars(source.scalars_ + offset, count);
    }

    // Tasks that must have completed first, besides those found through the tensors.
    template <typename... Ids>
    void add_dep(Ids... ids) {
        static_assert((std::is_same<PTO2TaskId, Ids>::value && ...), "add_dep takes PTO2TaskId");
        (push_dep(ids), ...);
    }

    // Ready for the next task; the launch specification stays.
    void reset() {
        tensor_count_ = 0;
        scalar_count_ = 0;
        has_error = false;
        error_msg = nullptr;
        explicit_deps_.count = 0;
    }

    // Forgets tensors and scalars, but no error; explicit dependencies only on a5 (spec trb §11).
    void clear() {
        tensor_count_ = 0;
        scalar_count_ = 0;
#ifdef SIMPLER_CHIP_A5
        explicit_deps_.count = 0;
#endif
    }

    // `message` must have static lifetime. The first error wins.
    void set_error(const char *message) {
        if (has_error) return;
        has_error = true;
        error_msg = message;
    }

    int32_t tensor_count() const { return tensor_count_; }
    int32_t scalar_count() const { return scalar_count_; }
    const TensorRef &tensor(int32_t index) const { return tensors_[index]; }
    TensorArgType tag(int32_t index) const { return tags_[index]; }
    uint64_t scalar(int32_t index) const { return scalars_[index]; }
    const TensorRef *tensor_data() const { return tensors_; }
    const uint64_t *scalar_data() const { return scalars_; }
    const uint64_t *scalars() const { return scalars_; }
    uint32_t explicit_dep_count() const { return explicit_deps_.count; }
    PTO2TaskId explicit_dep(uint32_t index) const { return explicit_deps_.task_ids[index]; }
    const PTO2TaskId *explicit_deps_data() const { return explicit_deps_.task_ids; }

private:
    template <typename Wanted, typename T>
    static constexpr bool is_exactly() {
        return std::is_same<Wanted, std::remove_cv_t<std::remove_reference_t<T>>>::value;
    }

    // `Ts` are the types as deduced by the public method: an lvalue gives a reference.
    template <typename... Ts, typename... Tensors>
    void add_tensors(TensorArgType tag, const Tensors &...tensors) {
        static_assert((is_exactly<Tensor, Ts>() && ...), "this method takes Tensor objects");
        static_assert((std::is_lvalue_reference<Ts>::value && ...),
                      "task arguments must be named objects: only their addresses are kept");
        (push(tag, reference(tensors)), ...);
    }

    static TensorRef reference(const Tensor &tensor) {
        TensorRef slot;
        slot.ptr = &tensor;
        return slot;
    }

    static TensorRef reference(const TensorCreateInfo &info) {
        TensorRef slot;
        slot.create_info = &info;
        return slot;
    }

    void push(TensorArgType tag, TensorRef slot) {
        if (scalar_count_ > 0) return set_error("a tensor was added after a scalar");
        if (tensor_count_ >= MAX_TENSOR_ARGS) return set_error("more than 16 tensor arguments");
        tags_[tensor_count_] = tag;
        tensors_[tensor_count_] = slot;
        ++tensor_count_;
    }

    void push_dep(PTO2TaskId id) {
        if (explicit_deps_.count >= static_cast<uint32_t>(PTO2_MAX_EXPLICIT_DEPS)) {
            return set_error("more than 16 explicit dependencies");
        }
        explicit_deps_.task_ids[explicit_deps_.count++] = id;
    }

    // Whether `count` more scalars fit; all of them or none are added.
    bool scalar_room(int64_t count) {
        if (count >= 0 && count <= MAX_SCALAR_ARGS - scalar_count_) return true;
        set_error(count < 0 ? "a negative number of scalars" : "more than 32 scalar arguments");
        return false;
    }
};

SIMPLER_ASSERT_RECORD(Arg::ExplicitDepStorage, 136, 8);
SIMPLER_ASSERT_FIELD(Arg::ExplicitDepStorage, task_ids, 0, 128);
SIMPLER_ASSERT_FIELD(Arg::ExplicitDepStorage, count, 128, 4);
SIMPLER_ASSERT_RECORD(Arg, 616, 8);
SIMPLER_ASSERT_FIELD(Arg, tags_, 0, 64);
SIMPLER_ASSERT_FIELD(Arg, tensors_, 64, 128);
SIMPLER_ASSERT_FIELD(Arg, scalars_, 192, 256);
SIMPLER_ASSERT_FIELD(Arg, tensor_count_, 448, 4);
SIMPLER_ASSERT_FIELD(Arg, scalar_count_, 452, 4);
SIMPLER_ASSERT_FIELD(Arg, has_error, 456, 1);
SIMPLER_ASSERT_FIELD(Arg, error_msg, 464, 8);
SIMPLER_ASSERT_FIELD(Arg, launch_spec, 472, 4);
SIMPLER_ASSERT_FIELD(Arg, explicit_deps_, 480, 136);

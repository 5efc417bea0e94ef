// A view of a buffer in device memory.
//
// Orchestrations make tensors (make_tensor_external, from_tensor_arg, the outputs of a task) and
// derive views of them; the runtime copies them into the task; kernels get a pointer to that copy
// and read `buffer.addr`, `start_offset` and `shapes`. This header needs nothing at link time, so
// that a kernel can include it alone. Source: spec trb §1.5, §8.2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "data_type.h"
#include "pto_task_id.h"
#include "simpler/assertion.h"
#include "simpler/layout.h"
#include "simpler/limits.h"
#include "simpler/qualifiers.h"
#include "simpler/scalar_bits.h"
#include "simpler/tensor_create_info.h"

#if !SIMPLER_KERNEL_BUILD
#include <string>
#endif

// The allocation behind a tensor.
struct PTOBufferHandle {
    uint64_t addr;  // device address; the key by which dependencies are found
    uint64_t size;  // bytes
};

SIMPLER_ASSERT_RECORD(PTOBufferHandle, 16, 8);
SIMPLER_ASSERT_FIELD(PTOBufferHandle, addr, 0, 8);
SIMPLER_ASSERT_FIELD(PTOBufferHandle, size, 8, 8);

// The view is the box `shapes` at `offsets` inside a row-major array of `raw_shapes`. Sizes and
// offsets count elements.
struct alignas(64) Tensor {
    PTOBufferHandle buffer = {0, 0};
    PTO2TaskId owner_task_id = PTO2TaskId::invalid();  // task that made it; invalid: external
    uint64_t start_offset = 0;                         // first element of the view in the buffer
    int32_t version = 0;
    uint32_t ndims = 0;
    DataType dtype = DataType::FLOAT32;
    bool is_all_offset_zero = true;  // then `offsets` means nothing
    bool is_raw_eq_shapes = true;    // then `raw_shapes` means nothing
    bool manual_dep = false;         // depend on the creator only
    uint32_t shapes[RUNTIME_MAX_TENSOR_DIMS] = {};
    uint32_t raw_shapes[RUNTIME_MAX_TENSOR_DIMS] = {};
    uint32_t offsets[RUNTIME_MAX_TENSOR_DIMS] = {};
    uint8_t _pad_cl2[24] = {};

    // Shape of the whole buffer.
    const uint32_t *get_raw_shapes() const { return is_raw_eq_shapes ? shapes : raw_shapes; }

    // Elements of the view; 0 without dimensions.
    uint64_t numel() const {
        if (ndims == 0) return 0;
        uint64_t elements = 1;
        for (uint32_t d = 0; d < ndims; ++d) elements *= shapes[d];
        return elements;
    }

    // Whether the view is one run of memory, judged by the dimensions after the first.
    bool is_contiguous() const {
        if (is_raw_eq_shapes) return true;
        for (uint32_t d = 1; d < ndims; ++d) {
            if (shapes[d] != raw_shapes[d]) return false;
        }
        return true;
    }

    // Position of element `indices` of the view in the buffer, in elements. `n` may be less than
    // `ndims`; the leading dimensions are then taken as the whole shape.
    uint64_t compute_flat_offset(const uint32_t indices[], uint32_t n) const {
        debug_assert(n <= ndims);
        const uint32_t *raw = get_raw_shapes();
        uint64_t flat = 0;
        for (uint32_t d = 0; d < n; ++d) {
            const uint64_t offset = is_all_offset_zero ? 0 : offsets[d];
            flat = flat * raw[d] + indices[d] + offset;
        }
        return flat;
    }

    void update_start_offset() {
        const uint32_t origin[RUNTIME_MAX_TENSOR_DIMS] = {};
        start_offset = is_all_offset_zero ? 0 : compute_flat_offset(origin, ndims);
    }

    // The box `view_shapes` at `view_offsets` of this view; same number of dimensions.
    Tensor view(const uint32_t view_shapes[], const uint32_t view_offsets[],
                bool manual = false) const {
        Tensor result(*this);
        const uint32_t *raw = get_raw_shapes();
        uint64_t flat = 0;
        for (uint32_t d = 0; d < ndims; ++d) {
            // Keeps the compiler from making calls of the loop to copy a few bytes.
            __asm__ volatile("");
            const uint32_t offset = (is_all_offset_zero ? 0 : offsets[d]) + view_offsets[d];
            result.raw_shapes[d] = raw[d];
            result.shapes[d] = view_shapes[d];
            result.offsets[d] = offset;
            if (view_offsets[d] != 0) result.is_all_offset_zero = false;
            flat = flat * raw[d] + offset;
        }
        result.is_raw_eq_shapes = false;
        result.manual_dep = manual;
        result.start_offset = result.is_all_offset_zero ? 0 : flat;
        return result;
    }

    bool valid_reshape(const uint32_t new_shapes[], uint32_t n) const {
        if (n > static_cast<uint32_t>(RUNTIME_MAX_TENSOR_DIMS)) return false;
        uint64_t elements = n == 0 ? 0 : 1;
        for (uint32_t d = 0; d < n; ++d) elements *= new_shapes[d];
        return elements == numel();
    }

    // The same buffer from its start under another shape. An offset of this view is dropped, so
    // reshape before taking views.
    Tensor reshape(const uint32_t new_shapes[], uint32_t n, bool manual = false) const {
        always_assert(is_contiguous());
        always_assert(n <= static_cast<uint32_t>(RUNTIME_MAX_TENSOR_DIMS));
        debug_assert(valid_reshape(new_shapes, n));
        Tensor result(*this);
        result.ndims = n;
        for (uint32_t d = 0; d < n; ++d) result.shapes[d] = new_shapes[d];
        result.is_raw_eq_shapes = true;
        result.is_all_offset_zero = true;
        result.manual_dep = manual;
        result.update_start_offset();
        return result;
    }

    bool valid_transpose(uint32_t x, uint32_t y) const { return x < ndims && y < ndims; }

    // Exchanges two dimensions of the description; the elements stay where they are.
    Tensor transpose(uint32_t x, uint32_t y, bool manual = false) const {
        always_assert(valid_transpose(x, y));
        Tensor result(*this);
        exchange(result.shapes, x, y);
        if (!is_raw_eq_shapes) exchange(result.raw_shapes, x, y);
        if (!is_all_offset_zero) exchange(result.offsets, x, y);
        result.manual_dep = manual;
        result.update_start_offset();
        return result;
    }

    // Whether both lie in one allocation.
    bool is_same_memref(const Tensor &other) const {
        return buffer.addr == other.buffer.addr && buffer.size == other.buffer.size;
    }

    // Makes this a whole buffer that no task created.
    void init_external(void *addr, const uint32_t dense_shapes[], uint32_t dims, DataType type,
                       bool manual, int32_t version_number) {
        always_assert(dims <= static_cast<uint32_t>(RUNTIME_MAX_TENSOR_DIMS));
        *this = Tensor();
        uint64_t elements = 1;
        for (uint32_t d = 0; d < dims; ++d) {
            shapes[d] = dense_shapes[d];
            elements *= dense_shapes[d];
        }
        buffer.addr = reinterpret_cast<uintptr_t>(addr);
        buffer.size = elements * get_element_size(type);
        ndims = dims;
        dtype = type;
        manual_dep = manual;
        version = version_number;
    }

    // Makes this the output `info` of task `owner`, in `size` bytes at `addr`.
    void init_output(const TensorCreateInfo &info, uint64_t addr, uint64_t size, PTO2TaskId owner) {
        *this = Tensor();
        buffer = {addr, size};
        owner_task_id = owner;
        version = info.version;
        ndims = info.ndims;
        dtype = info.dtype;
        manual_dep = info.manual_dep;
        for (uint32_t d = 0; d < info.ndims; ++d) shapes[d] = info.raw_shapes[d];
    }

    void copy(const Tensor &other) { *this = other; }

    // Writes `bits` to each element of the buffer, not only of the view.
    void fill_initial_value(uint64_t bits) const {
        const uint64_t step = get_element_size(dtype);
        char *bytes = reinterpret_cast<char *>(static_cast<uintptr_t>(buffer.addr));
        for (uint64_t at = 0; step != 0 && at + step <= buffer.size; at += step) {
            std::memcpy(bytes + at, &bits, step);
        }
    }

#if !SIMPLER_KERNEL_BUILD
    // One line for a log.
    std::string dump() const {
        std::string text = "Tensor(";
        text += get_dtype_name(dtype);
        append(text, " shape", shapes);
        append(text, " raw", get_raw_shapes());
        if (!is_all_offset_zero) append(text, " at", offsets);
        text += " addr " + std::to_string(buffer.addr) + " bytes " + std::to_string(buffer.size);
        if (owner_task_id.is_valid()) {
            text += " of task " + std::to_string(owner_task_id.ring()) + ":" +
                    std::to_string(owner_task_id.local());
        }
        return text + ")";
    }
#endif

private:
    // A tensor without a buffer is of no use to anybody; see make_tensor_external.
    Tensor() = default;

    friend Tensor make_tensor_external(void *addr, const uint32_t shapes[], uint32_t ndims,
                                       DataType dtype, bool manual_dep, int32_t version);

    static void exchange(uint32_t list[], uint32_t x, uint32_t y) {
        const uint32_t kept = list[x];
        list[x] = list[y];
        list[y] = kept;
    }

#if !SIMPLER_KERNEL_BUILD
    void append(std::string &text, const char *label, const uint32_t list[]) const {
        text += label;
        for (uint32_t d = 0; d < ndims; ++d) {
            text += (d == 0 ? " [" : ", ") + std::to_string(list[d]);
        }
        text += "]";
    }
#endif
};

SIMPLER_ASSERT_RECORD(Tensor, 128, 64);
SIMPLER_ASSERT_FIELD(Tensor, buffer, 0, 16);
SIMPLER_ASSERT_FIELD(Tensor, owner_task_id, 16, 8);
SIMPLER_ASSERT_FIELD(Tensor, start_offset, 24, 8);
SIMPLER_ASSERT_FIELD(Tensor, version, 32, 4);
SIMPLER_ASSERT_FIELD(Tensor, ndims, 36, 4);
SIMPLER_ASSERT_FIELD(Tensor, dtype, 40, 1);
SIMPLER_ASSERT_FIELD(Tensor, is_all_offset_zero, 41, 1);
SIMPLER_ASSERT_FIELD(Tensor, is_raw_eq_shapes, 42, 1);
SIMPLER_ASSERT_FIELD(Tensor, manual_dep, 43, 1);
SIMPLER_ASSERT_FIELD(Tensor, shapes, 44, 20);
SIMPLER_ASSERT_FIELD(Tensor, raw_shapes, 64, 20);
SIMPLER_ASSERT_FIELD(Tensor, offsets, 84, 20);
SIMPLER_ASSERT_FIELD(Tensor, _pad_cl2, 104, 24);

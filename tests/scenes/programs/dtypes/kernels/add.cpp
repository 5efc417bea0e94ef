// out[i] = in[i] + addend in the arithmetic of the tensors' element type.
// Arguments: in, out; addend: bits of that type.
#include "elements.h"
#include "half.h"

template <typename T>
static inline __aicore__ void add(__gm__ int64_t *args) {
    const uint64_t count = element_count(args, 1);
    for (uint64_t i = 0; i < count; ++i) {
        elements<T>(args, 1)[i] = static_cast<T>(elements<T>(args, 0)[i] + scalar_at<T>(args, 2));
    }
}

static inline __aicore__ void add_halves(__gm__ int64_t *args, float (*value)(uint16_t),
                                         uint16_t (*bits)(float)) {
    const uint64_t count = element_count(args, 1);
    const float addend = value(scalar_at<uint16_t>(args, 2));
    for (uint64_t i = 0; i < count; ++i) {
        elements<uint16_t>(args, 1)[i] = bits(value(elements<uint16_t>(args, 0)[i]) + addend);
    }
}

extern "C" __aicore__ void kernel_entry(__gm__ int64_t *args) {
    switch (tensor_at(args, 0)->dtype) {
        case DataType::FLOAT32: return add<float>(args);
        case DataType::FLOAT16: return add_halves(args, float16_value, float16_bits);
        case DataType::BFLOAT16: return add_halves(args, bfloat16_value, bfloat16_bits);
        case DataType::INT8: return add<int8_t>(args);
        case DataType::INT16: return add<int16_t>(args);
        case DataType::INT32: return add<int32_t>(args);
        case DataType::INT64: return add<int64_t>(args);
        case DataType::UINT8: return add<uint8_t>(args);
        case DataType::UINT16: return add<uint16_t>(args);
        case DataType::UINT32: return add<uint32_t>(args);
        case DataType::UINT64: return add<uint64_t>(args);
        default: return;
    }
}

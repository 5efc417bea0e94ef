// The records of the header against values worked out by hand (spec hbg §A3).
#include <cstring>
#include <memory>

#include "checks.h"
#include "orchestration_api.h"

namespace {

// The word at a byte of a record.
uint32_t word(const TensorInfo &info, size_t at) {
    uint32_t value;
    std::memcpy(&value, reinterpret_cast<const char *>(&info) + at, sizeof value);
    return value;
}

// Whether five words from a byte on are these.
bool words(const TensorInfo &info, size_t at, const uint32_t (&expected)[5]) {
    for (size_t i = 0; i < 5; ++i) {
        if (word(info, at + 4 * i) != expected[i]) return false;
    }
    return true;
}

}  // namespace

void check_tensor_infos() {
    const uint32_t shape[3] = {2, 3, 4}, raw[3] = {20, 30, 40}, offsets[3] = {1, 0, 7};
    const TensorInfo whole = make_tensor_info(DataType::BFLOAT16, 3, shape);
    CHECK(word(whole, 0) == (6 | 3 << 8));  // dtype, ndims, nothing reserved
    CHECK(words(whole, 4, {2, 3, 4, 0, 0}) && words(whole, 24, {2, 3, 4, 0, 0}));
    CHECK(words(whole, 44, {0, 0, 0, 0, 0}));

    const TensorInfo view = make_tensor_info(DataType::INT64, 3, shape, raw, offsets);
    CHECK(word(view, 0) == (7 | 3 << 8) && words(view, 4, {2, 3, 4, 0, 0}));
    CHECK(words(view, 24, {20, 30, 40, 0, 0}) && words(view, 44, {1, 0, 7, 0, 0}));
    const TensorInfo shifted = make_tensor_info(DataType::INT64, 3, shape, nullptr, offsets);
    CHECK(words(shifted, 24, {2, 3, 4, 0, 0}) && words(shifted, 44, {1, 0, 7, 0, 0}));

    const TensorInfo scalar = make_tensor_info(DataType::FLOAT32, 0, nullptr);
    CHECK(word(scalar, 0) == 0 && words(scalar, 4, {0, 0, 0, 0, 0}));
    // More dimensions than there are: nothing past the arrays is read or written.
    const uint32_t seven[7] = {1, 2, 3, 4, 5, 6, 7};
    const TensorInfo large = make_tensor_info(DataType::UINT8, 7, seven, seven, seven);
    CHECK(word(large, 0) == (5 | 7 << 8) && words(large, 4, {1, 2, 3, 4, 5}));
    CHECK(words(large, 24, {1, 2, 3, 4, 5}) && words(large, 44, {1, 2, 3, 4, 5}));
    CHECK(make_tensor_info(DataType::UINT8, 5, seven).ndims == 5);
    CHECK(make_tensor_info(DataType::UINT8, 256 + 3, seven).ndims == 255);

    ContinuousTensor tensor = {0x1000, {8, 9}, 2, DataType::INT16, 0};
    const TensorInfo argument = make_tensor_info(tensor);
    CHECK(word(argument, 0) == (3 | 2 << 8));
    CHECK(words(argument, 4, {8, 9, 0, 0, 0}) && words(argument, 24, {8, 9, 0, 0, 0}));
}

void check_allocation_ranges() {
    const TensorAllocationInfo range = {0x1000, 0x20};
    CHECK(range.contains(0x1000) && range.contains(0x101f));
    CHECK(!range.contains(0xfff) && !range.contains(0x1020) && !range.contains(0));
    CHECK(!TensorAllocationInfo{0x1000, 0}.contains(0x1000));
    // The last bytes of the address space.
    const TensorAllocationInfo top = {UINT64_MAX - 3, 4};
    CHECK(top.contains(UINT64_MAX) && top.contains(UINT64_MAX - 3));
    CHECK(!top.contains(UINT64_MAX - 4) && !top.contains(0));
}

void check_arguments() {
    float values[6] = {1, 2, 3, 4, 5, 6};
    auto args = std::make_unique<ChipStorageTaskArgs>();
    args->add_tensor({reinterpret_cast<uint64_t>(values), {2, 3}, 2, DataType::FLOAT32, 0});
    args->add_scalar(to_u64(-2.5f));
    const ChipStorageTaskArgs &orch_args = *args;
    CHECK(orch_args.tensor_count() == 1 && orch_args.scalar_count() == 1);
    const ContinuousTensor &tensor = orch_args.tensor(0);
    CHECK(tensor.data_as<float>() == values && tensor.data_as<const float>()[4] == 5);
    CHECK(tensor.data_as<void>() == values && tensor.nbytes() == 24 && tensor.shapes[1] == 3);
    CHECK(!tensor.is_child_memory());
    // Floats are in the low half, the rest is zero.
    CHECK(orch_args.scalar(0) == 0xc0200000u && from_u64<float>(orch_args.scalar(0)) == -2.5f);
    CHECK(static_cast<int>(CoreType::AIC) == 0 && static_cast<int>(CoreType::AIV) == 1);
}

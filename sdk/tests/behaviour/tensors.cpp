// Tensors, views, create-infos, scalars: values worked out by hand (spec trb §1.5).
#include <stdexcept>

#include "check.h"
#include "fake_runtime.h"

void check_tensors() {
    FakeRuntime fake;
    const uint32_t shape[3] = {4, 6, 8};
    Tensor t = make_tensor_external(reinterpret_cast<void *>(0xabc0), shape, 3, DataType::INT16);
    CHECK(t.buffer.addr == 0xabc0 && t.buffer.size == 4 * 6 * 8 * 2);
    CHECK(t.owner_task_id.is_invalid() && t.version == 0 && !t.manual_dep && t.start_offset == 0);
    CHECK(t.is_all_offset_zero && t.is_raw_eq_shapes && t.numel() == 192 && t.is_contiguous());
    CHECK(t.ndims == 3 && t.shapes[2] == 8 && t.shapes[3] == 0);
    const uint32_t at[3] = {1, 2, 3};
    CHECK(t.compute_flat_offset(at, 3) == 1 * 48 + 2 * 8 + 3);
    CHECK(t.compute_flat_offset(at, 0) == 0);

    const ContinuousTensor arg = {0x5000, {3, 5, 0, 0, 0}, 2, DataType::UINT8, 1};
    Tensor from = from_tensor_arg(arg, true, 4);
    CHECK(from.buffer.addr == 0x5000 && from.buffer.size == 15 && from.manual_dep);
    CHECK(from.version == 4 && from.dtype == DataType::UINT8 && from.is_same_memref(from));
    CHECK(!from.is_same_memref(t));

    const uint32_t flat[1] = {192};
    const uint32_t wrong[1] = {191};
    Tensor line = t.reshape(flat, 1, true);
    CHECK(line.ndims == 1 && line.shapes[0] == 192 && line.manual_dep && line.numel() == 192);
    CHECK(line.buffer.addr == t.buffer.addr && line.dtype == DataType::INT16);
    CHECK(t.valid_reshape(flat, 1) && !t.valid_reshape(wrong, 1) && !t.valid_reshape(flat, 6));
    bool thrown = false;
    try { (void)t.reshape(wrong, 1); } catch (const AssertionError &) { thrown = true; }
    CHECK(thrown);

    Tensor turned = t.transpose(0, 2);
    CHECK(turned.shapes[0] == 8 && turned.shapes[1] == 6 && turned.shapes[2] == 4);
    CHECK(turned.start_offset == 0 && turned.is_raw_eq_shapes);
    CHECK(t.valid_transpose(0, 2) && !t.valid_transpose(0, 3));
    thrown = false;
    try { (void)t.transpose(0, 3); } catch (const std::runtime_error &error) {
        thrown = std::string(error.what()).find("valid_transpose(x, y)") != std::string::npos;
    }
    CHECK(thrown && fake.last().op == "log_error");
    CHECK(fake.last().text.find("valid_transpose(x, y)") != std::string::npos);

    const uint32_t six[6] = {1, 1, 1, 1, 1, 1};
    thrown = false;
    try { (void)make_tensor_external(nullptr, six, 6); } catch (const AssertionError &) {
        thrown = true;
    }
    CHECK(thrown);
    thrown = false;
    TaskOutputTensors outs;
    try { (void)outs.get_ref(0); } catch (const AssertionError &) { thrown = true; }
    CHECK(thrown);
    outs.output_count_ = 1;
    outs.tensors_[0] = &t;
    CHECK(&outs.get_ref(0) == &t);
    thrown = false;
    try { (void)outs.get_ref(1); } catch (const std::runtime_error &) { thrown = true; }
    CHECK(thrown);
}

void check_views() {
    const uint32_t shape[2] = {10, 20};
    Tensor whole = make_tensor_external(reinterpret_cast<void *>(0x40), shape, 2);
    const uint32_t box[2] = {4, 6}, corner[2] = {2, 3}, zero[2] = {0, 0};
    Tensor view = whole.view(box, corner);
    CHECK(view.shapes[0] == 4 && view.shapes[1] == 6 && view.ndims == 2);
    CHECK(view.raw_shapes[0] == 10 && view.raw_shapes[1] == 20 && !view.is_raw_eq_shapes);
    CHECK(view.offsets[0] == 2 && view.offsets[1] == 3 && !view.is_all_offset_zero);
    CHECK(view.start_offset == 43 && view.numel() == 24 && !view.is_contiguous());
    CHECK(view.buffer.addr == 0x40 && view.buffer.size == 800 && !view.manual_dep);
    const uint32_t at[2] = {1, 5};
    CHECK(view.compute_flat_offset(at, 2) == 3 * 20 + 8);

    const uint32_t inner[2] = {2, 2}, shift[2] = {1, 4};
    Tensor nested = view.view(inner, shift, true);
    CHECK(nested.offsets[0] == 3 && nested.offsets[1] == 7 && nested.start_offset == 67);
    CHECK(nested.raw_shapes[1] == 20 && nested.manual_dep);
    CHECK(nested.view(inner, zero).start_offset == 67);

    Tensor top = whole.view(box, zero);
    CHECK(top.is_all_offset_zero && !top.is_raw_eq_shapes && top.start_offset == 0);
    CHECK(top.compute_flat_offset(at, 2) == 25);

    // Whole rows lie together; the offset of a reshaped view is dropped.
    const uint32_t rows[2] = {3, 20}, down[2] = {5, 0}, flat[1] = {60};
    Tensor band = whole.view(rows, down);
    CHECK(band.is_contiguous() && band.start_offset == 100);
    Tensor line = band.reshape(flat, 1);
    CHECK(line.start_offset == 0 && line.is_all_offset_zero && line.is_raw_eq_shapes);
    bool thrown = false;
    try { (void)view.reshape(flat, 1); } catch (const AssertionError &) { thrown = true; }
    CHECK(thrown);

    Tensor turned = view.transpose(0, 1);
    CHECK(turned.shapes[0] == 6 && turned.raw_shapes[0] == 20 && turned.offsets[0] == 3);
    CHECK(turned.start_offset == 3 * 10 + 2);
    CHECK(view.dump() == "Tensor(FLOAT32 shape [4, 6] raw [10, 20] at [2, 3] addr 64 bytes 800)");
}

void check_create_infos() {
    const uint32_t shape[3] = {3, 5, 7};
    TensorCreateInfo info(shape, 3, DataType::FLOAT16, true);
    CHECK(info.buffer_size_bytes() == 210 && info.ndims == 3 && info.manual_dep);
    CHECK(!info.has_initial_value && info.is_all_offset_zero && info.is_raw_eq_shapes);
    CHECK(info.raw_shapes[2] == 7 && info.version == 0);
    TensorCreateInfo plain(shape, 1);
    CHECK(plain.dtype == DataType::FLOAT32 && !plain.manual_dep);
    plain.set_initial_value(77.0f);
    CHECK(plain.has_initial_value && plain.initial_value == 0x429a0000);
    plain.set_initial_value<int32_t>(-1);
    CHECK(plain.initial_value == 0xffffffff);
    plain.set_initial_value(1.0);
    CHECK(plain.initial_value == 0x3ff0000000000000);
    CHECK(TensorCreateInfo().buffer_size_bytes() == 4);

    // What the runtime does with one.
    Tensor made = make_tensor_external(nullptr, shape, 1);
    int16_t memory[8] = {};
    made.init_output(info, reinterpret_cast<uintptr_t>(memory), 12, PTO2TaskId::make(1, 2));
    CHECK(made.ndims == 3 && made.shapes[1] == 5 && made.owner_task_id.raw == 0x100000002);
    CHECK(made.manual_dep && made.dtype == DataType::FLOAT16 && made.buffer.size == 12);
    made.fill_initial_value(0x1234);
    CHECK(memory[0] == 0x1234 && memory[5] == 0x1234 && memory[6] == 0);
    // Bytes 32..63 of both records are the same.
    CHECK(std::memcmp(reinterpret_cast<const char *>(&made) + 32,
                      reinterpret_cast<const char *>(&info) + 32, 32) == 0);
}

void check_scalars() {
    CHECK(to_u64(1.0f) == 0x3f800000 && to_u64(-2.0) == 0xc000000000000000);
    CHECK(to_u64(int32_t{-1}) == 0xffffffff && to_u64(int64_t{-1}) == ~uint64_t{0});
    CHECK(to_u64(uint8_t{200}) == 200 && to_u64(int8_t{-1}) == 0xff && to_u64(true) == 1);
    CHECK(from_u64<float>(0xffffffff3f800000) == 1.0f && from_u64<int32_t>(0xfffffffe) == -2);
    CHECK(from_u64<double>(0x4000000000000000) == 2.0 && from_u64<uint16_t>(0x12345) == 0x2345);
    const uint64_t bytes[] = {4, 2, 4, 2, 1, 1, 2, 8, 8, 2, 4, 0};
    for (uint8_t i = 0; i < 12; ++i) CHECK(get_element_size(static_cast<DataType>(i)) == bytes[i]);
    CHECK(std::string(get_dtype_name(DataType::BFLOAT16)) == "BFLOAT16");
    CHECK(std::string(get_dtype_name(DataType::DATA_TYPE_NUM)) == "UNKNOWN");
    CHECK(std::string(arg_direction_name(ArgDirection::INOUT)) == "INOUT");
    CHECK(std::string(arg_direction_name(static_cast<ArgDirection>(9))) == "UNKNOWN");
    CHECK(PTO2TaskId::make(255, 0xffffffff).raw == 0xffffffffff);
    CHECK(PTO2TaskId::make(255, 0xffffffff).is_valid() && !PTO2TaskId::invalid().is_valid());
    CHECK(PTO2TaskId::make(3, 4) == PTO2TaskId{0x300000004});
    CHECK(PTO2TaskId::make(3, 4) != PTO2TaskId::make(4, 3));
}

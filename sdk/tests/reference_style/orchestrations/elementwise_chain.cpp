// A chain of vector tasks over fresh tensors, timed with a counter of its own.
//
// Stands for the sources that define their own cycle counter: the names below belong to them.
#include <stddef.h>
#include <stdint.h>

#include "pto_orchestration_api.h"

#define FUNC_ADD 0
#define FUNC_ADD_SCALAR 1
#define FUNC_MUL 2

constexpr uint64_t PLATFORM_PROF_SYS_CNT_FREQ = 50000000;

static inline uint64_t get_sys_cnt_aicpu() {
#if defined(__aarch64__)
    uint64_t ticks;
    asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#elif defined(__x86_64__)
    uint32_t low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return (static_cast<uint64_t>(high) << 32) | low;
#else
    return 0;
#endif
}

static inline double cycles_to_us(uint64_t cycles) {
    return static_cast<double>(cycles) * 1e6 / static_cast<double>(PLATFORM_PROF_SYS_CNT_FREQ);
}

#define CYCLE_COUNT_START() uint64_t lap_start_ = get_sys_cnt_aicpu()
#define CYCLE_COUNT_LAP(total)                       \
    do {                                             \
        const uint64_t now_ = get_sys_cnt_aicpu();   \
        (total) += now_ - lap_start_;                \
        lap_start_ = now_;                           \
    } while (0)

extern "C" {

__attribute__((visibility("default"))) PTO2OrchestrationConfig aicpu_orchestration_config(
    const ChipStorageTaskArgs &orch_args) {
    (void)orch_args;
    return PTO2OrchestrationConfig{
        .expected_arg_count = 4,
    };
}

__attribute__((visibility("default"))) void aicpu_orchestration_entry(
    const ChipStorageTaskArgs &orch_args) {
    CYCLE_COUNT_START();
    uint64_t building = 0;
    const int size = static_cast<int>(orch_args.scalar(0));
    LOG_INFO_V9("elements: %d", size);
    LOG_INFO_V0("tensors: %d", orch_args.tensor_count());

    Tensor ext_a = from_tensor_arg(orch_args.tensor(0));
    Tensor ext_b = from_tensor_arg(orch_args.tensor(1));
    Tensor ext_f = from_tensor_arg(orch_args.tensor(2));
    uint32_t shapes[1] = {orch_args.tensor(0).shapes[0]};
    TensorCreateInfo ci(shapes, 1, DataType::FLOAT32);

    Arg sum_args;
    sum_args.add_input(ext_a);
    sum_args.add_input(ext_b);
    sum_args.add_output(ci);
    sum_args.add_scalar(size);
    TaskOutputTensors sum = rt_submit_aiv_task(FUNC_ADD, sum_args);
    const Tensor &c = sum.get_ref(0);

    PTO2_SCOPE() {
        Arg plus_one;
        plus_one.add_input(c);
        plus_one.add_output(ci);
        plus_one.add_scalar(1.0f);
        plus_one.add_scalar(static_cast<uint64_t>(size));
        TaskOutputTensors one = rt_submit_aiv_task(FUNC_ADD_SCALAR, plus_one);

        Arg product;
        product.add_input(c, one.get_ref(0));
        product.add_output(ext_f);
        product.add_scalar(size, 2.5f, DataType::FLOAT32);
        rt_submit_aiv_task(FUNC_MUL, product);
    }
    CYCLE_COUNT_LAP(building);
    LOG_INFO_V9("graph of %zu bytes in %.3f us", sizeof(Arg), cycles_to_us(building));
}

}  // extern "C"

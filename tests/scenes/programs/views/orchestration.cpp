// Rectangles of an image, in any position to one another: each task turns the elements of one, so
// those that overlap must run in the order in which they were submitted.
// Arguments: rectangles: uint32 [n, 10], image: uint32 [rows, columns]. A rectangle is row, column,
// height, width, a second rectangle inside the first, in its coordinates, that is used if its
// height is not zero, tag, and microseconds to take.
#include "pto_orchestration_api.h"

#define FUNC_TURN 0

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    Tensor rectangles = from_tensor_arg(orch_args.tensor(0));
    Tensor image = from_tensor_arg(orch_args.tensor(1));
    for (uint32_t i = 0; i < rectangles.shapes[0]; ++i) {
        uint32_t numbers[10];
        for (uint32_t j = 0; j < 10; ++j) {
            const uint32_t at[2] = {i, j};
            numbers[j] = get_tensor_data<uint32_t>(rectangles, 2, at);
        }
        Tensor view = image.view(numbers + 2, numbers);
        if (numbers[6] != 0) view = view.view(numbers + 6, numbers + 4);
        Arg args;
        args.add_inout(view);
        args.add_scalar(numbers[8], uint64_t{numbers[9]});
        rt_submit_aiv_task(FUNC_TURN, args);
    }
}

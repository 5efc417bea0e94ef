// An orchestration that calls a function nobody has.
#include "pto_orchestration_api.h"

extern "C" void open_the_window(int tile);

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &orch_args) {
    open_the_window(orch_args.tensor_count());
}

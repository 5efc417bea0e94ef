// Orchestrations for what the reference's weaknesses are about.
#include "cells.h"

extern "C" {

// Fills tensor i with number + 1000 i, and so on.
// Arguments: any number of outputs; any number of scalars, the last of which is the number.
void fills_all(const ChipStorageTaskArgs &orch_args) {
    const uint64_t number = orch_args.scalar(orch_args.scalar_count() - 1);
    for (int32_t i = 0; i < orch_args.tensor_count(); ++i) {
        fill(from_tensor_arg(orch_args.tensor(i)), number + 1000 * static_cast<uint64_t>(i));
    }
}

// Writes its output, and ends the run with a number of its own.
// Arguments: out; the number.
void ends_with(const ChipStorageTaskArgs &orch_args) {
    fill(from_tensor_arg(orch_args.tensor(0)), 666);
    rt_report_fatal(static_cast<int32_t>(orch_args.scalar(0)), "%s", "as asked for");
}

}  // extern "C"

// Imports a function that nobody has.
#include "orchestration_api.h"

extern "C" int nobody_has_this(int);

extern "C" int never_called(OrchestrationRuntime *, const ChipStorageTaskArgs &args) {
    return nobody_has_this(args.scalar_count());
}

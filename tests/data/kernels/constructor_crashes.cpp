// Has a static object whose constructor gives up.
#include <stdlib.h>

namespace {
struct Crash {
    Crash() { abort(); }
};
Crash crash;
}  // namespace

extern "C" void kernel_entry(long *) {}

// Has a static object whose destructor gives up.
#include <stdlib.h>

[[gnu::noinline]] static void give_up() { abort(); }

namespace {
struct Crash {
    ~Crash() { give_up(); }
};
Crash crash;
}  // namespace

extern "C" void kernel_entry(long *) {}

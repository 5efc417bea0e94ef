// Never gets through its constructor.
#include <time.h>

namespace {
struct Endless {
    Endless() {
        const timespec pause{0, 1000000};
        for (volatile int turn = 0; turn == 0;) nanosleep(&pause, nullptr);
    }
};
Endless endless;
}  // namespace

extern "C" void kernel_entry(long *) {}

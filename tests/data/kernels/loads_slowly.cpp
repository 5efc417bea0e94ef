// Has a static object whose constructor takes a second.
#include <time.h>

namespace {
struct Slow {
    Slow() {
        timespec left{1, 0};
        while (nanosleep(&left, &left) != 0) {
        }
    }
};
Slow slow;
}  // namespace

extern "C" void kernel_entry(long *) {}

// Ends with an exception.
#include <stdexcept>

extern "C" void kernel_entry(long *) { throw std::logic_error("odd tile"); }

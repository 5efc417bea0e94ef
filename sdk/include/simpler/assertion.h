// Assertions of orchestration code.
//
// `always_assert` reports through the runtime's log and throws `AssertionError`; the support
// translation unit does both, so this header costs one call on the cold path. Kernels have neither
// a runtime to log to nor exceptions, there a failed assertion traps. Source: spec trb §1.4.
#pragma once

#include "simpler/qualifiers.h"

#if SIMPLER_KERNEL_BUILD

#define always_assert(...) ((__VA_ARGS__) ? static_cast<void>(0) : __builtin_trap())

#else

#include <stdexcept>

// Thrown by a failed assertion. Hidden: the type belongs to one `.so`, and outside it is caught as
// `std::exception`.
class __attribute__((visibility("hidden"))) AssertionError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

namespace simpler {
// Logs the failed condition with LOG_ERROR, then throws AssertionError with the same text.
[[noreturn]] __attribute__((visibility("hidden"), cold)) void assertion_failed(
    const char *condition, const char *file, int line, const char *function);
}  // namespace simpler

#define always_assert(...)                                                                      \
    ((__VA_ARGS__) ? static_cast<void>(0)                                                       \
                   : ::simpler::assertion_failed(#__VA_ARGS__, __FILE__, __LINE__, __FUNCTION__))

#endif

// For checks that cost something on a hot path. Orchestrations are built without NDEBUG, so these
// are on unless the author asks otherwise.
#ifdef NDEBUG
#define debug_assert(...) static_cast<void>(0)
#else
#define debug_assert(...) always_assert(__VA_ARGS__)
#endif

// How many callables can be registered at once. Source: spec callable §1.1.
#pragma once

#include <cstdint>

constexpr int32_t MAX_REGISTERED_CALLABLE_IDS = 64;

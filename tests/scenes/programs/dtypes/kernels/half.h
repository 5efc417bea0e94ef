// The two 16-bit floating-point formats in plain C++, for normal numbers; those that become float16
// or bfloat16 fit exactly, but where a function says that it rounds.
#pragma once

#include <cstdint>
#include <cstring>

static inline float float_of_bits(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t bits_of_float(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

// bfloat16 is the upper half of a float32.
static inline float bfloat16_value(uint16_t bits) {
    return float_of_bits(static_cast<uint32_t>(bits) << 16);
}

static inline uint16_t bfloat16_bits(float value) {
    return static_cast<uint16_t>(bits_of_float(value) >> 16);
}

// float16 has 5 exponent bits around 15 and 10 fraction bits; float32 has 8 around 127 and 23.
static inline float float16_value(uint16_t bits) {
    const uint32_t rest = bits & 0x7FFFu;
    if (rest == 0) return 0.0f;
    return float_of_bits((bits & 0x8000u) << 16 | ((rest << 13) + ((127u - 15u) << 23)));
}

static inline uint16_t float16_bits(float value) {
    const uint32_t bits = bits_of_float(value);
    const uint32_t rest = bits & 0x7FFFFFFFu;
    if (rest == 0) return 0;
    return static_cast<uint16_t>((bits >> 16 & 0x8000u) | (rest - ((127u - 15u) << 23)) >> 13);
}

// To the nearest, ties to even.
static inline uint16_t float16_nearest(float value) {
    const uint32_t bits = bits_of_float(value);
    return float16_bits(float_of_bits((bits + 0xFFFu + (bits >> 13 & 1u)) & ~0x1FFFu));
}

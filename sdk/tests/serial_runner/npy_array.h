// Reads .npy files of float32 or int32, for this runner and for graph_runner.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

struct NpyArray {
    std::vector<uint32_t> shape;
    bool is_int = false;
    std::vector<float> values;  // the bits of whole numbers, if they are int32
};

// Throws std::runtime_error for anything but little-endian float32 or int32 in C order, format 1.0.
inline NpyArray read_npy(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (bytes.size() < 10 || bytes.compare(0, 8, std::string("\x93NUMPY\x01\x00", 8)) != 0) {
        throw std::runtime_error(path + ": not a .npy file of format 1.0");
    }
    const auto byte = [&bytes](size_t at) { return static_cast<uint8_t>(bytes[at]); };
    const size_t header_bytes = byte(8) + 256u * byte(9);
    const std::string header = bytes.substr(10, header_bytes);
    const size_t open = header.find("'shape': (");
    const bool is_int = header.find("'<i4'") != std::string::npos;
    if (header.find("'<f4'") == std::string::npos && !is_int) {
        throw std::runtime_error(path + ": neither float32 nor int32");
    }
    if (open == std::string::npos ||
        header.find("'fortran_order': False") == std::string::npos) {
        throw std::runtime_error(path + ": not in C order");
    }
    NpyArray array;
    array.is_int = is_int;
    size_t count = 1;
    const char *at = header.c_str() + open + std::strlen("'shape': (");
    while (*at != ')' && *at != '\0') {
        char *end = nullptr;
        const unsigned long extent = std::strtoul(at, &end, 10);
        if (end == at) {
            ++at;  // a comma or a space
            continue;
        }
        array.shape.push_back(static_cast<uint32_t>(extent));
        count *= extent;
        at = end;
    }
    if (bytes.size() != 10 + header_bytes + count * sizeof(float)) {
        throw std::runtime_error(path + ": length does not fit the shape");
    }
    array.values.resize(count);
    std::memcpy(array.values.data(), bytes.data() + 10 + header_bytes, count * sizeof(float));
    return array;
}

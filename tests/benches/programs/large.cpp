// An orchestration of about 400 KB, as those are that bring their libraries along: code, tables of
// addresses, constants. One task tells which image it is.
// Arguments: in, out; constant.
#include "pto_orchestration_api.h"

#define FUNC_TELL 0

namespace {
// The bench finds the first word in the file and writes another number over the second one, so that
// each image is a new one.
volatile uint64_t place[2] = {0x1A26'E04C'4E57'2A70, 0};

// Some code that is different for each number.
template <uint64_t N>
uint64_t turn(uint64_t x) {
    x = (x ^ (N * 0x9E37'79B9'7F4A'7C15)) * (2 * N + 0x1'0000'0001);
    x = (x ^ (N * 0xC2B2'AE3D'27D4'EB4F)) + (x >> 29) * (N + 0x2'0000'0000);
    x = (x ^ (N * 0x1656'67B1'9E37'79F9)) * (2 * N + 0x3'0000'0001);
    x = (x ^ (N * 0x27D4'EB2F'1656'67C5)) + (x >> 31) * (N + 0x4'0000'0000);
    return x;
}

using Turn = uint64_t (*)(uint64_t);

template <uint64_t... Ns>
struct Turns {
    // Addresses, which a load has to write.
    static const Turn table[sizeof...(Ns)];
};

template <uint64_t... Ns>
const Turn Turns<Ns...>::table[sizeof...(Ns)] = {turn<Ns + 1>...};

template <uint64_t... Ns>
const Turn *table_of(std::integer_sequence<uint64_t, Ns...>) {
    return Turns<Ns...>::table;
}

// Constants that nothing compresses; only their number matters.
struct Constants {
    uint64_t words[8'000];
};

constexpr Constants constants() {
    Constants made{};
    uint64_t word = 1;
    for (uint64_t &each : made.words) each = word = word * 6'364'136'223'846'793'005 + 1;
    return made;
}

constexpr Constants CONSTANTS = constants();

constexpr uint64_t TURNS = 200;
}  // namespace

extern "C" void one(const ChipStorageTaskArgs &orch_args) {
    Tensor in = from_tensor_arg(orch_args.tensor(0));
    Tensor out = from_tensor_arg(orch_args.tensor(1));
    const uint64_t constant = orch_args.scalar(0);
    // Never so many turns: the code is there, and is not run.
    uint64_t word = constant;
    for (uint64_t i = 0; i < constant >> 32; ++i) {
        word = table_of(std::make_integer_sequence<uint64_t, TURNS>{})[word % TURNS](word);
        word ^= CONSTANTS.words[word % 8'000];
    }
    Arg args;
    args.add_input(in);
    args.add_output(out);
    args.add_scalar(word + place[1]);
    rt_submit_aiv_task(FUNC_TELL, args);
}

// Attention over a paged cache whose graph depends on what two of its tensors hold: block tables and
// context lengths are read on the host, so tasks get the addresses of blocks, and a context has as
// many tasks as it has blocks.
//
// Arguments: query [batch, heads, head_dim], key cache, value cache [blocks, block_size, head_dim]:
// bfloat16 or float32; block table: int32 [batch, blocks of the longest context]; context lengths:
// int32 [batch]; out: float32 [batch, heads, head_dim]; scale: float32; heads to a task.
#include "host_graph/build.h"

#define FUNC_QK_MATMUL 0
#define FUNC_SOFTMAX_PREPARE 1
#define FUNC_PV_MATMUL 2
#define FUNC_ONLINE_UPDATE 3

namespace {

// One query position for each entry of a batch, with the tensors on the device.
struct Request {
    OrchestrationRuntime *rt;
    GraphMemory memory;
    const int32_t *block_table;   // on the host
    const int32_t *context_lens;  // on the host
    uint64_t table_columns;
    uint64_t batch, heads, head_dim, block_size;
    uint64_t query, key_cache, value_cache, out;
    uint64_t element, is_bfloat16;
    float scale;
    uint64_t tile;

    Request(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args)
        : rt(rt),
          memory{rt},
          block_table(args.tensor(3).data_as<int32_t>()),
          context_lens(args.tensor(4).data_as<int32_t>()),
          table_columns(args.tensor(3).shapes[1]),
          batch(args.tensor(0).shapes[0]),
          heads(args.tensor(0).shapes[1]),
          head_dim(args.tensor(0).shapes[2]),
          block_size(args.tensor(1).shapes[1]),
          query(memory.input(args.tensor(0))),
          key_cache(memory.input(args.tensor(1))),
          value_cache(memory.input(args.tensor(2))),
          // Rows of an empty context stay as they are.
          out(memory.inout(args.tensor(5))),
          element(get_element_size(args.tensor(1).dtype)),
          is_bfloat16(args.tensor(1).dtype == DataType::BFLOAT16),
          scale(from_u64<float>(args.scalar(0))),
          tile(args.scalar(1)) {}

    // Where block n of an entry begins in a cache.
    uint64_t block_in(uint64_t cache, uint64_t entry, uint64_t n) const {
        const int32_t block = block_table[entry * table_columns + n];
        return cache + static_cast<uint64_t>(block) * block_size * head_dim * element;
    }

    // Which row of `query` and `out` a head is.
    uint64_t row_of(uint64_t entry, uint64_t head) const { return entry * heads + head; }
};

// What the tasks of one tile of heads share.
struct TileMemory {
    uint64_t scores, weights, maxima, sums, rows;

    explicit TileMemory(const Request &request)
        : scores(request.memory.scratch(request.tile * request.block_size * sizeof(float))),
          weights(request.memory.scratch(request.tile * request.block_size * request.element)),
          maxima(request.memory.scratch(request.tile * sizeof(float))),
          sums(request.memory.scratch(request.tile * sizeof(float))),
          rows(request.memory.scratch(request.tile * request.head_dim * sizeof(float))) {}
};

// One tile of heads of one entry: a chain of updates, each behind the three tasks of its block.
void attend(const Request &request, uint64_t entry, uint64_t head) {
    const uint64_t tile = request.tile, head_dim = request.head_dim;
    const uint64_t block_size = request.block_size;
    const uint64_t length = static_cast<uint64_t>(request.context_lens[entry]);
    const uint64_t blocks = (length + block_size - 1) / block_size;
    const uint64_t row = request.row_of(entry, head);
    const uint64_t query = request.query + row * head_dim * request.element;
    const uint64_t out = request.out + row * head_dim * sizeof(float);
    const TileMemory state(request);
    int before = -1;
    for (uint64_t n = 0; n < blocks; ++n) {
        const TileMemory own(request);
        const uint64_t valid = std::min(block_size, length - n * block_size);
        const int qk = task(request.rt, FUNC_QK_MATMUL, CoreType::AIC, query,
                            request.block_in(request.key_cache, entry, n), own.scores, tile,
                            head_dim, block_size, request.is_bfloat16);
        const int softmax = task(request.rt, FUNC_SOFTMAX_PREPARE, CoreType::AIV, own.scores,
                                 own.weights, own.maxima, own.sums, request.scale, valid, tile,
                                 block_size, request.is_bfloat16);
        const int pv = task(request.rt, FUNC_PV_MATMUL, CoreType::AIC, own.weights,
                            request.block_in(request.value_cache, entry, n), own.rows, tile,
                            head_dim, block_size, request.is_bfloat16);
        const int update =
            task(request.rt, FUNC_ONLINE_UPDATE, CoreType::AIV, own.maxima, own.sums, own.rows,
                 state.maxima, state.sums, state.rows, out, n == 0, n + 1 == blocks, tile, head_dim);
        add_successor(request.rt, qk, softmax);
        add_successor(request.rt, softmax, pv);
        add_successor(request.rt, pv, update);
        if (before >= 0) add_successor(request.rt, before, update);
        before = update;
    }
}
}  // namespace

extern "C" int build_paged_attention_graph(OrchestrationRuntime *rt,
                                           const ChipStorageTaskArgs &args) {
    const Request request(rt, args);
    for (uint64_t entry = 0; entry < request.batch; ++entry) {
        if (request.context_lens[entry] == 0) continue;
        for (uint64_t head = 0; head < request.heads; head += request.tile) {
            attend(request, entry, head);
        }
    }
    return 0;
}

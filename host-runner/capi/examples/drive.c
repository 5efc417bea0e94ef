/*
 * Opens the C library, prepares a callable, runs it twice, and checks what it computed.
 *
 *     cargo xtask dist
 *     cc -std=c99 -I dist/include host-runner/capi/examples/drive.c -ldl -o target/drive
 *     target/drive dist/a2a3/sim/trb dist/lib BLOB
 *
 * The folders have the library of a variant, and the two that all variants share; BLOB is a file with the
 * ChipCallable of examples/vector_add for that chip, and of examples/hbg_vector where the library is that of
 * hbg. Ends with 0 if all is well, and says what is not.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host_runtime.h"

enum { SIDE = 128, ELEMENTS = SIDE * SIDE, BLOCK_DIM = 3, AICPU_THREADS = 4, DEVICE = 0, CID = 0 };

/* The records of a run (ContinuousTensor and ChipStorageTaskArgs), as every client knows them. */
typedef struct {
    uint64_t data;
    uint32_t shapes[5];
    uint32_t ndims;
    uint8_t dtype; /* 0 is float32 */
    uint8_t child_memory;
    uint8_t padding[6];
} Tensor;

typedef struct {
    Tensor tensors[64];
    uint64_t scalars[128];
    int32_t tensor_count;
    int32_t scalar_count;
} Args;

/* The functions that this program uses. Their types are those of the header. */
typedef struct {
    void *(*create)(void);
    void (*destroy)(void *);
    size_t (*runtime_size)(void);
    int (*init)(void *, int, int, int);
    int (*finalize)(void *);
    int (*prepare)(void *, int32_t, const void *, int, const uint8_t *, size_t, const uint8_t *, size_t);
    int (*run)(void *, void *, int32_t, const void *, int, int, int, const uint8_t *, size_t,
               const uint8_t *, size_t, int, int, int, const char *);
    int (*unregister)(void *, int32_t);
    size_t (*aicpu_loads)(void *);
    size_t (*host_loads)(void *);
    size_t (*variant)(char *, size_t);
    size_t (*last_error)(void *, char *, size_t);
} Api;

/* Ends the program with what went wrong. */
static void fail(const char *what, const char *text) {
    fprintf(stderr, "%s: %s\n", what, text);
    exit(1);
}

/* Opens a library of the folder. */
static void *open_library(const char *folder, const char *name, int mode) {
    char path[4096];
    void *library;
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) {
        fail(name, "its path is too long");
    }
    library = dlopen(path, mode);
    if (library == NULL) fail("dlopen", dlerror());
    return library;
}

/* Takes a function of a library: C has no conversion from an object pointer, so its bytes are copied. */
static void take(void *library, const char *name, void *function) {
    void *address = dlsym(library, name);
    if (address == NULL) fail("dlsym", name);
    memcpy(function, &address, sizeof address);
}

static Api open_api(const char *folder, const char *shared) {
    Api api;
    void *library;
    /* What clients open first, for all of the process. */
    open_library(shared, "libsimpler_log.so", RTLD_NOW | RTLD_GLOBAL);
    open_library(shared, "libcpu_sim_context.so", RTLD_NOW | RTLD_GLOBAL);
    library = open_library(folder, "libhost_runtime.so", RTLD_NOW | RTLD_LOCAL);
    take(library, "create_device_context", &api.create);
    take(library, "destroy_device_context", &api.destroy);
    take(library, "get_runtime_size", &api.runtime_size);
    take(library, "simpler_init", &api.init);
    take(library, "finalize_device", &api.finalize);
    take(library, "prepare_callable", &api.prepare);
    take(library, "run_prepared", &api.run);
    take(library, "unregister_callable", &api.unregister);
    take(library, "get_aicpu_dlopen_count", &api.aicpu_loads);
    take(library, "get_host_dlopen_count", &api.host_loads);
    take(library, "simpler_rs_v1_variant", &api.variant);
    take(library, "simpler_rs_v1_last_error", &api.last_error);
    return api;
}

/* Ends the program if a call failed. */
static void check(const Api *api, void *ctx, const char *what, int result) {
    char text[1024];
    if (result == 0) return;
    api->last_error(ctx, text, sizeof text);
    fprintf(stderr, "%s failed with code %d\n", what, result);
    fail(what, text);
}

/* Reads a whole file. */
static void *read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    long size;
    void *bytes;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) <= 0) {
        fail(path, "cannot be read");
    }
    rewind(file);
    bytes = malloc((size_t)size);
    if (bytes == NULL || fread(bytes, 1, (size_t)size, file) != (size_t)size) {
        fail(path, "cannot be read");
    }
    fclose(file);
    return bytes;
}

static void add_tensor(Args *args, float *data) {
    Tensor *tensor = &args->tensors[args->tensor_count++];
    tensor->data = (uint64_t)(uintptr_t)data;
    tensor->shapes[0] = tensor->shapes[1] = SIDE;
    tensor->ndims = 2;
}

int main(int argc, char **argv) {
    static float a[ELEMENTS], b[ELEMENTS], f[ELEMENTS];
    static Args args;
    Api api;
    void *ctx, *blob, *runtime;
    char variant[32] = "";
    int i, round, is_hbg;

    if (argc != 4) fail("usage", "drive FOLDER SHARED_FOLDER BLOB");
    api = open_api(argv[1], argv[2]);
    api.variant(variant, sizeof variant);
    is_hbg = strstr(variant, "/hbg") != NULL;
    blob = read_file(argv[3]);
    runtime = malloc(api.runtime_size());
    ctx = api.create();
    if (ctx == NULL || runtime == NULL) fail("context", "there is no memory");
    check(&api, ctx, "simpler_init", api.init(ctx, DEVICE, 1, 5));
    check(&api, ctx, "prepare_callable",
          api.prepare(ctx, CID, blob, DEVICE, NULL, 0, NULL, 0));
    free(blob); /* it was borrowed */

    add_tensor(&args, a);
    add_tensor(&args, b);
    add_tensor(&args, f);
    for (round = 1; round <= 2; ++round) {
        /* f = (a + b + 1)(a + b + 2), and of trb + (a + b) */
        const float sum = 2.0f + (float)round;
        const float expected = (sum + 1) * (sum + 2) + (is_hbg ? 0 : sum);
        for (i = 0; i < ELEMENTS; ++i) {
            a[i] = 2.0f;
            b[i] = (float)round;
            f[i] = 0.0f;
        }
        check(&api, ctx, "run_prepared",
              api.run(ctx, runtime, CID, &args, BLOCK_DIM, AICPU_THREADS, DEVICE, NULL, 0, NULL, 0, 0,
                      0, 0, ""));
        for (i = 0; i < ELEMENTS; ++i) {
            if (f[i] - expected > 1e-4f || expected - f[i] > 1e-4f) {
                fprintf(stderr, "f[%d] is %f and not %f\n", i, (double)f[i], (double)expected);
                return 1;
            }
        }
    }
    /* Two runs of one callable: loaded once, by the device or, of hbg, by this process. */
    if (api.aicpu_loads(ctx) != (is_hbg ? 0 : 1)) fail("get_aicpu_dlopen_count", "is not what it should be");
    if (api.host_loads(ctx) != (is_hbg ? 1 : 0)) fail("get_host_dlopen_count", "is not what it should be");
    check(&api, ctx, "unregister_callable", api.unregister(ctx, CID));
    if (api.run(ctx, runtime, CID, &args, BLOCK_DIM, AICPU_THREADS, DEVICE, NULL, 0, NULL, 0, 0, 0, 0,
                "") != -1) {
        fail("run_prepared", "of what is not registered any more succeeded");
    }
    check(&api, ctx, "finalize_device", api.finalize(ctx));
    api.destroy(ctx);
    free(runtime);
    printf("ok: %d elements, twice\n", (int)ELEMENTS);
    return 0;
}

/*
 * libhost_runtime.so: registers callables once and runs them by id.
 *
 * There is one library for each variant {a2a3, a5} x {trb, hbg}; all have the functions below. Open it
 * with dlopen(RTLD_NOW | RTLD_LOCAL); libraries of several variants may be open in one process. In trb
 * the orchestration of a callable runs on the device; in hbg (host_build_graph) it runs in this process, at
 * the beginning of each run, and hands over a finished graph (sdk/include/orchestration_api.h).
 *
 *   create_device_context
 *     -> simpler_init -> prepare_callable -> run_prepared, any number -> unregister_callable
 *     -> finalize_device (simpler_init may follow again)
 *   -> destroy_device_context -> dlclose (the library stays in memory)
 *
 * Common to all functions:
 *
 * - A context (`ctx`) is an opaque handle. NULL, a handle that was destroyed, and any other value are
 *   errors, not crashes.
 * - `int` results are 0 for success, or an error. -1: the library refuses the call, or cannot carry it out.
 *   What the entry of an hbg orchestration returned, where that was not 0: as it is, so it may be positive.
 *   Anything else: minus the status of a run that failed (1 to 9, 100 to 103, 200 and more;
 *   EXPLICIT_ORCH_FATAL is -9). Where the text of a failure is wanted, there is simpler_rs_v1_last_error.
 * - Pointers are borrowed for the call. They need no alignment. Memory that is not mapped or that cannot
 *   be read or written is noticed and refused; that it is the caller's and that nobody changes it during
 *   the call is the caller's promise.
 * - Two runs at once change their host tensors both, so these share no bytes, unless the callables declare
 *   them IN and simpler_rs_v1_set_copy_rule says that declarations count.
 * - A log sink (simpler_log.h) and hbg orchestrations are called from within calls. They call no function of
 *   this library; what orchestrations need is in the runtime that they are passed.
 * - Every function may be called from any thread at any time. Calls on one context share its device: runs
 *   and copies take turns, the others do not wait for them. simpler_init, finalize_device and
 *   destroy_device_context wait for calls in flight, and calls that come meanwhile wait for them. Runs have a
 *   time limit, so this ends; but nothing breaks off an hbg entry, which works on the client's memory: while
 *   one does not return, finalize_device and destroy_device_context wait, and so does unregister_callable of
 *   its callable.
 * - Nothing is thrown, and nothing ends the process: not even a defect in the library, which is -1 with
 *   a text. User code is different: on a simulator, kernels and orchestrations run in this process, so one
 *   that follows a null pointer still ends it.
 */
#ifndef SIMPLER_RS_HOST_RUNTIME_H
#define SIMPLER_RS_HOST_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A submitted run has not ended yet, or was cancelled before it began. No status of a run is these, and where
 * an orchestration has made one of them up, a submitted run ends with -1.
 */
#define SIMPLER_RS_V1_PENDING (-1001)
#define SIMPLER_RS_V1_CANCELLED (-1002)

/* Ids of callables are 0 to this, less one. */
#define HOST_RUNTIME_CALLABLE_IDS 64

/* ---------------------------------------------------------------- contexts -- */

/* Makes a context, which has no device yet. Returns NULL when that is impossible. */
void *create_device_context(void);

/* Finalizes the context and ends it; the handle names nothing afterwards. NULL is ignored. */
void destroy_device_context(void *ctx);

/*
 * Bytes of the buffer that run_prepared takes. Never 0. See simpler_rs_v1_get_runtime_alignment for an
 * alignment that suits it; this library needs none. 22,400 (a2a3) or 24,704 (a5), of hbg too: in the reference
 * that record has room for the largest graph (92.5 MB), which clients allocate and each run copies. Here a
 * graph has the size of its tasks and edges, and stays on the device.
 */
size_t get_runtime_size(void);

/*
 * Attaches the context to a device; simulators have a device for every number from 0, and one of its own
 * for every context. -1 for a negative device_id, and for another device than the one that the context is
 * attached to; the same one again is 0. Only then the levels of the log are set, for all of the process:
 * log_level 0 debug, 1 info, 2 warnings, 3 errors, 4 nothing; log_info_v 0 (all) to 9. Values outside are
 * taken for the nearest inside. Records go to libsimpler_log.so (simpler_log.h) if it is loaded.
 */
int simpler_init(void *ctx, int device_id, int log_level, int log_info_v);

/*
 * Waits for the calls in flight, and for a submitted run that has begun; those that have not are refused.
 * Unregisters what is registered, frees what is allocated, closes the device, and resets
 * get_aicpu_dlopen_count. 0 also without a device. simpler_init may follow.
 */
int finalize_device(void *ctx);

/* ------------------------------------------------------------ device memory -- */

/*
 * Allocates zeroed device memory, aligned to 64 bytes. 0 bytes have an address of their own. NULL where
 * there is no room or no device. Freed by device_free_ctx or finalize_device. Where a device has to be
 * given up because code on it does not return, its memory goes with it.
 */
void *device_malloc_ctx(void *ctx, size_t size);

/* Frees what device_malloc_ctx returned, after the runs in flight. Any other pointer is ignored. */
void device_free_ctx(void *ctx, void *dev_ptr);

/*
 * Copies to and from device memory. -1 for NULL, for device memory outside one live allocation, and for
 * host memory that cannot be used.
 */
int copy_to_device_ctx(void *ctx, void *dev_ptr, const void *host_ptr, size_t size);
int copy_from_device_ctx(void *ctx, void *host_ptr, const void *dev_ptr, size_t size);

/* ---------------------------------------------------------------- callables -- */

/*
 * Registers a ChipCallable blob under callable_id, and has the device load it (hbg: opens the orchestration
 * in this process, without a file): the constructors of the orchestration run now, and runs find everything
 * in place. Does not wait for runs. The blob is copied and never written to. It does not say which runtime
 * it was built for, so it has to be one for this library's. No size is passed, so the blob has to say how
 * long it is: that is checked against the memory that there is, and then all of it is checked.
 * simpler_rs_v1_prepare_callable_sized is the better call.
 *
 * -1, and nothing stays behind: NULL; callable_id outside 0..63, or in use; a blob that is damaged, cut
 * off, larger than 1 GiB, or without an orchestration; func ids outside 0..1023 or given twice; images
 * that cannot be loaded, that do not have the entry, or whose constructors fail; no room. The name of the
 * entry may be empty, which is aicpu_orchestration_entry, but not in hbg.
 *
 * device_id and the binaries are ignored: the executor is in the library.
 */
int prepare_callable(void *ctx, int32_t callable_id, const void *callable, int device_id,
                     const uint8_t *aicpu_binary, size_t aicpu_size, const uint8_t *aicore_binary,
                     size_t aicore_size);

/*
 * Runs a callable and waits for its end. `args` is a ChipStorageTaskArgs (3592 bytes).
 *
 * trb: Host tensors (child_memory 0) are copied to the device before, and back after success: all of them,
 * both ways, unless simpler_rs_v1_set_copy_rule says otherwise. So their memory has to be writable; only what
 * the blob declares as IN may be read-only, and is not copied back then. Tensors may share memory; they
 * are copied back in their order. After a failure nothing is copied back.
 *
 * hbg: The entry is called on this thread with `args`, whose host tensors have the caller's addresses. It makes
 * its copies itself, and may read what tensors hold. What it has recorded as an output (record_tensor_pair)
 * is written to its host memory after success, in the order of the calls, and nothing else is written. Any
 * host tensor can take an output; the run is refused where one goes to memory that is read-only, or to what
 * simpler_rs_v1_set_copy_rule makes so. Of a tensor that shares bytes with another one the entry gets a copy,
 * unless both are only read; bytes that are different in it afterwards are written back, tensor by tensor.
 * So addresses do not tell how tensors overlap; instead pass one, and offsets as scalars. The device memory
 * of a run is free again with its end.
 *
 * Device tensors (child_memory not 0) are passed through, and have to be inside one live allocation. A tensor
 * has 0 to 5 dimensions (0 is one element, and an orchestration sees one dimension of 1) and at least one
 * element.
 *
 * `runtime` is a buffer of get_runtime_size() bytes in the reference. Here it is refused when NULL and not
 * used otherwise. block_dim is 1 to 24 (a2a3) or 36 (a5), aicpu_thread_num 1 to 4 or 7, device_id that of
 * simpler_init. The binaries are ignored. enable_l2_swimlane, enable_dump_tensor and enable_pmu are not
 * recorded yet; a run that asks for them goes on without, and the log says so. output_prefix is NULL or
 * NUL-terminated with less than 1024 bytes.
 *
 * -1: NULL, callable_id not prepared, arguments or settings out of range, memory that cannot be used; hbg
 * also: an exception left the entry, or it called the runtime wrongly, or its graph cannot run (a cycle).
 * What the entry returned: it returned that, and nothing ran. Minus the status: the run failed; minus 100 also
 * where it did not come back within its limits (see simpler_rs_v1_set_run_limits). The next run works.
 */
int run_prepared(void *ctx, void *runtime, int32_t callable_id, const void *args, int block_dim,
                 int aicpu_thread_num, int device_id, const uint8_t *aicpu_binary, size_t aicpu_size,
                 const uint8_t *aicore_binary, size_t aicore_size, int enable_l2_swimlane,
                 int enable_dump_tensor, int enable_pmu, const char *output_prefix);

/*
 * Takes a callable away and gives back what it had on the device; its id is free again. New runs are
 * refused at once, those that were accepted before are waited for. 0 also when there is none. -100 where a
 * destructor of the orchestration does not return: the callable is gone all the same, and in hbg nothing can be
 * prepared in this process until the destructor returns.
 */
int unregister_callable(void *ctx, int32_t callable_id);

/*
 * Counts the first run after each preparation, however it ends; runs that are refused do not count.
 * Unregistering leaves it, finalize_device resets it. 0 for NULL, and in hbg.
 */
size_t get_aicpu_dlopen_count(void *ctx);

/*
 * Counts preparations whose orchestration runs on the host (hbg), since the context was made: unregistering
 * leaves it, and so does finalize_device, as in the reference; those that are refused do not count. 0 for
 * NULL, and in trb.
 */
size_t get_host_dlopen_count(void *ctx);

/* ------------------------------------------------- streams and communicators -- */

/* Simulators need neither: 0, NULL and 0 for a context, -1, NULL and -1 for none. */
int ensure_acl_ready_ctx(void *ctx, int device_id);
void *create_comm_stream_ctx(void *ctx);
int destroy_comm_stream_ctx(void *ctx, void *stream);

/*
 * Communicators of processes that share windows: comm_init -> comm_alloc_windows -> comm_barrier, any number
 * -> comm_destroy, in every process. They name no context: the windows are device memory of all contexts of
 * this library in this process, those made later included. A tensor inside the own window, or a peer's, is
 * a device tensor (child_memory 1).
 *
 * A handle that is NULL, destroyed, or anything else is -1 with a text (simpler_rs_v1_last_error of NULL), and so
 * is a call at the wrong time; nothing is written to a result then. Waits end after 120 seconds, with the
 * ranks that are missing in the text; a communicator in which a wait failed can only be destroyed. A process
 * that is forked from one with a communicator must not use it, and counts as the rank as long as it lives.
 */

/*
 * Takes rank `rank` (from 0) of `nranks` (1 to 64). Ranks are processes of one user and one parent that pass the
 * same rootinfo_path; there is no need for such a file. Waits for no other rank. `stream` is ignored. NULL
 * for a rank that is taken, and where the ranks that are there were told another nranks.
 */
void *comm_init(int rank, int nranks, void *stream, const char *rootinfo_path);

/*
 * Makes a zeroed window of win_size bytes for each rank, once, and waits until all ranks have called this.
 * device_ctx_out gets the address of the rank's CommContext (1056 bytes, platform_comm/comm_context.h), which
 * kernels take as a scalar. Waits for the run in flight of each context. -1 for 0 bytes, for another size
 * than the other ranks', and where /dev/shm has no room.
 */
int comm_alloc_windows(void *comm, size_t win_size, uint64_t *device_ctx_out);

/* Device address and bytes (those of comm_alloc_windows) of the own window. -1 before there are windows. */
int comm_get_local_window_base(void *comm, uint64_t *base_out);
int comm_get_window_size(void *comm, size_t *size_out);

/*
 * Waits until all ranks have called this. -1 before there are windows, and at once where a rank has ended, or
 * has been destroyed, that is waited for.
 */
int comm_barrier(void *comm);

/*
 * Waits as comm_barrier if there are windows, and then, also where that failed, takes the windows from all
 * contexts of this process, after their runs in flight, and ends the handle. What code of a device that was
 * given up may still reach stays in memory.
 */
int comm_destroy(void *comm);

/* ------------------------------- beyond the reference: versioned by their prefix -- */

/* 1. A later version adds functions, or a prefix. */
uint32_t simpler_rs_v1_abi_version(void);

/* Callables can be prepared and run. */
#define SIMPLER_RS_V1_CAN_RUN (UINT64_C(1) << 0)
/* SIMPLER_RS_V1_COPY_DECLARED has an effect. */
#define SIMPLER_RS_V1_CAN_COPY_DECLARED (UINT64_C(1) << 1)
/* Memory report and counters. */
#define SIMPLER_RS_V1_CAN_REPORT (UINT64_C(1) << 2)
/* Runs can be submitted. */
#define SIMPLER_RS_V1_CAN_SUBMIT (UINT64_C(1) << 3)

/* What this library can do: bits as above. Bits that are not listed may be set. */
uint64_t simpler_rs_v1_capabilities(void);

/*
 * Texts: each copies a NUL-terminated UTF-8 text into `buffer`, cut to `size` bytes with its NUL, and
 * returns the bytes that all of it needs with its NUL. NULL or 0 asks for the size alone. 0 is a failure.
 *
 * variant: "a2a3sim/trb" and the like.
 * last_error: what went wrong in the last call on this context that failed, and what to do about it; for
 *   NULL, or what is no context, in the last call of this thread. Empty before. A call that succeeds leaves it.
 * memory_report: JSON: {"version": 1, "variant", "device", "callables", "memory"}. "memory" has "bytes" and
 *   "high_water_bytes" of the device, "arena_reserved_bytes" (those of "bytes" that are only reserved),
 *   "holders" (each {"holder", "callable_id", "callable", "allocations", "bytes", "high_water_bytes"}; what
 *   device_malloc_ctx gave is "user") and "queue" (host memory of submitted runs). Without a device,
 *   "device" is null and the rest is missing.
 */
size_t simpler_rs_v1_variant(char *buffer, size_t size);
size_t simpler_rs_v1_last_error(void *ctx, char *buffer, size_t size);
size_t simpler_rs_v1_memory_report(void *ctx, char *buffer, size_t size);

/* An alignment that suits the buffer of run_prepared in the reference. */
size_t simpler_rs_v1_get_runtime_alignment(void);

/* prepare_callable for a blob of `size` bytes, of which nothing is guessed. */
int simpler_rs_v1_prepare_callable_sized(void *ctx, int32_t callable_id, const void *callable,
                                         size_t size);

/*
 * Has a callable run after everything that was called or submitted before, and returns at once with a
 * handle of the run; NULL where run_prepared would be refused, and where the runs in flight hold too much
 * memory (1 GiB of arguments). Arguments as for run_prepared: `args` and the host tensors are copied now and
 * may be changed afterwards; what the run writes is written to the memory of its host tensors by the call
 * of simpler_rs_v1_completion_wait or _poll that first learns of its success, so that memory has to
 * stay until then. The handle is the caller's, until simpler_rs_v1_completion_free. hbg: the entry is called on
 * a thread of the library, its host tensors are the copies, and of those the recorded outputs are written
 * back, and what the entry itself has changed: inputs may have been filled anew for the next run.
 */
void *simpler_rs_v1_submit(void *ctx, int32_t callable_id, const void *args, int block_dim,
                           int aicpu_thread_num, int device_id);

/* Without limit. */
#define SIMPLER_RS_V1_NO_TIMEOUT UINT64_MAX

/*
 * Waits for the end of a submitted run for at most timeout_ms milliseconds; poll does not wait. Any number
 * of threads may wait, and cancel meanwhile. SIMPLER_RS_V1_PENDING if it has not ended;
 * SIMPLER_RS_V1_CANCELLED; else as run_prepared, and the same again for every later call. -1 also where its
 * context was finalized before it began, and for what is no handle of a run.
 */
int simpler_rs_v1_completion_wait(void *run, uint64_t timeout_ms);
int simpler_rs_v1_completion_poll(void *run);

/* Cancels a run that has not begun: 0, also if it was cancelled before. -1: it has begun, or ended. */
int simpler_rs_v1_completion_cancel(void *run);

/* Ends the handle. The run goes on; what it writes is dropped if nobody has waited. NULL is ignored. */
void simpler_rs_v1_completion_free(void *run);

/* All host tensors are copied both ways, or may be outputs: the reference's rule, and a new context's. */
#define SIMPLER_RS_V1_COPY_BOTH_WAYS 0
/*
 * What the blob declares as IN is not copied back, what it declares as OUT is not copied to the device: parts
 * of it that the callable does not write come back as zeros, or as an earlier run left them. hbg: what is
 * declared as IN takes no outputs, and tensors that are all IN may share memory without being copied; what
 * is declared as OUT has to be writable, and what the orchestration does not record stays as it is.
 */
#define SIMPLER_RS_V1_COPY_DECLARED 1

/* Sets the copy rule of later runs on this context. -1 for a rule that there is none of. */
int simpler_rs_v1_set_copy_rule(void *ctx, int rule);

/*
 * Sets the time limits of later runs on this context, in milliseconds; 0 is the default of each. timeout:
 * how long a run may take (60,000); an hbg entry is not broken off, its time counts when it has returned.
 * stall: how long no task may make progress (seven eighths of timeout). grace: how long a run that failed may
 * take to stop before its device is given up (5,000). -1 for more than a year.
 */
int simpler_rs_v1_set_run_limits(void *ctx, uint64_t timeout_ms, uint64_t stall_ms,
                                 uint64_t grace_ms);

/* What was done since simpler_init. Fields are added at the end. */
typedef struct simpler_rs_v1_counters {
    uint64_t registrations;   /* callables registered */
    uint64_t loads;           /* orchestrations that the AICPU has loaded */
    uint64_t runs;            /* runs that succeeded */
    uint64_t lost_devices;    /* devices given up because code on them did not return */
    uint64_t unregistrations; /* callables unregistered */
    uint64_t bytes_uploaded;  /* of kernels and orchestrations, to the device */
    uint64_t hits;            /* kernels and orchestrations that the device had, byte for byte */
    uint64_t failed_runs;     /* runs that were accepted and did not succeed */
    uint64_t graph_uploads;   /* hbg: graphs that were uploaded whole */
    uint64_t graph_replays;   /* hbg: runs of graphs that the device had, but for changed argument words */
    uint64_t graph_bytes_uploaded; /* hbg: of graphs and changed argument words, to the device */
    uint64_t host_loads;      /* hbg: orchestrations that were opened in this process */
} simpler_rs_v1_counters;

/*
 * Fills `counters`, of which `size` bytes are written: what this library does not know is 0. All 0
 * without a device. -1 for NULL.
 */
int simpler_rs_v1_get_counters(void *ctx, simpler_rs_v1_counters *counters, size_t size);

#ifdef __cplusplus
}
#endif

#endif

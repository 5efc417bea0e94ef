/*
 * libsimpler_log.so: levels and sink of the log, for all libraries of a process.
 *
 * Open it with dlopen(RTLD_NOW | RTLD_GLOBAL) before the first libhost_runtime.so, and never close it.
 * Existing clients ask nothing of it; the names below are ours. Without a sink nothing is written. All
 * functions may be called from any thread.
 */
#ifndef SIMPLER_RS_SIMPLER_LOG_H
#define SIMPLER_RS_SIMPLER_LOG_H

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Takes a record: level 0 debug, 1 info, 2 warning, 3 error; info_v 0 to 9, of info records; who speaks;
 * text. Both texts are NUL-terminated and valid during the call. It calls no function of this library or
 * of a host library, and returns normally.
 */
typedef void (*simpler_rs_log_v1_sink)(int level, int info_v, const char *origin, const char *text,
                                       void *user);

/*
 * Sets where records go, NULL for nowhere. `user` is passed to the sink. When this returns, the sink before
 * is not called any more.
 */
void simpler_rs_log_v1_set_sink(simpler_rs_log_v1_sink sink, void *user);

/*
 * Sets what is passed on: records from `level` (4 is none), info records from `info_v`. Values outside are
 * taken for the nearest inside. simpler_init calls it.
 */
void simpler_rs_log_v1_set_levels(int level, int info_v);

/* What is set: 1 and 5 at first. */
int simpler_rs_log_v1_level(void);
int simpler_rs_log_v1_info_v(void);

/* Passes a record on, if level and sink are for it. NULL texts are no record. */
void simpler_rs_log_v1_write(int level, int info_v, const char *origin, const char *text);

#ifdef __cplusplus
}
#endif

#endif

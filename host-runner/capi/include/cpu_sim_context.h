/*
 * libcpu_sim_context.so: which simulated device a thread uses, for all libraries of a process.
 *
 * Open it with dlopen(RTLD_NOW | RTLD_GLOBAL) before the first libhost_runtime.so of a simulator, and never
 * close it. Existing clients ask nothing of it; the names below are ours.
 */
#ifndef SIMPLER_RS_CPU_SIM_CONTEXT_H
#define SIMPLER_RS_CPU_SIM_CONTEXT_H

#ifdef __cplusplus
extern "C" {
#endif

/* Notes that the calling thread uses a device; negative is none. simpler_init and finalize_device call it. */
void simpler_rs_sim_context_v1_bind(int device_id);

/* The device that the calling thread was bound to last, or -1. */
int simpler_rs_sim_context_v1_device(void);

#ifdef __cplusplus
}
#endif

#endif

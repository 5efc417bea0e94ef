/* Calls the library when the variables of the main thread are gone already, as a destructor of a
   global object would. Takes the path of the library; says so when it is through. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "host_runtime.h"

static void *context;
static void (*destroy)(void *);
static void *library;

static void late(void) {
    char text[64] = "as it was";
    size_t (*last_error)(void *, char *, size_t);
    destroy(context);
    /* Fails: there is no such context any more. */
    destroy(context);
    *(void **)&last_error = dlsym(library, "simpler_rs_v1_last_error");
    last_error(NULL, text, sizeof text);
    printf("through\n");
    fflush(stdout);
}

int main(int count, char **arguments) {
    void *(*create)(void);
    int (*copy)(void *, void *, const void *, size_t);
    if (count != 2) return 2;
    library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) return 3;
    *(void **)&create = dlsym(library, "create_device_context");
    *(void **)&destroy = dlsym(library, "destroy_device_context");
    *(void **)&copy = dlsym(library, "copy_to_device_ctx");
    context = create();
    if (!context || atexit(late)) return 4;
    /* A failure, so that the thread has variables of the library. */
    return copy(context, NULL, NULL, 1) < 0 ? 0 : 5;
}

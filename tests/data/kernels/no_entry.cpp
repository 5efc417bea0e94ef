// A shared object without the function that cores call.
extern "C" void other_entry(long *) {}

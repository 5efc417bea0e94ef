//! Loads shared objects of the system's C++ compiler and calls them.

#[path = "support/support.rs"]
mod support;

use support::Loaded;
use support::compiler::shared_object;

#[test]
fn calls_functions_with_data_relocations_and_imports() {
    let image = shared_object(
        r#"
        #include <cstring>
        static const char *names[] = {"alpha", "beta", "gamma"};
        long counter = 40;
        long *pointer = &counter;
        extern "C" long name_bytes() {
            long sum = 0;
            for (auto name : names) sum += strlen(name);
            return sum;
        }
        extern "C" long add(long value) { *pointer += value; return counter; }
        "#,
        &[],
    );
    let loaded = Loaded::new(&image);
    assert_eq!(loaded.call("name_bytes"), 14);
    assert_eq!(loaded.call_with("add", 2), 42);
    assert_eq!(loaded.call_with("add", -1), 41);
}

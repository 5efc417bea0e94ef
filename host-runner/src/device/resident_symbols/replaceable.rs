//! The functions that a process may replace as a whole, by its own or by a preloaded library's.
//!
//! They allocate and free: what one of them returns, another one takes. The C library itself calls
//! the replacements (`strdup` returns memory of the replaced `malloc`), so an orchestration has to
//! call them too.

/// Functions of C; glibc manual, "Replacing malloc", with what its note counts to them.
const C_FUNCTIONS: [&[u8]; 12] = [
    b"malloc",
    b"free",
    b"calloc",
    b"realloc",
    b"reallocarray",
    b"aligned_alloc",
    b"malloc_usable_size",
    b"memalign",
    b"posix_memalign",
    b"pvalloc",
    b"valloc",
    b"cfree",
];

/// How the mangled names of C++ begin; ISO C++ [replacement.functions]: `operator new`,
/// `operator new[]`, `operator delete`, `operator delete[]`.
const CXX_PREFIXES: [&[u8]; 4] = [b"_Znw", b"_Zna", b"_Zdl", b"_Zda"];

/// Tells whether a process may replace `name`.
pub(super) fn is_replaceable(name: &[u8]) -> bool {
    C_FUNCTIONS.contains(&name) || CXX_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocation_may_be_replaced_and_nothing_else() {
        for name in ["malloc", "free", "posix_memalign", "_Znwm", "_ZdaPvmSt11align_val_t"] {
            assert!(is_replaceable(name.as_bytes()), "{name}");
        }
        for name in ["mallo", "mallocs", "memcpy", "_ZNSt9exceptionD1Ev", "_Zn", ""] {
            assert!(!is_replaceable(name.as_bytes()), "{name}");
        }
    }
}

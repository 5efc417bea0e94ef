//! What stands in for the vendor's libraries in tests.
//!
//! One library under all three names has the functions that the backend binds. It keeps books: who has which
//! memory and which streams, which threads are attached, what comes before what. Whatever breaks a rule is a
//! violation, which is noted and stays; a test ends with a look at the list. What the functions do, the
//! stand-in daemon does: the AICPU program is the real one.
//!
//! ```text
//!  host-runner ─ dlopen ─▶ exports, launching, driver ─▶ books (rules, violations, planned failures)
//!                                                     └─▶ chip (device memory, AICPU program, cores) ─▶ stand-in-daemon
//! ```
//!
//! | variable | says |
//! |---|---|
//! | `MOCK_CANN_MACHINE` | `native` or `aarch64`: where the AICPU program runs |
//! | `MOCK_CANN_DAEMON` | the daemon's program; without it, it is built |
//! | `MOCK_CANN_REPORT` | a file to which violations are appended, a line each |
//!
//! A test asks and plans by the functions of [`control`].

pub mod books;
pub mod chip;
pub mod control;
#[allow(non_snake_case, reason = "the vendor's names")]
pub mod driver;
#[allow(non_snake_case, reason = "the vendor's names")]
pub mod exports;
#[allow(non_snake_case, reason = "the vendor's names")]
pub mod launching;

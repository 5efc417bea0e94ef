//! What the tests in `tests/` share: nothing so far.

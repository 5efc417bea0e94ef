//! Waiting, polling, cancelling and giving up.

//! Code of the user that runs while a kernel is opened or closed: its constructors, its hooks, its
//! destructors. It may never return, and nothing can stop it, so it has a thread of its own, which is
//! left behind where the limit is over: whoever waits gets an error, and the device goes on.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::device::KernelError;

/// Does `work` on a thread of its own and waits for it. What it gives after the limit is dropped on
/// that thread.
///
/// # Errors
///
/// [`KernelError::NotReturned`] at the limit, and [`KernelError::System`] where there is no thread.
pub(super) fn within<T: Send + 'static>(
    limit: Duration,
    function: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, KernelError> {
    let (give, take) = mpsc::sync_channel(1);
    let body = move || {
        // Nobody takes it where the limit is over.
        let _late = give.send(work());
    };
    let thread = thread::Builder::new().name("sim-kernel-code".to_owned()).spawn(body)?;
    match take.recv_timeout(limit) {
        Ok(result) => {
            // Giving its result was its last act, so this is a moment; then nothing of it is left.
            let _ended = thread.join();
            Ok(result)
        }
        Err(_late) => Err(KernelError::NotReturned { function, limit }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    #[test]
    fn what_returns_in_time_gives_its_result_and_what_does_not_is_named() {
        assert_eq!(within(Duration::from_secs(20), "constructors", || 7).unwrap(), 7);
        static RELEASED: AtomicBool = AtomicBool::new(false);
        let limit = Duration::from_millis(30);
        let lost = within(limit, "destructors", || {
            while !RELEASED.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        });
        match lost {
            Err(KernelError::NotReturned { function: "destructors", limit: said }) => {
                assert_eq!(said, limit);
            }
            other => panic!("{other:?}"),
        }
        RELEASED.store(true, Ordering::SeqCst);
    }

    #[test]
    fn a_panic_ends_the_wait_at_once() {
        let start = Instant::now();
        let gone: Result<(), _> = within(Duration::from_secs(20), "hooks", || panic!("on purpose"));
        assert!(matches!(gone, Err(KernelError::NotReturned { .. })), "{gone:?}");
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}

//! Code of the user that runs while a shared object is opened or closed: its constructors, its hooks,
//! its destructors. It may never return, and nothing can stop it, so it has a thread of its own, which
//! is left behind where the limit is over: whoever waits gets an error, and everything else goes on.
//!
//! A thread that came back is kept for the next object: starting one costs as much as opening a
//! kernel.

use std::mem::ManuallyDrop;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::relay::Relay;

/// Why code of the user has not done what it was to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotDone {
    /// It does not return. A thread that nothing can stop is left in it.
    #[error("its {function} have not returned within {} ms; look for an endless loop", limit.as_millis())]
    NotReturned {
        /// Which functions.
        function: &'static str,
        /// How long they had.
        limit: Duration,
    },
    /// There is no thread for it.
    #[error("the system has no thread for its {function}")]
    NoThread {
        /// Which functions.
        function: &'static str,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
}

/// Where code of the user runs. Dropping it ends its thread.
#[derive(Debug)]
pub struct UserThread {
    /// The thread that came back last; `None` while it is used, and before the first.
    idle: Mutex<Option<Relay>>,
    start: fn() -> std::io::Result<Relay>,
}

impl Default for UserThread {
    fn default() -> Self {
        Self { idle: Mutex::default(), start: || Relay::start("user-code") }
    }
}

impl UserThread {
    /// Does `work` on a thread of its own and waits for it. What it gives after the limit is dropped
    /// on that thread.
    ///
    /// # Errors
    ///
    /// [`NotDone::NotReturned`] at the limit, and [`NotDone::NoThread`] where there is no thread.
    pub fn within<T: Send + 'static>(
        &self,
        limit: Duration,
        function: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotDone> {
        let deadline = Instant::now() + limit;
        let idle = self.idle().take();
        let relay = idle.map_or_else(self.start, Ok);
        let relay = relay.map_err(|source| NotDone::NoThread { function, source })?;
        let pending = relay.begin(work);
        // It may come at the last moment.
        let Some(result) = pending.wait(deadline).ok().or_else(|| pending.give_up()) else {
            relay.leave();
            return Err(NotDone::NotReturned { function, limit });
        };
        let surplus = self.idle().replace(relay);
        drop(surplus);
        Ok(result)
    }

    /// Drops what code of the user runs for, as [`within`](Self::within) does work. It is dropped nowhere
    /// else: where there is no thread, it stays for good, as on this one nothing could end the wait.
    ///
    /// # Errors
    ///
    /// As [`within`](Self::within).
    pub fn drop_within<T: Send + 'static>(
        &self,
        limit: Duration,
        function: &'static str,
        owned: T,
    ) -> Result<(), NotDone> {
        let owned = ManuallyDrop::new(owned);
        self.within(limit, function, move || drop(ManuallyDrop::into_inner(owned)))
    }

    fn idle(&self) -> MutexGuard<'_, Option<Relay>> {
        // Nothing panics while it is held.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::thread;

    const LONG: Duration = Duration::from_secs(20);

    fn here() -> thread::ThreadId {
        thread::current().id()
    }

    #[test]
    fn what_returns_in_time_gives_its_result_and_its_thread_serves_again() {
        let code = UserThread::default();
        let first = code.within(LONG, "constructors", here).unwrap();
        assert_ne!(first, here());
        assert_eq!(code.within(LONG, "constructors", here).unwrap(), first);
    }

    #[test]
    fn what_does_not_return_is_named_and_others_have_another_thread() {
        static RELEASED: AtomicBool = AtomicBool::new(false);
        let code = UserThread::default();
        let first = code.within(LONG, "constructors", here).unwrap();
        let limit = Duration::from_millis(30);
        let lost = code.within(limit, "destructors", || {
            while !RELEASED.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        });
        match lost {
            Err(NotDone::NotReturned { function: "destructors", limit: said }) => {
                assert_eq!(said, limit);
            }
            other => panic!("{other:?}"),
        }
        assert_ne!(code.within(LONG, "constructors", here).unwrap(), first);
        RELEASED.store(true, Ordering::SeqCst);
    }

    #[test]
    fn a_panic_ends_the_wait_at_once_and_the_next_job_runs() {
        let (code, start) = (UserThread::default(), Instant::now());
        let gone: Result<(), _> = code.within(LONG, "hooks", || panic!("on purpose"));
        assert!(matches!(gone, Err(NotDone::NotReturned { .. })), "{gone:?}");
        assert!(start.elapsed() < LONG / 2);
        assert_eq!(code.within(LONG, "hooks", || 7).unwrap(), 7);
    }

    /// Says on which thread it was dropped.
    struct Dropped(mpsc::Sender<thread::ThreadId>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.send(here()).unwrap();
        }
    }

    #[test]
    fn what_is_dropped_is_dropped_there_or_not_at_all() {
        let (tell, told) = mpsc::channel();
        UserThread::default().drop_within(LONG, "destructors", Dropped(tell.clone())).unwrap();
        assert_ne!(told.recv().unwrap(), here());
        let start = || Err(std::io::ErrorKind::WouldBlock.into());
        let code = UserThread { start, idle: Mutex::default() };
        let refused = code.drop_within(LONG, "destructors", Dropped(tell));
        assert!(matches!(refused, Err(NotDone::NoThread { function: "destructors", .. })));
        assert!(told.try_recv().is_err(), "a destructor that hangs would hang this thread");
    }
}

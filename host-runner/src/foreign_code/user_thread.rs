//! Code of the user that runs while a shared object is opened or closed: its constructors, its hooks,
//! its destructors. It may never return, and nothing can stop it, so it has a thread of its own, which
//! is left behind where the limit is over: whoever waits gets an error, and everything else goes on.
//!
//! A thread that came back is kept for the next object: starting one costs as much as opening a
//! kernel.

use std::mem::ManuallyDrop;
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What a thread is to do.
type Job = Box<dyn FnOnce() + Send>;

/// A thread that waits for jobs.
#[derive(Debug)]
struct Runner {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

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
    idle: Mutex<Option<Runner>>,
    start: fn() -> std::io::Result<Runner>,
}

impl Default for UserThread {
    fn default() -> Self {
        Self { idle: Mutex::default(), start: Runner::start }
    }
}

impl Runner {
    fn start() -> std::io::Result<Self> {
        let (jobs, orders) = mpsc::channel::<Job>();
        let body = move || orders.into_iter().for_each(|job| job());
        let thread = thread::Builder::new().name("user-code".to_owned()).spawn(body)?;
        Ok(Self { jobs, thread })
    }

    fn stop(self) {
        drop(self.jobs);
        // It has nothing to do, so it ends now. A job that panicked has been told of before.
        let _ended = self.thread.join();
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
        let lost = || NotDone::NotReturned { function, limit };
        let idle = self.idle().take();
        let no_thread = |source| NotDone::NoThread { function, source };
        let runner = idle.map_or_else(self.start, Ok).map_err(no_thread)?;
        let (give, take) = mpsc::sync_channel(1);
        let job = move || {
            // Nobody takes it where the limit is over.
            let _late = give.send(work());
        };
        runner.jobs.send(Box::new(job)).map_err(|_ended| lost())?;
        // Where the limit is over, or the job panicked, the thread is left behind.
        let result = take.recv_timeout(limit).map_err(|_| lost())?;
        let surplus = self.idle().replace(runner);
        surplus.into_iter().for_each(Runner::stop);
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

    fn idle(&self) -> MutexGuard<'_, Option<Runner>> {
        // Nothing panics while it is held.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UserThread {
    fn drop(&mut self) {
        let idle = self.idle().take();
        idle.into_iter().for_each(Runner::stop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

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

//! Runs mutants by the thousand and keeps the books: outcomes, panics, hangs, growth of memory.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `LOADER_MUTANTS` | mutants of a lane | what the test asks for |
//! | `LOADER_SEED` | first seed | 1 |
//! | `LOADER_GROWTH_KIB` | growth of memory that is accepted | 4096 |
//! | `LOADER_STATE` | file for whoever survives a crash, see below | none |
//!
//! `cargo xtask mutants` watches a lane by two means. A line of counts, printed every half second
//! with `LOADER_STATE` and always at the end: `campaign <lane> next=… refused=… … rss_kib=…`. And
//! the file, which always holds five words of 64 bits: the seed at work, and how many mutants
//! before it were refused, failed, were loaded, and panicked.

use std::any::Any;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::footprint::Footprint;
use super::oracle::Verdict;

/// How long one mutant may take before it counts as a hang. Mutants take microseconds; the rest is
/// for machines that are busy with other things.
const DEADLINE: Duration = Duration::from_secs(60);

/// Exit code of a process that stopped because a mutant hung.
const HANG_EXIT_CODE: i32 = 70;

/// Mutants after which memory is measured for the first time: allocators have warmed up by then.
const WARM_UP: u64 = 2_000;

/// Growth of resident memory that is no growth: allocators round and keep a little.
const GROWTH_LIMIT_KIB: u64 = 4096;

/// Mappings and files more that are no growth: other tests of the program start their threads. A
/// mutant in a hundred that leaves one behind is far above.
const HANDLES_LIMIT: i64 = 32;

/// The counts of a lane.
#[derive(Debug, Default)]
pub struct Campaign {
    lane: &'static str,
    first: u64,
    total: u64,
    pub refused: u64,
    pub failed: u64,
    pub loaded: u64,
    /// Seeds at which the loader panicked, or a check of the test failed.
    pub panicked: Vec<u64>,
    /// Growth of resident memory since the warm-up, in KiB.
    pub growth_kib: i64,
    /// Mappings and files more than after the warm-up.
    pub growth_handles: i64,
}

impl Campaign {
    /// Takes the numbers from the environment.
    pub fn new(lane: &'static str, default_total: u64) -> Self {
        let first = number("LOADER_SEED", 1);
        let total = number("LOADER_MUTANTS", default_total);
        Self { lane, first, total, ..Self::default() }
    }

    /// Gives every seed its turn. A turn that panics is counted, and the next one comes.
    pub fn run(&mut self, mut turn: impl FnMut(u64) -> Verdict) {
        let state = std::env::var_os("LOADER_STATE").map(|path| {
            File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        });
        Footprint::settle_allocator();
        let watchdog = Watchdog::start(self.lane);
        let mut warm = None;
        let mut shown = Instant::now();
        for seed in self.first..self.first + self.total {
            if let Some(state) = &state {
                let panicked = self.panicked.len() as u64;
                let words = [seed, self.refused, self.failed, self.loaded, panicked];
                let bytes = words.map(u64::to_le_bytes).concat();
                state.write_all_at(&bytes, 0).expect("the state file is writable");
            }
            watchdog.turn(seed);
            match catch_unwind(AssertUnwindSafe(|| turn(seed))) {
                Ok(Verdict::Refused) => self.refused += 1,
                Ok(Verdict::Failed) => self.failed += 1,
                Ok(Verdict::Loaded) => self.loaded += 1,
                Err(cause) => {
                    if self.panicked.len() < 20 {
                        println!("{}, seed {seed}: {}", self.lane, text_of(cause.as_ref()));
                    }
                    self.panicked.push(seed);
                }
            }
            if seed == self.first + WARM_UP {
                warm = Some(Footprint::now());
            }
            if state.is_some() && shown.elapsed() > Duration::from_millis(500) {
                shown = Instant::now();
                self.show(seed + 1, warm.as_ref());
            }
        }
        watchdog.stop();
        self.show(self.first + self.total, warm.as_ref());
    }

    /// Prints the counts, and updates the growth.
    fn show(&mut self, next: u64, warm: Option<&Footprint>) {
        let now = Footprint::now();
        let warm = warm.unwrap_or(&now);
        self.growth_kib = now.resident_kib - warm.resident_kib;
        let handles = |at: &Footprint| (at.mappings + at.files) as i64;
        self.growth_handles = handles(&now) - handles(warm);
        println!(
            "campaign {} next={next} refused={} failed={} loaded={} panicked={} growth_kib={} \
             growth_handles={} rss_kib={}",
            self.lane,
            self.refused,
            self.failed,
            self.loaded,
            self.panicked.len(),
            self.growth_kib,
            self.growth_handles,
            now.resident_kib
        );
        // A closed pipe is the end of whoever wanted to know.
        let _ = std::io::stdout().flush();
    }

    /// Checks that nothing bad happened.
    ///
    /// # Panics
    ///
    /// A mutant panicked, or memory grew.
    pub fn assert_harmless(&self) {
        let (seeds, count) = (self.panicked.iter().take(20), self.panicked.len());
        let first: Vec<_> = seeds.collect();
        assert!(count == 0, "{count} of {} panicked, first at seeds {first:?}", self.lane);
        let limit = number("LOADER_GROWTH_KIB", GROWTH_LIMIT_KIB) as i64;
        assert!(self.growth_kib < limit, "{} KiB more are resident", self.growth_kib);
        assert!(
            self.growth_handles <= HANDLES_LIMIT,
            "{} mappings and files more",
            self.growth_handles
        );
    }

    /// Checks that the mutants were worth their time.
    ///
    /// # Panics
    ///
    /// Nearly all of many mutants met the same fate.
    pub fn assert_varied(&self) {
        let varied = self.refused > self.total / 4 && self.loaded > self.total / 10;
        let fates = (self.refused, self.failed, self.loaded);
        assert!(self.total < 1000 || varied && self.failed > 0, "{fates:?} test little");
    }
}

/// Reads a number from the environment.
pub fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// Returns the text of a panic.
fn text_of(cause: &(dyn Any + Send)) -> String {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    text.or(cause.downcast_ref::<&str>().copied()).unwrap_or("panic without text").into()
}

/// Ends the process if one turn takes too long.
struct Watchdog {
    /// Seed at work; 0 ends the watch.
    seed: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

impl Watchdog {
    fn start(lane: &'static str) -> Self {
        let seed = Arc::new(AtomicU64::new(u64::MAX));
        let watched = Arc::clone(&seed);
        let thread = std::thread::spawn(move || {
            let (mut last, mut since) = (u64::MAX, Instant::now());
            loop {
                std::thread::park_timeout(Duration::from_millis(200));
                // ORDERING: only the number itself counts, and being late by one turn is harmless.
                match watched.load(Ordering::Relaxed) {
                    0 => return,
                    seed if seed != last => (last, since) = (seed, Instant::now()),
                    seed if since.elapsed() > DEADLINE && seed != u64::MAX => {
                        println!("campaign {lane} hang={seed}");
                        std::process::exit(HANG_EXIT_CODE);
                    }
                    _ => {}
                }
            }
        });
        Self { seed, thread }
    }

    /// Tells which seed is at work.
    fn turn(&self, seed: u64) {
        // ORDERING: as in the loop above.
        self.seed.store(seed, Ordering::Relaxed);
    }

    fn stop(self) {
        self.turn(0);
        self.thread.thread().unpark();
        self.thread.join().expect("the watchdog does not panic");
    }
}

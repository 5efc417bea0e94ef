//! The log transport: defmt frames go into a ring in static memory, from which a host drains them.
//!
//! All AICPU threads share the ring; a spin lock is held while one frame is written. A full ring
//! drops new frames and counts them: logging never waits for the host.

use defmt::Encoder;
use spin::RelaxStrategy;
use spin::mutex::SpinMutex;

use crate::log_ring::LogRing;
use crate::platform::{clock, yield_processor};

/// Bytes of the ring: some thousand records of the usual size.
pub(crate) const RING_BYTES: usize = 64 * 1024;

/// Waits for the lock: its holder may have lost its processor.
struct YieldWhileWaiting;

impl RelaxStrategy for YieldWhileWaiting {
    fn relax() {
        yield_processor();
    }
}

/// What the lock guards.
struct Transport {
    ring: LogRing<RING_BYTES>,
    encoder: Encoder,
}

static TRANSPORT: SpinMutex<Transport, YieldWhileWaiting> =
    SpinMutex::new(Transport { ring: LogRing::new(), encoder: Encoder::new() });

defmt::timestamp!("{=u64:us}", clock::microseconds());

#[defmt::global_logger]
struct RingLogger;

impl RingLogger {
    /// Runs `act` on what the lock guards.
    ///
    /// # Safety
    ///
    /// This thread has called `acquire` and not yet `release`.
    unsafe fn with_frame(act: impl FnOnce(&mut Encoder, &mut LogRing<RING_BYTES>)) {
        // SAFETY: this thread holds the lock whose guard `acquire` forgot.
        let transport = unsafe { &mut *TRANSPORT.as_mut_ptr() };
        act(&mut transport.encoder, &mut transport.ring);
    }
}

// SAFETY: `acquire` takes a lock that only `release` gives back, so frames never mix.
unsafe impl defmt::Logger for RingLogger {
    fn acquire() {
        core::mem::forget(TRANSPORT.lock());
        // SAFETY: acquired above.
        unsafe {
            Self::with_frame(|encoder, ring| encoder.start_frame(|bytes| ring.write(bytes)));
        }
    }

    unsafe fn flush() {
        // The host drains when it wants to; to wait for it could be forever.
    }

    unsafe fn release() {
        // SAFETY: the caller has acquired the logger.
        unsafe {
            Self::with_frame(|encoder, ring| {
                encoder.end_frame(|bytes| ring.write(bytes));
                ring.finish_frame();
            });
        }
        // SAFETY: this thread holds the lock whose guard `acquire` forgot.
        unsafe { TRANSPORT.force_unlock() };
    }

    unsafe fn write(bytes: &[u8]) {
        // SAFETY: the caller has acquired the logger.
        unsafe {
            Self::with_frame(|encoder, ring| encoder.write(bytes, |encoded| ring.write(encoded)));
        }
    }
}

/// Moves finished frames to `to` and returns how many bytes.
pub(crate) fn drain(to: &mut [u8]) -> usize {
    TRANSPORT.lock().ring.drain(to)
}

/// Frames dropped since the start.
pub(crate) fn dropped() -> u64 {
    TRANSPORT.lock().ring.dropped()
}

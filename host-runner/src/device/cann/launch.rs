//! Starting the AICPU program and the cores, and waiting for both.
//!
//! ```text
//!  open: DeviceArgs, image ─▶ launch "…ServerInit" on 1 thread: the server loads the image ─▶ wait
//!  run:  records ─▶ launch "…Server" on all threads ─▶ launch the cores ─▶ wait for both
//!  load: record  ─▶ launch "…Server" on 1 thread ─▶ wait
//! ```
//!
//! # Time limits
//!
//! Whoever knows most speaks first: the scheduler of the executor, which can say what waits for what; then
//! the cores' limit for one kernel, which for a run is all of it; then the stream, of which only is known
//! that it is not done. So they are in this order, [`Limits`], as the reference's defaults are (10, 45 and
//! 50 seconds, needs §4.2).
//!
//! That holds for a run in which nothing moves from its start on: the scheduler counts from the last progress, the
//! cores' limit from when they were started. A run that stops later may be ended by the cores' limit first.

use std::cell::Cell;
use std::ffi::CStr;
use std::sync::Arc;
use std::time::Duration;

use protocol::{DeviceAddr, DeviceArgs};
use zerocopy::IntoBytes;

use super::api::{AicpuCall, CoreProgram};
use super::chip::{CannChip, LaunchAddresses};
use super::error::{CallError, CannError};
use super::image::CannConfig;
use super::memory::Block;
use super::session::{Session, Stream};
use crate::device::log_area::LogDecoder;
use crate::device::{Launch, MemoryError};
use crate::log;

/// Operator name of every launch (spec callable §3.8).
const OPERATOR: &CStr = c"AST_DYN_AICPU";
/// Whose kernels are launched: the driver's server, which calls the exports of the image.
const SERVER: &[u8] = b"libaicpu_extend_kernels.so";
/// Loads the image at the first launch of a process, and sets log thresholds.
const INIT_KERNEL: &[u8] = b"DynTileFwkKernelServerInit";
/// Calls the image for a run record.
const MAIN_KERNEL: &[u8] = b"DynTileFwkKernelServer";
/// Bytes of a name in a launch record, with a NUL at least at its end.
const NAME_BYTES: usize = 32;

/// How long the first launch may take: the server writes the image to a file and opens it.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How long the executor waits for cores to leave, before it reports why it has sent them away.
pub const LEAVING: Duration = Duration::from_secs(1);

/// The time limits of a run, in the order in which they must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long no task may make progress.
    pub scheduler: Duration,
    /// How long a kernel may keep a core.
    pub op: Duration,
    /// How long the streams may take.
    pub stream: Duration,
}

impl Limits {
    /// What follows from the settings of a run.
    pub fn of(launch: &Launch) -> Self {
        let op = launch.timeout.max(Duration::from_millis(2));
        // Where there is an orchestration, the scheduler gives it an eighth more to speak first; then cores have to
        // leave. Of a run that is hardly longer than that, the executor has half: if its cores stay, the host
        // is first, and if they leave, it is.
        let speaking = op.saturating_sub(LEAVING);
        let longest = (speaking - speaking / 9).max(op / 2);
        let scheduler = match launch.stall_timeout {
            // The executor's own default may be longer than the run.
            Duration::ZERO => longest,
            given => given.min(longest),
        };
        let stream = op.saturating_add(launch.grace).max(op + Duration::from_millis(1));
        Self { scheduler, op, stream }
    }
}

/// What every launch of a session has in common.
#[derive(Debug)]
pub struct Launcher<C: CannChip> {
    /// For the AICPU.
    pub aicpu: Stream,
    /// For the cores.
    pub cores: Stream,
    addresses: LaunchAddresses,
    /// What is to be logged, as the AICPU was told last.
    threshold: Cell<Option<(u32, u32)>>,
    /// Reads what the AICPU program logs, if its texts are there.
    decoder: Option<LogDecoder>,
    /// What the addresses name; kept as long as they are used.
    _image: Block,
    _device_args: Block,
    _registers: Block,
    /// The cores' copy of the launch record.
    core_record: Block,
    program: CoreProgram,
    session: Arc<Session>,
    chip: std::marker::PhantomData<C>,
}

impl<C: CannChip> Launcher<C> {
    /// Brings the programs to the device and has the server load the AICPU's.
    ///
    /// # Errors
    ///
    /// [`CannError`]; nothing stays behind but the registration of the cores' program, which cannot be taken
    /// back.
    pub fn start(session: &Arc<Session>, config: &CannConfig) -> Result<Self, StartError> {
        let aicpu_program = config.aicpu_program(C::CHIP)?;
        let core_program = config.core_program(C::CHIP)?;
        session.check_program(&aicpu_program)?;
        let aicpu = Stream::create(session, "making the stream of the AICPU")?;
        let cores = Stream::create(session, "making the stream of the cores")?;
        let program = session.api()?.register_cores(&core_program.bytes)?;

        let image = filled(session, &aicpu_program.bytes)?;
        let so_len = aicpu_program.bytes.len() as u64;
        let device_args = DeviceArgs { so_bin: image.address(), so_len, ..DeviceArgs::default() };
        let device_args = filled(session, device_args.as_bytes())?;
        let api = session.api()?;
        let blocks = C::register_blocks(api, session.device())?;
        let registers = filled(session, blocks.as_bytes())?;
        let addresses = LaunchAddresses {
            device_args: device_args.address(),
            runtime: DeviceAddr::new(0),
            registers: registers.address(),
            core_control: C::core_control(api)?,
            log_level: 0,
            log_verbosity: 0,
        };
        let core_record = Block::allocate(session, size_of::<C::KernelArgs>())?;
        let decoder = LogDecoder::beside(&aicpu_program.path)
            .inspect_err(|error| tracing::warn!(%error, "what the AICPU logs cannot be read"));
        let decoder = decoder.ok();
        let launcher = Self {
            aicpu,
            cores,
            addresses,
            threshold: Cell::new(None),
            decoder,
            _image: image,
            _device_args: device_args,
            _registers: registers,
            core_record,
            program,
            session: Arc::clone(session),
            chip: std::marker::PhantomData,
        };
        let doing = "having the AICPU program loaded";
        launcher.tell_threshold(doing)?;
        session.note_program(&aicpu_program);
        let api = session.api()?;
        if let Err(error) = api.synchronize(launcher.aicpu.handle(), START_LIMIT, doing) {
            // What was waited for in vain may never end; nothing of it can be taken back.
            session.lose();
            return Err(error.into());
        }
        Ok(launcher)
    }

    /// Tells the AICPU what is to be logged, if that is not what it was told last.
    fn tell_threshold(&self, doing: &'static str) -> Result<(), CallError> {
        let threshold = Some(log::threshold());
        if self.threshold.get() == threshold {
            return Ok(());
        }
        self.launch(INIT_KERNEL, 1, DeviceAddr::new(0), doing)?;
        self.threshold.set(threshold);
        Ok(())
    }

    /// Reads what the AICPU program logs, if its texts are there.
    pub fn log_decoder(&self) -> Option<LogDecoder> {
        self.decoder.clone()
    }

    /// Has so many AICPU threads do what a run record says.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn launch_aicpu(
        &self,
        threads: u32,
        runtime: DeviceAddr,
        doing: &'static str,
    ) -> Result<(), CallError> {
        self.tell_threshold(doing)?;
        self.launch(MAIN_KERNEL, threads, runtime, doing)
    }

    /// Starts a kernel of the server on so many AICPU threads, for a run record.
    fn launch(
        &self,
        kernel: &[u8],
        threads: u32,
        runtime: DeviceAddr,
        doing: &'static str,
    ) -> Result<(), CallError> {
        let (log_level, log_verbosity) = log::threshold();
        let addresses = LaunchAddresses { runtime, log_level, log_verbosity, ..self.addresses };
        let record = C::launch_record(&addresses);
        let mut args = record.as_bytes().to_vec();
        let offsets = [kernel, SERVER, b""].map(|text| {
            let offset = args.len() as u32;
            args.extend_from_slice(&name(text));
            offset
        });
        let [kernel_name_offset, so_name_offset, _operator] = offsets;
        let call = AicpuCall {
            operator: OPERATOR,
            args: &args,
            kernel_name_offset,
            so_name_offset,
            threads,
        };
        self.session.api()?.launch_aicpu(&call, self.aicpu.handle(), doing)
    }

    /// Writes the cores' copy of the launch record, for this run record.
    ///
    /// # Errors
    ///
    /// As [`Block::copy_in`].
    pub fn write_core_record(&self, runtime: DeviceAddr) -> Result<(), MemoryError> {
        let record = C::launch_record(&LaunchAddresses { runtime, ..self.addresses });
        self.core_record.copy_in(0, record.as_bytes())
    }

    /// Starts the cores of a run.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn launch_cores(&self, clusters: u32, runtime: DeviceAddr) -> Result<(), CallError> {
        let argument = C::core_argument(self.core_record.address(), runtime).raw();
        let api = self.session.api()?;
        api.launch_cores(self.program, clusters, argument, self.cores.handle())
    }

    /// Makes a stream anew: after a failure, nothing more can be put into the old one.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn renew_streams(&mut self) -> Result<(), CallError> {
        self.aicpu = Stream::create(&self.session, "making the stream of the AICPU anew")?;
        self.cores = Stream::create(&self.session, "making the stream of the cores anew")?;
        Ok(())
    }
}

/// Why a device could not be started.
#[derive(Debug)]
pub enum StartError {
    /// A program, or a function of the vendor.
    Cann(CannError),
    /// Memory of the device.
    Memory(MemoryError),
}

impl From<CannError> for StartError {
    fn from(error: CannError) -> Self {
        Self::Cann(error)
    }
}

impl From<CallError> for StartError {
    fn from(error: CallError) -> Self {
        Self::Cann(error.into())
    }
}

impl From<MemoryError> for StartError {
    fn from(error: MemoryError) -> Self {
        Self::Memory(error)
    }
}

/// Device memory with these bytes.
fn filled(session: &Arc<Session>, bytes: &[u8]) -> Result<Block, MemoryError> {
    let block = Block::allocate(session, bytes.len())?;
    block.copy_in(0, bytes)?;
    Ok(block)
}

/// A name as a launch record has it.
fn name(text: &[u8]) -> [u8; NAME_BYTES] {
    let mut name = [0; NAME_BYTES];
    for (place, byte) in name.iter_mut().zip(text) {
        *place = *byte;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{RingConfig, Work};

    fn launch(stall_ms: u64, timeout_ms: u64, grace_ms: u64) -> Launch {
        Launch {
            clusters: 1,
            aicpu_threads: 1,
            work: Work::Orchestration(RingConfig::default()),
            stall_timeout: Duration::from_millis(stall_ms),
            timeout: Duration::from_millis(timeout_ms),
            grace: Duration::from_millis(grace_ms),
        }
    }

    #[test]
    fn whoever_knows_most_speaks_first_whatever_the_settings() {
        for (stall, timeout, grace) in
            [(10_000, 45_000, 5_000), (52_500, 60_000, 5_000), (1000, 10, 0), (0, 0, 0), (5, 5, 5)]
        {
            let limits = Limits::of(&launch(stall, timeout, grace));
            // As the executor waits for progress where there is an orchestration.
            let stalled = limits.scheduler + limits.scheduler / 8;
            assert!(!limits.scheduler.is_zero(), "{limits:?}");
            assert!(stalled < limits.op && limits.op < limits.stream, "{limits:?}");
            if limits.op >= Duration::from_millis(2300) {
                assert!(stalled + LEAVING <= limits.op, "{limits:?}");
            }
        }
        let limits = Limits::of(&launch(10_000, 45_000, 5_000));
        let seconds = [limits.scheduler, limits.op, limits.stream].map(|limit| limit.as_secs());
        assert_eq!(seconds, [10, 45, 50]);
    }

    #[test]
    fn names_fit_with_their_end() {
        for text in [SERVER, INIT_KERNEL, MAIN_KERNEL] {
            let name = name(text);
            assert_eq!((&name[..text.len()], name[text.len()]), (text, 0));
        }
    }
}

//! Log frames of the firmware name their texts by addresses: they are read wherever the image was loaded, and
//! read as errors where the host is told of another place.

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::convert::Infallible;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use goblin::elf::Elf;
use goblin::elf::program_header::PT_LOAD;
use host_runner::device::log_area::{FrameError, HostLogArea, LogDecoder, LogMemory, LogProblem};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use protocol::{
    DeviceAddr, LogArea, RecordOperation, RuntimeA2a3, RuntimeExtension, RuntimeRecord, StatusCode,
};
use rustix::fs::{MemfdFlags, memfd_create};
use stand_in::{Chip, Machine};
use zerocopy::{FromZeros, IntoBytes};

/// Pages of this machine, and what the images are aligned to.
const PAGE: u64 = 4096;

/// Memory of an area, in this process as the simulator host's is.
struct Memory(Vec<[u64; 8]>);

impl Memory {
    fn new() -> Self {
        // One more, to align the start.
        Self(vec![[0; 8]; (1 << 20) / 64 + 1])
    }

    fn start(&mut self) -> u64 {
        (self.0.as_mut_ptr().expose_provenance() as u64).next_multiple_of(64)
    }
}

impl LogMemory for Memory {
    type Error = Infallible;

    fn copy_out(&mut self, to: &mut [u8], from: DeviceAddr) -> Result<(), Infallible> {
        let offset = (from.raw() - self.0.as_ptr().expose_provenance() as u64) as usize;
        to.copy_from_slice(&self.0.as_bytes()[offset..offset + to.len()]);
        Ok(())
    }

    fn copy_in(&mut self, to: DeviceAddr, from: &[u8]) -> Result<(), Infallible> {
        let offset = (to.raw() - self.0.as_ptr().expose_provenance() as u64) as usize;
        self.0.as_mut_bytes()[offset..offset + from.len()].copy_from_slice(from);
        Ok(())
    }
}

/// A copy of an image that may be loaded at any page. As linked, a loader takes 64 KiB at a time, and the system places
/// large files at multiples of 2 MiB: at such addresses the low bits are as in the file.
fn loadable_at_any_page(image: &Path) -> File {
    let mut bytes = std::fs::read(image).unwrap();
    let elf = Elf::parse(&bytes).unwrap();
    let (table, entry) = (elf.header.e_phoff as usize, usize::from(elf.header.e_phentsize));
    let segments = elf.program_headers.iter().enumerate();
    let segments: Vec<usize> =
        segments.filter(|(_, it)| it.p_type == PT_LOAD).map(|(index, _)| index).collect();
    for index in segments {
        let alignment = table + index * entry + 48;
        bytes[alignment..alignment + 8].copy_from_slice(&PAGE.to_le_bytes());
    }
    let mut copy = File::from(memfd_create("libaicpu.so", MemfdFlags::CLOEXEC).unwrap());
    copy.write_all(&bytes).unwrap();
    copy
}

type Execute = unsafe extern "C" fn(*const RuntimeA2a3) -> i32;

/// Has an image refuse a load; what it says, and the area's header.
fn refuse_a_load(library: &Library, memory: &mut Memory) -> (HostLogArea, LogArea) {
    let area = HostLogArea::new(DeviceAddr::new(memory.start()));
    let Ok(()) = area.format(memory);
    let image = b"no shared object";
    let mut record = Box::new(RuntimeA2a3::new_zeroed());
    let body = record.body_mut();
    body.sche_cpu_num = 1;
    body.active_callable_id = 63;
    body.dev_orch_so_addr = DeviceAddr::new(image.as_ptr().expose_provenance() as u64);
    body.dev_orch_so_size = image.len() as u64;
    let extension = RuntimeExtension {
        operation: RecordOperation::Load.raw(),
        run_number: 1,
        log_area: area.address(),
        ..RuntimeExtension::default()
    };
    body.extension = extension.sealed();
    // SAFETY: the type is that of the firmware's entry.
    let execute = *unsafe { library.get::<Execute>(b"aicpu_execute") }.unwrap();
    // SAFETY: the record, the image and the area stay until it returns.
    assert_eq!(unsafe { execute(&raw const *record) }, -StatusCode::LoadFailed.code());
    let mut header = LogArea::new_zeroed();
    let Ok(()) = memory.copy_out(header.as_mut_bytes(), area.address());
    (area, header)
}

#[test]
fn frames_are_read_wherever_the_image_lies_and_nowhere_else() {
    let image = match Machine::Native.image(Chip::A2a3, "sim") {
        Ok(image) => image,
        Err(missing) => return println!("skipped: {missing}"),
    };
    let decoder = LogDecoder::beside(&image).unwrap();
    assert!(decoder.statements() > 4);
    let copies: Vec<File> = (0..4).map(|_| loadable_at_any_page(&image)).collect();
    // Side by side, so that each is elsewhere.
    let libraries: Vec<_> = copies
        .iter()
        .map(|copy| {
            let path = format!("/proc/self/fd/{}", copy.as_raw_fd());
            // SAFETY: the image has no constructors.
            unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.unwrap()
        })
        .collect();
    let mut biases = Vec::new();
    for library in &libraries {
        let mut memory = Memory::new();
        let (mut area, header) = refuse_a_load(library, &mut memory);
        assert_eq!(header.build_id, decoder.build_id());
        assert!(header.image_bias.is_multiple_of(PAGE));
        biases.push(header.image_bias);
        let Ok(collected) = area.collect(&mut memory, Some(&decoder), 1);
        assert_eq!(collected.problems, []);
        let [record] = &collected.records[..] else { panic!("{:?}", collected.records) };
        assert!(record.text.starts_with("an operation failed with code "), "{record:?}");
        let place = record.place.as_ref().unwrap();
        assert!(place.file.ends_with("aicpu-executor/src/executor/operation.rs") && place.line > 1);
        assert_eq!((record.callable, record.aicpu_thread), (Some(63), None));

        // Told of another place, the host finds no text there.
        let mut memory = Memory::new();
        let (mut area, mut header) = refuse_a_load(library, &mut memory);
        header.image_bias += PAGE;
        let Ok(()) = memory.copy_in(area.address(), header.as_bytes());
        let Ok(collected) = area.collect(&mut memory, Some(&decoder), 1);
        assert_eq!(collected.records, []);
        let [LogProblem::Frame { error: FrameError::UnknownText { .. }, .. }] =
            collected.problems[..]
        else {
            panic!("{:?}", collected.problems)
        };
    }
    let low: std::collections::BTreeSet<_> = biases.iter().map(|bias| bias % 0x1_0000).collect();
    assert!(low.len() > 1, "the low bits differ, or the test shows nothing: {biases:x?}");
}

#[test]
fn what_is_no_twin_is_refused_with_what_to_do() {
    let image = match Machine::Native.image(Chip::A2a3, "sim") {
        Ok(image) => image,
        Err(missing) => return println!("skipped: {missing}"),
    };
    let refused = |bytes: &[u8]| LogDecoder::new(bytes).unwrap_err().to_string();
    let stripped = std::fs::read(&image).unwrap();
    assert!(refused(&stripped).contains("libaicpu.unstripped.so"), "{}", refused(&stripped));
    assert!(refused(b"text").contains("no ELF file"), "{}", refused(b"text"));
    let missing = LogDecoder::beside(Path::new("/no/such/libaicpu.so")).unwrap_err().to_string();
    assert!(missing.contains("/no/such/libaicpu.unstripped.so"), "{missing}");
    // Whatever is cut off, there is an answer.
    let twin = std::fs::read(image.with_extension("unstripped.so")).unwrap();
    for part in 1..40 {
        let _whatever = LogDecoder::new(&twin[..twin.len() / 40 * part]);
    }
}

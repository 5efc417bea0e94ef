//! What a launch names must be there.

use std::ptr::{null, null_mut};

use protocol::{DeviceAddr, KernelArgsA2a3};
use zerocopy::IntoBytes;

use super::*;
use crate::exports::tests::{allocate, assert_one, close, open};
use crate::exports::{rtFree, rtStreamCreate, rtStreamDestroy};

/// Bytes of a name in a launch record.
const NAME: usize = 32;

fn stream() -> *mut c_void {
    let mut stream = null_mut();
    assert_eq!(rtStreamCreate(&raw mut stream, 0), OK);
    stream
}

/// Launches the kernel that loads an image, for this launch record.
fn launch(record: &KernelArgsA2a3, stream: *mut c_void) -> i32 {
    let mut args = record.as_bytes().to_vec();
    let kernel_name = args.len() as u32;
    for text in [&b"DynTileFwkKernelServerInit"[..], b"libaicpu_extend_kernels.so"] {
        let mut name = [0; NAME];
        name[..text.len()].copy_from_slice(text);
        args.extend_from_slice(&name);
    }
    let arguments = AicpuArguments {
        args: args.as_ptr(),
        _host_inputs: null(),
        _offsets: null(),
        bytes: args.len() as u32,
        _counts: [0; 2],
        so_name: kernel_name + NAME as u32,
        kernel_name,
        is_on_device: 0,
    };
    let arguments = &raw const arguments;
    rtAicpuKernelLaunchExWithArgs(AICPU_KFC, null(), 1, arguments, null_mut(), stream, 0)
}

#[test]
fn a_launch_whose_records_are_not_allocated_is_noticed() {
    let _turn = open();
    let (block, stream) = (allocate(4096), stream());
    let there = DeviceAddr::new(block.addr() as u64);
    let gone = DeviceAddr::new(block.addr() as u64 + 4096);
    let whole = KernelArgsA2a3 { device_args: there, regs: there, ..KernelArgsA2a3::default() };
    for (record, part) in [
        (KernelArgsA2a3 { device_args: gone, ..whole }, "DeviceArgs of"),
        (KernelArgsA2a3 { regs: gone, ..whole }, "a table of registers"),
        (KernelArgsA2a3 { runtime_args: gone, ..whole }, "a run record of"),
        // What fresh memory holds names no image.
        (whole, "an image of"),
    ] {
        assert_eq!(launch(&record, stream), BAD_ARGUMENT);
        assert_one(&std::mem::take(&mut books().violations), part);
    }
    rtStreamDestroy(stream);
    rtFree(block);
    assert_eq!(close(), Vec::<String>::new());
}

#[test]
fn cores_are_started_with_a_program_that_was_registered() {
    let _turn = open();
    let stream = stream();
    let argument = 0;
    let arguments = CoreArguments { args: &raw const argument, _host_inputs: null(), bytes: 8 };
    let registered = books().programs;
    for program in [0, registered + 1] {
        let handle = std::ptr::without_provenance_mut(program as usize);
        let arguments = &raw const arguments;
        let code = rtKernelLaunchWithHandleV2(handle, 0, 1, arguments, null_mut(), stream, null());
        assert_eq!(code, BAD_ARGUMENT);
        assert_one(&std::mem::take(&mut books().violations), "of no program");
    }
    rtStreamDestroy(stream);
    assert_eq!(close(), Vec::<String>::new());
}

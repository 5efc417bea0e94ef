//! The entries' instructions for the System V ABI of x86-64 (System V AMD64 psABI §3.2.3, §3.5.7).
//!
//! A file per machine because nothing but the idea is common. The frame, from the stack pointer up:
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 48 | `rdi rsi rdx rcx r8 r9`, register save area |
//! | 48 | 128 | `xmm0`–`xmm7`, rest of it |
//! | 176 | 24 | `va_list`: gp_offset, fp_offset, overflow_arg_area, reg_save_area |
//! | 200 | 8 | return address |
//! | 208 | | the caller's arguments in memory: overflow area |
//!
//! The stack pointer is 8 past a multiple of 16 at a function's entry, so a frame of 200 bytes
//! aligns it for the `movaps` stores and for the call. `al` tells how many vector registers the
//! caller used at most; if none, they are not touched (code without SSE calls this way). Fixed
//! arguments stay in their registers, and `gp_offset` starts after them.

use super::{FatalHandler, LeveledLogHandler, LogHandler};
use core::arch::naked_asm;

/// The body of an entry: `$fixed` fixed arguments, `$list` the register of the argument after them.
macro_rules! entry {
    ($fixed:literal, $list:literal, $handler:path) => {
        naked_asm!(
            ".cfi_startproc",
            "endbr64",
            "sub rsp, 200",
            ".cfi_adjust_cfa_offset 200",
            "mov qword ptr [rsp], rdi",
            "mov qword ptr [rsp + 8], rsi",
            "mov qword ptr [rsp + 16], rdx",
            "mov qword ptr [rsp + 24], rcx",
            "mov qword ptr [rsp + 32], r8",
            "mov qword ptr [rsp + 40], r9",
            "test al, al",
            "je 2f",
            "movaps xmmword ptr [rsp + 48], xmm0",
            "movaps xmmword ptr [rsp + 64], xmm1",
            "movaps xmmword ptr [rsp + 80], xmm2",
            "movaps xmmword ptr [rsp + 96], xmm3",
            "movaps xmmword ptr [rsp + 112], xmm4",
            "movaps xmmword ptr [rsp + 128], xmm5",
            "movaps xmmword ptr [rsp + 144], xmm6",
            "movaps xmmword ptr [rsp + 160], xmm7",
            "2:",
            "mov dword ptr [rsp + 176], {fixed_bytes}",
            "mov dword ptr [rsp + 180], 48",
            "lea rax, [rsp + 208]",
            "mov qword ptr [rsp + 184], rax",
            "mov qword ptr [rsp + 192], rsp",
            concat!("lea ", $list, ", [rsp + 176]"),
            "call {handler}",
            "add rsp, 200",
            ".cfi_adjust_cfa_offset -200",
            "ret",
            ".cfi_endproc",
            fixed_bytes = const 8 * $fixed,
            handler = sym $handler,
        )
    };
}

/// `void (const char *func, const char *fmt, ...)`
#[unsafe(naked)]
pub(super) unsafe extern "C" fn log<H: LogHandler>() {
    entry!(2, "rdx", H::log)
}

/// `void (const char *func, int v, const char *fmt, ...)`
#[unsafe(naked)]
pub(super) unsafe extern "C" fn leveled_log<H: LeveledLogHandler>() {
    entry!(3, "rcx", H::log)
}

/// `void (PTO2Runtime *rt, int32_t code, const char *func, const char *fmt, ...)`
#[unsafe(naked)]
pub(super) unsafe extern "C" fn fatal<H: FatalHandler>() {
    entry!(4, "r8", H::report)
}

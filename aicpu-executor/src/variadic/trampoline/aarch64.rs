//! The entries' instructions for AArch64 (AAPCS64, "Parameter passing" and "The va_list type").
//!
//! A file per machine because nothing but the idea is common. The frame, from the stack pointer up:
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 16 | frame record: `x29`, `x30` |
//! | 16 | 64 | `x0`–`x7`; `gr_top` is their end |
//! | 80 | 128 | `q0`–`q7`; `vr_top` is their end |
//! | 208 | 32 | `va_list`: stack, gr_top, vr_top, gr_offs, vr_offs |
//! | 240 | | the caller's arguments in memory |
//!
//! Fixed arguments stay in their registers, and `gr_offs` starts after them. Callers do not say
//! how many vector registers they used, so all are saved. `hint #34` is `bti c`, a landing pad for
//! indirect calls that older cores take as a no-op.

use super::{FatalHandler, LeveledLogHandler, LogHandler};
use core::arch::naked_asm;

/// The body of an entry: `$fixed` fixed arguments, `$list` the register of the argument after them.
macro_rules! entry {
    ($fixed:literal, $list:literal, $handler:path) => {
        naked_asm!(
            ".cfi_startproc",
            "hint #34",
            "stp x29, x30, [sp, #-240]!",
            ".cfi_def_cfa_offset 240",
            ".cfi_offset x29, -240",
            ".cfi_offset x30, -232",
            "mov x29, sp",
            "stp x0, x1, [sp, #16]",
            "stp x2, x3, [sp, #32]",
            "stp x4, x5, [sp, #48]",
            "stp x6, x7, [sp, #64]",
            "stp q0, q1, [sp, #80]",
            "stp q2, q3, [sp, #112]",
            "stp q4, q5, [sp, #144]",
            "stp q6, q7, [sp, #176]",
            "add x9, sp, #240",
            "add x10, sp, #80",
            "stp x9, x10, [sp, #208]",
            "add x9, sp, #208",
            "str x9, [sp, #224]",
            "mov w9, #{general_offset}",
            "mov w10, #-128",
            "stp w9, w10, [sp, #232]",
            concat!("add ", $list, ", sp, #208"),
            "bl {handler}",
            "ldp x29, x30, [sp], #240",
            ".cfi_def_cfa_offset 0",
            ".cfi_restore x29",
            ".cfi_restore x30",
            "ret",
            ".cfi_endproc",
            general_offset = const -8 * (8 - $fixed),
            handler = sym $handler,
        )
    };
}

/// `void (const char *func, const char *fmt, ...)`
#[unsafe(naked)]
pub(super) unsafe extern "C" fn log<H: LogHandler>() {
    entry!(2, "x2", H::log)
}

/// `void (const char *func, int v, const char *fmt, ...)`
#[unsafe(naked)]
pub(super) unsafe extern "C" fn leveled_log<H: LeveledLogHandler>() {
    entry!(3, "x3", H::log)
}

/// `void (PTO2Runtime *rt, int32_t code, const char *func, const char *fmt, ...)`
#[unsafe(naked)]
pub(super) unsafe extern "C" fn fatal<H: FatalHandler>() {
    entry!(4, "x4", H::report)
}

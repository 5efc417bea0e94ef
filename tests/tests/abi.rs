//! The C++ headers against the published layout tables, for both chips.
//!
//! A source file is made from the tables, with a `static_assert` for each size, alignment, offset
//! and value, and compiled. So an orchestration or kernel that was compiled with the reference's
//! headers and one compiled with ours have the same records. (`layout.rs` does the same for the Rust
//! side; the headers' own assertions repeat the numbers by hand.)

#![allow(clippy::unwrap_used, reason = "a test may panic, outside its own function too")]

use std::fmt::Write as _;

use protocol::ChipName;
use tempfile::tempdir;

#[path = "layout/table.rs"]
mod table;
#[path = "sdk/toolchain.rs"]
#[allow(dead_code, reason = "shared with the tests of the SDK")]
mod toolchain;

use table::{Table, tables};
use toolchain::Build;

/// Headers that together declare everything that compiled user code shares with the runtime.
const HEADERS: &str = "\
#include <cstddef>
#include \"pto_orchestration_api.h\"
#include \"callable_protocol.h\"
#include \"platform_comm/comm_context.h\"
#include \"simpler/dispatch_payload.h\"
";

const DEVICE: &str = "between host and AICPU program";
const PRIVATE: &str = "inside the AICPU program";
const PROFILING: &str = "read by profiling tools";
const BLOB: &str = "the bytes of a registered callable, which only hosts make";

/// Records that user code does not see, with the reason.
const NOT_IN_HEADERS: &[(&str, &str)] = &[
    ("Runtime", DEVICE),
    ("Handshake", DEVICE),
    ("Task", DEVICE),
    ("TensorPair", DEVICE),
    ("HostApi", DEVICE),
    ("KernelArgs", DEVICE),
    ("PTO2SharedMemoryHeader", DEVICE),
    ("PTO2SharedMemoryRingHeader", DEVICE),
    ("PTO2RingFlowControl", DEVICE),
    ("ActiveMask", PRIVATE),
    ("PTO2TaskDescriptor", PRIVATE),
    ("PTO2TaskPayload", PRIVATE),
    ("PTO2TaskSlotState", PRIVATE),
    ("CoreCallable", BLOB),
    ("ChipCallable", BLOB),
    ("L2PerfRecord", PROFILING),
    ("L2PerfBuffer", PROFILING),
    ("L2PerfBufferState", PROFILING),
    ("L2PerfFreeQueue", PROFILING),
    ("L2PerfDataHeader", PROFILING),
    ("ReadyQueueEntry", PROFILING),
    ("AicpuPhaseHeader", PROFILING),
    ("AicpuPhaseRecord", PROFILING),
    ("AicpuOrchSummary", PROFILING),
    ("PhaseBuffer", PROFILING),
    ("PmuRecord", PROFILING),
    ("PmuBuffer", PROFILING),
    ("PmuBufferState", PROFILING),
    ("PmuFreeQueue", PROFILING),
    ("PmuDataHeader", PROFILING),
    ("PmuReadyQueueEntry", PROFILING),
    ("TensorDumpRecord", PROFILING),
    ("DumpMetaBuffer", PROFILING),
    ("DumpBufferState", PROFILING),
    ("DumpFreeQueue", PROFILING),
    ("DumpDataHeader", PROFILING),
    ("DumpReadyQueueEntry", PROFILING),
];

/// Enumerations that user code does not see, with the reason.
const ENUMS_NOT_IN_HEADERS: &[(&str, &str)] = &[
    ("CoreType", DEVICE),
    ("RegId", PRIVATE),
    ("PTO2ResourceShape", PRIVATE),
    ("PTO2SubtaskSlot", PRIVATE),
    ("PmuEventType", PROFILING),
    ("TensorDumpRole", PROFILING),
    ("TensorDumpStage", PROFILING),
    ("AicpuPhaseId", PROFILING),
];

/// The base class of the reference's `Arg`, which is a part of ours.
const ARG_BASE: &str = "TaskArgsTpl<TensorRef, long unsigned int, 16, 32, TensorArgType>";

/// Fields that our headers spell differently: chip a5's name of the number of blocks.
const SPELLED: &[(&str, &str)] = &[("core_num_", "block_num_")];

/// One assertion: what it is about, its C++ expression, and the number it must have.
struct Assertion {
    about: String,
    expression: String,
    number: i64,
}

/// Everything that a table says of what is in the headers.
fn assertions(table: &Table) -> Vec<Assertion> {
    let mut all = Vec::new();
    let mut add = |about: String, expression: String, number: i64| {
        all.push(Assertion { about, expression, number });
    };
    let number = |value: usize| i64::try_from(value).unwrap();
    let is_shared = |name: &str| NOT_IN_HEADERS.iter().all(|(other, _)| *other != name);
    for (name, record) in table.structs.iter().filter(|(name, _)| is_shared(name)) {
        let of = if name == ARG_BASE { "Arg" } else { name };
        if name != ARG_BASE {
            add(format!("{name}: size"), format!("sizeof({of})"), number(record.size));
        }
        if let Some(align) = record.align {
            add(format!("{name}: alignment"), format!("alignof({of})"), number(align));
        }
        // Bytes of a base class are no field; those of ARG_BASE have a record of their own.
        for field in record.fields.iter().filter(|field| field.name != "<base>") {
            let spelled = SPELLED.iter().find(|(theirs, _)| *theirs == field.name);
            let ours = spelled.map_or(field.name.as_str(), |(_, ours)| ours);
            let place = format!("{of}::{}", field.name);
            let offset = format!("offsetof({of}, {ours})");
            add(format!("{place}: offset"), offset, number(field.offset));
            add(format!("{place}: size"), format!("sizeof({of}::{ours})"), number(field.size));
        }
    }
    let is_shared = |name: &str| ENUMS_NOT_IN_HEADERS.iter().all(|(other, _)| *other != name);
    for (name, enumeration) in table.enums.iter().filter(|(name, _)| is_shared(name)) {
        add(format!("{name}: size"), format!("sizeof({name})"), number(enumeration.size));
        for (value, expected) in &enumeration.values {
            let expression = format!("static_cast<int64_t>({name}::{value})");
            add(format!("{name}::{value}: number"), expression, *expected);
        }
    }
    // An operation is called by its place in the table.
    let ops = &table.structs["PTO2RuntimeOps"].fields;
    for (index, field) in ops.iter().enumerate() {
        let expression = format!("offsetof(PTO2RuntimeOps, {}) / sizeof(void *)", field.name);
        add(format!("operation {index}: {}", field.name), expression, number(index));
    }
    all
}

/// A source file with these assertions, each with its number changed by `error`.
fn source(assertions: &[Assertion], error: i64) -> String {
    let mut text = HEADERS.to_owned();
    for Assertion { about, expression, number } in assertions {
        let number = number + error;
        writeln!(text, "static_assert({expression} == {number}, \"{about}.\");").unwrap();
    }
    text
}

/// Tables of the runtime that user code here is compiled for.
fn trb_tables() -> impl Iterator<Item = Table> {
    tables().into_iter().filter(|table| table.variant.ends_with("-trb"))
}

fn check(table: &Table, text: &str, flags: &[&str]) -> toolchain::Finished {
    let folder = tempdir().unwrap();
    let file = folder.path().join("layout.cpp");
    std::fs::write(&file, text).unwrap();
    let chip: &[&str] = match table.chip() {
        ChipName::A5 => &["-DSIMPLER_CHIP_A5"],
        ChipName::A2a3 => &[],
    };
    // The reference takes offsets of records with bases, which is no standard C++.
    let build = Build::orchestration("c++17").flags(chip).flags(&["-Wno-invalid-offsetof"]);
    build.flags(flags).source(&file).check_only()
}

#[test]
fn headers_have_every_size_offset_and_value_of_the_tables_on_both_chips() {
    for table in trb_tables() {
        let assertions = assertions(&table);
        // More than the records' sizes: all of their fields.
        assert!(assertions.len() > 200, "{}: {} assertions", table.variant, assertions.len());
        check(&table, &source(&assertions, 0), &[]).expect_clean(&table.variant);
        println!("{}: {} assertions", table.variant, assertions.len());
    }
}

#[test]
fn a_wrong_number_in_a_table_is_found_by_the_compiler_wherever_it_is() {
    for table in trb_tables() {
        let assertions = assertions(&table);
        let finished = check(&table, &source(&assertions, 1), &["-fmax-errors=0"]);
        assert!(!finished.accepted);
        for Assertion { about, .. } in &assertions {
            let found = finished.text.contains(&format!("static assertion failed: {about}."));
            assert!(found, "{}: {about} is not checked", table.variant);
        }
    }
}

#[test]
fn what_is_not_in_the_headers_is_in_the_tables_and_has_a_reason() {
    for (name, reason) in NOT_IN_HEADERS {
        let known = trb_tables().all(|table| table.structs.contains_key(*name));
        assert!(known && !reason.is_empty(), "{name} is in no table");
    }
    for (name, reason) in ENUMS_NOT_IN_HEADERS {
        let known = trb_tables().all(|table| table.enums.contains_key(*name));
        assert!(known && !reason.is_empty(), "{name} is in no table");
    }
}

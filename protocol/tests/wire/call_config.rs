//! Run settings: bytes, defaults, and what validation refuses.

use crate::sample::put;
use protocol::{CallConfig, CallConfigError, ProfilingFlags, WireError};

#[test]
fn settings_are_read_from_their_offsets() {
    let mut bytes = vec![0; 1 + 1044];
    let record = &mut bytes[1..];
    for (at, value) in [(0, 3i32), (4, 4), (8, 1), (12, 0), (16, 5)] {
        put(record, at, value.to_le_bytes());
    }
    record[20..24].copy_from_slice(b"out\0");
    let config = CallConfig::parse(record).unwrap();
    assert_eq!((config.block_dim, config.aicpu_thread_num), (3, 4));
    assert_eq!((config.enable_l2_swimlane, config.enable_dump_tensor), (1, 0));
    assert_eq!((config.enable_pmu, config.output_prefix()), (5, Ok("out")));
    assert_eq!(config.profiling(), ProfilingFlags::SWIMLANE | ProfilingFlags::PMU);
    assert_eq!(config.validate(), Ok(()));
}

#[test]
fn defaults_are_those_of_the_specification_and_valid() {
    let config = CallConfig::default();
    assert_eq!((config.block_dim, config.aicpu_thread_num), (24, 3));
    assert!(config.profiling().is_empty());
    assert_eq!(config.output_prefix(), Ok(""));
    assert_eq!(config.validate(), Ok(()));
}

#[test]
fn short_records_are_refused() {
    let error = WireError::Truncated { what: "run settings", need: 1044, have: 1043 };
    assert_eq!(CallConfig::parse(&[0; 1043]), Err(error));
    assert!(CallConfig::parse(&[]).is_err());
    assert!(CallConfig::parse(&[0; 1045]).is_ok());
}

#[test]
fn each_diagnostic_needs_an_output_directory() {
    type Switch = fn(&mut CallConfig);
    let switches: [Switch; 3] =
        [|c| c.enable_l2_swimlane = 1, |c| c.enable_dump_tensor = 1, |c| c.enable_pmu = 2];
    for switch in switches {
        let mut config = CallConfig::default();
        switch(&mut config);
        let error = config.validate().unwrap_err();
        assert!(matches!(error, CallConfigError::OutputPrefixMissing { .. }));
        let text = error.to_string();
        for name in ["enable_l2_swimlane", "enable_dump_tensor", "enable_pmu"] {
            assert!(text.contains(name), "{text}");
        }
        config.set_output_prefix("out").unwrap();
        assert_eq!(config.validate(), Ok(()));
    }
    // Only values above zero select an event.
    let config = CallConfig { enable_pmu: -1, ..Default::default() };
    assert_eq!(config.validate(), Ok(()));
}

#[test]
fn counts_below_one_are_refused() {
    for value in [0, -1, i32::MIN] {
        let config = CallConfig { block_dim: value, ..Default::default() };
        assert_eq!(config.validate(), Err(CallConfigError::BlockDim { value }));
        let config = CallConfig { aicpu_thread_num: value, ..Default::default() };
        assert_eq!(config.validate(), Err(CallConfigError::AicpuThreadNum { value }));
    }
}

#[test]
fn directory_name_is_bounded() {
    let mut config = CallConfig::default();
    let longest = "d".repeat(1023);
    config.set_output_prefix(&longest).unwrap();
    assert_eq!(config.output_prefix(), Ok(&longest[..]));
    let error = CallConfigError::OutputPrefixTooLong { bytes: 1024, limit: 1023 };
    assert_eq!(config.set_output_prefix(&"e".repeat(1024)), Err(error));
    let error = CallConfigError::OutputPrefixHoldsNul { at: 1 };
    assert_eq!(config.set_output_prefix("a\0b"), Err(error));
    assert_eq!(config.output_prefix(), Ok(&longest[..]), "unchanged after an error");
    config.set_output_prefix("short").unwrap();
    assert_eq!(config.output_prefix(), Ok("short"), "nothing of the longer name is left");
}

#[test]
fn directory_name_that_is_no_text_is_refused() {
    let mut config = CallConfig::default();
    config.output_prefix.fill(b'x');
    assert_eq!(config.validate(), Err(CallConfigError::OutputPrefixNotTerminated));
    config.output_prefix[..3].copy_from_slice(b"ab\xFF");
    config.output_prefix[1023] = 0;
    let error = CallConfigError::OutputPrefixNotUtf8 { valid_bytes: 2 };
    assert_eq!(config.validate(), Err(error));
}

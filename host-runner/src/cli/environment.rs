//! The environment variables that count.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use host_runner::device::RingConfig;
use host_runner::device::cann::CannConfig;

/// The environment variables that count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// CXX, if set and not empty.
    pub(crate) cxx: Option<String>,
    /// PATH, where compilers are looked for.
    pub(crate) search_path: OsString,
    /// The user's cache folder for this program, if there is one.
    pub(crate) cache_dir: Option<PathBuf>,
    /// PTO_ISA_ROOT, if set and not empty.
    pub(crate) isa_root: Option<PathBuf>,
    /// SIMPLER_DEVICE_PROGRAM, if set and not empty.
    pub(crate) device_program: Option<PathBuf>,
    /// Whether NO_COLOR is set.
    pub(crate) no_color: bool,
    /// Ring sizes from PTO2_RING_*.
    pub(crate) rings: RingConfig,
    /// Where what a chip needs is, from ASCEND_HOME_PATH, AICPU_IMAGES and ASCEND_DEVICE_ID.
    pub(crate) cann: CannConfig,
    /// Variables that are ignored, with their value and why: each is worth a warning.
    pub(crate) ignored: Vec<String>,
}

impl Environment {
    /// Reads the variables.
    pub(crate) fn read() -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let (rings, mut ignored) = ring_sizes(set);
        ignored.extend(without_effect(set));
        let (cann, unknown) = chip_settings(set);
        ignored.extend(unknown);
        Self {
            cxx: set("CXX").map(|value| value.to_string_lossy().into_owned()),
            search_path: env::var_os("PATH").unwrap_or_default(),
            cache_dir: user_cache(set("XDG_CACHE_HOME"), set("HOME")),
            isa_root: set("PTO_ISA_ROOT").map(PathBuf::from),
            device_program: set("SIMPLER_DEVICE_PROGRAM").map(PathBuf::from),
            no_color: set("NO_COLOR").is_some(),
            rings,
            cann,
            ignored,
        }
    }
}

/// The cache folder by the XDG rules: a relative XDG_CACHE_HOME does not count.
fn user_cache(cache_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let cache_home = cache_home.map(PathBuf::from).filter(|path| path.is_absolute());
    let base = cache_home.or_else(|| Some(PathBuf::from(home?).join(".cache")));
    base.map(|base| base.join("simpler-rs"))
}

/// The ring sizes that users of the reference set, under its names and by its rules
/// (spec trb §2.4), and the settings that break the rules.
fn ring_sizes(set: impl Fn(&str) -> Option<OsString>) -> (RingConfig, Vec<String>) {
    let mut ignored = Vec::new();
    let mut size = |name: &str, min: u64, is_power: bool| {
        let text = set(name)?.to_string_lossy().into_owned();
        let size = text.trim().parse().ok();
        let size = size.filter(|size: &u64| *size >= min && (!is_power || size.is_power_of_two()));
        if size.is_none() {
            let power = if is_power { " and a power of two" } else { "" };
            ignored.push(format!("{name}={text} is ignored: it must be at least {min}{power}"));
        }
        size
    };
    let rings = RingConfig {
        task_window: size("PTO2_RING_TASK_WINDOW", 4, true).unwrap_or_default(),
        heap_bytes: size("PTO2_RING_HEAP", 1024, true).unwrap_or_default(),
        dep_pool: size("PTO2_RING_DEP_POOL", 4, false).unwrap_or_default(),
    };
    (rings, ignored)
}

/// What a chip is opened with, and the settings that make no sense.
fn chip_settings(set: impl Fn(&str) -> Option<OsString>) -> (CannConfig, Vec<String>) {
    let mut ignored = Vec::new();
    let text = |name: &str| set(name).map(|text| text.to_string_lossy().trim().to_owned());
    let device = text("ASCEND_DEVICE_ID").and_then(|text| {
        let device = text.parse().ok();
        if device.is_none() {
            ignored
                .push(format!("ASCEND_DEVICE_ID={text} is ignored: it is no number of a device"));
        }
        device
    });
    let cann = CannConfig {
        home: set("ASCEND_HOME_PATH").map(PathBuf::from),
        aicpu_images: set("AICPU_IMAGES").map(PathBuf::from),
        device: device.unwrap_or_default(),
        ..CannConfig::default()
    };
    (cann, ignored)
}

/// The variables of the reference that there is nothing to set for here (spec trb §0.3, §2.4), where
/// they ask for something.
fn without_effect(set: impl Fn(&str) -> Option<OsString>) -> Vec<String> {
    let text = |name: &str| Some(set(name)?.to_string_lossy().trim().to_owned());
    let mut ignored = Vec::new();
    if let Some(shards) = text("PTO2_READY_QUEUE_SHARDS") {
        let is_count = shards.parse::<u64>().is_ok_and(|count| count > 0);
        let also = if is_count { "" } else { ", and is no number of queues" };
        ignored.push(format!(
            "PTO2_READY_QUEUE_SHARDS={shards} has no effect{also}: all threads share one queue \
             without a lock for each shape of task"
        ));
    }
    if let Some(mode) = text("PTO2_ORCH_TO_SCHED") {
        // The first letter decides, and off is what happens here anyway.
        let also = match mode.chars().next() {
            Some('0' | 'f' | 'F') | None => return ignored,
            Some('1' | 't' | 'T') => "",
            Some(_) => ", and is neither 1 nor 0",
        };
        ignored.push(format!(
            "PTO2_ORCH_TO_SCHED={mode} has no effect{also}: cores stay with their threads, and a \
             single AICPU thread schedules after orchestrating by itself"
        ));
    }
    ignored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ring_sizes_that_break_the_rules_are_ignored_and_named() {
        let variables = |name: &str| {
            let value = match name {
                "PTO2_RING_TASK_WINDOW" => "64",
                "PTO2_RING_HEAP" => "2621440",
                _ => "5",
            };
            Some(OsString::from(value))
        };
        let (rings, ignored) = ring_sizes(variables);
        assert_eq!(rings, RingConfig { task_window: 64, heap_bytes: 0, dep_pool: 5 });
        let text = "PTO2_RING_HEAP=2621440 is ignored: it must be at least 1024 and a power of two";
        assert_eq!(ignored, [text]);
        assert_eq!(ring_sizes(|_| None), (RingConfig::default(), Vec::new()));
    }

    #[test]
    fn a_chip_is_opened_with_what_the_variables_say_and_nonsense_is_named() {
        let with = |device: &'static str| {
            chip_settings(move |name| match name {
                "ASCEND_DEVICE_ID" => Some(device.into()),
                "AICPU_IMAGES" => Some("/images".into()),
                _ => None,
            })
        };
        let (cann, ignored) = with("3");
        let aicpu_images = Some(PathBuf::from("/images"));
        let expected = CannConfig { aicpu_images, device: 3, ..CannConfig::default() };
        assert_eq!((cann, ignored), (expected, Vec::new()));
        let (cann, ignored) = with("-1");
        assert_eq!((cann.device, ignored.len()), (0, 1), "{ignored:?}");
    }

    #[test]
    fn the_cache_is_where_xdg_says_and_else_below_the_home() {
        let check = |cache_home: Option<&str>, home: Option<&str>, expected: Option<&str>| {
            let found = user_cache(cache_home.map(Into::into), home.map(Into::into));
            assert_eq!(found, expected.map(PathBuf::from));
        };
        check(Some("/c"), Some("/h"), Some("/c/simpler-rs"));
        check(Some("relative"), Some("/h"), Some("/h/.cache/simpler-rs"));
        check(None, Some("/h"), Some("/h/.cache/simpler-rs"));
        check(None, None, None);
    }

    #[test]
    fn settings_that_there_are_none_for_here_say_so_once_and_why() {
        let with = |name: &'static str, value: &'static str| {
            without_effect(move |asked| (asked == name).then(|| value.into()))
        };
        let shards = "PTO2_READY_QUEUE_SHARDS";
        let [text] = &with(shards, "4")[..] else { panic!("one warning") };
        let expected = "PTO2_READY_QUEUE_SHARDS=4 has no effect: all threads share one queue";
        assert!(text.starts_with(expected), "{text}");
        for wrong in ["0", "-1", "many"] {
            let [text] = &with(shards, wrong)[..] else { panic!("one warning") };
            let expected = format!("={wrong} has no effect, and is no number of queues: all");
            assert!(text.contains(&expected), "{text}");
        }
        for on in ["1", "true", "T"] {
            let [text] = &with("PTO2_ORCH_TO_SCHED", on)[..] else { panic!("one warning") };
            let expected = format!("PTO2_ORCH_TO_SCHED={on} has no effect: cores stay");
            assert!(text.starts_with(&expected), "{text}");
        }
        let [text] = &with("PTO2_ORCH_TO_SCHED", "yes")[..] else { panic!("one warning") };
        assert!(text.contains("=yes has no effect, and is neither 1 nor 0: "), "{text}");
        // Off is what happens anyway.
        for off in ["0", "false", "F", " "] {
            assert_eq!(with("PTO2_ORCH_TO_SCHED", off), Vec::<String>::new(), "{off:?}");
        }
        assert_eq!(without_effect(|_| None), Vec::<String>::new());
    }
}

//! What the kernel says about this process's memory.

use std::format;
use std::fs;
use std::string::{String, ToString};
use std::vec::Vec;

/// One mapping.
#[derive(Debug, Clone)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Three letters: read, write, execute.
    pub(crate) rights: String,
    /// Number of the file behind it; equal for all mappings of a file, "0" without one.
    pub(crate) file: String,
}

/// All mappings, ascending.
pub(crate) fn mappings() -> Vec<Mapping> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<Mapping> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let parse = |text| u64::from_str_radix(text, 16).ok();
    let (start, end) = (parse(start)?, parse(end)?);
    let file = rest.split_whitespace().nth(3)?.to_string();
    Some(Mapping { start, end, rights: rest[..3].to_string(), file })
}

/// Rights of the page with an address; empty if nothing is mapped there.
pub(crate) fn rights_at(address: u64) -> String {
    let found = mappings().into_iter().find(|each| (each.start..each.end).contains(&address));
    found.map_or_else(String::new, |each| each.rights)
}

/// Rights of all mappings of the file behind an address, in the order of their addresses.
pub(crate) fn rights_of_file_at(address: u64) -> Vec<String> {
    let all = mappings();
    let here = all.iter().find(|each| (each.start..each.end).contains(&address)).unwrap();
    assert_ne!(here.file, "0", "no file there");
    all.iter().filter(|each| each.file == here.file).map(|each| each.rights.clone()).collect()
}

/// Rights of the pages of a range, one run a line: `pages rights`.
pub(crate) fn runs(start: u64, pages: u64) -> Vec<String> {
    let page = rustix::param::page_size() as u64;
    let all = mappings();
    let mut runs: Vec<(u64, String)> = Vec::new();
    for address in (0..pages).map(|index| start + index * page) {
        let found = all.iter().find(|each| (each.start..each.end).contains(&address));
        let rights = found.map_or("none", |each| each.rights.as_str());
        match runs.last_mut() {
            Some((count, last)) if last == rights => *count += 1,
            _ => runs.push((1, rights.to_string())),
        }
    }
    runs.into_iter().map(|(count, rights)| format!("{count} {rights}")).collect()
}

/// Kilobytes that a field of the kernel's account of the mappings in a range adds up to.
pub(crate) fn kilobytes(field: &str, start: u64, end: u64) -> u64 {
    let text = fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut is_inside, mut sum) = (false, 0);
    for line in text.lines() {
        if let Some(mapping) = parse(line) {
            is_inside = start <= mapping.start && mapping.end <= end;
        } else if let Some(rest) = line.strip_prefix(field).filter(|_| is_inside) {
            let number = rest.trim_start_matches(':').trim().trim_end_matches(" kB");
            sum += number.parse::<u64>().unwrap();
        }
    }
    sum
}

/// Whether the mapping with an address has a flag of the kernel's list, two letters.
pub(crate) fn has_flag(address: u64, flag: &str) -> bool {
    let text = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut is_inside = false;
    text.lines().any(|line| {
        if let Some(mapping) = parse(line) {
            is_inside = (mapping.start..mapping.end).contains(&address);
        }
        let flags = line.strip_prefix("VmFlags:").filter(|_| is_inside);
        flags.is_some_and(|flags| flags.split(' ').any(|each| each == flag))
    })
}

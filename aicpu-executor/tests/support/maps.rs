//! What the kernel says about a page of this process.

/// Returns the rights of the page with an address, such as `r-x`; empty if it is not mapped.
pub fn rights(address: u64) -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux shows its mappings");
    for line in maps.lines() {
        let mut fields = line.split([' ', '-']);
        let mut number = || u64::from_str_radix(fields.next()?, 16).ok();
        if let (Some(start), Some(end)) = (number(), number())
            && (start..end).contains(&address)
        {
            // The rights themselves have dashes, so they are taken from the line. Behind them it
            // says whether the memory is private.
            return line.split(' ').nth(1).unwrap_or_default().chars().take(3).collect();
        }
    }
    String::new()
}

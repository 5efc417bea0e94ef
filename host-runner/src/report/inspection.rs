//! What `host-runner inspect` prints for people: a verdict, facts, and three tables.

use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment, Color};
use host_runner::inspect::{
    ExportFacts, ExportRole, ImageFacts, ImportFacts, Inspection, RoleFacts, UnwindFacts,
};

use super::{Colour, aligned, lines, plain_table};

/// The whole report.
pub(crate) fn text(file: &str, inspection: &Inspection, colour: Colour) -> String {
    let mut text = verdict(file, inspection, colour);
    text.push('\n');
    let mut facts = file_facts(inspection);
    if let Some(image) = &inspection.image {
        facts.extend(image_facts(image));
        if inspection.machine == Some("AArch64") {
            let marked = if image.branch_targets { "marked" } else { "not marked" };
            facts.push(("branch targets", marked.to_owned()));
        }
        facts.extend(image.roles.iter().map(role));
    }
    let mut table = plain_table(colour);
    for (name, value) in facts {
        table.add_row([name.to_owned(), value]);
    }
    text.push_str(&lines(aligned(table, &[CellAlignment::Left, CellAlignment::Left])));
    if let Some(image) = &inspection.image {
        for part in [segments(image, colour), imports(image, colour), exports(image, colour)] {
            text.push('\n');
            text.push_str(&part);
        }
    }
    text
}

/// The first lines: whether it would load, and if not, why.
fn verdict(file: &str, inspection: &Inspection, colour: Colour) -> String {
    let mut text = String::new();
    let mut table = plain_table(colour);
    match (&inspection.refusal, &inspection.image) {
        (Some(refusal), _) => {
            table.add_row([Cell::new(file), Cell::new("REFUSED").fg(Color::Red)]);
            text.push_str(&lines(aligned(table, &[CellAlignment::Left; 2])));
            let _ = writeln!(text, "{}", refusal.message);
            if let Some(advice) = refusal.advice {
                let _ = writeln!(text, "{advice}");
            }
        }
        (None, image) => {
            let span = image.as_ref().map_or(0, |image| image.span_bytes);
            table.add_row([Cell::new(file), Cell::new("would load").fg(Color::Green)]);
            text.push_str(&lines(aligned(table, &[CellAlignment::Left; 2])));
            let _ = match inspection.slot_bytes {
                Some(slot) => writeln!(text, "in a slot of {slot} bytes, of which it takes {span}"),
                None => writeln!(text, "by the system's loader, which looks up what it imports"),
            };
            if let (false, Some(machine)) = (inspection.is_native, inspection.machine) {
                let _ = writeln!(
                    text,
                    "on {machine}, which this machine is not: what it imports was not looked up"
                );
            }
        }
    }
    text
}

/// What is known of any file.
fn file_facts(inspection: &Inspection) -> Vec<(&'static str, String)> {
    let machine = inspection.machine.unwrap_or("unknown");
    vec![
        ("machine", machine.to_owned()),
        ("file", format!("{} bytes", inspection.file_bytes)),
        ("build-id", inspection.build_id.clone().unwrap_or_else(none)),
    ]
}

/// What is known of an image that was planned.
fn image_facts(image: &ImageFacts) -> Vec<(&'static str, String)> {
    let ImageFacts { span_bytes, align_bytes, page_bytes, relocations, .. } = image;
    let relro = image.relro.map_or_else(none, |pages| {
        format!("{:#x}, {} bytes read-only after relocation", pages.vaddr, pages.bytes)
    });
    let needed = image.needed.iter().map(|library| match library.allowed {
        true => library.name.clone(),
        false => format!("{} (NOT OFFERED)", library.name),
    });
    let needed: Vec<_> = needed.collect();
    vec![
        ("soname", image.soname.clone().unwrap_or_else(none)),
        ("memory", format!("{span_bytes} bytes, aligned to {align_bytes}, {page_bytes} a page")),
        ("relro", relro),
        (
            "relocations",
            format!(
                "{} relative, {} packed, {} symbolic, {} plt",
                relocations.relative, relocations.packed, relocations.symbolic, relocations.plt
            ),
        ),
        ("needs", if needed.is_empty() { none() } else { needed.join(", ") }),
        ("constructors", format!("{}, destructors {}", image.initialisers, image.finalisers)),
        ("unwinding", image.unwind.map_or_else(no_unwinding, unwinding)),
        ("thread-local", none()),
    ]
}

fn none() -> String {
    "none".to_owned()
}

fn no_unwinding() -> String {
    "no tables: an exception in it ends the process".to_owned()
}

fn unwinding(tables: UnwindFacts) -> String {
    match tables.bytes {
        Some(bytes) => format!("{:#x}, {bytes} bytes of tables", tables.vaddr),
        None => "tables that cannot be registered: an exception in it ends the process".to_owned(),
    }
}

/// A function that the executor looks for.
fn role(role: &RoleFacts) -> (&'static str, String) {
    let title = match role.role {
        ExportRole::Entry => "entry",
        ExportRole::Config => "config",
        ExportRole::Bind => "bind",
    };
    let state = match &role.problem {
        None => "present".to_owned(),
        Some(problem) => format!("ABSENT: {problem}{}", without(role.role)),
    };
    (title, format!("{}: {state}", role.name))
}

/// What the absence of a function means, where it is not fatal.
fn without(role: ExportRole) -> &'static str {
    match role {
        ExportRole::Entry => "",
        ExportRole::Config => "; arguments are not counted",
        ExportRole::Bind => "; it is not given the runtime object",
    }
}

/// The table of segments.
fn segments(image: &ImageFacts, colour: Colour) -> String {
    let mut table = plain_table(colour);
    table.set_header(["segment", "offset", "address", "file bytes", "memory bytes", "pages"]);
    for segment in &image.segments {
        table.add_row([
            segment.rights.clone(),
            format!("{:#x}", segment.offset),
            format!("{:#x}", segment.vaddr),
            segment.file_bytes.to_string(),
            segment.memory_bytes.to_string(),
            segment.pages.to_string(),
        ]);
    }
    let mut columns = [CellAlignment::Right; 6];
    columns[0] = CellAlignment::Left;
    lines(aligned(table, &columns))
}

/// The table of imports, missing ones first.
fn imports(image: &ImageFacts, colour: Colour) -> String {
    if image.imports.is_empty() {
        return "imports nothing\n".to_owned();
    }
    let mut table = plain_table(colour);
    table.set_header(["import", "version", "state"]);
    let is_missing = |import: &&ImportFacts| import.offered == Some(false) && !import.weak;
    let (missing, rest): (Vec<_>, Vec<_>) = image.imports.iter().partition(is_missing);
    for import in missing.into_iter().chain(rest) {
        let (state, shade) = match (import.offered, import.weak) {
            (Some(true), _) => ("offered", None),
            (Some(false), true) => ("not offered, but weak: it sees 0", None),
            (Some(false), false) => ("MISSING", Some(Color::Red)),
            (None, true) => ("not looked up, weak", None),
            (None, false) => ("not looked up", None),
        };
        let state = shade.into_iter().fold(Cell::new(state), Cell::fg);
        let version = import.version.as_deref().unwrap_or("-");
        table.add_row([Cell::new(&import.name), Cell::new(version), state]);
    }
    lines(aligned(table, &[CellAlignment::Left; 3]))
}

/// The table of exports.
fn exports(image: &ImageFacts, colour: Colour) -> String {
    if image.exports.is_empty() {
        return "exports nothing\n".to_owned();
    }
    let mut table = plain_table(colour);
    table.set_header(["export", "kind", "address", "bytes"]);
    for ExportFacts { name, kind, vaddr, bytes, weak, .. } in &image.exports {
        let kind = if *weak { format!("weak {kind}") } else { (*kind).to_owned() };
        table.add_row([name.clone(), kind, format!("{vaddr:#x}"), bytes.to_string()]);
    }
    let columns =
        [CellAlignment::Left, CellAlignment::Left, CellAlignment::Right, CellAlignment::Right];
    lines(aligned(table, &columns))
}

//! Compares every shared record and enumeration of `protocol` with the published layout tables.
//!
//! The tables in `data/abi` say what the reference's compiler made of the shared headers; there is
//! one per chip and runtime. `protocol` already pins its own numbers at compile time. Here the
//! numbers meet those of the other side, in both directions: each published field must be in the
//! tables, and each field, record and enumeration of the tables must be published or be listed
//! below with the reason why not.
//!
//! `cargo test -p tests --test layout -- --nocapture` prints how many fields were compared.

use protocol::{ENUMS, EnumLayout, LAYOUTS, StructLayout};
use std::collections::BTreeSet;

#[path = "layout/table.rs"]
mod table;

use table::{Table, TableEnum, TableStruct, tables};

/// Which tables have a record or enumeration that `protocol` leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Runtime {
    /// The runtime this project implements.
    Trb,
    /// The other one, which shares most records.
    Hbg,
}

const PRIVATE: &str = "internal to the AICPU binary, free to change";

/// Records that `protocol` does not define, with the reason.
const STRUCTS_LEFT_OUT: &[(Runtime, &str, &str)] = &[
    (Runtime::Trb, "PTO2TaskDescriptor", PRIVATE),
    (Runtime::Trb, "PTO2TaskPayload", PRIVATE),
    (Runtime::Trb, "PTO2TaskSlotState", PRIVATE),
    (Runtime::Hbg, "Runtime", "the other runtime has a run record of its own"),
];

/// Records that only the tables of hbg have: what its orchestrations use.
const HBG_ONLY: &[&str] =
    &["TensorInfo", "TensorAllocationInfo", "OrchestrationRuntime", "OrchestrationRuntimeOps"];

/// Fields that `protocol` does not define, with the reason.
const FIELDS_LEFT_OUT: &[(&str, &str, &str)] =
    &[("ChipStorageTaskArgs", "<base>", "an empty C++ base class: it has no bytes of its own")];

/// Enumerations that `protocol` does not define, with the reason.
const ENUMS_LEFT_OUT: &[(&str, &str)] = &[(
    "RegId",
    "index into a table inside one binary, never stored or sent; `Chip` has the register offsets",
)];

/// Names in enumerations that stand for a number of values, not for a value: they must equal the
/// number of values whose name starts with the prefix.
const COUNT_MARKERS: &[(&str, &str, &str)] =
    &[("DataType", "DATA_TYPE_NUM", ""), ("AicpuPhaseId", "SCHED_PHASE_COUNT", "SCHED_")];

/// What these tests want to know of a table.
trait Selected {
    fn runtime(&self) -> Runtime;
    fn left_out(&self, name: &str) -> Option<&'static str>;
    fn published(&self) -> impl Iterator<Item = &'static StructLayout>;
}

impl Selected for Table {
    fn runtime(&self) -> Runtime {
        match self.variant.split_once('-') {
            Some((_, "trb")) => Runtime::Trb,
            Some((_, "hbg")) => Runtime::Hbg,
            _ => panic!("table of unknown runtime: {}", self.variant),
        }
    }

    /// Why the record of this name is not expected in `protocol`, if it is not.
    fn left_out(&self, name: &str) -> Option<&'static str> {
        STRUCTS_LEFT_OUT
            .iter()
            .find(|(runtime, left_out, _)| *runtime == self.runtime() && *left_out == name)
            .map(|(_, _, reason)| *reason)
    }

    /// The published records that this table should have.
    fn published(&self) -> impl Iterator<Item = &'static StructLayout> {
        LAYOUTS
            .iter()
            .filter(|layout| layout.chip.is_none_or(|chip| chip == self.chip()))
            .filter(|layout| self.left_out(layout.table).is_none())
    }
}

fn field_left_out(record: &str, field: &str) -> bool {
    FIELDS_LEFT_OUT.iter().any(|(r, f, _)| *r == record && *f == field)
}

/// What differs between a record and its table.
fn differences(layout: &StructLayout, expected: &TableStruct) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: String, ours: usize, theirs: usize| {
        if ours != theirs {
            found.push(format!("{}{what} is {ours}, not {theirs}", layout.table));
        }
    };
    compare(": size".to_owned(), layout.size, expected.size);
    compare(": alignment".to_owned(), layout.align, expected.align.unwrap_or(layout.align));
    for field in layout.fields {
        let place = format!("::{}", field.name);
        let theirs = expected.fields.iter().find(|expected| expected.name == field.name);
        let (offset, size) = theirs.map_or((usize::MAX, 0), |theirs| (theirs.offset, theirs.size));
        compare(format!("{place}: offset"), field.offset, offset);
        compare(format!("{place}: size"), field.size, size);
    }
    found
}

#[test]
fn published_fields_are_where_the_tables_say() {
    let mut fields = 0;
    let mut records = 0;
    let mut found = BTreeSet::new();
    for table in tables() {
        for layout in table.published() {
            match table.structs.get(layout.table) {
                Some(expected) => {
                    let wrong = differences(layout, expected);
                    assert!(wrong.is_empty(), "{}: {wrong:?}", table.variant);
                    fields += layout.fields.len();
                    records += 1;
                    found.insert(layout.table);
                }
                // The tables of hbg lack the records of task submission.
                None => assert!(
                    (table.runtime() == Runtime::Hbg) != HBG_ONLY.contains(&layout.table),
                    "{} is not in {}",
                    layout.table,
                    table.variant
                ),
            }
        }
    }
    for layout in LAYOUTS {
        assert!(found.contains(layout.table), "{} is in no table", layout.table);
    }
    println!("\n{fields} fields checked");
    println!("{records} records checked");
}

#[test]
fn a_wrong_number_in_a_table_is_found_wherever_it_is() {
    for table in tables() {
        for layout in table.published() {
            let Some(right) = table.structs.get(layout.table) else { continue };
            let check = |change: &dyn Fn(&mut TableStruct)| {
                let mut wrong = right.clone();
                change(&mut wrong);
                let found = differences(layout, &wrong);
                assert_eq!(found.len(), 1, "{}: {}: {found:?}", table.variant, layout.table);
            };
            check(&|table| table.size += 8);
            check(&|table| table.align = Some(2 * layout.align));
            for index in 0..right.fields.len() {
                if field_left_out(layout.table, &right.fields[index].name) {
                    continue;
                }
                check(&|table| table.fields[index].offset += 1);
                check(&|table| table.fields[index].size += 1);
            }
        }
    }
}

#[test]
fn every_field_of_a_table_is_published() {
    let mut left_out = BTreeSet::new();
    for table in tables() {
        for layout in table.published() {
            let Some(expected) = table.structs.get(layout.table) else { continue };
            let published: BTreeSet<_> = layout.fields.iter().map(|field| field.name).collect();
            assert_eq!(published.len(), layout.fields.len(), "{}: name twice", layout.table);
            for field in &expected.fields {
                if field_left_out(layout.table, &field.name) {
                    left_out.insert((layout.table, field.name.clone()));
                    continue;
                }
                let (record, name) = (layout.table, &field.name);
                assert!(
                    published.contains(name.as_str()),
                    "{}: {record}::{name} is not published",
                    table.variant
                );
            }
        }
    }
    assert_eq!(left_out.len(), FIELDS_LEFT_OUT.len(), "stale entry in FIELDS_LEFT_OUT");
}

#[test]
fn every_record_of_a_table_is_published_once_or_left_out_for_a_reason() {
    let mut left_out = BTreeSet::new();
    for table in tables() {
        for name in table.structs.keys() {
            let published = table.published().filter(|layout| layout.table == name).count();
            match table.left_out(name) {
                Some(reason) => {
                    left_out.insert((table.runtime(), name.clone(), reason));
                    // The other runtime's run record has the name of ours.
                    assert_eq!(published, 0, "{name} is published and left out");
                }
                None => assert_eq!(published, 1, "{name} of {} is not published", table.variant),
            }
        }
    }
    let listed: BTreeSet<_> = STRUCTS_LEFT_OUT
        .iter()
        .map(|&(runtime, name, reason)| (runtime, String::from(name), reason))
        .collect();
    assert_eq!(left_out, listed, "stale entry in STRUCTS_LEFT_OUT");
    let lines: String = left_out
        .iter()
        .map(|(runtime, name, reason)| format!("\nleft out, {runtime:?} tables: {name}: {reason}"))
        .collect();
    println!("{lines}");
    for (runtime, name, _) in STRUCTS_LEFT_OUT {
        let published = LAYOUTS.iter().any(|layout| layout.table == *name);
        assert!(!published || *runtime == Runtime::Hbg, "{name} is published and left out");
    }
}

/// The values of a table's enumeration without its count markers, which are checked on the way.
fn values(name: &str, expected: &TableEnum) -> BTreeSet<(String, i64)> {
    let is_marker =
        |value: &str| COUNT_MARKERS.iter().any(|(e, marker, _)| *e == name && *marker == value);
    let values: BTreeSet<_> = expected
        .values
        .iter()
        .filter(|(value, _)| !is_marker(value))
        .map(|(value, number)| (value.clone(), *number))
        .collect();
    for (_, marker, prefix) in COUNT_MARKERS.iter().filter(|(e, _, _)| *e == name) {
        let count = values.iter().filter(|(value, _)| value.starts_with(prefix)).count();
        let stated = expected.values.get(*marker).copied();
        assert_eq!(stated, i64::try_from(count).ok(), "{name}::{marker}");
    }
    values
}

#[test]
fn enumerations_have_the_names_and_numbers_of_the_tables() {
    let mut found = BTreeSet::new();
    let mut left_out = BTreeSet::new();
    let mut numbers = 0;
    for table in tables() {
        for (name, expected) in &table.enums {
            if ENUMS_LEFT_OUT.iter().any(|(enumeration, _)| enumeration == name) {
                left_out.insert(name.clone());
                continue;
            }
            let published: Vec<&EnumLayout> =
                ENUMS.iter().filter(|layout| layout.table == name).collect();
            let [layout] = published[..] else {
                panic!("{}: {name} is published {} times", table.variant, published.len())
            };
            assert_eq!(layout.size, expected.size, "{name}: size");
            let ours: BTreeSet<_> = layout
                .values
                .iter()
                .map(|&(value, number)| (String::from(value), number))
                .collect();
            assert_eq!(ours, values(name, expected), "{}: {name}", table.variant);
            numbers += ours.len();
            found.insert(layout.table);
        }
    }
    assert_eq!(found.len(), ENUMS.len(), "an enumeration is in no table");
    assert_eq!(left_out.len(), ENUMS_LEFT_OUT.len(), "stale entry in ENUMS_LEFT_OUT");
    println!("\n{numbers} enumeration values checked");
}

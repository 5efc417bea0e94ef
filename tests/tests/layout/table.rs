//! The published layout tables of `data/abi`, as they are read.

use protocol::ChipName;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What the reference's compiler made of the shared headers, for one chip and runtime.
#[derive(Clone, Deserialize)]
pub(crate) struct Table {
    /// Chip and runtime, as in "a2a3-trb".
    pub(crate) variant: String,
    pub(crate) structs: BTreeMap<String, TableStruct>,
    pub(crate) enums: BTreeMap<String, TableEnum>,
}

/// One record.
#[derive(Clone, Deserialize)]
pub(crate) struct TableStruct {
    pub(crate) size: usize,
    /// Absent where the table's generator did not note it.
    pub(crate) align: Option<usize>,
    pub(crate) fields: Vec<TableField>,
}

/// One field of a record.
#[derive(Clone, Deserialize)]
pub(crate) struct TableField {
    pub(crate) name: String,
    pub(crate) offset: usize,
    pub(crate) size: usize,
}

/// One enumeration.
#[derive(Clone, Deserialize)]
pub(crate) struct TableEnum {
    pub(crate) size: usize,
    pub(crate) values: BTreeMap<String, i64>,
}

/// All tables.
pub(crate) fn tables() -> Vec<Table> {
    [
        include_str!("../../data/abi/a2a3-trb.json"),
        include_str!("../../data/abi/a5-trb.json"),
        include_str!("../../data/abi/a2a3-hbg.json"),
        include_str!("../../data/abi/a5-hbg.json"),
    ]
    .into_iter()
    .map(|text| serde_json::from_str(text).expect("a layout table"))
    .collect()
}

impl Table {
    /// The chip that it is for.
    pub(crate) fn chip(&self) -> ChipName {
        match self.variant.split_once('-') {
            Some(("a2a3", _)) => ChipName::A2a3,
            Some(("a5", _)) => ChipName::A5,
            _ => panic!("table of unknown chip: {}", self.variant),
        }
    }
}

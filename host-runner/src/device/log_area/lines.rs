//! In which line of which file each statement is: debug information of the unstripped twin.
//!
//! The compiler notes a variable for each text, with the line of the statement and the text's symbol.

use std::collections::{BTreeMap, HashMap};

use gimli::{
    AttributeValue, Dwarf, EndianSlice, LittleEndian, Unit, constants::DW_AT_decl_file,
    constants::DW_AT_decl_line, constants::DW_AT_linkage_name, constants::DW_AT_name,
    constants::DW_TAG_variable,
};
use goblin::elf::Elf;

use super::strings::Texts;
use crate::log::Place;

/// What the variables are called.
const VARIABLE: &[u8] = b"DEFMT_LOG_STATEMENT";

/// The machine's bytes, as they are in the file.
type Bytes<'a> = EndianSlice<'a, LittleEndian>;

/// The place of each statement, by its address as linked. Statements without one are left out, and so is
/// everything behind the first thing that is no debug information: a line more or less is no reason to keep
/// a message from anybody.
pub(super) fn read(elf: &Elf<'_>, bytes: &[u8], texts: &Texts) -> BTreeMap<u16, Place> {
    let by_symbol: HashMap<_, _> =
        texts.statements().map(|(address, text)| (text.symbol.as_bytes(), address)).collect();
    let mut places = BTreeMap::new();
    let load = |id: gimli::SectionId| -> Result<Bytes<'_>, gimli::Error> {
        Ok(EndianSlice::new(section(elf, bytes, id.name()), LittleEndian))
    };
    if let Ok(dwarf) = Dwarf::load(load) {
        let _read_so_far = walk(&dwarf, &by_symbol, &mut places);
    }
    places
}

/// Bytes of a section; none where there is none.
fn section<'a>(elf: &Elf<'_>, bytes: &'a [u8], name: &str) -> &'a [u8] {
    let header = elf
        .section_headers
        .iter()
        .find(|header| elf.shdr_strtab.get_at(header.sh_name) == Some(name));
    header
        .and_then(|header| header.file_range())
        .and_then(|range| bytes.get(range))
        .unwrap_or_default()
}

/// Goes through all variables.
fn walk(
    dwarf: &Dwarf<Bytes<'_>>,
    by_symbol: &HashMap<&[u8], u16>,
    places: &mut BTreeMap<u16, Place>,
) -> Result<(), gimli::Error> {
    let mut headers = dwarf.units();
    while let Some(header) = headers.next()? {
        let unit = dwarf.unit(header)?;
        let mut entries = unit.entries();
        while let Some(entry) = entries.next_dfs()? {
            if entry.tag() != DW_TAG_variable {
                continue;
            }
            let text = |name| {
                let value = entry.attr_value(name)?;
                dwarf.attr_string(&unit, value).ok()
            };
            if text(DW_AT_name).is_none_or(|name| name.slice() != VARIABLE) {
                continue;
            }
            let address = text(DW_AT_linkage_name).and_then(|name| by_symbol.get(name.slice()));
            let line = entry.attr_value(DW_AT_decl_line).and_then(|line| line.udata_value());
            let file = entry.attr_value(DW_AT_decl_file);
            if let (Some(address), Some(line), Some(AttributeValue::FileIndex(file))) =
                (address, line, file)
                && let Some(file) = file_name(dwarf, &unit, file)
            {
                places.insert(*address, Place { file, line: u32::try_from(line).unwrap_or(0) });
            }
        }
    }
    Ok(())
}

/// The name of a file of a unit, with the folder that it was compiled in.
fn file_name(dwarf: &Dwarf<Bytes<'_>>, unit: &Unit<Bytes<'_>>, index: u64) -> Option<String> {
    let header = unit.line_program.as_ref()?.header();
    let file = header.file(index)?;
    let text = |value| Some(dwarf.attr_string(unit, value).ok()?.to_string_lossy().into_owned());
    let name = text(file.path_name())?;
    let folder = file.directory(header).and_then(text).unwrap_or_default();
    Some(if folder.is_empty() { name } else { format!("{folder}/{name}") })
}

//! The texts of an image's log frames: symbols of its unstripped twin, by the low 16 bits of their addresses.
//!
//! defmt puts each text into the name of a symbol of the section `.defmt`, as JSON with a tag that says what it
//! is for; the symbol's address is what a frame carries. That section is in no memory, and so the addresses
//! are those of the file, to which the running image's code adds where it was loaded.

use std::collections::BTreeMap;

use aicpu_executor::log::Level;
use defmt_parser::{Fragment, ParserMode, Type};
use goblin::elf::Elf;
use serde::Deserialize;

use super::LogDecoderError;

/// Versions of the wire format that `wire` knows.
const WIRE_VERSIONS: [&str; 1] = ["4"];

/// What a text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// A log statement.
    Statement(Level),
    /// A part of one, or a string.
    Part,
}

/// A text and how it is taken apart.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) used_as: Use,
    /// Name of the symbol, by which debug information calls it, too.
    pub(super) symbol: String,
    /// The crate that has it.
    pub(super) krate: String,
    /// As it was written.
    pub(super) raw: String,
    /// Literals and places for arguments.
    pub(super) fragments: Vec<Fragment<'static>>,
    /// Types of the arguments, in the order in which they are sent.
    pub(super) arguments: Vec<Type>,
}

/// The texts of an image.
#[derive(Debug, Clone)]
pub(super) struct Texts {
    by_address: BTreeMap<u16, Text>,
}

/// The JSON in a symbol's name.
#[derive(Deserialize)]
struct SymbolName {
    tag: String,
    data: String,
    #[serde(default)]
    crate_name: String,
}

impl Texts {
    /// Reads the texts of an unstripped image.
    pub(super) fn read(elf: &Elf<'_>) -> Result<Self, LogDecoderError> {
        let name_of = |symbol: &goblin::elf::Sym| elf.strtab.get_at(symbol.st_name);
        let names = || elf.syms.iter().filter_map(|symbol| name_of(&symbol));
        let fact = |prefix: &str| {
            names().find_map(|name| name.trim_matches('"').strip_prefix(prefix).map(str::to_owned))
        };
        let version = fact("_defmt_version_ = ").ok_or(LogDecoderError::NoTexts)?;
        if !WIRE_VERSIONS.contains(&version.as_str()) {
            return Err(LogDecoderError::WireVersion { version });
        }
        let encoding = fact("_defmt_encoding_ = ").unwrap_or_default();
        if encoding != "raw" {
            return Err(LogDecoderError::Encoding { encoding });
        }
        let is_of_texts = |section: usize| {
            let header = elf.section_headers.get(section);
            let name = header.and_then(|header| elf.shdr_strtab.get_at(header.sh_name));
            name == Some(".defmt")
        };
        let mut by_address = BTreeMap::new();
        for symbol in elf.syms.iter().filter(|symbol| is_of_texts(symbol.st_shndx)) {
            let Some(name) = name_of(&symbol).filter(|name| name.starts_with('{')) else {
                continue;
            };
            let address = u16::try_from(symbol.st_value)
                .map_err(|_| LogDecoderError::Symbol { name: name.to_owned() })?;
            by_address.insert(address, Text::of(name)?);
        }
        Ok(Self { by_address })
    }

    /// These texts.
    #[cfg(test)]
    pub(super) fn of(by_address: BTreeMap<u16, Text>) -> Self {
        Self { by_address }
    }

    /// The text at an address, as linked.
    pub(super) fn at(&self, address: u16) -> Option<&Text> {
        self.by_address.get(&address)
    }

    /// All statements, with their addresses.
    pub(super) fn statements(&self) -> impl Iterator<Item = (u16, &Text)> {
        self.by_address
            .iter()
            .filter(|(_, text)| matches!(text.used_as, Use::Statement(_)))
            .map(|(address, text)| (*address, text))
    }
}

impl Text {
    /// The text in a symbol's name.
    pub(super) fn of(symbol: &str) -> Result<Self, LogDecoderError> {
        let malformed = || LogDecoderError::Symbol { name: symbol.to_owned() };
        let name: SymbolName = serde_json::from_str(symbol).map_err(|_| malformed())?;
        let used_as = match name.tag.as_str() {
            "defmt_error" => Use::Statement(Level::Error),
            "defmt_warn" => Use::Statement(Level::Warn),
            "defmt_info" => Use::Statement(Level::Info),
            "defmt_debug" | "defmt_trace" => Use::Statement(Level::Debug),
            _ => Use::Part,
        };
        let parsed = defmt_parser::parse(&name.data, ParserMode::ForwardsCompatible);
        // A string that nobody formats may hold anything.
        let fragments = match parsed {
            Ok(fragments) => fragments.into_iter().map(owned).collect(),
            Err(_) if name.tag == "defmt_str" => Vec::new(),
            Err(_) => return Err(malformed()),
        };
        let arguments = argument_types(&fragments).ok_or_else(malformed)?;
        if let Some(kind) = arguments.iter().find(|kind| !super::wire::is_known(kind)) {
            return Err(LogDecoderError::Argument { text: name.data, kind: format!("{kind:?}") });
        }
        Ok(Self {
            used_as,
            symbol: symbol.to_owned(),
            krate: name.crate_name,
            raw: name.data,
            fragments,
            arguments,
        })
    }
}

/// The same fragment, of nobody's text.
fn owned(fragment: Fragment<'_>) -> Fragment<'static> {
    match fragment {
        Fragment::Literal(text) => Fragment::Literal(text.into_owned().into()),
        Fragment::Parameter(parameter) => Fragment::Parameter(parameter),
    }
}

/// The type of each argument; `None` where one is missing.
fn argument_types(fragments: &[Fragment<'_>]) -> Option<Vec<Type>> {
    let mut by_index = BTreeMap::new();
    for fragment in fragments {
        if let Fragment::Parameter(parameter) = fragment {
            by_index.insert(parameter.index, parameter.ty.clone());
        }
    }
    let is_without_gap = by_index.keys().copied().eq(0..by_index.len());
    is_without_gap.then(|| by_index.into_values().collect())
}

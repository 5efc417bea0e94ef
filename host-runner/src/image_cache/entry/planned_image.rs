//! What planning found of an orchestration: all that the host wants to know before it registers it.
//!
//! Not the plan itself. The executor plans what it loads by itself, from the bytes that it loads,
//! and never sees this: nothing that is written here can have it place, patch or call anything.

use super::error::EntryError;
use super::fields::{FieldReader, FieldWriter};

/// The verdict on one image for one entry: it passed the checks of this host's loader.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PlannedImage {
    /// Address of the entry, as linked.
    pub entry: u64,
    /// Bytes of address space that it takes when it is loaded.
    pub span: u64,
    /// GNU Build-ID, if it has one. Metadata only.
    pub build_id: Option<Vec<u8>>,
    /// The names that it wants from outside. Whether they are offered is asked in each process.
    pub imports: Vec<PlannedImport>,
}

/// A name that an image wants from outside.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PlannedImport {
    /// Name, without version.
    pub name: Vec<u8>,
    /// Whether the image can do without.
    pub weak: bool,
    /// The version that it was linked against.
    pub version: Option<Vec<u8>>,
}

impl PlannedImage {
    /// Writes it as fields.
    pub fn write(&self, fields: &mut FieldWriter) {
        fields.number(self.entry);
        fields.number(self.span);
        optional(fields, self.build_id.as_deref());
        // CAST: usize is at most 64 bits.
        fields.number(self.imports.len() as u64);
        for import in &self.imports {
            fields.bytes(&import.name);
            fields.byte(import.weak.into());
            optional(fields, import.version.as_deref());
        }
    }

    /// Reads what [`write`](Self::write) wrote.
    ///
    /// # Errors
    ///
    /// [`EntryError`].
    pub fn read(fields: &mut FieldReader<'_>) -> Result<Self, EntryError> {
        let mut image = Self {
            entry: fields.number("entry")?,
            span: fields.number("span")?,
            build_id: read_optional(fields, "Build-ID")?,
            imports: Vec::new(),
        };
        // Grown one by one: the number is believed as far as there are bytes.
        for _ in 0..fields.number("number of imports")? {
            image.imports.push(PlannedImport {
                name: fields.bytes("import")?.to_vec(),
                weak: fields.flag("import")?,
                version: read_optional(fields, "version")?,
            });
        }
        Ok(image)
    }

    /// The payload of an entry that holds nothing else.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let mut fields = FieldWriter::default();
        self.write(&mut fields);
        fields.finish()
    }

    /// Reads such a payload.
    ///
    /// # Errors
    ///
    /// [`EntryError`].
    pub fn of_payload(payload: &[u8]) -> Result<Self, EntryError> {
        let mut fields = FieldReader::new(payload);
        let image = Self::read(&mut fields)?;
        fields.finish()?;
        Ok(image)
    }
}

/// Writes bytes that may be absent.
fn optional(fields: &mut FieldWriter, bytes: Option<&[u8]>) {
    fields.byte(bytes.is_some().into());
    if let Some(bytes) = bytes {
        fields.bytes(bytes);
    }
}

/// Reads bytes that may be absent.
fn read_optional(
    fields: &mut FieldReader<'_>,
    part: &'static str,
) -> Result<Option<Vec<u8>>, EntryError> {
    Ok(if fields.flag(part)? { Some(fields.bytes(part)?.to_vec()) } else { None })
}

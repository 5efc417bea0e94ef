//! A packed callable, with what planning found of it and the files it was built from.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::error::EntryError;
use super::fields::{FieldReader, FieldWriter};
use super::planned_image::PlannedImage;
use crate::source_file::{FileStamp, SourceFile};

/// What a build made, and of what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeptBuild {
    /// Sources, headers and shared objects.
    pub files: Vec<SourceFile>,
    /// What planning found of the orchestration; none for one of hbg, which the system's loader opens.
    pub planned: Option<PlannedImage>,
    /// The packed callable (spec callable §1.8).
    pub blob: Vec<u8>,
}

impl KeptBuild {
    /// Writes it as the payload of an entry.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let mut fields = FieldWriter::default();
        // CAST: usize is at most 64 bits.
        fields.number(self.files.len() as u64);
        for file in &self.files {
            fields.bytes(file.path.as_os_str().as_bytes());
            fields.array(&file.digest);
            for part in file.stamp.identity {
                fields.number(part);
            }
            for part in file.stamp.times {
                fields.number(part.cast_unsigned());
            }
            fields.byte(file.is_settled.into());
        }
        fields.byte(self.planned.is_some().into());
        if let Some(planned) = &self.planned {
            planned.write(&mut fields);
        }
        fields.bytes(&self.blob);
        fields.finish()
    }

    /// Reads what [`payload`](Self::payload) wrote.
    ///
    /// # Errors
    ///
    /// [`EntryError`]. Whether the blob is a callable is for its own parser to say.
    pub fn of_payload(payload: &[u8]) -> Result<Self, EntryError> {
        let mut fields = FieldReader::new(payload);
        let mut files = Vec::new();
        // Grown one by one: the number is believed as far as there are bytes.
        for _ in 0..fields.number("number of files")? {
            files.push(read_file(&mut fields)?);
        }
        let is_planned = fields.flag("verdict")?;
        let planned = is_planned.then(|| PlannedImage::read(&mut fields)).transpose()?;
        let blob = fields.bytes("callable")?.to_vec();
        fields.finish()?;
        Ok(Self { files, planned, blob })
    }
}

/// Reads one file of the list.
fn read_file(fields: &mut FieldReader<'_>) -> Result<SourceFile, EntryError> {
    let path = OsStr::from_bytes(fields.bytes("file")?).into();
    let digest = fields.array("file")?;
    let mut stamp = FileStamp { identity: [0; 3], times: [0; 4] };
    for part in &mut stamp.identity {
        *part = fields.number("file")?;
    }
    for part in &mut stamp.times {
        *part = fields.number("file")?.cast_signed();
    }
    Ok(SourceFile { path, digest, stamp, is_settled: fields.flag("file")? })
}

//! What an executor on a device says: the log area in device memory, and its frames as records.
//!
//! ```text
//!  image ── frames, outcome ──▶ log area ──copy──▶ LogArea::collect ──▶ Collected { records, outcome, … }
//!    └── same Build-ID ──▶ unstripped twin ──▶ LogDecoder ───────┘ texts, files, lines
//! ```
//!
//! A device formats an area ([`HostLogArea::new`]), writes its first bytes to device memory, names it in the
//! extension of each record, and asks for what is in it when the record has ended. What comes is from a
//! machine that may have gone wrong: whatever the bytes are, the worst is an error for one ring.
//!
//! Frames are read here and not by defmt's own decoder. That brings forty packages along, some under a licence
//! that this project's library must not have, and takes the numbers in a frame for lengths and depths before it
//! has looked at the rest of it.

use std::collections::BTreeMap;
use std::path::Path;

use goblin::elf::Elf;
use protocol::find_build_id;

use crate::log::{Place, Record};

mod error;
mod host_side;
mod lines;
mod strings;
mod wire;

pub use error::{FrameError, LogDecoderError, LogProblem};
pub use host_side::{Collected, HostLogArea, LogMemory, USUAL_LAYOUT};

use strings::{Text, Texts};
use wire::Said;

/// Knows the texts of one image.
#[derive(Debug, Clone)]
pub struct LogDecoder {
    texts: Texts,
    places: BTreeMap<u16, Place>,
    build_id: [u8; 8],
}

/// Tier of the executor's own statements.
const STATEMENT_TIER: u8 = aicpu_executor::log::HIGHEST_TIER;

impl LogDecoder {
    /// Reads the texts of an image from the bytes of its unstripped twin.
    ///
    /// # Errors
    ///
    /// [`LogDecoderError`]: no ELF file, no texts, or texts that this program does not know how to read.
    pub fn new(twin: &[u8]) -> Result<Self, LogDecoderError> {
        let elf =
            Elf::parse(twin).map_err(|error| LogDecoderError::Elf { reason: error.to_string() })?;
        let texts = Texts::read(&elf)?;
        let places = lines::read(&elf, twin, &texts);
        let build_id = find_build_id(twin).and_then(|id| id.first_chunk()).copied();
        Ok(Self { texts, places, build_id: build_id.unwrap_or_default() })
    }

    /// Reads the texts of an image from the unstripped twin that lies beside it.
    ///
    /// # Errors
    ///
    /// [`LogDecoderError`]; [`LogDecoderError::Unreadable`] where there is no such file.
    pub fn beside(image: &Path) -> Result<Self, LogDecoderError> {
        let twin = image.with_extension("unstripped.so");
        let bytes = std::fs::read(&twin).map_err(|error| LogDecoderError::Unreadable {
            path: twin.clone(),
            reason: error.to_string(),
        })?;
        Self::new(&bytes)
    }

    /// First bytes of the Build-ID of the image; zeroes if it has none.
    pub fn build_id(&self) -> [u8; 8] {
        self.build_id
    }

    /// How many log statements the image has.
    pub fn statements(&self) -> usize {
        self.texts.statements().count()
    }

    /// Reads a frame of the image, which was loaded `bias` bytes behind its addresses; who speaks is left open.
    ///
    /// # Errors
    ///
    /// [`FrameError`]: it is no frame of this image at that place.
    pub fn decode(&self, bias: u64, frame: &[u8]) -> Result<Record, FrameError> {
        let statement = wire::statement(&self.texts, bias, frame)?;
        let level = statement.level;
        let record = |tier, origin, place, text| Record {
            level,
            tier,
            origin,
            place,
            aicpu_thread: None,
            callable: None,
            text,
        };
        Ok(match statement.said {
            Said::Record { tier, origin, place, text } => {
                let place = place.map(|(file, line)| Place { file, line });
                record(tier, origin, place, text)
            }
            Said::Statement(text) => {
                let place = self.places.get(&statement.address).cloned();
                let origin = self
                    .texts
                    .at(statement.address)
                    .map_or_else(String::new, |text| module_of(text, place.as_ref()));
                record(STATEMENT_TIER, origin, place, text)
            }
        })
    }
}

/// The module that a statement is in, as the compiler calls it in the simulator: by the crate and the file.
fn module_of(text: &Text, place: Option<&Place>) -> String {
    let file = place.map(|place| place.file.as_str()).unwrap_or_default();
    let inside = file.rsplit_once("/src/").map_or("", |(_, inside)| inside);
    let inside = inside.strip_suffix(".rs").unwrap_or(inside);
    let inside = inside.strip_suffix("/mod").unwrap_or(inside);
    let krate = text.krate.as_str();
    if inside.is_empty() || inside == "lib" {
        return krate.to_owned();
    }
    format!("{krate}::{}", inside.replace('/', "::"))
}

//! No loader at all: only what none can do without. A row here says what is left to gain.
//!
//! | floor | what |
//! |---|---|
//! | `floor_fresh`, `floor_fresh_populated` | map, copy the segments, touch, final rights, unmap |
//! | `floor_file` | map the segments of the file, touch the pages that are relocated, unmap |
//! | `floor_warm_sealed` | all writable, copy, touch, final rights; the memory stays |
//! | `floor_warm` | copy, touch |

use std::fs::File;

use anyhow::{Context, Result};

use super::{Exports, Method};
use crate::fixture::Fixture;
use crate::fixture::facts::Rights;
use crate::fixture::source::Answers;
use crate::mapping::Mapping;

pub(crate) use crate::mapping::Population;

/// Copies all segments and writes to each page that is relocated.
fn copy(fixture: &Fixture, memory: &mut Mapping) -> Result<()> {
    for segment in &fixture.facts.segments {
        let bytes =
            fixture.bytes.get(segment.file.clone()).context("a segment outside the file")?;
        memory.write(segment.offset, bytes);
    }
    for page in &fixture.facts.relocated_pages {
        memory.touch(*page);
    }
    Ok(())
}

/// Gives all pages that are not plainly writable their final rights.
fn seal(fixture: &Fixture, memory: &Mapping) -> Result<()> {
    for run in fixture.facts.runs.iter().filter(|run| run.rights != Rights::ReadWrite) {
        memory.protect(run.range.clone(), run.rights)?;
    }
    Ok(())
}

/// A mapping for each load.
pub(crate) struct Fresh<'f> {
    fixture: &'f Fixture,
    population: Population,
}

impl<'f> Fresh<'f> {
    pub(crate) fn new(fixture: &'f Fixture, population: Population) -> Self {
        Self { fixture, population }
    }
}

impl Method for Fresh<'_> {
    fn name(&self) -> &'static str {
        match self.population {
            Population::AtFirstUse => "floor_fresh",
            Population::AtOnce => "floor_fresh_populated",
        }
    }

    fn image(&self) -> &'static str {
        self.fixture.image
    }

    fn expected(&self) -> Option<Answers> {
        None
    }

    fn load(&mut self, _: &mut dyn FnMut(&Exports)) -> Result<()> {
        let mut memory = Mapping::writable(self.fixture.facts.span, self.population)?;
        copy(self.fixture, &mut memory)?;
        seal(self.fixture, &memory)
    }
}

/// Maps of the file, which lies ready and open.
pub(crate) struct FromFile<'f> {
    fixture: &'f Fixture,
    file: File,
}

impl<'f> FromFile<'f> {
    pub(crate) fn new(fixture: &'f Fixture) -> Result<Self> {
        let file = File::open(&fixture.path);
        Ok(Self { fixture, file: file.context("cannot open an image")? })
    }
}

impl Method for FromFile<'_> {
    fn name(&self) -> &'static str {
        "floor_file"
    }

    fn image(&self) -> &'static str {
        self.fixture.image
    }

    fn expected(&self) -> Option<Answers> {
        None
    }

    fn load(&mut self, _: &mut dyn FnMut(&Exports)) -> Result<()> {
        let mut memory = Mapping::reserved(self.fixture.facts.span)?;
        for segment in &self.fixture.facts.segments {
            memory.map_file(&self.file, segment)?;
        }
        for page in &self.fixture.facts.relocated_pages {
            memory.touch(*page);
        }
        Ok(())
    }
}

/// Whether a warm floor changes rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sealing {
    Never,
    EachTime,
}

/// The same memory each time.
pub(crate) struct Warm<'f> {
    fixture: &'f Fixture,
    sealing: Sealing,
    memory: Mapping,
}

impl<'f> Warm<'f> {
    pub(crate) fn new(fixture: &'f Fixture, sealing: Sealing) -> Result<Self> {
        let memory = Mapping::writable(fixture.facts.span, Population::AtOnce)?;
        Ok(Self { fixture, sealing, memory })
    }
}

impl Method for Warm<'_> {
    fn name(&self) -> &'static str {
        match self.sealing {
            Sealing::Never => "floor_warm",
            Sealing::EachTime => "floor_warm_sealed",
        }
    }

    fn image(&self) -> &'static str {
        self.fixture.image
    }

    fn expected(&self) -> Option<Answers> {
        None
    }

    fn load(&mut self, _: &mut dyn FnMut(&Exports)) -> Result<()> {
        if self.sealing == Sealing::EachTime {
            self.memory.protect(0..self.fixture.facts.span, Rights::ReadWrite)?;
        }
        copy(self.fixture, &mut self.memory)?;
        match self.sealing {
            Sealing::Never => Ok(()),
            Sealing::EachTime => seal(self.fixture, &self.memory),
        }
    }
}

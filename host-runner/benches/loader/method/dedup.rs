//! No load: the decision whether bytes that come in are those of an image that is there already.
//!
//! The index holds as many images as there are slots, all of one length, so that only the hash
//! tells where to look; the comparison in full decides.

use anyhow::{Result, ensure};
use host_runner::registry::content::{ContentId, ContentIndex};

use super::{Exports, Method};
use crate::fixture::Fixture;
use crate::fixture::source::Answers;

/// Images in the index.
const CONTENTS: u8 = 64;

/// Looks for an image that the index holds.
pub(crate) struct Dedup<'f> {
    fixture: &'f Fixture,
    index: ContentIndex,
    id: ContentId,
}

impl<'f> Dedup<'f> {
    pub(crate) fn new(fixture: &'f Fixture) -> Self {
        let mut index: ContentIndex = ContentIndex::default();
        let id = index.insert(&fixture.bytes);
        for other in 1..CONTENTS {
            let mut bytes = fixture.bytes.clone();
            if let Some(last) = bytes.last_mut() {
                *last ^= other;
            }
            index.insert(&bytes);
        }
        Self { fixture, index, id }
    }
}

impl Method for Dedup<'_> {
    fn name(&self) -> &'static str {
        "dedup_equal"
    }

    fn image(&self) -> &'static str {
        self.fixture.image
    }

    fn expected(&self) -> Option<Answers> {
        None
    }

    fn load(&mut self, _: &mut dyn FnMut(&Exports)) -> Result<()> {
        let found = self.index.find(&self.fixture.bytes);
        ensure!(found == Some(self.id), "wrong result: the index finds {found:?} for an image");
        Ok(())
    }
}

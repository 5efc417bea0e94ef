//! Kept contents that claim to be the same build.
//!
//! A Build-ID names a build, not a file: stripping and patching keep it, and its author may choose
//! it. Two different contents with the same one are worth a warning, once for a pair: also where
//! one of the two comes and goes all the time.

use std::collections::{BTreeSet, HashMap};

use aicpu_executor::loader::BuildId;

use super::{ContentId, ContentKey};

/// Pairs of one Build-ID that are remembered. With more, some are told again.
const TOLD_MAX: usize = 64;

/// All Build-IDs of an index.
#[derive(Debug, Default)]
pub(super) struct Namesakes {
    builds: HashMap<BuildId, Build>,
}

/// What has one Build-ID; there is at least one content.
#[derive(Debug, Default)]
struct Build {
    /// In the order in which they came.
    kept: Vec<(ContentId, ContentKey)>,
    /// Pairs that were told, the smaller key first.
    told: BTreeSet<[ContentKey; 2]>,
}

impl Namesakes {
    /// Adds a content, which differs from all others; returns the key of the oldest one that has
    /// the same Build-ID, if this pair was not told of before.
    ///
    /// Told of once means: as long as there is a content with the Build-ID.
    pub(super) fn add(
        &mut self,
        build_id: BuildId,
        id: ContentId,
        key: ContentKey,
    ) -> Option<ContentKey> {
        let build = self.builds.entry(build_id).or_default();
        build.kept.push((id, key));
        let (oldest, other) = *build.kept.first()?;
        if oldest == id {
            return None;
        }
        if build.told.len() == TOLD_MAX {
            build.told.clear();
        }
        build.told.insert([other.min(key), other.max(key)]).then_some(other)
    }

    /// Forgets a content.
    pub(super) fn remove(&mut self, build_id: &BuildId, id: ContentId) {
        let Some(build) = self.builds.get_mut(build_id) else { return };
        build.kept.retain(|(each, _)| *each != id);
        if build.kept.is_empty() {
            self.builds.remove(build_id);
        }
    }

    /// Whether nothing is kept.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.builds.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [ContentKey; 3] = [
        ContentKey { bytes: 1, hash: 30 },
        ContentKey { bytes: 2, hash: 20 },
        ContentKey { bytes: 3, hash: 10 },
    ];

    fn build_id(text: &str) -> BuildId {
        BuildId::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_pair_is_told_once_in_either_order() {
        let (mut all, build) = (Namesakes::default(), build_id("one"));
        assert_eq!(all.add(build, ContentId(0), KEYS[0]), None);
        assert_eq!(all.add(build, ContentId(1), KEYS[1]), Some(KEYS[0]));
        assert_eq!(all.add(build, ContentId(2), KEYS[2]), Some(KEYS[0]), "another pair");
        assert_eq!(all.add(build_id("two"), ContentId(3), KEYS[2]), None, "another build");
        all.remove(&build, ContentId(2));
        // The first one goes and comes back: now the second is the oldest.
        all.remove(&build, ContentId(0));
        assert_eq!(all.add(build, ContentId(4), KEYS[0]), None);
        assert_eq!(all.add(build, ContentId(5), KEYS[2]), Some(KEYS[1]), "never told");
    }

    #[test]
    fn what_was_told_goes_with_the_last_content() {
        let (mut all, build) = (Namesakes::default(), build_id("one"));
        for _ in 0..2 {
            assert_eq!(all.add(build, ContentId(0), KEYS[0]), None);
            assert_eq!(all.add(build, ContentId(1), KEYS[1]), Some(KEYS[0]));
            for id in [0, 1] {
                all.remove(&build, ContentId(id));
            }
            assert!(all.is_empty());
        }
    }

    #[test]
    fn pairs_without_number_do_not_grow_the_memory() {
        let (mut all, build) = (Namesakes::default(), build_id("one"));
        all.add(build, ContentId(0), KEYS[0]);
        for number in 1..10 * TOLD_MAX as u64 {
            let key = ContentKey { bytes: 7, hash: u128::from(number) };
            assert_eq!(all.add(build, ContentId(number), key), Some(KEYS[0]));
            all.remove(&build, ContentId(number));
            assert!(all.builds[&build].told.len() <= TOLD_MAX);
            assert_eq!(all.builds[&build].kept.len(), 1);
        }
    }
}

//! One task of many blocks, as the orchestration reads it.

/// A task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Task {
    blocks: u64,
    is_whole: bool,
    is_sync: bool,
    group: u64,
}

/// A task of this many blocks on vector cores.
pub(super) const fn aiv(blocks: u64) -> Task {
    Task { blocks, is_whole: false, is_sync: false, group: 0 }
}

/// A task of this many blocks on whole clusters.
pub(super) const fn mix(blocks: u64) -> Task {
    Task { blocks, is_whole: true, is_sync: false, group: 0 }
}

impl Task {
    /// All blocks start together.
    pub(super) const fn sync(self) -> Self {
        Self { is_sync: true, ..self }
    }

    /// Its cores meet those of the other tasks of this group.
    pub(super) const fn group(self, group: u64) -> Self {
        Self { group, ..self }
    }

    /// Whether all blocks start together.
    pub(super) const fn is_sync(self) -> bool {
        self.is_sync
    }

    /// The group, as an index.
    pub(super) const fn group_index(self) -> usize {
        // CAST: a few dozen.
        self.group as usize
    }

    /// How the orchestration is told of it.
    pub(super) fn scalar(self) -> u64 {
        let flags = u64::from(self.is_whole) | u64::from(self.is_sync) << 1;
        self.blocks | flags << 16 | self.group << 18
    }

    /// Cache lines of it: one for each core that runs a block.
    pub(super) fn lines(self) -> usize {
        // CAST: a few dozen.
        self.blocks as usize * if self.is_whole { 3 } else { 1 }
    }

    /// What its lines hold first: the index of their block.
    pub(super) fn marks(self) -> impl Iterator<Item = Vec<f32>> {
        let cores = if self.is_whole { 3 } else { 1 };
        (0..self.blocks).flat_map(move |block| vec![vec![block as f32]; cores])
    }
}

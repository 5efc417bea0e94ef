//! What the turns need of the cores and their pool.

/// The cores, as those who take turns see them. Called with the state of the turns locked.
pub trait Cores {
    /// Entry of the kernel that the core would call next; `None` if its next transition is another.
    fn next_kernel(&self, core: usize) -> Option<u64>;
    /// Entry of the kernel that the core is in.
    fn running_kernel(&self, core: usize) -> Option<u64>;
    /// Makes one transition that is no kernel call; whether the core has something left to do.
    fn move_on(&self, core: usize) -> bool;
    /// Has a thread of the pool make the call; `running` kernels are in flight, this one included.
    fn start_kernel(&self, core: usize, running: usize);
    /// Has the pool step the core without turns.
    fn set_free(&self, core: usize);
}

/// What a pool thread does after a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterKernel {
    /// Call the next kernel of this core.
    Run(usize),
    /// Nothing: somebody else has the turn.
    Done,
    /// Step the core on: the run has no turns any more.
    Free,
}

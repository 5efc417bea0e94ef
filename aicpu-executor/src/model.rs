//! The lock-free pieces alone, for a model run (`--cfg loom`): the rest of the crate lays atomics
//! over shared memory, which loom's cannot do.

mod region {
    #[path = "../../region/consumer_list.rs"]
    mod consumer_list;
}
mod scheduler {
    #[path = "../../scheduler/ready_queue.rs"]
    mod ready_queue;
}

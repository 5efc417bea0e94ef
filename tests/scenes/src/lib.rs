//! Scenes: whole programs, an orchestration and its kernels in C++, run on the simulator of both
//! chips and compared with results that are computed here by other means than the kernels'.
//!
//! ```text
//!  catalogue ──▶ Scene ──▶ Case ──▶ arguments, with what they must be afterwards
//!                  │
//!  runner ── one child process a (scene, chip) ── performance: cases × AICPU threads × block_dims
//!     │                                                 │ events, a line of JSON each
//!     └──────────── row of the table ◀──────────────────┘
//! ```
//!
//! A crash or a hang of user code ends the child and becomes a row of the table; the other scenes go
//! on. The peak of a child's memory is that of its scene alone.
//!
//! A new scene is a folder `programs/<scene>/` and a function in a file of `catalogue/`.

pub mod arguments;
pub mod catalogue;
pub mod child;
pub mod device_kind;
pub mod event;
pub mod performance;
pub mod program;
pub mod row;
pub mod runner;
pub mod scene;
pub mod stage;
pub mod table;

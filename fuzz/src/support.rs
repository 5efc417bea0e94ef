//! The support files of the loader's tests, as far as the targets need them.
#![allow(dead_code, missing_docs, reason = "they are documented where they are tested")]

#[path = "../../aicpu-executor/tests/support/checked_memory.rs"]
pub mod checked_memory;
#[path = "../../aicpu-executor/tests/support/compiler.rs"]
pub mod compiler;
#[path = "../../aicpu-executor/tests/support/elf_numbers.rs"]
pub mod elf_numbers;
#[path = "../../aicpu-executor/tests/support/image_builder.rs"]
pub mod image_builder;
#[path = "../../aicpu-executor/tests/support/image_patch.rs"]
pub mod image_patch;
#[path = "../../aicpu-executor/tests/support/model.rs"]
pub mod model;
#[path = "../../aicpu-executor/tests/support/mutator.rs"]
pub mod mutator;
#[path = "../../aicpu-executor/tests/support/oracle.rs"]
pub mod oracle;
#[path = "../../aicpu-executor/tests/support/regions.rs"]
pub mod regions;
#[path = "../../aicpu-executor/tests/support/section_table.rs"]
pub mod section_table;
#[path = "../../aicpu-executor/tests/support/specimens.rs"]
pub mod specimens;
#[path = "../../aicpu-executor/tests/support/versioned_image.rs"]
pub mod versioned_image;

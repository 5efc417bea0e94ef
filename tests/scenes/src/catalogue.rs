//! All scenes, a file for each family.

use crate::scene::Scene;

mod batched_matmul;
mod broken;
mod cells;
mod failures;
mod fans;
mod matmul_add;
mod mixed;
mod numbers;
mod paged_attention;
mod rings;
mod scalar_data;
mod spmd;
mod tensors;
mod vector;
mod views;
mod workers;

/// All scenes, in the order of the table.
#[must_use]
pub fn all() -> Vec<Scene> {
    let families = [
        vector::scenes(),
        scalar_data::scenes(),
        matmul_add::scenes(),
        batched_matmul::scenes(),
        paged_attention::scenes(),
        mixed::scenes(),
        spmd::scenes(),
        fans::scenes(),
        rings::scenes(),
        tensors::scenes(),
        views::scenes(),
        failures::scenes(),
        workers::scenes(),
    ];
    families.into_iter().flatten().collect()
}

/// Scenes that must fail, each in its own way: they show that the runner reports it.
#[must_use]
pub fn broken() -> Vec<Scene> {
    broken::scenes()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn names_are_used_once_and_are_those_of_folders() {
        let mut seen = BTreeSet::new();
        for scene in all().iter().chain(&broken()) {
            assert!(seen.insert(scene.name), "{} is there twice", scene.name);
            assert!(!scene.cases.is_empty(), "{} has no case", scene.name);
            let cases: BTreeSet<_> = scene.cases.iter().map(|case| &case.name).collect();
            assert_eq!(cases.len(), scene.cases.len(), "{} has a case twice", scene.name);
        }
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
        for entry in std::fs::read_dir(programs).unwrap() {
            let folder = entry.unwrap();
            let name = folder.file_name().to_string_lossy().into_owned();
            if folder.path().is_dir() {
                let is_used = all().iter().chain(&broken()).any(|scene| {
                    scene
                        .programs
                        .iter()
                        .any(|program| program.orchestration.starts_with(&format!("{name}/")))
                });
                assert!(is_used, "no scene uses programs/{name}");
            }
        }
    }
}

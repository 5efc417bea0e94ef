//! All scenes, a file for each family.

use crate::scene::Scene;

mod batched_matmul;
mod broken;
mod cells;
mod deferred;
mod failures;
mod fans;
mod host_graph;
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
        deferred::scenes(),
        host_graph::scenes(),
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
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::scene::{Expect, Work};

    #[test]
    fn names_are_used_once() {
        let mut seen = BTreeSet::new();
        for scene in all().iter().chain(&broken()) {
            assert!(seen.insert(scene.name), "{} is there twice", scene.name);
            assert!(!scene.cases.is_empty(), "{} has no case", scene.name);
            let cases: BTreeSet<_> = scene.cases.iter().map(|case| &case.name).collect();
            assert_eq!(cases.len(), scene.cases.len(), "{} has a case twice", scene.name);
        }
    }

    #[test]
    fn every_source_in_programs_is_used() {
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
        let scenes = all().into_iter().chain(broken());
        let used: BTreeSet<_> = scenes
            .flat_map(|scene| scene.programs)
            .flat_map(|program| {
                let kernels = program.kernels.into_iter().map(|kernel| kernel.source);
                kernels.chain([program.orchestration]).collect::<Vec<_>>()
            })
            .map(|source| programs.join(source))
            .collect();
        let mut folders = vec![programs];
        let mut found = BTreeSet::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "cpp") {
                    found.insert(path);
                }
            }
        }
        assert_eq!(used, found);
    }

    #[test]
    fn what_must_fail_is_followed_by_what_must_not() {
        for scene in all() {
            for case in &scene.cases {
                let Work::Run { program, expect, .. } = &case.work else { continue };
                let is_program = scene.programs.iter().any(|p| p.name == *program);
                assert!(is_program, "{}: no program {program}", scene.name);
                let has_good = scene.cases.iter().any(|good| good.recovers(case));
                let is_good = matches!(expect, Expect::Values { .. });
                assert!(is_good || has_good, "{}: nothing after {}", scene.name, case.name);
            }
        }
    }
}

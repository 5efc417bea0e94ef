//! What the sequences register: callables of one source that differ in image, entry or kernel, and
//! callables that cannot be registered.

use std::collections::HashMap;
use std::sync::LazyLock;

use host_runner::callable::{Callable, KernelImage};
use protocol::callable::parse::ChipCallableView;
use protocol::{ChipName, CoreType, StatusCode};
use tests::sources;

use crate::calls::Registered;

/// A callable whose output says that it was this one. All images have one length and one Build-ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Program {
    /// The number that is written into the image.
    pub(crate) image: u64,
    /// Which entry of the image, 1 or 2.
    pub(crate) entry: u64,
    /// Which kernel has func id 0: the one that fills downwards, or the one that fills upwards.
    pub(crate) downwards: bool,
}

/// Images of one source.
pub(crate) const IMAGES: u64 = 3;

/// A part of a program, by its bytes: equal ones are on the device once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Part {
    /// The image with this number in it.
    Image(u64),
    /// The kernel that fills; it differs in `downwards`.
    Fills { downwards: bool },
    /// The kernel that throws, the same in all programs.
    Throws,
}

/// The parts of a program, each with the bytes of device memory that it takes.
pub(crate) type Parts = [(Part, usize); 3];

/// All programs, built once.
static PROGRAMS: LazyLock<HashMap<Program, (Callable, Parts)>> = LazyLock::new(|| {
    let built = |program: Program| {
        let callable = program.build();
        let view = ChipCallableView::parse(callable.blob()).expect("a whole blob");
        let kernels: Vec<_> = view.children().map(|(_, kernel)| kernel.blob.len()).collect();
        let Program { image, downwards, .. } = program;
        let parts = [
            (Part::Fills { downwards }, kernels[0]),
            (Part::Throws, kernels[1]),
            (Part::Image(image), view.orchestration().len()),
        ];
        (program, (callable, parts))
    };
    let all = (0..IMAGES * 4).map(|number| Program {
        image: number / 4,
        entry: 1 + number % 2,
        downwards: number % 4 >= 2,
    });
    all.map(built).collect()
});

impl Program {
    /// The callable.
    pub(crate) fn callable(self) -> &'static Callable {
        &PROGRAMS[&self].0
    }

    /// What it is made of.
    pub(crate) fn parts(self) -> &'static Parts {
        &PROGRAMS[&self].1
    }

    /// The first cell of what run number `run` since it was loaded leaves.
    pub(crate) const fn first_cell(self, run: u64) -> u64 {
        self.image * 100_000_000 + self.entry * 10_000_000 + run * 1000
    }

    /// What run number `run` since it was loaded leaves in `count` cells.
    pub(crate) fn output(self, run: u64, count: usize) -> Vec<u64> {
        let first = self.first_cell(run);
        let cell = |i| if self.downwards { first - i } else { first + i };
        (0..count as u64).map(cell).collect()
    }

    fn build(self) -> Callable {
        let fills = if self.downwards { "fill_down" } else { "fill" };
        let kernels = vec![vector_kernel(0, fills), vector_kernel(1, "throws")];
        let entry = ["first_entry", "second_entry"][self.entry as usize - 1];
        let builder = Callable::builder(sources::witness_for(ChipName::A2a3, self.image))
            .name("witness")
            .entry(entry);
        sources::packed(builder, kernels)
    }
}

fn vector_kernel(func_id: i64, name: &str) -> KernelImage {
    sources::kernel(func_id, CoreType::Aiv, name)
}

/// What keeps a callable from being registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Flaw {
    /// The orchestration is a text.
    NotElf,
    /// Half of its image is missing.
    Truncated,
    /// It is for another machine.
    OtherMachine,
    /// Its entry is not there.
    MissingEntry,
    /// It calls a function that nobody has.
    MissingImport,
    /// The second kernel is a text.
    KernelNotElf,
    /// The second kernel has no entry.
    KernelWithoutEntry,
    /// The second kernel throws while it is loaded.
    KernelThrows,
    /// A constructor of the orchestration throws, on the device, after all else is in place.
    ConstructorThrows,
}

impl Flaw {
    /// All of them.
    pub(crate) const ALL: [Self; 9] = [
        Self::NotElf,
        Self::Truncated,
        Self::OtherMachine,
        Self::MissingEntry,
        Self::MissingImport,
        Self::KernelNotElf,
        Self::KernelWithoutEntry,
        Self::KernelThrows,
        Self::ConstructorThrows,
    ];

    /// What comes of its registration, where there is an id for it.
    pub(crate) const fn registered(self) -> Registered {
        match self {
            Self::KernelNotElf | Self::KernelWithoutEntry | Self::KernelThrows => {
                Registered::BadKernel(1)
            }
            Self::ConstructorThrows => Registered::NotLoaded(StatusCode::EntryException),
            _ => Registered::BadOrchestration,
        }
    }

    /// A callable with the flaw. All else is that of a good one.
    pub(crate) fn callable(self) -> Callable {
        let mut image = sources::witness_for(ChipName::A2a3, 1);
        let mut entry = "first_entry";
        let mut kernel = vector_kernel(1, "throws");
        match self {
            Self::NotElf => image = b"#!/bin/sh\n".to_vec(),
            Self::Truncated => image.truncate(image.len() / 2),
            Self::OtherMachine => image[18] = 40,
            Self::MissingEntry => entry = "third_entry",
            Self::MissingImport => {
                image = sources::orchestration("missing_import");
                entry = "aicpu_orchestration_entry";
            }
            Self::ConstructorThrows => {
                image = sources::orchestration("constructor_throws");
                entry = "aicpu_orchestration_entry";
            }
            Self::KernelNotElf => kernel.binary = b"#!/bin/sh\n".to_vec(),
            Self::KernelWithoutEntry => kernel = vector_kernel(1, "no_entry"),
            Self::KernelThrows => kernel = vector_kernel(1, "throws_while_loading"),
        }
        let builder = Callable::builder(image).name("flawed").entry(entry);
        sources::packed(builder, vec![vector_kernel(0, "fill"), kernel])
    }
}

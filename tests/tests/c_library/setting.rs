//! Callables and arguments of the tests, and a client on each chip.

use host_runner::callable::{Callable, KernelImage};
use host_runner::worker::PlatformName;
use protocol::{ArgDirection, ChipName, ChipStorageTaskArgs, CoreType, DataType};
use tests::c_library::{Client, HostLibrary, arguments, tensor};
use tests::sources;

/// Both chips: the library, and what callables are compiled for.
pub(crate) const CHIPS: [(&str, PlatformName); 2] =
    [("a2a3_trb", PlatformName::A2a3Sim), ("a5_trb", PlatformName::A5Sim)];

/// The library of a2a3, attached to a device.
pub(crate) fn with_client(test: impl FnOnce(&Client<'_>)) {
    let library = HostLibrary::open("a2a3_trb");
    test(&library.attach());
}

/// Allocations and bytes of each holder that has any.
pub(crate) fn held(client: &Client<'_>) -> Vec<(String, u64, u64)> {
    let report: serde_json::Value = serde_json::from_str(&client.memory_report()).unwrap();
    let holders = report["memory"]["holders"].as_array().unwrap();
    let holder = |it: &serde_json::Value| {
        let number = |key: &str| it[key].as_u64().unwrap();
        (it["holder"].as_str().unwrap().to_owned(), number("allocations"), number("bytes"))
    };
    // Arenas are mapped by the first run and stay.
    let is_held = |(name, allocations, _): &(String, u64, u64)| {
        *allocations > 0 && name != "run arenas" && name != "code"
    };
    holders.iter().map(holder).filter(is_held).collect()
}

/// The callable of the reference's scenarios: f = (a + b + 1)(a + b + 2) + (a + b), on floats.
pub(crate) fn vector_add(platform: PlatformName) -> Vec<u8> {
    sources::example_for(platform, "vector_add").1.blob().to_vec()
}

/// A callable on 64-bit numbers with an entry of `c_library.cpp`.
pub(crate) fn cells(entry: &str, signature: Vec<ArgDirection>) -> Callable {
    let builder = Callable::builder(sources::orchestration("c_library")).entry(entry);
    sources::packed(builder.signature(signature), sources::cell_kernels())
}

/// A callable with an entry of `faults.cpp`, and a configuration.
pub(crate) fn faulty(chip: ChipName, entry: &str, config: &str) -> Callable {
    let builder = Callable::builder(sources::orchestration_for(chip, "faults")).entry(entry);
    let names = ["fill", "add", "append", "weigh", "throws"];
    let kernel = |(id, name): (i64, &&str)| -> KernelImage {
        sources::kernel_for(chip, id, CoreType::Aiv, name)
    };
    sources::packed(builder.config(config), (0..).zip(&names).map(kernel).collect())
}

/// The arguments of [`vector_add`]: 128 x 128 floats each.
#[derive(Debug, Clone)]
pub(crate) struct Floats {
    a: Vec<f32>,
    b: Vec<f32>,
    pub(crate) f: Vec<f32>,
}

impl Floats {
    const SIDE: u32 = 128;

    /// The inputs of the reference's scenarios, and an output of zeros.
    pub(crate) fn new() -> Self {
        let filled = |value| vec![value; (Self::SIDE * Self::SIDE) as usize];
        Self { a: filled(2.0), b: filled(3.0), f: filled(0.0) }
    }

    /// The record of a run.
    pub(crate) fn record(&mut self) -> ChipStorageTaskArgs {
        let square = |elements: &mut Vec<f32>| {
            let mut square = tensor(DataType::Float32, elements);
            (square.shapes, square.ndims) = ([Self::SIDE, Self::SIDE, 0, 0, 0], 2);
            square
        };
        arguments(&[square(&mut self.a), square(&mut self.b), square(&mut self.f)], &[])
    }

    /// Overwrites the inputs, which a submitted run has copied.
    pub(crate) fn forget_inputs(&mut self) {
        self.a.fill(-1.0);
        self.b.fill(-1.0);
    }

    /// Runs a callable and checks that every element of the output is `expected`.
    #[track_caller]
    pub(crate) fn run_and_check(client: &Client<'_>, cid: i32, expected: f32) {
        let mut floats = Self::new();
        let record = floats.record();
        assert_eq!(client.run(cid, &record), 0, "{}", client.last_error());
        floats.check(expected);
    }

    /// Checks that every element of the output is `expected`, and the inputs as they were.
    #[track_caller]
    pub(crate) fn check(&self, expected: f32) {
        self.check_with_inputs(expected, 2.0, 3.0);
    }

    /// The same, where the client has overwritten the inputs, and they have stayed so.
    #[track_caller]
    pub(crate) fn check_with_forgotten_inputs(&self, expected: f32) {
        self.check_with_inputs(expected, -1.0, -1.0);
    }

    #[track_caller]
    fn check_with_inputs(&self, expected: f32, a: f32, b: f32) {
        let is = |elements: &[f32], value: f32| elements.iter().all(|it| (it - value).abs() < 1e-5);
        assert!(is(&self.f, expected), "{} is not {expected}", self.f[0]);
        assert!(is(&self.a, a) && is(&self.b, b), "the inputs stay");
    }
}

/// What the scenarios compute from 2 and 3.
pub(crate) const GOLDEN: f32 = 47.0;

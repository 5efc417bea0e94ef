//! The correctness weaknesses of the reference (spec callable §7.1), through the C library. Each test is
//! named after its weakness; a build that has it fails.

use host_runner::callable::{Callable, CallableBuilder, KernelImage};
use protocol::callable::parse::ChipCallableView;
use protocol::{ArgDirection, ChipStorageTaskArgs, DataType, FuncId};
use tests::c_library::{Client, HostLibrary, arguments, tensor};
use tests::flag::Flag;
use tests::sources;
use tests::workers::SENTINEL;

use crate::setting::{CHIPS, Floats, GOLDEN, cells, faulty, held, vector_add, with_client};
use crate::submissions::{prepare_waiting, waiting};

/// One tensor of sentinels, and the record of a run with it.
fn sentinels(cells: &mut [u64; 8], scalars: &[u64]) -> ChipStorageTaskArgs {
    cells.fill(SENTINEL);
    arguments(&[tensor(DataType::Uint64, cells)], scalars)
}

/// The parts of `vector_add`, packed again.
fn packed_again(
    orchestration: impl FnOnce(&[u8]) -> Vec<u8>,
    func_id: impl Fn(FuncId) -> FuncId,
) -> Vec<u8> {
    let blob = vector_add(CHIPS[0].1);
    let view = ChipCallableView::parse(&blob).unwrap();
    let builder = Callable::builder(orchestration(view.orchestration()));
    let kernels = view.children().map(|(id, kernel)| KernelImage {
        func_id: func_id(id),
        core_type: protocol::CoreType::Aiv,
        binary: kernel.binary.to_vec(),
        name: id.to_string(),
    });
    kernels.fold(builder, CallableBuilder::kernel).build().unwrap().blob().to_vec()
}

#[test]
fn h1_a_failed_run_poisons_neither_its_id_nor_others() {
    for (library, platform) in CHIPS {
        let library = HostLibrary::open(library);
        let client = library.attach();
        let chip = platform.chip();
        assert_eq!(client.prepare(0, &vector_add(platform)), 0);
        for (entry, code) in [("fatal", -9), ("throws_error", -204), ("missing_kernel", -203)] {
            assert_eq!(client.prepare(1, faulty(chip, entry, "").blob()), 0, "{entry}");
            let mut cells = [0; 8];
            let record = sentinels(&mut cells, &[]);
            for _ in 0..2 {
                assert_eq!(client.run(1, &record), code, "{entry}: {}", client.last_error());
                assert_eq!(cells, [SENTINEL; 8], "{entry} leaves the output as it was");
                Floats::run_and_check(&client, 0, GOLDEN);
            }
            assert_eq!(client.unregister(1), 0);
        }
    }
}

#[test]
fn h2_an_id_whose_first_run_fails_works_without_being_prepared_again() {
    with_client(|client| {
        let chip = CHIPS[0].1.chip();
        let callable = faulty(chip, "spoils", "expects_three");
        assert_eq!(client.prepare(0, callable.blob()), 0);
        let mut cells = [0; 8];
        let short = sentinels(&mut cells, &[]);
        assert_eq!(client.run(0, &short), -202, "{}", client.last_error());
        assert_eq!(cells, [SENTINEL; 8]);
        let whole = sentinels(&mut cells, &[1, 2]);
        assert_eq!(client.run(0, &whole), 0, "{}", client.last_error());
        assert_eq!((cells[0], cells[7], client.loads()), (666, 673, (1, 0)));
    });
}

#[test]
fn h3_equal_func_ids_with_different_kernels_run_each_its_own() {
    with_client(|client| {
        // The same orchestration with add and mul in each other's place.
        let swap = |id: FuncId| FuncId::new([2, 1, 0][id.index()]).unwrap();
        let swapped = packed_again(<[u8]>::to_vec, swap);
        assert_eq!(client.prepare(0, &vector_add(CHIPS[0].1)), 0);
        assert_eq!(client.prepare(1, &swapped), 0);
        // A preparation that is refused touches nothing either.
        assert_eq!(client.prepare(0, &swapped), -1);
        // c = ab, d = c + 1, e = c + 2, g = d + e, f = gc
        let other = 6.0 * (7.0 + 8.0);
        for cid in [0, 1, 1, 0, 1, 0] {
            Floats::run_and_check(client, cid, [GOLDEN, other][cid as usize]);
        }
        assert_eq!(client.unregister(1), 0);
        Floats::run_and_check(client, 0, GOLDEN);
    });
}

#[test]
fn h5_sixty_four_tensors_are_copied_both_ways_and_cost_nothing_run_for_run() {
    with_client(|client| {
        assert_eq!(client.prepare(0, cells("chains_all", Vec::new()).blob()), 0);
        for count in [63, 64] {
            let mut tensors: Vec<[u64; 3]> = (0..count).map(|index| [index, 7, 1 << 40]).collect();
            let mut expected = tensors.clone();
            for index in 0..expected.len() {
                let before = expected[index.saturating_sub(1)];
                for (cell, before) in expected[index].iter_mut().zip(before) {
                    let next = cell.wrapping_mul(3).wrapping_add(before);
                    *cell = next.wrapping_add(index as u64);
                }
            }
            let records: Vec<_> =
                tensors.iter_mut().map(|cells| tensor(DataType::Uint64, cells)).collect();
            let record = arguments(&records, &[]);
            assert_eq!(client.run(0, &record), 0, "{}", client.last_error());
            assert_eq!(tensors, expected, "{count} tensors");
            let before = held(client);
            for _ in 0..3 {
                assert_eq!(client.run(0, &record), 0);
            }
            assert_eq!(held(client), before, "runs keep nothing more");
            assert!(before.iter().all(|(holder, ..)| holder != "user"), "{before:?}");
        }
    });
}

#[test]
fn h6_two_images_with_one_build_id_are_two_images() {
    with_client(|client| {
        let id_of = |image: &[u8]| protocol::find_build_id(image).unwrap().to_vec();
        let first = vector_add(CHIPS[0].1);
        let id = id_of(ChipCallableView::parse(&first).unwrap().orchestration());
        let forge = |image: &[u8]| {
            let own = id_of(image);
            let at = image.windows(own.len()).position(|bytes| bytes == own).unwrap();
            let mut forged = image.to_vec();
            forged[at..at + id.len()].copy_from_slice(&id);
            assert_eq!(id_of(&forged), id);
            forged
        };
        // Another program, and the same one with a byte more behind it.
        let other =
            Callable::builder(forge(&sources::orchestration("c_library"))).entry("chains_all");
        let other = sources::packed(other, sources::cell_kernels());
        let longer = packed_again(|image| [image, &[0]].concat(), |id| id);
        for (cid, blob) in [(0, &first[..]), (1, other.blob()), (2, &longer)] {
            assert_eq!(client.prepare(cid, blob), 0, "{}", client.last_error());
        }
        for _ in 0..2 {
            let mut cells = [5; 4];
            let record = arguments(&[tensor(DataType::Uint64, &mut cells)], &[]);
            Floats::run_and_check(client, 0, GOLDEN);
            assert_eq!((client.run(1, &record), cells), (0, [20; 4]), "{}", client.last_error());
            Floats::run_and_check(client, 2, GOLDEN);
        }
    });
}

/// The executor does not come back, so the device is given up; the callables are on the next one.
#[test]
fn h7_a_run_that_takes_too_long_is_no_success_and_the_next_one_works() {
    with_client(|client| {
        assert_eq!(client.prepare(0, &vector_add(CHIPS[0].1)), 0);
        prepare_waiting(client);
        assert_eq!(client.set_run_limits([u64::MAX, 0, 0]), -1);
        assert_eq!(client.set_run_limits([300, 0, 100]), 0);
        let (flag, mut cells) = (Flag::new(), [SENTINEL]);
        let record = waiting(&mut cells, &flag);
        assert_eq!(client.run(1, &record), -100, "{}", client.last_error());
        assert_eq!((cells, client.counters()[3]), ([SENTINEL], 1));
        assert_eq!(client.set_run_limits([0, 0, 0]), 0);
        Floats::run_and_check(client, 0, GOLDEN);
        flag.set();
        assert_eq!((client.run(1, &record), cells), (0, [1]), "{}", client.last_error());
        assert_eq!(client.loads(), (2, 0), "placing them again is not counted");
    });
}

#[test]
fn h8_a_failed_run_leaves_every_tensor_as_it_was() {
    with_client(|client| {
        let entry = "writes_all_and_may_fail";
        let directions = vec![ArgDirection::In, ArgDirection::Out];
        assert_eq!(client.prepare(0, cells(entry, directions).blob()), 0);
        for rule in [0, 1] {
            assert_eq!(client.set_copy_rule(rule), 0);
            let mut tensors = [[SENTINEL; 4]; 3];
            let records = tensors.each_mut().map(|cells| tensor(DataType::Uint64, cells));
            assert_eq!(client.run(0, &arguments(&records, &[1])), -9, "{}", client.last_error());
            assert_eq!(tensors, [[SENTINEL; 4]; 3]);
            assert_eq!(client.run(0, &arguments(&records, &[0])), 0, "{}", client.last_error());
            let written = [1000, 1001, 1002, 1003];
            // Everything comes back, unless the client asks for what the callable declares.
            let input = if rule == 0 { written } else { [SENTINEL; 4] };
            assert_eq!(tensors, [input, written, written], "rule {rule}");
        }
        assert_eq!(client.set_copy_rule(2), -1);
    });
}

/// Constructors run when a callable is prepared; those that throw are found then.
#[test]
fn h11_an_exception_out_of_a_constructor_is_a_refusal_that_leaves_nothing() {
    with_client(|client| {
        let callable = Callable::builder(sources::orchestration("constructor_throws"));
        let callable = callable.entry("aicpu_orchestration_entry").build().unwrap();
        let before = held(client);
        for _ in 0..3 {
            assert_eq!(client.prepare(0, callable.blob()), -1);
            let text = client.last_error();
            assert!(text.contains("constructor"), "{text}");
            assert_eq!(held(client), before);
        }
        assert_eq!(client.prepare(0, &vector_add(CHIPS[0].1)), 0);
        Floats::run_and_check(client, 0, GOLDEN);
    });
}

/// What the reference never gives back (spec callable §7.1, H4, H12, H13): preparing, running and
/// unregistering leaves the device as it was.
#[test]
fn h13_nothing_stays_on_the_device_after_unregistering() {
    with_client(|client: &Client<'_>| {
        let blob = vector_add(CHIPS[0].1);
        let round = || {
            assert_eq!(client.prepare(0, &blob), 0);
            assert_eq!(client.prepare(0, &blob), -1);
            Floats::run_and_check(client, 0, GOLDEN);
            assert_eq!(client.unregister(0), 0);
            held(client)
        };
        let first = round();
        assert!((0..20).all(|_| round() == first));
    });
}

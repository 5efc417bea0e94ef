//! The 33 classes of hostile input (design loader §4.1), one test each, found by number.
//!
//! The cases stand in `hostile_classes/`, by theme; how a case is run is in `class.rs` there. Each
//! breaks a valid image of either machine in one way and names the exact outcome. What real
//! compilers can produce and the loader refuses is in `loader_refusals.rs`; random breakage is in
//! `loader_mutants.rs`.

#[path = "hostile_classes/class.rs"]
mod class;
#[path = "hostile_classes/dynamic.rs"]
mod dynamic;
#[path = "hostile_classes/file_header.rs"]
mod file_header;
#[path = "hostile_classes/functions.rs"]
mod functions;
#[path = "hostile_classes/hash_tables.rs"]
mod hash_tables;
#[path = "hostile_classes/life.rs"]
mod life;
#[path = "hostile_classes/names.rs"]
mod names;
#[path = "hostile_classes/notes.rs"]
mod notes;
#[path = "hostile_classes/program_headers.rs"]
mod program_headers;
#[path = "hostile_classes/relocations.rs"]
mod relocations;
#[path = "hostile_classes/resources.rs"]
mod resources;
#[path = "hostile_classes/segments.rs"]
mod segments;
#[path = "hostile_classes/symbols.rs"]
mod symbols;
#[path = "hostile_classes/tables.rs"]
mod tables;

#[path = "support/support.rs"]
mod support;

use class::HostileClass;

/// Makes a test of each class, and the list that proves that none is missing.
macro_rules! classes {
    ($($test:ident => $class:path;)*) => {
        const CLASSES: &[(&str, &HostileClass)] = &[$((stringify!($test), &$class)),*];
        $(
            #[test]
            fn $test() {
                $class.check();
            }
        )*
    };
}

classes! {
    class_01_a_file_that_ends_too_early => file_header::CUT;
    class_02_a_file_of_another_format => file_header::FORMAT;
    class_03_a_file_for_another_machine => file_header::MACHINE;
    class_04_a_file_that_is_no_shared_object => file_header::KIND;
    class_05_a_table_of_program_headers_that_is_not_one => file_header::PROGRAM_HEADERS;
    class_06_more_bytes_in_the_file_than_in_memory => program_headers::SIZES;
    class_07_a_program_header_that_leaves_the_file => program_headers::RANGES;
    class_08_addresses_that_wrap_or_span_too_much => segments::ADDRESSES;
    class_09_segments_that_overlap_or_share_a_page => segments::NEIGHBOURS;
    class_10_an_alignment_that_is_none => segments::ALIGNMENT;
    class_11_a_segment_that_is_writable_and_executable => segments::RIGHTS;
    class_12_relocations_in_the_text => relocations::TEXT_RELOCATIONS;
    class_13_an_executable_stack => segments::STACK;
    class_14_a_dynamic_section_that_is_not_one => dynamic::SECTION;
    class_15_sizes_of_tables_that_contradict => tables::SIZES;
    class_16_strings_outside_their_table => names::STRINGS;
    class_17_symbols_that_do_not_exist => symbols::INDICES;
    class_18_hash_tables_that_lead_astray => hash_tables::TABLES;
    class_19_relocations_outside_the_data => relocations::TARGETS;
    class_20_relocations_of_unknown_kind => relocations::KINDS;
    class_21_functions_to_be_called_while_binding => relocations::INDIRECT;
    class_22_initialisers_and_finalisers_outside_the_text => functions::ARRAYS;
    class_23_copied_and_thread_local_variables => relocations::COPY_AND_THREAD_LOCAL;
    class_24_packed_relocations_that_go_astray => relocations::PACKED_RELOCATIONS;
    class_25_libraries_that_are_not_allowed => names::NEEDED;
    class_26_symbols_nobody_offers => symbols::UNRESOLVED;
    class_27_symbols_that_are_no_functions_of_the_image => functions::EXPORTS;
    class_28_a_relro_range_outside_the_data => segments::RELRO_RANGE;
    class_29_notes_that_do_not_end => notes::NOTES;
    class_30_images_that_cost_too_much => resources::BOMBS;
    class_31_a_staged_file_that_changes => life::STAGED_FILE;
    class_32_a_slot_that_is_reused_too_early => life::SLOT;
    class_33_constructors_that_do_not_return => life::CONSTRUCTORS;
}

#[test]
fn every_class_from_1_to_33_has_cases_that_ran() {
    let numbers: Vec<u8> = CLASSES.iter().map(|(_, class)| class.number).collect();
    assert_eq!(numbers, (1..=33).collect::<Vec<u8>>());
    for (test, class) in CLASSES {
        // Whoever looks for a number finds the class of that number.
        assert!(test.starts_with(&format!("class_{:02}_", class.number)), "{test}");
        let ran = class.check();
        println!("{:>2}  {ran:>3} cases  {}", class.number, class.title);
        assert!(ran > 0, "{test} has no cases");
    }
}

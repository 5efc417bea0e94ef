//! Good manifests become what they say; bad ones are refused at the place that is wrong.

use super::*;

/// The orchestration and kernel that most tests need.
const CODE: &str = "name = \"demo\"\n[orchestration]\nsource = \"o.cpp\"\n\
                    [[kernel]]\nfunc_id = 0\ncore_type = \"aiv\"\nsource = \"k.cpp\"\n";

/// A manifest that uses every key.
const FULL: &str = r#"
name = "full"
runtime = "trb"
[orchestration]
source = "o.cpp"
entry = "my_entry"
config = "my_config"
include_dirs = ["include"]
[[kernel]]
func_id = 1023
core_type = "aic"
so = "k.so"
name = "matmul"
[[tensor]]
name = "a"
direction = "in"
dtype = "float32"
shape = [2, 3]
data = { file = "a.npy" }
[[tensor]]
name = "f"
direction = "out"
dtype = "uint64"
shape = [4]
expected = { constant = 18446744073709551615 }
[[scalar]]
name = "n"
dtype = "int32"
value = -1
[[case]]
name = "one"
platforms = ["a5sim"]
block_dim = 3
aicpu_threads = 4
rtol = 1e-5
atol = 0.5
[[case]]
name = "two"
[[case.tensor]]
name = "b"
direction = "inout"
dtype = "int8"
shape = [1, 1, 1, 1, 2]
data = { ramp = { start = 0, step = 1 } }
expected = { random = { seed = 1, low = -1, high = 1 } }
[[case.scalar]]
name = "x"
dtype = "float32"
value = 1
"#;

/// A folder with the files that the manifests of these tests name.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["o.cpp", "k.cpp", "k.so", "a.npy"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    fs::create_dir(folder.path().join("include")).unwrap();
    folder
}

fn parse(text: &str) -> Result<Manifest, ManifestError> {
    let folder = folder();
    Manifest::parse(&folder.path().join(FILE_NAME), text)
}

/// Checks that `text` is refused with a message that has `message`, at the text `at`.
fn check(text: &str, at: &str, message: &str) {
    let error = parse(text).expect_err(text);
    let ManifestError::Invalid { span, problem, .. } = &error else { panic!("{error}") };
    let problem = problem.to_string();
    assert!(problem.contains(message), "{problem:?} should contain {message:?}");
    assert!(text[span.start..].starts_with(at), "{:?} should be {at:?}", &text[span.clone()]);
}

/// As [`check`], for lines that follow good code.
fn check_after_code(lines: &str, at: &str, message: &str) {
    check(&format!("{CODE}{lines}"), at, message);
}

/// The cases of [`FULL`].
fn full_cases(folder: &tempfile::TempDir) -> Vec<Case> {
    let tensor = |name: &str, direction, dtype, shape: &[u32], data, expected| TensorSpec {
        name: name.into(),
        direction,
        dtype,
        shape: shape.into(),
        data,
        expected,
    };
    let integer = |value: i128| Number::Integer(value);
    let file = DataSource::File(folder.path().join("a.npy"));
    let most = DataSource::Constant(integer(u64::MAX.into()));
    let random = DataSource::Random { seed: 1, low: integer(-1), high: integer(1) };
    let ramp = DataSource::Ramp { start: integer(0), step: integer(1) };
    let zeros = DataSource::Constant(integer(0));
    let one = Case {
        name: "one".into(),
        platforms: vec![PlatformName::A5Sim],
        block_dim: Some(3),
        aicpu_threads: Some(4),
        relative_tolerance: Some(1e-5),
        absolute_tolerance: Some(0.5),
        tensors: vec![
            tensor("a", ArgDirection::In, DataType::Float32, &[2, 3], file, None),
            tensor("f", ArgDirection::Out, DataType::Uint64, &[4], zeros, Some(most)),
        ],
        scalars: vec![ScalarSpec { name: "n".into(), dtype: DataType::Int32, bits: 0xFFFF_FFFF }],
    };
    let shape = [1, 1, 1, 1, 2];
    let two = Case {
        name: "two".into(),
        platforms: PlatformName::ALL.to_vec(),
        block_dim: None,
        aicpu_threads: None,
        relative_tolerance: None,
        absolute_tolerance: None,
        tensors: vec![tensor("b", ArgDirection::InOut, DataType::Int8, &shape, ramp, Some(random))],
        scalars: vec![ScalarSpec { name: "x".into(), dtype: DataType::Float32, bits: 0x3F80_0000 }],
    };
    vec![one, two]
}

#[test]
fn a_full_manifest_becomes_what_it_says() {
    let folder = folder();
    let manifest = Manifest::parse(&folder.path().join(FILE_NAME), FULL).unwrap();
    let expected = Manifest {
        path: folder.path().join(FILE_NAME),
        name: "full".into(),
        runtime: RuntimeName::Trb,
        orchestration: Orchestration {
            code: Code::Source(folder.path().join("o.cpp")),
            entry: "my_entry".into(),
            config: Some("my_config".into()),
            include_dirs: vec![folder.path().join("include")],
        },
        kernels: vec![Kernel {
            func_id: FuncId::new(1023).unwrap(),
            core_type: CoreType::Aic,
            code: Code::SharedObject(folder.path().join("k.so")),
            name: "matmul".into(),
        }],
        cases: full_cases(&folder),
    };
    assert_eq!(manifest, expected);
}

#[test]
fn what_is_left_out_takes_its_default() {
    let manifest = parse(CODE).unwrap();
    assert_eq!(manifest.orchestration.entry, "aicpu_orchestration_entry");
    assert_eq!(manifest.orchestration.config.as_deref(), Some("aicpu_orchestration_config"));
    assert_eq!(manifest.runtime, RuntimeName::Trb);
    assert_eq!(manifest.kernels[0].name, "k");
    assert_eq!(manifest.cases.len(), 1);
    assert_eq!(manifest.cases[0].name, "default");
}

#[test]
fn a_folder_means_the_manifest_in_it() {
    let folder = folder();
    fs::write(folder.path().join(FILE_NAME), CODE).unwrap();
    let manifest = Manifest::load(folder.path()).unwrap();
    assert_eq!(manifest, Manifest::load(&folder.path().join(FILE_NAME)).unwrap());
    assert_eq!(manifest.folder(), folder.path());

    let error = Manifest::load(&folder.path().join("none")).unwrap_err();
    assert!(matches!(&error, ManifestError::Read { path, .. } if path.ends_with("none")));
    assert!(error.to_string().contains("give a folder that holds callable.toml"));
}

#[test]
fn unknown_and_missing_keys_are_refused_where_they_are() {
    check("name = \"x\"\ncolour = 1\n", "colour", "unknown field `colour`, expected one of");
    check("name = \"x\"\n", "name", "missing field `orchestration`");
    check("name = 3\n", "3", "invalid type: integer `3`, expected a string");
    check("name = \"x\n", "", "invalid basic string");
    check_after_code("size = 1\n", "size", "unknown field `size`");
    check_after_code("[[tensor]]\nnam = 1\n", "nam", "unknown field `nam`");
    check_after_code("[[scalar]]\nnam = 1\n", "nam", "unknown field `nam`");
    check_after_code("[[case]]\nnam = 1\n", "nam", "unknown field `nam`");
    let nested = "[[case]]\nname = \"c\"\n[[case.tensor]]\nnam = 1\n";
    check_after_code(nested, "nam", "unknown field `nam`");
}

#[test]
fn errors_show_file_line_and_column() {
    let text = "name = \"ä\"\nruntime = \"gpu\"\n[orchestration]\nsource = \"o.cpp\"\n";
    let error = parse(text).unwrap_err().to_string();
    let expected = "callable.toml:2:11: there is no runtime `gpu`; use `trb` \
                    (tensormap_and_ringbuffer) or `hbg` (host_build_graph)";
    assert!(error.ends_with(expected), "{error}");
}

/// A manifest with these keys of the file and of its orchestration.
fn with_runtime(runtime: &str, orchestration: &str) -> String {
    format!("name = \"x\"\n{runtime}\n[orchestration]\nsource = \"o.cpp\"\n{orchestration}\n")
}

#[test]
fn a_runtime_has_two_names_and_other_words_are_refused() {
    let entry = "entry = \"build_graph\"";
    for (word, runtime) in [
        ("trb", RuntimeName::Trb),
        ("tensormap_and_ringbuffer", RuntimeName::Trb),
        ("hbg", RuntimeName::Hbg),
        ("host_build_graph", RuntimeName::Hbg),
    ] {
        let manifest = parse(&with_runtime(&format!("runtime = \"{word}\""), entry)).unwrap();
        assert_eq!(manifest.runtime, runtime, "{word}");
        assert_eq!(manifest.orchestration.entry, "build_graph");
        assert_eq!(manifest.orchestration.config.is_some(), runtime == RuntimeName::Trb);
    }
    for word in ["", "HBG", "hbg ", "host build graph"] {
        let text = with_runtime(&format!("runtime = \"{word}\""), entry);
        check(&text, &format!("\"{word}\""), "use `trb` (tensormap_and_ringbuffer) or `hbg`");
    }
    check(&with_runtime("runtime = 2", entry), "2", "expected a string");
}

#[test]
fn hbg_wants_its_entry_named_and_takes_no_config() {
    let with = |lines: &str| with_runtime("runtime = \"hbg\"", lines);
    check(&with(""), "[orchestration]", "name the function that builds the graph with `entry`");
    check(&with("entry = \"\""), "\"\"", "1 to 63 bytes");
    check(&with(&format!("entry = \"{}\"", "e".repeat(64))), "\"eee", "this one has 64");
    let config = "entry = \"build_graph\"\nconfig = \"count_arguments\"";
    check(&with(config), "\"count_arguments\"", "hbg calls no configuration function");
    check(&with("config = \"c\""), "\"c\"", "remove `config`");
}

#[test]
fn code_comes_from_exactly_one_existing_file() {
    let with = |lines: &str| format!("name = \"x\"\n[orchestration]\n{lines}");
    check(&with(""), "[orchestration]", "exactly one of `source`");
    check(&with("source = \"o.cpp\"\nso = \"k.so\"\n"), "\"k.so\"", "exactly one of `source`");
    check(&with("source = \"none.cpp\"\n"), "\"none.cpp\"", "there is no file");
    check(&with("source = \"include\"\n"), "\"include\"", "there is no file");
    let missing = with("source = \"o.cpp\"\ninclude_dirs = [\"include\", \"none\"]\n");
    check(&missing, "\"none\"", "there is no folder");
    check("name = \"\"\n[orchestration]\nsource = \"o.cpp\"\n", "\"\"", "the name is empty");
}

#[test]
fn symbol_names_fit_their_record() {
    let with = |name: &str| {
        format!("name = \"x\"\n[orchestration]\nsource = \"o.cpp\"\nentry = \"{name}\"\n")
    };
    assert!(parse(&with(&"e".repeat(63))).is_ok());
    check(&with(&"e".repeat(64)), "\"eee", "1 to 63 bytes and no NUL, this one has 64");
    check(&with(""), "\"\"", "1 to 63 bytes");
    check(&with("a\\u0000b"), "\"a", "no NUL");
}

#[test]
fn func_ids_are_in_range_and_distinct() {
    let kernel = |id: &str, core: &str| {
        format!("[[kernel]]\nfunc_id = {id}\ncore_type = \"{core}\"\nsource = \"k.cpp\"\n")
    };
    assert!(parse(&format!("{CODE}{}", kernel("1", "aic"))).is_ok());
    check_after_code(&kernel("0", "aic"), "0", "func id 0 is used by two kernels");
    check_after_code(&kernel("1024", "aic"), "1024", "out of range: use 0 to 1023");
    check_after_code(&kernel("-1", "aic"), "-1", "out of range: use 0 to 1023");
    check_after_code(&kernel("1", "gpu"), "\"gpu\"", "`gpu` is no core type; use one of aic, aiv");
    let both = "[[kernel]]\nfunc_id = 1\ncore_type = \"aic\"\n";
    check_after_code(both, "[[kernel]]", "exactly one of `source`");
}

/// A tensor table with these lines after its name.
fn tensor(lines: &str) -> String {
    format!("[[tensor]]\nname = \"t\"\n{lines}\n")
}

#[test]
fn tensors_are_checked_key_by_key() {
    let good = "direction = \"in\"\ndtype = \"int8\"\nshape = [2]\ndata = { constant = 1 }";
    assert!(parse(&format!("{CODE}{}", tensor(good))).is_ok());
    let check = |from: &str, to: &str, at: &str, message: &str| {
        assert!(good.contains(from), "{from}");
        check_after_code(&tensor(&good.replace(from, to)), at, message);
    };
    check("\"in\"", "\"input\"", "\"input\"", "is no direction; use one of in, out, inout");
    check("int8", "float64", "\"float64\"", "is no dtype; use one of float32, float16, int32");
    check("[2]", "[]", "[]", "a shape has 1 to 5 dimensions");
    check("[2]", "[1, 2, 3, 4, 5, 6]", "[1", "a shape has 1 to 5 dimensions");
    check("[2]", "[2, 0]", "[2, 0]", "of at least 1 element");
    check("[2]", "[-1]", "[-1]", "of at least 1 element");
    check("[2]", "[4294967296]", "[42", "of at least 1 element");
    check("[2]", "[4294967295, 4294967295, 1]", "{", "does not fit in memory");
    check("data = { constant = 1 }", "", "[[tensor]]", "needs `data`");
    check("= 1 }", "= 200 }", "{", "the constant 200 does not fit int8");
    check("= 1 }", "= \"1\" }", "\"1\"", "expected a number");
    check("{ constant = 1 }", "{ file = \"none.npy\" }", "{", "there is no file");
    check("{ constant = 1 }", "{ color = 1 }", "color", "unknown variant `color`");
    let random = "{ random = { seed = 1, low = 2, high = 1 } }";
    check("{ constant = 1 }", random, "{", "the random range from 2 to 1 is empty");
    let step = "{ ramp = { start = 0, step = 1, stop = 3 } }";
    check("{ constant = 1 }", step, "stop", "unknown field `stop`");
    check("1 }", "1 }\nexpected = { constant = 1 }", "{ constant = 1 }", "`out` and `inout` only");
}

#[test]
fn names_are_given_once() {
    let out = "direction = \"out\"\ndtype = \"int8\"\nshape = [2]";
    let twice = format!("{}{}", tensor(out), tensor(out));
    check_after_code(&twice, "\"t\"", "the tensor name `t` occurs twice");
    check_after_code(&tensor(out).replace("\"t\"", "\"\""), "\"\"", "the name is empty");
    let cases = "[[case]]\nname = \"c\"\n[[case]]\nname = \"c\"\n";
    check_after_code(cases, "\"c\"", "the case name `c` occurs twice");
    let scalar = "[[scalar]]\nname = \"s\"\ndtype = \"int8\"\nvalue = 1\n";
    check_after_code(&scalar.repeat(2), "\"s\"", "the scalar name `s` occurs twice");
}

#[test]
fn a_run_takes_64_tensors_and_128_scalars_and_no_more() {
    let tensors = |count: usize| -> String {
        let table = |index: usize| {
            format!(
                "[[tensor]]\nname = \"t{index}\"\ndirection = \"out\"\ndtype = \"int8\"\n\
                 shape = [1]\n"
            )
        };
        (0..count).map(table).collect()
    };
    assert_eq!(parse(&format!("{CODE}{}", tensors(64))).unwrap().cases[0].tensors.len(), 64);
    check_after_code(
        &tensors(65),
        "[[tensor]]\nname = \"t64\"",
        "65 tensor arguments are too many",
    );

    let scalars = |count: usize| -> String {
        let table = |index: usize| {
            format!("[[scalar]]\nname = \"s{index}\"\ndtype = \"int8\"\nvalue = 1\n")
        };
        (0..count).map(table).collect()
    };
    assert_eq!(parse(&format!("{CODE}{}", scalars(128))).unwrap().cases[0].scalars.len(), 128);
    check_after_code(&scalars(129), "[[scalar]]\nname = \"s128\"", "129 scalar arguments");
}

#[test]
fn scalars_and_case_numbers_are_checked() {
    let scalar = "[[scalar]]\nname = \"s\"\ndtype = \"uint8\"\nvalue = 256\n";
    check_after_code(scalar, "256", "256 does not fit uint8");
    let check = |line: &str, at: &str, message: &str| {
        check_after_code(&format!("[[case]]\nname = \"c\"\n{line}\n"), at, message);
    };
    check("block_dim = 0", "0", "`block_dim` is 0; use a whole number of at least 1");
    check("aicpu_threads = -1", "-1", "`aicpu_threads` is -1");
    check("platforms = []", "[]", "the list of platforms is empty");
    let unknown = "`a9sim` is no platform; use one of a2a3sim, a5sim, a2a3proc, a5proc, a2a3, a5";
    check("platforms = [\"a5sim\", \"a9sim\"]", "\"a9sim\"", unknown);
    check("rtol = -0.1", "-0.1", "`rtol` is -0.1");
    check("atol = nan", "nan", "`atol` is NaN");
    check("atol = inf", "inf", "`atol` is inf");
}

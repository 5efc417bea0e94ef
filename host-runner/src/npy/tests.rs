//! Files as NumPy writes them, and files it would not write.

use super::*;

/// A version `major` file with this header text and these elements.
fn file(major: u8, header: &str, elements: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend_from_slice(&[major, 0]);
    let length = u32::try_from(header.len()).unwrap().to_le_bytes();
    bytes.extend_from_slice(if major == 1 { &length[..2] } else { &length });
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(elements);
    bytes
}

fn header(descr: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n")
}

#[test]
fn reads_all_three_versions() {
    let elements = [1, 0, 0, 0, 2, 0, 0, 0];
    for major in 1..=3 {
        let bytes = file(major, &header("<i4", "(2,)"), &elements);
        assert_eq!(decode(&bytes, DataType::Int32, &[2]).unwrap(), elements);
    }
}

#[test]
fn what_is_written_is_what_numpy_writes() {
    // numpy.save of numpy.array([[1, 2], [3, 4]], dtype='<u2'), byte for byte.
    let mut expected = b"\x93NUMPY\x01\x00v\x00".to_vec();
    let text = "{'descr': '<u2', 'fortran_order': False, 'shape': (2, 2), }";
    expected.extend_from_slice(format!("{text:<117}\n").as_bytes());
    expected.extend_from_slice(&[1, 0, 2, 0, 3, 0, 4, 0]);
    let written = encode(DataType::Uint16, &[2, 2], &[1, 0, 2, 0, 3, 0, 4, 0]).unwrap();
    assert_eq!(written, expected);
    assert_eq!(written.len(), 128 + 8);
}

#[test]
fn every_type_survives_a_round_trip_through_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    for dtype in DataType::ALL.iter().copied() {
        let bytes = 6 * dtype.element_bytes();
        let elements: Vec<u8> = (0..bytes).map(|byte| byte as u8).collect();
        for shape in [&[6][..], &[2, 3], &[1, 1, 1, 3, 2]] {
            write(&path, dtype, shape, &elements).unwrap();
            assert_eq!(read(&path, dtype, shape).unwrap(), elements, "{dtype:?} {shape:?}");
        }
    }
}

#[test]
fn bfloat16_is_read_from_uint16_and_from_two_byte_voids() {
    for descr in ["<u2", "|V2", "<V2"] {
        let bytes = file(1, &header(descr, "(1,)"), &[0x80, 0x3F]);
        assert_eq!(decode(&bytes, DataType::Bfloat16, &[1]).unwrap(), [0x80, 0x3F]);
    }
}

#[test]
fn wrong_files_say_what_to_do() {
    let check = |bytes: &[u8], hint: &str| {
        let error = decode(bytes, DataType::Float32, &[2]).unwrap_err().to_string();
        assert!(error.contains(hint), "{error:?} should say {hint:?}");
    };
    let eight = [0; 8];
    check(b"", "write it with numpy.save");
    check(b"\x93NUMPY", "write it with numpy.save");
    check(b"PK\x03\x04 an npz file", "write it with numpy.save");
    check(&file(9, "{}", &[]), "format version 9");
    check(&file(1, &header(">f4", "(2,)"), &eight), "newbyteorder('<')");
    check(&file(1, &header("|O", "(2,)"), &eight), "no plain numbers; save an array of float32");
    check(&file(1, &header("<U3", "(2,)"), &eight), "no plain numbers");
    check(&file(1, &header("", "(2,)"), &eight), "no plain numbers");
    check(&file(1, &header("<f8", "(2,)"), &eight), "save array.astype('float32')");
    check(&file(1, &header(">f8", "(2,)"), &eight), "save array.astype('float32')");
    check(&file(1, &header("<f4", "(3,)"), &eight), "has shape [3], but [2] is asked for");
    check(&file(1, &header("<f4", "(2, 1)"), &eight), "has shape [2, 1], but [2] is asked for");
    check(&file(1, &header("<f4", "(2,)"), &eight[..7]), "holds 7 bytes of elements");
    check(&file(1, &header("<f4", "(2,)"), &[0; 9]), "holds 9 bytes of elements");
    let fortran = "{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }";
    check(&file(1, fortran, &eight), "numpy.ascontiguousarray");
    check(&file(1, "{'descr': }", &eight), "at character 10");
}

#[test]
fn every_cut_file_is_an_error() {
    let whole = file(2, &header("<f4", "(2,)"), &[0; 8]);
    assert!(decode(&whole, DataType::Float32, &[2]).is_ok());
    for end in 0..whole.len() {
        assert!(decode(&whole[..end], DataType::Float32, &[2]).is_err(), "cut at {end}");
    }
}

#[test]
fn a_shape_too_large_to_count_is_an_error() {
    let huge = [u32::MAX; 5];
    let text = header("<f4", "(4294967295, 4294967295, 4294967295, 4294967295, 4294967295)");
    let error = decode(&file(1, &text, &[]), DataType::Float32, &huge).unwrap_err();
    assert!(matches!(error, NpyProblem::Length { have: 0, .. }));
}

#[test]
fn errors_name_the_file() {
    let error = read(Path::new("/nonexistent/a.npy"), DataType::Int8, &[1]).unwrap_err();
    assert!(error.to_string().starts_with("/nonexistent/a.npy: cannot be read"));
    let error = write(Path::new("/nonexistent/a.npy"), DataType::Int8, &[1], &[0]).unwrap_err();
    assert!(matches!(error.problem, NpyProblem::Write(_)));
    let error = write(Path::new("/nowhere/never.npy"), DataType::Int8, &[2], &[0]).unwrap_err();
    assert!(matches!(error.problem, NpyProblem::Length { need: 2, have: 1 }));
}

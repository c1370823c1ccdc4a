//! Tests of `.npy` and `.npz` files against NumPy, which decides what they are. `data/numpy` holds files that it
//! wrote (by `data/numpy_files.py`); they are read, and what is written here is compared with them byte by byte.

use gradus::io::{Limits, npy, npz};
use gradus::{DType, Error, Tensor};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/numpy").join(name)
}

fn read(name: &str) -> Tensor {
    npy::read(file(name), &Limits::default()).unwrap()
}

/// The script's numbers: `i - 3`, `i` if unsigned, every third if truth values.
fn counting(dtype: DType, unsigned: bool, shape: &[usize]) -> Tensor {
    let n = shape.iter().product::<usize>() as i64;
    if dtype == DType::Bool {
        let values: Vec<bool> = (0..n).map(|i| i % 3 == 0).collect();
        return Tensor::from_slice(&values, shape).unwrap();
    }
    let start = if unsigned { 0 } else { -3 };
    let values: Vec<i64> = (start..start + n).collect();
    Tensor::from_slice(&values, shape).unwrap().cast(dtype).unwrap()
}

#[test]
fn every_type_and_order_is_read_as_numpy_wrote_it() {
    let types = [
        ("f2", DType::F16, false),
        ("f4", DType::F32, false),
        ("f8", DType::F64, false),
        ("i8", DType::I64, false),
        ("i4", DType::I32, false),
        ("i2", DType::I64, false),
        ("i1", DType::I8, false),
        ("u4", DType::I64, true),
        ("u2", DType::I64, true),
        ("u1", DType::U8, true),
        ("b1", DType::Bool, true),
    ];
    let mut seen = 0;
    for entry in std::fs::read_dir(file("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some((group, kind)) = name.strip_suffix(".npy").and_then(|n| n.rsplit_once('-')) else {
            continue;
        };
        let shape: &[usize] = match group {
            "refused" => continue,
            "fortran" => &[2, 3, 4],
            "fortran-big" => &[3, 2],
            "scalar" => &[],
            "vector" => &[7],
            "empty" => &[0, 5],
            "long" => &[12, 1, 1, 2],
            _ => &[2, 3],
        };
        let (_, dtype, unsigned) = *types.iter().find(|t| t.0 == kind).unwrap();
        let (got, want) = (read(&name), counting(dtype, unsigned, shape));
        assert!(got.same_bits(&want), "{name}: {got:?} {want:?}");
        assert!(got.array().layout().is_contiguous(), "{name}");
        seen += 1;
    }
    assert_eq!(seen, 24);
}

#[test]
fn what_is_written_is_what_numpy_writes() {
    for name in [
        "little-f2",
        "little-f4",
        "little-f8",
        "little-i8",
        "little-i4",
        "little-i1",
        "little-u1",
        "little-b1",
    ] {
        let bytes = std::fs::read(file(&format!("{name}.npy"))).unwrap();
        assert_eq!(npy::encode(&read(&format!("{name}.npy"))).unwrap(), bytes, "{name}");
    }
    for name in ["scalar-f8", "vector-f4", "empty-f4", "long-f4"] {
        let bytes = std::fs::read(file(&format!("{name}.npy"))).unwrap();
        assert_eq!(npy::encode(&read(&format!("{name}.npy"))).unwrap(), bytes, "{name}");
    }
    // A view is written in its own order.
    let t = read("fortran-f4.npy").permute(&[2, 0, 1]).unwrap();
    let again = npy::decode(&npy::encode(&t).unwrap(), "test", &Limits::default()).unwrap();
    assert!(again.same_bits(&t));
    let e = npy::encode(&t.cast(DType::BF16).unwrap()).unwrap_err();
    assert!(e.to_string().contains("bfloat16"), "{e}");
}

#[test]
fn archives_are_read_and_written() {
    let expected = [
        ("x", counting(DType::F32, false, &[2, 3])),
        ("labels", counting(DType::I64, false, &[4])),
        ("große", counting(DType::Bool, true, &[3])),
    ];
    let same = |arrays: &[(String, Tensor)]| {
        assert_eq!(arrays.len(), 3);
        for ((name, got), (wanted, want)) in arrays.iter().zip(&expected) {
            assert!(name == wanted && got.same_bits(want), "{name} {got:?}");
        }
    };
    same(&npz::read(file("stored.npz"), &Limits::default()).unwrap());
    #[cfg(feature = "datasets")]
    same(&npz::read(file("deflated.npz"), &Limits::default()).unwrap());
    let pairs: Vec<(&str, &Tensor)> = expected.iter().map(|(n, t)| (*n, t)).collect();
    let path = std::env::temp_dir().join(format!("gradus-npz-{}.npz", std::process::id()));
    npz::write(&path, &pairs).unwrap();
    same(&npz::read(&path, &Limits::default()).unwrap());
    assert_eq!(std::fs::read(&path).unwrap(), npz::encode(&pairs).unwrap());
    std::fs::remove_file(&path).unwrap();
    assert!(npz::decode(&npz::encode(&[]).unwrap(), "test", &Limits::default()).unwrap().is_empty());
    assert!(npz::encode(&[pairs[0], pairs[0]]).is_err());
}

#[test]
fn what_has_no_counterpart_is_refused_by_name() {
    for (name, kind) in [
        ("c8", "x.real and x.imag"),
        ("text", "'<U2'"),
        ("u8", "x.astype('int64')"),
        ("record", "a structured array"),
    ] {
        let e = npy::read(file(&format!("refused-{name}.npy")), &Limits::default()).unwrap_err();
        assert!(e.to_string().contains(kind), "{e}");
    }
}

#[test]
fn every_cut_every_extra_byte_and_every_flipped_bit_of_an_archive_is_an_error() {
    let bytes = std::fs::read(file("little-f4.npy")).unwrap();
    let decode = |b: &[u8]| npy::decode(b, "test", &Limits::default());
    assert!(crate::cuts(bytes.len()).into_iter().all(|n| decode(&bytes[..n]).is_err()));
    assert!(decode(&[&bytes[..], &[0]].concat()).is_err());
    for name in ["stored.npz", "deflated.npz"] {
        let bytes = std::fs::read(file(name)).unwrap();
        let decode = |b: &[u8]| npz::decode(b, "test", &Limits::default());
        assert!(crate::cuts(bytes.len()).into_iter().all(|n| decode(&bytes[..n]).is_err()), "{name}");
        assert!(decode(&[&bytes[..], &[0]].concat()).is_err());
        // The data of the first member is guarded by its checksum.
        for at in 60..120 {
            let mut bent = bytes.clone();
            bent[at] ^= 4;
            assert!(decode(&bent).is_err(), "{name} {at}");
        }
    }
}

#[test]
fn limits_hold_exactly() {
    let bytes = std::fs::read(file("little-f8.npy")).unwrap();
    let decode = |limits: &Limits| npy::decode(&bytes, "test", limits);
    type Setter = fn(Limits, u64) -> Limits;
    let set: [(u64, Setter); 5] = [
        (2, Limits::max_rank),
        (6, Limits::max_elements),
        (48, Limits::max_total_bytes),
        (118, Limits::max_header_bytes),
        (bytes.len() as u64, Limits::max_file_bytes),
    ];
    for (n, limit) in set {
        decode(&limit(Limits::default(), n)).unwrap();
        let below = decode(&limit(Limits::default(), n - 1));
        assert!(
            matches!(below, Err(Error::Limit { got, limit, .. }) if got == n && limit == n - 1),
            "{below:?}"
        );
    }
    let archive = std::fs::read(file("stored.npz")).unwrap();
    let decode = |limits: &Limits| npz::decode(&archive, "test", limits);
    let set: [(u64, Setter); 3] =
        [(3, Limits::max_tensors), (10, Limits::max_name), (24 + 32 + 3, Limits::max_total_bytes)];
    for (n, limit) in set {
        decode(&limit(Limits::default(), n)).unwrap();
        assert!(matches!(decode(&limit(Limits::default(), n - 1)), Err(Error::Limit { .. })), "{n}");
    }
}

fn header(text: &str) -> Vec<u8> {
    [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes()].concat()
}

#[test]
fn a_header_may_be_spelled_in_any_way_and_costs_nothing_when_it_boasts() {
    let decode = |text: &str, data: &[u8]| {
        npy::decode(&[&header(text)[..], data].concat(), "test", &Limits::default())
    };
    let t = decode(r#"{"shape":(2,),"fortran_order":True,"descr":"|u1"}"#, &[7, 8]).unwrap();
    assert_eq!(t.to_vec::<u8>().unwrap(), [7, 8]);
    let dims = |shape: &str| format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}");
    assert_eq!(decode(&dims("( 1 , 2 )"), &[1, 2]).unwrap().dims(), [1, 2]);
    assert_eq!(decode(&dims("()"), &[1]).unwrap().dims(), [0usize; 0]);
    for shape in [
        "(99999999999999999999,)",
        "(4294967296, 4294967296)",
        "(18446744073709551615, 18446744073709551615)",
        "(1073741824,)",
        "(-1,)",
        "(1 2)",
        "(1,,2)",
        "(1,1,1,1,1,1,1,1,1)",
        "[1]",
        "1",
    ] {
        assert!(decode(&dims(shape), &[1]).is_err(), "{shape}");
    }
    assert!(decode(&(dims("(1,)") + "x"), &[1]).is_err());
    let twice = "{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (1,)}";
    assert!(decode(twice, &[1]).unwrap_err().to_string().contains("there twice"));
    assert!(
        decode(&dims("(2,)").replace("|u1", "|b1"), &[1, 2])
            .unwrap_err()
            .to_string()
            .contains("truth value 2")
    );
}

/// NumPy's own reader gives a header to Python's parser and the type's name to `numpy.dtype`, which take all of these.
#[test]
fn headers_of_other_writers_and_of_python_2_are_read() {
    let decode = |descr: &str, shape: &str, data: &[u8]| {
        let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}");
        npy::decode(&[&header(&text)[..], data].concat(), "test", &Limits::default())
    };
    let (one, two) = (1f32.to_le_bytes(), 2f32.to_le_bytes());
    let both = [one, two].concat();
    for descr in ["'f4'", "'=f4'", "'|f4'", "'<f4'", "'float32'", "'f'", "'=float32'", "\"<f4\""] {
        let t = decode(descr, "(2L, )", &both).unwrap();
        assert_eq!((t.dtype(), t.to_vec::<f32>().unwrap()), (DType::F32, vec![1.0, 2.0]), "{descr}");
    }
    let big = [1f32.to_be_bytes(), 2f32.to_be_bytes()].concat();
    assert_eq!(decode("'>f4'", "(1L, 2L)", &big).unwrap().dims(), [1, 2]);
    assert_eq!(decode("'?'", "(1,)", &[1]).unwrap().dtype(), DType::Bool);
    assert_eq!(decode("'int16'", "(1L,)", &[1, 1]).unwrap().to_vec::<i64>().unwrap(), [257]);
    for (descr, instead) in [
        ("'|O'", "Python objects"),
        ("'O8'", "Python objects"),
        ("'<U3'", "text"),
        ("'|S3'", "text"),
        ("'<c16'", "x.real"),
        ("'<M8[ns]'", "dates"),
        ("'uint64'", "astype('int64')"),
        ("'|V12'", "structures"),
        ("'<f16'", "astype('float64')"),
        ("[('a', '<f4'), ('b', '<i4')]", "structured array"),
        ("'<>f4'", "expected floats"),
        ("'float33'", "expected floats"),
        ("''", "expected floats"),
    ] {
        let e = decode(descr, "(1,)", &[0; 16]).unwrap_err().to_string();
        assert!(e.contains(instead) && !e.contains("damaged"), "{descr}: {e}");
    }
    for shape in ["(2LL,)", "(L,)", "(2 L,)", "(0x2,)", "(2l,)"] {
        assert!(decode("'<f4'", shape, &both).is_err(), "{shape}");
    }
}

#[test]
fn arrays_beside_one_that_cannot_be_read_can_be_read() {
    let (x, y) = (counting(DType::F32, false, &[2, 3]), counting(DType::I64, false, &[4]));
    let good = npz::encode(&[("x", &x), ("names", &y), ("y", &y)]).unwrap();
    let decode = |bytes: &[u8]| npz::decode(bytes, "test", &Limits::default());
    let only = |bytes: &[u8], names: &[&str]| npz::decode_only(bytes, "test", names, &Limits::default());
    let at =
        |what: &[u8], from: usize| from + good[from..].windows(what.len()).position(|w| w == what).unwrap();
    let central = at(b"PK\x01\x02", 0);
    let entry = at(b"names.npy", central) - 46;
    // The middle member: another compression, encryption, no array, bytes that do not have their checksum.
    let bent = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    for (bytes, why) in [
        (bent(entry + 10, 12), "compression 12"),
        (bent(entry + 8, 1), "encrypted"),
        (bent(entry + 46 + 8, b'x'), "not a .npy file"),
        (bent(at(b"names.npy", 0) + 20, 7), "checksum"),
    ] {
        let e = decode(&bytes).unwrap_err().to_string();
        assert!(e.contains(why), "{e}");
        let rest = only(&bytes, &["y", "x"]).unwrap();
        assert_eq!((&rest[0].0[..], &rest[1].0[..]), ("y", "x"));
        assert!(rest[0].1.same_bits(&y) && rest[1].1.same_bits(&x));
        assert!(only(&bytes, &["names"]).is_err());
    }
    let e = decode(&bent(entry + 10, 12)).unwrap_err().to_string();
    assert!(e.contains("npz::read_only"), "{e}");
    assert!(only(&good, &["z"]).unwrap_err().to_string().contains("no array 'z'; there are x, names, y"));
    assert!(only(&good, &["x", "x"]).is_err());
    assert!(only(&good, &[]).unwrap().is_empty());
    let path = std::env::temp_dir().join(format!("gradus-npz-only-{}.npz", std::process::id()));
    std::fs::write(&path, &good).unwrap();
    assert_eq!(npz::read_only(&path, &["y"], &Limits::default()).unwrap().len(), 1);
    std::fs::remove_file(&path).unwrap();
}

proptest! {
    #![proptest_config(crate::cases(256))]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text: String) {
        let limits = Limits::default();
        let _ = npy::decode(&bytes, "test", &limits);
        let _ = npy::decode(&header(&text[..text.len().min(60_000)]), "test", &limits);
        let _ = npz::decode(&bytes, "test", &limits);
    }

    #[test]
    fn bent_archives_never_panic(at in 0usize..900, byte: u8) {
        for name in ["stored.npz", "deflated.npz"] {
            let mut bytes = std::fs::read(file(name)).unwrap();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = npz::decode(&bytes, "test", &Limits::default());
        }
    }
}

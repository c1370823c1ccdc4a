//! Snapshots of what readers, writers, tables and datasets say when something is wrong, word by word, in
//! `snapshots/file_errors.txt`. `UPDATE_SNAPSHOTS=1` rewrites the file.

use crate::files::folder;
use gradus::data::Size;
use gradus::datasets::{cifar10, idx, mnist};
use gradus::io::{Csv, Encoder, Limits, Missing, Table, Unknown, npy, npz};
use gradus::prelude::*;
use gradus::{Error, Result};

type Mistake = (&'static str, fn() -> Result<()>);

fn parse(csv: Csv, text: &str) -> Result<Table> {
    csv.parse(text.as_bytes(), "pets.csv", &Limits::default())
}

fn csv(csv: Csv, text: &str) -> Result<()> {
    parse(csv, text).map(drop)
}

fn bytes(bytes: &[u8]) -> Result<()> {
    Csv::new().parse(bytes, "pets.csv", &Limits::default()).map(drop)
}

fn rows() -> Dataset {
    Dataset::from_inputs(&Tensor::arange(10).unwrap()).unwrap()
}

fn array(descr: &str, shape: &str, data: &[u8]) -> Result<()> {
    let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}");
    let length = (header.len() as u16).to_le_bytes();
    let bytes = [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat();
    npy::decode(&bytes, "x.npy", &Limits::default()).map(drop)
}

fn archive(change: impl FnOnce(&mut Vec<u8>, usize)) -> Vec<u8> {
    let (x, y) = (Tensor::ones([2]).unwrap(), Tensor::zeros([3]).unwrap());
    let mut bytes = npz::encode(&[("x", &x), ("y", &y)]).unwrap();
    let entry = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    change(&mut bytes, entry);
    bytes
}

fn unpack(bytes: &[u8]) -> Result<()> {
    npz::decode(bytes, "x.npz", &Limits::default()).map(drop)
}

fn images(bytes: &[u8]) -> Result<()> {
    idx::decode(bytes, "t10k-images", &Limits::default()).map(drop)
}

/// A table of texts and its encoder, and a table with a category that it does not know.
fn encoder() -> (Table, Encoder, Table) {
    let csv = Csv::new().category("kind").missing(Missing::Keep);
    let train = parse(csv.clone(), "kind,age\ncat,1\ndog,2\n").unwrap();
    let encoder = Encoder::adapt(&train).unwrap();
    (train, encoder, parse(csv, "kind,age\nant,1\n").unwrap())
}

/// What stands in a folder of its own, whose path is left out of the message.
fn at(name: &str, f: impl FnOnce(&std::path::Path) -> Result<()>) -> Result<()> {
    // Several tests run all mistakes at once.
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let run = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let dir = folder(&format!("errors-{name}-{run}"));
    let inside = f(&dir).map_err(|e| e.to_string().replace(&format!("{}/", dir.display()), ""));
    inside.map_err(|text| Error::Custom(text.replace(&dir.display().to_string(), "folder")))
}

#[cfg(unix)]
fn pipe(path: &std::path::Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

const MISTAKES: &[Mistake] = &[
    // ---- tables
    ("csv_text_in_a_column_of_numbers", || csv(Csv::new(), "age,kind\n1,2\n3,cat\n")),
    ("csv_text_in_the_first_row_without_a_header", || csv(Csv::new().header(false), "age,kind\n1,2\n")),
    ("csv_another_delimiter", || csv(Csv::new(), "age;kind\n1;2\n")),
    ("csv_another_delimiter_and_a_column", || csv(Csv::new().label("kind"), "age\tkind\n1\t2\n")),
    ("csv_decimal_comma", || csv(Csv::new().delimiter(';'), "age;size\n1;2,5\n")),
    ("csv_too_large_for_float32", || csv(Csv::new(), "age,size\n1,1e39\n")),
    ("csv_infinity", || csv(Csv::new(), "age,size\n1,inf\n")),
    ("csv_hexadecimal", || csv(Csv::new(), "age,size\n1,0x10\n")),
    ("csv_underscores", || csv(Csv::new(), "age,size\n1,1_000\n")),
    ("csv_missing_number", || csv(Csv::new(), "age,size\n1,NA\n")),
    ("csv_missing_category", || csv(Csv::new().category("kind"), "age,kind\n1,\n")),
    ("csv_missing_label", || csv(Csv::new().label("kind").missing(Missing::Fill(0.0)), "age,kind\n1,?\n")),
    ("csv_row_lost_in_one_column", || csv(Csv::new(), "age\n1\n\n3\n")),
    ("csv_fill_with_infinity", || csv(Csv::new().missing(Missing::Fill(f32::INFINITY)), "age\n1\n")),
    ("csv_name_twice", || csv(Csv::new().label("price"), "price,age,price\n1,2,3\n")),
    ("csv_name_twice_but_for_blanks_and_capitals", || csv(Csv::new(), "price,age,\" Price\"\n1,2,3\n")),
    ("csv_column_in_two_parts", || {
        csv(Csv::new().columns(["age", "price"]).target("price"), "age,price\n1,2\n")
    }),
    ("csv_column_twice", || csv(Csv::new().columns(["age", "age"]), "age,price\n1,2\n")),
    ("csv_two_targets", || csv(Csv::new().target("age").label(1), "age,price\n1,2\n")),
    ("csv_header_of_numbers", || csv(Csv::new(), "1,2.5\n3,4\n")),
    ("csv_no_such_name", || csv(Csv::new().label("kind"), "age,shoe size\n1,2\n")),
    ("csv_name_in_other_letters", || csv(Csv::new().label("kind"), "age, Kind\n1,2\n")),
    ("csv_no_such_number", || csv(Csv::new().label(2), "age,kind\n1,2\n")),
    ("csv_name_without_a_header", || csv(Csv::new().header(false).label("kind"), "1,2\n")),
    ("csv_labels_of_two_kinds", || csv(Csv::new().label("kind"), "age,kind\n1,1\n2,2\n3,cat\n")),
    ("csv_labels_with_fractions", || csv(Csv::new().label("price"), "age,price\n1,1\n2,2.5\n")),
    ("csv_too_many_cells", || csv(Csv::new(), "age,kind\n1,2,3\n")),
    ("csv_too_few_cells", || csv(Csv::new(), "age,kind\n1\n")),
    ("csv_open_quote", || csv(Csv::new(), "age\n\"1\n")),
    ("csv_after_a_quote", || csv(Csv::new(), "age\n\"1\" 2\n")),
    ("csv_delimiter", || csv(Csv::new().delimiter('\n'), "age\n1\n")),
    ("csv_empty", || csv(Csv::new(), "\n\n")),
    ("csv_utf16", || bytes(b"\xff\xfea\0\n\0")),
    ("csv_latin1", || bytes(b"caf\xe9\n1\n")),
    ("csv_gzip", || bytes(b"\x1f\x8b\x08\x00")),
    ("csv_spreadsheet", || bytes(b"PK\x03\x04\xff")),
    ("csv_one_row_of_commas", || csv(Csv::new(), &",".repeat(1 << 20))),
    ("csv_total", || {
        let text = "age\n".to_string() + &"1\n".repeat(100);
        Csv::new().parse(text.as_bytes(), "pets.csv", &Limits::default().max_total_bytes(100)).map(drop)
    }),
    ("table_without_target", || parse(Csv::new(), "age\n1\n")?.target().map(drop)),
    ("table_split_share", || parse(Csv::new(), "age\n1\n2\n")?.split(80.0, 1).map(drop)),
    ("table_split_empty", || parse(Csv::new(), "age\n1\n2\n")?.split(0.1, 1).map(drop)),
    ("encoder_of_no_rows", || Encoder::adapt(&parse(Csv::new(), "age\n")?).map(drop)),
    ("encoder_of_no_values", || {
        Encoder::adapt(&parse(Csv::new().missing(Missing::Keep), "age,size\n1,\n2,\n")?).map(drop)
    }),
    ("encoder_unknown_category", || encoder().1.encode(&encoder().2).map(drop)),
    ("encoder_unknown_index", || encoder().1.unknown(Unknown::Zeros).index(&encoder().2, "kind").map(drop)),
    ("encoder_other_columns", || {
        encoder().1.encode(&parse(Csv::new().category("kind"), "kind,size\ncat,1\n")?).map(drop)
    }),
    ("encoder_without_categories", || encoder().1.encode(&parse(Csv::new(), "age\n1\n")?).map(drop)),
    ("encoder_no_such_category", || encoder().1.index(&encoder().0, "age").map(drop)),
    ("encoder_no_categories", || {
        Encoder::adapt(&parse(Csv::new(), "age\n1\n")?)?.vocabulary("kind").map(drop)
    }),
    // ---- datasets
    ("split_after_shuffle", || rows().shuffle(1).split(0.8, Size::Rest).map(drop)),
    ("split_after_shuffle_and_batch", || {
        rows().shuffle_buffer(4, 1).batch(2).split(0.8, Size::Rest).map(drop)
    }),
    ("split_after_repeat", || rows().repeat(2).split(0.8, Size::Rest).map(drop)),
    ("validate_on_a_part_of_the_shuffled_dataset", || {
        let x = Tensor::ones([10, 1])?;
        let all = Dataset::from_tensors(&x, &x)?.shuffle(1);
        let stack = Sequential::new().add(Input::new([1])).add(Dense::new(1));
        let mut model = stack.compile(SGD::new(0.1), MeanSquaredError::new(), ())?;
        let validation = all.skip(8).batch(2);
        model.fit_dataset(&all.take(8).batch(2), Fit::new().verbose(0).validation_dataset(&validation))?;
        Ok(())
    }),
    // ---- NumPy's files
    ("npy_archive", || npy::decode(b"PK\x03\x04", "x.npy", &Limits::default()).map(drop)),
    ("npy_pickle", || npy::decode(b"\x80\x04\x95", "x.npy", &Limits::default()).map(drop)),
    ("npy_gzip", || npy::decode(b"\x1f\x8b\x08", "x.npy", &Limits::default()).map(drop)),
    ("npy_structured", || array("[('a', '<f4')]", "(1,)", &[0; 4])),
    ("npy_objects", || array("'|O'", "(1,)", &[0; 8])),
    ("npy_text", || array("'<U3'", "(1,)", &[0; 12])),
    ("npy_complex", || array("'<c8'", "(1,)", &[0; 8])),
    ("npy_dates", || array("'<M8[ns]'", "(1,)", &[0; 8])),
    ("npy_unsigned_64", || array("'<u8'", "(1,)", &[0; 8])),
    ("npy_sizes", || array("'<f4'", "(2LL,)", &[0; 8])),
    ("npz_encrypted", || unpack(&archive(|bytes, entry| bytes[entry + 8] = 1))),
    ("npz_compression", || unpack(&archive(|bytes, entry| bytes[entry + 10] = 12))),
    ("npz_no_array", || unpack(&archive(|bytes, entry| bytes[entry + 49] = b'x'))),
    ("npz_no_such_array", || {
        npz::decode_only(&archive(|_, _| ()), "x.npz", &["z"], &Limits::default()).map(drop)
    }),
    ("npz_array_twice", || {
        npz::decode_only(&archive(|_, _| ()), "x.npz", &["x", "x"], &Limits::default()).map(drop)
    }),
    // ---- data sets
    ("idx_floats", || images(&[0, 0, 0x0d, 1, 0, 0, 0, 0])),
    ("idx_length", || images(&[0, 0, 8, 1, 0, 0, 0, 2, 5])),
    ("idx_foreign", || images(b"PK\x03\x04")),
    ("mnist_not_there", || mnist::load_from("no/such/folder").map(drop)),
    ("cifar_archive_is_none", || {
        at("cifar", |dir| {
            std::fs::write(dir.join("cifar-10-binary.tar.gz"), b"\x1f\x8b\x08").unwrap();
            cifar10::load_from(dir).map(drop)
        })
    }),
    // ---- paths
    ("path_missing", || Csv::new().read("no/such/file.csv", &Limits::default()).map(drop)),
    ("path_folder", || at("folder", |dir| Csv::new().read(dir, &Limits::default()).map(drop))),
    #[cfg(target_os = "linux")]
    ("path_device", || npy::read("/dev/zero", &Limits::default()).map(drop)),
    #[cfg(unix)]
    ("path_pipe", || {
        at("pipe", |dir| {
            pipe(&dir.join("pipe"));
            Model::load(dir.join("pipe")).map(drop)
        })
    }),
    #[cfg(unix)]
    ("save_over_a_pipe", || {
        at("over-pipe", |dir| {
            pipe(&dir.join("pipe"));
            npy::write(dir.join("pipe"), &Tensor::ones([1])?)
        })
    }),
    ("save_over_a_folder", || at("over-folder", |dir| npy::write(dir, &Tensor::ones([1])?))),
    ("file_too_long", || {
        at("long", |dir| {
            std::fs::write(dir.join("x.csv"), "age\n1\n").unwrap();
            Csv::new().read(dir.join("x.csv"), &Limits::default().max_file_bytes(5)).map(drop)
        })
    }),
];

#[cfg(all(target_os = "linux", feature = "datasets"))]
#[test]
fn messages_are_those_of_the_snapshot() {
    use std::fmt::Write;
    let mut text = String::new();
    for (name, mistake) in MISTAKES {
        match std::panic::catch_unwind(mistake) {
            Ok(Err(e)) => writeln!(text, "{name}: {e}").unwrap(),
            Ok(Ok(())) => panic!("{name}: no error"),
            Err(_) => panic!("{name}: panicked"),
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/all/snapshots/file_errors.txt");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap();
    for (is, was) in text.lines().zip(expected.lines()) {
        assert_eq!(is, was, "set UPDATE_SNAPSHOTS=1 if the new message is better");
    }
    assert_eq!(text.lines().count(), expected.lines().count(), "set UPDATE_SNAPSHOTS=1 for new rows");
}

/// Each names the file, column or argument it is about, and the limits' messages where to raise them.
#[test]
fn every_message_says_where() {
    let places = [
        "pets.csv: ",
        "x.npy: ",
        "x.npz: ",
        "t10k-images",
        "column",
        "share: ",
        "split: ",
        "target: ",
        "adapt: ",
        "encode: ",
        "unknown: ",
        "missing: ",
        "delimiter: ",
        "validation_dataset: ",
        "names: ",
        "no/such/",
        "folder: ",
        "/dev/zero: ",
        "pipe: ",
        "x.csv: ",
        "cifar-10-binary.tar.gz: ",
    ];
    for (name, mistake) in MISTAKES {
        let text = mistake().unwrap_err().to_string();
        assert!(
            places
                .iter()
                .any(|place| text.starts_with(place) || (*place == "column" && text.starts_with("column"))),
            "{name}: {text}"
        );
    }
}

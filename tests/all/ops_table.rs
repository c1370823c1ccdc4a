//! Writes and checks `docs/ops.md`, which is made of the tables in the source: every public operation must have its
//! row. `UPDATE_SNAPSHOTS=1` writes the page anew.

use gradus::ops::{self, Gradient, Takes};
use gradus::{DType, Tensor};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

fn root() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Name, element types, gradients, ONNX's operator.
type Row = (&'static str, Takes, Gradient, &'static str);

/// The rows by file.
fn tables() -> BTreeMap<String, Vec<Row>> {
    let mut files: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let elementwise = files.entry("elementwise".into()).or_default();
    elementwise.extend(ops::UNARY.iter().map(|r| (r.name, r.takes, Gradient::Every, r.onnx)));
    elementwise.extend(ops::BINARY.iter().map(|r| (r.name, r.takes, Gradient::Every, r.onnx)));
    for row in ops::OPS.iter().copied().flatten() {
        let file = row.module.rsplit("::").next().unwrap().to_string();
        files.entry(file).or_default().push((row.name, row.takes, row.gradient, row.onnx));
    }
    files
}

fn page() -> String {
    let mut page = String::from(
        "# Operations\n\nMade from the tables in `src/ops/` by `UPDATE_SNAPSHOTS=1 cargo test --test all ops_table`; do not edit. \
         A gradient of every order is checked against differences at orders 1 and 2 (`tests/all/gradients.rs`); \"none\" means that \
         nothing flows back. Integers are int64, int32, int8 and uint8; [dtypes.md] says what comes of them, and how \
         operands of two dtypes meet. ONNX's operator is the one that says the same, alone or with others around it.\n\n\
         [dtypes.md]: dtypes.md\n",
    );
    let all = tables();
    writeln!(page, "\n{} operations.", all.values().map(Vec::len).sum::<usize>()).unwrap();
    for (file, mut rows) in all {
        rows.sort_by_key(|r| r.0);
        writeln!(page, "\n## `src/ops/{file}.rs`\n\n| `Tensor::` | element types | gradient | ONNX |")
            .unwrap();
        writeln!(page, "| --- | --- | --- | --- |").unwrap();
        for (name, takes, gradient, onnx) in rows {
            let takes = match takes {
                Takes::Floats => "float32, float64",
                Takes::Numbers => "float32, float64, integers",
                Takes::Wide => "float32, float64, integers, bool",
                Takes::Bools => "bool",
                Takes::Ints => "integers",
                Takes::Any => "any",
                Takes::Nothing => "",
                _ => "?",
            };
            let gradient = if gradient == Gradient::Every { "every order" } else { "none" };
            writeln!(page, "| `{name}` | {takes} | {gradient} | {onnx} |").unwrap();
        }
    }
    page + &keras()
}

/// How many names `keras.ops` has in Keras 3.15, and `keras.ops.image`.
const KERAS: usize = 341;
const KERAS_IMAGE: usize = 16;

/// The names of `keras.ops` side by side with ours, from `tests/foreign/keras_ops.txt`.
fn keras() -> String {
    let list = std::fs::read_to_string(root().join("tests/foreign/keras_ops.txt")).unwrap();
    let all: BTreeSet<&str> = tables().values().flatten().map(|r| r.0).collect();
    let (mut rows, mut here, mut images, mut seen) = (String::new(), 0, 0, BTreeSet::new());
    for line in list.lines().filter(|l| !l.starts_with('#')) {
        let mut words = line.splitn(3, ' ');
        let (name, ours) = (words.next().unwrap(), words.next().unwrap());
        assert!(seen.insert(name), "{name} is listed twice");
        assert!(
            ours == "-" || all.contains(ours),
            "there is no operation {ours}, which should stand for {name}"
        );
        let cell = if ours == "-" { String::new() } else { format!("`{ours}`") };
        writeln!(rows, "| `{name}` | {cell} | {} |", words.next().unwrap_or_default()).unwrap();
        match name.starts_with("image.") {
            true => images += usize::from(ours != "-"),
            false => here += usize::from(ours != "-"),
        }
    }
    assert_eq!(seen.len(), KERAS + KERAS_IMAGE, "tests/foreign/keras_ops.txt lists not all of them");
    format!(
        "\n## Keras's operations\n\nOf the {KERAS} names of `keras.ops`, {here} are here, and of the {KERAS_IMAGE} of `keras.ops.image` {images}. For the others: what to write instead, \
         or why not.\n\n| `keras.ops.` | `Tensor::` | |\n| --- | --- | --- |\n{rows}"
    )
}

#[test]
fn the_page_is_made_of_the_tables() {
    let path = root().join("docs/ops.md");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let stands = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stands == page(), "docs/ops.md is stale: run UPDATE_SNAPSHOTS=1 cargo test --test all ops_table");
}

/// The public functions in the `impl Tensor` blocks of a file; those that macros make are rows of tables already.
fn functions(text: &str) -> BTreeSet<String> {
    let (mut inside, mut found) = (false, BTreeSet::new());
    for line in text.lines() {
        if line.starts_with("impl") {
            inside = line.starts_with("impl Tensor {");
        }
        if let Some(rest) = line.strip_prefix("    pub fn ").filter(|_| inside) {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            found.insert(rest[..end].to_string());
        }
    }
    found.remove("");
    found
}

#[test]
fn every_public_operation_has_a_row() {
    let all = tables();
    let mut wrong = Vec::new();
    let mut count = 0;
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("src/ops")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue; // the tests of a family
        }
        let file = path.file_stem().unwrap().to_str().unwrap().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        let rows: Vec<&str> = all.get(&file).into_iter().flatten().map(|r| r.0).collect();
        for name in functions(&text) {
            count += 1;
            if !rows.contains(&name.as_str()) {
                let row = format!("{name}: Floats, Every, \"OnnxOperatorOrNothing\";");
                wrong.push(if text.contains("table::ops! {") {
                    format!("src/ops/{file}.rs: add `{row}` to its `super::table::ops! {{ … }}`")
                } else {
                    format!(
                        "src/ops/{file}.rs: add `super::table::ops! {{ {row} }}` below its imports, and `{file}` to `families!` in \
                         src/ops/mod.rs"
                    )
                });
            }
        }
        for name in rows {
            if !text.contains(&format!("{name}(")) && !text.contains(&format!(" {name}: ")) {
                wrong.push(format!("src/ops/{file}.rs: there is no `{name}`: take its row away"));
            }
            if !names.insert(name) {
                wrong.push(format!("src/ops/{file}.rs: `{name}` has two rows"));
            }
        }
    }
    assert!(count > 50, "the scan found only {count} functions");
    assert!(
        wrong.is_empty(),
        "{}\n(then UPDATE_SNAPSHOTS=1 cargo test --test all ops_table)",
        wrong.join("\n")
    );
}

#[test]
fn elementwise_rows_take_what_they_say() {
    for dtype in DType::ALL {
        let x = Tensor::full([2], 1.0).unwrap().cast(dtype).unwrap();
        let takes = |takes| match takes {
            Takes::Floats => dtype.is_float(),
            Takes::Numbers => dtype.is_float() || dtype.is_integer(),
            _ => !matches!(dtype, DType::BF16 | DType::F16),
        };
        for row in ops::UNARY {
            assert_eq!((row.apply)(&x).is_ok(), takes(row.takes), "{} of {dtype}", row.name);
        }
        for row in ops::BINARY {
            assert_eq!((row.apply)(&x, &x).is_ok(), takes(row.takes), "{} of {dtype}", row.name);
        }
    }
}

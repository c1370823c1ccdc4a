//! Tests of each rule of the CSV reader with hand-written tables, since a table that is read wrongly trains wrongly
//! without any sign of it.

use gradus::io::{Csv, Limits, Missing, Table};
use gradus::prelude::*;
use gradus::{Error, Result};
use proptest::prelude::*;

fn parse(csv: &Csv, text: &str) -> Result<Table> {
    csv.parse(text.as_bytes(), "test.csv", &Limits::default())
}

fn why(csv: &Csv, text: &str) -> String {
    parse(csv, text).unwrap_err().to_string()
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.to_vec::<f32>().unwrap()
}

#[test]
fn ends_of_lines_quotes_and_spaces() {
    let expected = [1.0, -2.5, 3e2, 4.0];
    for text in [
        "a,b\n1,-2.5\n3e2,4\n",
        "a,b\r\n1,-2.5\r\n3e2,4",
        "a,b\r1,-2.5\r3e2,4\r",
        "\u{feff}a,b\n\n1, -2.5 \n\n\"3e2\" , \"4\"\n\n",
    ] {
        let table = parse(&Csv::new(), text).unwrap();
        assert_eq!((numbers(&table.x), table.x.dims()), (expected.to_vec(), &[2, 2][..]), "{text:?}");
        assert_eq!(table.names, ["a", "b"]);
        assert!(table.y.is_none() && table.classes.is_empty());
    }
    let table = parse(&Csv::new().label("c"), "\"a\n\"\"x\"\"\",c\n1,\"p, q\"\n2,\"p\n\"\n").unwrap();
    assert_eq!(table.names, ["a\n\"x\""]);
    assert_eq!(table.classes, ["p", "p, q"]);
    let table = parse(&Csv::new().header(false).delimiter(';'), "1;2\n3;4").unwrap();
    assert_eq!((table.x.dims(), table.names.len()), (&[2, 2][..], 0));
    assert_eq!(parse(&Csv::new(), "a,b\n").unwrap().x.dims(), [0, 2]);
}

#[test]
fn columns_targets_and_labels() {
    let text = "id,w,h,kind,price\nx1,1,2,cat,9.5\nx2,3,4,ant,8\nx3,5,6,cat,7\n";
    let csv = Csv::new().columns(["h", "w"]);
    let table = parse(&csv.clone().label("kind"), text).unwrap();
    assert_eq!(numbers(&table.x), [2.0, 1.0, 4.0, 3.0, 6.0, 5.0]);
    assert_eq!(table.names, ["h", "w"]);
    assert_eq!(table.y.unwrap().to_vec::<i64>().unwrap(), [1, 0, 1]);
    assert_eq!(table.classes, ["ant", "cat"]);
    let table = parse(&csv.target(4), text).unwrap();
    assert_eq!(
        (numbers(&table.y.clone().unwrap()), table.y.unwrap().dims()),
        (vec![9.5, 8.0, 7.0], &[3, 1][..])
    );
    let table = parse(&Csv::new().header(false).label(1), "1,7\n2,-3\n").unwrap();
    assert_eq!(table.y.unwrap().to_vec::<i64>().unwrap(), [7, -3]);
    assert_eq!((table.classes.len(), numbers(&table.x)), (0, vec![1.0, 2.0]));
}

#[test]
fn missing_values_follow_the_policy() {
    let text = "a,b,c\n1,,3\n4,5,6\n7,NA,9\n10,11,?\n";
    let csv = Csv::new().columns(["a", "b"]).target("c");
    assert_eq!(
        why(&csv, text),
        "test.csv: line 2, column 'b': expected a number, found none: choose Missing::DropRow, Missing::Fill or \
         Missing::Keep"
    );
    let table = parse(&csv.clone().missing(Missing::DropRow), text).unwrap();
    assert_eq!((numbers(&table.x), numbers(&table.y.unwrap())), (vec![4.0, 5.0], vec![6.0]));
    // What is to be learnt is never made up.
    for made_up in [Missing::Fill(-1.0), Missing::Keep] {
        assert_eq!(
            why(&csv.clone().missing(made_up), text),
            "test.csv: line 5, column 'c': expected a target, found none: choose Missing::DropRow"
        );
    }
    let text = &text.replace('?', "12");
    let table = parse(&csv.clone().missing(Missing::Fill(-1.0)), text).unwrap();
    assert_eq!(numbers(&table.x), [1.0, -1.0, 4.0, 5.0, 7.0, -1.0, 10.0, 11.0]);
    assert_eq!(numbers(&table.y.unwrap()), [3.0, 6.0, 9.0, 12.0]);
    let table = parse(&csv.clone().missing(Missing::Fill(f32::NAN)), text).unwrap();
    assert!(numbers(&table.x)[1].is_nan());
    let labels = Csv::new().columns(["a"]).label("b").missing(Missing::Fill(0.0));
    assert_eq!(
        why(&labels, text),
        "test.csv: line 2, column 'b': expected a label, found none: choose Missing::DropRow"
    );
    // Columns that are not asked for may miss anything.
    assert_eq!(parse(&Csv::new().columns(["a"]).missing(Missing::DropRow), text).unwrap().x.dims(), [4, 1]);
}

#[test]
fn messages_name_line_and_column() {
    // The whole messages stand in `snapshots/file_errors.txt`.
    let csv = Csv::new();
    let bare = csv.clone().header(false);
    for (csv, text, place) in [
        (&csv, "", "no rows"),
        (&csv, "a,b\n1,2\n\n\"3\",x7\n", "line 4, column 'b'"),
        (&csv, "a,b\n1\n", "line 2: 1 cells"),
        (&csv, "a\n\"\n\n1", "line 2: a quote that does not end"),
        (&csv, "a\n\"1\"2\n", "line 2: text after the end of a quote"),
        (&csv, "\"a\nb\",c\n1,z", "line 3, column 'c'"),
        (&csv.clone().label("z"), "a,b\n", "no column 'z'; there are 'a', 'b'"),
        (&bare.clone().label(2), "1,2\n", "no column 2"),
        (&bare, "1,y\n", "line 1, column 1"),
        (&csv.clone().target("b"), "a,b\n1,2\n1,x\n", "line 3, column 'b'"),
    ] {
        let message = why(csv, text);
        assert!(message.starts_with(&format!("test.csv: {place}")), "{message}");
    }
    let e = csv.parse(b"a\n\xff", "test.csv", &Limits::default()).unwrap_err();
    assert!(e.to_string().starts_with("test.csv: not UTF-8 at byte 2"), "{e}");
    assert!(why(&csv.delimiter('"'), "a\n").starts_with("delimiter: "));
}

#[test]
fn one_header_name_twice_is_an_error() {
    let csv = Csv::new();
    for header in
        ["price,area,price", "price,area, price ", "Price,area,price", "price,area,\" price\"", "a,,"]
    {
        let text = format!("{header}\n1,2,3\n");
        let message = why(&csv, &text);
        assert!(message.contains("have the same name") && message.contains(".columns([0, 1])"), "{message}");
        // The label as well as a feature: what is predicted would be among what it is predicted from.
        assert!(why(&csv.clone().target(0), &text).contains("have the same name"), "{header}");
    }
    let text = "price,area,price\n1,2,3\n";
    assert!(why(&csv.clone().target("price"), text).contains("columns 0 and 2 have the same name"));
    assert!(why(&csv.clone().target("area"), text).contains("columns 0 and 2 have the same name"));
    assert!(
        why(&csv.clone().columns(["area", "price"]), text).contains("columns 0 and 2 have the same name")
    );
    // By number, or if the two are not asked for.
    let table = parse(&csv.clone().columns([2, 1]).target(0), text).unwrap();
    assert_eq!((numbers(&table.x), numbers(&table.y.unwrap())), (vec![3.0, 2.0], vec![1.0]));
    assert_eq!(numbers(&parse(&csv.clone().columns(["area"]), text).unwrap().x), [2.0]);
    // One column in two parts.
    let text = "a,b\n1,2\n";
    assert!(
        why(&csv.clone().columns(["a", "b"]).target("b"), text)
            .contains("column 'b' is what is predicted and a column of numbers")
    );
    assert!(why(&csv.clone().columns(["a", "a"]), text).contains("column 'a' is a column of numbers twice"));
    assert!(
        why(&csv.clone().category("b").columns(["b"]), text)
            .contains("column 'b' is a category and a column of numbers")
    );
    assert!(why(&csv.target("a").label("b"), text).starts_with("target: "));
}

#[test]
fn the_grammar_of_cells_decides_in_every_kind_of_column() {
    let csv = Csv::new();
    let cell = |csv: &Csv, cell: &str| parse(csv, &format!("a,b\n{cell},0\n"));
    for (text, value) in
        [(" 5 ", 5.0), ("+5", 5.0), ("5.", 5.0), ("\t.5", 0.5), ("1e5", 1e5), ("\" 7 \"", 7.0)]
    {
        assert_eq!(numbers(&cell(&csv, text).unwrap().x), [value, 0.0], "{text}");
        assert_eq!(
            numbers(cell(&csv.clone().target("a"), text).unwrap().target().unwrap()),
            [value],
            "{text}"
        );
    }
    for text in [
        "inf",
        "-Infinity",
        "+nan",
        "NAN",
        "1e39",
        "-1e39",
        "0x10",
        "1_000",
        "\"1,000\"",
        "1 000",
        "5%",
        "5\u{a0}",
    ] {
        for csv in [
            csv.clone(),
            csv.clone().target("a"),
            csv.clone().missing(Missing::Fill(0.0)),
            csv.clone().missing(Missing::DropRow),
        ] {
            let message = cell(&csv, text).unwrap_err().to_string();
            assert!(
                message.starts_with("test.csv: line 2, column 'a': expected a number"),
                "{text}: {message}"
            );
        }
    }
    // Nothing that is not finite enters, but what was asked for by name.
    assert!(cell(&csv.clone().missing(Missing::Fill(f32::INFINITY)), "1").is_err());
    assert!(numbers(&cell(&csv.clone().missing(Missing::Keep), "nan").unwrap().x)[0].is_nan());
    for missing in ["", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "?", "\" NA \""] {
        let of = |csv: Csv| cell(&csv, missing);
        assert!(
            of(csv.clone()).is_err()
                && of(csv.clone().label("a")).is_err()
                && of(csv.clone().category("a")).is_err()
        );
        assert_eq!(numbers(&of(csv.clone().missing(Missing::Fill(9.0))).unwrap().x), [9.0, 0.0]);
        let table = of(csv.clone().missing(Missing::DropRow)).unwrap();
        assert_eq!((table.rows(), table.dropped), (0, 1));
    }
}

#[test]
fn a_column_of_labels_is_of_integers_or_of_texts_and_never_of_both() {
    let labels = |csv: Csv, cells: &[&str]| {
        let table = parse(&csv, &format!("y\n{}\n", cells.join("\n")))?;
        Ok((table.target()?.to_vec::<i64>()?, table.classes))
    };
    let csv = || Csv::new().label("y");
    let text = |s: &str| s.to_string();
    let ok = |cells: &[&str]| labels(csv(), cells).unwrap();
    assert_eq!(ok(&["+1", "-2", "007"]), (vec![1, -2, 7], vec![]));
    assert_eq!(ok(&["b", "a", "b"]), (vec![1, 0, 1], vec![text("a"), text("b")]));
    assert_eq!(ok(&["inf", "0x10"]), (vec![1, 0], vec![text("0x10"), text("inf")]));
    for cells in [
        &["1", "2", "2.0"][..],
        &["1", "1e5"],
        &["1", "cat"],
        &["5."],
        &["0.5", "1.5"],
        &["9223372036854775808"],
    ] {
        let e: Error = labels(csv(), cells).unwrap_err();
        assert!(e.to_string().contains(".text_label(\"y\")"), "{cells:?}: {e}");
        let (values, classes) = labels(Csv::new().text_label("y"), cells).unwrap();
        assert!(values.len() == cells.len() && classes.len() == cells.len());
    }
}

#[test]
fn no_row_is_lost_under_refuse() {
    // In a table of one column an empty line is a row without a value.
    let csv = Csv::new();
    assert!(why(&csv, "a\n1\n\n3\n").contains("line 3, column 'a': expected a number, found none"));
    assert!(why(&csv, "a\n1\n\"\"\n3\n").contains("line 3, column 'a': expected a number, found none"));
    let table = parse(&csv.clone().missing(Missing::DropRow), "a\n1\n\n3\n\n").unwrap();
    assert_eq!((numbers(&table.x), table.dropped), (vec![1.0, 3.0], 1));
    assert_eq!(parse(&csv.clone().missing(Missing::Fill(0.0)), "a\r\n1\r\n\r\n3\r\n").unwrap().rows(), 3);
    // Empty lines at the end are no rows, nor are they between rows of several cells.
    assert_eq!(parse(&csv, "a\n1\n3\n\n \n\n").unwrap().rows(), 2);
    assert_eq!(parse(&csv, "a,b\n1,2\n\n3,4\n\n").unwrap().rows(), 2);
    assert!(why(&csv, "a,b\n1,2\n,\n").contains("line 3, column 'a': expected a number, found none"));
    let tabs = csv.clone().delimiter('\t').missing(Missing::Fill(0.0));
    assert_eq!(numbers(&parse(&tabs, "a\tb\n1\t2\n3\t\n").unwrap().x), [1.0, 2.0, 3.0, 0.0]);
}

#[test]
fn a_header_of_numbers_is_refused_unless_it_is_said_to_be_one() {
    let text = "1,2\n3,4\n";
    assert!(why(&Csv::new(), text).contains(".header(false)"));
    assert_eq!(parse(&Csv::new().header(true), text).unwrap().names, ["1", "2"]);
    assert_eq!(parse(&Csv::new().header(false), text).unwrap().rows(), 2);
    assert_eq!(parse(&Csv::new(), "year,2020\n3,4\n").unwrap().rows(), 1);
}

#[test]
fn limits_hold() {
    let text = "name,b\n1,2\n3,4\n";
    let csv = Csv::new();
    for limits in [
        Limits::default().max_file_bytes(14),
        Limits::default().max_elements(3),
        Limits::default().max_total_bytes(7),
        Limits::default().max_name(3),
    ] {
        let got = csv.parse(text.as_bytes(), "test.csv", &limits);
        assert!(matches!(got, Err(Error::Limit { .. })), "{limits:?}");
    }
    let exact = Limits::default().max_file_bytes(15).max_elements(4).max_total_bytes(16).max_name(4);
    csv.parse(text.as_bytes(), "test.csv", &exact).unwrap();
}

#[test]
fn a_table_trains() {
    let text: String = (0..64).map(|i| format!("{},{},{}\n", i % 7, i % 3, 2 * (i % 7) - i % 3)).collect();
    let path = std::env::temp_dir().join(format!("gradus-csv-{}.csv", std::process::id()));
    std::fs::write(&path, "a,b,y\n".to_string() + &text).unwrap();
    let table = Csv::new().target("y").read(&path, &Limits::default()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let data = Dataset::from_tensors(&table.x, table.y.as_ref().unwrap()).unwrap().shuffle(1).batch(16);
    let stack = Sequential::new().add(Input::new([2])).add(Dense::new(1)).seed(1);
    let mut model = stack.compile(Adam::new(0.1), MeanSquaredError::new(), ()).unwrap();
    model.fit_dataset(&data, Fit::new().epochs(150).verbose(0)).unwrap();
    let kernel = numbers(&model.param("dense/kernel").unwrap());
    assert!((kernel[0] - 2.0).abs() < 0.05 && (kernel[1] + 1.0).abs() < 0.05, "{kernel:?}");
}

proptest! {
    #![proptest_config(crate::cases(256))]

    #[test]
    fn random_text_never_panics(text: String, label: bool) {
        let csv = if label { Csv::new().label(0) } else { Csv::new().header(false).missing(Missing::DropRow) };
        let _ = parse(&csv, &text);
    }

    #[test]
    fn what_is_quoted_comes_back(cells in proptest::collection::vec("[ -~\n]{0,8}", 1..6)) {
        // Each with a digit before it, so that no two names are alike.
        let cells: Vec<String> = cells.iter().enumerate().map(|(i, c)| format!("{i}{c}")).collect();
        let quoted: Vec<String> = cells.iter().map(|c| format!("\"{}\"", c.replace('"', "\"\""))).collect();
        let text = quoted.join(",") + "\n" + &vec!["1"; cells.len()].join(",");
        prop_assert_eq!(parse(&Csv::new().header(true), &text).unwrap().names, cells);
    }
}

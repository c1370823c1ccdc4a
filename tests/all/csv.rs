//! Why it exists: a table that is read wrongly trains wrongly without a word. Each rule of the reader against tables by hand.

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
    assert_eq!(why(&csv, text), "test.csv: line 2, column 'b': expected a number, found none");
    let table = parse(&csv.clone().missing(Missing::DropRow), text).unwrap();
    assert_eq!((numbers(&table.x), numbers(&table.y.unwrap())), (vec![4.0, 5.0], vec![6.0]));
    let table = parse(&csv.clone().missing(Missing::Fill(-1.0)), text).unwrap();
    assert_eq!(numbers(&table.x), [1.0, -1.0, 4.0, 5.0, 7.0, -1.0, 10.0, 11.0]);
    assert_eq!(numbers(&table.y.unwrap()), [3.0, 6.0, 9.0, -1.0]);
    let table = parse(&csv.clone().missing(Missing::Fill(f32::NAN)), text).unwrap();
    assert!(numbers(&table.x)[1].is_nan());
    let labels = Csv::new().columns(["a"]).label("b").missing(Missing::Fill(0.0));
    assert_eq!(why(&labels, text), "test.csv: line 2, column 'b': expected a value, found none");
    // Columns that are not asked for may miss anything.
    assert_eq!(parse(&Csv::new().columns(["a"]).missing(Missing::DropRow), text).unwrap().x.dims(), [4, 1]);
}

#[test]
fn messages_name_line_and_column() {
    let csv = Csv::new();
    assert_eq!(why(&csv, ""), "test.csv: no rows");
    assert_eq!(
        why(&csv, "a,b\n1,2\n\n\"3\",x7\n"),
        "test.csv: line 4, column 'b': expected a number, found 'x7'"
    );
    assert_eq!(why(&csv, "a,b\n1\n"), "test.csv: line 2: 1 cells, but 2 in the first row");
    assert_eq!(why(&csv, "a\n\"\n\n1"), "test.csv: line 2: a quote that does not end");
    assert_eq!(why(&csv, "a\n\"1\"2\n"), "test.csv: line 2: text after the end of a quote");
    assert_eq!(why(&csv, "\"a\nb\",c\n1,z"), "test.csv: line 3, column 'c': expected a number, found 'z'");
    assert_eq!(why(&csv.clone().label("z"), "a,b\n"), "test.csv: no column 'z'; there are a, b");
    let bare = csv.clone().header(false);
    assert_eq!(
        why(&bare.clone().label(2), "1,2\n"),
        "test.csv: no column number 2; there are 2 without names"
    );
    assert_eq!(why(&bare, "1,y\n"), "test.csv: line 1, column 1: expected a number, found 'y'");
    let e = csv.parse(b"a\n\xff", "test.csv", &Limits::default()).unwrap_err();
    assert_eq!(e.to_string(), "test.csv: not UTF-8 at byte 2");
    assert!(why(&csv.clone().delimiter('"'), "a\n").starts_with("delimiter: "));
    assert!(why(&csv.target("b"), "a,b\n1,x\n").contains("column 'b': expected a number, found 'x'"));
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
        let quoted: Vec<String> = cells.iter().map(|c| format!("\"{}\"", c.replace('"', "\"\""))).collect();
        prop_assume!(cells.iter().any(|c| !c.is_empty()));
        let text = quoted.join(",") + "\n" + &vec!["1"; cells.len()].join(",");
        prop_assert_eq!(parse(&Csv::new(), &text).unwrap().names, cells);
    }
}

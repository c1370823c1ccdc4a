//! Tests of tables and their encoder, from a file with texts to a trained model, without looking at the rows to
//! test with. Each rule is compared with values computed by hand.

use gradus::io::{Csv, Encoder, Limits, Missing, Table, Unknown};
use gradus::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn parse(csv: &Csv, text: &str) -> Table {
    csv.parse(text.as_bytes(), "test.csv", &Limits::default()).unwrap()
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.to_vec::<f32>().unwrap()
}

fn integers(t: &Tensor) -> Vec<i64> {
    t.to_vec::<i64>().unwrap()
}

#[test]
fn categories_are_texts_whatever_they_look_like() {
    let text = "city,n,zip\nOslo,1,0150\n\"Bergen, N\",2,5003\n Oslo ,3,0150\n";
    let table = parse(&Csv::new().category("city").category("zip"), text);
    assert_eq!((table.names.clone(), numbers(&table.x)), (vec!["n".to_string()], vec![1.0, 2.0, 3.0]));
    let [city, zip] = &table.categories[..] else { panic!() };
    assert_eq!((&city.name[..], &city.texts[..]), ("city", &["Bergen, N".to_string(), "Oslo".into()][..]));
    assert_eq!((integers(&city.values), integers(&zip.values)), (vec![1, 0, 1], vec![0, 1, 0]));
    assert_eq!(zip.texts, ["0150", "5003"]);
    // Missing ones are the empty text, if they may be missing.
    let table = parse(&Csv::new().header(false).category(0).missing(Missing::Keep), "a,1\nNA,2\n,3\n");
    assert_eq!(
        (&table.categories[0].texts[..], &table.categories[0].name[..]),
        (&["".to_string(), "a".into()][..], "0")
    );
    assert_eq!(integers(&table.categories[0].values), [1, 0, 0]);
}

/// 100 rows of three labels, 50, 30 and 20 of them.
fn labelled() -> Table {
    let label = |i: usize| ["a", "a", "a", "a", "a", "b", "b", "b", "c", "c"][i % 10];
    let text: String = (0..100).map(|i| format!("{i},{},city{}\n", label(i), i % 4)).collect();
    parse(&Csv::new().header(false).label(1).category(2), &text)
}

#[test]
fn a_split_keeps_each_row_whole_and_every_row_once() {
    let all = labelled();
    for (share, left) in [(0.8, 80), (0.5, 50), (0.333, 33), (0.015, 2), (0.99, 99)] {
        let (train, test) = all.split(share, 7).unwrap();
        assert_eq!((train.rows(), test.rows()), (left, 100 - left), "{share}");
        let mut seen = BTreeSet::new();
        for part in [&train, &test] {
            let (x, y, city) =
                (numbers(&part.x), integers(part.target().unwrap()), integers(&part.categories[0].values));
            for ((x, y), city) in x.into_iter().zip(y).zip(city) {
                let i = x as usize;
                assert!(seen.insert(i));
                assert_eq!((y, city as usize), ([0, 0, 0, 0, 0, 1, 1, 1, 2, 2][i % 10], i % 4));
            }
            assert_eq!(part.classes, ["a", "b", "c"]);
        }
        assert_eq!(seen.len(), 100);
    }
}

#[test]
fn a_split_is_fixed_by_its_seed_and_keeps_the_shares_of_labels() {
    let all = labelled();
    let (train, test) = all.split(0.8, 7).unwrap();
    assert!(train.x.same_bits(&all.split(0.8, 7).unwrap().0.x));
    assert!(!train.x.same_bits(&all.split(0.8, 8).unwrap().0.x));
    let counts = |t: &Table| {
        let mut counts = BTreeMap::new();
        integers(t.target().unwrap()).into_iter().for_each(|label| *counts.entry(label).or_insert(0) += 1);
        counts.into_values().collect::<Vec<i32>>()
    };
    assert_eq!((counts(&train), counts(&test)), (vec![40, 24, 16], vec![10, 6, 4]));
    // No whole rows: 25.5 + 15.3 + 10.2 of 51.
    assert_eq!(counts(&all.split(0.51, 7).unwrap().0), [26, 15, 10]);
    // Without labels, any rows.
    let plain = parse(&Csv::new().header(false), &(0..10).map(|i| format!("{i}\n")).collect::<String>());
    assert_eq!(plain.split(0.7, 1).unwrap().1.rows(), 3);
    for share in [0.0, 1.0, -0.5, f64::NAN, 80.0, 0.01, 0.99] {
        assert!(plain.split(share, 1).is_err(), "{share}");
    }
}

#[test]
fn what_an_encoder_knows_comes_from_the_training_part_alone() {
    let csv = Csv::new().category("city").missing(Missing::Keep);
    let train = parse(&csv, "a,city,b\n1,Oslo,5\n,Bergen,5\n5,Oslo,5\n3,,5\n");
    let encoder = Encoder::adapt(&train).unwrap();
    // Column a: mean 3, deviation sqrt(8/3); b is constant.
    assert_eq!(encoder.names(), ["a", "b", "city=", "city=Bergen", "city=Oslo"]);
    assert_eq!((encoder.width(), encoder.vocabulary("city").unwrap().len()), (5, 3));
    let s = (2.0 / (8.0f64 / 3.0).sqrt()) as f32;
    #[rustfmt::skip]
    assert_eq!(numbers(&encoder.encode(&train).unwrap()), [
        -s, 0., 0., 0., 1.,
        0., 0., 0., 1., 0.,
        s, 0., 0., 0., 1.,
        0., 0., 1., 0., 0.,
    ]);
    let plain = encoder.clone().standardize(false);
    assert_eq!(numbers(&plain.encode(&train).unwrap())[5..10], [3.0, 5.0, 0.0, 1.0, 0.0]);
    // Other rows are made with the same figures; what they alone have is unknown.
    let test = parse(&csv, "a,city,b\n1e6,Oslo,6\n,Narvik,7\n");
    let message = encoder.encode(&test).unwrap_err().to_string();
    assert!(
        message.contains("'Narvik' is no category of the training part ('', 'Bergen', 'Oslo')"),
        "{message}"
    );
    let zeros = numbers(&encoder.clone().unknown(Unknown::Zeros).encode(&test).unwrap());
    assert_eq!((zeros[5..].to_vec(), zeros[1]), (vec![0.0, 2.0, 0.0, 0.0, 0.0], 1.0));
    let own = encoder.clone().unknown(Unknown::OwnPlace);
    assert_eq!((own.width(), &own.names()[2][..]), (6, "city=(unknown)"));
    assert_eq!(numbers(&own.encode(&test).unwrap())[6..], [0.0, 2.0, 1.0, 0.0, 0.0, 0.0]);
    // A vocabulary of the whole file would give the split's test part away.
    let all = parse(&csv, "a,city,b\n1,x,1\n2,x,1\n3,x,1\n4,y,1\n5,x,1\n6,x,1\n");
    let (train, test) = (0..)
        .map(|seed| all.split(0.5, seed).unwrap())
        .find(|(_, t)| integers(&t.categories[0].values).contains(&1))
        .unwrap();
    let encoder = Encoder::adapt(&train).unwrap();
    assert_eq!(encoder.vocabulary("city").unwrap(), ["x"]);
    assert!(encoder.encode(&test).is_err());
}

#[test]
fn categories_as_indices_feed_an_embedding() {
    let csv = Csv::new().category("city").target("y");
    let text: String = (0..60)
        .map(|i| format!("{},{},{}\n", ["Oslo", "Bergen", "Narvik"][i % 3], i % 5, [1, -2, 4][i % 3]))
        .collect();
    let table = parse(&csv, &format!("city,n,y\n{text}"));
    let encoder = Encoder::adapt(&table).unwrap().indexed("city").unwrap();
    assert_eq!((encoder.names(), encoder.width()), (vec!["n".to_string()], 1));
    let city = encoder.index(&table, "city").unwrap();
    assert_eq!(integers(&city)[..4], [2, 0, 1, 2]);
    let one = parse(&csv, "city,n,y\nLund,1,1\nOslo,1,1\n");
    assert!(encoder.index(&one, "city").is_err());
    assert!(encoder.clone().unknown(Unknown::Zeros).index(&one, "city").is_err());
    assert_eq!(integers(&encoder.clone().unknown(Unknown::OwnPlace).index(&one, "city").unwrap()), [0, 3]);
    assert!(encoder.clone().indexed("country").is_err());

    let id = Input::new([]).dtype(DType::I64).named("city");
    let n = Input::new([1]).named("n");
    let places = Embedding::new(3, 4).on(&id).unwrap();
    let both = gradus::nn::layers::Concatenate::new().on([&places, &n.symbol()]).unwrap();
    let model = Functional::new([&id, &n], [&Dense::new(1).on(&both).unwrap()]).unwrap();
    let mut model = model.compile(Adam::new(0.1), MeanSquaredError::new(), ()).unwrap();
    let x = [city, encoder.encode(&table).unwrap()];
    let history = model.fit(&x, table.target().unwrap(), Fit::new().epochs(60).verbose(0)).unwrap();
    assert!(history["loss"].last().unwrap() < &0.05, "{:?}", &history["loss"]);
}

#[test]
fn from_a_file_with_text_columns_to_a_trained_model() {
    let rows: String = (0..300)
        .map(|i| {
            let (city, kind) = (["Oslo", "Bergen", "Narvik"][i % 3], ["flat", "house"][i / 3 % 2]);
            let area = if i % 50 == 7 { String::new() } else { format!("{}", 40 + i * 7 % 100) };
            let dear = (i % 3 == 0) != (i / 3 % 2 == 1);
            format!("{city},{kind},{area},{}\n", if dear { "dear" } else { "cheap" })
        })
        .collect();
    let dir = crate::files::folder("tables");
    let path = dir.join("houses.csv");
    std::fs::write(&path, format!("city,kind,area,price\n{rows}")).unwrap();

    let csv = Csv::new().category("city").category("kind").label("price").missing(Missing::Keep);
    let table = csv.read(&path, &Limits::default()).unwrap();
    let (train, test) = table.split(0.8, 42).unwrap();
    let encoder = Encoder::adapt(&train).unwrap();
    let mut model = Sequential::new()
        .add(Input::new([encoder.width()]))
        .add(Dense::new(16).activation(Relu))
        .add(Dense::new(table.classes.len()).activation(Softmax))
        .seed(1)
        .compile(Adam::new(0.01), SparseCategoricalCrossentropy::new(), [Accuracy::new()])
        .unwrap();
    model
        .fit(&encoder.encode(&train).unwrap(), train.target().unwrap(), Fit::new().epochs(60).verbose(0))
        .unwrap();
    let scores = model.evaluate(&encoder.encode(&test).unwrap(), test.target().unwrap()).unwrap();
    assert!(scores["accuracy"] > 0.95, "{scores:?}");

    // A row that comes later, without the column that is to be predicted.
    let new = Csv::new().category("city").category("kind").missing(Missing::Keep);
    let row = parse(&new, "city,kind,area\nOslo,flat,55\n");
    let p = numbers(&model.predict(&encoder.encode(&row).unwrap()).unwrap());
    assert!(p[table.classes.iter().position(|c| c == "dear").unwrap()] > 0.5, "{p:?}");
    // And one that has other columns.
    let other = parse(&new, "city,kind,size\nOslo,flat,55\n");
    assert!(encoder.encode(&other).unwrap_err().to_string().contains("'area'"));
    assert!(encoder.encode(&parse(&Csv::new(), "area\n5\n")).unwrap_err().to_string().contains("category"));
}

#[test]
fn tables_that_were_changed_by_hand_are_errors_and_no_panics() {
    let mut table = labelled();
    let encoder = Encoder::adapt(&table).unwrap();
    let good = table.categories[0].values.clone();
    for values in [vec![9; 100], vec![-1; 100], vec![0; 3], vec![0; 200]] {
        table.categories[0].values = Tensor::from_slice(&values, [values.len()]).unwrap();
        assert!(encoder.encode(&table).is_err() && Encoder::adapt(&table).is_err());
    }
    table.categories[0].values = good;
    table.y = Some(Tensor::from_slice(&[0i64; 3], [3]).unwrap());
    assert!(table.split(0.5, 1).is_err());
    table.y = None;
    assert!(table.target().is_err());
    table.x = Tensor::zeros([0, 1]).unwrap();
    assert!(
        table.split(0.5, 1).is_err() && Encoder::adapt(&table).is_err() && encoder.encode(&table).is_err()
    );
}

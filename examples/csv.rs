//! Learns house prices from a CSV table, made up on the spot, with texts and missing cells:
//! `cargo run --release --example csv`.

use gradus::io::{Csv, Encoder, Limits, Missing};
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};

/// 2,000 houses; every fiftieth has no area.
fn text() -> String {
    let random = Stream::new(1, Purpose::User(0), 0);
    let mut text = String::from("street,town,area,rooms,price\n");
    for i in 0..2000u64 {
        let draw = |k: u64| random.uniform(4 * i + k);
        let (town, dear) = [("Oslo", 200.0), ("Bergen", 120.0), ("Narvik", 40.0)][(3.0 * draw(0)) as usize];
        let (area, rooms) = (40.0 + 120.0 * draw(1), 1.0 + (5.0 * draw(2)).floor());
        let price = dear + 3.0 * area + 10.0 * rooms + 5.0 * (draw(3) - 0.5);
        let area = if i % 50 == 7 { String::new() } else { format!("{area:.1}") };
        text += &format!("\"Main Street, {i}\",{town},{area},{rooms},{price:.1}\n");
    }
    text
}

fn main() -> gradus::Result<()> {
    let csv = Csv::new().columns(["area", "rooms"]).category("town").target("price").missing(Missing::Keep);
    let houses = csv.parse(text().as_bytes(), "houses", &Limits::default())?;
    let (train, test) = houses.split(0.8, 42)?;
    let encoder = Encoder::adapt(&train)?; // means, deviations and towns of the training part alone
    let (x, x_test) = (encoder.encode(&train)?, encoder.encode(&test)?);
    println!("{} houses, each {:?}", houses.rows(), encoder.names());

    let mut model = Sequential::new()
        .add(Input::new([encoder.width()]))
        .add(Dense::new(32).activation(Relu))
        .add(Dense::new(1))
        .seed(42)
        .compile(Adam::new(0.02), MeanSquaredError::new(), ())?;
    let settings = Fit::new().epochs(60).verbose(2).validation_data(&x_test, test.target()?);
    model.fit(&x, train.target()?, settings)?;
    let scores = model.evaluate(&x_test, test.target()?)?;
    println!("typical error: {:.1}", scores["loss"].sqrt());
    Ok(())
}

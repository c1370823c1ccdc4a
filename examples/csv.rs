//! Learns the price of a house from a table in CSV, made up on the spot: `cargo run --release --example csv`.

use gradus::data::{Dataset, Size};
use gradus::io::{Csv, Limits, Missing};
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};

/// 2,000 houses; every fiftieth has no area.
fn table() -> String {
    let random = Stream::new(1, Purpose::User(0), 0);
    let mut text = String::from("street,area,rooms,age,price\n");
    for i in 0..2000u64 {
        let draw = |k: u64| random.uniform(4 * i + k);
        let (area, rooms, age) = (40.0 + 120.0 * draw(0), 1.0 + (5.0 * draw(1)).floor(), 60.0 * draw(2));
        let price = 50.0 + 3.0 * area + 10.0 * rooms - 0.8 * age + 5.0 * (draw(3) - 0.5);
        let area = if i % 50 == 7 { String::new() } else { format!("{area:.1}") };
        text += &format!("\"Main Street, {i}\",{area},{rooms},{age:.0},{price:.1}\n");
    }
    text
}

fn main() -> gradus::Result<()> {
    let csv = Csv::new().columns(["area", "rooms", "age"]).target("price").missing(Missing::DropRow);
    let houses = csv.parse(table().as_bytes(), "houses", &Limits::default())?;
    let y = houses.y.ok_or_else(|| gradus::Error::Custom("no prices".into()))?;
    println!("{} houses, features {:?}", houses.x.dims()[0], houses.names);

    // Features and prices around 1, where networks learn fastest.
    let scale = Tensor::from_slice(&[0.01f32, 0.2, 0.02], [3])?;
    let rows = Dataset::from_tensors(&houses.x.mul(&scale)?, &y.scale(0.01)?)?;
    let (train, validation) = rows.split(0.8, Size::Rest)?;
    let (train, validation) = (train.shuffle(1).batch(32).prefetch(1), validation.batch(256));

    let mut model = Sequential::new()
        .add(Input::new([3]))
        .add(Dense::new(16).activation(Relu))
        .add(Dense::new(1))
        .seed(42)
        .compile(Adam::new(0.003), MeanSquaredError::new(), ())?;
    model.fit_dataset(&train, Fit::new().epochs(20).verbose(2).validation_dataset(&validation))?;
    let scores = model.evaluate_dataset(&validation, None)?;
    println!("typical error: {:.1}", 100.0 * scores["loss"].sqrt());
    Ok(())
}

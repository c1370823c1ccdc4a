//! House prices from a table with numbers, a category and missing values. `in_keras.py` beside it is the same in
//! Keras.
//!
//! ```text
//! cargo run --release --example table
//! ```

use gradus::io::{Csv, Encoder, Limits, Missing};
use gradus::prelude::*;
use gradus::random::Stream;

fn main() -> gradus::Result<()> {
    let random = Stream::from(0);
    let mut text = String::from("area,rooms,district,price\n");
    for i in 0..2000u64 {
        let draw = |k| random.uniform(3 * i + k);
        let (area, rooms, which) =
            (40.0 + 120.0 * draw(0), 1.0 + (5.0 * draw(1)).floor(), (3.0 * draw(2)) as usize);
        let (district, extra) = [("north", 0.0), ("south", 60.0), ("west", 150.0)][which];
        let price = 3.0 * area + 10.0 * rooms + extra;
        let area = if i % 50 == 0 { String::new() } else { format!("{area:.1}") };
        text += &format!("{area},{rooms},{district},{price:.1}\n");
    }

    let csv = Csv::new().category("district").target("price").missing(Missing::DropRow);
    let table = csv.parse(text.as_bytes(), "houses", &Limits::default())?;
    let (train, test) = table.split(0.8, 42)?;
    let encoder = Encoder::adapt(&train)?;
    let prices = |table: &gradus::io::Table| table.target()?.scale(0.01);

    let mut model = Sequential::new()
        .add(Input::new(encoder.width()))
        .add(Dense::new(16).activation(Relu))
        .add(Dense::new(1))
        .seed(42)
        .compile(Adam::new(0.01), "mse", ["mae"])?;
    model.fit(&encoder.encode(&train)?, &prices(&train)?, Fit::new().epochs(20).verbose(2))?;
    let scores = model.evaluate(&encoder.encode(&test)?, &prices(&test)?)?;
    println!("typical error {:.1}", 100.0 * scores["mae"]);
    Ok(())
}

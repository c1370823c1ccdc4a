//! Serving: one model, eight threads that answer requests, and the time an answer takes. `in_keras.py` beside it is
//! the same in Keras.
//!
//! ```text
//! cargo run --release --example serving
//! ```

use gradus::prelude::*;
use std::time::Instant;

fn main() -> gradus::Result<()> {
    let path = std::env::temp_dir().join("gradus-serving.gradus");
    Sequential::new()
        .add(Input::new(16))
        .add(Dense::new(64).activation(Relu))
        .add(Dense::new(3).activation(Softmax))
        .build()?
        .save(&path)?;
    let model = Network::load(&path)?;

    let requests = Tensor::randn([400, 16], 0)?;
    let answer = |i: isize| {
        let began = Instant::now();
        let y = model.predict(&requests.slice(0, i, i + 1)?)?;
        Ok((i, y, began.elapsed().as_secs_f64()))
    };
    let handle = |thread: isize| (thread..400).step_by(8).map(answer).collect::<gradus::Result<Vec<_>>>();

    let answers = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|thread| scope.spawn(move || with_threads(1, || handle(thread)))).collect();
        threads.into_iter().map(|t| t.join().expect("a thread panicked")?).collect::<gradus::Result<Vec<_>>>()
    })?;
    let mut answers = answers.concat();

    answers.sort_by(|a, b| a.2.total_cmp(&b.2));
    println!("median {:.0} us, 99 of 100 within {:.0} us", 1e6 * answers[200].2, 1e6 * answers[396].2);
    let together = model.predict(&requests)?;
    for (i, apart, _) in &answers {
        assert!(apart.same_bits(&together.slice(0, *i, i + 1)?));
    }
    println!("one at a time and all at once: the same bits");
    Ok(())
}

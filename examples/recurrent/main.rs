//! A hand-written recurrent network: a loop over time in a struct of your own learns to add along a sequence.
//! `in_keras.py` beside it is the same in Keras.
//!
//! ```text
//! cargo run --release --example recurrent
//! ```

use gradus::prelude::*;

gradus::parts! {
    struct Adder { units: usize, gate: Part, candidate: Part, output_layer: Part }
}

impl Layer for Adder {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> gradus::Result<Tensor> {
        let mut h = x.new_full([x.dims()[0], self.units], 0.0)?;
        for t in 0..x.dims()[1] as isize {
            let both = Tensor::concat(&[&x.select(1, t)?, &h], -1)?;
            let z = self.gate.forward(&both, cx)?;
            h = &z * &h + (1.0 - &z) * self.candidate.forward(&both, cx)?;
        }
        self.output_layer.forward(&h, cx)
    }
}

fn main() -> gradus::Result<()> {
    let x = Tensor::rand([4000, 12, 1], 0)? * 2.0 - 1.0;
    let y = x.sum(&[1], false)?;

    let adder = Adder {
        units: 32,
        gate: Dense::new(32).activation("sigmoid").into(),
        candidate: Dense::new(32).activation("tanh").into(),
        output_layer: Dense::new(1).into(),
    };
    let mut model = Subclass::new([Input::new([12, 1])], adder).compile(Adam::new(0.003), "mse", ["mae"])?;
    let settings = Fit::new().epochs(10).batch_size(50).validation_split(0.25).verbose(2);
    let history = model.fit(&x, &y, settings)?;
    println!("mean absolute error {:.3}", history["val_mae"][9]);
    Ok(())
}

//! Everything of your own: a layer, a loss, a metric, an optimizer's rule, a callback. `in_keras.py` beside it is
//! the same in Keras.
//!
//! ```text
//! cargo run --release --example all_custom
//! ```

use gradus::config::Registry;
use gradus::io::Load;
use gradus::nn::{features, initializer::GlorotUniform, single};
use gradus::optim::{LearningRate, Rule, Slots, Step};
use gradus::prelude::*;
use gradus::{Float, Result, metric};

gradus::settings! {
    /// A gated linear unit.
    layer Glu as "mine>Glu" { new(units: usize); }
}

gradus::parts! {
    struct GluNode { value: Param, gate: Param }
}

impl Build for Glu {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let shape = [features("Glu", single(inputs)?)?, self.units];
        let value = init.param(shape, &GlorotUniform.into())?;
        Ok(Box::new(GluNode { value, gate: init.param(shape, &GlorotUniform.into())? }))
    }
}

impl Layer for GluNode {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        x.matmul(&cx.param(&self.value)?)?.mul(&x.matmul(&cx.param(&self.gate)?)?.sigmoid()?)
    }
}

gradus::settings! {
    /// A prediction that is too low costs `q` per unit, one that is too high `1 - q`.
    struct Quantile as "mine>Quantile" { new(q: f64); }
}

impl gradus::loss::Loss for Quantile {
    fn call(&self, y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
        let e = y_true.sub(y_pred)?;
        e.scale(self.q)?.maximum(&e.scale(self.q - 1.0)?)?.mean(&[-1], false)
    }
}

/// The share of targets below the prediction.
fn below(y_true: &Tensor, y_pred: &Tensor) -> Result<Tensor> {
    y_true.less(y_pred)
}

gradus::settings! {
    /// Makes a step of the same length, whatever the gradient.
    struct SignDescent as "mine>SignDescent" { new(learning_rate: into LearningRate); }
}

impl Rule for SignDescent {
    fn learning_rate(&self) -> LearningRate {
        self.learning_rate.clone()
    }
    fn update<T: Float>(&self, step: Step, w: &mut [T], g: &[T], _: Slots<'_, T>) {
        for (w, &g) in w.iter_mut().zip(g) {
            *w -= T::of(step.learning_rate) * g.sign();
        }
    }
}

fn main() -> Result<()> {
    let x = Tensor::randn([2000, 4], 0)?;
    let y = x.sum(&[1], true)?.add(&Tensor::randn([2000, 1], 1)?)?;

    let stack = Sequential::new().add(Input::new(4)).add(Glu::new(16)).add(Dense::new(1)).seed(42);
    let mut model = stack.compile(SignDescent::new(0.01), Quantile::new(0.9), metric::from_fn(below))?;
    let halve = LambdaCallback::new().on_epoch_end(|model, _, logs| {
        logs.set("rate", model.learning_rate());
        model.set_learning_rate(model.learning_rate() / 2.0)
    });
    let history = model.fit(&x, &y, Fit::new().epochs(8).callback(halve).verbose(2))?;

    let path = std::env::temp_dir().join("gradus-all-custom.gradus");
    model.save(&path)?;
    let mine =
        Registry::new().layer::<Glu>()?.loss::<Quantile>()?.metric_fn(below)?.optimizer::<SignDescent>()?;
    let again = Model::load_with(&path, Load::new().registry(mine))?;
    assert!(again.predict(&x)?.same_bits(&model.predict(&x)?));
    println!("below {:.3}, rate {}", history["below"][7], history["rate"][7]);
    Ok(())
}

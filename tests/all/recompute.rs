//! Tests that a block that is computed again is the block that was computed: the same numbers to the last bit,
//! including random ones, and everything that happens once happens once.

use gradus::Result;
use gradus::autograd::{Grads, checkpoint, custom_gradient, grad, gradcheck};
use gradus::config::Configured;
use gradus::io::Load;
use gradus::nn::layers::Checkpoint;
use gradus::nn::{
    Build, Cx, Init, InputSpecs, Inputs, IntoLayer, Key, Node, Param, Value, Values, features, single,
};
use gradus::prelude::*;

/// A batch normalisation without the trimmings: running mean, a random shift, a mask, and a term in the loss.
#[derive(Debug)]
struct Norm;
impl Configured for Norm {}
impl Build for Norm {
    fn build(&self, inputs: &InputSpecs<'_>, init: &mut Init) -> Result<Box<dyn Node>> {
        let n = features("Norm", single(inputs)?)?;
        let (ones, zeros) = (gradus::nn::initializer::Ones.into(), gradus::nn::initializer::Zeros.into());
        let (scale, mean) = (init.param([n], &ones)?, init.state([n], &zeros)?);
        Ok(Box::new(NormNode { scale, mean, noise: init.key() }))
    }
}

/// The layer with its parameters.
#[derive(Clone, Debug)]
struct NormNode {
    scale: Param,
    mean: Param,
    noise: Key,
}
gradus::parts!(NormNode { scale, mean, noise });
impl Node for NormNode {
    fn call(&self, x: Inputs<'_>, cx: &mut Cx) -> Result<Values> {
        let Value { tensor: x, mask } = x.single()?;
        let scale = cx.param(&self.scale)?;
        if !cx.is_training() {
            return Ok(x.sub(&cx.state(&self.mean))?.mul(&scale)?.into());
        }
        let now = x.mean(&[0], false)?;
        cx.update(&self.mean, &cx.state(&self.mean).affine(0.9, 0.0)?.add(&now.affine(0.1, 0.0)?)?);
        cx.add_loss(now.square()?.sum(&[], false)?.affine(1e-2, 0.0)?);
        let mask = match mask {
            Some(mask) => mask.clone(),
            None => Tensor::full([x.dims()[0], 1], true)?,
        };
        let noise = Tensor::randn(*x.shape(), cx.stream(&self.noise))?.affine(1e-2, 0.0)?;
        let y = x.sub(&now)?.add(&noise)?.mul(&scale)?.mul(&scale)?;
        Ok(Value::masked(y, Some(mask)).into())
    }
}

fn block(wrap: bool, layer: impl IntoLayer, stack: Sequential) -> Sequential {
    if wrap { stack.add(Checkpoint::new(layer)) } else { stack.add(layer) }
}

/// `wrap` says which of the blocks are computed again; the second nests one in another.
fn model(wrap: bool, nested: bool) -> Model {
    let inner = Sequential::new().add(Norm).add(Dropout::new(0.3));
    let outer = block(nested, inner, Sequential::new().named("outer").add(Dense::new(8).activation(Tanh)));
    let outer = outer.add(Dense::new(6).activation(Gelu).kernel_regularizer(L2::new(1e-3)));
    let stack = Sequential::new().add(Input::new([4])).add(Dense::new(5).activation(Relu));
    let stack = block(wrap, outer, stack).add(Dropout::new(0.2));
    let last = Dense::new(3).activation(Softmax).named("last");
    let stack = block(wrap, last, stack).seed(3);
    stack.compile(Adam::new(0.01), SparseCategoricalCrossentropy::new(), [Accuracy::new()]).unwrap()
}

#[test]
fn training_gives_the_same_bytes() {
    let x: Vec<f32> = (0..48 * 4).map(|i| (i as f32 * 0.37).fract() - 0.5).collect();
    let x = Tensor::from_slice(&x, [48, 4]).unwrap();
    let y = Tensor::from_slice(&(0..48).map(|i| i % 3).collect::<Vec<i64>>(), [48]).unwrap();
    let run = |wrap, nested| {
        let mut model = model(wrap, nested);
        let history = model.fit(&x, &y, Fit::new().epochs(3).batch_size(16).verbose(0)).unwrap();
        let loss: Vec<u64> = history["loss"].iter().map(|l| l.to_bits()).collect();
        let weights: Vec<Vec<f32>> = model.params().iter().map(|(_, t)| t.to_vec().unwrap()).collect();
        (loss, weights, model.predict(&x).unwrap().to_vec::<f32>().unwrap())
    };
    let plain = run(false, false);
    assert!(plain.1.iter().flatten().any(|w| *w != 0.0));
    assert_eq!(plain, run(true, false));
    assert_eq!(plain, run(true, true));
    assert_eq!(plain, run(false, true));
}

#[test]
fn a_checkpoint_is_saved_and_loaded() {
    let inner = Sequential::new().add(Dense::new(4).activation(Relu)).add(Dense::new(2));
    let stack = Sequential::new().add(Input::new([3])).add(Checkpoint::new(inner));
    let a = stack.compile(SGD::new(0.1), MeanSquaredError::new(), ()).unwrap();
    let bytes = a.to_bytes().unwrap();
    let b = Model::from_bytes(&bytes, Load::new()).unwrap();
    assert_eq!(b.to_bytes().unwrap(), bytes);
    assert_eq!(a.weight_bytes().unwrap(), b.weight_bytes().unwrap());
    assert_eq!(b.get_layer("checkpoint").unwrap().class_name(), "Checkpoint");
    assert_eq!(a.params()[0].0, "checkpoint/dense/kernel");
}

fn points(n: usize) -> Tensor {
    Tensor::from_slice(&(0..n).map(|i| (i as f64 * 0.618 + 0.137).fract()).collect::<Vec<_>>(), [n]).unwrap()
}

#[test]
fn recomputed_gradients_are_right_at_orders_one_and_two() {
    let (a, b) = (points(3), points(4));
    let f = |t: &[Tensor]| -> Result<Tensor> {
        t[0].expand_dims(1)?.sin()?.mul(&t[1].exp()?)?.square()?.softmax(1)
    };
    let through = |t: &[Tensor]| checkpoint(&[&t[0].square()?, &t[1]], f);
    let check = gradcheck(through, &[a.clone(), b.clone()]).unwrap();
    assert!(check.first < 1e-7 && check.second < 1e-6, "{check:?}");
    // One input made of the other: nothing arrives twice.
    let check = gradcheck(|t| checkpoint(&[&t[0], &t[0].exp()?], f), std::slice::from_ref(&a)).unwrap();
    assert!(check.first < 1e-7 && check.second < 1e-6, "{check:?}");
    // The same bits as without.
    let (a, b) = (a.tracked(), b.tracked());
    let bits = |y: Tensor| {
        let g = y.sin().unwrap().sum(&[], false).unwrap().backward().unwrap();
        (g.get(&a).unwrap().clone(), g.get(&b).unwrap().clone())
    };
    let with = bits(checkpoint(&[&a, &b], f).unwrap());
    let without = bits(f(&[a.clone(), b.clone()]).unwrap());
    assert!(with.0.same_bits(&without.0) && with.1.same_bits(&without.1));
    // An input without history, and none at all.
    let y = checkpoint(&[&a, &b.detach()], f).unwrap().sum(&[], false).unwrap();
    assert_eq!(y.backward().unwrap().len(), 1);
    assert!(!checkpoint(&[&a.detach(), &b.detach()], f).unwrap().is_tracked());
}

#[test]
fn a_rule_of_the_callers_own() {
    // The square, with its rule said; right at both orders.
    let square = |x: &Tensor| {
        custom_gradient(
            &[x],
            |x| x[0].square(),
            |step| Ok(Grads::from_iter([Some(step.grad(0)?.mul(&step.input(0))?.affine(2.0, 0.0)?)])),
        )
    };
    let check = gradcheck(|t| square(&t[0]), &[points(3)]).unwrap();
    assert!(check.first < 1e-7 && check.second < 1e-6, "{check:?}");
    // The exponential, from its output, of two inputs of which one gets nothing.
    let x = points(2).tracked();
    let y = custom_gradient(
        &[&x, &points(2)],
        |x| x[0].exp(),
        |step| Ok(Grads::from_iter([Some(step.grad(0)?.mul(&step.output(0))?), None])),
    );
    let y = y.unwrap().sum(&[], false).unwrap();
    let first = grad(&y, &[&x]).unwrap().swap_remove(0);
    assert!(first.detach().same_bits(&points(2).exp().unwrap()));
    let second = grad(&first.sum(&[], false).unwrap(), &[&x]).unwrap().swap_remove(0);
    assert!(second.detach().same_bits(&points(2).exp().unwrap()));
    // A gradient that is not the function's: reversed, as domain adaptation wants it.
    let reversed = custom_gradient(
        &[&x],
        |x| Ok(x[0].clone()),
        |step| Ok(Grads::from_iter([Some(step.grad(0)?.neg()?)])),
    );
    let g = reversed.unwrap().sum(&[], false).unwrap().backward().unwrap();
    assert_eq!(g.get(&x).unwrap().to_vec::<f64>().unwrap(), [-1.0, -1.0]);
    assert!(custom_gradient(&[&x], |x| x[0].reshape([7]), |_| Ok(Grads::new())).is_err());
}

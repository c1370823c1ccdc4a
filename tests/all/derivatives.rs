//! Tests of Jacobians, products of Hessians with vectors and gradients by row, against differences of the
//! functions, against each other, and against training on one row.

use gradus::autograd::{grad, hvp, jacobian};
use gradus::nn::Module;
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};
use gradus::{Result, random::Distribution};

fn random(seed: u64, shape: &[usize]) -> Tensor {
    let normal = Distribution::Normal { mean: 0.0, std: 1.0 };
    Tensor::sample(shape, normal, DType::F64, Stream::new(seed, Purpose::User(0), 0)).unwrap()
}

/// `[2, 3]` and `[3]` to `[2, 2]`.
fn f(x: &[Tensor]) -> Result<Tensor> {
    let h = x[0].mul(&x[1])?.sin()?;
    h.slice(1, 0, 2)?.mul(&h.slice(1, 1, 3)?.exp()?)?.add(&x[1].slice(0, 0, 2)?.square()?)
}

/// Central differences of every element of `f` with respect to every element of input `which`.
fn differences(f: &dyn Fn(&[Tensor]) -> Result<Tensor>, inputs: &[Tensor], which: usize) -> Vec<f64> {
    let step = 1e-5;
    let moved = |at: usize, by: f64| {
        let mut inputs = inputs.to_vec();
        let mut values = inputs[which].to_vec::<f64>().unwrap();
        values[at] += by;
        inputs[which] = Tensor::from_slice(&values, *inputs[which].shape()).unwrap();
        f(&inputs).unwrap().to_vec::<f64>().unwrap()
    };
    let n = inputs[which].elements();
    let columns: Vec<Vec<f64>> = (0..n)
        .map(|at| {
            let (up, down) = (moved(at, step), moved(at, -step));
            up.iter().zip(&down).map(|(a, b)| (a - b) / (2.0 * step)).collect()
        })
        .collect();
    (0..columns[0].len()).flat_map(|row| columns.iter().map(move |c| c[row]).collect::<Vec<_>>()).collect()
}

fn assert_near(got: &Tensor, want: &[f64], bound: f64) {
    let got = got.to_vec::<f64>().unwrap();
    assert_eq!(got.len(), want.len());
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() <= bound * (1.0 + w.abs()), "{g} {w}");
    }
}

#[test]
fn jacobians_agree_with_differences() {
    let inputs = [random(1, &[2, 3]), random(2, &[3])];
    let leaves: Vec<Tensor> = inputs.iter().map(Tensor::tracked).collect();
    let all = jacobian(&f(&leaves).unwrap(), &[&leaves[0], &leaves[1]]).unwrap();
    assert_eq!((all[0].dims(), all[1].dims()), (&[2, 2, 2, 3][..], &[2, 2, 3][..]));
    for (i, j) in all.iter().enumerate() {
        assert_near(j, &differences(&f, &inputs, i), 1e-8);
    }
    // They are tracked: the Jacobian of a gradient is the Hessian.
    let y = f(&leaves).unwrap().sum(&[], false).unwrap();
    let gradient = grad(&y, &[&leaves[1]]).unwrap().swap_remove(0);
    let hessian = jacobian(&gradient, &[&leaves[1]]).unwrap().swap_remove(0);
    let slope = |x: &[Tensor]| {
        let leaves: Vec<Tensor> = x.iter().map(Tensor::tracked).collect();
        Ok(grad(&f(&leaves)?.sum(&[], false)?, &[&leaves[1]])?.swap_remove(0).detach())
    };
    assert_near(&hessian, &differences(&slope, &inputs, 1), 1e-7);
}

#[test]
fn jacobians_of_nothing_and_of_numbers() {
    let x = random(3, &[2]).tracked();
    let none = jacobian(&x.slice(0, 0, 0).unwrap().exp().unwrap(), &[&x]).unwrap();
    assert_eq!(none[0].dims(), [0, 2]);
    let one = jacobian(&x.square().unwrap().sum(&[], false).unwrap(), &[&x]).unwrap();
    assert!(one[0].same_bits(&x.detach().affine(2.0, 0.0).unwrap()));
    assert!(jacobian(&random(1, &[2]), &[&x]).is_err(), "nothing was computed from x");
    assert!(jacobian(&random(4, &[2]).tracked().exp().unwrap(), &[&x]).is_err());
}

#[test]
fn products_with_hessians_agree_with_the_hessian() {
    let inputs = [random(1, &[2, 3]), random(2, &[3])];
    let leaves: Vec<Tensor> = inputs.iter().map(Tensor::tracked).collect();
    let vectors = [random(5, &[2, 3]), random(6, &[3])];
    let y = f(&leaves).unwrap().square().unwrap().sum(&[], false).unwrap();
    let wrt = [&leaves[0], &leaves[1]];
    let got = hvp(&y, &wrt, &[&vectors[0], &vectors[1]]).unwrap();
    let gradients = grad(&y, &wrt).unwrap();
    for (i, got) in got.iter().enumerate() {
        let mut want = Tensor::zeros(inputs[i].dims()).unwrap().cast(DType::F64).unwrap();
        for (g, v) in gradients.iter().zip(&vectors) {
            let j = jacobian(g, &[wrt[i]]).unwrap().swap_remove(0);
            let rows = j.reshape([g.elements() as isize, -1]).unwrap();
            let product = v.reshape([1, -1]).unwrap().matmul(&rows).unwrap();
            want = want.add(&product.reshape_to(*want.shape()).unwrap()).unwrap();
        }
        assert_near(got, &want.detach().to_vec::<f64>().unwrap(), 1e-10);
    }
    // Of what is linear it is zero, and of what is linear in one of two, zero there.
    let linear = leaves[1].affine(3.0, 1.0).unwrap().sum(&[], false).unwrap();
    assert_near(&hvp(&linear, &[&leaves[1]], &[&vectors[1]]).unwrap()[0], &[0.0; 3], 0.0);
    let partly = leaves[0].square().unwrap().sum(&[], false).unwrap().add(&linear).unwrap();
    let got = hvp(&partly, &wrt, &[&vectors[0], &vectors[1]]).unwrap();
    assert_near(&got[0], &vectors[0].affine(2.0, 0.0).unwrap().to_vec::<f64>().unwrap(), 1e-12);
    assert_near(&got[1], &[0.0; 3], 0.0);
    assert!(hvp(&y, &wrt, &[&vectors[0]]).is_err());
    assert!(hvp(&y, &wrt, &[&vectors[1], &vectors[0]]).is_err());
}

#[test]
fn gradients_by_row_are_those_of_training_on_one_row() {
    let model = Sequential::new()
        .add(Input::new([4]))
        .add(Dense::new(5).activation(Tanh).kernel_regularizer(L2::new(0.1)))
        .add(Dense::new(3).activation(Softmax))
        .seed(2)
        .compile(SGD::new(1.0), SparseCategoricalCrossentropy::new(), ())
        .unwrap();
    let x = random(1, &[6, 4]).cast(DType::F32).unwrap();
    let y = Tensor::from_slice(&[0i64, 1, 2, 2, 1, 0], [6]).unwrap();
    let rows = model.per_sample_gradients(&x, &y).unwrap();
    assert_eq!(rows.len(), 4);
    for (path, gradients) in &rows {
        let before = model.param(path).unwrap();
        assert_eq!(gradients.dims()[0], 6);
        assert_eq!(&gradients.dims()[1..], before.dims());
        // The mean is the gradient of the batch, but for the penalty.
        let mut whole = model.clone();
        whole.train_on_batch(&x, &y).unwrap();
        let mut step = before.sub(&whole.param(path).unwrap()).unwrap();
        if path == "dense/kernel" {
            step = step.sub(&before.affine(0.2, 0.0).unwrap()).unwrap();
        }
        let off = gradients.mean(&[0], false).unwrap().sub(&step).unwrap().abs().unwrap();
        assert!(off.max(&[], false).unwrap().item().unwrap() < 1e-6, "{path}");
        // And each is what one row does alone.
        for i in 0..6 {
            let mut alone = model.clone();
            alone.train_on_batch(&x.slice(0, i, i + 1).unwrap(), &y.slice(0, i, i + 1).unwrap()).unwrap();
            let want = alone.param(path).unwrap();
            let own = before.sub(&gradients.select(0, i).unwrap()).unwrap();
            if path == "dense/kernel" {
                continue;
            }
            assert!(own.same_bits(&want), "{path}, row {i}");
        }
    }
    let mut names = Vec::new();
    model.visit(&mut |path, _| names.push(path.to_string()));
    assert_eq!(rows.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>(), names);
    assert!(model.per_sample_gradients(&x.slice(0, 0, 0).unwrap(), &y.slice(0, 0, 0).unwrap()).is_err());
    assert!(model.per_sample_gradients(&x, &y.slice(0, 0, 2).unwrap()).is_err());
}

/// Both branches of a sum get one gradient, which the activation of one must not overwrite for the other; nor may it
/// change a factor that became a gradient.
#[test]
fn a_gradient_that_others_hold_is_not_changed_in_place() {
    let (a, b, w) = (random(1, &[40, 70]), random(2, &[40, 70]), random(3, &[40, 70]));
    let numbers = |t: &Tensor| t.to_vec::<f64>().unwrap();
    let want = |of: &Tensor| {
        let masked = numbers(of).into_iter().zip(numbers(&w));
        masked.map(|(x, w)| if x > 0.0 { w } else { 0.0 }).collect::<Vec<_>>()
    };
    let (x, y, before) = (a.clone().tracked(), b.clone().tracked(), numbers(&w));
    let sum = x.relu().unwrap().add(&y.relu().unwrap()).unwrap();
    let loss = sum.mul(&w).unwrap().sum(&[], false).unwrap();
    for (got, of) in grad(&loss, &[&x, &y]).unwrap().iter().zip([&a, &b]) {
        assert_eq!(numbers(got), want(of));
    }
    let gradients = loss.backward().unwrap();
    assert_eq!(numbers(gradients.get(&x).unwrap()), want(&a));
    assert_eq!(numbers(gradients.get(&y).unwrap()), want(&b));
    assert_eq!(numbers(&w), before);
}

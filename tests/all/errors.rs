//! Snapshots of error messages, which are read when something has gone wrong, by someone who has no time. They are
//! in `snapshots/errors.txt`, so that changes show; `UPDATE_SNAPSHOTS=1` rewrites the file.

use gradus::autograd::grad;
use gradus::config::Dyn;
use gradus::data::{Sample, Size};
use gradus::datasets::{cifar10, cifar100};
use gradus::io::{Csv, Limits, npy, npz};
use gradus::loss::{self, Huber, Loss, Reduction};
use gradus::metric::{self, IntoMetrics, PerOutput};
use gradus::nn::activation::{Activation, Exponential, LeakyRelu, Linear};
use gradus::nn::initializer::{Identity, RandomNormal};
use gradus::nn::layers::Lambda;
use gradus::nn::{Cx, Layer};
use gradus::nn::{constraint, regularizer};
use gradus::ops::PadMode;
use gradus::optim::{Group, schedule};
use gradus::prelude::*;
use gradus::train::{LearningRateScheduler, Plan, ReduceLROnPlateau};
use gradus::{Error, Result};
use std::fmt::Write;

fn f32s(shape: &[usize]) -> Tensor {
    let n = shape.iter().product::<usize>();
    Tensor::from_slice(&(0..n).map(|i| (i as f32 * 0.37).fract()).collect::<Vec<_>>(), shape).unwrap()
}

fn stream() -> gradus::random::Stream {
    gradus::random::Stream::new(0, gradus::random::Purpose::User(0), 0)
}

fn labels(values: &[i64]) -> Tensor {
    Tensor::from_slice(values, [values.len()]).unwrap()
}

/// Four numbers in, three classes out.
fn classifier() -> Model {
    let layers = Sequential::new().add(Input::new([4])).add(Dense::new(8).activation(Relu));
    let layers = layers.add(Dense::new(3).activation(Softmax)).seed(1);
    layers.compile(Adam::new(0.01), SparseCategoricalCrossentropy::new(), [Accuracy::new()]).unwrap()
}

fn compile(stack: Sequential) -> Result<Model> {
    stack.compile(Adam::new(0.01), MeanSquaredError::new(), ())
}

fn regression() -> Model {
    compile(Sequential::new().add(Input::new([4])).add(Dense::new(1))).unwrap()
}

fn quiet<'a>() -> Fit<'a> {
    Fit::new().verbose(0)
}

/// A layer that fails or panics once it has run a number of times.
#[derive(Clone, Debug)]
struct Faulty {
    runs: std::sync::Arc<std::sync::atomic::AtomicUsize>,
    good: usize,
    panics: bool,
}
gradus::parts!(Faulty {});
impl Faulty {
    fn after(good: usize, panics: bool) -> Faulty {
        Faulty { runs: Default::default(), good, panics }
    }
}
impl gradus::config::Configured for Faulty {}
impl Layer for Faulty {
    fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
        if cx.is_training() {
            let run = self.runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            assert!(run != self.good || !self.panics, "the user's layer panics");
            if run == self.good {
                return Err(Error::Custom("the sensor is not connected".into()));
            }
        }
        Ok(x.clone())
    }
}

fn with_faulty(good: usize, panics: bool) -> Model {
    let stack = Sequential::new().add(Input::new([4])).add(Dense::new(8)).add(Faulty::after(good, panics));
    compile(stack.add(Dense::new(1))).unwrap()
}

struct Refuses;
impl Callback for Refuses {
    fn on_train_begin(&mut self, _: &mut Model, plan: &Plan) -> Result<()> {
        Err(Error::Custom(format!("not today: {} epochs of {} steps", plan.epochs, plan.steps.unwrap_or(0))))
    }
}

/// Eight rows, of which number 5 cannot be read.
fn faulty_rows(panics: bool) -> Dataset {
    let rows = Dataset::from_tensors(&Tensor::arange(8).unwrap(), &labels(&[0; 8])).unwrap();
    rows.map(move |s| match s.x[0].item()? as usize {
        5 if panics => panic!("index out of bounds"),
        5 => Err(Error::Custom("the file is gone".into())),
        _ => Ok(s),
    })
}

fn batches() -> Dataset {
    let (x, y) = images();
    Dataset::from_tensors(&x, &y).unwrap().batch(4)
}

fn fit_on(data: &Dataset, settings: Fit<'_>) -> Result<()> {
    done(classifier().fit_dataset(data, settings.verbose(0)))
}

fn npy_with(descr: &str, shape: &str) -> Result<()> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}");
    let length = (header.len() as u16).to_le_bytes();
    let bytes = [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes()].concat();
    done(npy::decode(&bytes, "x.npy", &Limits::default()))
}

fn csv(settings: Csv, text: &str) -> Result<()> {
    done(settings.parse(text.as_bytes(), "pets.csv", &Limits::default()))
}

/// A dense layer, whose output a loss and metrics read.
fn read(
    units: usize,
    activation: impl Into<Dyn<dyn Activation>>,
    loss: impl Loss + 'static,
    metrics: impl IntoMetrics,
) -> Result<()> {
    let stack = Sequential::new().add(Input::new([4])).add(Dense::new(units).activation(activation));
    done(stack.compile(SGD::new(0.1), loss, metrics))
}

/// A step with two targets.
fn first_batch(
    activation: impl Into<Dyn<dyn Activation>>,
    loss: impl Loss + 'static,
    targets: &[f32; 2],
) -> Result<()> {
    let stack = Sequential::new().add(Input::new([4])).add(Dense::new(1).activation(activation));
    let mut model = stack.compile(SGD::new(0.1), loss, ())?;
    done(model.fit(&f32s(&[2, 4]), &Tensor::from_slice(targets, [2, 1])?, quiet().shuffle(false)))
}

/// A step of a network of which nobody knows what it gives: the same numbers for each seed.
fn unknown(f: fn(&Tensor) -> Result<Tensor>, loss: impl Loss + 'static) -> Result<()> {
    let numbers = move |x: &Tensor| f(&x.slice(1, 0, 3)?.affine(2.0, 2.0)?);
    let stack = Sequential::new()
        .add(Input::new([4]))
        .add(Dense::new(4).frozen().kernel_initializer(Identity::new(1.0)));
    let sparse = loss.name().starts_with("Sparse");
    let model = stack.add(Lambda::new(numbers)).compile(SGD::new(0.1), loss, ())?;
    let y = if sparse { labels(&[0, 1]) } else { f32s(&[2, 3]) };
    done(model.evaluate(&f32s(&[2, 4]), &y))
}

fn rate_of_a_schedule(callback: impl Callback) -> Result<()> {
    let stack = Sequential::new().add(Input::new([4])).add(Dense::new(1));
    let mut model =
        stack.compile(SGD::new(schedule::CosineDecay::new(0.1, 5)), MeanSquaredError::new(), ())?;
    done(model.fit(&f32s(&[2, 4]), &f32s(&[2, 1]), quiet().callback(callback)))
}

/// Gives a figure of its own.
struct Measures;
impl Callback for Measures {
    fn figures(&self) -> Vec<String> {
        vec!["speed".into()]
    }
    fn on_epoch_end(&mut self, _: &mut Model, _: usize, logs: &mut gradus::train::Logs) -> Result<()> {
        logs.set("speed", 1.0);
        Ok(())
    }
}

/// A step whose loss is behind a function through which nothing flows.
fn cut(f: fn(&Tensor) -> Result<Tensor>) -> Result<()> {
    let stack = Sequential::new().add(Input::new([4])).add(Dense::new(1)).add(Lambda::new(f));
    done(compile(stack)?.fit(&f32s(&[2, 4]), &f32s(&[2, 1]), quiet()))
}

type Mistake = (&'static str, fn() -> Result<()>);

fn done<T, E: Into<Error>>(result: Result<T, E>) -> Result<()> {
    result.map(drop).map_err(Into::into)
}

fn images() -> (Tensor, Tensor) {
    (f32s(&[8, 4]), labels(&[0, 1, 2, 0, 1, 2, 0, 1]))
}

fn fit(settings: Fit<'_>) -> Result<()> {
    let (x, y) = images();
    done(classifier().fit(&x, &y, settings))
}

fn optimizer(optimizer: gradus::optim::Tuned) -> Result<()> {
    let stack = Sequential::new().add(Input::new([4])).add(Dense::new(1));
    done(stack.compile(optimizer, MeanSquaredError::new(), ()))
}

const MISTAKES: &[Mistake] = &[
    // Tensors.
    ("zeros_too_large", || done(Tensor::zeros([1 << 40]))),
    ("zeros_overflowing", || done(Tensor::zeros([usize::MAX, usize::MAX, 2]))),
    ("nine_dimensions", || done(Tensor::zeros([1; 9]))),
    ("from_slice_wrong_length", || done(Tensor::from_slice(&[1.0f32, 2.0], [3]))),
    ("to_vec_wrong_type", || done(f32s(&[2]).to_vec::<f64>())),
    ("item_of_many", || done(f32s(&[2]).item())),
    ("add_shapes", || done(f32s(&[2, 3]).add(&f32s(&[4])))),
    ("add_integer_to_bfloat16", || done(f32s(&[2]).cast(DType::BF16)?.add(&labels(&[1, 2])))),
    ("add_truth_values", || {
        done(labels(&[0, 1]).equal(&labels(&[0, 0]))?.add(&labels(&[0, 1]).cast(DType::Bool)?))
    }),
    ("pow_negative", || done(labels(&[2, 3]).pow(&labels(&[-1])))),
    ("clip_between_integers", || done(labels(&[2, 3]).clip(0.2, 0.8))),
    ("exp_of_integers", || done(labels(&[1]).exp())),
    ("sqrt_of_bfloat16", || done(f32s(&[1]).cast(DType::BF16)?.sqrt())),
    ("matmul_scalar", || done(f32s(&[2, 3]).matmul(&f32s(&[])))),
    ("matmul_inner", || done(f32s(&[2, 3]).matmul(&f32s(&[4, 5])))),
    ("matmul_batch", || done(f32s(&[2, 2, 3]).matmul(&f32s(&[3, 3, 2])))),
    ("matmul_dtypes", || done(f32s(&[2, 3]).cast(DType::BF16)?.matmul(&f32s(&[3, 2]).cast(DType::BF16)?))),
    ("linear_inputs", || done(f32s(&[2, 3]).linear(&f32s(&[4, 5]), None, None))),
    ("linear_bias", || done(f32s(&[2, 3]).linear(&f32s(&[3, 5]), Some(&f32s(&[4])), None))),
    ("linear_weight_rank", || done(f32s(&[2, 3]).linear(&f32s(&[3]), None, None))),
    ("linear_dtypes", || done(labels(&[1, 2]).linear(&labels(&[1, 2]).reshape([2, 1])?, None, None))),
    ("sum_axis", || done(f32s(&[2, 3]).sum(&[2], false))),
    ("sum_axis_twice", || done(f32s(&[2, 3]).sum(&[1, -1], false))),
    ("max_of_nothing", || done(f32s(&[0]).max(&[], false))),
    ("mean_of_nothing", || done(f32s(&[0, 2]).mean(&[0], false))),
    ("argmax_of_scalar", || done(f32s(&[]).argmax(0))),
    ("softmax_axis", || done(f32s(&[2, 3]).softmax(-3))),
    ("reshape_count", || done(f32s(&[2, 3]).reshape([4]))),
    ("reshape_indivisible", || done(f32s(&[2, 3]).reshape([4, -1]))),
    ("reshape_two_holes", || done(f32s(&[2, 3]).reshape([-1, -1]))),
    ("permute_order", || done(f32s(&[2, 3]).permute(&[0, 0]))),
    ("broadcast_to_smaller", || done(f32s(&[2, 3]).broadcast_to([3]))),
    ("slice_step_zero", || done(f32s(&[3]).slice_step(0, None, None, 0))),
    ("select_index", || done(f32s(&[3]).select(0, 3))),
    ("squeeze_size", || done(f32s(&[2, 3]).squeeze(0))),
    ("expand_dims_rank", || done(f32s(&[1; 8]).expand_dims(0))),
    ("concat_sizes", || done(Tensor::concat(&[&f32s(&[2, 3]), &f32s(&[2, 4])], 0))),
    ("concat_none", || done(Tensor::concat(&[], 0))),
    ("gather_index", || done(f32s(&[3]).gather(&labels(&[0, 3]), 0))),
    ("gather_dtype", || done(f32s(&[3]).gather(&f32s(&[2]), 0))),
    ("clip_bounds", || done(f32s(&[3]).clip(1.0, 0.0))),
    ("one_hot_index", || done(labels(&[0, 5]).one_hot(5, DType::F32))),
    ("glu_odd", || done(f32s(&[2, 3]).glu(1))),
    ("take_along_axis_rank", || done(f32s(&[2, 3]).take_along_axis(&labels(&[0]), 0))),
    ("take_along_axis_index", || done(f32s(&[3]).take_along_axis(&labels(&[0, 3]), 0))),
    ("add_along_axis_shape", || done(f32s(&[2]).add_along_axis(&labels(&[0]), 0, 3))),
    ("top_k_too_many", || done(f32s(&[2, 3]).top_k(4, 1))),
    ("var_of_one", || done(f32s(&[1]).var(&[], false, 1))),
    ("norm_nan", || done(f32s(&[1]).norm(f64::NAN, &[], false))),
    ("pad_widths", || done(f32s(&[2, 3]).pad(&[(1, 1)], PadMode::Edge))),
    ("pad_overflowing", || done(f32s(&[2]).pad(&[(usize::MAX, 1)], PadMode::Constant(0.0)))),
    ("pad_nothing", || done(f32s(&[0]).pad(&[(1, 1)], PadMode::Reflect))),
    ("tile_overflowing", || done(f32s(&[2]).tile(&[usize::MAX]))),
    ("split_sizes", || done(f32s(&[2, 3]).split(&[1, 1], 1))),
    ("chunk_indivisible", || done(f32s(&[2, 3]).chunk(2, 1))),
    ("triu_vector", || done(f32s(&[3]).triu(0))),
    ("diag_matrix", || done(f32s(&[3, 3]).diag(0))),
    ("diagonal_vector", || done(f32s(&[3]).diagonal(0, -2, -1))),
    ("arange_step_zero", || done(Tensor::arange_step(0.0, 1.0, 0.0, DType::F32))),
    ("meshgrid_matrix", || done(Tensor::meshgrid(&[&f32s(&[2, 2])]))),
    ("boolean_mask_shape", || done(f32s(&[2, 3]).boolean_mask(&f32s(&[3]).cast(DType::Bool)?))),
    ("boolean_mask_dtype", || done(f32s(&[3]).boolean_mask(&labels(&[0, 1, 1])))),
    ("index_too_many", || done(f32s(&[2, 3]).index((0, 0, 0)))),
    ("index_two_lists", || done(f32s(&[2, 3]).index(([0], [0])))),
    ("index_position", || done(f32s(&[2, 3]).index((.., 3)))),
    ("index_list_position", || done(f32s(&[2, 3]).index((.., [0, -4])))),
    ("index_dtype", || done(f32s(&[3]).index(f32s(&[1])))),
    ("index_put_dtype", || done(f32s(&[3]).index_put(0, &labels(&[1])))),
    ("index_put_shape", || done(f32s(&[3]).index_put(0..2, &f32s(&[3])))),
    ("new_ragged", || done(Tensor::new(vec![vec![1.0], vec![2.0, 3.0]]))),
    ("to_rows_of_vector", || done(f32s(&[3]).to_rows::<f32>())),
    ("einsum_operands", || done(Tensor::einsum("ij,jk", &[&f32s(&[2, 3])]))),
    ("einsum_rank", || done(Tensor::einsum("ij,jk->ik", &[&f32s(&[2, 3]), &f32s(&[3])]))),
    ("einsum_sizes", || done(Tensor::einsum("ij,jk->ik", &[&f32s(&[2, 3]), &f32s(&[4, 5])]))),
    ("einsum_dots", || done(Tensor::einsum("...i,...i", &[&f32s(&[2, 3]), &f32s(&[4, 3])]))),
    ("einsum_result", || done(Tensor::einsum("ij->ik", &[&f32s(&[2, 3])]))),
    ("einsum_letters", || done(Tensor::einsum("i1->i", &[&f32s(&[2])]))),
    ("tensordot_axes", || done(f32s(&[2, 3]).tensordot(&f32s(&[3]), &[0, 1], &[0]))),
    ("tensordot_sizes", || done(f32s(&[2, 3]).tensordot(&f32s(&[3]), &[0], &[0]))),
    ("kron_ranks", || done(f32s(&[2, 3]).kron(&f32s(&[3])))),
    ("diagonal_axes", || done(f32s(&[2, 3]).diagonal(0, 1, -1))),
    ("solve_singular", || done(f32s(&[2, 1, 1]).solve(&f32s(&[1, 1])))),
    ("solve_sizes", || done(f32s(&[2, 2]).solve(&f32s(&[3, 1])))),
    ("inverse_not_square", || done(f32s(&[2, 3]).inverse())),
    ("cholesky_indefinite", || done(f32s(&[2, 2]).neg()?.cholesky())),
    ("lstsq_wide", || done(f32s(&[2, 3]).lstsq(&f32s(&[2])))),
    ("qr_vector", || done(f32s(&[2]).qr())),
    ("qr_gradient_wide", || done(f32s(&[2, 3]).tracked().qr()?.1.sum(&[], false)?.backward())),
    ("sample_setting", || {
        let d = gradus::random::Distribution::Gamma { shape: -1.0, rate: 1.0 };
        done(Tensor::sample([2], d, DType::F32, stream()))
    }),
    ("sample_dtype", || {
        let d = gradus::random::Distribution::Poisson { rate: 1.0 };
        done(Tensor::sample([2], d, DType::I64, stream()))
    }),
    ("randint_bounds", || done(Tensor::randint([2], 3, 3, stream()))),
    ("bernoulli_probability", || done(Tensor::bernoulli([2], 1.5, stream()))),
    ("categorical_logits", || done(f32s(&[2, 3]).affine(f64::NAN, 0.0)?.categorical(1, stream()))),
    ("categorical_classes", || done(f32s(&[2, 0]).categorical(1, stream()))),
    ("custom_gradient_count", || {
        let rule = |_: &gradus::autograd::Step<'_>| Ok(gradus::autograd::Grads::new());
        let y = gradus::autograd::custom_gradient(&[&f32s(&[]).tracked()], |x| x[0].exp(), rule)?;
        done(y.backward())
    }),
    ("threads_zero", || done(with_threads(0, || ()))),
    // Gradients.
    ("backward_of_many", || done(f32s(&[2]).tracked().exp()?.backward())),
    ("backward_untracked", || done(f32s(&[2]).sum(&[], false)?.backward())),
    ("grad_unrelated", || {
        let (a, b) = (f32s(&[]).tracked(), f32s(&[]).tracked());
        done(grad(&a.exp()?, &[&b]))
    }),
    // Networks.
    ("sequential_empty", || done(compile(Sequential::new()))),
    ("sequential_without_input", || done(compile(Sequential::new().add(Dense::new(1))))),
    ("sequential_input_alone", || done(compile(Sequential::new().add(Input::new([4]))))),
    ("sequential_input_twice", || {
        done(compile(Sequential::new().add(Input::new([4])).add(Dense::new(2)).add(Input::new([2]))))
    }),
    ("sequential_duplicate_names", || {
        let stack = Sequential::new()
            .add(Input::new([4]))
            .add(Dense::new(2).named("a"))
            .add(Dense::new(2).named("a"));
        done(compile(stack))
    }),
    ("sequential_dtype", || {
        done(compile(Sequential::new().dtype(DType::I64).add(Input::new([4])).add(Dense::new(2))))
    }),
    ("dense_zero_units", || done(compile(Sequential::new().add(Input::new([4])).add(Dense::new(0))))),
    ("dense_unknown_inputs", || {
        done(compile(Sequential::new().add(Input::with_unknown([None])).add(Dense::new(1))))
    }),
    ("dense_no_inputs", || done(compile(Sequential::new().add(Input::new([])).add(Dense::new(1))))),
    ("dropout_rate", || {
        done(compile(Sequential::new().add(Input::new([4])).add(Dropout::new(1.5)).add(Dense::new(1))))
    }),
    ("dropout_nan", || done(compile(Sequential::new().add(Input::new([4])).add(Dropout::new(f64::NAN))))),
    ("learning_rate_nan", || {
        let stack = Sequential::new().add(Input::new([4])).add(Dense::new(1));
        done(stack.compile(Adam::new(f64::NAN), MeanSquaredError::new(), ()))
    }),
    ("learning_rate_negative", || {
        let stack = Sequential::new().add(Input::new([4])).add(Dense::new(1));
        done(stack.compile(SGD::new(-0.1), MeanSquaredError::new(), ()))
    }),
    ("adam_beta", || optimizer(Adam::new(0.001).beta_1(1.0).tuned())),
    ("adam_epsilon", || optimizer(Adam::new(0.001).epsilon(f64::NAN).tuned())),
    ("sgd_momentum", || optimizer(SGD::new(0.1).momentum(1.5).tuned())),
    ("group_of_nothing", || optimizer(SGD::new(0.1).group("encoder/*", Group::new().weight_decay(0.1)))),
    ("group_taken", || {
        optimizer(
            SGD::new(0.1)
                .group("dense", Group::new().weight_decay(0.1))
                .group("*/bias", Group::new().weight_decay(0.2)),
        )
    }),
    ("group_of_no_settings", || optimizer(SGD::new(0.1).group("dense", Group::new()))),
    ("group_rate", || {
        optimizer(SGD::new(0.1).group("dense", Group::new().learning_rate_factor(f64::INFINITY)))
    }),
    ("group_decay", || optimizer(SGD::new(0.1).group("dense", Group::new().weight_decay(-0.1)))),
    ("embedding_number", || {
        let stack = Sequential::new().add(Input::new([2]).dtype(DType::I64)).add(Embedding::new(100, 1));
        let mut model = stack.add(Flatten::new()).compile(SGD::new(0.1), MeanSquaredError::new(), ())?;
        done(model.fit(&labels(&[3, 100]).reshape([1, 2])?, &f32s(&[1, 2]), quiet()))
    }),
    // Data.
    ("fit_width", || done(classifier().fit(&f32s(&[2, 5]), &labels(&[0, 1]), quiet()))),
    ("fit_rank", || done(classifier().fit(&f32s(&[4]), &labels(&[0, 1, 2, 0]), quiet()))),
    ("predict_width", || done(classifier().predict(&f32s(&[2, 5])))),
    ("predict_scalar", || done(classifier().predict(&f32s(&[])))),
    ("predict_two_inputs", || done(classifier().predict(&[f32s(&[2, 4]), f32s(&[2, 4])]))),
    ("evaluate_width", || done(classifier().evaluate(&f32s(&[2, 5]), &labels(&[0, 1])))),
    ("images_without_scale", || {
        let x = Tensor::full([2, 4], 200u8)?;
        done(classifier().fit(&x, &labels(&[0, 1]), quiet()))
    }),
    ("rows_differ", || done(classifier().fit(&f32s(&[3, 4]), &labels(&[0, 1]), quiet()))),
    ("no_rows", || done(classifier().fit(&f32s(&[0, 4]), &labels(&[]), quiet()))),
    ("no_rows_to_evaluate", || done(classifier().evaluate(&f32s(&[0, 4]), &labels(&[])))),
    ("label_too_large", || done(classifier().fit(&f32s(&[2, 4]), &labels(&[0, 3]), quiet()))),
    ("label_negative", || done(classifier().fit(&f32s(&[2, 4]), &labels(&[-1, 0]), quiet().shuffle(false)))),
    ("label_too_large_unfused", || {
        let stack = Sequential::new().add(Input::new([4])).add(Dense::new(3).activation(Sigmoid));
        let mut model = stack.compile(Adam::new(0.01), SparseCategoricalCrossentropy::new(), ())?;
        done(model.fit(&f32s(&[2, 4]), &labels(&[3, 0]), quiet().shuffle(false)))
    }),
    ("labels_as_floats", || done(classifier().fit(&f32s(&[2, 4]), &f32s(&[2]), quiet()))),
    ("one_hot_with_sparse_loss", || done(classifier().fit(&f32s(&[2, 4]), &f32s(&[2, 3]), quiet()))),
    ("labels_with_one_hot_loss", || {
        let stack = Sequential::new().add(Input::new([4])).add(Dense::new(3).activation(Softmax));
        let mut model = stack.compile(Adam::new(0.01), CategoricalCrossentropy::new(), ())?;
        done(model.fit(&f32s(&[2, 4]), &labels(&[0, 1]), quiet()))
    }),
    ("regression_target_shape", || done(regression().fit(&f32s(&[2, 4]), &f32s(&[2, 2]), quiet()))),
    ("targets_of_two_outputs", || {
        done(regression().fit(&f32s(&[2, 4]), &[f32s(&[2, 1]), f32s(&[2, 1])], quiet()))
    }),
    // Training.
    ("batch_size_zero", || fit(quiet().batch_size(0))),
    ("batch_size_zero_to_evaluate", || {
        let (x, y) = images();
        done(classifier().evaluate_with(&x, &y, &Evaluate::new().batch_size(0)))
    }),
    ("verbose_nine", || fit(Fit::new().verbose(9))),
    ("validation_split_one", || fit(quiet().validation_split(1.0))),
    ("validation_split_nan", || fit(quiet().validation_split(f64::NAN))),
    ("validation_split_empty", || {
        done(classifier().fit(&f32s(&[1, 4]), &labels(&[0]), quiet().validation_split(0.5)))
    }),
    ("validation_rows", || fit(quiet().validation_data(&f32s(&[2, 4]), &labels(&[0])))),
    ("validation_width", || fit(quiet().validation_data(&f32s(&[2, 3]), &labels(&[0, 1])))),
    ("validation_empty", || fit(quiet().validation_data(&f32s(&[0, 4]), &labels(&[])))),
    ("early_stopping_figure", || fit(quiet().callback(EarlyStopping::new("val_loss")))),
    ("early_stopping_before_training", || {
        let stop = EarlyStopping::new("val_accuracy");
        done(classifier().fit(&f32s(&[2, 4]), &labels(&[0, 9]), quiet().callback(stop)))
    }),
    ("reduce_lr_figure", || fit(quiet().callback(ReduceLROnPlateau::new("speed")))),
    ("reduce_lr_factor", || fit(quiet().callback(ReduceLROnPlateau::new("loss").factor(1.0)))),
    ("scheduler_rate", || fit(quiet().callback(LearningRateScheduler::new(|_, _| f64::NAN)))),
    ("learning_rate_of_a_schedule", || {
        let stack = Sequential::new().add(Input::new([4])).add(Dense::new(1));
        let rate = schedule::ExponentialDecay::new(0.1, 10, 0.5);
        done(stack.compile(SGD::new(rate), MeanSquaredError::new(), ())?.set_learning_rate(0.1))
    }),
    ("schedule_steps", || optimizer(SGD::new(schedule::CosineDecay::new(0.1, 0)).tuned())),
    ("schedule_values", || optimizer(SGD::new(schedule::PiecewiseConstantDecay::new([5], [0.1])).tuned())),
    ("schedule_boundaries", || {
        optimizer(SGD::new(schedule::PiecewiseConstantDecay::new([5, 5], [0.1, 0.2, 0.3])).tuned())
    }),
    ("clip_twice", || optimizer(SGD::new(0.1).clipnorm(1.0).clipvalue(0.5))),
    ("clip_zero", || optimizer(SGD::new(0.1).clipvalue(0.0))),
    ("weight_decay_negative", || optimizer(SGD::new(0.1).weight_decay(-0.1))),
    ("ema_momentum", || optimizer(SGD::new(0.1).use_ema(1.5))),
    ("ema_overwrite_alone", || optimizer(SGD::new(0.1).ema_overwrite_frequency(2))),
    ("accumulation_of_one", || optimizer(SGD::new(0.1).gradient_accumulation_steps(1))),
    ("constraint_axis", || {
        let dense = Dense::new(1).bias_constraint(constraint::MaxNorm::new(1.0).axis([1]));
        let mut model = compile(Sequential::new().add(Input::new([4])).add(dense))?;
        done(model.fit(&f32s(&[2, 4]), &f32s(&[2, 1]), quiet()))
    }),
    ("class_weight_negative", || fit(quiet().class_weight([(0, -1.0)]))),
    ("class_weight_class", || fit(quiet().class_weight([(-1, 1.0)]))),
    ("class_weight_twice", || fit(quiet().class_weight([(1, 1.0), (1, 2.0)]))),
    ("class_and_sample_weight", || fit(quiet().class_weight([(0, 1.0)]).sample_weight(&f32s(&[8])))),
    ("sample_weight_rows", || fit(quiet().sample_weight(&f32s(&[7])))),
    ("sample_weight_nan", || {
        let weights = Tensor::from_slice(&[1.0f32, 1.0, 1.0, f32::NAN, 1.0, 1.0, 1.0, 1.0], [8])?;
        fit(quiet().sample_weight(&weights))
    }),
    ("sample_weight_shape", || fit(quiet().sample_weight(&f32s(&[8, 2])))),
    ("validation_freq_zero", || fit(quiet().validation_freq(0))),
    ("steps_per_epoch_zero", || fit(quiet().steps_per_epoch(0))),
    ("label_in_validation", || {
        fit(quiet().validation_data(&f32s(&[40, 4]), &labels(&[[0; 39].as_slice(), &[7]].concat())))
    }),
    ("label_in_shuffled_rows", || {
        let y = labels(&[[1; 70].as_slice(), &[5], &[2; 29]].concat());
        done(classifier().fit(&f32s(&[100, 4]), &y, quiet()))
    }),
    ("reduction_none", || {
        let stack = Sequential::new().add(Input::new([4])).add(Dense::new(1));
        done(stack.compile(SGD::new(0.1), MeanSquaredError::new().reduction(Reduction::None), ()))
    }),
    ("losses_for_one_output", || {
        let stack = Sequential::new().add(Input::new([4])).add(Dense::new(1));
        done(stack.compile(SGD::new(0.1), (MeanSquaredError::new(), Huber::new()), ()))
    }),
    ("metrics_of_unknown_output", || {
        let stack = Sequential::new().add(Input::new([4])).add(Dense::new(1));
        let metrics = PerOutput::new().output("digit", [Accuracy::new()]);
        done(stack.compile(SGD::new(0.1), MeanSquaredError::new(), metrics))
    }),
    ("huber_delta", || done(Huber::new().delta(-1.0).call(&f32s(&[2]), &f32s(&[2])))),
    ("auc_of_logits", || {
        let p = f32s(&[2, 1]).affine(10.0, 2.0)?;
        metric::AUC::new().update(&f32s(&[2, 1]), &p, None)
    }),
    ("precision_class", || metric::Precision::new().class_id(3).update(&f32s(&[2, 3]), &f32s(&[2, 3]), None)),
    ("f1_shape", || metric::F1Score::new().update(&f32s(&[2]), &f32s(&[2]), None)),
    ("top_k_one_hot", || {
        metric::TopKCategoricalAccuracy::new(2).update(&labels(&[0, 1]), &f32s(&[2, 3]), None)
    }),
    ("identity_rank", || {
        let dense = Dense::new(4).bias_initializer(Identity::new(1.0));
        done(compile(Sequential::new().add(Input::new([4])).add(dense)))
    }),
    ("orthogonal_rank", || {
        let dense = Dense::new(1).bias_regularizer(regularizer::OrthogonalRegularizer::new(0.1));
        let mut model = compile(Sequential::new().add(Input::new([4])).add(dense))?;
        done(model.fit(&f32s(&[2, 4]), &f32s(&[2, 1]), quiet()))
    }),
    ("callback_refuses", || fit(quiet().callback(Refuses))),
    ("loss_not_finite", || {
        let x = f32s(&[2, 4]).affine(f64::NAN, 0.0)?;
        done(classifier().fit(&x, &labels(&[0, 1]), quiet().check_finite()))
    }),
    ("layer_of_the_user_fails", || {
        done(with_faulty(1, false).fit(&f32s(&[64, 4]), &f32s(&[64, 1]), quiet()))
    }),
    ("set_params_path", || done(classifier().set_params(&[("dense_9/kernel".into(), f32s(&[4, 8]))]))),
    ("set_params_shape", || done(classifier().set_params(&[("dense/kernel".into(), f32s(&[8, 4]))]))),
    // What an output is read as.
    ("softmax_and_from_logits", || {
        read(3, Softmax, SparseCategoricalCrossentropy::new().from_logits(true), ())
    }),
    ("sigmoid_and_from_logits", || read(1, Sigmoid, BinaryCrossentropy::new().from_logits(true), ())),
    ("no_softmax", || read(3, Linear, SparseCategoricalCrossentropy::new(), ())),
    ("no_sigmoid", || read(1, Linear, BinaryCrossentropy::new(), ())),
    ("relu_as_probabilities", || read(3, Relu, CategoricalCrossentropy::new(), ())),
    ("softmax_of_one_unit", || read(1, Softmax, BinaryCrossentropy::new(), ())),
    ("classes_of_one_unit", || read(1, Sigmoid, CategoricalCrossentropy::new(), ())),
    ("relu_as_logits", || read(1, Relu, BinaryCrossentropy::new().from_logits(true), ())),
    ("poisson_below_0", || read(1, Linear, loss::Poisson::new(), ())),
    ("hinge_of_probabilities", || read(1, Sigmoid, loss::Hinge::new(), ())),
    ("kl_of_logits", || read(3, Linear, loss::KLDivergence::new(), ())),
    ("accuracy_of_logits", || {
        read(1, Linear, BinaryCrossentropy::new().from_logits(true), [Accuracy::new()])
    }),
    ("auc_from_logits_of_probabilities", || {
        read(1, Sigmoid, BinaryCrossentropy::new(), [metric::AUC::new().from_logits(true)])
    }),
    ("f1_of_one_column", || read(1, Sigmoid, BinaryCrossentropy::new(), [metric::F1Score::new()])),
    ("labels_up_to_9_for_two_classes", || first_batch(Sigmoid, BinaryCrossentropy::new(), &[0.0, 9.0])),
    ("hinge_targets", || first_batch(Tanh, loss::Hinge::new(), &[0.0, 2.0])),
    ("poisson_targets", || first_batch(Exponential, loss::Poisson::new(), &[1.0, -1.0])),
    ("accuracy_of_numbers", || {
        let stack = Sequential::new().add(Input::new([4])).add(Dense::new(1));
        let mut model = stack.compile(SGD::new(0.1), MeanSquaredError::new(), [Accuracy::new()])?;
        done(model.fit(&f32s(&[2, 4]), &f32s(&[2, 1]).affine(9.0, 0.0)?, quiet()))
    }),
    ("unknown_logits", || unknown(|x| Ok(x.clone()), SparseCategoricalCrossentropy::new())),
    ("unknown_softmax_from_logits", || {
        unknown(|x| x.softmax(-1), SparseCategoricalCrossentropy::new().from_logits(true))
    }),
    ("unknown_shares", || unknown(|x| x.sigmoid(), SparseCategoricalCrossentropy::new())),
    ("unknown_counts", || unknown(|x| x.affine(0.0, -1.0), loss::Poisson::new())),
    // What would be ignored.
    ("batch_size_beside_dataset", || fit_on(&batches(), Fit::new().batch_size(4))),
    ("shuffle_beside_dataset", || fit_on(&batches(), Fit::new().shuffle(true))),
    ("validation_twice", || {
        let (x, y) = images();
        fit(quiet().validation_data(&x, &y).validation_split(0.5))
    }),
    ("validation_steps_alone", || fit(quiet().validation_steps(3))),
    ("validation_batch_size_beside_dataset", || {
        fit(quiet().validation_dataset(&batches()).validation_batch_size(3))
    }),
    ("class_weight_of_numbers", || {
        let settings = quiet().class_weight([(0, 1.0)]);
        done(regression().fit(&f32s(&[2, 4]), &f32s(&[2, 1]).affine(1.0, 0.25)?, settings))
    }),
    ("reduce_lr_of_a_schedule", || rate_of_a_schedule(ReduceLROnPlateau::new("loss"))),
    ("scheduler_of_a_schedule", || rate_of_a_schedule(LearningRateScheduler::new(|_, rate| rate))),
    ("early_stopping_direction", || {
        let fit = quiet().callback(Measures).callback(EarlyStopping::new("speed"));
        done(regression().fit(&f32s(&[2, 4]), &f32s(&[2, 1]), fit))
    }),
    // What cuts the tape.
    ("cut_by_a_comparison", || cut(|x| x.greater(&x.new_full([], 0.0)?)?.cast(x.dtype()))),
    ("cut_by_argmax", || cut(|x| x.argmax(-1)?.expand_dims(-1)?.cast(x.dtype()))),
    ("cut_by_a_cast", || cut(|x| x.cast(DType::I64)?.cast(x.dtype()))),
    ("cut_by_detach", || cut(|x| Ok(x.detach()))),
    ("cut_by_inference", || {
        let network = Sequential::new().add(Input::new([4])).add(Dense::new(1)).build()?;
        done(network.forward(&f32s(&[2, 4]), &mut Cx::infer())?.sum(&[], false)?.backward())
    }),
    ("cut_by_freezing", || {
        let network = Sequential::new().add(Input::new([4])).add(Dense::new(1).frozen()).build()?;
        done(network.forward(&f32s(&[2, 4]), &mut Cx::train(0, 0))?.sum(&[], false)?.backward())
    }),
    ("all_frozen", || {
        let mut model = regression();
        model.set_all_trainable(false);
        done(model.fit(&f32s(&[2, 4]), &f32s(&[2, 1]), quiet()))
    }),
    // Settings out of range.
    ("label_smoothing", || read(3, Softmax, CategoricalCrossentropy::new().label_smoothing(2.0), ())),
    ("focal_gamma", || read(3, Softmax, loss::CategoricalFocalCrossentropy::new().gamma(-3.0), ())),
    ("focal_alpha", || read(1, Sigmoid, loss::BinaryFocalCrossentropy::new().alpha(7.0), ())),
    ("loss_weight", || read(1, Linear, MeanSquaredError::new().weight(f64::NAN), ())),
    ("metric_threshold", || {
        read(1, Sigmoid, BinaryCrossentropy::new(), [metric::BinaryAccuracy::new().threshold(7.0)])
    }),
    ("metric_beta", || read(3, Softmax, CategoricalCrossentropy::new(), [metric::FBetaScore::new(-1.0)])),
    ("metric_top_k", || {
        read(3, Softmax, CategoricalCrossentropy::new(), [metric::Precision::new().top_k(0)])
    }),
    ("auc_thresholds_twice", || {
        let auc = metric::AUC::new().num_thresholds(9).thresholds([0.5]);
        read(1, Sigmoid, BinaryCrossentropy::new(), [auc])
    }),
    ("l2_negative", || {
        let dense = Dense::new(1).kernel_regularizer(L2::new(-5.0));
        done(compile(Sequential::new().add(Input::new([4])).add(dense)))
    }),
    ("activity_l1_negative", || {
        let dense = Dense::new(1).activity_regularizer(L1::new(-5.0));
        done(compile(Sequential::new().add(Input::new([4])).add(dense)))
    }),
    ("max_norm_nan", || {
        let dense = Dense::new(1).kernel_constraint(constraint::MaxNorm::new(f64::NAN));
        done(compile(Sequential::new().add(Input::new([4])).add(dense)))
    }),
    ("random_normal_stddev", || {
        let dense = Dense::new(1).kernel_initializer(RandomNormal::new(0.0, -1.0));
        done(compile(Sequential::new().add(Input::new([4])).add(dense)))
    }),
    ("leaky_slope", || read(1, LeakyRelu.negative_slope(f64::NAN), MeanSquaredError::new(), ())),
    ("schedule_alpha", || optimizer(SGD::new(schedule::CosineDecay::new(0.1, 5).alpha(2.0)).tuned())),
    ("schedule_t_mul", || optimizer(SGD::new(schedule::CosineDecayRestarts::new(0.1, 5).t_mul(0.5)).tuned())),
    ("early_stopping_min_delta", || fit(quiet().callback(EarlyStopping::new("loss").min_delta(f64::NAN)))),
    ("reduce_lr_min_lr", || fit(quiet().callback(ReduceLROnPlateau::new("loss").min_lr(-1.0)))),
    ("solve_nearly_singular", || {
        let a: Vec<f64> = (1..10).map(f64::from).collect();
        done(Tensor::from_slice(&a, [3, 3])?.inverse())
    }),
    ("lstsq_rank", || {
        let a = Tensor::from_slice(&[0.1, 0.2, 0.3, 0.7, 0.1, 0.8, 0.4, 0.3, 0.7], [3, 3])?;
        done(a.lstsq(&Tensor::from_slice(&[1.0, 2.0, 3.0], [3])?))
    }),
    // Datasets.
    ("dataset_rows", || done(Dataset::from_tensors(&f32s(&[3, 4]), &labels(&[0, 1])))),
    ("dataset_scalar", || done(Dataset::from_inputs(&f32s(&[])))),
    ("dataset_weights", || {
        done(Dataset::from_weighted_tensors(&f32s(&[2, 4]), &labels(&[0, 1]), &f32s(&[2, 1])))
    }),
    ("dataset_batch_zero", || fit_on(&batches().batch(0), Fit::new())),
    ("dataset_buffer_zero", || fit_on(&batches().shuffle_buffer(0, 1), Fit::new())),
    ("dataset_sample_fails", || faulty_rows(false).batch(4).prefetch(2).iter().try_for_each(done)),
    ("dataset_sample_panics", || faulty_rows(true).batch(4).prefetch(2).iter().try_for_each(done)),
    ("dataset_shapes_in_a_batch", || {
        let ragged = Dataset::from_stream(|_| Ok((1..3).map(|n| Ok(Sample::new(&f32s(&[n]), &f32s(&[]))))));
        ragged.batch(2).iter().try_for_each(done)
    }),
    ("dataset_split_rest", || done(batches().split(Size::Rest, Size::Rest))),
    ("dataset_split_empty", || done(batches().split(0.1, Size::Rest))),
    ("dataset_split_too_large", || done(batches().split(2usize, 1usize))),
    ("dataset_split_share", || done(batches().split(1.5, Size::Rest))),
    ("dataset_split_stream", || {
        let stream = Dataset::from_stream(|_| Ok(std::iter::empty()));
        done(stream.split(0.5, Size::Rest))
    }),
    ("dataset_without_end", || fit_on(&batches().repeat_forever(), Fit::new())),
    ("dataset_steps_zero", || fit_on(&batches(), Fit::new().steps_per_epoch(0))),
    ("dataset_empty", || fit_on(&batches().take(0), Fit::new())),
    ("dataset_without_batches", || {
        let (x, y) = images();
        fit_on(&Dataset::from_tensors(&x, &y)?, Fit::new())
    }),
    ("dataset_validation_width", || {
        let data = Dataset::from_tensors(&f32s(&[2, 3]), &labels(&[0, 1]))?.batch(2);
        fit_on(&batches(), Fit::new().validation_dataset(&data))
    }),
    ("dataset_predict_nothing", || done(classifier().predict_dataset(&batches().take(0)))),
    // Files of data.
    ("npy_foreign", || done(npy::decode(b"PK\x03\x04", "x.npy", &Limits::default()))),
    ("npy_cut", || done(npy::decode(b"\x93NUMPY\x01\x00\x76", "x.npy", &Limits::default()))),
    ("npy_type", || npy_with("<c16", "(2,)")),
    ("npy_length", || npy_with("<f4", "(2, 3)")),
    ("npy_limit", || npy_with("<f4", "(2000000000,)")),
    ("npy_overflow", || npy_with("<f4", "(4294967296, 4294967296)")),
    ("npy_header", || npy_with("<f4", "2")),
    ("npy_bfloat16", || done(npy::encode(&f32s(&[2]).cast(DType::BF16)?))),
    ("npz_foreign", || done(npz::decode(&[0; 40], "x.npz", &Limits::default()))),
    ("npz_name_twice", || done(npz::encode(&[("a", &f32s(&[1])), ("a", &f32s(&[2]))]))),
    ("csv_text", || csv(Csv::new(), "a,b\n1,2\n3,cat\n")),
    ("csv_missing", || csv(Csv::new(), "a,b\n1,\n")),
    ("csv_ragged", || csv(Csv::new(), "a,b\n1,2,3\n")),
    ("csv_no_column", || csv(Csv::new().label("kind"), "a,b\n1,2\n")),
    ("csv_open_quote", || csv(Csv::new(), "a\n\"1\n")),
    ("csv_delimiter", || csv(Csv::new().delimiter('"'), "a\n1\n")),
    ("cifar_size", || done(cifar10::decode(&[0; 3072], "test_batch.bin", &Limits::default()))),
    ("cifar_label", || done(cifar100::decode(&[20; 3074], "test.bin", &Limits::default()))),
    ("cifar_not_there", || done(cifar10::load_from("no/such/folder"))),
    ("fashion_mnist_not_there", || done(datasets::fashion_mnist::load_from("no/such/folder"))),
];

#[test]
fn messages_are_those_of_the_snapshot() {
    let mut text = String::new();
    let mut wrong = Vec::new();
    for (name, mistake) in MISTAKES {
        match std::panic::catch_unwind(mistake) {
            Ok(Err(e)) => writeln!(text, "{name}: {e}").unwrap(),
            Ok(Ok(())) => wrong.push(format!("{name}: no error")),
            Err(_) => wrong.push(format!("{name}: panicked")),
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/all/snapshots/errors.txt");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
        std::fs::write(path, &text).unwrap();
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let expected = std::fs::read_to_string(path).unwrap();
    for (is, was) in text.lines().zip(expected.lines()) {
        assert_eq!(is, was, "set UPDATE_SNAPSHOTS=1 if the new message is better");
    }
    assert_eq!(text.lines().count(), expected.lines().count(), "set UPDATE_SNAPSHOTS=1 for new rows");
}

#[test]
fn messages_name_the_layer_what_was_expected_and_what_came() {
    let said = |name: &str| {
        let (_, mistake) = MISTAKES.iter().find(|(n, _)| *n == name).unwrap();
        mistake().unwrap_err().to_string()
    };
    let contains = |name: &str, parts: &[&str]| {
        let message = said(name);
        parts
            .iter()
            .for_each(|part| assert!(message.contains(part), "{name}: '{part}' is not in: {message}"));
    };
    contains("dense_zero_units", &["'dense'", "at least 1", "0"]);
    contains("dropout_rate", &["'dropout'", "0 <= rate <= 1", "1.5"]);
    contains("fit_width", &["input of 'sequential'", "[batch, 4]", "[2, 5]"]);
    contains("predict_width", &["input of 'sequential'", "[batch, 4]", "[2, 5]"]);
    contains("images_without_scale", &["scale", "uint8"]);
    contains("label_too_large", &["label 3", "0 to 2"]);
    contains("label_negative", &["label -1", "0 to 2"]);
    contains("label_too_large_unfused", &["label 3", "0 to 2"]);
    contains("rows_differ", &["3 rows", "got 2"]);
    contains("regression_target_shape", &["[2, 2]", "[2, 1]"]);
    contains("label_in_shuffled_rows", &["label 5", "position 70"]);
    contains("label_in_validation", &["validation", "position 39"]);
    contains("early_stopping_before_training", &["EarlyStopping", "loss, accuracy"]);
    contains("one_hot_with_sparse_loss", &["[2, 3]", "CategoricalCrossentropy"]);
    contains("labels_with_one_hot_loss", &["[2]", "[2, 3]", "SparseCategoricalCrossentropy"]);
    contains("early_stopping_figure", &["val_loss", "loss, accuracy"]);
    contains("layer_of_the_user_fails", &["'faulty'", "the sensor is not connected"]);
    contains("validation_empty", &["validation"]);
    contains("validation_rows", &["validation"]);
    contains("validation_width", &["validation"]);
}

#[test]
fn a_failed_fit_keeps_the_parameters_of_the_last_complete_step() {
    let (x, y) = (f32s(&[96, 4]), f32s(&[96, 1]));
    let mut failed = with_faulty(2, false);
    failed.fit(&x, &y, quiet().shuffle(false)).unwrap_err();
    let mut twin = with_faulty(usize::MAX, false);
    for step in 0..2 {
        let rows = |t: &Tensor| t.slice(0, step * 32, step * 32 + 32).unwrap();
        twin.train_on_batch(&rows(&x), &rows(&y)).unwrap();
    }
    assert_eq!(failed.weight_bytes().unwrap(), twin.weight_bytes().unwrap());
    // And training goes on from there.
    failed.fit(&x, &y, quiet()).unwrap();
}

#[test]
fn a_panic_in_a_layer_leaves_model_and_pool_usable() {
    let (x, y) = (f32s(&[96, 4]), f32s(&[96, 1]));
    for threads in [1, 2, 8] {
        let pool = Threads::new(threads).unwrap();
        let mut model = with_faulty(2, true);
        let run = std::panic::AssertUnwindSafe(|| model.fit(&x, &y, quiet().shuffle(false).threads(&pool)));
        std::panic::catch_unwind(run).unwrap_err();
        let mut twin = with_faulty(usize::MAX, true);
        for step in 0..2 {
            let rows = |t: &Tensor| t.slice(0, step * 32, step * 32 + 32).unwrap();
            twin.train_on_batch(&rows(&x), &rows(&y)).unwrap();
        }
        assert_eq!(model.weight_bytes().unwrap(), twin.weight_bytes().unwrap());
        let history = model.fit(&x, &y, quiet().epochs(2).threads(&pool)).unwrap();
        assert!(history["loss"].iter().all(|l| l.is_finite()));
        assert_eq!(pool.run(|| 7), 7);
    }
}

/// A metric that cannot be computed.
#[derive(Clone, Debug)]
struct Broken;
impl gradus::config::Configured for Broken {}
impl gradus::metric::Metric for Broken {
    fn name(&self) -> &str {
        "broken"
    }
    fn update(&mut self, _: &Tensor, _: &Tensor, _: Option<&Tensor>) -> Result<()> {
        Err(Error::Custom("no figure today".into()))
    }
    fn result(&self) -> f64 {
        0.0
    }
    fn reset(&mut self) {}
    fn larger_is_better(&self) -> bool {
        true
    }
}

#[test]
fn a_failing_metric_changes_no_parameter() {
    let stack = Sequential::new().add(Input::new([4])).add(Dense::new(1));
    let mut model = stack.compile(Adam::new(0.01), MeanSquaredError::new(), [Broken]).unwrap();
    let before = model.weight_bytes().unwrap();
    let error = model.train_on_batch(&f32s(&[2, 4]), &f32s(&[2, 1])).unwrap_err();
    assert!(error.to_string().contains("no figure today"));
    assert_eq!(model.weight_bytes().unwrap(), before);
    assert_eq!(model.optimizer().iterations(), 0);
}

#[test]
fn extreme_arguments_do_not_panic() {
    let t = f32s(&[3, 4]);
    for step in [isize::MIN, isize::MIN + 1, isize::MAX, -5, 5] {
        for edge in [None, Some(isize::MIN), Some(isize::MAX), Some(-1), Some(2)] {
            for axis in [0, 1] {
                let some = t.slice_step(axis, edge, None, step).unwrap();
                assert!(some.exp().unwrap().to_vec::<f32>().unwrap().len() <= 12);
                t.slice_step(axis, None, edge, step).unwrap();
            }
        }
    }
    for axis in [isize::MIN, isize::MAX] {
        t.sum(&[axis], false).unwrap_err();
        t.expand_dims(axis).unwrap_err();
        t.select(0, axis).unwrap_err();
        t.reshape([axis]).unwrap_err();
        t.reshape([axis, axis, axis, axis]).unwrap_err();
    }
    // Nothing in memory, however large the sizes beside the zero, as long as they can be multiplied.
    Tensor::zeros([1 << 60, 1 << 60, 1 << 60, 0]).unwrap_err();
    let vast = Tensor::zeros([1 << 20, 1 << 19, 1 << 19, 0]).unwrap();
    assert_eq!(vast.reshape([-1]).unwrap().dims(), [0]);
    assert_eq!(vast.exp().unwrap().elements(), 0);
    vast.sum(&[0, 1, 2], false).unwrap();
    vast.mean(&[0, 1, 2], false).unwrap();
    vast.mean(&[3], false).unwrap_err();
    let nothing = Tensor::zeros([0, 0]).unwrap();
    assert_eq!(nothing.sparse_cross_entropy(&labels(&[])).unwrap().dims(), [0]);
    assert_eq!(nothing.softmax(-1).unwrap().log_softmax(0).unwrap().dims(), [0, 0]);
    assert_eq!(f32s(&[2, 0]).linear(&f32s(&[0, 3]), None, None).unwrap().to_vec::<f32>().unwrap(), [0.0; 6]);
    assert_eq!(f32s(&[2, 3]).linear(&f32s(&[3, 0]), None, None).unwrap().dims(), [2, 0]);
}

//! Tests that `compile` refuses losses and metrics that read an output as what it is not, and, just as important,
//! that each meaningful way to write a model compiles.

use gradus::config::Dyn;
use gradus::loss::{
    BinaryFocalCrossentropy, CategoricalFocalCrossentropy, CategoricalHinge, Hinge, KLDivergence, Loss,
    MeanSquaredLogarithmicError, Poisson, SquaredHinge,
};
use gradus::metric::{AUC, BinaryAccuracy, F1Score, IntoMetrics, MeanLoss, PerOutput, Precision, Recall};
use gradus::nn::activation::{Activation, Exponential, HardSigmoid, LogSoftmax, Softplus, Sparsemax};
use gradus::nn::layers::{
    self, Average, Checkpoint, Conv2D, Flatten, GlobalAveragePooling2D, Identity, Lambda, Permute, Reshape,
    TimeDistributed,
};
use gradus::nn::{Build, Cx, Layer, Part, Subclass};
use gradus::prelude::*;
use gradus::train::FitError;
use gradus::{Result, io::Load};

type AnyLoss = Dyn<dyn Loss>;
type AnyActivation = Dyn<dyn Activation>;

fn stack(units: usize, activation: impl Into<AnyActivation>) -> Sequential {
    Sequential::new().add(Input::new([4])).add(Dense::new(units).activation(activation)).seed(1)
}

fn compile(stack: Sequential, loss: impl Into<AnyLoss>, metrics: impl IntoMetrics) -> Result<Model> {
    stack.compile(SGD::new(0.1), loss.into(), metrics)
}

/// Fails to compile, with these words; and compiles with the opt-out.
fn refused(make: &dyn Fn() -> Sequential, loss: impl Loss + Clone + 'static, words: &[&str]) {
    let e = compile(make(), loss.clone(), ()).map(drop).unwrap_err().to_string();
    for word in words.iter().chain(&["output '", ".allow_mismatch()"]) {
        assert!(e.contains(word), "'{word}' is not in: {e}");
    }
    compile(make(), loss.allow_mismatch(), ()).unwrap();
}

#[test]
fn a_softmax_and_from_logits_are_refused() {
    let softmax = || stack(3, Softmax);
    let words = ["drop .from_logits(true)", "numbers from 0 to 1 (Softmax)"];
    refused(&softmax, SparseCategoricalCrossentropy::new().from_logits(true), &words);
    refused(&softmax, CategoricalCrossentropy::new().from_logits(true), &words);
    refused(&softmax, CategoricalFocalCrossentropy::new().from_logits(true), &words);
    refused(
        &|| stack(1, Sigmoid),
        BinaryCrossentropy::new().from_logits(true),
        &["drop .from_logits(true)", "Sigmoid"],
    );
    refused(&|| stack(1, Sigmoid), BinaryFocalCrossentropy::new().from_logits(true), &["Sigmoid"]);
    // However the softmax is written, and whatever only moves its numbers.
    let input = || Sequential::new().add(Input::new([4])).add(Dense::new(3));
    let ends: [&dyn Fn() -> Sequential; 8] = [
        &|| input().add(layers::Activation::new(Softmax)),
        &|| input().add(layers::Softmax::new()),
        &|| input().add(layers::Activation::new(Softmax)).add(Dropout::new(0.1)),
        &|| input().add(layers::Activation::new(Softmax)).add(Identity::new()),
        &|| input().add(layers::Activation::new(Softmax)).add(Reshape::new([1, 3])).add(Flatten::new()),
        &|| {
            input()
                .add(layers::Activation::new(Softmax))
                .add(layers::Activation::new(gradus::nn::activation::Linear))
        },
        &|| input().add(Sequential::new().add(Input::new([3])).add(Dense::new(3).activation(Softmax))),
        &|| input().add(Checkpoint::new(Dense::new(3).activation(Softmax))),
    ];
    for end in ends {
        refused(end, SparseCategoricalCrossentropy::new().from_logits(true), &["Softmax"]);
    }
}

#[test]
fn logits_read_as_probabilities_are_refused() {
    let words = ["probabilities", "any numbers (Linear)", ".from_logits(true)"];
    let linear = || Sequential::new().add(Input::new([4])).add(Dense::new(3));
    refused(&linear, SparseCategoricalCrossentropy::new(), &words);
    refused(&linear, CategoricalCrossentropy::new(), &words);
    refused(&linear, CategoricalFocalCrossentropy::new(), &words);
    refused(&linear, BinaryCrossentropy::new(), &words);
    refused(&linear, BinaryFocalCrossentropy::new(), &words);
    refused(&linear, KLDivergence::new(), &words[..2]);
    refused(&|| stack(3, Relu), SparseCategoricalCrossentropy::new(), &["numbers of 0 or more (Relu)"]);
    refused(&|| stack(3, Tanh), CategoricalCrossentropy::new(), &["numbers from -1 to 1 (Tanh)"]);
    refused(&|| stack(3, LogSoftmax), CategoricalCrossentropy::new(), &["numbers of 0 or less (LogSoftmax)"]);
    let image = || Sequential::new().add(Input::new([4, 4, 1])).add(Conv2D::new(3, 1));
    refused(&image, SparseCategoricalCrossentropy::new(), &["Linear"]);
    let regularized =
        || Sequential::new().add(Input::new([4])).add(Dense::new(3).activity_regularizer(L2::new(0.1)));
    refused(&regularized, SparseCategoricalCrossentropy::new(), &["Linear"]);
}

#[test]
fn one_unit_is_no_choice_between_classes() {
    refused(
        &|| stack(1, Softmax),
        BinaryCrossentropy::new(),
        &["Softmax: expected more than one unit", ".activation(Sigmoid)"],
    );
    refused(&|| stack(1, Softmax), MeanSquaredError::new(), &["always 1"]);
    refused(&|| stack(1, Sigmoid), CategoricalCrossentropy::new(), &["BinaryCrossentropy for one unit"]);
    refused(
        &|| stack(1, Tanh),
        SparseCategoricalCrossentropy::new().from_logits(true),
        &["BinaryCrossentropy"],
    );
}

#[test]
fn signs_that_cannot_be_are_refused() {
    refused(&|| stack(1, Tanh), Poisson::new(), &[".activation(Softplus)", "Tanh"]);
    refused(&|| Sequential::new().add(Input::new([4])).add(Dense::new(1)), Poisson::new(), &["any numbers"]);
    refused(&|| stack(1, Sigmoid), Hinge::new(), &["the classes -1 and 1", "Sigmoid"]);
    refused(&|| stack(1, Relu), SquaredHinge::new(), &["both signs"]);
    refused(&|| stack(1, Relu), BinaryCrossentropy::new().from_logits(true), &["logits of both signs"]);
}

fn metric_refused(
    units: usize,
    activation: impl Into<AnyActivation>,
    loss: impl Loss + Clone + 'static,
    metrics: impl IntoMetrics + Clone,
    words: &[&str],
) {
    let activation = activation.into();
    let make =
        || Sequential::new().add(Input::new([4])).add(Dense::new(units).activation(activation.clone()));
    let e = compile(make(), loss.clone(), metrics.clone()).map(drop).unwrap_err().to_string();
    for word in words.iter().chain(&["metrics: expected ", ".allow_mismatch()"]) {
        assert!(e.contains(word), "'{word}' is not in: {e}");
    }
    compile(make(), loss.allow_mismatch(), metrics).unwrap();
}

#[test]
fn metrics_of_probabilities_are_refused_beside_a_loss_of_logits() {
    let logits = || BinaryCrossentropy::new().from_logits(true);
    let linear = || gradus::nn::activation::Linear;
    metric_refused(
        1,
        linear(),
        logits(),
        [Accuracy::new()],
        &["probabilities for 'accuracy'", "drop .from_logits(true)"],
    );
    metric_refused(1, linear(), logits(), [BinaryAccuracy::new()], &["'binary_accuracy'"]);
    metric_refused(1, linear(), logits(), [Precision::new()], &["'precision'"]);
    metric_refused(1, linear(), logits(), [Recall::new().threshold(0.3)], &["'recall'"]);
    metric_refused(1, linear(), logits(), [AUC::new()], &["'auc'"]);
    metric_refused(1, linear(), logits(), [F1Score::new().threshold(0.5)], &["'f1_score'"]);
    metric_refused(
        1,
        linear(),
        logits(),
        [MeanLoss::new(BinaryCrossentropy::new())],
        &["'binary_crossentropy'"],
    );
    metric_refused(
        1,
        Sigmoid,
        BinaryCrossentropy::new(),
        [AUC::new().from_logits(true)],
        &["logits for 'auc': drop its"],
    );
    metric_refused(1, Sigmoid, BinaryCrossentropy::new(), [F1Score::new()], &["write .threshold(0.5)"]);
    metric_refused(
        1,
        Sigmoid,
        BinaryCrossentropy::new(),
        [gradus::metric::CategoricalAccuracy::new()],
        &["one column"],
    );
    // 0 is where logits change sides, and AUC can be told.
    let metrics =
        (BinaryAccuracy::new().threshold(0.0), AUC::new().from_logits(true), Precision::new().threshold(0.0));
    compile(stack(1, linear()), logits(), metrics).unwrap();
    // Classes are compared by their largest.
    compile(stack(3, linear()), SparseCategoricalCrossentropy::new().from_logits(true), [Accuracy::new()])
        .unwrap();
    // Alone it says so too.
    let e = gradus::metric::Metric::update(
        &mut F1Score::new(),
        &Tensor::ones([2, 1]).unwrap(),
        &Tensor::ones([2, 1]).unwrap(),
        None,
    );
    assert!(e.unwrap_err().to_string().contains(".threshold(0.5)"));
}

#[test]
fn what_can_be_meant_compiles() {
    let linear = || gradus::nn::activation::Linear;
    let fine: Vec<(Sequential, AnyLoss)> = vec![
        (stack(3, Softmax), SparseCategoricalCrossentropy::new().into()),
        (stack(3, Softmax), CategoricalCrossentropy::new().label_smoothing(0.1).into()),
        (stack(3, linear()), SparseCategoricalCrossentropy::new().from_logits(true).into()),
        (stack(3, LogSoftmax), SparseCategoricalCrossentropy::new().from_logits(true).into()),
        (stack(3, Relu), CategoricalCrossentropy::new().from_logits(true).into()),
        (stack(3, Sigmoid), CategoricalCrossentropy::new().into()),
        (stack(3, Sparsemax), CategoricalCrossentropy::new().into()),
        (stack(3, Sigmoid), BinaryCrossentropy::new().into()),
        (stack(1, Sigmoid), BinaryCrossentropy::new().into()),
        (stack(1, HardSigmoid), BinaryCrossentropy::new().into()),
        (stack(2, Softmax), BinaryCrossentropy::new().into()),
        (stack(1, linear()), BinaryCrossentropy::new().from_logits(true).into()),
        (stack(1, Tanh), BinaryCrossentropy::new().from_logits(true).into()),
        (stack(3, Softmax), KLDivergence::new().into()),
        (stack(3, Softmax), MeanSquaredError::new().into()),
        (stack(3, Softmax), CategoricalHinge::new().into()),
        (stack(1, linear()), Hinge::new().into()),
        (stack(1, Tanh), SquaredHinge::new().into()),
        (stack(1, Softplus), Poisson::new().into()),
        (stack(1, Exponential), Poisson::new().into()),
        (stack(1, Relu), Poisson::new().into()),
        (stack(1, linear()), MeanSquaredLogarithmicError::new().into()),
    ];
    for (i, (stack, loss)) in fine.into_iter().enumerate() {
        compile(stack, loss.clone(), ()).unwrap_or_else(|e| panic!("{i}: {loss:?}: {e}"));
    }
    for activation in
        [Dyn::from(Relu), Sigmoid.into(), Tanh.into(), Softmax.into(), Exponential.into(), linear().into()]
    {
        compile(
            Sequential::new().add(Input::new([4])).add(Dense::new(2).activation(activation)),
            MeanSquaredError::new(),
            (),
        )
        .unwrap();
    }
    // Classes told apart by least squares.
    compile(stack(1, linear()), MeanSquaredError::new(), [BinaryAccuracy::new()]).unwrap();
    // Behind a softmax something that leaves it a softmax.
    let ends: Vec<Sequential> = vec![
        stack(3, Softmax).add(Dropout::new(0.5)),
        stack(3, Softmax).add(Identity::new()).add(Flatten::new()),
        stack(6, Softmax).add(Reshape::new([2, 3])).add(Permute::new([2, 1])).add(Flatten::new()),
        Sequential::new().add(Input::new([4])).add(Dense::new(3)).add(layers::Softmax::new()),
        Sequential::new()
            .add(Input::new([4, 4, 1]))
            .add(Conv2D::new(3, 1).activation(Softmax))
            .add(GlobalAveragePooling2D::new()),
        Sequential::new().add(Input::new([4])).add(Sequential::new().add(Dense::new(3).activation(Softmax))),
        Sequential::new().add(Input::new([4])).add(Checkpoint::new(Dense::new(3).activation(Softmax))),
    ];
    for (i, end) in ends.into_iter().enumerate() {
        compile(end, CategoricalCrossentropy::new(), ()).unwrap_or_else(|e| panic!("{i}: {e}"));
    }
    let words = Sequential::new()
        .add(Input::new([5, 4]))
        .add(TimeDistributed::new(Dense::new(3).activation(Softmax)));
    compile(words, SparseCategoricalCrossentropy::new(), [Accuracy::new()]).unwrap();
}

#[test]
fn graphs_are_looked_at_output_by_output() {
    let input = Input::new([4]);
    let head = Dense::new(3).activation(Softmax).shared();
    let (a, b) = (head.on(&input).unwrap(), head.on(&Dense::new(4).on(&input).unwrap()).unwrap());
    let mean = Average::new().on([&a, &b]).unwrap();
    let beside = Concatenate::new().on([&a, &b]).unwrap();
    let size = Dense::new(1).named("size").on(&input).unwrap();
    let network = || Functional::new(&input, [&mean, &beside, &size]).unwrap();
    let losses = || (CategoricalCrossentropy::new(), CategoricalCrossentropy::new(), MeanSquaredError::new());
    network()
        .compile(SGD::new(0.1), losses(), PerOutput::new().output("size", [BinaryAccuracy::new()]))
        .unwrap();
    let (first, second, _) = losses();
    let e = network()
        .compile(SGD::new(0.1), (first, second, BinaryCrossentropy::new()), ())
        .map(drop)
        .unwrap_err();
    assert!(e.to_string().starts_with("output 'size': BinaryCrossentropy: expected probabilities"), "{e}");
    // One output's opt-out is no other's.
    let (first, _, last) = losses();
    let logits = || CategoricalCrossentropy::new().from_logits(true);
    network().compile(SGD::new(0.1), (first, logits().allow_mismatch(), last), ()).unwrap();
    let e = network()
        .compile(SGD::new(0.1), (logits().tuned(), logits().allow_mismatch(), last), ())
        .map(drop)
        .unwrap_err();
    assert!(e.to_string().starts_with("output 'average'"), "{e}");
}

// ---- What only the first batch can tell

/// Nobody knows what it gives.
fn unknown(units: usize, f: fn(&Tensor) -> Result<Tensor>) -> Sequential {
    Sequential::new().add(Input::new([4])).add(Dense::new(units)).add(Lambda::new(f)).seed(1)
}

fn x() -> Tensor {
    Tensor::from_slice(&(0..32).map(|i| (i as f32 * 0.37).fract() - 0.4).collect::<Vec<_>>(), [8, 4]).unwrap()
}

fn first_batch(stack: Sequential, loss: impl Into<AnyLoss>, y: &Tensor) -> Result<History, FitError> {
    compile(stack, loss, ()).unwrap().fit(&x(), y, Fit::new().epochs(2).batch_size(4).verbose(0))
}

#[test]
fn an_output_that_nobody_knows_is_looked_at_in_the_first_batch() {
    let y = Tensor::from_slice(&[0i64, 1, 2, 0, 1, 2, 0, 1], [8]).unwrap();
    let hot = y.one_hot(3, DType::F32).unwrap();
    let said = |r: Result<History, FitError>| r.map(drop).unwrap_err().to_string();
    let e = said(first_batch(unknown(3, |x| Ok(x.clone())), SparseCategoricalCrossentropy::new(), &y));
    assert!(e.contains("end the network with a softmax") && e.contains("of the first batch"), "{e}");
    let e = said(first_batch(
        unknown(3, |x| x.softmax(-1)),
        SparseCategoricalCrossentropy::new().from_logits(true),
        &y,
    ));
    assert!(e.contains("drop .from_logits(true)"), "{e}");
    let e = said(first_batch(
        unknown(3, |x| x.sigmoid()?.affine(0.3, 0.0)),
        CategoricalCrossentropy::new(),
        &hot,
    ));
    assert!(e.contains("add up to 1") && e.contains(".allow_mismatch()"), "{e}");
    let e = said(first_batch(unknown(3, |x| Ok(x.clone())), BinaryCrossentropy::new(), &hot));
    assert!(e.contains("end the network with a sigmoid"), "{e}");
    let e = said(first_batch(unknown(3, |x| Ok(x.clone())), Poisson::new(), &hot));
    assert!(e.contains("softplus"), "{e}");

    first_batch(unknown(3, |x| x.softmax(-1)), SparseCategoricalCrossentropy::new(), &y).unwrap();
    first_batch(unknown(3, |x| Ok(x.clone())), SparseCategoricalCrossentropy::new().from_logits(true), &y)
        .unwrap();
    first_batch(unknown(3, |x| x.sigmoid()), BinaryCrossentropy::new(), &hot).unwrap();
    first_batch(
        unknown(3, |x| x.softmax(-1)),
        SparseCategoricalCrossentropy::new().from_logits(true).allow_mismatch(),
        &y,
    )
    .unwrap();

    // A struct of one's own, whose forward is code.
    #[derive(Clone, Debug)]
    struct Own {
        out: Part,
    }
    gradus::parts!(Own { out });
    impl Layer for Own {
        fn forward(&self, x: &Tensor, cx: &mut Cx) -> Result<Tensor> {
            self.out.forward(x, cx)
        }
    }
    let own = || Subclass::new([Input::new([4])], Own { out: Part::new(Dense::new(3)) });
    let compiled = |loss: AnyLoss| own().compile(SGD::new(0.1), loss, ()).unwrap();
    let e = compiled(SparseCategoricalCrossentropy::new().into()).evaluate(&x(), &y).unwrap_err().to_string();
    assert!(e.contains("write .from_logits(true)"), "{e}");
    compiled(SparseCategoricalCrossentropy::new().from_logits(true).into()).evaluate(&x(), &y).unwrap();
}

#[test]
fn targets_out_of_range_are_refused_in_the_first_batch() {
    let said = |r: Result<History, FitError>| r.map(drop).unwrap_err().to_string();
    let digits = Tensor::from_slice(&[0.0f32, 1.0, 9.0, 3.0, 0.0, 1.0, 1.0, 0.0], [8, 1]).unwrap();
    let e = said(first_batch(stack(1, Sigmoid), BinaryCrossentropy::new(), &digits));
    assert!(
        e.contains("targets from 0 to 1 for BinaryCrossentropy")
            && e.contains("SparseCategoricalCrossentropy"),
        "{e}"
    );
    let e = said(first_batch(stack(1, Tanh), Hinge::new(), &digits));
    assert!(e.contains("targets from -1 to 1 for Hinge"), "{e}");
    let e = said(first_batch(stack(1, Softplus), Poisson::new(), &digits.neg().unwrap()));
    assert!(e.contains("targets of 0 or more for Poisson"), "{e}");
    first_batch(stack(1, Sigmoid), BinaryCrossentropy::new().allow_mismatch(), &digits).unwrap();
    first_batch(stack(1, Sigmoid), MeanSquaredError::new(), &digits).unwrap();
    // Accuracy of numbers is 0 for ever.
    let mut model = compile(stack(1, Relu), MeanSquaredError::new(), [Accuracy::new()]).unwrap();
    let e = said(model.fit(&x(), &digits, Fit::new().verbose(0)));
    assert!(e.contains("targets from 0 to 1 for the metric 'accuracy'"), "{e}");
    // What does not count is not looked at.
    let weights = Tensor::from_slice(&[1.0f32, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0], [8]).unwrap();
    let mut model = compile(stack(1, Sigmoid), BinaryCrossentropy::new(), ()).unwrap();
    model.fit(&x(), &digits, Fit::new().sample_weight(&weights).verbose(0)).unwrap();
    // Only the first batch of a run is looked at.
    let late = Tensor::from_slice(&[0.0f32, 1.0, 1.0, 0.0, 9.0, 9.0, 9.0, 9.0], [8, 1]).unwrap();
    let mut model = compile(stack(1, Sigmoid), BinaryCrossentropy::new(), ()).unwrap();
    model.fit(&x(), &late, Fit::new().batch_size(4).shuffle(false).verbose(0)).unwrap();
    assert!(model.test_on_batch(&x(), &late).is_err() && model.train_on_batch(&x(), &late).is_ok());
}

#[test]
fn the_opt_out_goes_into_files_and_comes_out_of_them() {
    let loss = SparseCategoricalCrossentropy::new().from_logits(true).allow_mismatch();
    let model = compile(stack(3, Softmax), loss, ()).unwrap();
    let again = Model::from_bytes(&model.to_bytes().unwrap(), Load::new()).unwrap();
    assert_eq!(again.weight_bytes().unwrap(), model.weight_bytes().unwrap());
}

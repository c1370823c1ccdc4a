//! Why it exists: one answer, everywhere, between machines that never meet. What training gives is pinned, so that an AVX2 machine, an
//! AVX-512 machine and a 64-bit ARM each prove that they agree with the others. Within a minor version these hashes do not change.
#![allow(clippy::unwrap_used)]

use gradus::optim::Optimizer;
use gradus::prelude::*;
use sha2::{Digest, Sha256};

/// Weights; losses, accuracies and predictions.
const PINNED: [[&str; 2]; 4] = [
    [
        "61c54622fd32cd316f02912359e68cc07b82953a9b1ff89d3ac42f8bcc74d76e",
        "f6b529b82de640b23bdf2a37146c5574d2130b23c4bcdd0ea66f5b8ba16837fc",
    ],
    [
        "f3eaf23932e347e85176c84c0266673435bd364dd544fdb4cca949b932a8464f",
        "3b009ae00d7a2b11f44d8943012051e40f19f621ca782b3c6c58ac4ebbaac648",
    ],
    [
        "e0383f41c20980ae36ebb58ede54af443e0c14a32a0596390a7bac9c3fe89ca3",
        "4b162fbb7ef135b8e56ec05fdd376f8a8d335b50b9f4e971b7b325359ab61860",
    ],
    [
        "04ab101570f33e9475a81ed9f8cef01255c29af277a78b3a1ad275821386048c",
        "d4cc0ee33fc16e3f9701897be0cc0777f77c06c6334858b4acfd721b2cbf0184",
    ],
];

fn hex(bytes: impl AsRef<[u8]>) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Hashes of what a few steps of training give: the weights, then the losses and predictions.
fn train(model: Sequential, dtype: DType, optimizer: impl Optimizer + 'static) -> [String; 2] {
    // The last of four batches is a single row, which products treat in their own way.
    let (digits, _) = datasets::mnist::built_in(97, 1, 0).unwrap();
    // More columns than a block of the product's sums has, and not a multiple of any vector's lanes.
    let x = digits.images.scale(1.0 / 255.0).unwrap().reshape([-1, 784]).unwrap().slice(1, 101, 784).unwrap();
    let (x, y) = (x.cast(dtype).unwrap(), digits.labels);
    let loss = SparseCategoricalCrossentropy::new();
    let mut model = model.dtype(dtype).seed(42).compile(optimizer, loss, [Accuracy::new()]).unwrap();
    let history = model.fit(&x, &y, Fit::new().epochs(3).batch_size(32).verbose(0)).unwrap();
    assert!(history["loss"][2] < history["loss"][0]);

    let mut figures = model.predict(&x).unwrap().cast(DType::F64).unwrap().to_vec::<f64>().unwrap();
    figures.extend(&history["loss"]);
    figures.extend(&history["accuracy"]);
    let figures: Vec<u8> = figures.iter().flat_map(|v| v.to_le_bytes()).collect();
    [hex(model.weight_bytes().unwrap()), hex(figures)]
}

/// Widths beside the multiples of every tile; activations that products apply themselves, and others.
fn network() -> Sequential {
    Sequential::new()
        .add(Input::new([683]))
        .add(Dense::new(61).activation(Relu))
        .add(Dropout::new(0.25))
        .add(Dense::new(37).activation(Tanh).kernel_regularizer(L2::new(0.001)))
        .add(Dense::new(19).activation(Gelu))
        .add(Dense::new(23).activation(Silu))
        .add(Dense::new(13).activation(Sigmoid))
        .add(Dense::new(10).activation(Softmax))
}

#[test]
fn training_gives_the_pinned_bytes() {
    let sgd = || SGD::new(0.05).momentum(0.9).clipnorm(1.0);
    let got = [
        ("float32, Adam", train(network(), DType::F32, Adam::new(0.002))),
        ("float32, SGD", train(network(), DType::F32, sgd())),
        ("float64, Adam", train(network(), DType::F64, Adam::new(0.002))),
        ("float64, SGD", train(network(), DType::F64, sgd())),
    ];
    let mut wrong = String::new();
    for ((name, got), pinned) in got.iter().zip(PINNED) {
        for (what, got, pinned) in [("weights", &got[0], pinned[0]), ("figures", &got[1], pinned[1])] {
            println!("{name}: {what} {got}");
            if got != pinned {
                wrong.push_str(&format!("{name}: {what} {got} instead of {pinned}\n"));
            }
        }
    }
    assert!(wrong.is_empty(), "under {:?}:\n{wrong}", gradus::kernels::simd::isa());
}

//! Pins what training gives, so that machines that never meet prove that they have one answer: an AVX2 machine, an
//! AVX-512 machine and a 64-bit ARM agree with each other, and those without fused multiply-adds among themselves.
//! Within a minor version these hashes do not change.
#![allow(missing_docs, clippy::unwrap_used)]

use gradus::kernels::simd::isa;
use gradus::optim::Optimizer;
use gradus::prelude::*;
use sha2::{Digest, Sha256};

/// Weights; losses, accuracies and predictions.
const FUSED: [[&str; 2]; 4] = [
    [
        "996eb5b21d1f98511f1b2c3cc465701035d2757e44ab2c3c1a29ce7e106f5f89",
        "5843ddab0924502671ef31b0982e8819d3f85bb1c31852a89f2901d8ebdb4d14",
    ],
    [
        "4e682c98cc19d0c5d2fe399de91d1871a7e2672cb84388d0ded9245e2672cd2c",
        "1d4a209a8b307b337040368549e01da9ba6a54868137fd438c284cc1814f6129",
    ],
    [
        "c411e923abcb81dde5c3658d59f1a5d05c34325d27f7a392ba71b0486ccec0d1",
        "94c65fc8b7e42847a8a9503717eed4b5bdecb2ff40e6128b19caa526bb2ed889",
    ],
    [
        "9ff36df2ad5421ec154f06f56fac2a40de000e5895ddfecd590f878a7bff3d58",
        "35a77d051d82a209ee1adc84350c66cff599c08b9c1457c39b09515fd3a6baab",
    ],
];

/// The same where there is no fused multiply-add.
const APART: [[&str; 2]; 4] = [
    [
        "9825d0eee3c14f0d117ed4db5a984b5e7160eda6381d615220679c7d33dd81b4",
        "96eed004f69021e1c67334520a179cba6e1eb266179a73f312cea2b8d035b887",
    ],
    [
        "138769d3a47ed21bd25e6d9fc6f1ec120e704968b6ab98a3f1926f5245645941",
        "d94081a19986f780b752c85d376de3105d583e380a44317b01c8a81940d75ba8",
    ],
    [
        "1058b6a784f966d3cb8c7230158e095bf97f56dbc5e8c6c0291a9406f45ad77e",
        "e410f83870992955f74ccd3a2f0cf830a1c3144ac0ec5a4650896e7ce5398d9d",
    ],
    [
        "ad8c99f5e37847524bcc0d7c30651b375a663438821ea572991f1d555657c895",
        "fba76c2df4c893b32d9572b9ca2eaa358ea5299437377f1dca8fb868281ac4ce",
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
    let pinned = if isa().is_fused() { FUSED } else { APART };
    for ((name, got), pinned) in got.iter().zip(pinned) {
        for (what, got, pinned) in [("weights", &got[0], pinned[0]), ("figures", &got[1], pinned[1])] {
            println!("{name}: {what} {got}");
            if got != pinned {
                wrong.push_str(&format!("{name}: {what} {got} instead of {pinned}\n"));
            }
        }
    }
    assert!(wrong.is_empty(), "under {:?}:\n{wrong}", isa());
}

//! Layers and networks. A layer is parameters plus a function of tensors; what it needs beyond its input (mode, randomness,
//! statistics, state) comes in one explicit context ([`Cx`]). A network is a graph of layers and calls: [`Sequential`],
//! [`Functional`] and a struct of your own ([`Subclass`]) all become the same built [`Network`].

pub mod activation;
pub mod constraint;
mod cut;
mod cx;
mod functional;
pub mod initializer;
mod input;
pub mod layers;
mod module;
mod network;
mod node;
mod numbers;
mod param;
mod part;
mod predict;
pub mod regularizer;
mod sequential;
mod spatial;
mod subclass;
mod summary;
mod symbol;
mod topology;
mod topology_config;
mod trace;
mod value;
mod weights;

pub use cut::LayerRef;
pub(crate) use cx::Scope;
pub use cx::{Cx, Effects, Session};
pub use functional::Functional;
#[doc(hidden)]
pub use module::walk_field;
pub use module::{Item, ItemMut, Module, Path, Visit, VisitMut};
pub use network::Network;
pub use node::{Build, CloneNode, IntoLayer, Layer, Node, Recurrent, features};
pub use numbers::Numbers;
pub(crate) use param::Budget;
pub use param::{Init, Key, Param};
pub(crate) use param::{numbers, set_numbers};
pub use part::Part;
pub use sequential::Sequential;
pub use spatial::{DataFormat, Margins, Sizes};
pub(crate) use spatial::{expect_images, expect_rest};
pub use subclass::Subclass;
pub use summary::Summary;
pub use symbol::{AsSymbol, Given, IntoSymbols, Shared, Symbol};
pub(crate) use topology_config::read_network;
pub(crate) use trace::within_reason;
pub use value::{InputSpecs, Inputs, Masking, Value, Values, both_masks, single};

/// `Dense` becomes `dense`, `Conv2D` `conv2d`, `BatchNormalization` `batch_normalization` (Keras's rule).
pub(crate) fn snake_case(class: &str) -> String {
    let c: Vec<char> = class.chars().collect();
    let mut out = String::new();
    for (i, &ch) in c.iter().enumerate() {
        let after_lower = i > 0 && (c[i - 1].is_ascii_lowercase() || c[i - 1].is_ascii_digit());
        let before_lower = i > 0 && c.get(i + 1).is_some_and(char::is_ascii_lowercase);
        if ch.is_ascii_uppercase() && (after_lower && !c[i - 1].is_ascii_digit() || before_lower) {
            out.push('_');
        }
        out.push(ch.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_follow_keras() {
        let cases = [
            ("Dense", "dense"),
            ("Conv2D", "conv2d"),
            ("BatchNormalization", "batch_normalization"),
            ("LSTM", "lstm"),
            ("MaxPooling2D", "max_pooling2d"),
            ("MultiHeadAttention", "multi_head_attention"),
            ("PReLU", "p_re_lu"),
            ("RMSNormalization", "rms_normalization"),
        ];
        for (class, name) in cases {
            assert_eq!(super::snake_case(class), name);
        }
    }
}

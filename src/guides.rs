//! The guides of the folder `docs/`, as pages. They are here when documentation is made and are no part of a program.
//!
//! To use the library: [Keras beside gradus](keras), [training], [several inputs and outputs](inputs),
//! [data], [validation], [text and generation](text), [saving and serving](saving), [ONNX](onnx), [questions that come up](faq).
//!
//! To add to it: [adding your own](extending), [how layers are traced](tracing), [graphs](graph).
//!
//! To look things up: [all operations](ops), [element types](dtypes), [numerics], [names of
//! Keras](keras_coverage), [the file format](mod@format), [what versions promise](stability), [benchmarks].
//!
//! How it is made: [architecture], [kernels], [decisions].

/// A guide links to another by the name of its file, which is right in the folder; here the same names are these pages.
macro_rules! links {
    () => {
        "[architecture.md]: crate::guides::architecture
[benchmarks.md]: crate::guides::benchmarks
[data.md]: crate::guides::data
[dtypes.md]: crate::guides::dtypes
[extending.md]: crate::guides::extending
[faq.md]: crate::guides::faq
[format.md]: mod@crate::guides::format
[graph.md]: crate::guides::graph
[inputs.md]: crate::guides::inputs
[keras.md]: crate::guides::keras
[keras-coverage.md]: crate::guides::keras_coverage
[kernels.md]: crate::guides::kernels
[numerics.md]: crate::guides::numerics
[onnx.md]: crate::guides::onnx
[ops.md]: crate::guides::ops
[saving.md]: crate::guides::saving
[stability.md]: crate::guides::stability
[text.md]: crate::guides::text
[tracing.md]: crate::guides::tracing
[training.md]: crate::guides::training
[validation.md]: crate::guides::validation
[decision 1]: crate::guides::decisions
[decision 2]: crate::guides::decisions
[decision 3]: crate::guides::decisions
[decision 4]: crate::guides::decisions
[decision 5]: crate::guides::decisions
[decision 6]: crate::guides::decisions
[decision 7]: crate::guides::decisions
[decision 8]: crate::guides::decisions
[decision 9]: crate::guides::decisions
[decision 10]: crate::guides::decisions
[decision 11]: crate::guides::decisions
[decision 12]: crate::guides::decisions
[decision 13]: crate::guides::decisions
[decision 14]: crate::guides::decisions
[decision 15]: crate::guides::decisions
[decision 16]: crate::guides::decisions
[decision 18]: crate::guides::decisions
[decision 19]: crate::guides::decisions
[decision 20]: crate::guides::decisions

"
    };
}

macro_rules! guides {
    ($($name:ident: $($file:literal)+;)*) => {$(
        #[doc = links!()]
        $(#[doc = include_str!(concat!("../docs/", $file, ".md"))])+
        pub mod $name {}
    )*};
}

guides! {
    keras: "keras";
    training: "training";
    inputs: "inputs";
    data: "data";
    validation: "validation";
    text: "text";
    saving: "saving";
    faq: "faq";
    extending: "extending";
    tracing: "tracing";
    graph: "graph";
    ops: "ops";
    onnx: "onnx";
    dtypes: "dtypes";
    numerics: "numerics";
    keras_coverage: "keras-coverage";
    format: "format";
    stability: "stability";
    benchmarks: "benchmarks";
    architecture: "architecture";
    kernels: "kernels";
    decisions:
        "decisions/0001-one-tensor-without-type-parameters"
        "decisions/0002-derivatives-once-over-real"
        "decisions/0003-several-outputs"
        "decisions/0004-pool-blocks-for-the-tape"
        "decisions/0005-own-gemm-tiles"
        "decisions/0006-unknown-sizes-are-primes"
        "decisions/0007-reductions-in-32-lanes"
        "decisions/0008-no-streaming-stores"
        "decisions/0009-cut-of-products"
        "decisions/0010-glue-compiled-once"
        "decisions/0011-unknown-sizes-by-two-traces"
        "decisions/0012-an-optimizer-sees-a-whole-parameter"
        "decisions/0013-one-door"
        "decisions/0014-no-fused-multiply-add"
        "decisions/0015-own-tokenizers"
        "decisions/0016-winograd"
        "decisions/0017-bookkeeping-of-small-steps"
        "decisions/0018-weights-in-predictors"
        "decisions/0019-plans-of-predict"
        "decisions/0020-products-side-by-side";
}

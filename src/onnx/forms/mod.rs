//! What each operation is in ONNX: one row for each, which writes its nodes or says why there is none. A test reads
//! the operations of the library from its source and asks for the row of each.

mod attention;
mod axes;
mod conv;
mod elementwise;
mod pool;
mod products;
mod recurrent;
mod resize;

use super::emit::{Call, Emit};
use crate::{Error, Result};

/// Writes the nodes of an operation.
type Write = fn(&mut Emit<'_>, &Call) -> Result<()>;

/// What an operation is in ONNX.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// These operators.
    As(&'static str, Write),
    /// It has no form, for this reason.
    Not(&'static str),
}
use Form::{As, Not};

/// The name of an operation, or the end of several names with a `*` before it, and its form.
pub(super) type Row = (&'static str, Form);

const TRAINING: &str = "it is a step of training";
const RANDOM: &str = "random numbers are not drawn in inference";
const NONE: &str = "ONNX has no operator for it";
const INDEXED: &str = "ONNX has it from operator set 18 on: this form is not written yet";

/// The operations that are not in the tables of a file of their own.
const OTHERS: &[Row] = &[
    ("detach", As("Identity", elementwise::same)),
    ("checkpoint", As("Identity", elementwise::computed)),
    ("custom_gradient", As("Identity", elementwise::computed)),
    ("*_grad", Not(TRAINING)),
    ("conv_input_grad", Not(TRAINING)),
    ("max_pool_taken", Not(TRAINING)),
    ("unslice", Not(TRAINING)),
    ("scatter_add", Not(TRAINING)),
    ("add_along_axis", Not(TRAINING)),
    ("sparse_cross_entropy", Not(TRAINING)),
    ("ctc_loss", Not(TRAINING)),
    ("dropout", Not(RANDOM)),
    ("sample", Not(RANDOM)),
    ("sample_like", Not(RANDOM)),
    ("randint", Not(RANDOM)),
    ("bernoulli", Not(RANDOM)),
    ("permutation", Not(RANDOM)),
    ("categorical", Not(RANDOM)),
    ("eigh", Not(NONE)),
    ("svd", Not(NONE)),
    ("solve", Not(NONE)),
    ("lower_triangular_solve", Not(NONE)),
    ("upper_triangular_solve", Not(NONE)),
    ("cholesky", Not(NONE)),
    ("qr", Not(NONE)),
    ("slogdet", Not(NONE)),
    ("cofactor", Not(NONE)),
    ("lu", Not(NONE)),
    ("mode", Not(NONE)),
    ("exponent", Not(NONE)),
    ("cummax", Not(NONE)),
    ("cummin", Not(NONE)),
    ("max_along_axis", Not(INDEXED)),
    ("min_along_axis", Not(INDEXED)),
    ("prod_along_axis", Not(INDEXED)),
    ("fft", Not("its two parts are one tensor in ONNX's DFT: this form is not written yet")),
    ("searchsorted", Not(NONE)),
    ("cumprod", Not(NONE)),
    ("logcumsumexp", Not(NONE)),
    ("recurrence", Not(NONE)),
    ("gcd", Not(NONE)),
    ("lcm", Not(NONE)),
];

/// All rows.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    let files = [
        OTHERS,
        attention::FORMS,
        axes::FORMS,
        conv::FORMS,
        elementwise::FORMS,
        pool::FORMS,
        products::FORMS,
        recurrent::FORMS,
        resize::FORMS,
    ];
    files.into_iter().flatten()
}

/// Returns the form of an operation.
pub(super) fn form(op: &str) -> Option<Form> {
    let exact = rows().find(|(name, _)| *name == op);
    let family = || rows().find(|(name, _)| name.strip_prefix('*').is_some_and(|end| op.ends_with(end)));
    exact.or_else(family).map(|(_, form)| *form)
}

/// Writes an operation.
pub(super) fn write(emit: &mut Emit<'_>, call: &Call) -> Result<()> {
    match form(call.name) {
        Some(As(_, write)) => write(emit, call),
        Some(Not(why)) => {
            let expected = "operations that ONNX has a form for: see the table in docs/onnx.md";
            Err(Error::argument("onnx", expected, format!("{}, {why}", call.name)))
        }
        None => {
            let expected = "operations of the library, of which forward should be made";
            Err(Error::argument(
                "onnx",
                expected,
                format!("'{}', an operation of the program's own", call.name),
            ))
        }
    }
}

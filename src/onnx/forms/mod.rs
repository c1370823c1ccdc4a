//! What each operation is in ONNX: one row for each, which writes its nodes or says why there is none. A test reads
//! the operations of the library from its source and asks for the row of each.

mod attention;
mod axes;
mod conv;
mod elementwise;
mod fourier;
mod indexed;
mod pool;
mod products;
mod recurrent;
mod resize;
mod running;
mod whole;

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
const MATRICES: &str = "of linear algebra ONNX has MatMul and Det alone";
const SPECIAL: &str = "ONNX has no operator for this function";

/// The operations that are not in the tables of a file of their own.
const OTHERS: &[Row] = &[
    ("detach", As("Identity", elementwise::same)),
    ("checkpoint", As("Identity", elementwise::computed)),
    ("custom_gradient", As("Identity", elementwise::computed)),
    ("*_grad", Not(TRAINING)),
    ("conv_input_grad", Not(TRAINING)),
    ("max_pool_taken", Not(TRAINING)),
    ("unslice", Not(TRAINING)),
    ("sparse_cross_entropy", Not(TRAINING)),
    ("ctc_loss", Not(TRAINING)),
    ("dropout", Not(RANDOM)),
    ("sample", Not(RANDOM)),
    ("sample_like", Not(RANDOM)),
    ("randint", Not(RANDOM)),
    ("bernoulli", Not(RANDOM)),
    ("permutation", Not(RANDOM)),
    ("categorical", Not(RANDOM)),
    ("eigh", Not(MATRICES)),
    ("svd", Not(MATRICES)),
    ("solve", Not(MATRICES)),
    ("lower_triangular_solve", Not(MATRICES)),
    ("upper_triangular_solve", Not(MATRICES)),
    ("cholesky", Not(MATRICES)),
    ("qr", Not(MATRICES)),
    ("slogdet", Not(MATRICES)),
    ("cofactor", Not(MATRICES)),
    ("lu", Not(MATRICES)),
];

/// All rows.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    let files = [
        OTHERS,
        attention::FORMS,
        axes::FORMS,
        conv::FORMS,
        elementwise::FORMS,
        fourier::FORMS,
        indexed::FORMS,
        pool::FORMS,
        products::FORMS,
        recurrent::FORMS,
        resize::FORMS,
        running::FORMS,
        whole::FORMS,
    ];
    files.into_iter().flatten()
}

/// Returns the form of an operation.
pub(super) fn form(op: &str) -> Option<Form> {
    let exact = rows().find(|(name, _)| *name == op);
    let family = || rows().find(|(name, _)| name.strip_prefix('*').is_some_and(|end| op.ends_with(end)));
    exact.or_else(family).map(|(_, form)| *form)
}

/// Writes an operation: by the table, or by a form that the program brings.
pub(super) fn write(emit: &mut Emit<'_>, call: &Call) -> Result<()> {
    let own = emit.own.iter().find(|own| own.op == call.name);
    match (form(call.name), own) {
        (Some(As(_, write)), _) => write(emit, call),
        (_, Some(own)) => super::own::write(emit, call, own),
        (Some(Not(why)), _) => {
            let expected = "operations that ONNX has a form for (docs/onnx.md has the table): write it of those, compute it outside of \
                            the network and give the result as an input, or bring its nodes (Export::form)";
            Err(Error::argument("onnx", expected, format!("{}, {why}", call.name)))
        }
        (None, None) => {
            let expected = "operations of the library, of which forward should be made, or the nodes of one's own (Export::form)";
            Err(Error::argument(
                "onnx",
                expected,
                format!("'{}', an operation of the program's own", call.name),
            ))
        }
    }
}

//! Tests of what each pass over graphs rewrites, by counts of steps and by bits: views that are joined, steps in place, and
//! steps that products go on with. That all networks keep their bits is tested in `predictor`.

use gradus::graph::{Feed, Graph, ValueId};
use gradus::prelude::*;
use gradus::random::{Purpose, Stream};
use gradus::{Result, Spec};

fn normal(seed: u64, shape: &[usize]) -> Tensor {
    Tensor::randn(shape, Stream::new(seed, Purpose::User(0), 0)).unwrap()
}

/// The graph of a function of one tensor or more.
fn captured(x: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) -> Graph {
    let specs: Vec<Spec> = x.iter().map(Tensor::spec).collect();
    Graph::capture(&specs, |x| Ok(vec![f(x)?])).unwrap()
}

fn names(graph: &Graph) -> Vec<&'static str> {
    graph.steps().iter().map(|step| step.name()).collect()
}

/// Fails unless a pass leaves these steps, and the bits.
fn leaves(
    what: &str,
    x: &[Tensor],
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
    pass: fn(&Graph) -> Graph,
    steps: &[&str],
) -> Graph {
    let graph = captured(x, &f);
    let after = pass(&graph);
    assert_eq!(names(&after), steps, "{what}: of {graph}");
    let (want, got) = (graph.run(&Feed::new(x)).unwrap(), after.run(&Feed::new(x)).unwrap());
    assert!(got[0].same_bits(&want[0]) && want[0].same_bits(&f(x).unwrap()), "{what}");
    after
}

#[test]
fn views_are_joined() {
    let x = [normal(1, &[5, 7, 24])];
    let joined = |what: &str, f: fn(&Tensor) -> Result<Tensor>, steps: &[&str]| {
        leaves(what, &x, |x| f(&x[0]), Graph::with_views_joined, steps)
    };
    joined("moved twice", |x| x.permute(&[1, 2, 0])?.permute(&[0, 2, 1])?.exp(), &["permute", "exp"]);
    joined("moved back", |x| x.permute(&[1, 2, 0])?.permute(&[2, 0, 1])?.exp(), &["exp"]);
    joined("moved nowhere", |x| x.permute(&[0, 1, 2])?.exp(), &["exp"]);
    joined("two reshapes", |x| x.split_axis(2, &[4, 6])?.merge_axes(0, 1)?.exp(), &["reshape", "exp"]);
    joined("apart and together", |x| x.split_axis(2, &[4, 6])?.merge_axes(2, 3)?.exp(), &["exp"]);
    joined("a new axis that goes again", |x| x.expand_dims(1)?.squeeze(1)?.exp(), &["exp"]);
    let heads = |x: &Tensor| {
        let heads = x.split_axis(2, &[4, 6])?.permute(&[0, 2, 1, 3])?;
        heads.permute(&[0, 2, 1, 3])?.merge_axes(2, 3)?.exp()
    };
    joined("heads that nobody reads", heads, &["exp"]);
    // Axes that lie together before they are moved may be merged there.
    let together = |x: &Tensor| x.permute(&[2, 0, 1])?.merge_axes(1, 2)?.permute(&[1, 0])?.exp();
    joined("merged after a move", together, &["reshape", "exp"]);
    joined("two ways to one", |x| x.permute(&[1, 0, 2])?.add(&x.permute(&[1, 0, 2])?), &["permute", "add"]);
    joined("the output itself", |x| x.t()?.t(), &[]);
    // And what only looks alike.
    let turned = |x: &Tensor| x.reshape([7, 5, 24])?.permute(&[1, 0, 2])?.exp();
    joined("another order of elements", turned, &["reshape", "permute", "exp"]);
}

/// Elements in the order of another shape and back, with sizes given as numbers.
#[test]
fn shapes_that_come_back_are_nothing() {
    let x = [normal(1, &[5, 7, 24])];
    let joined = |what: &str, f: fn(&Tensor) -> Result<Tensor>, steps: &[&str]| {
        leaves(what, &x, |x| f(&x[0]), Graph::with_views_joined, steps)
    };
    let places = |x: &Tensor| {
        let moved = x.split_axis(2, &[4, 6])?.merge_axes(1, 2)?.permute(&[0, 2, 1])?;
        moved.split_axis(2, &[7, 4])?.permute(&[0, 2, 3, 1])?.merge_axes(2, 3)?.exp()
    };
    joined("moved as one axis, and back", places, &["exp"]);
    // A copy in another order, which nothing reads but what puts it back.
    let copy = |x: &Tensor| x.permute(&[1, 0, 2])?.merge_axes(0, 1)?.split_axis(0, &[7, 5])?.exp();
    joined("a copy", copy, &["permute", "exp"]);
    // What has another reader stays, and is not computed twice.
    let read = |x: &Tensor| {
        let merged = x.permute(&[1, 0, 2])?.merge_axes(0, 1)?; // copies
        merged.exp()?.add(&merged.split_axis(0, &[7, 5])?.merge_axes(0, 1)?)
    };
    joined("a copy that is read", read, &["permute", "reshape", "exp", "add"]);
}

/// What is joined says what was meant, not the sizes at hand: it is the same for all sizes of the free axes.
#[test]
fn joined_views_are_true_of_other_sizes() {
    let f = |x: &Tensor| {
        let heads = x.split_axis(2, &[4, -1])?.permute(&[0, 2, 1, 3])?; // [batch, heads, time, dim]
        let rows = heads.exp()?.permute(&[0, 2, 1, 3])?.merge_axes(2, 3)?.merge_axes(0, 1)?;
        rows.split_axis(1, &[-1, 6])?.expand_dims(0)
    };
    let text = |shape: &[usize]| {
        let graph = captured(&[normal(1, shape)], |x| f(&x[0])).with_views_joined();
        let steps = graph.steps().iter();
        steps.map(|step| format!("{} {}", step.name(), step.attrs())).collect::<Vec<_>>()
    };
    let first = text(&[24, 192, 12]);
    assert_eq!(first.len(), 5, "{first:?}");
    for shape in [[40, 320, 12], [7, 37, 12], [2, 3, 12]] {
        assert_eq!(text(&shape), first);
    }
}

/// The steps that write over an input, by name.
fn in_place(graph: &Graph) -> Vec<&'static str> {
    graph.steps().iter().filter(|step| step.over().is_some()).map(|step| step.name()).collect()
}

#[test]
fn steps_write_over_what_nothing_else_needs() {
    let x = [normal(1, &[5, 6]), normal(2, &[5, 6])];
    let marked = |f: fn(&[Tensor]) -> Result<Tensor>| captured(&x, f).with_steps_in_place();
    // The caller's input stays; what comes after it is the run's own.
    let graph = marked(|x| x[0].exp()?.relu()?.add(&x[1]));
    assert_eq!(in_place(&graph), ["relu", "add"]);
    let over: Vec<Option<ValueId>> = graph.steps().iter().map(|step| step.over()).collect();
    assert_eq!(over[1], Some(graph.steps()[0].outputs()[0]));
    assert!(graph.to_string().contains("  over %"), "{graph}");
    assert!(graph.to_dot().contains("in place"));
    // Read later, read under another shape, read as the other operand, or not the same size.
    assert_eq!(in_place(&marked(|x| x[0].exp()?.relu()?.add(&x[0].exp()?.relu()?))), ["relu", "relu", "add"]);
    let later = |x: &[Tensor]| {
        let y = x[0].exp()?;
        y.relu()?.add(&y)
    };
    assert_eq!(in_place(&marked(later)), ["add"]);
    let view = |x: &[Tensor]| {
        let y = x[0].exp()?;
        let seen = y.t()?;
        y.relu()?.matmul(&seen)
    };
    assert!(in_place(&marked(view)).is_empty());
    assert!(in_place(&marked(|x| x[0].exp()?.t()?.relu())).is_empty(), "not in order");
    assert_eq!(in_place(&marked(|x| x[0].exp()?.reshape([30])?.relu())), ["relu"]);
    let twice = |x: &[Tensor]| {
        let y = x[0].exp()?;
        y.add(&y)
    };
    assert!(in_place(&marked(twice)).is_empty());
    assert!(in_place(&marked(|x| x[0].exp()?.cast(DType::F64)?.exp())).is_empty());
    // An output may be written once more before it leaves.
    assert_eq!(in_place(&marked(|x| x[0].exp()?.tanh())), ["tanh"]);
    // Passes that let values live longer take the marks away.
    for pass in [
        Graph::with_views_joined,
        Graph::without_duplicates,
        Graph::with_epilogues,
        Graph::with_padding_in_convolutions,
    ] {
        assert!(in_place(&pass(&graph)).is_empty());
    }
    // A run is the plain way, which does not look at them.
    let want = captured(&x, |x| x[0].exp()?.relu()?.add(&x[1])).run(&Feed::new(&x)).unwrap();
    assert!(graph.run(&Feed::new(&x)).unwrap()[0].same_bits(&want[0]));
}

#[test]
fn plain_products_take_what_follows_them() {
    for rows in [1, 3, 70] {
        let x =
            [normal(1, &[2, rows, 40]), normal(2, &[40, 36]), normal(3, &[36]), normal(4, &[2, rows, 36])];
        let joined = |what: &str, f: fn(&[Tensor]) -> Result<Tensor>, steps: &[&str]| {
            leaves(what, &x, f, Graph::with_epilogues, steps)
        };
        joined("bias", |x| x[0].matmul(&x[1])?.add(&x[2]), &["matmul_ended"]);
        joined("bias first", |x| x[2].add(&x[0].matmul(&x[1])?), &["matmul_ended"]);
        joined("bias, gelu", |x| x[0].matmul(&x[1])?.add(&x[2])?.gelu(), &["matmul_ended"]);
        joined("bias, relu", |x| x[0].matmul(&x[1])?.add(&x[2])?.relu(), &["matmul_ended"]);
        joined("residual", |x| x[3].add(&x[0].matmul(&x[1])?), &["matmul_ended"]);
        let all = |x: &[Tensor]| x[0].matmul(&x[1])?.add(&x[2])?.add(&x[3])?.silu();
        joined("bias, residual, silu", all, &["matmul_ended"]);
        joined("dense without bias", |x| x[0].linear(&x[1], None, None)?.add(&x[2]), &["linear_ended"]);
        // A second bias, and one after a function, are steps of their own.
        joined("two", |x| x[0].matmul(&x[1])?.add(&x[2])?.add(&x[2]), &["matmul_ended", "add"]);
        joined("late", |x| x[0].matmul(&x[1])?.relu()?.add(&x[2]), &["matmul_ended", "add"]);
        // Not a bias: a matrix for each sample.
        let grid = |x: &[Tensor]| x[0].matmul(&x[1])?.add(&x[3].select(0, 0)?);
        joined("a matrix", grid, &["matmul", "slice", "reshape", "add"]);
    }
}

#[test]
fn stacks_of_products_take_functions_and_biases_alone() {
    let x = [normal(1, &[3, 5, 40]), normal(2, &[3, 40, 36]), normal(3, &[36]), normal(4, &[3, 5, 36])];
    let joined = |what: &str, f: fn(&[Tensor]) -> Result<Tensor>, steps: &[&str]| {
        leaves(what, &x, f, Graph::with_epilogues, steps)
    };
    joined("bias", |x| x[0].matmul(&x[1])?.add(&x[2])?.tanh(), &["matmul_ended"]);
    joined("residual", |x| x[0].matmul(&x[1])?.add(&x[3]), &["matmul", "add"]);
    // Transposed operands and one row.
    let turned = |x: &[Tensor]| x[1].t()?.matmul(&x[0].t()?)?.gelu();
    joined("transposed", turned, &["permute", "permute", "matmul_ended"]);
    let row = |x: &[Tensor]| x[0].slice(1, 0, 1)?.matmul(&x[1])?.add(&x[2]);
    joined("one row", row, &["slice", "matmul_ended"]);
    let of64 = x.each_ref().map(|x| x.cast(DType::F64).unwrap());
    leaves(
        "f64",
        &of64,
        |x| x[0].matmul(&x[1])?.add(&x[2])?.relu(),
        Graph::with_epilogues,
        &["matmul_ended"],
    );
    let whole = x.each_ref().map(|x| x.scale(9.0).unwrap().cast(DType::I64).unwrap());
    leaves("i64", &whole, |x| x[0].matmul(&x[1])?.add(&x[2]), Graph::with_epilogues, &["matmul", "add"]);
}

#[test]
fn products_of_einsum_take_what_follows_them() {
    fn both(graph: &Graph) -> Graph {
        graph.with_views_joined().with_epilogues()
    }
    let x = [
        normal(1, &[2, 5, 40]),
        normal(2, &[40, 4, 9]),
        normal(3, &[4, 9]),
        normal(4, &[2, 5, 4, 9]),
        normal(5, &[40, 36]),
        normal(6, &[36]),
    ];
    let joined = |what: &str, f: fn(&[Tensor]) -> Result<Tensor>| -> Graph {
        let graph = both(&captured(&x, f));
        let (want, got) = (f(&x).unwrap(), graph.run(&Feed::new(&x)).unwrap());
        assert!(got[0].same_bits(&want), "{what}");
        assert!(
            names(&graph).iter().all(|name| ["reshape", "permute", "matmul_ended"].contains(name)),
            "{what}: {graph}"
        );
        graph
    };
    fn heads(x: &[Tensor]) -> Result<Tensor> {
        Tensor::einsum("btd,dhk->bthk", &[&x[0], &x[1]])
    }
    joined("gelu", |x| heads(x)?.gelu());
    joined("bias", |x| heads(x)?.add(&x[2]));
    joined("bias, relu", |x| heads(x)?.add(&x[2])?.relu());
    joined("residual", |x| heads(x)?.add(&x[3])?.silu());
    joined("features", |x| Tensor::einsum("btd,dk->btk", &[&x[0], &x[4]])?.add(&x[5])?.relu());
}

//! Tests that products over named axes, which become permutations and matrix products, agree with a slow reference
//! that loops over every index.

use gradus::autograd::gradcheck;
use gradus::{DType, Result, Tensor, with_threads};
use std::collections::BTreeMap;

fn points(shape: &[usize], salt: usize) -> Tensor {
    let n = shape.iter().product::<usize>();
    let value = |i: usize| ((i + 31 * salt) as f64 * 0.618_034 + 0.137).fract() * 2.0 - 1.0;
    Tensor::from_slice(&(0..n).map(value).collect::<Vec<_>>(), shape).unwrap()
}

/// The sum over all letters, index by index. No dots, an explicit result.
fn twin(equation: &str, operands: &[&Tensor]) -> (Vec<usize>, Vec<f64>) {
    let (left, right) = equation.split_once("->").unwrap();
    let terms: Vec<&str> = left.split(',').collect();
    let mut sizes = BTreeMap::new();
    for (term, t) in terms.iter().zip(operands) {
        for (c, &d) in term.chars().zip(t.dims()) {
            let known = sizes.entry(c).or_insert(d);
            *known = if *known == 1 { d } else { *known };
        }
    }
    let letters: Vec<(char, usize)> = sizes.iter().map(|(c, d)| (*c, *d)).collect();
    let flat = |term: &str, dims: &[usize], index: &BTreeMap<char, usize>| {
        term.chars().zip(dims).fold(0, |n, (c, &d)| n * d + if d == 1 { 0 } else { index[&c] })
    };
    let out_dims: Vec<usize> = right.chars().map(|c| sizes[&c]).collect();
    let mut out = vec![0.0; out_dims.iter().product()];
    let values: Vec<Vec<f64>> = operands.iter().map(|t| t.to_vec().unwrap()).collect();
    for mut number in 0..letters.iter().map(|l| l.1).product::<usize>() {
        let mut index = BTreeMap::new();
        for (c, d) in &letters {
            index.insert(*c, number % d);
            number /= d;
        }
        let factor = |i: usize| values[i][flat(terms[i], operands[i].dims(), &index)];
        out[flat(right, &out_dims, &index)] += (0..terms.len()).map(factor).product::<f64>();
    }
    (out_dims, out)
}

#[track_caller]
fn same(got: &Tensor, dims: &[usize], want: &[f64]) {
    assert_eq!(got.dims(), dims);
    for (g, w) in got.to_vec::<f64>().unwrap().iter().zip(want) {
        assert!((g - w).abs() < 1e-12 * (1.0 + w.abs()), "{g} but the twin says {w}");
    }
}

const EQUATIONS: &[(&str, &[&[usize]])] = &[
    ("ij,jk->ik", &[&[3, 4], &[4, 2]]),
    ("ij,jk->ki", &[&[3, 4], &[4, 2]]),
    ("ij,kj->ik", &[&[3, 4], &[2, 4]]),
    ("bqhd,bkhd->bhqk", &[&[2, 3, 2, 4], &[2, 2, 2, 4]]),
    ("bhqk,bkhd->bqhd", &[&[2, 2, 3, 2], &[2, 2, 2, 4]]),
    ("ij->ji", &[&[2, 3]]),
    ("ij->", &[&[2, 3]]),
    ("ii->i", &[&[3, 3]]),
    ("ii->", &[&[3, 3]]),
    ("iji->j", &[&[3, 2, 3]]),
    ("iii->i", &[&[2, 2, 2]]),
    ("i,i->", &[&[4], &[4]]),
    ("i,i->i", &[&[4], &[4]]),
    ("i,j->ij", &[&[3], &[2]]),
    ("i,j->ji", &[&[3], &[2]]),
    ("i,j->", &[&[3], &[2]]),
    (",ij->ij", &[&[], &[2, 3]]),
    (",->", &[&[], &[]]),
    ("ij,j->ij", &[&[2, 3], &[3]]),
    ("ij,jk,kl->il", &[&[2, 3], &[3, 2], &[2, 4]]),
    ("ab,bc,cd,da->", &[&[2, 3], &[3, 2], &[2, 3], &[3, 2]]),
    ("bn,anm,bm->ba", &[&[2, 3], &[4, 3, 2], &[2, 2]]),
    ("ij,ik,il->jkl", &[&[3, 2], &[3, 2], &[3, 2]]),
    ("ij,ij->", &[&[1, 3], &[2, 3]]),
    ("ij,jk->ik", &[&[3, 1], &[4, 2]]),
    ("ij,jk->ik", &[&[3, 0], &[0, 2]]),
    ("ij,jk->ik", &[&[0, 4], &[4, 2]]),
    ("ii,ij->j", &[&[2, 2], &[2, 3]]),
    ("abcdefg,abcdefg->abcdef", &[&[2, 1, 2, 1, 2, 1, 3], &[2, 1, 2, 1, 2, 1, 3]]),
];

#[test]
fn einsum_agrees_with_loops_and_differences() {
    for (equation, shapes) in EQUATIONS {
        let inputs: Vec<Tensor> = shapes.iter().enumerate().map(|(i, s)| points(s, i)).collect();
        let refs: Vec<&Tensor> = inputs.iter().collect();
        let got = Tensor::einsum(equation, &refs).unwrap_or_else(|e| panic!("{equation}: {e}"));
        let (dims, want) = twin(equation, &refs);
        same(&got, &dims, &want);
        if got.elements() > 0 && inputs.iter().all(|t| t.elements() < 20 && t.elements() > 0) {
            let f = |t: &[Tensor]| Tensor::einsum(equation, &t.iter().collect::<Vec<_>>());
            let c = gradcheck(f, &inputs).unwrap();
            assert!(c.first < 1e-7 && c.second < 1e-6, "{equation}: {c:?}");
        }
        let single: Vec<Tensor> = inputs.iter().map(|t| t.cast(DType::F32).unwrap()).collect();
        let single: Vec<&Tensor> = single.iter().collect();
        let one = with_threads(1, || Tensor::einsum(equation, &single).unwrap()).unwrap();
        assert!(one.same_bits(&with_threads(2, || Tensor::einsum(equation, &single).unwrap()).unwrap()));
        assert_eq!(one.dtype(), DType::F32);
    }
}

#[test]
fn einsum_dots_and_implicit_results() {
    let (a, b) = (points(&[2, 3, 4], 0), points(&[4, 5], 1));
    let same = |equation: &str, other: &str, t: &[&Tensor]| {
        let (x, y) = (Tensor::einsum(equation, t).unwrap(), Tensor::einsum(other, t).unwrap());
        assert!(x.same_bits(&y), "{equation} and {other}");
    };
    same("...j,jk->...k", "abj,jk->abk", &[&a, &b]);
    same("...j, jk", "abj,jk->abk", &[&a, &b]);
    same("i...->...", "iab->ab", &[&a]);
    same("a...b->b...a", "axb->bxa", &[&a]);
    same("ba", "ba->ab", &[&b]);
    same("...->...", "abc->abc", &[&a]);
    same("ij,jk", "ij,jk->ik", &[&points(&[2, 4], 2), &b]);
    // Dots of different lengths broadcast from the end.
    let (x, y) = (points(&[2, 1, 3], 0), points(&[5, 3], 1));
    let got = Tensor::einsum("...i,...i->...", &[&x, &y]).unwrap();
    assert!(got.same_bits(&Tensor::einsum("abi,bi->ab", &[&x, &y]).unwrap()));
    assert_eq!(got.dims(), [2, 5]);
}

#[test]
fn a_rows_result_does_not_depend_on_the_rows_beside_it() {
    let (x, w, v) = (points(&[5, 7], 0), points(&[7, 6], 1), points(&[6, 3], 2));
    let f = |x: &Tensor| Tensor::einsum("bi,ij,jk->bk", &[x, &w, &v]).unwrap();
    assert!(f(&x).slice(0, 2, 3).unwrap().same_bits(&f(&x.slice(0, 2, 3).unwrap())));
}

#[test]
fn matmul_takes_vectors_as_numpy_does() {
    let (m, v, w) = (points(&[2, 3, 4], 0), points(&[4], 1), points(&[3], 2));
    let eins = |e: &str, t: &[&Tensor]| Tensor::einsum(e, t).unwrap();
    assert!(m.matmul(&v).unwrap().same_bits(&eins("abc,c->ab", &[&m, &v])));
    assert!(w.matmul(&m).unwrap().same_bits(&eins("b,abc->ac", &[&w, &m])));
    assert!(v.matmul(&v).unwrap().same_bits(&eins("a,a->", &[&v, &v])));
    assert!(m.matmul(&Tensor::scalar(1.0).unwrap()).is_err());
}

#[test]
fn relatives_of_the_product() {
    let (a, b) = (points(&[2, 3, 4], 0), points(&[4, 3, 2], 1));
    let eins = |e: &str, t: &[&Tensor]| Tensor::einsum(e, t).unwrap();
    let near = |x: Result<Tensor>, y: Tensor| {
        let x = x.unwrap();
        same(&x, y.dims(), &y.to_vec::<f64>().unwrap());
    };
    near(a.tensordot(&b, &[1, 2], &[1, 0]), eins("abc,cbd->ad", &[&a, &b]));
    near(a.tensordot(&b, &[-1], &[0]), eins("abc,cde->abde", &[&a, &b]));
    near(
        a.tensordot(&b.slice(2, 0, 1).unwrap(), &[], &[]),
        eins("abc,def->abcdef", &[&a, &b.slice(2, 0, 1).unwrap()]),
    );
    near(
        a.dot(
            &b.t()
                .unwrap()
                .slice(1, 0, 1)
                .unwrap()
                .t()
                .unwrap()
                .transpose(0, 1)
                .unwrap()
                .slice(1, 0, 4)
                .unwrap(),
        ),
        eins(
            "abc,dce->abde",
            &[&a, &b.t().unwrap().slice(1, 0, 1).unwrap().t().unwrap().transpose(0, 1).unwrap()],
        ),
    );
    near(a.vdot(&b), eins("i,i->", &[&a.reshape([-1]).unwrap(), &b.reshape([-1]).unwrap()]));
    near(a.outer(&b), eins("i,j->ij", &[&a.reshape([-1]).unwrap(), &b.reshape([-1]).unwrap()]));
    let (x, y) = (points(&[2, 3], 0), points(&[2, 2], 1));
    near(x.kron(&y), eins("ij,kl->ikjl", &[&x, &y]).reshape([4, 6]).unwrap());
}

/// NumPy: `np.arange(12).reshape(3, 4).diagonal(k)`.
#[test]
fn diagonals_and_traces_are_numpys() {
    let x = Tensor::arange(12).unwrap().reshape([3, 4]).unwrap().cast(DType::F64).unwrap();
    let d = |k| x.diagonal(k, 0, 1).unwrap().to_vec::<f64>().unwrap();
    assert_eq!(d(0), [0.0, 5.0, 10.0]);
    assert_eq!(d(1), [1.0, 6.0, 11.0]);
    assert_eq!(d(3), [3.0]);
    assert_eq!(d(-1), [4.0, 9.0]);
    assert_eq!(d(9), [0.0; 0]);
    assert_eq!(d(isize::MIN), [0.0; 0]);
    assert_eq!(x.diagonal(1, 1, 0).unwrap().to_vec::<f64>().unwrap(), [4.0, 9.0]);
    assert_eq!(x.trace(1, 0, 1).unwrap().item().unwrap(), 18.0);
    assert_eq!(
        Tensor::arange(4)
            .unwrap()
            .reshape([2, 2])
            .unwrap()
            .diagonal(0, 0, 1)
            .unwrap()
            .to_vec::<i64>()
            .unwrap(),
        [0, 3]
    );
    let check = gradcheck(|t| t[0].diagonal(-1, 1, 0)?.square(), &[points(&[2, 3, 2], 0)]).unwrap();
    assert!(check.first < 1e-7 && check.second < 1e-6, "{check:?}");
    assert!(x.diagonal(0, 1, -1).is_err());
}

use gradus::autograd::{grad, gradcheck};
use gradus::{DType, Tensor, ops};

fn points(n: usize, domain: [f64; 2]) -> Tensor {
    let v: Vec<f64> = (0..n).map(|i| domain[0] + (domain[1] - domain[0]) * (i as f64 * 0.618_034 + 0.137).fract()).collect();
    Tensor::from_slice(&v, [n]).unwrap()
}

#[test]
fn every_row() {
    for row in ops::UNARY {
        let c = gradcheck(|x| (row.apply)(&x[0]), &[points(7, row.domain)]).unwrap_or_else(|e| panic!("{}: {e}", row.name));
        println!("{:12} {:.2e} {:.2e}", row.name, c.first, c.second);
        assert!(c.first < 1e-7 && c.second < 1e-6, "{}: {c:?}", row.name);
    }
    for row in ops::BINARY {
        let a = points(6, row.domain[0]).reshape([2, 3]).unwrap();
        let b = points(3, row.domain[1]);
        let c = gradcheck(|x| (row.apply)(&x[0], &x[1]), &[a, b]).unwrap_or_else(|e| panic!("{}: {e}", row.name));
        println!("{:12} {:.2e} {:.2e}", row.name, c.first, c.second);
        assert!(c.first < 1e-7 && c.second < 1e-6, "{}: {c:?}", row.name);
    }
}

#[test]
fn products() {
    let x = points(12, [-1.0, 1.0]).reshape([2, 2, 3]).unwrap();
    let w = points(12, [-1.0, 1.0]).reshape([3, 4]).unwrap();
    let b = points(4, [-1.0, 1.0]);
    let c = gradcheck(|t| t[0].matmul(&t[1]), &[x.clone(), w.clone()]).unwrap();
    println!("{c:?}");
    let c = gradcheck(|t| t[0].linear(&t[1], Some(&t[2]), Some(ops::matmul::Fused::Tanh)), &[x.clone(), w, b]).unwrap();
    println!("{c:?}");
    let c = gradcheck(|t| t[0].softmax(1)?.mul(&t[0]), &[x.clone()]).unwrap();
    println!("{c:?}");
    let labels = Tensor::from_slice(&[0i64, 2, 1, 1], [2, 2]).unwrap();
    let c = gradcheck(|t| t[0].sparse_cross_entropy(&labels), &[x.clone()]).unwrap();
    println!("{c:?}");
    let c = gradcheck(|t| t[0].max(&[-1], false), &[x.clone()]).unwrap();
    println!("{c:?}");
    let c = gradcheck(|t| t[0].slice_step(2, None, None, -2)?.gather(&Tensor::from_slice(&[1i64, 0, 1], [3]).unwrap(), 1)?.square(), &[x]).unwrap();
    println!("{c:?}");
}

#[test]
fn deep() {
    std::thread::Builder::new().stack_size(256 << 10).spawn(|| {
        let x = Tensor::scalar(1.0f32).unwrap().tracked();
        let mut y = x.clone();
        for _ in 0..1_000_000 { y = y.affine(1.0, 1e-9).unwrap(); }
        let g = y.backward().unwrap();
        assert_eq!(g.get(&x).unwrap().item().unwrap(), 1.0);
        let mut y = x.clone();
        for _ in 0..100_000 { y = y.square().unwrap(); }
        let g = grad(&y, &[&x]).unwrap();
        drop(g);
    }).unwrap().join().unwrap();
    let t = Tensor::arange(6).unwrap().cast(DType::F32).unwrap().reshape([2, 3]).unwrap();
    println!("{t}\n{}", t.t().unwrap().sum(&[0], false).unwrap());
}

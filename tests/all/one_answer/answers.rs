//! What `one_answer` computes with: numbers and layouts from a seed, and one digest for each kernel.

use gradus::nn::Network;
use gradus::ops::PadMode;
use gradus::{DType, Result, Tensor};
use sha2::{Digest, Sha256};

/// SplitMix64.
pub(crate) struct Rng(u64);

impl Rng {
    /// A generator for the kernels of one family.
    pub(crate) fn of(family: &str) -> Rng {
        Rng(family.bytes().fold(7, |seed, byte| seed.rotate_left(8) ^ u64::from(byte)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// From -3 to 3.
    pub(crate) fn plain(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64 * 6.0 - 3.0
    }

    /// As [`Rng::plain`], with whole numbers, subnormal and huge ones, both zeros, infinities and NaN among them.
    pub(crate) fn odd(&mut self) -> f64 {
        const ODD: [f64; 12] = [
            0.0,
            -0.0,
            1.0,
            -2.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            1e-40,
            -3e-42,
            1e30,
            -88.5,
            1e-310,
        ];
        if self.below(8) == 0 { ODD[self.below(ODD.len())] } else { self.plain() }
    }
}

/// How a value is drawn.
pub(crate) type Draw = fn(&mut Rng) -> f64;

/// Row-major.
pub(crate) fn fresh(r: &mut Rng, dims: &[usize], dtype: DType, draw: Draw) -> Tensor {
    let values: Vec<f64> = (0..dims.iter().product()).map(|_| draw(r)).collect();
    Tensor::from_slice(&values, dims).unwrap().cast(dtype).unwrap()
}

/// A tensor of these sizes that lies in memory in one of many ways: by rows or by columns, with gaps, backwards, behind
/// something else, or with one run in place of many.
pub(crate) fn lying(r: &mut Rng, dims: &[usize], dtype: DType, draw: Draw) -> Tensor {
    let rank = dims.len();
    if rank == 0 {
        return fresh(r, dims, dtype, draw);
    }
    let axis = r.below(rank);
    let (at, n) = (axis as isize, dims[axis]);
    let along = |size: usize| {
        let mut all = dims.to_vec();
        all[axis] = size;
        all
    };
    match r.below(8) {
        0 | 1 => fresh(r, dims, dtype, draw),
        2 => {
            let turned: Vec<usize> = dims.iter().rev().copied().collect();
            let order: Vec<isize> = (0..rank as isize).rev().collect();
            fresh(r, &turned, dtype, draw).permute(&order).unwrap()
        }
        3 => {
            let mut turned = dims.to_vec();
            turned.swap(axis, rank - 1);
            fresh(r, &turned, dtype, draw).transpose(at, -1).unwrap()
        }
        4 => fresh(r, &along(2 * n), dtype, draw).slice_step(at, None, None, 2).unwrap(),
        5 => fresh(r, dims, dtype, draw).slice_step(at, None, None, -1).unwrap(),
        6 => fresh(r, &along(n + 3), dtype, draw).slice(at, 1, 1 + n as isize).unwrap(),
        _ => fresh(r, &along(1), dtype, draw).broadcast_to(dims).unwrap(),
    }
}

/// Small shapes of up to four axes.
pub(crate) fn small(r: &mut Rng, count: usize) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = (0..count)
        .map(|_| (0..r.below(5)).map(|_| [1, 2, 3, 5, 9, 4, 7, 1, 6, 0][r.below(10)]).collect())
        .collect();
    all.push(vec![1 + r.below(5), 1 + r.below(90)]);
    all.push(vec![1 + r.below(70), 1 + r.below(5)]);
    all
}

/// Rows, columns and middle axes, each with enough elements (140,000) to be cut even where one costs no more than
/// an addition.
pub(crate) const LARGE: [&[usize]; 2] = [&[347, 404], &[13, 111, 97]];

pub(crate) const PADDINGS: [(&str, PadMode); 5] = [
    ("constant", PadMode::Constant(0.5)),
    ("edge", PadMode::Edge),
    ("reflect", PadMode::Reflect),
    ("symmetric", PadMode::Symmetric),
    ("wrap", PadMode::Wrap),
];

/// The digest of all that one kernel gave.
struct Answer {
    name: String,
    hash: Sha256,
    results: usize,
}

/// What is done with what would be hashed, in a test that only wants to see it.
pub(crate) trait Visitor {
    fn function(&mut self, name: &str, inputs: &[Tensor], f: &dyn Fn(&[Tensor]) -> Result<Tensor>);
    fn network(&mut self, name: &str, network: Network, inputs: &[Tensor]);
}

/// A digest for each name, in the order in which the names came.
#[derive(Default)]
pub(crate) struct Answers {
    all: Vec<Answer>,
    pub(crate) visitor: Option<Box<dyn Visitor>>,
}

impl Answers {
    fn feed(&mut self, name: String, bytes: &[u8], results: usize) {
        let at = self.all.iter().rposition(|a| a.name == name).unwrap_or_else(|| {
            self.all.push(Answer { name, hash: Sha256::new(), results: 0 });
            self.all.len() - 1
        });
        self.all[at].hash.update(bytes);
        self.all[at].results += results;
    }

    /// Bytes that are no tensor's.
    pub(crate) fn bytes(&mut self, name: &str, bytes: &[u8]) {
        self.feed(name.into(), bytes, 1);
    }

    /// What a kernel gave, an error included: what is refused must be refused everywhere.
    pub(crate) fn add(&mut self, name: &str, result: Result<Tensor>) {
        let t = match result {
            Ok(t) => t,
            Err(e) => return self.feed(name.into(), e.to_string().as_bytes(), 0),
        };
        let mut bytes = format!("{}", t.spec()).into_bytes();
        match t.dtype() {
            DType::F32 => bytes.extend(t.to_vec::<f32>().unwrap().iter().flat_map(|&v| {
                // Payloads of NaN are the processor's business.
                if v.is_nan() { [0xFF; 4] } else { v.to_bits().to_le_bytes() }
            })),
            DType::I64 => bytes.extend(t.to_vec::<i64>().unwrap().iter().flat_map(|v| v.to_le_bytes())),
            DType::Bool => bytes.extend(t.to_vec::<bool>().unwrap().iter().map(|&v| u8::from(v))),
            // The others widen exactly.
            _ => bytes.extend(
                t.cast(DType::F64)
                    .unwrap()
                    .to_vec::<f64>()
                    .unwrap()
                    .iter()
                    .flat_map(|&v| if v.is_nan() { [0xFF; 8] } else { v.to_bits().to_le_bytes() }),
            ),
        }
        self.feed(name.into(), &bytes, 1);
    }

    /// What a kernel gives, and its gradients with respect to all inputs.
    pub(crate) fn both(&mut self, name: &str, inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
        if let Some(visitor) = &mut self.visitor {
            return visitor.function(name, inputs, &f);
        }
        let leaves: Vec<Tensor> = inputs.iter().map(Tensor::tracked).collect();
        let y = match f(&leaves) {
            Ok(y) => y,
            Err(e) => return self.add(name, Err(e)),
        };
        self.add(name, Ok(y.detach()));
        let weights = fresh(&mut Rng(3), y.dims(), y.dtype(), Rng::plain);
        let gradients = y.mul(&weights).unwrap().sum(&[], false).unwrap().backward();
        let name = format!("{name}, backward");
        match gradients {
            Ok(all) => leaves.iter().filter_map(|l| all.get(l)).for_each(|g| self.add(&name, Ok(g.clone()))),
            Err(e) => self.add(&name, Err(e)),
        }
    }

    /// Names and digests. A name under which nothing was ever computed is a mistake of the test.
    pub(crate) fn digests(self) -> Vec<(String, String)> {
        let line = |a: Answer| {
            assert!(a.results > 0, "{}: nothing but errors", a.name);
            (a.name, a.hash.finalize().iter().take(12).map(|b| format!("{b:02x}")).collect())
        };
        self.all.into_iter().map(line).collect()
    }
}

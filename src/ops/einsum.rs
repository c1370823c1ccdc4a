//! Einstein summation: sums of products over named axes. Everything is computed by permutations, reshapes and
//! matrix products, so the fast kernels do the work and gradients of every order follow.

use super::elementwise::float;
use super::promote::all_alike;
use crate::tensor::{Few, Tensor, Text};
use crate::{DType, Error, MAX_RANK, Result};

super::table::ops! {
    einsum: Numbers, Every, "Einsum";
    tensordot: Numbers, Every, "Einsum";
    dot: Numbers, Every, "Einsum";
    vdot: Numbers, Every, "Einsum";
    outer: Numbers, Every, "Mul";
    kron: Numbers, Every, "Einsum";
    diagonal: Any, Every, "Einsum";
    trace: Wide, Every, "Einsum";
}

/// An axis: a letter, or a number below [`MAX_RANK`] for an axis that `...` stands for, counted from the end.
type Label = u8;
type Labels = Few<Label, MAX_RANK>;

/// A tensor with a label for each axis.
struct Term {
    value: Tensor,
    labels: Labels,
}

/// An equation applied to the operands: the labels of each, and of the result.
struct Equation {
    inputs: Few<Labels, 2>,
    output: Labels,
}

fn bad(equation: &str, why: impl std::fmt::Display) -> Error {
    Error::argument(
        "einsum",
        format!("an equation such as \"ij,jk->ik\" for its operands ({why})"),
        format!("{equation:?}"),
    )
}

impl Equation {
    fn parse(equation: &str, operands: &[&Tensor]) -> Result<Equation> {
        let plain: Text = equation.chars().filter(|c| *c != ' ').collect();
        let (left, right) = match plain.as_str().split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (plain.as_str(), None),
        };
        let terms = left.split(',').count();
        if terms != operands.len() || operands.is_empty() {
            return Err(bad(equation, format!("it names {terms} operands, there are {}", operands.len())));
        }
        let mut inputs = Few::new();
        let mut hidden = 0;
        for (term, operand) in left.split(',').zip(operands) {
            let named = term.chars().filter(char::is_ascii_alphabetic).count();
            let rest = operand.rank().checked_sub(named).filter(|rest| *rest == 0 || term.contains("..."));
            let rest =
                rest.ok_or_else(|| bad(equation, format!("'{term}' is not of rank {}", operand.rank())))?;
            hidden = hidden.max(rest);
            inputs.push(labels(term, rest).map_err(|why| bad(equation, why))?);
        }
        let output = match right {
            Some(right) => {
                let rest = if right.contains("...") { hidden } else { 0 };
                let output = labels(right, rest).map_err(|why| bad(equation, why))?;
                for (i, label) in output.iter().enumerate() {
                    if output[..i].contains(label) || !inputs.iter().any(|t| t.contains(label)) {
                        return Err(bad(equation, "each axis of the result comes once, and from an operand"));
                    }
                }
                output
            }
            // First the axes of `...`, then the letters that occur once, in alphabetical order.
            None => {
                let count = |l: Label| inputs.iter().flatten().filter(|other| **other == l).count();
                let letters = (b'A'..=b'z').filter(|l| l.is_ascii_alphabetic() && count(*l) == 1);
                (0..hidden as u8).rev().chain(letters).collect()
            }
        };
        Ok(Equation { inputs, output })
    }
}

/// Returns the labels of `ij...k` where the dots stand for `rest` axes.
fn labels(term: &str, rest: usize) -> Result<Labels, &'static str> {
    let mut out = Labels::new();
    let (before, after) = term.split_once("...").map_or((term, None), |(b, a)| (b, Some(a)));
    out.extend(before.bytes());
    if let Some(after) = after {
        out.extend((0..rest as u8).rev());
        out.extend(after.bytes());
    }
    let fine = before.bytes().chain(after.unwrap_or("").bytes()).all(|b| b.is_ascii_alphabetic());
    if fine { Ok(out) } else { Err("axes are letters, and '...' at most once a term") }
}

impl Term {
    /// Reduces each label to one axis: repeated ones become diagonals.
    fn distinct(mut self) -> Result<Term> {
        while let Some((a, b)) = self.repeated() {
            // The diagonal becomes the last axis.
            let label = self.labels.remove(b);
            self.labels.remove(a);
            self.labels.push(label);
            self.value = self.value.diagonal(0, a as isize, b as isize)?;
        }
        Ok(self)
    }

    fn repeated(&self) -> Option<(usize, usize)> {
        let later = |i: usize| (i + 1..self.labels.len()).find(|&j| self.labels[i] == self.labels[j]);
        (0..self.labels.len()).find_map(|i| Some((i, later(i)?)))
    }

    fn size(&self, label: Label) -> Option<usize> {
        self.labels.iter().position(|l| *l == label).map(|i| self.value.dims()[i])
    }

    /// Removes repetition along axes whose label has a larger size elsewhere.
    fn narrow(mut self, size: impl Fn(Label) -> usize) -> Result<Term> {
        for i in (0..self.labels.len()).rev() {
            if self.value.dims()[i] == 1 && size(self.labels[i]) != 1 {
                self.value = self.value.squeeze(i as isize)?;
                self.labels.remove(i);
            }
        }
        Ok(self)
    }

    /// Sums over the labels that are not needed.
    fn reduced(self, needed: impl Fn(Label) -> bool) -> Result<Term> {
        let gone = (0..self.labels.len()).filter(|&i| !needed(self.labels[i]));
        let gone: Few<isize, MAX_RANK> = gone.map(|i| i as isize).collect();
        if gone.is_empty() {
            return Ok(self);
        }
        let value = self.value.sum(&gone, false)?;
        Ok(Term { value, labels: self.labels.into_iter().filter(|l| needed(*l)).collect() })
    }

    /// Returns the axes in this order; missing ones have size 1.
    fn ordered(&self, labels: &[Label]) -> Result<Tensor> {
        let place = |l: &Label| self.labels.iter().position(|m| m == l).map(|i| i as isize);
        let order: Few<isize, MAX_RANK> = labels.iter().filter_map(place).collect();
        let sizes: Few<usize, MAX_RANK> = labels.iter().map(|l| self.size(*l).unwrap_or(1)).collect();
        self.value.permute(&order)?.reshape_to(&sizes[..])
    }

    /// Multiplies with another term, summing over shared labels that are not needed.
    fn times(self, other: Term, needed: impl Fn(Label) -> bool) -> Result<Term> {
        let (mine, theirs) = (self.labels.clone(), other.labels.clone());
        let a = self.reduced(|l| needed(l) || theirs.contains(&l))?;
        let b = other.reduced(|l| needed(l) || mine.contains(&l))?;
        let pick = |from: &Term, f: &dyn Fn(Label) -> bool| -> Labels {
            from.labels.iter().copied().filter(|l| f(*l)).collect()
        };
        let shared = |l: Label| a.labels.contains(&l) && b.labels.contains(&l);
        let stack = pick(&a, &|l| shared(l) && needed(l));
        let inner = pick(&a, &|l| shared(l) && !needed(l));
        let rows = pick(&a, &|l| !shared(l));
        let cols = pick(&b, &|l| !shared(l));
        let labels = joined(&[&stack, &rows, &cols]);
        if inner.is_empty() && (rows.is_empty() || cols.is_empty()) {
            return Ok(Term { value: a.ordered(&labels)?.mul(&b.ordered(&labels)?)?, labels });
        }
        let sizes = |from: &Term, labels: &[Label]| -> Few<usize, MAX_RANK> {
            labels.iter().filter_map(|l| from.size(*l)).collect()
        };
        let stacked = sizes(&a, &stack);
        let merged = [count(&a, &stack)];
        let lead = if stack.len() + 2 > MAX_RANK { &merged[..] } else { &stacked };
        let (m, k, n) = (count(&a, &rows), count(&a, &inner), count(&b, &cols));
        let left = a.ordered(&joined(&[&stack, &rows, &inner]))?.reshape_to(&joined(&[lead, &[m, k]])[..])?;
        let right =
            b.ordered(&joined(&[&stack, &inner, &cols]))?.reshape_to(&joined(&[lead, &[k, n]])[..])?;
        let sizes = joined(&[&stacked, &sizes(&a, &rows), &sizes(&b, &cols)]);
        Ok(Term { value: left.matmul(&right)?.reshape_to(&sizes[..])?, labels })
    }
}

/// Concatenates lists.
fn joined<T: Copy>(lists: &[&[T]]) -> Few<T, MAX_RANK> {
    lists.iter().copied().flatten().copied().collect()
}

/// Returns how many elements these axes have together.
fn count(term: &Term, labels: &[Label]) -> usize {
    labels.iter().filter_map(|l| term.size(*l)).fold(1, usize::saturating_mul)
}

impl Tensor {
    /// Computes Einstein's summation in NumPy's notation: a letter for each axis of each operand; letters that are
    /// not in the result are summed over. Without `->`, the result has the letters that occur once, in alphabetical
    /// order. `...` stands for the other axes, which broadcast. A letter twice in one operand takes its diagonal.
    /// Size 1 stretches.
    ///
    /// Operands are contracted from left to right, two at a time, by matrix products, so you choose their order;
    /// and the order of additions does not depend on sizes outside of a sum. Dtypes are promoted by
    /// [`DType::promote`]; integers are multiplied and summed in int64.
    ///
    /// ```
    /// # use gradus::Tensor;
    /// let (q, k) = (Tensor::ones([2, 5, 4, 8])?, Tensor::ones([2, 7, 4, 8])?);
    /// let scores = Tensor::einsum("bqhd,bkhd->bhqk", &[&q, &k])?;
    /// assert_eq!(scores.dims(), [2, 4, 5, 7]);
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// The equation does not parse or does not fit the operands, sizes of a letter differ, the dtype is bool,
    /// bfloat16 or float16, or an intermediate result has more than [`MAX_RANK`] axes.
    pub fn einsum(equation: &str, operands: &[&Tensor]) -> Result<Tensor> {
        let Equation { inputs, output } = Equation::parse(equation, operands)?;
        let operands = all_alike(operands)?;
        if operands.iter().any(|t| t.dtype().is_integer() && t.dtype() != DType::I64) {
            let wide: Few<Tensor, 2> = operands.iter().map(|t| t.cast(DType::I64)).collect::<Result<_>>()?;
            return Tensor::einsum(equation, &wide.iter().collect::<Few<_, 2>>());
        }
        let mut sizes = [1usize; 128];
        for (operand, labels) in operands.iter().zip(&inputs) {
            if operand.dtype() != DType::I64 {
                float("einsum", operand.dtype())?;
            }
            for (i, (&size, &label)) in operand.dims().iter().zip(labels).enumerate() {
                let known = &mut sizes[usize::from(label)];
                let first = labels.iter().position(|l| *l == label).unwrap_or(i);
                if (size != 1 && *known != 1 && size != *known) || size != operand.dims()[first] {
                    let axis = if label < MAX_RANK as u8 {
                        "...".into()
                    } else {
                        format!("'{}'", char::from(label))
                    };
                    let (a, b) =
                        (crate::shape::Size((*known).max(operand.dims()[first])), crate::shape::Size(size));
                    return Err(bad(equation, format!("axis {axis} has sizes {a} and {b}")));
                }
                if size != 1 {
                    *known = size;
                }
            }
        }
        let terms = operands.iter().zip(&inputs).map(|(operand, labels)| {
            Term { value: (**operand).clone(), labels: labels.clone() }
                .distinct()?
                .narrow(|l| sizes[usize::from(l)])
        });
        let mut done: Option<Term> = None;
        for (i, term) in terms.enumerate() {
            let needed =
                |l: Label| output.contains(&l) || inputs[i + 1..].iter().any(|later| later.contains(&l));
            done = Some(match done {
                None => term?,
                Some(before) => before.times(term?, needed)?,
            });
        }
        let done = done.ok_or_else(|| bad(equation, "there are no operands"))?;
        done.reduced(|l| output.contains(&l))?.ordered(&output)
    }

    /// Sums products over the axes `axes` of this tensor and, pairwise, `others` of the other. The remaining axes
    /// are this tensor's, then the other's. (NumPy and Keras: `tensordot`.)
    ///
    /// # Errors
    /// An axis is out of range or given twice, the lists differ in length, or sizes differ.
    pub fn tensordot(&self, other: &Tensor, axes: &[isize], others: &[isize]) -> Result<Tensor> {
        if axes.len() != others.len() {
            let got = format!("{} and {}", axes.len(), others.len());
            return Err(Error::argument("tensordot", "as many axes of one as of the other", got));
        }
        type Axes = Few<isize, MAX_RANK>;
        let side = |t: &Tensor, axes: &[isize]| -> Result<(Axes, Axes)> {
            if !axes.is_empty() {
                t.shape().axes("tensordot", axes)?;
            }
            let summed = axes.iter().map(|&a| Ok(t.shape().axis("tensordot", a)? as isize));
            let summed: Axes = summed.collect::<Result<_>>()?;
            Ok(((0..t.rank() as isize).filter(|a| !summed.contains(a)).collect(), summed))
        };
        let ((free_a, sum_a), (free_b, sum_b)) = (side(self, axes)?, side(other, others)?);
        let size = |t: &Tensor, of: &[isize]| -> Few<usize, MAX_RANK> {
            of.iter().map(|&a| t.dims()[a as usize]).collect()
        };
        if size(self, &sum_a) != size(other, &sum_b) {
            let why = format!("axes {axes:?} and {others:?} differ in size");
            return Err(Error::shapes("tensordot", *self.shape(), *other.shape(), why));
        }
        let product = |sizes: &[usize]| sizes.iter().fold(1, |n: usize, &d| n.saturating_mul(d));
        let inner = product(&size(self, &sum_a));
        let (rows, cols) = (size(self, &free_a), size(other, &free_b));
        let a = self.permute(&joined(&[&free_a, &sum_a]))?.reshape_to([product(&rows), inner])?;
        let b = other.permute(&joined(&[&sum_b, &free_b]))?.reshape_to([inner, product(&cols)])?;
        a.matmul(&b)?.reshape_to(&joined(&[&rows, &cols])[..])
    }

    /// NumPy's `dot`: sums products over the last axis of this tensor and the only or second to last one of the
    /// other; if either is a number, multiplies.
    ///
    /// # Errors
    /// Sizes differ, or the result has too many axes.
    pub fn dot(&self, other: &Tensor) -> Result<Tensor> {
        match (self.rank(), other.rank()) {
            (0, _) | (_, 0) => self.mul(other),
            (_, 1) => self.tensordot(other, &[-1], &[0]),
            _ => self.tensordot(other, &[-1], &[-2]),
        }
    }

    /// Sums the products of all elements, one by one.
    ///
    /// # Errors
    /// The numbers of elements differ.
    pub fn vdot(&self, other: &Tensor) -> Result<Tensor> {
        self.reshape([-1])?.dot(&other.reshape([-1])?)
    }

    /// Returns all products of an element of this tensor with one of the other, `[elements, other's elements]`.
    ///
    /// # Errors
    /// The dtype cannot be multiplied, or there is not enough memory.
    pub fn outer(&self, other: &Tensor) -> Result<Tensor> {
        self.reshape([-1, 1])?.mul(&other.reshape([1, -1])?)
    }

    /// Computes Kronecker's product: each element of this tensor is replaced by its product with the other.
    ///
    /// # Errors
    /// Ranks differ, or there are more than half of [`MAX_RANK`] axes.
    pub fn kron(&self, other: &Tensor) -> Result<Tensor> {
        if self.rank() != other.rank() || 2 * self.rank() > MAX_RANK {
            let why = format!("both need the same number of axes, at most {}", MAX_RANK / 2);
            return Err(Error::shapes("kron", *self.shape(), *other.shape(), why));
        }
        let sizes = self.dims().iter().zip(other.dims()).map(|(a, b)| a.saturating_mul(*b));
        let sizes: Few<usize, MAX_RANK> = sizes.collect();
        let wide = |t: &Tensor, after: usize| {
            let pairs = t.dims().iter().flat_map(|&d| if after == 1 { [d, 1] } else { [1, d] });
            t.reshape_to(&pairs.collect::<Few<usize, MAX_RANK>>()[..])
        };
        wide(self, 1)?.mul(&wide(other, 0)?)?.reshape_to(&sizes[..])
    }

    /// Returns the elements `[…, i, …, i + offset, …]` of two axes, which are removed, along a new last axis.
    ///
    /// # Errors
    /// An axis is out of range, or both are the same.
    pub fn diagonal(&self, offset: isize, axis1: isize, axis2: isize) -> Result<Tensor> {
        let (a, b) = (self.shape().axis("diagonal", axis1)?, self.shape().axis("diagonal", axis2)?);
        if a == b {
            return Err(Error::argument("diagonal", "two axes", format!("axis {axis1} twice")));
        }
        let [a, b] = [a as isize, b as isize];
        let others = (0..self.rank() as isize).filter(|i| ![a, b].contains(i));
        let order: Few<isize, MAX_RANK> = others.chain([a, b]).collect();
        // A square that begins on the diagonal: in flat order, every (n + 1)st element lies on it.
        let (down, right) = (offset.min(0).saturating_neg(), offset.max(0));
        let matrix = self.permute(&order)?.slice(-2, down, isize::MAX)?.slice(-1, right, isize::MAX)?;
        let r = matrix.rank();
        let n = matrix.dims()[r - 2].min(matrix.dims()[r - 1]);
        let square = matrix.slice(-2, 0, n as isize)?.slice(-1, 0, n as isize)?;
        let sizes = joined(&[&square.dims()[..r - 2], &[n.saturating_mul(n)]]);
        square.reshape_to(&sizes[..])?.slice_step(-1, None, None, n as isize + 1)
    }

    /// Returns the sum of a diagonal.
    ///
    /// # Errors
    /// Those of [`Tensor::diagonal`], or the dtype is not float32 or float64.
    pub fn trace(&self, offset: isize, axis1: isize, axis2: isize) -> Result<Tensor> {
        self.diagonal(offset, axis1, axis2)?.sum(&[-1], false)
    }
}

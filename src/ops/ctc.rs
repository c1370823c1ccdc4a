//! Connectionist temporal classification: a loss and two decoders for labels that say what was spoken or written, but not when. The loss
//! sums over all times; decoding finds the labels that frames most likely say.

use super::elementwise::float;
use super::index::check_index;
use super::naive::places;
use super::promote::indices;
use crate::autograd::{Attributes, Grads, Op, Saves, Specs, Step, apply1, one};
use crate::dtype::dispatch_float;
use crate::kernels::{ctc as kernel, par};
use crate::tensor::{Array, Tensor, few};
use crate::{DType, Error, Float, Result, Spec};
use std::collections::HashMap;

super::table::ops! {
    [CtcLoss, CtcGrad];
    ctc_loss: Floats, Every, "";
    ctc_greedy_decode: Floats, None, "";
    ctc_beam_search_decode: Floats, None, "";
}

/// Cost of a state against an addition: two exponentials and two logarithms.
const COST: usize = 64;

crate::op! {
    /// Of logarithms of probabilities `[batch, frames, classes]`, labels `[batch, length]` and the lengths of labels and of frames.
    struct CtcLoss("ctc_loss", 4) {
        blank: usize,
    }
}

/// The sizes of a batch.
struct Sizes {
    frames: usize,
    classes: usize,
    length: usize,
}

impl Sizes {
    fn of(op: &'static str, ln_p: &Spec, labels: &Spec) -> Result<Sizes> {
        match (ln_p.shape.dims(), labels.shape.dims()) {
            (&[batch, frames, classes], &[rows, length]) if batch == rows => {
                Ok(Sizes { frames, classes, length })
            }
            _ => {
                let why = "expected logits [batch, frames, classes] and labels [batch, length]";
                Err(Error::shapes(op, ln_p.shape, labels.shape, why))
            }
        }
    }
}

/// The labels and how many of them and of the frames count, row by row; checked.
struct Rows<'a> {
    labels: &'a [i64],
    label_lengths: &'a [i64],
    lengths: &'a [i64],
    sizes: Sizes,
    blank: usize,
}

impl<'a> Rows<'a> {
    fn checked(
        labels: &'a [i64],
        label_lengths: &'a [i64],
        lengths: &'a [i64],
        sizes: Sizes,
        blank: usize,
    ) -> Result<Rows<'a>> {
        check_index("ctc_loss", "number of labels", label_lengths, sizes.length + 1)?;
        check_index("ctc_loss", "number of frames", lengths, sizes.frames + 1)?;
        let rows = Rows { labels, label_lengths, lengths, sizes, blank };
        for row in 0..lengths.len() {
            let labels = rows.labels_of(row);
            check_index("ctc_loss", "label", labels, rows.sizes.classes)?;
            if labels.contains(&(blank as i64)) {
                let expected =
                    format!("labels other than {blank}, which stands for the blank and behind the labels");
                return Err(Error::argument(
                    "ctc_loss",
                    expected,
                    format!("one among the labels of row {row}"),
                ));
            }
            let (least, frames) = (kernel::Row::<f64>::least_frames(labels), lengths[row]);
            if (frames as usize) < least {
                let expected = format!("{least} frames or more for the {} labels of row {row}", labels.len());
                return Err(Error::argument("ctc_loss", expected, frames));
            }
        }
        Ok(rows)
    }

    fn labels_of(&self, row: usize) -> &'a [i64] {
        &self.labels[row * self.sizes.length..][..self.label_lengths[row] as usize]
    }

    /// A row of the logarithms of the whole batch.
    fn row<'b, T>(&self, ln_p: &'b [T], row: usize) -> kernel::Row<'b, T>
    where
        'a: 'b,
    {
        let Sizes { frames, classes, .. } = self.sizes;
        let ln_p = &ln_p[row * frames * classes..][..self.lengths[row] as usize * classes];
        kernel::Row { ln_p, classes, labels: self.labels_of(row), blank: self.blank }
    }
}

impl Op for CtcLoss {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let (ln_p, labels) = (inputs[0], inputs[1]);
        float(self.name(), ln_p.dtype)?;
        let Sizes { classes, .. } = Sizes::of(self.name(), &ln_p, &labels)?;
        if self.blank >= classes {
            let expected = format!("a class below {classes}");
            return Err(Error::argument("ctc_loss mask_index", expected, self.blank));
        }
        let each = ln_p.shape.reduced(&[false, true, true, false, false, false, false, false], false);
        for spec in &inputs[1..] {
            if spec.dtype != DType::I64 {
                return Err(Error::DType {
                    op: self.name(),
                    expected: "int64 labels and lengths",
                    got: spec.dtype,
                });
            }
        }
        match inputs[2..4].iter().find(|spec| spec.shape != each) {
            None => Ok(one(each, ln_p.dtype)),
            Some(wrong) => {
                Err(Error::shapes(self.name(), ln_p.shape, wrong.shape, "expected one length for each row"))
            }
        }
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let sizes = Sizes::of(self.name(), &inputs[0].spec(), &inputs[1].spec())?;
        let work = (sizes.frames * (2 * sizes.length + 1) * COST).max(1);
        let ln_p = inputs[0].contiguous()?;
        let (labels, counts, lengths) =
            (inputs[1].contiguous()?, inputs[2].contiguous()?, inputs[3].contiguous()?);
        let rows = Rows::checked(labels.slice()?, counts.slice()?, lengths.slice()?, sizes, self.blank)?;
        dispatch_float!(self.name(), ln_p.dtype(), T => {
            let ln_p = ln_p.slice::<T>()?;
            par::chunks(outputs[0].slice_mut::<T>()?, 1, par::GRAIN.div_ceil(work), &|first, run: &mut [T]| {
                for (i, loss) in run.iter_mut().enumerate() {
                    *loss = T::of(rows.row(ln_p, first + i).loss());
                }
            });
        });
        Ok(())
    }
    fn saves(&self, _: &[bool]) -> Saves {
        Saves::INPUTS
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        let (g, x) = (step.grad(0)?, [step.input(0), step.input(1), step.input(2), step.input(3)]);
        let grad = apply1(CtcGrad { blank: self.blank }, &[&g, &x[0], &x[1], &x[2], &x[3]])?;
        Ok(few![Some(grad), None, None, None])
    }
}

crate::op! {
    /// `g` times the derivative of [`CtcLoss`] by the logarithms.
    struct CtcGrad("ctc_grad", 5) {
        blank: usize,
    }
}

impl Op for CtcGrad {
    fn infer(&self, inputs: &[Spec]) -> Result<Specs> {
        let each = CtcLoss { blank: self.blank }.infer(&inputs[1..])?;
        match inputs[0] == each[0] {
            true => Ok(few![inputs[1]]),
            false => {
                Err(Error::shapes(self.name(), each[0].shape, inputs[0].shape, "one for each row is needed"))
            }
        }
    }
    fn eval(&self, inputs: &[&Array], outputs: &mut [Array]) -> Result<()> {
        let sizes = Sizes::of(self.name(), &inputs[1].spec(), &inputs[2].spec())?;
        let (unit, classes) = (sizes.frames * sizes.classes, sizes.classes);
        let work = (sizes.frames * (2 * sizes.length + 1) * 3 * COST).max(1);
        let (g, ln_p) = (inputs[0].contiguous()?, inputs[1].contiguous()?);
        let (labels, counts, lengths) =
            (inputs[2].contiguous()?, inputs[3].contiguous()?, inputs[4].contiguous()?);
        let rows = Rows::checked(labels.slice()?, counts.slice()?, lengths.slice()?, sizes, self.blank)?;
        dispatch_float!(self.name(), ln_p.dtype(), T => {
            let (g, ln_p) = (g.slice::<T>()?, ln_p.slice::<T>()?);
            let grain = unit.max(1) * par::GRAIN.div_ceil(work);
            par::chunks(outputs[0].slice_mut::<T>()?, unit.max(1), grain, &|first, run: &mut [T]| {
                for (i, out) in run.chunks_exact_mut(unit.max(1)).enumerate() {
                    let row = first + i;
                    let (counted, beyond) = out.split_at_mut(rows.lengths[row] as usize * classes);
                    rows.row(ln_p, row).gradient(g[row].wide(), counted);
                    beyond.fill(T::of(0.0));
                }
            });
        });
        Ok(())
    }
    fn vjp(&self, step: &Step<'_>) -> Result<Grads> {
        step.composed(|x| Ok(few![composed(&x[0], &x[1], [&x[2], &x[3], &x[4]], self.blank)?]))
    }
}

/// Stands for the logarithm of 0, which has no derivative: below all others, and far from the end of the range.
fn never(dtype: DType) -> f64 {
    if dtype == DType::F64 { -1e300 } else { -1e30 }
}

/// What [`CtcGrad`] computes, in tensor operations: the rule of its own gradient.
fn composed(
    g: &Tensor,
    ln_p: &Tensor,
    [labels, counts, lengths]: [&Tensor; 3],
    blank: usize,
) -> Result<Tensor> {
    let &[batch, frames, classes] = ln_p.dims() else {
        return Err(Error::shape("ctc_grad", "three axes", *ln_p.shape()));
    };
    let length = labels.dims().last().copied().unwrap_or(0);
    if frames == 0 {
        return Ok(ln_p.clone());
    }
    let never = ln_p.new_full([], never(ln_p.dtype()))?;
    // The class of each state, [batch, states]: a blank before, between and behind the labels.
    let counted = places(labels, 1)?.expand_dims(0)?.less(&counts.expand_dims(-1)?)?;
    let blanks = labels.new_full([batch, 1], blank as f64)?;
    let labels = counted.choose(labels, &blanks)?;
    let pairs = Tensor::stack(&[&blanks.broadcast_like(&labels)?, &labels], -1)?.merge_axes(1, 2)?;
    let class = Tensor::concat(&[&pairs, &blanks], 1)?;
    let states = 2 * length + 1;
    let shifted = |x: &Tensor, by: usize, fill: &Tensor| match by >= states {
        true => fill.broadcast_to([batch, states]),
        false => {
            let front = fill.broadcast_to([batch, by])?;
            Tensor::concat(&[&front, &x.slice(1, 0, (states - by) as isize)?], 1)
        }
    };
    let back = |x: &Tensor, by: usize| match by >= states {
        true => never.broadcast_to([batch, states]),
        false => {
            let end = never.broadcast_to([batch, by])?;
            Tensor::concat(&[&x.slice(1, by as isize, states as isize)?, &end], 1)
        }
    };
    let odd = class.not_equal(&blanks)?;
    let skips =
        class.not_equal(&shifted(&class, 2, &class.new_full([], blank as f64)?)?)?.logical_and(&odd)?;
    // The logarithm of each frame and state.
    let along = class.expand_dims(1)?.broadcast_to([batch, frames, states])?;
    let each = ln_p.take_along_axis(&along, 2)?;
    let at = |frame: usize| each.select(1, frame as isize);
    let place = places(&class, 1)?.expand_dims(0)?.broadcast_to([batch, states])?;
    let two = |x: &Tensor| x.affine(2.0, 0.0);
    let ends = two(counts)?.expand_dims(-1)?;
    let lengths = lengths.expand_dims(-1)?;
    let number = |n: usize| lengths.new_full([], n as f64);

    let first = place.less(&number(2)?)?;
    let mut alphas = vec![first.choose(&at(0)?, &never)?];
    for frame in 1..frames {
        let before = &alphas[frame - 1];
        let sum = before.logaddexp(&shifted(before, 1, &never)?)?;
        let sum = sum.logaddexp(&skips.choose(&shifted(before, 2, &never)?, &never)?)?;
        let goes_on = number(frame)?.less(&lengths)?;
        alphas.push(goes_on.choose(&sum.add(&at(frame)?)?, before)?);
    }
    let last = place.equal(&ends)?.logical_or(&place.equal(&ends.affine(1.0, -1.0)?)?)?;
    let total = last.choose(&alphas[frames - 1], &never)?.logsumexp(&[1], true)?;
    let end = last.choose(&never.new_full([], 0.0)?, &never)?;
    let mut beta = end.clone();
    let mut shares = Vec::new();
    for frame in (0..frames).rev() {
        if frame + 1 < frames {
            let next = beta.add(&at(frame + 1)?)?;
            let sum = next.logaddexp(&back(&next, 1)?)?;
            let skipped = back(&skips.choose(&next, &never)?, 2)?;
            let inner = number(frame + 1)?.less(&lengths)?;
            beta = inner.choose(&sum.logaddexp(&skipped)?, &end)?;
        }
        let share = alphas[frame].add(&beta)?.sub(&total)?.exp()?;
        shares.push(number(frame)?.less(&lengths)?.choose(&share, &never.new_full([], 0.0)?)?);
    }
    shares.reverse();
    let shares = Tensor::stack(&shares.iter().collect::<Vec<_>>(), 1)?;
    let by_class = shares.matmul(&class.one_hot(classes, ln_p.dtype())?)?;
    by_class.mul(&g.expand_dims(-1)?.expand_dims(-1)?)?.neg()
}

/// Logits as numbers, row by row, with the frames that count.
fn frames_of(
    op: &'static str,
    logits: &Tensor,
    lengths: &Tensor,
    blank: usize,
) -> Result<(Vec<f64>, [usize; 3], Vec<i64>)> {
    float(op, logits.dtype())?;
    let &[batch, frames, classes] = logits.dims() else {
        return Err(Error::shape(op, "logits [batch, frames, classes]", *logits.shape()));
    };
    if lengths.dims() != [batch] {
        return Err(Error::shapes(op, *logits.shape(), *lengths.shape(), "expected one length for each row"));
    }
    if blank >= classes {
        return Err(Error::argument("mask_index", format!("a class below {classes}"), blank));
    }
    let lengths = indices(op, lengths)?.to_vec::<i64>()?;
    check_index(op, "number of frames", &lengths, frames + 1)?;
    Ok((logits.cast(DType::F64)?.to_vec()?, [batch, frames, classes], lengths))
}

/// A beam: the labels, and the logarithms of the probabilities of all readings that end in a label, and in a blank.
#[derive(Clone, Debug)]
struct Beam {
    path: Vec<i64>,
    label: f64,
    blank: f64,
}

impl Beam {
    fn total(&self) -> f64 {
        kernel::ln_add(self.label, self.blank)
    }
}

/// The most likely first; of equal ones that with the smaller class, and of a path and its beginning the longer, as in Keras.
fn by_likelihood(a: &Beam, b: &Beam) -> std::cmp::Ordering {
    let place = |path: &[i64], i: usize| path.get(i).copied().unwrap_or(i64::MAX);
    let longest = a.path.len().max(b.path.len());
    let by_path = (0..longest).map(|i| place(&a.path, i).cmp(&place(&b.path, i))).find(|o| o.is_ne());
    b.total().total_cmp(&a.total()).then(by_path.unwrap_or(std::cmp::Ordering::Equal))
}

/// The beams of one row of log-probabilities, the most likely first.
fn search(ln_p: &[f64], classes: usize, blank: usize, beam_width: usize) -> Vec<Beam> {
    let mut beams = vec![Beam { path: Vec::new(), label: f64::NEG_INFINITY, blank: 0.0 }];
    for frame in ln_p.chunks_exact(classes) {
        let mut places: HashMap<Vec<i64>, usize> = HashMap::new();
        let mut next: Vec<Beam> = Vec::new();
        let mut add = |path: Vec<i64>, label: f64, blank: f64| {
            let at = *places.entry(path).or_insert_with_key(|path| {
                next.push(Beam { path: path.clone(), label: f64::NEG_INFINITY, blank: f64::NEG_INFINITY });
                next.len() - 1
            });
            next[at].label = kernel::ln_add(next[at].label, label);
            next[at].blank = kernel::ln_add(next[at].blank, blank);
        };
        for beam in &beams {
            for (class, ln_p) in frame.iter().enumerate() {
                let longer = || beam.path.iter().copied().chain([class as i64]).collect();
                if class == blank {
                    add(beam.path.clone(), f64::NEG_INFINITY, beam.total() + ln_p);
                } else if beam.path.last() == Some(&(class as i64)) {
                    // The same label again is a new one only behind a blank.
                    add(beam.path.clone(), beam.label + ln_p, f64::NEG_INFINITY);
                    add(longer(), beam.blank + ln_p, f64::NEG_INFINITY);
                } else {
                    add(longer(), beam.total() + ln_p, f64::NEG_INFINITY);
                }
            }
        }
        next.sort_by(by_likelihood);
        next.truncate(beam_width);
        beams = next;
    }
    beams
}

impl Tensor {
    /// The connectionist temporal classification loss of logits `[batch, frames, classes]` (Graves et al. 2006): for each row minus the
    /// logarithm of the probability that its labels are read off its frames, `[batch]`. `labels` `[batch, length]` are integers, of
    /// which the first `label_lengths` of a row count; of its frames the first `lengths`. The class `mask_index` is the blank.
    ///
    /// ```
    /// use gradus::Tensor;
    /// let logits = Tensor::zeros([1, 2, 3])?; // two frames of three equal classes
    /// let (labels, ones, twos) = (Tensor::new([[1i64]])?, Tensor::new([1i64])?, Tensor::new([2i64])?);
    /// let loss = logits.ctc_loss(&labels, &ones, &twos, 0)?;
    /// assert!((loss.item()? - 3f64.ln()).abs() < 1e-6); // 11, 10 and 01 of the nine readings say 1
    /// # Ok::<(), gradus::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, a label or a length is out of range, the blank is among the labels, or a row has fewer frames
    /// than its labels need (one each, and a blank between two that are equal).
    pub fn ctc_loss(
        &self,
        labels: &Tensor,
        label_lengths: &Tensor,
        lengths: &Tensor,
        mask_index: usize,
    ) -> Result<Tensor> {
        let [labels, counts, lengths] = [labels, label_lengths, lengths].map(|t| indices("ctc_loss", t));
        apply1(CtcLoss { blank: mask_index }, &[&self.log_softmax(-1)?, &*labels?, &*counts?, &*lengths?])
    }

    /// The labels that the largest class of each frame says, of logits `[batch, frames, classes]`: int64 `[batch, frames]`, with -1 behind
    /// the last label of a row; and minus the sum of the largest logits of each row, `[batch]`. Equal classes that follow each other
    /// are one label if `merge_repeated`. `mask_index` is the blank.
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, or a length or the blank is out of range.
    pub fn ctc_greedy_decode(
        &self,
        lengths: &Tensor,
        merge_repeated: bool,
        mask_index: usize,
    ) -> Result<(Tensor, Tensor)> {
        let (logits, [batch, frames, classes], lengths) =
            frames_of("ctc_greedy_decode", self, lengths, mask_index)?;
        let mut paths = vec![-1i64; batch * frames];
        let mut scores = vec![0f64; batch];
        for row in 0..batch {
            let mut path = paths[row * frames..][..frames].iter_mut();
            let mut before = None;
            let counted = &logits[row * frames * classes..][..lengths[row] as usize * classes];
            for frame in counted.chunks_exact(classes) {
                let largest = |best: usize, i: usize| if frame[i] > frame[best] { i } else { best };
                let class = (0..classes).fold(0, largest);
                scores[row] -= frame[class];
                if class != mask_index && !(merge_repeated && before == Some(class)) {
                    path.by_ref().take(1).for_each(|label| *label = class as i64);
                }
                before = Some(class);
            }
        }
        let scores = Tensor::from_slice(&scores, [batch])?.cast(self.dtype())?;
        Ok((Tensor::from_slice(&paths, [batch, frames])?, scores))
    }

    /// The label sequences that frames most likely say, of logits `[batch, frames, classes]`, found by a search that keeps
    /// `beam_width` of them: int64 `[top_paths, batch, frames]`, with -1 behind the last label; and the logarithms of their probabilities,
    /// `[batch, top_paths]`. `mask_index` is the blank. Keras's defaults are 100 beams, 1 path and the blank 0.
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, or a length, the blank or a number of paths is out of range.
    pub fn ctc_beam_search_decode(
        &self,
        lengths: &Tensor,
        beam_width: usize,
        top_paths: usize,
        mask_index: usize,
    ) -> Result<(Tensor, Tensor)> {
        // More beams than this take gigabytes after some frames.
        const MOST: usize = 65_536;
        if !(1..=MOST).contains(&beam_width) {
            return Err(Error::argument("beam_width", format!("1 to {MOST}"), beam_width));
        }
        if !(1..=beam_width).contains(&top_paths) {
            return Err(Error::argument(
                "top_paths",
                format!("1 to beam_width, which is {beam_width}"),
                top_paths,
            ));
        }
        let ln_p = self.detach().log_softmax(-1)?;
        let (ln_p, [batch, frames, classes], lengths) =
            frames_of("ctc_beam_search_decode", &ln_p, lengths, mask_index)?;
        // As a tensor first: whether there is memory for it is found without an abort.
        let nothing = Tensor::full([top_paths, batch, frames], -1i64)?;
        let mut paths = nothing.to_vec::<i64>()?;
        let mut scores = vec![f64::NEG_INFINITY; batch * top_paths];
        for row in 0..batch {
            let counted = &ln_p[row * frames * classes..][..lengths[row] as usize * classes];
            let found = search(counted, classes, mask_index, beam_width);
            for (rank, beam) in found.iter().take(top_paths).enumerate() {
                paths[(rank * batch + row) * frames..][..beam.path.len()].copy_from_slice(&beam.path);
                scores[row * top_paths + rank] = beam.total();
            }
        }
        let scores = Tensor::from_slice(&scores, [batch, top_paths])?.cast(self.dtype())?;
        Ok((Tensor::from_slice(&paths, [top_paths, batch, frames])?, scores))
    }
}

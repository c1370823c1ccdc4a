//! Why it exists: named tensors in a safetensors file, read so that no file of any content takes more time or memory
//! than the limits allow, and written so that the same tensors give the same bytes.

use super::json::{Outline, outline};
use super::{Limits, check};
use crate::dtype::dispatch_stored;
use crate::tensor::{Array, Tensor};
use crate::{DType, Error, Result, Shape, Spec};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The bytes before the header: its length.
const PREFIX: usize = 8;
/// A tensor's entry has this many separators beside those of its shape.
const ITEMS: u64 = 8;
/// Separators that a header or configuration may always have.
const SPARE_ITEMS: u64 = 4096;

/// A tensor as it lies in a file.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: &'a [u8],
}

/// What a file holds.
#[derive(Clone, Debug)]
pub(crate) struct Tensors<'a> {
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) entries: BTreeMap<String, Entry<'a>>,
}

fn file_dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::BF16 => Dtype::BF16,
        DType::F16 => Dtype::F16,
        DType::I64 => Dtype::I64,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}

/// Refuses JSON that would take more memory than its limits stand for.
pub(crate) fn check_outline(what: &str, text: &Outline, limits: &Limits) -> Result<()> {
    check(what, "the nesting of its JSON", text.depth, limits.max_depth)?;
    let items =
        limits.max_tensors.saturating_mul(limits.max_rank.saturating_add(ITEMS)).saturating_add(SPARE_ITEMS);
    check(what, "the number of values in its JSON", text.items, items)
}

impl<'a> Tensors<'a> {
    /// Takes a file apart; the tensors' bytes stay where they are.
    ///
    /// # Errors
    /// It is no safetensors file, or it exceeds a limit.
    pub(crate) fn read(bytes: &'a [u8], what: &str, limits: &Limits) -> Result<Tensors<'a>> {
        let foreign = |why: String| Error::format(what, format!("not a safetensors file: {why}"));
        check(what, "the file's size in bytes", bytes.len() as u64, limits.max_file_bytes)?;
        let (prefix, rest) =
            bytes.split_first_chunk::<PREFIX>().ok_or_else(|| foreign("it ends before its header".into()))?;
        let declared = u64::from_le_bytes(*prefix);
        let header = usize::try_from(declared).ok().and_then(|n| rest.get(..n)).ok_or_else(|| {
            foreign(format!("the header should have {declared} bytes, but {} follow", rest.len()))
        })?;
        check(what, "the header's size in bytes", declared, limits.max_header_bytes)?;

        let text = outline(header);
        check_outline(what, &text, limits)?;
        check(what, "the number of tensors", text.keys.saturating_sub(1), limits.max_tensors)?;
        check(what, "the length of a name", text.longest_key, limits.max_name)?;

        // The parser's own checks: types, names of dtypes, checked products, no gap, no overlap, no bytes left over.
        let (_, parsed) = SafeTensors::read_metadata(bytes).map_err(|e| foreign(e.to_string()))?;
        let data = rest.get(header.len()..).unwrap_or_default();
        let mut entries = BTreeMap::new();
        let mut total = 0u64;
        for (name, info) in parsed.tensors() {
            check(&name, "the number of dimensions", info.shape.len() as u64, limits.max_rank)?;
            let elements = info.shape.iter().fold(1u64, |n, &d| n.saturating_mul(d as u64));
            check(&name, "the number of elements", elements, limits.max_elements)?;
            let (start, end) = info.data_offsets;
            let bytes = data.get(start..end).ok_or_else(|| foreign("a tensor lies outside of it".into()))?;
            total = total.saturating_add(bytes.len() as u64);
            entries.insert(name, Entry { dtype: info.dtype, shape: info.shape.clone(), bytes });
        }
        check(what, "the size of all tensors in bytes", total, limits.max_total_bytes)?;
        let metadata = parsed.metadata().clone().unwrap_or_default().into_iter().collect();
        Ok(Tensors { metadata, entries })
    }
}

impl Entry<'_> {
    /// Whether this is a tensor of that shape and dtype.
    pub(crate) fn is(&self, spec: Spec) -> bool {
        self.dtype == file_dtype(spec.dtype) && self.shape == spec.shape.dims()
    }

    /// Shape and dtype, for messages.
    pub(crate) fn describe(&self) -> String {
        let known = DType::ALL.into_iter().find(|&d| file_dtype(d) == self.dtype);
        let dtype = known.map_or_else(|| self.dtype.to_string(), |d| d.name().to_string());
        format!("{dtype} {:?}", self.shape)
    }

    /// The values. The caller has asked [`Entry::is`].
    ///
    /// # Errors
    /// Memory cannot be had, or truth values are neither 0 nor 1.
    pub(crate) fn tensor(&self, name: &str, dtype: DType) -> Result<Tensor> {
        let mut array = Array::new(Spec::new(Shape::new(&self.shape)?, dtype))?;
        dispatch_stored!(dtype, T => {
            let (values, rest) = self.bytes.as_chunks::<{ size_of::<T>() }>();
            let out = array.slice_mut::<T>()?;
            if values.len() != out.len() || !rest.is_empty() {
                return Err(Error::format(name, "the bytes are not as many as the shape needs"));
            }
            out.iter_mut().zip(values).for_each(|(o, v)| *o = T::from_le_bytes(*v));
        });
        if dtype == DType::Bool && array.slice::<u8>()?.iter().any(|&b| b > 1) {
            return Err(Error::format(name, "a truth value is neither 0 nor 1"));
        }
        Ok(array.into())
    }
}

/// The file of these tensors. Larger types come first, so that everything is aligned to its size; then by name.
///
/// # Errors
/// Two tensors have the same name, one has no values, or memory cannot be had.
pub(crate) fn write(what: &str, metadata: &[(&str, &str)], tensors: &[(String, Tensor)]) -> Result<Vec<u8>> {
    let json = |text: &str| serde_json::to_string(text).map_err(|e| Error::format(what, e.to_string()));
    let mut sorted: Vec<_> = tensors.iter().collect();
    sorted.sort_by_key(|(name, t)| (Reverse(file_dtype(t.dtype())), name));

    let mut header = String::from("{\"__metadata__\":{");
    for (i, (key, value)) in metadata.iter().enumerate() {
        header += &format!("{}{}:{}", if i > 0 { "," } else { "" }, json(key)?, json(value)?);
    }
    header.push('}');
    let mut names = std::collections::BTreeSet::from(["__metadata__"]);
    let mut at = 0usize;
    for (name, tensor) in &sorted {
        if !names.insert(name) {
            let why = format!("two tensors would be named {name:?}");
            return Err(Error::format(what, why));
        }
        let (start, dtype) = (at, file_dtype(tensor.dtype()));
        at += tensor.elements() * tensor.dtype().size();
        let shape: Vec<_> = tensor.dims().iter().map(usize::to_string).collect();
        let name = json(name)?;
        let shape = shape.join(",");
        header +=
            &format!(",{name}:{{\"dtype\":\"{dtype}\",\"shape\":[{shape}],\"data_offsets\":[{start},{at}]}}");
    }
    header.push('}');
    while header.len() % PREFIX != 0 {
        header.push(' ');
    }

    let mut out = Vec::new();
    let memory = || Error::Io { path: what.into(), source: std::io::ErrorKind::OutOfMemory.into() };
    out.try_reserve_exact(PREFIX + header.len() + at).map_err(|_| memory())?;
    out.extend((header.len() as u64).to_le_bytes());
    out.extend(header.as_bytes());
    for (_, tensor) in &sorted {
        let array = tensor.array().contiguous()?;
        dispatch_stored!(tensor.dtype(), T => array.slice::<T>()?.iter().for_each(|v| out.extend(v.to_le_bytes())));
    }
    Ok(out)
}

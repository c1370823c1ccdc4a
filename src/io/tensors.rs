//! Reads and writes named tensors in safetensors files. No file, whatever its contents, takes more time or memory
//! than the limits allow, and the same tensors always give the same bytes.

use super::json::{Outline, outline, parse};
use super::{Limits, check};
use crate::dtype::dispatch_stored;
use crate::tensor::{Array, Tensor};
use crate::{DType, Error, Result, Shape, Spec};
use serde_json::{Map, Value};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The bytes before the header, which hold its length.
const PREFIX: usize = 8;
/// The separators in a tensor's description, besides those of its shape.
const ITEMS: u64 = 8;
/// The separators that a header or configuration may always have.
const SPARE_ITEMS: u64 = 4096;

/// The element types of the format: name and bits, smaller ones first, as files sort them. The crate `safetensors`
/// would bring serde's derives, a sixth of a user's build, for this header; tests compare both.
const DTYPES: [(&str, usize); 19] = [
    ("BOOL", 8),
    ("F4", 4),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
    ("U8", 8),
    ("I8", 8),
    ("F8_E5M2", 8),
    ("F8_E4M3", 8),
    ("F8_E8M0", 8),
    ("I16", 16),
    ("U16", 16),
    ("F16", 16),
    ("BF16", 16),
    ("I32", 32),
    ("U32", 32),
    ("F32", 32),
    ("F64", 64),
    ("I64", 64),
    ("U64", 64),
];

/// An element type of the format: its index in [`DTYPES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Dtype(usize);

impl Dtype {
    fn of(name: &str) -> Option<Dtype> {
        DTYPES.iter().position(|(known, _)| *known == name).map(Dtype)
    }
    fn name(self) -> &'static str {
        DTYPES[self.0].0
    }
    fn bits(self) -> usize {
        DTYPES[self.0].1
    }
}

/// What the header says about a tensor.
struct Info {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    start: usize,
    end: usize,
}

/// Returns a header's metadata, and its tensors in the order of the file. Checks that element types are known,
/// products do not overflow, and `data` bytes are used without gap, overlap or rest.
fn header(text: &[u8], data: usize) -> std::result::Result<(Map<String, Value>, Vec<Info>), String> {
    let Value::Object(header) = parse(text)? else { return Err("its header is no JSON object".into()) };
    let (mut metadata, mut tensors) = (Map::new(), Vec::new());
    for (name, value) in header {
        if name == "__metadata__" {
            let Value::Object(pairs) = value else { return Err("its metadata is no object".into()) };
            if !pairs.values().all(Value::is_string) {
                return Err("its metadata has a value that is no text".into());
            }
            metadata = pairs;
            continue;
        }
        let bad = |what: &str| format!("the tensor {name:?} has no valid {what}");
        let number = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok());
        let numbers = |value: &Value| value.as_array()?.iter().map(number).collect::<Option<Vec<_>>>();
        let dtype = value["dtype"].as_str().and_then(Dtype::of).ok_or_else(|| bad("dtype"))?;
        let shape = numbers(&value["shape"]).ok_or_else(|| bad("shape"))?;
        let Some([start, end]) = numbers(&value["data_offsets"]).and_then(|o| <[usize; 2]>::try_from(o).ok())
        else {
            return Err(bad("data_offsets"));
        };
        tensors.push(Info { name, dtype, shape, start, end });
    }
    tensors.sort_by_key(|t| (t.start, t.end));
    let mut at = 0;
    for Info { name, dtype, shape, start, end } in &tensors {
        if *start != at || end < start {
            return Err(format!("the tensor {name:?} does not begin where the one before it ends"));
        }
        let elements = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let bits = elements.and_then(|n| n.checked_mul(dtype.bits()));
        if bits.is_none_or(|bits| bits % 8 != 0 || bits / 8 != end - start) {
            return Err(format!("the tensor {name:?} has other bytes than its shape and dtype need"));
        }
        at = *end;
    }
    match at == data {
        true => Ok((metadata, tensors)),
        false => Err(format!("its tensors take {at} bytes, but {data} follow the header")),
    }
}

/// A tensor as stored in a file.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: &'a [u8],
}

/// The contents of a file.
#[derive(Clone, Debug)]
pub(crate) struct Tensors<'a> {
    /// Metadata: texts by key.
    metadata: Map<String, Value>,
    pub(crate) entries: BTreeMap<String, Entry<'a>>,
}

fn file_dtype(dtype: DType) -> Dtype {
    let name = match dtype {
        DType::F32 => "F32",
        DType::F64 => "F64",
        DType::BF16 => "BF16",
        DType::F16 => "F16",
        DType::I64 => "I64",
        DType::I32 => "I32",
        DType::I8 => "I8",
        DType::U8 => "U8",
        DType::Bool => "BOOL",
    };
    Dtype::of(name).unwrap_or(Dtype(0))
}

/// Refuses JSON that would take more memory than the limits intend.
pub(crate) fn check_outline(what: &str, text: &Outline, limits: &Limits) -> Result<()> {
    check(what, "the nesting of its JSON", text.depth, limits.max_depth)?;
    let items =
        limits.max_tensors.saturating_mul(limits.max_rank.saturating_add(ITEMS)).saturating_add(SPARE_ITEMS);
    check(what, "the number of values in its JSON", text.items, items)
}

/// What a file of another format is by its first bytes, and what to do with it.
fn known(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    const KERAS: &str = "save the model's weights by name as safetensors (docs/saving.md has the lines of Python), build the network here and \
                         call load_weights";
    match bytes {
        [0x89, b'H', b'D', b'F', ..] => Some(("an HDF5 file, as Keras writes .h5", KERAS)),
        [b'P', b'K', 3, 4, ..] => Some(("a ZIP archive, as Keras writes .keras and PyTorch .pt", KERAS)),
        [0x80, 2..=5, ..] => Some((
            "a Python pickle",
            "it may run code when it is read, and is not read here: save as safetensors",
        )),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Some(("an array of NumPy", "gradus::io::npy reads it")),
        [0x1f, 0x8b, ..] => Some(("a gzip file", "unpack it (gunzip)")),
        _ => None,
    }
}

impl<'a> Tensors<'a> {
    /// Takes a file apart; the tensors' bytes stay in place.
    ///
    /// # Errors
    /// It is not a safetensors file, or it exceeds a limit.
    pub(crate) fn read(bytes: &'a [u8], what: &str, limits: &Limits) -> Result<Tensors<'a>> {
        let foreign = |why: String| Error::format(what, format!("not a safetensors file: {why}"));
        check(what, "the file's size in bytes", bytes.len() as u64, limits.max_file_bytes)?;
        let (prefix, rest) =
            bytes.split_first_chunk::<PREFIX>().ok_or_else(|| foreign("it ends before its header".into()))?;
        let declared = u64::from_le_bytes(*prefix);
        let header_bytes = usize::try_from(declared).ok().and_then(|n| rest.get(..n)).ok_or_else(|| {
            foreign(match known(bytes) {
                Some((kind, instead)) => format!("it is {kind}: {instead}"),
                None => format!("the header should have {declared} bytes, but {} follow", rest.len()),
            })
        })?;
        check(what, "the header's size in bytes", declared, limits.max_header_bytes)?;

        let text = outline(header_bytes);
        check_outline(what, &text, limits)?;
        check(what, "the number of tensors", text.keys.saturating_sub(1), limits.max_tensors)?;
        check(what, "the length of a name", text.longest_key, limits.max_name)?;

        let data = rest.get(header_bytes.len()..).unwrap_or_default();
        let (metadata, tensors) = header(header_bytes, data.len()).map_err(foreign)?;
        let mut entries = BTreeMap::new();
        let mut total = 0u64;
        for Info { name, dtype, shape, start, end } in tensors {
            check(&name, "the number of dimensions", shape.len() as u64, limits.max_rank)?;
            let elements = shape.iter().fold(1u64, |n, &d| n.saturating_mul(d as u64));
            check(&name, "the number of elements", elements, limits.max_elements)?;
            let bytes = data.get(start..end).ok_or_else(|| foreign("a tensor lies outside of it".into()))?;
            total = total.saturating_add(bytes.len() as u64);
            entries.insert(name, Entry { dtype, shape, bytes });
        }
        check(what, "the size of all tensors in bytes", total, limits.max_total_bytes)?;
        Ok(Tensors { metadata, entries })
    }
}

impl Tensors<'_> {
    /// Returns a text of the metadata.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key)?.as_str()
    }
}

impl Entry<'_> {
    /// Returns whether this tensor has that shape and dtype.
    pub(crate) fn is(&self, spec: Spec) -> bool {
        self.dtype == file_dtype(spec.dtype) && self.shape == spec.shape.dims()
    }

    /// Returns whether this tensor has that dtype.
    pub(crate) fn has(&self, dtype: DType) -> bool {
        self.dtype == file_dtype(dtype)
    }

    /// Returns shape and dtype, for messages.
    pub(crate) fn describe(&self) -> String {
        let known = DType::ALL.into_iter().find(|&d| file_dtype(d) == self.dtype);
        let dtype = known.map_or(self.dtype.name(), |d| d.name());
        format!("{dtype} {:?}", self.shape)
    }

    /// Returns the values. The caller has checked [`Entry::is`].
    ///
    /// # Errors
    /// There is not enough memory, or truth values are neither 0 nor 1.
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

/// Makes a file of these tensors. Larger types come first, so that everything is aligned to its size; then by name.
///
/// # Errors
/// Two tensors have the same name, one has no values, or there is not enough memory.
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
        let (start, dtype) = (at, file_dtype(tensor.dtype()).name());
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

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::SafeTensors;

    fn file() -> Vec<u8> {
        let tensors = [
            ("a".to_string(), Tensor::ones([2, 3]).unwrap()),
            ("b/c".to_string(), Tensor::arange(4).unwrap()),
            ("d".to_string(), Tensor::from_slice(&[true, false], [2]).unwrap()),
            ("e".to_string(), Tensor::zeros([0, 5]).unwrap()),
        ];
        write("test", &[("format", "gradus"), ("key", "a \"value\"")], &tensors).unwrap()
    }

    /// The reader of the crate `safetensors` accepts what is written and finds the same in it.
    #[test]
    fn the_crate_safetensors_reads_what_is_written() {
        let bytes = file();
        let theirs = SafeTensors::deserialize(&bytes).unwrap();
        let ours = Tensors::read(&bytes, "test", &Limits::default()).unwrap();
        assert_eq!(theirs.len(), ours.entries.len());
        for (name, entry) in &ours.entries {
            let view = theirs.tensor(name).unwrap();
            assert_eq!((view.shape(), view.data()), (&entry.shape[..], entry.bytes));
            assert_eq!(view.dtype().to_string(), entry.dtype.name());
        }
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = metadata.metadata().clone().unwrap();
        assert_eq!(metadata.len(), ours.metadata.len());
        let texts: BTreeMap<String, String> = metadata.into_iter().collect();
        assert!(texts.iter().all(|(key, text)| ours.metadata(key) == Some(text)));
    }

    /// Both readers accept the same files: each byte of the header is changed into several others.
    #[test]
    fn both_readers_accept_the_same_files() {
        let bytes = file();
        let n = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let mut accepted = 0;
        for at in 8..8 + n {
            for byte in *b"0129-,:\"{}[] aF" {
                let mut changed = bytes.clone();
                changed[at] = byte;
                let theirs = SafeTensors::deserialize(&changed).is_ok();
                let ours = Tensors::read(&changed, "test", &Limits::default());
                assert_eq!(ours.is_ok(), theirs, "byte {at} as {:?}: {:?}", char::from(byte), ours.err());
                accepted += usize::from(theirs);
            }
        }
        assert!(accepted > n, "{accepted}");
    }
}

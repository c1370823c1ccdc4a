//! Reads and writes NumPy's `.npy` files: one array, as a magic number, a version, a header that is a Python
//! dictionary with three keys, and the elements. Everything in the header is checked before anything is allocated.
//! The format is NumPy's `numpy.lib.format`, versions 1.0, 2.0 and 3.0.

use super::{Limits, check, read_file, write_atomically};
use crate::dtype::f16;
use crate::tensor::{Array, Tensor};
use crate::{DType, Error, Result, Shape, Spec, Stored};
use std::path::Path;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// NumPy pads a header so that the data begins at a multiple of this.
const ALIGN: usize = 64;
/// NumPy's own limit is 64.
const MOST_SIZES: usize = 64;
const STRUCTURED: &str = "a structured array (several fields of different types): save each field as an array of its own, as in numpy.save('a.npy', x['a'])";
/// NumPy leaves room for the first size to grow to this many digits.
const DIGITS: usize = 21;

/// Reads an array: float16, float32, float64, int64, int32, int8, uint8 and bool as they are, int16, uint16 and
/// uint32 as int64; in either byte order and either memory order. Where the header names no byte order (`'f4'`,
/// `'=f4'`, `'float32'`), it is little-endian, as on every machine that NumPy commonly runs on. Sizes may have
/// Python 2's `L` (`(2L, 3L)`).
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, otherwise the errors of [`decode`].
pub fn read(path: impl AsRef<Path>, limits: &Limits) -> Result<Tensor> {
    let path = path.as_ref();
    decode(&read_file(path, limits.max_file_bytes)?, &path.display().to_string(), limits)
}

/// Decodes the bytes of a `.npy` file; `what` names them in errors.
///
/// # Errors
/// [`Error::Format`] for another format, a damaged header, unsupported element types (text, complex numbers, dates,
/// objects, structures, uint64; the message says what to write instead), a length that does not fit the sizes, and
/// truth values that are neither 0 nor 1; [`Error::Limit`] for sizes over a limit.
pub fn decode(bytes: &[u8], what: &str, limits: &Limits) -> Result<Tensor> {
    check(what, "the file's size in bytes", bytes.len() as u64, limits.max_file_bytes)?;
    let (header, data) = cut(bytes, what, limits)?;
    let header = Header::parse(header)
        .map_err(|why| Error::format(what, format!("damaged header: {why}")))?
        .map_err(|why| Error::format(what, why))?;
    let (kind, big) = header.kind(what)?;
    check(what, "the number of dimensions", header.shape.len() as u64, limits.max_rank)?;
    let mut sizes = header.shape.clone();
    if header.fortran {
        sizes.reverse();
    }
    let shape = Shape::new(&sizes).map_err(|e| e.at(what))?;
    let overflow = || Error::format(what, format!("the product of the sizes {:?} overflows", header.shape));
    let count = shape.checked_elements().ok_or_else(overflow)?;
    check(what, "the number of elements", count as u64, limits.max_elements)?;
    let size = count.checked_mul(kind.dtype().size()).ok_or_else(overflow)?;
    check(what, "the decoded size in bytes", size as u64, limits.max_total_bytes)?;
    let needed = count.checked_mul(kind.bytes()).ok_or_else(overflow)?;
    if data.len() != needed {
        let found = data.len();
        let why =
            format!("sizes {:?} need {needed} bytes of data after the header, found {found}", header.shape);
        return Err(Error::format(what, why));
    }
    let mut array = Array::new(Spec::new(shape, kind.dtype()))?;
    kind.fill(data, big, &mut array, what)?;
    let tensor = Tensor::from(array);
    if !header.fortran || sizes.len() < 2 {
        return Ok(tensor);
    }
    let order: Vec<isize> = (0..sizes.len() as isize).rev().collect();
    tensor.permute(&order)?.contiguous()
}

/// Writes an array as `numpy.save` does: little-endian, in C order. It writes to a temporary name, then renames.
///
/// # Errors
/// [`Error::Io`], or those of [`encode`].
pub fn write(path: impl AsRef<Path>, tensor: &Tensor) -> Result<()> {
    write_atomically(path.as_ref(), &encode(tensor)?)
}

/// Returns the bytes that `numpy.save` would write.
///
/// # Errors
/// The tensor is bfloat16, which NumPy does not have, or has no values.
pub fn encode(tensor: &Tensor) -> Result<Vec<u8>> {
    let kind = match tensor.dtype() {
        DType::F32 => Kind::F32,
        DType::F64 => Kind::F64,
        DType::F16 => Kind::F16,
        DType::I64 => Kind::I64,
        DType::I32 => Kind::I32,
        DType::I8 => Kind::I8,
        DType::U8 => Kind::U8,
        DType::Bool => Kind::Bool,
        got => {
            return Err(Error::DType { op: "npy", expected: "a type that NumPy has (cast to float32)", got });
        }
    };
    let sizes: Vec<String> = tensor.dims().iter().map(usize::to_string).collect();
    let shape = match &sizes[..] {
        [one] => format!("({one},)"),
        many => format!("({})", many.join(", ")),
    };
    let mut header = format!("{{'descr': '{}', 'fortran_order': False, 'shape': {shape}, }}", kind.descr());
    if let Some(first) = sizes.first() {
        header.push_str(&" ".repeat(DIGITS.saturating_sub(first.len())));
    }
    let before = MAGIC.len() + 4;
    let padding = ALIGN - (before + header.len() + 1) % ALIGN;
    header.push_str(&" ".repeat(padding % ALIGN));
    header.push('\n');
    let mut out = MAGIC.to_vec();
    out.extend([1, 0]);
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.bytes());
    let array = tensor.array().contiguous()?;
    let size = tensor.elements() * tensor.dtype().size();
    let (bytes, dtype, shape) = (size as u128, tensor.dtype(), Box::new(*tensor.shape()));
    let why = "the system has no more memory for the file's bytes";
    out.try_reserve_exact(size).map_err(|_| Error::Memory { bytes, dtype, shape, why })?;
    match kind {
        Kind::F32 => array.slice::<f32>()?.iter().for_each(|v| out.extend(v.to_le_bytes())),
        Kind::F64 => array.slice::<f64>()?.iter().for_each(|v| out.extend(v.to_le_bytes())),
        Kind::F16 => array.slice::<f16>()?.iter().for_each(|v| out.extend(v.to_le_bytes())),
        Kind::I64 => array.slice::<i64>()?.iter().for_each(|v| out.extend(v.to_le_bytes())),
        Kind::I32 => array.slice::<i32>()?.iter().for_each(|v| out.extend(v.to_le_bytes())),
        Kind::I8 => array.slice::<i8>()?.iter().for_each(|v| out.extend(v.to_le_bytes())),
        _ => out.extend(array.slice::<u8>()?),
    }
    Ok(out)
}

/// Returns the header's text, and the data.
fn cut<'a>(bytes: &'a [u8], what: &str, limits: &Limits) -> Result<(&'a [u8], &'a [u8])> {
    let short =
        || Error::format(what, format!("cut short: the header does not end within {} bytes", bytes.len()));
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        let why = match bytes {
            [b'P', b'K', ..] => "not a .npy file but a ZIP archive, as numpy.savez writes: use npz::read",
            [0x1f, 0x8b, ..] => "not a .npy file but a gzip file: unpack it (gunzip)",
            [0x80, ..] => {
                "not a .npy file but a pickle, which is code and is not read: write it with numpy.save"
            }
            _ => r"not a .npy file: it should begin with \x93NUMPY",
        };
        return Err(Error::format(what, why));
    };
    let (&[major, minor], rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let (length, rest) = match (major, minor) {
        (1, 0) => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(short)?;
            (u32::from(u16::from_le_bytes(*length)), rest)
        }
        (2 | 3, 0) => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(short)?;
            (u32::from_le_bytes(*length), rest)
        }
        _ => {
            let why = format!("version {major}.{minor} of the .npy format: expected 1.0, 2.0 or 3.0");
            return Err(Error::format(what, why));
        }
    };
    check(what, "the header's size in bytes", length.into(), limits.max_header_bytes)?;
    rest.split_at_checked(length as usize).ok_or_else(short)
}

/// How elements are stored in the file.
#[derive(Clone, Copy)]
enum Kind {
    F16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    Bool,
}

impl Kind {
    fn dtype(self) -> DType {
        match self {
            Kind::F16 => DType::F16,
            Kind::F32 => DType::F32,
            Kind::F64 => DType::F64,
            Kind::I32 => DType::I32,
            Kind::I8 => DType::I8,
            Kind::U8 => DType::U8,
            Kind::Bool => DType::Bool,
            _ => DType::I64,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Kind::I8 | Kind::U8 | Kind::Bool => 1,
            Kind::F16 | Kind::I16 | Kind::U16 => 2,
            Kind::F32 | Kind::I32 | Kind::U32 => 4,
            Kind::F64 | Kind::I64 => 8,
        }
    }

    /// Returns NumPy's name for types that are written.
    fn descr(self) -> &'static str {
        match self {
            Kind::F16 => "<f2",
            Kind::F32 => "<f4",
            Kind::F64 => "<f8",
            Kind::I32 => "<i4",
            Kind::I8 => "|i1",
            Kind::U8 => "|u1",
            Kind::Bool => "|b1",
            _ => "<i8",
        }
    }

    /// Copies elements into memory; there are as many as the array has.
    fn fill(self, data: &[u8], big: bool, array: &mut Array, what: &str) -> Result<()> {
        match self {
            Kind::F16 => load(data, big, array, f16::from_le_bytes),
            Kind::F32 => load(data, big, array, f32::from_le_bytes),
            Kind::F64 => load(data, big, array, f64::from_le_bytes),
            Kind::I8 => load(data, big, array, i8::from_le_bytes),
            Kind::I16 => load(data, big, array, |b| i64::from(i16::from_le_bytes(b))),
            Kind::I32 => load(data, big, array, i32::from_le_bytes),
            Kind::I64 => load(data, big, array, i64::from_le_bytes),
            Kind::U16 => load(data, big, array, |b| i64::from(u16::from_le_bytes(b))),
            Kind::U32 => load(data, big, array, |b| i64::from(u32::from_le_bytes(b))),
            Kind::U8 => load(data, big, array, u8::from_le_bytes),
            Kind::Bool => {
                if let Some((i, v)) = data.iter().enumerate().find(|(_, v)| **v > 1) {
                    let why = format!("truth value {v} at position {i}: expected 0 or 1");
                    return Err(Error::format(what, why));
                }
                load(data, big, array, u8::from_le_bytes)
            }
        }
    }
}

fn load<const N: usize, T: Stored>(
    data: &[u8],
    big: bool,
    array: &mut Array,
    value: impl Fn([u8; N]) -> T,
) -> Result<()> {
    let out = array.slice_mut::<T>()?;
    for (o, &bytes) in out.iter_mut().zip(data.as_chunks::<N>().0) {
        let mut bytes: [u8; N] = bytes;
        if big {
            bytes.reverse();
        }
        *o = value(bytes);
    }
    Ok(())
}

/// The contents of the dictionary.
#[derive(Debug, PartialEq)]
struct Header {
    descr: String,
    fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    fn kind(&self, what: &str) -> Result<(Kind, bool)> {
        let name = self.descr.trim_start_matches(['<', '>', '=', '|']);
        let big = match &self.descr[..self.descr.len() - name.len()] {
            "" | "<" | "=" | "|" => false,
            ">" => true,
            _ => return Err(self.unsupported(name, what)),
        };
        let kind = match name {
            "f2" | "e" | "float16" => Kind::F16,
            "f4" | "f" | "float32" => Kind::F32,
            "f8" | "d" | "float64" => Kind::F64,
            "i1" | "b" | "int8" => Kind::I8,
            "i2" | "h" | "int16" => Kind::I16,
            "i4" | "i" | "int32" => Kind::I32,
            "i8" | "q" | "int64" => Kind::I64,
            "u1" | "B" | "uint8" => Kind::U8,
            "u2" | "H" | "uint16" => Kind::U16,
            "u4" | "I" | "uint32" => Kind::U32,
            "b1" | "?" | "bool" => Kind::Bool,
            _ => return Err(self.unsupported(name, what)),
        };
        Ok((kind, big))
    }

    /// The error that such elements cannot be read, with what to write instead.
    fn unsupported(&self, name: &str, what: &str) -> Error {
        let instead = match name.as_bytes() {
            [b'O', ..] => ": these are Python objects (a pickle, which is code): save an array of numbers",
            [b'U' | b'S' | b'a', ..] => {
                ": this is text: save numbers, such as those of numpy.unique(x, return_inverse=True)"
            }
            [b'c', ..] => ": complex numbers: save x.real and x.imag",
            [b'M' | b'm', ..] => ": dates: save x.astype('int64')",
            b"u8" | b"uint64" => ": save x.astype('int64')",
            [b'V', ..] => ": structures: save each of their fields",
            b"f16" | b"g" => ": save x.astype('float64')",
            _ => "",
        };
        let why = format!(
            "elements of type '{}': expected floats of 16, 32 or 64 bits, signed integers of up to 64, unsigned ones of up to 32, or bool{instead}",
            head(&self.descr)
        );
        Error::format(what, why)
    }

    /// Parses `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`, with keys in any order; or says what
    /// is valid but not supported.
    fn parse(text: &[u8]) -> Result<Result<Header, &'static str>, String> {
        let text = std::str::from_utf8(text).map_err(|_| "it is not text".to_string())?;
        let mut at = Cursor(text.trim());
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        at.expect("{")?;
        while !at.accept("}") {
            let key = at.string()?;
            at.expect(":")?;
            let twice = match key {
                "descr" if at.0.starts_with('[') => return Ok(Err(STRUCTURED)),
                "descr" => descr.replace(at.string()?.to_string()).is_some(),
                "fortran_order" => fortran.replace(at.truth()?).is_some(),
                "shape" => shape.replace(at.sizes()?).is_some(),
                other => return Err(format!("unknown key '{}'", head(other))),
            };
            if twice {
                return Err(format!("'{key}' is there twice"));
            }
            if !at.accept(",") {
                at.expect("}")?;
                break;
            }
        }
        if !at.0.is_empty() {
            return Err(format!("'{}' follows the dictionary", head(at.0)));
        }
        match (descr, fortran, shape) {
            (Some(descr), Some(fortran), Some(shape)) => Ok(Ok(Header { descr, fortran, shape })),
            _ => Err("it needs 'descr', 'fortran_order' and 'shape'".into()),
        }
    }
}

/// Returns the first words of a text, for messages.
fn head(text: &str) -> &str {
    &text[..text.char_indices().nth(20).map_or(text.len(), |(i, _)| i)]
}

/// The rest of a text that is being parsed.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn accept(&mut self, token: &str) -> bool {
        match self.0.strip_prefix(token) {
            Some(rest) => {
                self.0 = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.accept(token) { Ok(()) } else { Err(format!("expected '{token}', found '{}'", head(self.0))) }
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let quoted = self.0.strip_prefix('\'').map(|t| (t, '\''));
        let quoted = quoted.or_else(|| self.0.strip_prefix('"').map(|t| (t, '"')));
        let found = quoted.and_then(|(text, quote)| text.split_once(quote));
        let (string, rest) = found.ok_or_else(|| format!("expected a string, found '{}'", head(self.0)))?;
        self.0 = rest.trim_start();
        Ok(string)
    }

    fn truth(&mut self) -> Result<bool, String> {
        match (self.accept("True"), self.accept("False")) {
            (true, _) => Ok(true),
            (_, true) => Ok(false),
            _ => Err(format!("expected True or False, found '{}'", head(self.0))),
        }
    }

    fn sizes(&mut self) -> Result<Vec<usize>, String> {
        let mut sizes = Vec::new();
        self.expect("(")?;
        while !self.accept(")") {
            let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
            let (digits, rest) = self.0.split_at(end);
            sizes.push(digits.parse().map_err(|_| format!("expected a size, found '{}'", head(self.0)))?);
            if sizes.len() > MOST_SIZES {
                return Err(format!("more than {MOST_SIZES} dimensions"));
            }
            // Python 2 wrote its long integers like this.
            self.0 = rest.strip_prefix('L').unwrap_or(rest).trim_start();
            if !self.accept(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(sizes)
    }
}

//! Reads IDX files, the format of MNIST and its relatives (Fashion-MNIST, KMNIST, EMNIST), plain or gzip: a
//! four-byte magic (two zeros, a type code, the rank), one big-endian u32 per axis, then the elements in row-major
//! order. Everything in the header is checked before anything is allocated.

use crate::io::{Limits, check, read_file};
use crate::{Error, MAX_RANK, Result, Shape};
use std::path::Path;

/// The type code of unsigned bytes.
const U8: u8 = 0x08;
/// The first two bytes of every gzip stream.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The contents of an IDX file of unsigned bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// The sizes; the first is the number of examples.
    pub shape: Shape,
    /// The elements in row-major order, exactly as many as the shape says.
    pub data: Vec<u8>,
}

/// Reads an IDX file, plain or gzip, which its first bytes tell, not its name.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, otherwise the errors of [`decode`].
pub fn read(path: impl AsRef<Path>, limits: &Limits) -> Result<Idx> {
    let path = path.as_ref();
    let bytes = read_file(path, limits.max_file_bytes)?;
    decode(&bytes, &path.display().to_string(), limits)
}

/// Decodes the bytes of an IDX file, plain or gzip; `what` names them in errors.
///
/// # Errors
/// Those of [`parse`]; for gzip also a stream that is damaged, cut short, or unpacks to too much, and bytes after
/// its end. Without the feature `datasets`, gzip is an error that names the feature.
pub fn decode(bytes: &[u8], what: &str, limits: &Limits) -> Result<Idx> {
    if bytes.starts_with(&GZIP) { gunzip(bytes, what, limits) } else { parse(bytes, what, limits) }
}

/// Decodes the bytes of a plain IDX file; `what` names them in errors.
///
/// # Errors
/// [`Error::Format`] for a wrong magic number, elements that are not unsigned bytes, sizes whose product overflows,
/// and a length that does not fit the sizes; [`Error::Limit`] for sizes over a limit.
pub fn parse(bytes: &[u8], what: &str, limits: &Limits) -> Result<Idx> {
    check(what, "the file's size in bytes", bytes.len() as u64, limits.max_file_bytes)?;
    let (magic, rest) = bytes.split_first_chunk().ok_or_else(|| short(what, 4, bytes.len()))?;
    let rank = rank_of(*magic, what, limits)?;
    let header = 4 + 4 * rank;
    let (sizes, data) = rest.split_at_checked(4 * rank).ok_or_else(|| short(what, header, bytes.len()))?;
    let (shape, count) = sizes_of(sizes, what, limits)?;
    if data.len() != count {
        let (sizes, found) = (shape.dims(), data.len());
        let why = format!("sizes {sizes:?} need {count} bytes of data after the header, found {found}");
        return Err(Error::format(what, why));
    }
    let mut owned = reserve(shape, count)?;
    owned.extend_from_slice(data);
    Ok(Idx { shape, data: owned })
}

/// Checks the first four bytes and returns the rank.
fn rank_of([z0, z1, code, rank]: [u8; 4], what: &str, limits: &Limits) -> Result<usize> {
    if (z0, z1) != (0, 0) {
        let why = format!("not an IDX file: it should begin with two zero bytes, found {z0:#04x} {z1:#04x}");
        return Err(Error::format(what, why));
    }
    if code != U8 {
        let name = match code {
            0x09 => "i8",
            0x0b => "i16",
            0x0c => "i32",
            0x0d => "f32",
            0x0e => "f64",
            _ => "no known type",
        };
        let why = format!("only IDX files of u8 (type code 0x08) can be read, found {code:#04x} ({name})");
        return Err(Error::format(what, why));
    }
    check(what, "the number of dimensions", u64::from(rank), limits.max_rank)?;
    if rank == 0 || usize::from(rank) > MAX_RANK {
        return Err(Error::format(what, format!("expected 1 to {MAX_RANK} dimensions, found {rank}")));
    }
    Ok(usize::from(rank))
}

/// Reads the sizes and returns the shape and its number of elements.
fn sizes_of(bytes: &[u8], what: &str, limits: &Limits) -> Result<(Shape, usize)> {
    let sizes: Vec<u32> =
        bytes.as_chunks().0.iter().map(|&size: &[u8; 4]| u32::from_be_bytes(size)).collect();
    let overflow = || Error::format(what, format!("the product of the sizes {sizes:?} overflows"));
    let dims = sizes.iter().map(|&d| usize::try_from(d)).collect::<Result<Vec<usize>, _>>();
    let shape = Shape::new(&dims.map_err(|_| overflow())?)?;
    let count = shape.checked_elements().ok_or_else(overflow)?;
    check(what, "the number of elements", count as u64, limits.max_elements)?;
    check(what, "the decoded size in bytes", count as u64, limits.max_total_bytes)?;
    Ok((shape, count))
}

/// Returns an empty vector with room for `count` bytes, or the error that there is not enough memory.
fn reserve(shape: Shape, count: usize) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    data.try_reserve_exact(count).map_err(|_| Error::Memory {
        bytes: count as u128,
        dtype: crate::DType::U8,
        shape: Box::new(shape),
        why: "the system has no memory left",
    })?;
    Ok(data)
}

fn short(what: &str, header: usize, found: usize) -> Error {
    Error::format(what, format!("cut short: the header needs {header} bytes, found {found}"))
}

#[cfg(not(feature = "datasets"))]
fn gunzip(_: &[u8], what: &str, _: &Limits) -> Result<Idx> {
    let why = "this is a gzip file: enable the feature `datasets` of gradus, or unpack it (gunzip)";
    Err(Error::format(what, why))
}

/// Decodes a gzip stream of exactly one IDX file, in one member or several. The header inside says how many bytes
/// may come out, and at most one byte beyond is ever read.
#[cfg(feature = "datasets")]
fn gunzip(bytes: &[u8], what: &str, limits: &Limits) -> Result<Idx> {
    use std::io::Read;
    /// The most that Deflate can expand one byte to.
    const MOST: usize = 1032;

    check(what, "the file's size in bytes", bytes.len() as u64, limits.max_file_bytes)?;
    let damaged = |e: std::io::Error| Error::format(what, format!("damaged or cut gzip stream: {e}"));
    let mut stream = super::gzip::Gzip::new(bytes);
    let mut magic = [0; 4];
    stream.read_exact(&mut magic).map_err(damaged)?;
    let rank = rank_of(magic, what, limits)?;
    let mut sizes = [0; 4 * MAX_RANK];
    let sizes = &mut sizes[..4 * rank]; // rank_of has checked it
    stream.read_exact(sizes).map_err(damaged)?;
    let (shape, count) = sizes_of(sizes, what, limits)?;
    let dims = shape.dims();
    if count / MOST > bytes.len() {
        let packed = bytes.len();
        let why =
            format!("sizes {dims:?} need {count} bytes of data, more than {packed} bytes of gzip can hold");
        return Err(Error::format(what, why));
    }
    let mut data = reserve(shape, count)?;
    stream.by_ref().take(count as u64).read_to_end(&mut data).map_err(damaged)?;
    if data.len() != count {
        let found = data.len();
        let why = format!("sizes {dims:?} need {count} bytes of data after the header, found {found}");
        return Err(Error::format(what, why));
    }
    // Reading past the end also makes the decoder compare the checksum, and open the next member if there is one.
    if stream.read(&mut [0]).map_err(damaged)? != 0 {
        let why = format!("sizes {dims:?} need {count} bytes of data after the header, found more");
        return Err(Error::format(what, why));
    }
    Ok(Idx { shape, data })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(sizes: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, sizes.len() as u8];
        bytes.extend(sizes.iter().flat_map(|s| s.to_be_bytes()));
        bytes.extend_from_slice(data);
        bytes
    }

    fn plain(bytes: &[u8]) -> Result<Idx> {
        parse(bytes, "test", &Limits::default())
    }

    fn why(result: Result<Idx>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn reads_what_was_written() {
        let idx = plain(&encode(&[2, 3], &[1, 2, 3, 4, 5, 6])).unwrap();
        assert_eq!(idx, Idx { shape: Shape::new(&[2, 3]).unwrap(), data: vec![1, 2, 3, 4, 5, 6] });
        assert_eq!(plain(&encode(&[0, 28, 28], &[])).unwrap().shape, [0, 28, 28]);
    }

    #[test]
    fn every_cut_and_every_extra_byte_is_an_error() {
        let bytes = encode(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        for n in 0..bytes.len() {
            assert!(plain(&bytes[..n]).is_err(), "{n} bytes");
        }
        assert_eq!(why(plain(&bytes[..3])), "test: cut short: the header needs 4 bytes, found 3");
        assert_eq!(why(plain(&bytes[..11])), "test: cut short: the header needs 12 bytes, found 11");
        let text = why(plain(&bytes[..17]));
        assert_eq!(text, "test: sizes [2, 3] need 6 bytes of data after the header, found 5");
        let long = [&bytes[..], &[0]].concat();
        assert_eq!(why(plain(&long)), "test: sizes [2, 3] need 6 bytes of data after the header, found 7");
    }

    #[test]
    fn a_wrong_magic_says_what_it_found() {
        assert!(why(plain(b"PK\x03\x04")).contains("found 0x50 0x4b"));
        assert!(why(plain(&[0, 0, 0x0d, 1, 0, 0, 0, 0])).contains("found 0x0d (f32)"));
        assert!(why(plain(&[0, 0, 0x42, 1, 0, 0, 0, 0])).contains("no known type"));
        assert!(why(plain(&[0, 0, 8, 0, 7])).contains("expected 1 to 8 dimensions, found 0"));
        let wide = parse(&encode(&[1; 9], &[0]), "test", &Limits::default().max_rank(255));
        assert!(why(wide).contains("expected 1 to 8 dimensions, found 9"));
    }

    #[test]
    fn sizes_that_overflow_or_exceed_memory_are_errors() {
        let text = why(plain(&encode(&[u32::MAX; 3], &[])));
        assert_eq!(text, "test: the product of the sizes [4294967295, 4294967295, 4294967295] overflows");
        assert!(plain(&encode(&[u32::MAX; 8], &[])).is_err());
        assert!(matches!(plain(&encode(&[u32::MAX], &[])), Err(Error::Limit { .. })));
        let open = Limits::default().max_elements(u64::MAX).max_total_bytes(u64::MAX);
        assert!(why(parse(&encode(&[u32::MAX], &[]), "test", &open)).contains("found 0"));
        assert_eq!(plain(&encode(&[u32::MAX, u32::MAX, u32::MAX, 0], &[])).unwrap().data, [0u8; 0]);
    }

    #[test]
    fn limits_hold_exactly() {
        let bytes = encode(&[2, 3], &[0; 6]);
        type Setter = fn(Limits, u64) -> Limits;
        let set: [(u64, Setter); 4] = [
            (2, Limits::max_rank),
            (6, Limits::max_elements),
            (6, Limits::max_total_bytes),
            (18, Limits::max_file_bytes),
        ];
        for (n, limit) in set {
            assert!(parse(&bytes, "test", &limit(Limits::default(), n + 1)).is_ok());
            assert!(parse(&bytes, "test", &limit(Limits::default(), n)).is_ok());
            let below = parse(&bytes, "test", &limit(Limits::default(), n - 1));
            assert!(matches!(below, Err(Error::Limit { got, limit, .. }) if got == n && limit == n - 1));
        }
    }

    #[cfg(not(feature = "datasets"))]
    #[test]
    fn without_the_feature_gzip_says_which_one() {
        assert!(why(decode(&[0x1f, 0x8b, 8, 0], "test", &Limits::default())).contains("`datasets`"));
    }

    #[cfg(feature = "datasets")]
    mod gzip {
        use super::*;
        use std::io::Write;

        fn pack(bytes: &[u8]) -> Vec<u8> {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }

        fn unpack(bytes: &[u8]) -> Result<Idx> {
            decode(bytes, "test", &Limits::default())
        }

        #[test]
        fn reads_the_same_as_plain() {
            let bytes = encode(&[100, 3], &(0..300).map(|i| i as u8).collect::<Vec<u8>>());
            assert_eq!(unpack(&pack(&bytes)).unwrap(), plain(&bytes).unwrap());
            assert_eq!(unpack(&bytes).unwrap(), plain(&bytes).unwrap());
            assert_eq!(unpack(&pack(&encode(&[0], &[]))).unwrap().data, [0u8; 0]);
        }

        #[test]
        fn every_cut_every_flipped_checksum_and_every_extra_byte_is_an_error() {
            let packed = pack(&encode(&[2, 3], &[1, 2, 3, 4, 5, 6]));
            for n in 0..packed.len() {
                assert!(unpack(&packed[..n]).is_err(), "{n} bytes");
            }
            for back in 1..=8 {
                let mut bent = packed.clone();
                bent[packed.len() - back] ^= 1;
                assert!(why(unpack(&bent)).contains("damaged or cut gzip stream"), "{back}");
            }
            let text = why(unpack(&[&packed[..], b"x"].concat()));
            assert_eq!(text, "test: damaged or cut gzip stream: what follows its end is no gzip");
            assert!(unpack(&[&packed[..], &packed[..]].concat()).is_err());
        }

        #[test]
        fn several_members_are_one_stream() {
            let bytes = encode(&[2, 3], &[1, 2, 3, 4, 5, 6]);
            for cut in 0..=bytes.len() {
                let members = [pack(&bytes[..cut]), pack(&[]), pack(&bytes[cut..])].concat();
                assert_eq!(unpack(&members).unwrap(), plain(&bytes).unwrap(), "{cut}");
                // The checksum of the last member is compared as well.
                let mut bent = members.clone();
                bent[members.len() - 5] ^= 1;
                assert!(unpack(&bent).is_err(), "{cut}");
            }
        }

        #[test]
        fn the_inner_length_must_fit() {
            let short = why(unpack(&pack(&encode(&[2, 3], &[0; 5]))));
            assert_eq!(short, "test: sizes [2, 3] need 6 bytes of data after the header, found 5");
            let long = why(unpack(&pack(&encode(&[2, 3], &[0; 7]))));
            assert_eq!(long, "test: sizes [2, 3] need 6 bytes of data after the header, found more");
        }

        #[test]
        fn a_bomb_is_stopped_by_its_own_header_or_by_the_limits() {
            let zeros = vec![0; 8 << 20];
            let lies = pack(&encode(&[10], &zeros));
            assert!(lies.len() < 10_000);
            assert!(why(unpack(&lies)).contains("found more"));
            let honest = pack(&encode(&[8 << 20], &zeros));
            let tight = Limits::default().max_total_bytes((8 << 20) - 1);
            assert!(matches!(decode(&honest, "test", &tight), Err(Error::Limit { .. })));
            assert_eq!(unpack(&honest).unwrap().data.len(), 8 << 20);
            let boasts = pack(&encode(&[1 << 30], &[]));
            assert!(why(unpack(&boasts)).contains("bytes of gzip can hold"));
        }

        proptest! {
            #[test]
            fn gzip_of_anything_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
                let _ = unpack(&pack(&bytes));
                let _ = unpack(&[&GZIP[..], &[8, 0], &bytes].concat());
            }
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let limits = Limits::default();
            let _ = decode(&bytes, "test", &limits);
            let _ = decode(&[&[0, 0, 8], &bytes[..]].concat(), "test", &limits);
        }

        #[test]
        fn round_trip(sizes in proptest::collection::vec(0u32..5, 1..=5), seed: u8) {
            let count = sizes.iter().product::<u32>();
            let data: Vec<u8> = (0..count).map(|i| (i as u8).wrapping_mul(31) ^ seed).collect();
            let idx = plain(&encode(&sizes, &data)).unwrap();
            prop_assert_eq!(idx.shape.dims(), sizes.iter().map(|&s| s as usize).collect::<Vec<usize>>());
            prop_assert_eq!(idx.data, data);
        }
    }
}

//! `Limits`: what a reader may take from a file. A few bytes of header can ask for any amount of memory or time, so
//! every reader of this crate checks what a file declares against these limits before it allocates or recurses.

use crate::{Error, MAX_RANK, Result};

/// What a reader may take from a file before it gives up with [`Error::Limit`].
///
/// A limit is the largest value that is still accepted. The defaults fit data sets and models for an ordinary
/// machine; a program that reads untrusted files should set tighter ones, and one that reads its own large files
/// may raise them.
///
/// ```
/// use gradus::io::Limits;
/// let small = Limits::default().max_file_bytes(1 << 20).max_rank(2);
/// assert_eq!(small.max_rank, 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of the file on disk, compressed or not. Default 4 GiB.
    pub max_file_bytes: u64,
    /// Bytes of a header, a configuration or a row of a table: the part that is parsed rather than copied. Each
    /// cell of a row counts 64 bytes more than its text. Default 16 MiB.
    pub max_header_bytes: u64,
    /// Elements of one tensor. Default 2^30.
    pub max_elements: u64,
    /// Bytes of all tensors together, after decompression. Default 4 GiB.
    pub max_total_bytes: u64,
    /// Tensors in one file. Default 65,536.
    pub max_tensors: u64,
    /// Axes of one tensor; never more than [`MAX_RANK`]. Default 8.
    pub max_rank: u64,
    /// Nesting of objects and arrays in JSON. Default 64.
    pub max_depth: u64,
    /// Bytes of one name (of a tensor, a layer or a key). Default 1,024.
    pub max_name: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_file_bytes: 4 << 30,
            max_header_bytes: 16 << 20,
            max_elements: 1 << 30,
            max_total_bytes: 4 << 30,
            max_tensors: 1 << 16,
            max_rank: MAX_RANK as u64,
            max_depth: 64,
            max_name: 1 << 10,
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident)*) => {
        impl Limits {
            $($(#[$doc])* #[must_use] pub fn $name(mut self, limit: u64) -> Limits {
                self.$name = limit;
                self
            })*
        }
    };
}

setters! {
    /// Sets the largest file, in bytes on disk.
    max_file_bytes
    /// Sets the largest header, or row of a table, in bytes.
    max_header_bytes
    /// Sets the largest number of elements of one tensor.
    max_elements
    /// Sets the largest total size of all tensors of a file, in bytes.
    max_total_bytes
    /// Sets the largest number of tensors in a file.
    max_tensors
    /// Sets the largest number of axes of a tensor.
    max_rank
    /// Sets the deepest nesting in JSON.
    max_depth
    /// Sets the longest name, in bytes.
    max_name
}

/// Fails if `got` is over `limit`; `what` is the file, and `quantity` names the size.
pub(crate) fn check(what: &str, quantity: &'static str, got: u64, limit: u64) -> Result<()> {
    if got > limit {
        return Err(Error::Limit { what: what.to_owned(), quantity, got, limit });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_the_last_accepted_value() {
        assert!(check("f", "size", 9, 10).is_ok());
        assert!(check("f", "size", 10, 10).is_ok());
        let e = check("f", "size", 11, 10).unwrap_err();
        assert!(e.to_string().starts_with("f: size is 11, over the limit of 10"), "{e}");
    }

    #[test]
    fn each_setter_sets_its_own_field() {
        let all = Limits::default()
            .max_file_bytes(1)
            .max_header_bytes(2)
            .max_elements(3)
            .max_total_bytes(4)
            .max_tensors(5)
            .max_rank(6)
            .max_depth(7)
            .max_name(8);
        let expected = Limits {
            max_file_bytes: 1,
            max_header_bytes: 2,
            max_elements: 3,
            max_total_bytes: 4,
            max_tensors: 5,
            max_rank: 6,
            max_depth: 7,
            max_name: 8,
        };
        assert_eq!(all, expected);
    }
}

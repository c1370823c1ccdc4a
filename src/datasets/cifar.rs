//! Reads the binary format of CIFAR-10 and CIFAR-100: records of one or two label bytes and three planes of 32x32
//! pixels. There is no header, so only sizes and labels can be checked, and they are.

use super::{Split, cache};
#[cfg(feature = "datasets")]
use crate::io::open_file;
use crate::io::{Limits, check, read_file};
use crate::{DType, Error, Result, Tensor};
use std::path::{Path, PathBuf};

/// Rows and columns of an image.
pub(super) const SIDE: usize = 32;
const PIXELS: usize = SIDE * SIDE;
const CHANNELS: usize = 3;

/// What distinguishes the two.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) source: &'static str,
    /// The folder in the cache.
    pub(super) folder: &'static str,
    /// The published archive, and the folder in it.
    pub(super) archive: &'static str,
    pub(super) inner: &'static str,
    /// The files of the training set in their order, and the file of the test set.
    pub(super) train: &'static [&'static str],
    pub(super) test: &'static [&'static str],
    /// Records in each file of the training set, and in the file of the test set.
    pub(super) records: (usize, usize),
    /// The number of classes of each label byte of a record.
    pub(super) labels: &'static [usize],
}

/// Images and labels as in the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw {
    /// The pixels, image after image, row by row, with red, green and blue of each pixel together:
    /// `n * 32 * 32 * 3` bytes.
    pub images: Vec<u8>,
    /// Each image's label bytes: one for CIFAR-10; the coarse and then the fine one for CIFAR-100.
    pub labels: Vec<u8>,
    /// The number of images.
    pub n: usize,
}

impl Kind {
    /// Bytes of a record.
    fn record(&self) -> usize {
        self.labels.len() + CHANNELS * PIXELS
    }

    /// Decodes whole records.
    pub(super) fn decode(&self, bytes: &[u8], what: &str, limits: &Limits) -> Result<Raw> {
        let mut raw = Raw::default();
        check(what, "the file's size in bytes", bytes.len() as u64, limits.max_file_bytes)?;
        self.append(bytes, what, limits, &mut raw)?;
        Ok(raw)
    }

    fn append(&self, bytes: &[u8], what: &str, limits: &Limits, raw: &mut Raw) -> Result<()> {
        let record = self.record();
        if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
            let why = format!("{} records have {record} bytes each, found {} bytes", self.name, bytes.len());
            return Err(Error::format(what, why));
        }
        let total = raw.images.len().saturating_add(bytes.len()) as u64;
        check(what, "the number of elements", total, limits.max_elements)?;
        check(what, "the decoded size in bytes", total, limits.max_total_bytes)?;
        let full = || Error::Io { path: what.to_string(), source: std::io::ErrorKind::OutOfMemory.into() };
        raw.images.try_reserve_exact(bytes.len()).map_err(|_| full())?;
        for (i, record) in bytes.chunks_exact(record).enumerate() {
            let (labels, planes) = record.split_at(self.labels.len());
            for (&label, &classes) in labels.iter().zip(self.labels) {
                if usize::from(label) >= classes {
                    let why = format!("label {label} at position {i}: expected 0 to {}", classes - 1);
                    return Err(Error::format(what, why));
                }
            }
            raw.labels.extend(labels);
            for at in 0..PIXELS {
                raw.images.extend([planes[at], planes[PIXELS + at], planes[2 * PIXELS + at]]);
            }
            raw.n += 1;
        }
        Ok(())
    }

    /// The training and the test set from a folder.
    pub(super) fn load(&self, dir: &Path, limits: &Limits) -> Result<(Raw, Raw)> {
        let names = || self.train.iter().chain(self.test).copied();
        let place = [dir.to_path_buf(), dir.join(self.inner)];
        if let Some(dir) = place.iter().find(|dir| names().all(|name| dir.join(name).is_file())) {
            let read = |name: &str| {
                let path = dir.join(name);
                Ok((read_file(&path, limits.max_file_bytes)?, path.display().to_string()))
            };
            return self.join(read, limits);
        }
        let archive = dir.join(self.archive);
        if archive.is_file() {
            return self.unpack(&archive, limits);
        }
        let why = format!(
            "no {} in this folder; looked for {}, there and in {}, and for {}: get it from \
             https://www.cs.toronto.edu/~kriz/cifar.html (binary version), or with the feature `download` and \
             Download::{}().fetch_to_cache()",
            self.name,
            names().collect::<Vec<_>>().join(", "),
            self.inner,
            self.archive,
            self.folder,
        );
        Err(cache::not_found(dir, why))
    }

    /// Joins both sets from files of exactly the published size.
    fn join(
        &self,
        mut read: impl FnMut(&str) -> Result<(Vec<u8>, String)>,
        limits: &Limits,
    ) -> Result<(Raw, Raw)> {
        let mut both = [Raw::default(), Raw::default()];
        let files = [(self.train, self.records.0), (self.test, self.records.1)];
        for (raw, (names, records)) in both.iter_mut().zip(files) {
            for name in names {
                let (bytes, what) = read(name)?;
                let size = records * self.record();
                if bytes.len() != size {
                    let found = bytes.len();
                    return Err(Error::format(
                        what,
                        format!("{} has {size} bytes here, found {found}", self.name),
                    ));
                }
                self.append(&bytes, &what, limits, raw)?;
            }
        }
        Ok(both.into())
    }

    #[cfg(not(feature = "datasets"))]
    fn unpack(&self, archive: &Path, _: &Limits) -> Result<(Raw, Raw)> {
        let why = "this is a gzip file: enable the feature `datasets` of gradus, or unpack it (tar xzf)";
        Err(Error::format(archive.display().to_string(), why))
    }

    #[cfg(feature = "datasets")]
    fn unpack(&self, archive: &Path, limits: &Limits) -> Result<(Raw, Raw)> {
        let what = archive.display().to_string();
        let (file, _) = open_file(archive, limits.max_file_bytes)?;
        self.unpack_from(std::io::BufReader::new(file), &what, limits)
    }

    /// Reads both sets from a `.tar.gz`.
    #[cfg(feature = "datasets")]
    pub(super) fn unpack_from(
        &self,
        archive: impl std::io::BufRead,
        what: &str,
        limits: &Limits,
    ) -> Result<(Raw, Raw)> {
        let wanted: Vec<&str> = self.train.iter().chain(self.test).copied().collect();
        let largest = self.records.0.max(self.records.1) * self.record();
        let mut files = super::tar::files(archive, &wanted, largest, what, limits)?;
        let take = |name: &str| match files.iter_mut().find(|(n, _)| n == name) {
            Some((_, bytes)) => Ok((std::mem::take(bytes), format!("{what}: {name}"))),
            None => Err(Error::format(what, format!("the archive holds no {name}"))),
        };
        self.join(take, limits)
    }

    /// Makes tensors of a set, with one of its label bytes.
    pub(super) fn split(&self, raw: Raw, label: usize) -> Result<Split> {
        let labels: Vec<u8> =
            raw.labels.chunks_exact(self.labels.len()).map(|labels| labels[label]).collect();
        Ok(Split {
            images: Tensor::from_slice(&raw.images, [raw.n, SIDE, SIDE, CHANNELS])?,
            labels: Tensor::from_slice(&labels, [raw.n])?.cast(DType::I64)?,
            source: self.source,
        })
    }

    pub(super) fn cache_dir(&self) -> Result<PathBuf> {
        cache::dir_of(self.name, self.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CIFAR-100 in small: two records per file.
    const SMALL: Kind = Kind { records: (2, 1), ..crate::datasets::cifar100::KIND };

    fn records(labels: &[[u8; 2]]) -> Vec<u8> {
        let planes = |n: u8| (0..3 * 1024).map(move |i| n ^ (i / 1024) as u8 ^ i as u8);
        labels.iter().flat_map(|l| l.iter().copied().chain(planes(l[1]))).collect()
    }

    #[test]
    fn planes_become_pixels() {
        let raw = SMALL.decode(&records(&[[1, 2], [19, 99]]), "test", &Limits::default()).unwrap();
        assert_eq!((raw.n, &raw.labels[..]), (2, &[1, 2, 19, 99][..]));
        for (image, seed) in [2u8, 99].into_iter().enumerate() {
            for (row, column) in [(0, 0), (3, 31), (31, 7)] {
                for channel in 0..3 {
                    let at = ((image * 32 + row) * 32 + column) * 3 + channel;
                    let plane = channel * 1024 + row * 32 + column;
                    assert_eq!(raw.images[at], seed ^ channel as u8 ^ plane as u8);
                }
            }
        }
        let fine = SMALL.split(raw.clone(), 1).unwrap();
        assert_eq!(fine.images.dims(), [2, 32, 32, 3]);
        assert_eq!(fine.labels.to_vec::<i64>().unwrap(), [2, 99]);
        assert_eq!(SMALL.split(raw, 0).unwrap().labels.to_vec::<i64>().unwrap(), [1, 19]);
    }

    #[test]
    fn sizes_and_labels_are_checked() {
        let why = |bytes: &[u8]| SMALL.decode(bytes, "test", &Limits::default()).unwrap_err().to_string();
        let good = records(&[[0, 0], [0, 0]]);
        assert_eq!(why(&good[1..]), "test: CIFAR-100 records have 3074 bytes each, found 6147 bytes");
        assert_eq!(why(&[]), "test: CIFAR-100 records have 3074 bytes each, found 0 bytes");
        assert_eq!(why(&records(&[[0, 0], [20, 0]])), "test: label 20 at position 1: expected 0 to 19");
        assert_eq!(why(&records(&[[0, 100]])), "test: label 100 at position 0: expected 0 to 99");
        let tight = Limits::default().max_elements(6147);
        assert!(matches!(SMALL.decode(&good, "test", &tight), Err(Error::Limit { got: 6148, .. })));
    }

    #[test]
    fn files_are_found_in_the_folder_inside_it_and_in_the_archive() {
        let dir = std::env::temp_dir().join(format!("gradus-cifar-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(dir.join("cifar-100-binary")).unwrap();
        let why = |dir: &Path| SMALL.load(dir, &Limits::default()).unwrap_err();
        let e = why(&dir);
        assert!(matches!(&e, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound));
        let text = e.to_string();
        for part in ["train.bin, test.bin", "cifar-100-binary.tar.gz", "https://", "Download::cifar100()"] {
            assert!(text.contains(part), "{text}");
        }
        let (train, test) = (records(&[[1, 2], [3, 4]]), records(&[[5, 6]]));
        std::fs::write(dir.join("cifar-100-binary/train.bin"), &train).unwrap();
        std::fs::write(dir.join("cifar-100-binary/test.bin"), &test).unwrap();
        let (a, b) = SMALL.load(&dir, &Limits::default()).unwrap();
        assert_eq!((&a.labels[..], &b.labels[..]), (&[1, 2, 3, 4][..], &[5, 6][..]));
        // A file that ends too soon, at the end of a record.
        std::fs::write(dir.join("train.bin"), &train[3074..]).unwrap();
        std::fs::write(dir.join("test.bin"), &test).unwrap();
        assert!(why(&dir).to_string().contains("train.bin: CIFAR-100 has 6148 bytes here, found 3074"));
        let _ = std::fs::remove_dir_all(&dir);
    }

    #[cfg(feature = "datasets")]
    mod archive {
        use super::*;
        use std::io::Write;

        /// Packs these files into a gzip tar archive.
        fn pack(files: &[(&str, &[u8])]) -> Vec<u8> {
            let mut tar = Vec::new();
            for (name, data) in files {
                let mut header = [0u8; 512];
                header[..name.len()].copy_from_slice(name.as_bytes());
                header[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
                header[156] = b'0';
                header[257..262].copy_from_slice(b"ustar");
                header[148..156].fill(b' ');
                let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
                header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
                tar.extend(header);
                tar.extend(*data);
                tar.resize(tar.len().next_multiple_of(512), 0);
            }
            tar.extend([0; 1024]);
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&tar).unwrap();
            encoder.finish().unwrap()
        }

        fn load(bytes: &[u8]) -> Result<(Raw, Raw)> {
            SMALL.unpack_from(bytes, "test", &Limits::default())
        }

        #[test]
        fn an_archive_gives_what_its_files_give() {
            let (train, test) = (records(&[[1, 2], [3, 4]]), records(&[[5, 6]]));
            let files: [(&str, &[u8]); 3] = [
                ("cifar-100-binary/readme.html", b"not needed"),
                ("cifar-100-binary/test.bin", &test),
                ("cifar-100-binary/train.bin", &train),
            ];
            let packed = pack(&files);
            let (a, b) = load(&packed).unwrap();
            assert_eq!((a.n, b.n), (2, 1));
            assert_eq!(a, SMALL.decode(&train, "test", &Limits::default()).unwrap());
            for n in (0..packed.len()).step_by(7) {
                assert!(load(&packed[..n]).is_err(), "{n}");
            }
            let why = |files: &[(&str, &[u8])]| load(&pack(files)).unwrap_err().to_string();
            assert_eq!(why(&files[..2]), "test: the archive holds no train.bin");
            assert!(why(&[("a/test.bin", &[0; 9000])]).contains("test.bin is larger than the 6148 bytes"));
            let tight = Limits::default().max_total_bytes(9000);
            assert!(matches!(SMALL.unpack_from(&packed[..], "test", &tight), Err(Error::Limit { .. })));
        }
    }
}

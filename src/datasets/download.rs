//! `Download`: fetches data sets over the network, whose answers are not trusted. Each file has several addresses
//! and one SHA-256; it is written under a temporary name and renamed only when every byte is right. Nothing here
//! runs unless a program calls it.

use super::cache;
use crate::io::{read_file, write_atomically_with};
use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Mirrors slower than this, in bytes per second, are given up.
const SLOWEST: u64 = 32 << 10;
/// Bytes that are moved at a time.
const CHUNK: usize = 64 << 10;

/// Files of a data set, where to get them, and what they must contain.
///
/// ```no_run
/// use gradus::datasets::{Download, cifar10};
/// # fn main() -> gradus::Result<()> {
/// Download::cifar10().fetch_to_cache()?; // does nothing if the files are there
/// let (train, test) = cifar10::load()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Download {
    folder: String,
    mirrors: Vec<String>,
    files: Vec<Remote>,
    timeout: Duration,
}

#[derive(Clone, Debug)]
struct Remote {
    name: String,
    bytes: u64,
    sha256: String,
}

impl Download {
    /// Creates a download into the folder of this name in the cache; a mirror is an address to which a file's name
    /// is appended.
    pub fn new<M: Into<String>>(folder: &str, mirrors: impl IntoIterator<Item = M>) -> Download {
        let mirrors = mirrors.into_iter().map(Into::into).collect();
        Download { folder: folder.into(), mirrors, files: Vec::new(), timeout: Duration::from_secs(20) }
    }

    /// Adds a file: its name, its exact size in bytes, and its SHA-256 in hexadecimal.
    pub fn file(mut self, name: &str, bytes: u64, sha256: &str) -> Download {
        self.files.push(Remote { name: name.into(), bytes, sha256: sha256.to_ascii_lowercase() });
        self
    }

    /// Replaces the known mirrors, in the order in which they are tried.
    pub fn mirrors<M: Into<String>>(mut self, mirrors: impl IntoIterator<Item = M>) -> Download {
        self.mirrors = mirrors.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how long a mirror may take to be reached and to begin its answer; 20 seconds by default. The answer may
    /// then take as long again, plus one second for each 32 KiB.
    pub fn timeout(mut self, timeout: Duration) -> Download {
        self.timeout = timeout;
        self
    }

    /// Describes the download of MNIST: 11.6 MB.
    pub fn mnist() -> Download {
        let mirrors = [
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ];
        Download::new("mnist", mirrors)
            .file(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            )
            .file(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            )
            .file(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            )
            .file(
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            )
    }

    /// Describes the download of Fashion-MNIST: 30.9 MB.
    pub fn fashion_mnist() -> Download {
        let mirrors = [
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ];
        Download::new("fashion_mnist", mirrors)
            .file(
                "train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            )
            .file(
                "train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            )
            .file(
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            )
            .file(
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            )
    }

    /// Describes the download of CIFAR-10, the binary version: 170 MB.
    pub fn cifar10() -> Download {
        let mirrors = [
            "https://www.cs.toronto.edu/~kriz/",
            "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/",
        ];
        Download::new(super::cifar10::KIND.folder, mirrors).file(
            super::cifar10::KIND.archive,
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        )
    }

    /// Describes the download of CIFAR-100, the binary version: 169 MB.
    pub fn cifar100() -> Download {
        Download::new(super::cifar100::KIND.folder, ["https://www.cs.toronto.edu/~kriz/"]).file(
            super::cifar100::KIND.archive,
            168_513_733,
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        )
    }

    /// Fetches the missing files into the folder where the loaders look, and returns it.
    ///
    /// # Errors
    /// The environment names no such place, or the errors of [`Download::fetch`].
    pub fn fetch_to_cache(&self) -> Result<PathBuf> {
        let dir = cache::dir_of(&self.folder, &self.folder)?;
        self.fetch(&dir)?;
        Ok(dir)
    }

    /// Fetches the missing files into a folder, which is created if needed. A file with the right bytes is left
    /// alone; one with other bytes is replaced.
    ///
    /// # Errors
    /// No mirror gave a file (the message lists each mirror and why), or the folder cannot be written to. Files
    /// fetched before stay.
    pub fn fetch(&self, dir: impl AsRef<Path>) -> Result<()> {
        let dir = dir.as_ref();
        std::fs::create_dir_all(dir)
            .map_err(|source| Error::Io { path: dir.display().to_string(), source })?;
        self.files.iter().try_for_each(|file| self.fetch_file(file, &dir.join(&file.name)))
    }

    fn fetch_file(&self, file: &Remote, path: &Path) -> Result<()> {
        let there = path.metadata().is_ok_and(|m| m.is_file() && m.len() == file.bytes);
        if there && hex(Sha256::digest(read_file(path, file.bytes)?).as_slice()) == file.sha256 {
            return Ok(());
        }
        let mut failures = String::new();
        for mirror in &self.mirrors {
            let address = format!("{}/{}", mirror.trim_end_matches('/'), file.name);
            let mut why = None;
            // Any failure on the way leaves no file: the temporary one is removed.
            let written = write_atomically_with(path, |out| {
                self.copy(file, &address, out).map_err(|e| {
                    why = Some(e);
                    std::io::Error::other("no download")
                })
            });
            match (written, why) {
                (Ok(()), _) => return Ok(()),
                (Err(_), Some(why)) => failures += &format!("\n  {address}: {why}"),
                // The disk, not the mirror: another mirror would not help.
                (Err(e), None) => return Err(e),
            }
        }
        let why = match self.mirrors.is_empty() {
            true => "there is no mirror".to_string(),
            false => format!("no mirror gave this file:{failures}"),
        };
        Err(Error::format(path.display().to_string(), why))
    }

    /// Copies the file from one address to the disk, or says why that failed.
    fn copy(&self, file: &Remote, address: &str, out: &mut File) -> Result<(), String> {
        let body = self.timeout + Duration::from_secs(file.bytes / SLOWEST);
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_resolve(Some(self.timeout))
            .timeout_connect(Some(self.timeout))
            .timeout_send_request(Some(self.timeout))
            .timeout_recv_response(Some(self.timeout))
            .timeout_recv_body(Some(body))
            .max_redirects(5)
            .user_agent(concat!("gradus/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        let response = agent.get(address).call().map_err(|e| e.to_string())?;
        let mut body = response.into_body();
        let too_large = |n: u64| format!("it offers {n} bytes, expected {}", file.bytes);
        if let Some(n) = body.content_length().filter(|&n| n != file.bytes) {
            return Err(too_large(n));
        }
        let mut stream = body.as_reader().take(file.bytes + 1);
        let (mut hash, mut total, mut buffer) = (Sha256::new(), 0, vec![0; CHUNK]);
        loop {
            let n = stream
                .read(&mut buffer)
                .map_err(|e| format!("after {total} of {} bytes: {e}", file.bytes))?;
            if n == 0 {
                break;
            }
            total += n as u64;
            if total > file.bytes {
                return Err(format!("it sends more than the expected {} bytes", file.bytes));
            }
            hash.update(&buffer[..n]);
            out.write_all(&buffer[..n]).map_err(|e| format!("writing failed: {e}"))?;
        }
        if total != file.bytes {
            return Err(format!("it ends after {total} of {} bytes", file.bytes));
        }
        let found = hex(hash.finalize().as_slice());
        match found == file.sha256 {
            true => Ok(()),
            false => Err(format!("wrong content: expected SHA-256 {}, found {found}", file.sha256)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

//! Built-in digits, so that examples, tests and first programs run without a download. A simulated pen writes them
//! in the format of MNIST (28x28, ink 255 on paper 0, at most 20x20 ink, centred by mass), hard enough that a small
//! network makes some mistakes.
//!
//! An image depends only on the seed and its own index, and only on operations that round alike everywhere: images
//! can be made in any order and on any machine with the same bytes.

mod styles;

use super::mnist::{CLASSES, SIDE};
use crate::random::philox4x32;
use crate::{DType, Error, Result, Shape};

const PIXELS: usize = SIDE * SIDE;

/// How far the points of a style stray, in hundredths of the digit's box: a typical deviation.
const SHAKE: f32 = 3.4;
/// How far the paper is bent, in the same units.
const BEND: f32 = 6.5;
/// Points of the bending grid along each side.
const GRID: usize = 4;
/// Pieces into which each span between two points of a style is cut.
const PIECES: usize = 5;

/// Makes the first `n` images of a seed: their pixels, `n * 28 * 28` bytes, and their labels, `n` bytes of 0 to 9.
///
/// ```
/// let (images, labels) = gradus::datasets::digits::generate(10, 42)?;
/// assert_eq!((images.len(), labels.len()), (10 * 28 * 28, 10));
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// # Errors
/// [`Error::Memory`] if there is not enough memory for `n` images.
pub fn generate(n: usize, seed: u64) -> Result<(Vec<u8>, Vec<u8>)> {
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    let bytes = n.saturating_mul(PIXELS);
    if images.try_reserve_exact(bytes).is_err() || labels.try_reserve_exact(n).is_err() {
        let shape = Box::new(Shape::new(&[n, SIDE, SIDE])?);
        let bytes = n as u128 * PIXELS as u128;
        return Err(Error::Memory { bytes, dtype: DType::U8, shape, why: "the system has no memory left" });
    }
    for index in 0..n as u64 {
        let (pixels, label) = image(seed, index);
        images.extend_from_slice(pixels.as_flattened());
        labels.push(label);
    }
    Ok((images, labels))
}

/// Makes one image of a seed: its rows of pixels, and its label.
pub fn image(seed: u64, index: u64) -> ([[u8; SIDE]; SIDE], u8) {
    let mut draws = Draws::new(seed, index);
    let label = draws.below(CLASSES);
    let mut pen = write(label, &mut draws);
    place(&mut pen, &mut draws);
    (ink(&pen, &mut draws), label as u8)
}

/// Random numbers for one image: Philox with the seed as the key and (block, use, index) as counter.
struct Draws {
    seed: u64,
    index: u64,
    block: u32,
    words: [u32; 4],
    left: usize,
}

impl Draws {
    fn new(seed: u64, index: u64) -> Draws {
        Draws { seed, index, block: 0, words: [0; 4], left: 0 }
    }

    fn block(&self, block: u32, purpose: u32) -> [u32; 4] {
        let (seed, index) = (self.seed, self.index);
        philox4x32([seed as u32, (seed >> 32) as u32], [block, purpose, index as u32, (index >> 32) as u32])
    }

    fn word(&mut self) -> u32 {
        if self.left == 0 {
            self.words = self.block(self.block, 0);
            self.block += 1;
            self.left = 4;
        }
        self.left -= 1;
        self.words[3 - self.left]
    }

    /// A number from 0 to n - 1.
    fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.word()) * n as u64) >> 32) as usize
    }

    /// A uniform number from `low` to `high`.
    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * ((self.word() >> 8) as f32 / (1 << 24) as f32)
    }

    /// A nearly normal number with mean 0 and deviation 1, never beyond 3.5: the sum of four bytes.
    fn bell(&mut self) -> f32 {
        let sum: i32 = self.word().to_le_bytes().iter().map(|&byte| i32::from(byte)).sum();
        (sum - 510) as f32 / 147.8
    }
}

/// A point of the pen's path: its place, and how thick the line is there (1 is normal).
#[derive(Clone, Copy)]
struct Dot {
    x: f32,
    y: f32,
    pressure: f32,
}

impl Dot {
    fn mix(self, other: Dot, t: f32) -> Dot {
        let mix = |a: f32, b: f32| a + (b - a) * t;
        Dot { x: mix(self.x, other.x), y: mix(self.y, other.y), pressure: mix(self.pressure, other.pressure) }
    }
}

/// What the pen draws: straight pieces, from dot to dot.
type Path = Vec<[Dot; 2]>;

/// Writes a digit in the units of the styles: picks a style, shakes its points, joins them by curves, and bends
/// the paper.
fn write(label: usize, draws: &mut Draws) -> Path {
    let styles = styles::STYLES[label];
    let style = styles[draws.below(styles.len())];
    // Most people write tidily, some do not.
    let care = draws.between(0.0, 1.0);
    let haste = 0.6 + 1.1 * care * care;
    let paper = Paper::new(BEND * haste, draws);
    let mut known: Vec<((i8, i8), Dot)> = Vec::with_capacity(24);
    let mut path = Path::with_capacity(96);
    for stroke in style {
        let mut dots = Vec::with_capacity(16);
        for &at in *stroke {
            let dot = known.iter().find(|k| k.0 == at).map(|k| k.1).unwrap_or_else(|| Dot {
                x: f32::from(at.0) + SHAKE * haste * draws.bell(),
                y: f32::from(at.1) + SHAKE * haste * draws.bell(),
                pressure: 1.0 + 0.16 * draws.bell(),
            });
            known.push((at, dot));
            dots.push(dot);
        }
        curve(&dots, &paper, &mut path);
    }
    path
}

/// Joins dots by a Catmull-Rom curve; a dot given twice stops the curve, so that the next begins at an angle.
fn curve(dots: &[Dot], paper: &Paper, path: &mut Path) {
    for (i, pair) in dots.windows(2).enumerate() {
        let (a, b) = (pair[0], pair[1]);
        if (a.x, a.y) == (b.x, b.y) {
            continue;
        }
        let before = if i > 0 { dots[i - 1] } else { a };
        let after = dots.get(i + 2).copied().unwrap_or(b);
        let mut last = paper.bend(a);
        for piece in 1..=PIECES {
            let t = piece as f32 / PIECES as f32;
            let weave = |p: f32, a: f32, b: f32, n: f32| {
                let (slope_a, slope_b) = (0.5 * (b - p), 0.5 * (n - a));
                let (c2, c3) = (3.0 * (b - a) - 2.0 * slope_a - slope_b, 2.0 * (a - b) + slope_a + slope_b);
                a + t * (slope_a + t * (c2 + t * c3))
            };
            let (x, y) = (weave(before.x, a.x, b.x, after.x), weave(before.y, a.y, b.y, after.y));
            let next = paper.bend(Dot { x, y, ..a.mix(b, t) });
            path.push([last, next]);
            last = next;
        }
    }
}

/// A smooth random displacement: a coarse grid of random vectors with smooth steps between them.
struct Paper {
    grid: [[[f32; 2]; GRID]; GRID],
}

impl Paper {
    fn new(amount: f32, draws: &mut Draws) -> Paper {
        let mut grid = [[[0.0; 2]; GRID]; GRID];
        grid.as_flattened_mut().as_flattened_mut().fill_with(|| amount * draws.bell());
        Paper { grid }
    }

    fn bend(&self, dot: Dot) -> Dot {
        // The grid spans -20 to 120, which the shaken points hardly ever leave.
        let cell = |v: f32| {
            let v = ((v + 20.0) * ((GRID - 1) as f32 / 140.0)).clamp(0.0, (GRID - 1) as f32 - 0.001);
            let t = v - (v as usize) as f32;
            (v as usize, t * t * (3.0 - 2.0 * t))
        };
        let ((col, u), (row, v)) = (cell(dot.x), cell(dot.y));
        let mix = |axis: usize| {
            let across = |row: &[[f32; 2]; GRID]| row[col][axis] + (row[col + 1][axis] - row[col][axis]) * u;
            let (above, below) = (across(&self.grid[row]), across(&self.grid[row + 1]));
            above + (below - above) * v
        };
        Dot { x: dot.x + mix(0), y: dot.y + mix(1), ..dot }
    }
}

/// Moves a path to its place on the image, in pixels: turns and slants it, scales it into MNIST's 20x20 box and
/// puts its centre of mass near the middle. Pressure becomes half the width of the line.
fn place(path: &mut Path, draws: &mut Draws) {
    let angle = 0.13 * draws.bell();
    let (sin, cos) = (libm::sinf(angle), libm::cosf(angle));
    let slant = 0.13 + 0.21 * draws.bell();
    let aspect = 0.94 + 0.13 * draws.bell();
    let radius = draws.between(0.75, 1.65);
    let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
    for dot in path.as_flattened_mut() {
        let (x, y) = ((dot.x - 50.0) * aspect - (dot.y - 50.0) * slant, dot.y - 50.0);
        (dot.x, dot.y) = (x * cos - y * sin, x * sin + y * cos);
        low = [low[0].min(dot.x), low[1].min(dot.y)];
        high = [high[0].max(dot.x), high[1].max(dot.y)];
    }
    let extent = (high[0] - low[0]).max(high[1] - low[1]).max(1.0);
    let room = (20.0 - 2.0 * radius) * (0.98 + 0.035 * draws.bell());
    let scale = room / extent;
    let (mut mass, mut x, mut y) = (0.0, 0.0, 0.0);
    for [a, b] in path.iter() {
        let ink = distance(a.x - b.x, a.y - b.y) * (a.pressure + b.pressure);
        (mass, x, y) = (mass + ink, x + ink * (a.x + b.x), y + ink * (a.y + b.y));
    }
    let middle = SIDE as f32 / 2.0;
    let half = 0.5 / mass.max(1e-3);
    let (dx, dy) =
        (middle + 0.3 * draws.bell() - x * half * scale, middle + 0.3 * draws.bell() - y * half * scale);
    for dot in path.as_flattened_mut() {
        let width = radius * dot.pressure.clamp(0.5, 1.6);
        *dot = Dot { x: dot.x * scale + dx, y: dot.y * scale + dy, pressure: width };
    }
}

/// Draws a path: how dark a pixel is depends on how deep its centre lies in the line.
fn ink(path: &Path, draws: &mut Draws) -> [[u8; SIDE]; SIDE] {
    let edge = draws.between(1.1, 1.9);
    let black = draws.between(0.88, 1.25);
    let grain = draws.between(0.02, 0.16);
    // The distance outside of the line's rim, negative inside.
    let mut rim = [[f32::MAX; SIDE]; SIDE];
    for [a, b] in path {
        let reach = a.pressure.max(b.pressure) + edge;
        let (dx, dy) = (b.x - a.x, b.y - a.y);
        let inverse = 1.0 / (dx * dx + dy * dy).max(1e-6);
        let widening = b.pressure - a.pressure;
        let columns = span(a.x.min(b.x) - reach, a.x.max(b.x) + reach);
        for row in span(a.y.min(b.y) - reach, a.y.max(b.y) + reach) {
            let py = row as f32 + 0.5 - a.y;
            for (i, cell) in rim[row][columns.clone()].iter_mut().enumerate() {
                let px = (columns.start + i) as f32 + 0.5 - a.x;
                let t = ((px * dx + py * dy) * inverse).clamp(0.0, 1.0);
                let outside = distance(px - t * dx, py - t * dy) - (a.pressure + t * widening);
                *cell = cell.min(outside);
            }
        }
    }
    let mut pixels = [[0; SIDE]; SIDE];
    let blocks = pixels.as_flattened_mut().chunks_mut(16).zip(rim.as_flattened().chunks(16));
    for (block, (pixels, rim)) in blocks.enumerate() {
        if rim.iter().all(|&outside| outside >= edge * 0.5) {
            continue;
        }
        let noise = draws.block(block as u32, 1).map(u32::to_le_bytes);
        for ((pixel, &outside), &noise) in pixels.iter_mut().zip(rim).zip(noise.as_flattened()) {
            let depth = (0.5 - outside / edge).clamp(0.0, 1.0);
            let noise = 1.0 + grain * (f32::from(noise) - 127.5) / 127.5;
            *pixel = ((depth * black * noise).min(1.0) * 255.0 + 0.5) as u8;
        }
    }
    pixels
}

/// Returns the pixels between two coordinates that lie on the image.
fn span(low: f32, high: f32) -> std::ops::Range<usize> {
    // A cast saturates: what is left of the image becomes 0.
    let (low, high) = (low as usize, ((high + 1.0) as usize).min(SIDE));
    low.min(high)..high
}

fn distance(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fnv1a(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    /// These bytes are a promise: changing them changes every result made with them.
    #[test]
    fn the_bytes_are_pinned() {
        let (images, labels) = generate(100, 0).unwrap();
        assert_eq!(
            format!("{:016x} {:016x}", fnv1a(&images), fnv1a(&labels)),
            "7f5828aa16fbfae1 d3b1e2c37d9610ae"
        );
    }

    #[test]
    fn an_image_depends_on_seed_and_index_alone() {
        let (images, labels) = generate(20, 7).unwrap();
        for index in [19, 0, 11] {
            let (pixels, label) = image(7, index as u64);
            assert_eq!(pixels.as_flattened(), &images[index * PIXELS..(index + 1) * PIXELS]);
            assert_eq!(label, labels[index]);
        }
        assert_ne!(images, generate(20, 8).unwrap().0);
        assert_ne!(image(7, 0), image(7, 1 << 32));
        assert_ne!(image(7, 0), image(7 + (1 << 32), 0));
    }

    #[test]
    fn they_look_like_mnist_in_numbers() {
        let (images, labels) = generate(5000, 1).unwrap();
        for digit in 0..CLASSES as u8 {
            let share = labels.iter().filter(|&&label| label == digit).count();
            assert!((400..600).contains(&share), "digit {digit}: {share} of 5000");
        }
        let mean = images.iter().map(|&p| f64::from(p)).sum::<f64>() / images.len() as f64;
        assert!((25.0..42.0).contains(&mean), "MNIST's mean is 33.3, this is {mean}");
        for image in images.chunks(PIXELS) {
            let (mut mass, mut x, mut y) = (0.0, 0.0, 0.0);
            for (i, &p) in image.iter().enumerate() {
                let p = f64::from(p);
                (mass, x, y) = (mass + p, x + p * (i % SIDE) as f64, y + p * (i / SIDE) as f64);
            }
            assert!(mass > 20.0 * 255.0, "hardly any ink");
            let (x, y) = (x / mass - 13.5, y / mass - 13.5);
            assert!(x.abs() < 2.5 && y.abs() < 2.5, "centre of mass off by {x}, {y}");
        }
    }

    #[test]
    fn too_many_is_an_error() {
        assert!(matches!(generate(usize::MAX, 0), Err(Error::Memory { .. })));
        assert!(matches!(generate(usize::MAX / 1000, 0), Err(Error::Memory { .. })));
        assert_eq!(generate(0, 0).unwrap(), (vec![], vec![]));
    }

    /// Writes a sheet of samples, a row for each digit, to look at: `cargo test --release contact_sheet -- --ignored`.
    #[test]
    #[ignore = "writes a file to look at"]
    fn contact_sheet() {
        const COLUMNS: usize = 24;
        let mut sheet = vec![0; CLASSES * COLUMNS * PIXELS];
        let mut filled = [0; CLASSES];
        for index in 0.. {
            let (pixels, label) = image(0, index);
            let (row, column) = (usize::from(label), filled[usize::from(label)]);
            if column < COLUMNS {
                filled[row] += 1;
                for (y, line) in pixels.iter().enumerate() {
                    let start = ((row * SIDE + y) * COLUMNS + column) * SIDE;
                    sheet[start..start + SIDE].copy_from_slice(line);
                }
            } else if filled.iter().all(|&n| n == COLUMNS) {
                break;
            }
        }
        let path = std::env::temp_dir().join("gradus-digits.pgm");
        let header = format!("P5 {} {} 255\n", COLUMNS * SIDE, CLASSES * SIDE);
        std::fs::write(&path, [header.as_bytes(), &sheet].concat()).unwrap();
        println!("{}", path.display());
    }
}

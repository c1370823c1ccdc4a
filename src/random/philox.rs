//! Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): turns a key and a counter
//! into four random words, without any state. It is a published function with published answers, so its bits can be
//! promised.

/// Computes the Philox4x32-10 function: four random words from a key and a counter.
///
/// ```
/// let words = gradus::random::philox4x32([0, 0], [0, 0, 0, 0]);
/// assert_eq!(words, [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
/// ```
#[inline]
pub fn philox4x32(key: [u32; 2], counter: [u32; 4]) -> [u32; 4] {
    let [mut k0, mut k1] = key;
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    for _ in 0..10 {
        let (high0, low0) = multiply(0xD251_1F53, c0);
        let (high1, low1) = multiply(0xCD9E_8D57, c2);
        (c0, c1, c2, c3) = (high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0);
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
    }
    [c0, c1, c2, c3]
}

/// Computes [`philox4x32`] of sixteen counters, whose words come one counter after another, in loops over the
/// counters that compilers turn into vectors.
#[inline(always)]
pub(super) fn side_by_side(key: [u32; 2], counters: [u64; 16], step: u64) -> [u32; 64] {
    let [mut k0, mut k1] = key;
    let mut c0 = counters.map(|c| c as u32);
    let mut c1 = counters.map(|c| (c >> 32) as u32);
    let mut c2 = [step as u32; 16];
    let mut c3 = [(step >> 32) as u32; 16];
    for _ in 0..10 {
        for i in 0..16 {
            let (high0, low0) = multiply(0xD251_1F53, c0[i]);
            let (high1, low1) = multiply(0xCD9E_8D57, c2[i]);
            (c0[i], c1[i], c2[i], c3[i]) = (high1 ^ c1[i] ^ k0, low1, high0 ^ c3[i] ^ k1, low0);
        }
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
    }
    let mut words = [0; 64];
    for i in 0..16 {
        (words[4 * i], words[4 * i + 1], words[4 * i + 2], words[4 * i + 3]) = (c0[i], c1[i], c2[i], c3[i]);
    }
    words
}

/// The high and the low word of a product.
#[inline(always)]
fn multiply(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a) * u64::from(b);
    ((product >> 32) as u32, product as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The three known answers for philox4x32-10 that come with Random123.
    #[test]
    fn known_answers() {
        assert_eq!(philox4x32([0; 2], [0; 4]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(philox4x32([!0; 2], [!0; 4]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        let pi = philox4x32([0xa4093822, 0x299f31d0], [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344]);
        assert_eq!(pi, [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
    }
}

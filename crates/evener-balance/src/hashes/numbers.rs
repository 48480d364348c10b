//! Hashes of a number, and the number that an address is to them: Jenkins' full avalanche (HAProxy `include/haproxy/intops.h`) and the golden
//! ratio's (Linux `include/linux/hash.h`).

use std::net::IpAddr;

/// HAProxy's `full_hash`.
pub(crate) fn avalanche(number: u32) -> u32 {
    let a = number.wrapping_add(0x7ed5_5d16).wrapping_add(number << 12);
    let a = (a ^ 0xc761_c23c) ^ (a >> 19);
    let a = a.wrapping_add(0x1656_67b1).wrapping_add(a << 5);
    let a = a.wrapping_add(0xd3a2_646c) ^ (a << 9);
    let a = a.wrapping_add(0xfd70_46c5).wrapping_add(a << 3);
    let a = (a ^ 0xb55a_4f09) ^ (a >> 16);
    a.wrapping_mul(3_221_225_473)
}

/// Linux's `hash_32`: the upper `bits` of the product, 1 to 32.
pub(crate) fn golden(number: u32, bits: u32) -> u32 {
    number.wrapping_mul(0x61c8_8647) >> (32 - bits)
}

/// An address as one word: of IPv6 the four words, combined by XOR.
pub(crate) fn folded(address: IpAddr) -> u32 {
    match address.to_canonical() {
        IpAddr::V4(four) => four.to_bits(),
        IpAddr::V6(six) => {
            let bits = six.to_bits();
            (bits >> 96) as u32 ^ (bits >> 64) as u32 ^ (bits >> 32) as u32 ^ bits as u32
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_ratio_spreads_neighbours() {
        let buckets: Vec<u32> = (0..4).map(|number| golden(number, 8)).collect();
        assert_eq!(buckets, [0, 0x61, 0xc3, 0x25]);
    }

    #[test]
    fn avalanche_has_no_fixed_neighbours() {
        let hashes: std::collections::BTreeSet<u32> = (0..1_000).map(avalanche).collect();
        assert_eq!(hashes.len(), 1_000);
    }
}

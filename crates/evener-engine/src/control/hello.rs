//! What both sides of a control socket must agree on before a plan is sent.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// The version of frames and commands.
pub const PROTOCOL: u32 = 1;

/// The first thing each side says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Version of frames and commands.
    pub protocol: u32,
    /// Version of the build.
    pub build: String,
    /// Hash of the plan's form.
    pub schema: String,
    /// Hash of what the counters' words mean.
    pub layout: String,
}

/// What this build says.
pub fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL,
        build: env!("CARGO_PKG_VERSION").to_owned(),
        schema: format!("{:016x}", *SCHEMA),
        layout: format!("{:016x}", evener_stats::layout_hash()),
    }
}

/// The sources that say what a plan looks like. Hashing their text makes any change of the form
/// another hash, at the price that a changed comment is another one, too.
const SOURCES: [&str; 5] = [
    include_str!("../../../evener-plan/src/lib.rs"),
    include_str!("../../../evener-plan/src/listener.rs"),
    include_str!("../../../evener-plan/src/pool.rs"),
    include_str!("../../../evener-plan/src/route.rs"),
    include_str!("../../../evener-plan/src/scheduler.rs"),
];

/// FNV-1a, 64 bits.
static SCHEMA: LazyLock<u64> = LazyLock::new(|| {
    let bytes = SOURCES.iter().flat_map(|text| text.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_of_the_plan_is_hashed() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../evener-plan/src");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut count = 0;
        for path in files {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(SOURCES.contains(&text.as_str()), "{} is not", path.display());
            count += 1;
        }
        assert_eq!(count, SOURCES.len());
    }
}

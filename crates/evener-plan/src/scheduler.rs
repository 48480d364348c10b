//! How a server is chosen: a variant per scheduler, its parameters beside its name.
//!
//! Rules kept here:
//! - A name is `program/name` and means that program's pick; ours are `evener/name`.
//! - Parameters are resolved: percentages are whole numbers, times milliseconds, 0 means off where
//!   it says so.
//!
//! Not known here: what a scheduler does with its parameters (see `evener-balance`).

use serde::{Deserialize, Serialize};

use crate::Millis;

/// How a server is chosen. Spelled `program/name`, exact to the pick of that program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", deny_unknown_fields)]
pub enum Scheduler {
    /// nginx's smooth weighted round robin.
    #[serde(rename = "nginx/round_robin")]
    NginxRoundRobin {},
    /// nginx's least connections by weight, ties by smooth weighted round robin.
    #[serde(rename = "nginx/least_conn")]
    NginxLeastConn {},
    /// nginx's least average time by weight and connections, ties by smooth weighted round robin.
    #[serde(rename = "nginx/least_time")]
    NginxLeastTime {
        /// The time that is averaged.
        measure: Measure,
        /// Whether requests that have not ended count with the time they have taken so far.
        inflight: bool,
    },
    /// nginx's hash of the client's network (IPv4: the first three bytes).
    #[serde(rename = "nginx/ip_hash")]
    NginxIpHash {},
    /// nginx's hash of the pool's key.
    #[serde(rename = "nginx/hash")]
    NginxHash {
        /// By points on a ring (ketama) instead of modulo the weights.
        consistent: bool,
    },
    /// nginx's weighted draw.
    #[serde(rename = "nginx/random")]
    NginxRandom {
        /// Draws two and takes the better; off takes the first.
        two: Option<Better>,
    },
    /// IPVS: one after another.
    #[serde(rename = "lvs/rr")]
    LvsRr(LvsService),
    /// IPVS: one after another by weight, in falling passes.
    #[serde(rename = "lvs/wrr")]
    LvsWrr(LvsService),
    /// IPVS: least connections.
    #[serde(rename = "lvs/lc")]
    LvsLc(LvsService),
    /// IPVS: least connections by weight.
    #[serde(rename = "lvs/wlc")]
    LvsWlc(LvsService),
    /// IPVS: shortest expected delay.
    #[serde(rename = "lvs/sed")]
    LvsSed(LvsService),
    /// IPVS: an idle server, else shortest expected delay.
    #[serde(rename = "lvs/nq")]
    LvsNq(LvsService),
    /// IPVS: the highest weight.
    #[serde(rename = "lvs/fo")]
    LvsFo(LvsService),
    /// IPVS: the highest weight that is not exceeded by connections.
    #[serde(rename = "lvs/ovf")]
    LvsOvf(LvsService),
    /// IPVS: the better of two weighted draws.
    #[serde(rename = "lvs/twos")]
    LvsTwos(LvsService),
    /// IPVS: by the address the client asked for.
    #[serde(rename = "lvs/dh")]
    LvsDh(LvsService),
    /// IPVS: by the client's address.
    #[serde(rename = "lvs/sh")]
    LvsSh(LvsHash),
    /// IPVS: by the client's address, over a Maglev table.
    #[serde(rename = "lvs/mh")]
    LvsMh(LvsHash),
    /// IPVS: a server per address asked for, until it is overloaded.
    #[serde(rename = "lvs/lblc")]
    LvsLblc(LvsLocality),
    /// IPVS: a set of servers per address asked for, which grows and shrinks.
    #[serde(rename = "lvs/lblcr")]
    LvsLblcr(LvsLocality),
    /// HAProxy: smooth weighted round robin by positions.
    #[serde(rename = "haproxy/roundrobin")]
    HaproxyRoundrobin {},
    /// HAProxy: a fixed map, gone through.
    #[serde(rename = "haproxy/static-rr")]
    HaproxyStaticRr {},
    /// HAProxy: fewest requests by weight, an idle server first.
    #[serde(rename = "haproxy/leastconn")]
    HaproxyLeastconn {},
    /// HAProxy: the first with room.
    #[serde(rename = "haproxy/first")]
    HaproxyFirst {},
    /// HAProxy: the least loaded of some draws.
    #[serde(rename = "haproxy/random")]
    HaproxyRandom {
        /// Draws per pick, at least 1.
        draws: u32,
        /// The ring that is drawn from: its `consistent`, `function` and `avalanche` say nothing.
        ring: HaproxyHash,
    },
    /// HAProxy: hash of the client's address.
    #[serde(rename = "haproxy/source")]
    HaproxySource {
        /// How a hash becomes a server.
        hash: HaproxyHash,
    },
    /// HAProxy: hash of the request's target.
    #[serde(rename = "haproxy/uri")]
    HaproxyUri {
        /// At most so many bytes of it; 0 is all.
        len: u32,
        /// At most so many folders of it; 0 is all.
        depth: u32,
        /// With the query.
        whole: bool,
        /// Without scheme and authority.
        path_only: bool,
        /// How a hash becomes a server.
        hash: HaproxyHash,
    },
    /// HAProxy: hash of a parameter of the query.
    #[serde(rename = "haproxy/url_param")]
    HaproxyUrlParam {
        /// Its name.
        param: String,
        /// Whether the body of a POST is searched when the query has none.
        check_post: bool,
        /// How a hash becomes a server.
        hash: HaproxyHash,
    },
    /// HAProxy: hash of a header's value.
    #[serde(rename = "haproxy/hdr")]
    HaproxyHdr {
        /// Its name.
        header: String,
        /// Of a host name only the part before its last dot.
        domain_only: bool,
        /// How a hash becomes a server.
        hash: HaproxyHash,
    },
    /// HAProxy: hash of a cookie in the first bytes of a remote desktop session.
    #[serde(rename = "haproxy/rdp-cookie")]
    HaproxyRdpCookie {
        /// Its name, `mstshash` or `msts` in practice.
        cookie: String,
        /// How long the first bytes of a session are waited for.
        wait: Millis,
        /// How a hash becomes a server.
        hash: HaproxyHash,
    },
    /// HAProxy: hash of the pool's key.
    #[serde(rename = "haproxy/hash")]
    HaproxyHash {
        /// How a hash becomes a server.
        hash: HaproxyHash,
    },
    /// The least loaded of some draws.
    #[serde(rename = "evener/random")]
    Random {
        /// Draws per pick, at least 1.
        draws: u32,
    },
    /// The better of two draws, by decayed latency times requests in flight.
    #[serde(rename = "evener/peak_ewma")]
    PeakEwma {
        /// Time in which a peak decays to a third.
        decay: Millis,
        /// Latency taken for a server while none is known at all.
        unknown: Millis,
    },
    /// Hot and cold servers by requests in flight; of the cold ones the fastest.
    #[serde(rename = "evener/prequal")]
    Prequal {
        /// Estimates kept to pick from.
        #[serde(rename = "estimates")]
        pool: u32,
        /// Estimates taken anew per pick, in percent: 300 is three.
        probes: u32,
        /// Age after which an estimate is dropped.
        age: Millis,
        /// Quantile of requests in flight from which a server is hot, in percent.
        hot: u32,
    },
    /// The pool's key over a Maglev table.
    #[serde(rename = "evener/maglev")]
    Maglev {
        /// Entries of the table, a prime above 100 times the number of servers for 1 % evenness.
        table: u32,
    },
    /// The pool's key on a ring of points.
    #[serde(rename = "evener/ring")]
    Ring {
        /// Points per unit of weight.
        points: u32,
    },
    /// The pool's key by highest random weight.
    #[serde(rename = "evener/rendezvous")]
    Rendezvous {},
    /// The pool's key on a ring, none above its share of the load by more than this.
    #[serde(rename = "evener/bounded_hash")]
    BoundedHash {
        /// Points per unit of weight.
        points: u32,
        /// Load above the fair share that is allowed, in percent, at least 1.
        excess: u32,
    },
    /// A policy of the user's, asked on a thread of its own.
    #[serde(rename = "evener/python")]
    Python {
        /// What it is: `module:Class` or `/path/file.py:Class`.
        policy: String,
        /// Which text of it: another one is another policy.
        version: String,
        /// How long its answer is waited for, at least 1.
        timeout: Millis,
        /// What picks when it does not.
        fallback: Box<Scheduler>,
    },
}

/// A time that nginx averages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// To the head of the answer.
    Header,
    /// To the end of the answer.
    LastByte,
}

/// By what the better of two draws is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Fewer connections by weight.
    LeastConn,
    /// Less estimated time, to the head of the answer.
    LeastTimeHeader,
    /// Less estimated time, to its end.
    LeastTimeLastByte,
}

/// What every virtual service of IPVS has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LvsService {
    /// How long a connection that ended counts as inactive; 0 is not at all.
    pub inactive: Millis,
    /// Clients stay with their server (`-p`).
    pub persistence: Option<Persistence>,
}

/// Clients stay with their server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Persistence {
    /// How long after their last new connection.
    pub timeout: Millis,
    /// Leading bits of an IPv4 address that are one client (`-M`).
    pub prefix_v4: u8,
    /// Leading bits of an IPv6 address that are one client.
    pub prefix_v6: u8,
    /// Whether a server of weight 0 loses its clients (`expire_quiescent_template`).
    pub expire_quiescent: bool,
}

/// IPVS's `sh` and `mh`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LvsHash {
    /// The client's port counts, too (`sh-port`, `mh-port`).
    pub port: bool,
    /// Another server when the one hashed to is not available (`sh-fallback`, `mh-fallback`).
    pub fallback: bool,
    /// As with every scheduler.
    pub service: LvsService,
}

/// IPVS's `lblc` and `lblcr`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LvsLocality {
    /// `lblc_expiration`, `lblcr_expiration`: how long an address that nobody asks for is known,
    /// and after which a set of servers loses its most loaded.
    pub expiration: Millis,
    /// As with every scheduler.
    pub service: LvsService,
}

/// HAProxy's `hash-type`, `hash-balance-factor`, `hash-key` and `hash-preserve-affinity`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HaproxyHash {
    /// By points on a ring instead of modulo the weights (map-based).
    pub consistent: bool,
    /// The hash of bytes.
    pub function: HashFunction,
    /// Mixes the hash once more; HAProxy does where `consistent` stands without a function.
    pub avalanche: bool,
    /// Load in percent of the mean that no server exceeds; 0 is off, else above 100. On a ring
    /// only.
    pub balance_factor: u32,
    /// What of a server makes its points.
    pub key: HashKey,
    /// Servers with no room are passed by (`hash-preserve-affinity maxconn`). On a ring only.
    pub pass_full: bool,
}

/// HAProxy's hashes of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HashFunction {
    /// The default.
    Sdbm,
    /// Bernstein's.
    Djb2,
    /// Tarreau's.
    Wt6,
    /// Ethernet's.
    Crc32,
    /// Number in, number out.
    None,
}

/// What of a server makes its points on HAProxy's ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HashKey {
    /// Its number.
    Id,
    /// Its number, mixed.
    Id32,
    /// Its address.
    Addr,
    /// Its address and port.
    AddrPort,
}

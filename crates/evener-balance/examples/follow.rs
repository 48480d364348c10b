//! Follows a schedule of requests, a line of JSON each on standard input, and says whom it picks:
//! the other half of `tests/conformance/peers.py`, which plays the same to the real programs.
//!
//! The first line is the pool: `{"scheduler": …, "servers": [{"weight", "most", "address"}]}`.
//! Then `["o", {"client", "target", "header", "key"}]` opens a request and is answered by the
//! server's letter or `-`; `["x", K]` ends the K-th, `["w", J, W]` sets a weight and `["m", J, OUT]`
//! takes a server out or back; these are answered by `.`.

#[path = "../tests/pools/mod.rs"]
mod pools;

use std::io::BufRead;
use std::net::SocketAddr;

use evener_balance::{Birth, Group, Lease, Request, Tried};
use evener_plan::{Admin, Pool};
use serde_json::Value;

struct Asked<'a>(&'a Value);

impl Asked<'_> {
    fn word(&self, name: &str) -> Option<&str> {
        self.0[name].as_str()
    }
}

impl Request for Asked<'_> {
    fn client(&self) -> Option<SocketAddr> {
        self.word("client").and_then(|client| format!("{client}:1024").parse().ok())
    }

    fn target(&self) -> Option<&[u8]> {
        self.word("target").map(str::as_bytes)
    }

    fn header(&self, _name: &str) -> Option<&[u8]> {
        self.word("header").map(str::as_bytes)
    }

    fn key(&self) -> Option<&[u8]> {
        self.word("key").map(str::as_bytes)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut lines = std::io::stdin().lock().lines();
    let mut pool = pool(&serde_json::from_str(&lines.next().ok_or("no pool")??)?)?;
    let mut group = Group::new(&pool, None, Birth::Start, 0);
    let mut leases: Vec<Option<Lease>> = Vec::new();
    for line in lines {
        let op: Value = serde_json::from_str(&line?)?;
        let at = op[1].as_u64().unwrap_or_default() as usize;
        match op[0].as_str().unwrap_or_default() {
            "o" => {
                let lease = group.pick_for(&Asked(&op[1]), &Tried::new(), 0).ok();
                println!("{}", lease.as_ref().map_or("-", |lease| lease.server().id()));
                leases.push(lease);
                continue;
            }
            "x" => leases[at] = None,
            "w" => {
                pool.servers[at].weight = op[2].as_u64().unwrap_or_default() as u32;
                group = Group::new(&pool, Some(&group), Birth::Reload, 0);
                group.adopt(&pool, 0);
            }
            "m" => {
                let is_out = op[2].as_bool().unwrap_or_default();
                pool.servers[at].admin = if is_out { Admin::Maint } else { Admin::Ready };
                group.on_admin(at, pool.servers[at].admin, 0);
            }
            other => return Err(format!("an operation {other}").into()),
        }
        println!(".");
    }
    Ok(())
}

fn pool(given: &Value) -> Result<Pool, Box<dyn std::error::Error>> {
    let mut pool = pools::pool(&[]);
    pool.scheduler = serde_json::from_value(given["scheduler"].clone())?;
    for (at, server) in given["servers"].as_array().into_iter().flatten().enumerate() {
        let number = |name: &str| server[name].as_u64().unwrap_or_default() as u32;
        let mut seat = pools::server(at, number("weight"));
        seat.address = server["address"].as_str().ok_or("no address")?.into();
        seat.host = "127.0.0.1".into();
        seat.limits.most = number("most");
        pool.servers.push(seat);
    }
    Ok(pool)
}

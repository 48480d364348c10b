//! Follows a schedule of requests, a line of JSON each on standard input, and says whom it picks:
//! the other half of `tests/conformance/peers`, which plays the same to the real programs.
//!
//! The first line is the pool: `{"scheduler": …, "passive": … or null, "servers": [{"address",
//! "weight", "most", "tier", "is_out"}]}`. Then `["o", {"client", "target", "header", "key",
//! "payload"}]` opens a request and is answered by the server's letter or `-`; `["x", K, WORKS]` ends
//! the K-th, well or by a failure of its server, `["t", MS]` lets time pass, `["w", J, W]` sets a
//! weight and `["m", J, OUT]` takes a server out or back; these are answered by `.`.

#[path = "../tests/pools/mod.rs"]
mod pools;

use std::io::BufRead;
use std::net::SocketAddr;

use evener_balance::{Birth, Cause, Group, Lease, Outcome, Request, Tried};
use evener_plan::{Admin, Pool};
use serde_json::Value;

struct Asked<'a> {
    said: &'a Value,
    payload: Vec<u8>,
}

impl Asked<'_> {
    fn new(said: &Value) -> Asked<'_> {
        // A character is a byte.
        let payload = said["payload"].as_str().unwrap_or_default();
        Asked { said, payload: payload.chars().map(|byte| byte as u8).collect() }
    }

    fn word(&self, name: &str) -> Option<&str> {
        self.said[name].as_str()
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

    fn payload(&self) -> Option<&[u8]> {
        (!self.payload.is_empty()).then_some(&self.payload)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut lines = std::io::stdin().lock().lines();
    let first = lines.next().ok_or("no pool")??;
    let mut followed = Followed::new(pool(&serde_json::from_str(&first)?)?);
    for line in lines {
        let op: Value = serde_json::from_str(&line?)?;
        println!("{}", followed.follow(&op)?);
    }
    Ok(())
}

/// A pool whose picks are told.
struct Followed {
    pool: Pool,
    group: Group,
    leases: Vec<Option<Lease>>,
    now: u64,
}

impl Followed {
    fn new(pool: Pool) -> Followed {
        let group = Group::new(&pool, None, Birth::Start, 0);
        Followed { pool, group, leases: Vec::new(), now: 0 }
    }

    /// Does what is said, and gives the answer.
    fn follow(&mut self, op: &Value) -> Result<String, String> {
        let at = op[1].as_u64().unwrap_or_default() as usize;
        match op[0].as_str().unwrap_or_default() {
            "o" => {
                let asked = Asked::new(&op[1]);
                let lease = self.group.pick_for(&asked, &Tried::new(), self.now).ok();
                let id = lease.as_ref().map_or("-".into(), |lease| lease.server().id().into());
                self.leases.push(lease);
                return Ok(id);
            }
            "x" => self.end(at, op[2].as_bool().unwrap_or_default()),
            "t" => self.now += at as u64,
            "w" => {
                self.pool.servers[at].weight = op[2].as_u64().unwrap_or_default() as u32;
                self.group = Group::new(&self.pool, Some(&self.group), Birth::Reload, self.now);
                self.group.adopt(&self.pool, self.now);
            }
            "m" => {
                let is_out = op[2].as_bool().unwrap_or_default();
                let admin = if is_out { Admin::Maint } else { Admin::Ready };
                self.pool.servers[at].admin = admin;
                self.group.on_admin(at, admin, self.now);
            }
            other => return Err(format!("an operation {other}")),
        }
        Ok(".".into())
    }

    fn end(&mut self, at: usize, works: bool) {
        let Some(lease) = self.leases[at].take() else { return };
        let outcome = match works {
            true => Outcome::Answered { status: 200 },
            false => Outcome::Failed(Cause::Reset),
        };
        self.group.report(&lease, outcome, self.now);
    }
}

fn pool(given: &Value) -> Result<Pool, Box<dyn std::error::Error>> {
    let mut pool = pools::pool(&[]);
    pool.scheduler = serde_json::from_value(given["scheduler"].clone())?;
    pool.passive = serde_json::from_value(given["passive"].clone())?;
    for (at, server) in given["servers"].as_array().into_iter().flatten().enumerate() {
        let number = |name: &str| server[name].as_u64().unwrap_or_default() as u32;
        let mut seat = pools::server(at, number("weight"));
        seat.address = server["address"].as_str().ok_or("no address")?.into();
        seat.host = "127.0.0.1".into();
        seat.limits.most = number("most");
        seat.tier = number("tier");
        if server["is_out"].as_bool().unwrap_or_default() {
            seat.admin = Admin::Maint;
        }
        pool.servers.push(seat);
    }
    Ok(pool)
}

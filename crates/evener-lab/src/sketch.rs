//! A small picture of a scheduler: who is picked, and how slow the slow ones are, while one of five
//! servers is ten times slower for a while.
//!
//! Rules kept here:
//! - One scenario for all, so that pictures can be compared; equal schedulers give equal bytes.
//! - Whole pixels, few words, colours that can be seen on light and dark.

use std::fmt::Write as _;

use evener_plan::Scheduler;

use crate::arrivals::Arrivals;
use crate::clients::Clients;
use crate::error::LabError;
use crate::report::Report;
use crate::scenario::{Micros, SECOND, Scenario, pool};
use crate::server::{Fault, ServerModel, What};
use crate::service::Service;
use crate::world::run;

const SERVERS: usize = 5;
const LENGTH: u64 = 60;
/// When the first server is slow, in seconds.
const SLOW: (u64, u64) = (20, 40);
/// Seconds of a piece.
const PIECE: u64 = 2;

const WIDTH: u64 = 480;
const LEFT: u64 = 48;
/// Top and bottom of both parts.
const SHARES: (u64, u64) = (22, 112);
const TIMES: (u64, u64) = (134, 204);
/// Milliseconds at the bottom and at the top of the times, which are logarithmic.
const LEAST: f64 = 10.0;
const MOST: f64 = 10_000.0;

/// The picture, as SVG.
///
/// # Errors
/// None with a scheduler of a plan.
pub fn sketch(name: &str, scheduler: &Scheduler) -> Result<String, LabError> {
    let report = run(&scenario(scheduler))?;
    let pieces: Vec<Report> = (0..LENGTH / PIECE)
        .map(|at| report.between(at * PIECE * SECOND, (at + 1) * PIECE * SECOND))
        .collect();
    let mut svg = head(name);
    for server in (0..SERVERS).rev() {
        let share = |piece: &Report| {
            let all = piece.picks.iter().sum::<u64>().max(1);
            let picks = piece.picks.get(server).copied().unwrap_or_default();
            down(SHARES, picks as f64 / all as f64)
        };
        let (colour, width) = if server == 0 { ("#d1495b", 2) } else { ("#8a8f98", 1) };
        line(&mut svg, colour, width, pieces.iter().map(share));
    }
    line(&mut svg, "#2e86ab", 2, pieces.iter().map(p99));
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn scenario(scheduler: &Scheduler) -> Scenario {
    let service = Service::LogNormal { median: 20_000.0, spread: 0.3 };
    let mut servers = vec![ServerModel::new(service).with_slots(16); SERVERS];
    let slow = What::Takes(Service::LogNormal { median: 200_000.0, spread: 0.3 });
    servers[0].faults = vec![Fault::new(SLOW.0 * SECOND, SLOW.1 * SECOND, slow)];
    let pool = pool(scheduler.clone(), &[1; SERVERS]);
    let scenario = Scenario::new(pool, servers, Arrivals::Poisson { rate: 300.0 });
    let clients = Clients::Known { count: 200, skew: 0.7 };
    Scenario { clients, length: LENGTH * SECOND, ..scenario }
}

fn head(name: &str) -> String {
    let (from, until) = (across(SLOW.0), across(SLOW.1));
    let mut svg = String::new();
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} 224\" role=\"img\" \
         font-family=\"sans-serif\" font-size=\"11\" fill=\"#8a8f98\">\n\
         <title>{name}: shares of five servers and p99, the first one slow from 20 s to 40 s</title>\n\
         <rect x=\"{from}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"#d1495b\" opacity=\".12\"/>\n",
        SHARES.0,
        until - from,
        TIMES.1 - SHARES.0,
    );
    let mut word = |x: u64, y: u64, anchor: &str, text: &str| {
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>");
    };
    word(LEFT, 14, "start", "share of each server (red: the slow one)");
    word(LEFT, TIMES.0 - 6, "start", "p99 of all requests");
    for (y, text) in [(SHARES.0 + 8, "100 %"), (SHARES.1, "0"), (TIMES.0 + 8, "10 s")] {
        word(LEFT - 4, y, "end", text);
    }
    word(LEFT - 4, TIMES.1, "end", "10 ms");
    for second in [0, 20, 40, 60] {
        word(across(second), TIMES.1 + 14, "middle", &format!("{second} s"));
    }
    svg
}

fn line(svg: &mut String, colour: &str, width: u32, heights: impl Iterator<Item = u64>) {
    let _ = write!(
        svg,
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" points=\""
    );
    for (at, height) in (0..).zip(heights) {
        let space = if at > 0 { " " } else { "" };
        let _ = write!(svg, "{space}{},{height}", across(at * PIECE + PIECE / 2));
    }
    svg.push_str("\"/>\n");
}

fn p99(piece: &Report) -> u64 {
    let micros = piece.quantile(0.99).unwrap_or(Micros::MAX) as f64;
    let part = (micros / 1_000.0 / LEAST).log10() / (MOST / LEAST).log10();
    down(TIMES, part)
}

fn across(second: u64) -> u64 {
    LEFT + second * (WIDTH - LEFT - 12) / LENGTH
}

/// The pixel of a part, 0 to 1, of a height.
fn down((top, bottom): (u64, u64), part: f64) -> u64 {
    bottom - (part.clamp(0.0, 1.0) * (bottom - top) as f64).round() as u64
}

//! The list in ARCHITECTURE.md and what a request really passes.

use super::{GET, OK};
use crate::simulation::Sim;
use crate::steps;

#[test]
fn a_request_passes_the_functions_that_the_architecture_names_in_their_order() {
    let sim = Sim::new(&["a"]);
    sim.server("a").answers(OK);
    let client = sim.client();
    steps::passed();
    client.sends(GET).receives(OK);
    let passed = steps::passed();
    assert!(passed.len() <= 10);
    assert_eq!(passed, listed());
}

/// The first word of each line in the fenced list of its section.
fn listed() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ARCHITECTURE.md");
    let page = std::fs::read_to_string(path).expect("the page is there");
    let (_, section) = page.split_once("\n## One request\n").expect("it has the section");
    let list = section.split("```\n").nth(1).expect("it has a list");
    list.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

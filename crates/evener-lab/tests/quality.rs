//! No scheduler leaves its bounds, and the page of quality has every row. Its figures are those
//! of the processor that wrote it: the last bit of a logarithm is not the same on all.

use evener_lab::quality::STUDIES;

const PAGE: &str = include_str!("../../../docs/concepts/quality.md");

fn holds(name: &str) {
    let study = STUDIES.iter().find(|study| study.name == name).expect("a study");
    let rows = study.rows().expect("a scenario");
    assert!(!rows.is_empty());
    let left: Vec<_> = rows.iter().filter(|row| !row.holds()).collect();
    assert!(left.is_empty(), "{name} left its bounds: {left:#?}");
    let missing: Vec<_> = rows.iter().filter(|row| !PAGE.contains(&row.head())).collect();
    assert!(missing.is_empty(), "the page lacks rows, write it anew: {missing:#?}");
}

#[test]
fn a_slow_server_costs_a_request_in_a_thousand_at_most() {
    holds("buoyant");
}

#[test]
fn a_draw_of_some_is_as_good_as_is_known() {
    holds("supermarket");
}

#[test]
fn a_ramp_beyond_the_allocation_makes_no_errors() {
    holds("prequal");
}

#[test]
fn servers_that_change_all_the_time_have_half_the_tail_of_least_outstanding() {
    holds("c3");
}

#[test]
fn keys_stay_when_servers_go() {
    holds("maglev");
}

#[test]
fn nobody_is_given_more_than_its_bound() {
    holds("bounded");
}

#[test]
fn nobody_falls_into_the_known_traps() {
    holds("traps");
}

#[test]
fn studies_have_names_of_their_own() {
    let mut names: Vec<&str> = STUDIES.iter().map(|study| study.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), STUDIES.len());
}

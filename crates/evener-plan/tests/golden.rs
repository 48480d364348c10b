//! The golden plans, which Python's compile writes, are plans; and writing them back loses nothing.

use std::fs;
use std::path::Path;

use evener_plan::Plan;

#[test]
#[expect(clippy::disallowed_methods, reason = "a test reads its files; the crate reads none")]
fn every_golden_plan_is_read_and_written_back_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let mut seen = 0;
    for entry in fs::read_dir(&folder).expect("the golden folder stands beside the tests") {
        let path = entry.expect("a folder's entry is readable").path();
        if !path.to_string_lossy().ends_with(".plan.json") {
            continue;
        }
        seen += 1;
        let text = fs::read(&path).expect("a golden file is readable");
        let plan =
            Plan::from_json(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let written: serde_json::Value = serde_json::from_str(&plan.to_json()).expect("JSON");
        let golden: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(written, golden, "{}", path.display());
    }
    assert!(seen > 0, "no golden plans in {}", folder.display());
}

#[test]
fn a_scheduler_reads_as_its_name_with_its_parameters_beside_it() {
    let text = r#"{"name":"lvs/sh","port":false,"fallback":true,
        "service":{"inactive":120000,"persistence":null}}"#;
    let scheduler: evener_plan::Scheduler = serde_json::from_str(text).expect("a scheduler");
    let written = serde_json::to_value(&scheduler).expect("JSON");
    assert_eq!(written, serde_json::from_str::<serde_json::Value>(text).expect("JSON"));
    for wrong in [
        r#"{"name":"lvs/sh","port":false,"fallback":true}"#,
        r#"{"name":"lvs/rr","inactive":1,"persistence":null,"more":1}"#,
        r#"{"name":"nginx/round_robin","more":1}"#,
        r#"{"name":"lvs/none"}"#,
    ] {
        assert!(serde_json::from_str::<evener_plan::Scheduler>(wrong).is_err(), "{wrong}");
    }
}

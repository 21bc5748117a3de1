#![allow(clippy::unwrap_used)]

use super::targets::Target;
use super::*;

fn measured(decode: &[f64], prefill: f64, heap: Option<u64>) -> Measured {
    let run = |decode: f64| Run {
        prompt_tokens: 250,
        tokens: 64,
        first_token: 1.0,
        prefill,
        decode,
        heap,
        gpu: None,
        text: "abc".to_owned(),
    };
    Measured {
        name: "engine".to_owned(),
        load: 2.0,
        load_again: 1.0,
        heap,
        warm_up: run(1.0),
        runs: decode.iter().copied().map(run).collect(),
    }
}

fn report(comparison: Comparison) -> Report {
    Report {
        surroundings: json!({ "browser": "Chrome/1", "cores": 2, "crossOriginIsolated": false }),
        load_average: [Some(0.5), None],
        profile: "release".to_owned(),
        weights: 100_000_000,
        on_gpu: false,
        max_tokens: 64,
        stop: vec![20.0, 101.0],
        shells: Vec::new(),
        files: vec![SiteFile {
            path: "index.html".to_owned(),
            gzipped: 1_600_001,
        }],
        // Pair by pair the decode ratios are 2, 0.5, 0.5, 0.7, 1.
        ours: measured(&[20.0, 10.0, 10.0, 7.0, 30.0], 90.0, Some(140_000_000)),
        comparison,
    }
}

fn verdicts(report: &Report) -> Vec<&'static str> {
    report.targets().iter().map(Target::verdict).collect()
}

#[test]
fn ratios_are_of_pairs_and_limits_are_exact() {
    let theirs = measured(&[10.0, 20.0, 20.0, 10.0, 30.0], 100.0, None);
    let report = report(Comparison::Measured(theirs));
    let ratio = report.ratio(|run| run.decode).unwrap();
    assert_eq!(
        ratio,
        Spread {
            min: 0.5,
            median: 0.7,
            max: 2.0
        }
    );
    assert_eq!(
        verdicts(&report),
        ["missed", "met", "met", "missed", "missed"]
    );
    let json = report.json();
    assert_eq!(json["ratio"]["prefill"]["median"], 0.9);
    assert_eq!(json["targets"][0]["value"], 0.7);
    assert!(report.text().contains("at least 0.8"));
}

#[test]
fn what_was_not_measured_is_neither_met_nor_missed() {
    let mut report = report(Comparison::Missing {
        reason: "no Node.js".to_owned(),
    });
    report.ours.heap = None;
    report.stop.clear();
    let unknown = "not measured";
    let expected = [unknown, unknown, unknown, "missed", unknown];
    assert_eq!(verdicts(&report), expected);
    assert!(report.text().contains("no Node.js"));
    assert_eq!(report.json()["ratio"]["decode"], Value::Null);
}

#[test]
fn the_gpu_has_targets_of_its_own() {
    let mut report = report(Comparison::Missing {
        reason: String::new(),
    });
    report.on_gpu = true;
    let met = ["not measured", "missed", "missed", "missed"];
    assert_eq!(verdicts(&report), met);
    report.ours.heap = Some(64_000_000);
    report.stop = vec![100.0];
    for run in &mut report.ours.runs {
        run.gpu = Some(json!({ "dispatches": 154.0 }));
    }
    assert_eq!(verdicts(&report), ["met", "met", "missed", "met"]);
    assert!(report.text().contains("154.0 dispatches"));
}

#[test]
fn texts_agree_up_to_a_character() {
    assert_eq!(agreement("a", "a"), "Both wrote the same text.");
    assert_eq!(
        agreement("déjà vu", "déjà lu"),
        "The texts agree for the first 5 of 7 characters."
    );
}

//! The page on the GPU: Chromium's software adapter, which computes a token in about a second, so
//! every text here is short.

use std::time::Duration;

use super::generate::{assert_same, natively};
use super::{Journey, LONG};
use glassformer_engine::protocol::{GenerateSettings, PrecisionChoice, Prompt};

/// Long enough for a load and a dozen tokens on the software adapter, beside other journeys.
const SLOW: Duration = Duration::from_secs(120);

const COUNT: &str = "document.querySelectorAll('[data-testid=generate-token]').length";

impl Journey {
    fn badge(&mut self) -> String {
        self.string(
            "(b => b.dataset.backend + ' ' + b.dataset.precision)\
             (document.querySelector('[data-testid=backend-badge]'))",
        )
    }

    /// Clicks a choice of the badge's panel.
    fn choose(&mut self, group: &str, label: &str) {
        let script = format!(
            "[...document.querySelectorAll('input[name={group}]')]\
             .find(i => i.closest('label').textContent.startsWith('{label}')).click()"
        );
        self.page.evaluate(&script).unwrap();
    }

    fn lose_device(&mut self) {
        let script = "document.querySelector('[data-testid=debug-lose-device]').click()";
        self.page.evaluate(script).unwrap();
    }

    fn ended(&mut self) {
        self.wait(
            "document.querySelector('[data-testid=generate-stop]')?.disabled ?? true",
            SLOW,
        );
    }
}

#[test]
fn the_gpu_writes_what_the_cpu_writes_and_each_token_opens() {
    let name = "the_gpu_writes_what_the_cpu_writes_and_each_token_opens";
    let text = "Once upon a time";
    let fragment = "backend=webgpu&mode=plain&max_tokens=8&temperature=0&text=Once upon a time";
    let Some(mut journey) = Journey::begin_gpu(name, fragment) else {
        return;
    };
    journey.page.click("generate-run").unwrap();
    journey.wait(&format!("{COUNT} >= 8"), SLOW);
    journey.ended();
    assert_eq!(journey.badge(), "webgpu exact");
    let shown = journey.tokens();
    let settings = GenerateSettings {
        temperature: 0.0,
        max_tokens: 8,
        ..GenerateSettings::default()
    };
    let prompt = Prompt::Plain { text: text.into() };
    let expected = natively(&journey, prompt, PrecisionChoice::Exact, settings);
    assert_same(&shown, &expected);

    // A token opens, and a slider redraws it without the device.
    journey.open_token(3);
    let rows = journey.rows();
    let chosen = rows.iter().find(|row| row["chosen"] == "true").unwrap();
    assert_eq!(chosen["id"].as_str().unwrap(), shown[3].0.to_string());
    journey.slide("lens-temperature", 1.0);
    assert_ne!(journey.rows()[0]["final"], rows[0]["final"]);
    journey.page.click("lens-reset").unwrap();

    // Another candidate branches; the trunk is still there.
    let other = rows.iter().find(|row| row["chosen"] == "false").unwrap();
    let other = other["id"].as_str().unwrap().to_owned();
    let click = format!(
        "document.querySelector('[data-testid=lens-candidate][data-id=\"{other}\"] button').click()"
    );
    journey.page.evaluate(&click).unwrap();
    let branches = "document.querySelectorAll('[data-testid=branch-node]').length === 2";
    journey.wait(branches, SLOW);
    journey.wait(&format!("{COUNT} >= 5"), SLOW);
    journey.page.click("generate-stop").unwrap();
    journey.ended();
    let branch = journey.tokens();
    assert_eq!(branch[..3], shown[..3]);
    assert_eq!(branch[3].0.to_string(), other);
    journey.page.click("branch-node").unwrap();
    assert_eq!(journey.tokens(), shown);

    // The same text goes on with the CPU: what was written stays.
    journey.choose("backend", "CPU");
    assert_eq!(journey.tokens(), shown);
    journey.open_token(6);
    let rows = journey.rows();
    let other = rows.iter().find(|row| row["chosen"] == "false").unwrap();
    let other = other["id"].as_str().unwrap().to_owned();
    let click = format!(
        "document.querySelector('[data-testid=lens-candidate][data-id=\"{other}\"] button').click()"
    );
    journey.page.evaluate(&click).unwrap();
    journey.wait(
        "document.querySelector('[data-testid=backend-badge]').dataset.backend === 'cpu' \
         && document.querySelector('[data-testid=backend-badge]').dataset.running === 'true'",
        LONG,
    );
    journey.wait(&format!("{COUNT} >= 8"), LONG);
    journey.ended();
    let moved = journey.tokens();
    assert_eq!(moved[..6], shown[..6]);
    assert_eq!(moved[6].0.to_string(), other);
    journey.expect_quiet();
}

#[test]
fn a_lost_gpu_is_opened_again_then_the_cpu_goes_on() {
    let name = "a_lost_gpu_is_opened_again_then_the_cpu_goes_on";
    let fragment = "backend=webgpu&precision=exact&debug=1&mode=plain&max_tokens=12\
                    &temperature=0&text=Once upon a time";
    let Some(mut journey) = Journey::begin_gpu(name, fragment) else {
        return;
    };
    journey.page.click("generate-run").unwrap();
    journey.wait(&format!("{COUNT} >= 2"), SLOW);
    journey.lose_device();
    let notice = |words: &str| format!("document.body.innerText.includes({words:?})");
    journey.wait(&notice("It was opened again"), SLOW);
    let seen = journey.tokens().len();
    journey.wait(&format!("{COUNT} >= {}", seen + 1), SLOW);
    assert_eq!(journey.badge(), "webgpu exact");
    journey.lose_device();
    journey.wait(&notice("The text goes on with the CPU"), SLOW);
    journey.wait(&format!("{COUNT} >= 12"), SLOW);
    journey.ended();
    assert_eq!(journey.badge(), "cpu exact");

    // The text is the one that an undisturbed run writes.
    let settings = GenerateSettings {
        temperature: 0.0,
        max_tokens: 12,
        ..GenerateSettings::default()
    };
    let prompt = Prompt::Plain {
        text: "Once upon a time".into(),
    };
    let expected = natively(&journey, prompt, PrecisionChoice::Exact, settings);
    let ids = |tokens: &[(u32, f64)]| tokens.iter().map(|(id, _)| *id).collect::<Vec<_>>();
    let shown = journey.tokens();
    assert_eq!(ids(&shown), ids(&expected));
    journey.expect_quiet();
}

#[test]
fn software_is_never_taken_for_a_gpu() {
    let name = "software_is_never_taken_for_a_gpu";
    let fragment = "backend=auto&mode=plain&max_tokens=4&text=Once upon a time";
    let Some(mut journey) = Journey::begin_gpu(name, fragment) else {
        return;
    };
    journey.run_to_the_end();
    assert_eq!(journey.badge(), "cpu fast");
    let why = journey.string("document.querySelector('.why')?.textContent");
    assert!(why.contains("computed by the CPU"), "{why}");
    journey.expect_quiet();
}

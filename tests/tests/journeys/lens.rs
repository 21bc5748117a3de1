//! Opening a token: its candidates, what another setting would make of them, and the branches that
//! grow from them. Run on every backend there is.

use std::time::Duration;

use serde_json::Value;

use super::{Journey, LONG, SHORT};

/// What `&backend=` may be here.
const BACKENDS: [&str; 1] = ["cpu"];

/// Long enough for a message to be answered, should one have been sent.
const MOMENT: Duration = Duration::from_millis(300);

/// Everything the table of the lens says, row by row.
const ROWS: &str =
    "[...document.querySelectorAll('[data-testid=lens-candidate]')].map(r => ({...r.dataset}))";

impl Journey {
    pub(super) fn rows(&mut self) -> Vec<Value> {
        let rows = self.page.evaluate(ROWS).unwrap();
        rows.as_array().unwrap().clone()
    }

    /// Clicks the n-th token.
    pub(super) fn open_token(&mut self, index: usize) {
        let script =
            format!("document.querySelectorAll('[data-testid=generate-token]')[{index}].click()");
        self.page.evaluate(&script).unwrap();
        self.wait(
            "document.querySelectorAll('[data-testid=lens-candidate]').length >= 20",
            SHORT,
        );
    }

    /// Moves a slider of the lens, as a person's hand does.
    pub(super) fn slide(&mut self, testid: &str, value: f64) {
        let script = format!(
            "(s => {{ s.value = {value}; s.dispatchEvent(new Event('input', {{bubbles: true}})) }})\
             (document.querySelector('[data-testid={testid}]'))"
        );
        self.page.evaluate(&script).unwrap();
        self.page.pause(MOMENT).unwrap();
    }

    /// Pictures of the page for people to look at, if they say where.
    pub(super) fn picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("GLASSFORMER_SCREENSHOTS") else {
            return;
        };
        for (width, height) in [(1280, 1100), (390, 844)] {
            for (dark, look) in [(false, "light"), (true, "dark")] {
                let file = format!("{name}-{width}-{look}.png");
                let path = std::path::Path::new(&folder).join(file);
                // Colours take a moment to follow.
                self.page.set_window(width, height, dark).unwrap();
                self.page.pause(MOMENT).unwrap();
                self.page.screenshot(&path, width, height, dark).unwrap();
            }
        }
    }

    fn ids(&mut self) -> Vec<u32> {
        self.tokens().into_iter().map(|(id, _)| id).collect()
    }
}

fn number(row: &Value, name: &str) -> f64 {
    row[name].as_str().unwrap().parse().unwrap()
}

fn finals(rows: &[Value]) -> Vec<f64> {
    rows.iter().map(|row| number(row, "final")).collect()
}

#[test]
fn a_token_opens_redraws_and_branches() {
    for backend in BACKENDS {
        let name = format!("a_token_opens_redraws_and_branches_{backend}");
        let fragment = format!(
            "backend={backend}&mode=plain&max_tokens=16&temperature=0.9&top_k=12&top_p=1&seed=5&text=Once upon a time"
        );
        let Some(mut journey) = Journey::begin(&name, &fragment) else {
            return;
        };
        journey.run_to_the_end();
        let trunk = journey.tokens();
        assert_eq!(trunk.len(), 16);

        // The table: twenty by falling raw probability, the chosen marked, its number the token's.
        journey.open_token(6);
        let rows = journey.rows();
        let raw: Vec<f64> = rows.iter().take(20).map(|row| number(row, "raw")).collect();
        assert!(raw.windows(2).all(|pair| pair[0] >= pair[1]), "{raw:?}");
        let chosen: Vec<&Value> = rows.iter().filter(|row| row["chosen"] == "true").collect();
        assert_eq!(chosen.len(), 1);
        assert_eq!(number(chosen[0], "id") as u32, trunk[6].0);
        assert!((number(chosen[0], "raw").ln() - trunk[6].1).abs() < 1e-4);
        assert_eq!(chosen[0]["fate"], "kept");
        let sum: f64 = finals(&rows).iter().sum();
        assert!((sum - 1.0).abs() < 1e-4, "twelve hold everything: {sum}");
        let cut = journey.page.text("lens-cut").unwrap();
        assert!(cut.contains("top-k"), "{cut}");

        journey.picture("lens-open");

        // Sliders redraw at once and run nothing: no token changes, no status, no request.
        let status = journey.page.text("generate-status").unwrap();
        journey.slide("lens-temperature", 0.1);
        let sharper = journey.rows();
        assert!(finals(&sharper)[0] > finals(&rows)[0]);
        for (row, sharp) in rows.iter().zip(&sharper) {
            assert_eq!((&row["id"], &row["raw"]), (&sharp["id"], &sharp["raw"]));
        }
        // T = 0.1 is the tenth power: ratios of the new are those of the raw, to the tenth.
        let raw_ratio = number(&rows[1], "raw") / number(&rows[0], "raw");
        let ratio = finals(&sharper)[1] / finals(&sharper)[0];
        assert!(
            (ratio - raw_ratio.powi(10)).abs() < 1e-4,
            "{ratio} {raw_ratio}"
        );
        journey.page.click("lens-reset").unwrap();
        journey.slide("lens-top_k", 1.0);
        let one = journey.rows();
        assert_eq!(finals(&one)[0], 1.0);
        assert_eq!(finals(&one)[1..], vec![0.0; one.len() - 1]);
        journey.page.click("lens-reset").unwrap();
        assert_eq!(finals(&journey.rows()), finals(&rows));
        assert_eq!(journey.page.text("generate-status").unwrap(), status);
        assert_eq!(journey.tokens(), trunk);

        // A token that the draw took against the odds would be struck through by a harder cut.
        let unlikely = (0..16).find(|at| {
            journey.open_token(*at);
            let rows = journey.rows();
            let struck = rows.iter().position(|row| row["chosen"] == "true").unwrap() > 0;
            if !struck {
                journey.page.press("Escape").unwrap();
            }
            struck
        });
        assert!(unlikely.is_some(), "sixteen draws, all the likeliest");
        journey.slide("lens-top_k", 1.0);
        let script =
            "document.querySelector('[data-testid=lens-candidate][data-chosen=true] s') !== null";
        journey.wait(script, SHORT);
        journey.picture("lens-struck");
        journey.page.click("lens-reset").unwrap();
        journey.page.press("Escape").unwrap();

        // Another candidate continues as a branch; the trunk stays.
        journey.open_token(6);
        let other = journey.rows();
        let other = other.iter().find(|row| row["chosen"] == "false").unwrap();
        let other = number(other, "id") as u32;
        let script = format!(
            "document.querySelector('[data-testid=lens-candidate][data-id=\"{other}\"] button').click()"
        );
        journey.page.evaluate(&script).unwrap();
        journey.wait(
            "document.querySelectorAll('[data-testid=branch-node]').length === 2",
            LONG,
        );
        journey.finished();
        let branch = journey.tokens();
        assert_eq!(branch[..6], trunk[..6]);
        assert_eq!(branch[6].0, other);
        assert_eq!(branch.len(), 16);
        // The lens went along, and says the same of the new token as it did before.
        let rows_now = journey.rows();
        let now = rows_now.iter().find(|row| row["chosen"] == "true").unwrap();
        assert_eq!(number(now, "id") as u32, other);
        assert_eq!(finals(&rows_now)[..20], finals(&rows)[..20]);
        journey.picture("lens-branch");

        // Both are reachable, and the link holds the one that is shown.
        journey.wait(
            &format!("location.hash.includes('branch=6:{other}')"),
            SHORT,
        );
        let link = journey.string("location.hash");
        journey.page.click("branch-node").unwrap();
        assert_eq!(journey.tokens(), trunk);
        journey.wait("!location.hash.includes('branch=')", SHORT);
        let script = "document.querySelectorAll('[data-testid=branch-node]')[1].click()";
        journey.page.evaluate(script).unwrap();
        assert_eq!(journey.tokens(), branch);

        // Another run replaces all of it, and can be undone.
        journey.run_to_the_end();
        assert_eq!(journey.page.count("branch-node").unwrap(), 0);
        assert_eq!(journey.tokens(), trunk);
        journey.page.click("generate-undo").unwrap();
        assert_eq!(journey.tokens(), branch);
        assert_eq!(journey.page.count("branch-node").unwrap(), 2);

        // The link alone brings the branch back.
        journey.open(&format!("{}&run=1", link.trim_start_matches('#')));
        journey.finished();
        assert_eq!(journey.tokens(), branch);
        let shown = journey.string(
            "document.querySelector('[data-testid=branch-node][data-current=true]')?.dataset.id",
        );
        assert_eq!(shown, other.to_string());
        journey.expect_quiet();
    }
}

#[test]
fn a_stopped_branch_and_the_keyboard_lose_nothing() {
    for backend in BACKENDS {
        let name = format!("a_stopped_branch_and_the_keyboard_lose_nothing_{backend}");
        let fragment =
            format!("backend={backend}&mode=plain&max_tokens=200&seed=3&text=Once upon a time");
        let Some(mut journey) = Journey::begin(&name, &fragment) else {
            return;
        };
        journey.page.click("generate-run").unwrap();
        let count = "document.querySelectorAll('[data-testid=generate-token]').length";
        journey.wait(&format!("{count} >= 12"), LONG);
        journey.page.click("generate-stop").unwrap();
        journey.finished();
        let trunk = journey.ids();

        // By keyboard: to the fourth token, into the lens, one candidate down, and branch.
        let script = "document.querySelector('[data-testid=generate-token]').focus()";
        journey.page.evaluate(script).unwrap();
        for key in ["ArrowRight", "ArrowRight", "ArrowRight", "Enter", "Enter"] {
            journey.page.press(key).unwrap();
        }
        let focused =
            "document.activeElement.closest('[data-testid=lens-candidate]')?.dataset.id ?? ''";
        let first = journey.string(focused);
        assert!(!first.is_empty(), "the second Enter goes into the lens");
        if first == trunk[3].to_string() {
            journey.page.press("ArrowDown").unwrap();
        }
        let other: u32 = journey.string(focused).parse().unwrap();
        assert_ne!(other, trunk[3]);
        // Escape goes back to the token, and two Enters to the candidates again.
        journey.page.press("Escape").unwrap();
        let at = journey.string("document.activeElement.dataset.index");
        assert_eq!(at, "3");
        journey.page.press("Enter").unwrap();
        journey.page.press("Enter").unwrap();
        if first == trunk[3].to_string() {
            journey.page.press("ArrowDown").unwrap();
        }
        journey.page.press("Enter").unwrap();
        journey.wait(&format!("document.querySelectorAll('[data-testid=branch-node]').length === 2 && {count} >= 7"), LONG);
        journey.page.click("generate-stop").unwrap();
        journey.finished();
        let branch = journey.ids();
        assert_eq!(branch[..3], trunk[..3]);
        assert_eq!(branch[3], other);
        // Stopped early, but what was written stays, here and in the trunk.
        assert!(branch.len() >= 7 && branch.len() < 200, "{}", branch.len());
        journey.page.click("branch-node").unwrap();
        assert_eq!(journey.ids(), trunk);
        journey.expect_quiet();
    }
}

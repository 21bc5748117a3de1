//! Loading: progress, cancel, a network that fails, a disk that is full.

use glassformer_tests::server::Fault;
use serde_json::json;

use super::{Journey, LONG, SHORT, WEIGHTS};

const LOADED: &str =
    "Number(document.querySelector('[data-testid=model-progress]')?.getAttribute('value') ?? 0)";

impl Journey {
    fn fault(&self, fault: Fault) {
        self.server.set_fault(WEIGHTS, fault);
    }

    /// The person's text survives whatever happens.
    fn typed(&mut self) -> String {
        self.string("document.querySelector('[data-testid=generate-input]').value")
    }

    /// After a failure: nothing is kept as whole, and the page works as soon as the cause is gone.
    fn recovers(&mut self, typed: &str) {
        assert_eq!(self.typed(), typed);
        self.server.clear_faults();
        let before = self.downloads();
        self.run_to_the_end();
        assert_eq!(self.tokens().len(), 3);
        assert_eq!(self.downloads(), before + 1, "nothing half-loaded was used");
    }
}

#[test]
fn a_load_can_be_cancelled_and_started_again() {
    let name = "a_load_can_be_cancelled_and_started_again";
    let Some(mut journey) = Journey::begin(name, "text=Hello&max_tokens=3") else {
        return;
    };
    journey.fault(Fault {
        bytes_per_second: Some(8_000_000),
        ..Fault::default()
    });
    journey.page.click("generate-run").unwrap();
    journey.wait(&format!("{LOADED} > 4000000"), LONG);
    let line = journey.page.text("model-line").unwrap();
    assert!(line.contains("98.4 MB"), "{line}");
    journey.page.click("model-cancel").unwrap();
    journey.wait(
        "document.querySelector('[data-testid=model-cancel]').hidden",
        SHORT,
    );
    let progress = journey.page.count("generate-token").unwrap();
    assert_eq!(progress, 0);
    journey.recovers("Hello");
    journey.expect_quiet();
}

#[test]
fn a_network_that_fails_leaves_the_page_usable() {
    let name = "a_network_that_fails_leaves_the_page_usable";
    let Some(mut journey) = Journey::begin(name, "text=Hello&max_tokens=3") else {
        return;
    };
    let faults = [
        (
            Fault {
                cut_after: Some(20_000_000),
                ..Fault::default()
            },
            "could not be fetched",
        ),
        (
            Fault {
                status: Some(404),
                ..Fault::default()
            },
            "not on the server",
        ),
        (
            Fault {
                status: Some(503),
                ..Fault::default()
            },
            "try again later",
        ),
        // In the header, where the reader of the format meets it long before the hash is known.
        (
            Fault {
                corrupt_at: Some(1),
                ..Fault::default()
            },
            "damaged",
        ),
        (
            Fault {
                corrupt_at: Some(50_000_000),
                ..Fault::default()
            },
            "damaged",
        ),
        (
            Fault {
                truncate_to: Some(30_000_000),
                ..Fault::default()
            },
            "damaged",
        ),
    ];
    for (fault, words) in faults {
        journey.fault(fault);
        journey.page.click("generate-run").unwrap();
        let message = journey.error();
        assert!(message.contains(words), "{fault:?}: {message}");
        assert_eq!(journey.typed(), "Hello");
    }
    journey.recovers("Hello");

    // What there was to look at before stays.
    journey.open("tab=match");
    let busy = Fault {
        status: Some(503),
        ..Fault::default()
    };
    journey
        .server
        .set_fault("/models/mini-clip/mini-clip.Q8_0.gguf", busy);
    journey.page.click("match-run").unwrap();
    journey.wait(
        "document.querySelector('[data-testid=match-error] p')?.innerText.includes('try again later')",
        LONG,
    );
    journey.wait(
        "document.querySelectorAll('[data-testid=recorded-cell]').length === 64",
        SHORT,
    );
    assert_eq!(
        journey
            .page
            .foreign_requests(&journey.server.url())
            .unwrap(),
        Vec::<String>::new()
    );
}

#[test]
fn a_full_disk_is_said_and_the_model_works_all_the_same() {
    let name = "a_full_disk_is_said_and_the_model_works_all_the_same";
    let Some(mut journey) = Journey::begin(name, "text=Hello&max_tokens=3") else {
        return;
    };
    let origin = journey.server.url();
    let quota = json!({"origin": origin.trim_end_matches('/'), "quotaSize": 20_000_000});
    journey
        .page
        .call("Storage.overrideQuotaForOrigin", quota)
        .unwrap();
    journey.run_to_the_end();
    assert_eq!(journey.tokens().len(), 3);
    let notices = journey.page.text("notices").unwrap();
    assert!(notices.contains("no room"), "{notices}");
    // Another precision loads the weights again, and they have to come over the network.
    journey
        .page
        .evaluate("location.hash = 'text=Hello&max_tokens=3&precision=exact'")
        .unwrap();
    journey.wait(
        "document.querySelector('[data-testid=generate-run]').innerText.includes('98.4 MB')",
        SHORT,
    );
    journey.open("text=Hello&max_tokens=3&run=1");
    let button = journey.page.text("generate-run").unwrap();
    assert!(
        button.contains("98.4 MB"),
        "nothing half-loaded is taken for whole: {button}"
    );
}

#[test]
fn running_twice_while_loading_joins_the_load_and_stop_means_stop() {
    let name = "running_twice_while_loading_joins_the_load_and_stop_means_stop";
    let Some(mut journey) = Journey::begin(name, "text=Hello&max_tokens=3") else {
        return;
    };
    journey.fault(Fault {
        bytes_per_second: Some(8_000_000),
        ..Fault::default()
    });
    journey.page.click("generate-run").unwrap();
    journey.wait(&format!("{LOADED} > 2000000"), LONG);
    journey.page.click("generate-input").unwrap();
    journey.page.press("Control+Enter").unwrap();
    journey.server.clear_faults();
    journey.finished();
    assert_eq!(journey.tokens().len(), 3);
    assert_eq!(journey.downloads(), 1);

    // Stop during a load: nothing is written once it would have been over.
    journey.open("text=Hello&max_tokens=3&precision=exact");
    journey.page.click("generate-run").unwrap();
    journey.page.click("generate-stop").unwrap();
    journey
        .page
        .pause(std::time::Duration::from_secs(3))
        .unwrap();
    assert_eq!(journey.page.count("generate-token").unwrap(), 0);
    journey.run_to_the_end();
    assert_eq!(journey.tokens().len(), 3);
    journey.expect_quiet();
}

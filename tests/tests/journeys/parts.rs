//! The program is cut into parts, and a part is fetched when it is first needed.

use glassformer_tests::server::Fault;

use super::{Journey, LONG, SHORT};

impl Journey {
    /// Names of the parts that were fetched, without their folders.
    fn parts(&self) -> Vec<String> {
        let requests = self.server.requests().into_iter();
        let whole = requests.filter(|request| request.status == 200);
        whole
            .filter_map(|request| {
                let (folder, name) = request.path.trim_start_matches('/').split_once('/')?;
                folder.starts_with("parts-").then(|| name.to_owned())
            })
            .filter(|name| name.starts_with("split_"))
            .collect()
    }

    /// Where the page's and the workers' parts of this name are.
    fn addresses(&self, part: &str) -> Vec<String> {
        let folders = std::fs::read_dir(&self.prepared.dist).unwrap();
        let names = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let parts = names.filter(|name| name.starts_with("parts-"));
        parts.map(|folder| format!("/{folder}/{part}")).collect()
    }
}

#[test]
fn a_text_is_written_without_the_parts_of_other_tabs() {
    let name = "a_text_is_written_without_the_parts_of_other_tabs";
    let link = "backend=cpu&text=Hello&max_tokens=3";
    let Some(mut journey) = Journey::begin(name, link) else {
        return;
    };
    journey.run_to_the_end();
    assert_eq!(journey.tokens().len(), 3);
    // The prompt is put into the model's chat template.
    assert_eq!(journey.parts(), ["split_chat.wasm"]);

    journey.page.click("tab-translate").unwrap();
    journey.wait(
        "document.querySelector('[data-testid=translate-input]')",
        SHORT,
    );
    assert_eq!(journey.parts(), ["split_chat.wasm", "split_translate.wasm"]);
    journey.expect_quiet();
}

#[test]
fn a_text_is_stopped_while_a_part_is_on_its_way() {
    let name = "a_text_is_stopped_while_a_part_is_on_its_way";
    let link = "backend=cpu&text=Hello&max_tokens=3&mode=plain";
    let Some(mut journey) = Journey::begin(name, link) else {
        return;
    };
    journey.run_to_the_end();
    let slow = Fault {
        bytes_per_second: Some(1),
        ..Fault::default()
    };
    for part in journey.addresses("split_chat.wasm") {
        journey.server.set_fault(&part, slow);
    }
    journey
        .page
        .evaluate("location.hash = location.hash.replace('mode=plain', 'mode=chat')")
        .unwrap();
    journey.wait(
        "document.querySelector('[data-testid=generate-run]:enabled')",
        SHORT,
    );
    journey.page.click("generate-run").unwrap();
    journey.wait(
        "document.querySelector('[data-testid=generate-status]').innerText.includes('reading')",
        SHORT,
    );
    journey.page.click("generate-stop").unwrap();
    journey.wait(
        "document.querySelector('[data-testid=generate-run]:enabled')",
        SHORT,
    );
    journey.server.clear_faults();
    journey.run_to_the_end();
    assert_eq!(journey.tokens().len(), 3);
}

#[test]
fn a_part_that_does_not_arrive_can_be_tried_again() {
    let name = "a_part_that_does_not_arrive_can_be_tried_again";
    let Some(mut journey) = Journey::begin(name, "text=Hello") else {
        return;
    };
    let fault = Fault {
        status: Some(503),
        ..Fault::default()
    };
    for part in journey.addresses("split_attention.wasm") {
        journey.server.set_fault(&part, fault);
    }
    journey.page.click("tab-attention").unwrap();
    let said = "document.querySelector('#panel-attention [role=alert]')?.innerText";
    journey.wait(said, LONG);
    let sentence = journey.string(said);
    assert!(sentence.contains("could not be loaded"), "{sentence}");

    journey.server.clear_faults();
    journey
        .page
        .evaluate("document.querySelector('#panel-attention [role=alert] button').click()")
        .unwrap();
    journey.wait(
        "document.querySelector('[data-testid=attention-input]')",
        LONG,
    );
    // The other tabs were not touched.
    let typed = "document.querySelector('[data-testid=generate-input]').value";
    assert_eq!(journey.string(typed), "Hello");
}

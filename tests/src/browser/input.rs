//! Mouse, keyboard and files, as a person would use them.

use std::path::Path;
use std::time::Instant;

use serde_json::json;

use super::page::{BEAT, selector};
use super::{Error, Page, Result, keys};

impl Page {
    /// Clicks the middle of an element with the mouse, once it is there, enabled, at rest and not
    /// covered by another.
    ///
    /// # Errors
    /// If that does not come true in time; see [`Page::patience`].
    pub fn click(&mut self, testid: &str) -> Result<()> {
        let began = Instant::now();
        while !self.try_click(testid)? {
            if began.elapsed() > self.patience {
                return Err(self.timeout(&format!("a click on `{testid}`"), self.patience));
            }
        }
        Ok(())
    }

    /// Clicks where an element is, and says whether it was still there.
    fn try_click(&mut self, testid: &str) -> Result<bool> {
        let (x, y) = self.locate(testid)?;
        self.evaluate(&format!("({GUARD})({})", selector(testid)))?;
        for (kind, count) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 1)] {
            let button = if count == 0 { "none" } else { "left" };
            let event =
                json!({ "type": kind, "x": x, "y": y, "button": button, "clickCount": count });
            self.call("Input.dispatchMouseEvent", event)?;
        }
        // A click that led to another page did hit.
        match self.evaluate("globalThis.hitByClick?.() ?? true") {
            Ok(hit) => Ok(hit != false),
            Err(Error::Refused { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Moves the mouse over the middle of an element.
    ///
    /// # Errors
    /// As [`Page::click`].
    pub fn hover(&mut self, testid: &str) -> Result<()> {
        let (x, y) = self.locate(testid)?;
        let event = json!({ "type": "mouseMoved", "x": x, "y": y });
        self.call("Input.dispatchMouseEvent", event).map(drop)
    }

    /// Clicks a field and types over what is in it.
    ///
    /// # Errors
    /// As [`Page::click`].
    pub fn fill(&mut self, testid: &str, text: &str) -> Result<()> {
        self.click(testid)?;
        self.press("Control+a")?;
        if text.is_empty() {
            self.press("Backspace")
        } else {
            self.type_text(text)
        }
    }

    /// Clicks a field and replaces what is in it at once, as pasting does: for long texts.
    ///
    /// # Errors
    /// As [`Page::click`].
    pub fn paste(&mut self, testid: &str, text: &str) -> Result<()> {
        self.click(testid)?;
        self.press("Control+a")?;
        self.call("Input.insertText", json!({ "text": text }))
            .map(drop)
    }

    /// Types on the keyboard, into whatever has the focus. Characters that have no key of their
    /// own come as from an input method.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn type_text(&mut self, text: &str) -> Result<()> {
        for letter in text.chars() {
            let name = if letter == '\n' {
                "Enter".to_owned()
            } else {
                letter.to_string()
            };
            if keys::chord(&name).is_some() {
                self.press(&name)?;
            } else {
                self.call("Input.insertText", json!({ "text": name }))?;
            }
        }
        Ok(())
    }

    /// Presses a key or a chord: `Enter`, `ArrowDown`, `Control+Enter`.
    ///
    /// # Errors
    /// If there is no key of that name.
    pub fn press(&mut self, chord: &str) -> Result<()> {
        let events = keys::chord(chord)
            .ok_or_else(|| Error::Unexpected(format!("there is no key `{chord}`")))?;
        for event in events {
            self.call("Input.dispatchKeyEvent", event)?;
        }
        Ok(())
    }

    /// Gives files to an `<input type=file>`, as its dialog would.
    ///
    /// # Errors
    /// If there is no such input.
    pub fn choose_files(&mut self, testid: &str, files: &[&Path]) -> Result<()> {
        let expression = format!("document.querySelector({})", selector(testid));
        let found = self.call("Runtime.evaluate", json!({ "expression": expression }))?;
        let object = &found["result"]["objectId"];
        let params = json!({ "files": files, "objectId": object });
        self.call("DOM.setFileInputFiles", params).map(drop)
    }

    /// Drags files or folders from outside onto an element and lets go.
    ///
    /// # Errors
    /// As [`Page::click`].
    pub fn drop_files(&mut self, testid: &str, files: &[&Path]) -> Result<()> {
        let (x, y) = self.locate(testid)?;
        let data = json!({ "items": [], "files": files, "dragOperationsMask": 1 });
        for kind in ["dragEnter", "dragOver", "drop"] {
            let event = json!({ "type": kind, "x": x, "y": y, "data": data });
            self.call("Input.dispatchDragEvent", event)?;
        }
        Ok(())
    }

    /// The middle of an element in the window, once a mouse can reach it there.
    fn locate(&mut self, testid: &str) -> Result<(f64, f64)> {
        let script = format!("({LOCATE})({})", selector(testid));
        let began = Instant::now();
        loop {
            let found = self.evaluate(&script)?;
            if let (Some(x), Some(y)) = (found["x"].as_f64(), found["y"].as_f64()) {
                return Ok((x, y));
            }
            if began.elapsed() > self.patience {
                let why = found["why"].as_str().unwrap_or("there is none");
                return Err(self.timeout(&format!("a reachable `{testid}` ({why})"), self.patience));
            }
            self.pause(BEAT)?;
        }
    }
}

/// Finds the middle of the element, or says why a mouse would not reach it.
const LOCATE: &str = "async (selector) => {
    const element = document.querySelector(selector);
    if (!element) return { why: 'there is none' };
    if (element.matches(':disabled, [aria-disabled=true]')) return { why: 'it is disabled' };
    element.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
    const before = element.getBoundingClientRect();
    if (!before.width || !before.height) return { why: 'it is not shown' };
    await new Promise((done) => requestAnimationFrame(done));
    const box = element.getBoundingClientRect();
    if (box.x !== before.x || box.y !== before.y) return { why: 'it is moving' };
    const x = box.x + box.width / 2, y = box.y + box.height / 2;
    const hit = document.elementFromPoint(x, y);
    if (!hit) return { why: 'it is outside the window' };
    if (!element.contains(hit)) return { why: `it is covered by <${hit.localName} class='${hit.className}'>` };
    return { x, y };
}";

/// Keeps a click from everything but the element: it may move, or become smaller, after it was found.
const GUARD: &str = "(selector) => {
    let hit;
    const element = document.querySelector(selector);
    const kinds = ['pointerdown', 'mousedown', 'pointerup', 'mouseup', 'click'];
    const watch = (event) => {
        // Drawn anew meanwhile, it is another of the same name.
        hit ??= element?.isConnected ? element.contains(event.target) : Boolean(event.target.closest?.(selector));
        if (hit) return;
        event.preventDefault();
        event.stopImmediatePropagation();
    };
    kinds.forEach((kind) => addEventListener(kind, watch, true));
    globalThis.hitByClick = () => {
        kinds.forEach((kind) => removeEventListener(kind, watch, true));
        return hit;
    };
}";

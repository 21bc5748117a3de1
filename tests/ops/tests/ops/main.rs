//! Operations: in a browser, beside PyTorch's values, and on this machine's device. One program, so that the browser and
//! the device are busy side by side.
#![allow(clippy::unwrap_used, reason = "tests")]

mod browser;
mod golden;
mod native;

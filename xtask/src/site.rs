//! Building the site and serving it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use glassformer_tests::server::Server;

use crate::arguments::Arguments;
use crate::error::{Error, Result};
use crate::step::{run, step};
use crate::workspace::Workspace;
use crate::{models, split, tools};

/// What is built, and where to.
pub struct Options {
    /// `release`, or `quick` as the tests use it.
    pub profile: String,
    /// The folder of the finished site; what else is in it is deleted.
    pub dist: PathBuf,
}

impl Options {
    pub fn parse(workspace: &Workspace, arguments: &mut Arguments) -> Result<Self> {
        let profile = arguments
            .value("--profile")?
            .unwrap_or_else(|| "release".to_owned());
        if !["release", "quick"].contains(&profile.as_str()) {
            let wrong = format!("there is no profile `{profile}`; there are: release, quick");
            return Err(Error::Usage(wrong));
        }
        let dist = arguments
            .value("--dist")?
            .map_or_else(|| workspace.root.join("dist"), PathBuf::from);
        let dist = std::path::absolute(&dist).map_err(crate::error::file(&dist))?;
        Ok(Self { profile, dist })
    }
}

/// Builds the site with the default weights.
pub fn build(workspace: &Workspace, options: &Options) -> Result<()> {
    models::ensure(workspace)?;
    build_page(workspace, options)?;
    models::put_into(workspace, &options.dist.join("models"))?;
    println!("The site is in {}", options.dist.display());
    Ok(())
}

/// Builds the site without weights.
pub fn build_page(workspace: &Workspace, options: &Options) -> Result<()> {
    let tools = tools::ensure(workspace)?;
    let time = if options.profile == "release" {
        "some minutes"
    } else {
        "a minute or two"
    };
    step(
        &format!(
            "Building the page ({}), {time} the first time",
            options.profile
        ),
        || {
            // Trunk is kept off the network, where it would look for tools, so cargo goes first.
            let advice = "Check the network, then try again.";
            run(&mut workspace.cargo(&["fetch", "--quiet"]), advice)?;
            let mut trunk = tools.trunk(workspace);
            trunk
                .args(["build", "--offline", "--dist"])
                .arg(&options.dist);
            match options.profile.as_str() {
                "release" => trunk.arg("--release"),
                profile => trunk.args(["--cargo-profile", profile]),
            };
            run(&mut trunk, "The messages above say where.")?;
            split::split(workspace, &tools, &options.profile, &options.dist)
        },
    )
}

/// Builds the page that compares the GPU's operations with the CPU's in a browser.
pub fn build_ops_page(workspace: &Workspace, dist: &Path) -> Result<()> {
    let tools = tools::ensure(workspace)?;
    step("Building the page that tests the GPU's operations", || {
        let mut trunk = tools.trunk(workspace);
        trunk
            .args(["build", "--offline", "--cargo-profile", "quick"])
            .args(["--public-url", "./", "--dist"])
            .arg(dist)
            .arg("tests/ops/page/index.html");
        run(&mut trunk, "The messages above say where.")
    })
}

/// Builds the site, then serves it until interrupted.
pub fn serve(workspace: &Workspace, options: &Options, port: u16, open: bool) -> Result<()> {
    build(workspace, options)?;
    let server = start(options, port)?;
    let url = server.url();
    println!("\nGlassformer is at {url}  (Ctrl+C ends it)");
    if open {
        open_browser(&url);
    }
    server.wait();
    Ok(())
}

/// Serves on the port, or on the next free one.
fn start(options: &Options, port: u16) -> Result<Server> {
    let last = port.saturating_add(50);
    for candidate in port..=last {
        match Server::start(candidate, &[("/", &options.dist)]) {
            Ok(server) => {
                if candidate != port {
                    println!("Port {port} is taken; using {candidate}");
                }
                return Ok(server);
            }
            Err(e) if e.kind() == ErrorKind::AddrInUse => {}
            Err(e) => {
                return Err(Error::State(format!(
                    "port {candidate} cannot be used: {e}"
                )));
            }
        }
    }
    Err(Error::State(format!(
        "the ports {port} to {last} are taken: name another with --port"
    )))
}

fn open_browser(url: &str) {
    let program = if cfg!(windows) {
        "explorer"
    } else if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let started = Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if started.is_err() {
        println!("No browser could be opened here; open that address yourself.");
    }
}
